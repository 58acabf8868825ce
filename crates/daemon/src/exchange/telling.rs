//! What peers are told whenever something changes here. Nothing is said twice.

use swarm_library::wire::{Flag, Message, Progress, Standing};
use swarm_library::{Completion, LibraryKey, SignedLock};

use super::{ACTIVITY_CHARS, Exchange, FLAGS_AT_ONCE, LibraryRule, Said, links::Stock};
use crate::contents;
use crate::library::LibraryState;
use crate::sentence::Sentence;

impl Exchange {
    /// Tells peers how a library stands, if that is news; and asks them for what is lacking.
    pub(super) fn on_changed(&mut self, library: LibraryKey) {
        let state = self.state_of(&library);
        let LibraryState { frontier, votes_digest, policy, grants_digest, rotten, .. } = state;
        let now = Said { frontier, votes_digest, policy, grants_digest, rotten };
        if self.said.get(&library) != Some(&now) {
            self.said.insert(library, now);
            let links: Vec<u64> = self.links.keys().copied().collect();
            for link in links {
                self.say_frontier(link, library);
                self.send_votes_if_news(link, library);
                if grants_digest.is_some() && self.grants_told(link, &library) != grants_digest {
                    self.send_stock(link, library, Stock::Grants, &[]);
                }
                self.say_flags(link, library);
            }
        }
        self.ask_around(library);
    }

    /// The grants of keys that the peer of a link has, as it told last.
    pub(super) fn grants_told(&self, link: u64, library: &LibraryKey) -> Option<[u8; 32]> {
        self.links.get(&link)?.standing.get(library)?.grants_digest
    }

    pub(super) fn say_progress(&mut self, library: LibraryKey) {
        let state = self.state_of(&library);
        // Without a commit there is nothing of which it could have a part.
        if state.frontier.positions().next().is_none() || state.are_figures_old {
            return;
        }
        let figures = state.figures;
        let files = (figures.files.saturating_sub(figures.files_lacking), figures.files);
        let bytes = (figures.len.saturating_sub(figures.lacking_len), figures.len);
        let Some(completion) = Completion::of(files, bytes, figures.deletions_to_do) else { return };
        let links: Vec<u64> = self.links.keys().copied().collect();
        for link in links {
            if self.role_of(link, &library).is_some() {
                let activity = state.trouble.as_ref().map_or(state.activity.as_str(), Sentence::text);
                let activity = activity.chars().take(ACTIVITY_CHARS).collect();
                self.send(link, Message::Progress(Progress { library, completion, activity }));
            }
        }
    }

    pub(super) fn on_contents(&mut self, output: contents::Output) {
        match output {
            contents::Output::Seek(library, contents) => {
                let links: Vec<u64> = self
                    .links
                    .iter()
                    .filter(|(_, linked)| {
                        let may = self.start.access.may_come_from(&library, &linked.node);
                        may && linked.standing.contains_key(&library)
                    })
                    .map(|(link, _)| *link)
                    .collect();
                for link in links {
                    self.send(link, Message::Seek { library, contents: contents.clone() });
                }
            }
            contents::Output::Serving { link, library, contents } => {
                self.send(link, Message::Serving { library, contents });
            }
            contents::Output::AskRecipe { node, request, reply } => self.ask_recipe(node, request, reply),
        }
    }

    pub(super) fn say_frontier(&mut self, link: u64, library: LibraryKey) {
        if self.role_of(link, &library).is_none() || !self.libraries.contains_key(&library) {
            return;
        }
        let state = self.state_of(&library);
        let Some(LibraryRule { name, guid, .. }) = self.start.access.libraries.get(&library).cloned() else {
            return;
        };
        let standing = Standing {
            library,
            frontier: state.frontier,
            votes_digest: Some(state.votes_digest),
            policy: Some(state.policy),
            is_policy_taken_over: state.is_policy_taken_over,
            name,
            guid,
            grants_digest: state.grants_digest,
        };
        self.send(link, Message::Frontier(standing));
    }

    /// Tells of files whose bytes are wrong here. It follows each Frontier: those that it does not name any more are good again.
    pub(super) fn say_flags(&mut self, link: u64, library: LibraryKey) {
        let me = self.start.endpoint.node_id();
        for (path, file) in self.state_of(&library).rotten.into_iter().take(FLAGS_AT_ONCE) {
            if self.role_of(link, &library).is_some() {
                self.send(link, Message::Flag(Flag { library, path, file, source: Some(me) }));
            }
        }
    }

    pub(super) fn say_own_list(&mut self, link: u64) {
        let Some(linked) = self.links.get(&link) else { return };
        let (peers, users) = self.own_list.clone();
        if self.start.access.is_trusted(&linked.node)
            && linked.hello.is_some()
            && !(peers.is_empty() && users.is_empty())
        {
            let peers = peers.into_iter().filter(|peer| peer.node != linked.node).collect();
            self.send(link, Message::PeerList { peers, users });
        }
    }

    /// Sends all votes to a peer that has others. Both ends do: each gets what it lacks.
    pub(super) fn send_votes_if_news(&mut self, link: u64, library: LibraryKey) {
        let may = |role| swarm_library::may(role, swarm_library::Permission::ReadVotes);
        let ours = self.state_of(&library).votes_digest;
        let standing = self.links.get(&link).and_then(|linked| linked.standing.get(&library));
        let theirs = standing.and_then(|standing| standing.votes_digest);
        if theirs.is_some_and(|theirs| theirs != ours) && self.role_of(link, &library).is_some_and(may) {
            self.send_stock(link, library, Stock::Votes, &[]);
        }
    }

    pub(super) fn pass_lock_on(&mut self, lock: &SignedLock, from: Option<u64>) {
        let library = lock.lock().library;
        let known = self.locks.entry(library).or_default();
        if known.contains(lock) {
            return;
        }
        known.push(lock.clone());
        if known.len() > swarm_library::limits::LOCKS_MAX {
            known.remove(0);
        }
        let links: Vec<u64> = self.links.keys().copied().filter(|link| Some(*link) != from).collect();
        for link in links {
            if self.role_of(link, &library).is_some() {
                self.send(link, Message::Lock(lock.clone()));
            }
        }
    }
}
