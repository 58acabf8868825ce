//! How a link becomes one of a peer that is known: its Hello, the password of its user, and what it may hear from then on.

use std::time::Instant;

use swarm_library::LibraryKey;
use swarm_library::wire::{Hello, Message, PROTOCOL_MAJOR, Refusal, RefusalCode};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Access, Exchange, Input};
use crate::clock;
use crate::proof::{Client, Gate};

impl Exchange {
    pub(super) async fn on_hello(&mut self, link: u64, hello: Hello) {
        if hello.major != PROTOCOL_MAJOR {
            return self.on_down(link, "another version of the protocol of libraries is spoken here");
        }
        let Some(linked) = self.links.get_mut(&link) else { return };
        if linked.hello.is_some() {
            return self.on_down(link, "it says Hello twice");
        }
        hello.name.clone_into(&mut linked.peer.name);
        linked.peer.agent = hello.agent.chars().take(AGENT_CHARS).collect();
        linked.peer.protocol = (hello.major, hello.minor);
        linked.hello = Some(hello.clone());
        linked.reads_compressed.send_replace(hello.reads_compressed);
        tracing::debug!(node = linked.node.short(), "a peer said Hello");
        if !self.verify(link) {
            self.greet(link).await;
        }
    }

    /// Begins to compare the password of a peer with that of its user, if it was not compared with the one that users.json has now. Without such a
    /// user it is compared, too: neither time nor answer tells who is one.
    pub(super) fn verify(&mut self, link: u64) -> bool {
        let Some(linked) = self.links.get_mut(&link) else { return false };
        let Some(Hello { user, password, .. }) = linked.hello.clone() else { return false };
        if user.is_empty() {
            return false;
        }
        let check = self.start.access.check_of(&user);
        if !linked.verifying.begins(check.as_deref(), clock::moment()) {
            return false;
        }
        let address = linked.link.remote_address().ip();
        let client = if self.start.access.peers.contains_key(&linked.node) {
            Client::Peer(linked.node, address)
        } else {
            Client::Stranger(linked.node, address)
        };
        // One whose turn has not come ends with its link: a peer that comes again and again has one in the queue.
        let ends = CancellationToken::new();
        linked.verifying.going = Some(ends.clone().drop_guard());
        let (inputs, passwords) = (self.inputs.clone(), self.start.passwords.clone());
        self.start.tasks.spawn(async move {
            let compared = passwords.compare(&user, &password, check.as_deref(), client);
            if let Some(gate) = ends.run_until_cancelled(compared).await {
                let _ = inputs.send(Input::Verified { link, gate }).await;
            }
        });
        true
    }

    /// Compares the passwords that had to wait.
    pub(super) fn verify_again(&mut self) {
        let links: Vec<u64> = self.links.keys().copied().collect();
        let now = clock::moment();
        for link in links {
            if self.links.get(&link).is_some_and(|linked| linked.verifying.waited_until(now)) {
                self.verify(link);
            }
        }
    }

    pub(super) async fn on_verified(&mut self, link: u64, gate: Gate) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        linked.verifying.going = None;
        let had_to_wait = linked.verifying.waits_until.take().is_some();
        if let Gate::Wait(wait) = gate {
            linked.verifying.compared_with = ComparedWith::Nothing;
            linked.verifying.waits_until = Some(clock::moment() + wait);
        }
        // What users.json has may have changed while that was compared.
        if self.verify(link) {
            return;
        }
        let user =
            self.links.get(&link).and_then(|linked| linked.hello.as_ref()).map(|hello| hello.user.clone());
        let user = user.filter(|user| gate == Gate::Open && self.start.access.check_of(user).is_some());
        let refused = match gate {
            Gate::Open if user.is_some() => None,
            Gate::Open | Gate::Wrong => {
                Some((RefusalCode::BadCredentials, "no user with that name and password".to_owned()))
            }
            // Once is enough.
            Gate::Wait(_) if had_to_wait => None,
            Gate::Wait(wait) => {
                let seconds = wait.as_secs().max(1);
                let why = format!("too many wrong passwords: yours is compared in {seconds} s");
                Some((RefusalCode::TooMuch, why))
            }
        };
        if let Some((code, why)) = refused {
            self.send(link, Message::Refusal(Refusal { library: None, code, why }));
        }
        if let Some(linked) = self.links.get_mut(&link) {
            linked.peer.user.clone_from(&user);
            linked.user = user;
        }
        self.greet(link).await;
    }

    /// Tells a peer what it may know.
    pub(super) async fn greet(&mut self, link: u64) {
        self.look_whom_to_take_from(link);
        let keys: Vec<LibraryKey> = self.libraries.keys().copied().collect();
        for library in keys {
            self.say_frontier(link, library);
            self.say_flags(link, library);
        }
        self.say_own_list(link);
        self.hear_again(link).await;
    }

    /// A peer that was let in now may have told what it has before.
    pub(super) async fn hear_again(&mut self, link: u64) {
        let Some(linked) = self.links.get(&link) else { return };
        let known: Vec<LibraryKey> =
            linked.standing.keys().filter(|library| self.libraries.contains_key(library)).copied().collect();
        for library in known {
            self.hear(link, library, true).await;
        }
    }

    pub(super) async fn on_access(&mut self, access: Access) {
        self.start.access = access;
        self.said.clear();
        let links: Vec<u64> = self.links.keys().copied().collect();
        for link in links {
            let Some(linked) = self.links.get(&link) else { continue };
            if self.start.access.hello_for(&linked.node, &self.start.own) != linked.shown {
                // Hello is said once on a link: the next one says the new one.
                self.on_down(link, "this node shows itself as another user now");
            } else if linked.hello.is_some() && !linked.verifying.is_going() && !self.verify(link) {
                self.greet(link).await;
            }
        }
    }
}

/// How the password of a link is compared.
#[derive(Default)]
pub(super) struct Verifying {
    /// Ends the comparison that goes on.
    going: Option<DropGuard>,
    compared_with: ComparedWith,
    /// It was not compared, and is to be then.
    waits_until: Option<Instant>,
}

/// What the password of a link was compared with last.
#[derive(Default, PartialEq, Eq)]
enum ComparedWith {
    #[default]
    Nothing,
    /// There was no such user.
    NobodysHash,
    Hash(String),
}

impl Verifying {
    pub(super) fn is_going(&self) -> bool {
        self.going.is_some()
    }

    /// Whether it is to be compared with this now.
    fn begins(&mut self, check: Option<&str>, now: Instant) -> bool {
        let check = check.map_or(ComparedWith::NobodysHash, |hash| ComparedWith::Hash(hash.to_owned()));
        if self.is_going() || self.compared_with == check || self.waits_until.is_some_and(|until| now < until)
        {
            return false;
        }
        self.compared_with = check;
        true
    }

    fn waited_until(&self, now: Instant) -> bool {
        self.waits_until.is_some_and(|until| until <= now)
    }
}

/// Characters of a peer's program and version.
const AGENT_CHARS: usize = 64;
