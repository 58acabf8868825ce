//! How a link becomes one of a peer that is known: its Hello, the password of its user, and what it may hear from then on.

use std::sync::Arc;

use swarm_library::LibraryKey;
use swarm_library::wire::{Hello, Message, PROTOCOL_MAJOR, Refusal, RefusalCode};

use super::{Access, Exchange, Input, access::verify_password};

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

    /// Begins to compare the password of a peer with that of its user, if it was not compared with the one that users.json has now.
    pub(super) fn verify(&mut self, link: u64) -> bool {
        let Some(linked) = self.links.get_mut(&link) else { return false };
        let Some(Hello { user, password, .. }) = linked.hello.clone() else { return false };
        let check = if user.is_empty() { None } else { self.start.access.check_of(&user) };
        if linked.is_verifying || linked.compared_with == check {
            return false;
        }
        linked.compared_with.clone_from(&check);
        let Some(check) = check else {
            linked.user = None;
            return false;
        };
        linked.is_verifying = true;
        let (inputs, comparisons) = (self.inputs.clone(), Arc::clone(&self.comparisons));
        self.start.tasks.spawn(async move {
            // It is closed by nobody.
            let _turn = comparisons.acquire_owned().await;
            let checked = tokio::task::spawn_blocking(move || verify_password(&check, &password));
            let user = checked.await.unwrap_or(false).then_some(user);
            let _ = inputs.send(Input::Verified { link, user }).await;
        });
        true
    }

    pub(super) async fn on_verified(&mut self, link: u64, user: Option<String>) {
        let Some(linked) = self.links.get_mut(&link) else { return };
        linked.is_verifying = false;
        // What users.json has may have changed while that was compared.
        if self.verify(link) {
            return;
        }
        let user = user.filter(|user| self.start.access.check_of(user).is_some());
        if user.is_none() {
            let why = "no user with that name and password".to_owned();
            let refusal = Refusal { library: None, code: RefusalCode::BadCredentials, why };
            self.send(link, Message::Refusal(refusal));
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
            } else if linked.hello.is_some() && !linked.is_verifying && !self.verify(link) {
                self.greet(link).await;
            }
        }
    }
}

/// Characters of a peer's program and version.
const AGENT_CHARS: usize = 64;
