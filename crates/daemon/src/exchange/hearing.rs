//! What peers say of libraries: how far they are, what they ask for, and what this node asks them for because of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use swarm_core::base::NodeId;
use swarm_library::wire::{Message, Progress, RecipeRequest, Refusal, RefusalCode, Standing};
use swarm_library::{After, LibraryKey, Role, SignedGrant, SignedVote};
use tokio::sync::oneshot;

use super::{Exchange, Output, links::Stock, recipes};
use crate::clock;
use crate::contents;
use crate::library::Input as LibraryInput;
use crate::library::ToldPolicy;

impl Exchange {
    pub(super) async fn on_frontier(&mut self, link: u64, standing: Standing) {
        let library = standing.library;
        let Some(standing) = self.fitting(link, standing) else { return };
        let Some(linked) = self.links.get_mut(&link) else { return };
        if let Some(policy) = standing.policy {
            let known = linked.peer.libraries.entry(library).or_default();
            known.policy = Some(policy);
            (known.name, known.guid) = (standing.name.clone(), standing.guid.clone());
        }
        let (from, is_new) = (linked.node, linked.standing.insert(library, standing).is_none());
        self.tell(Output::FlagsAnew { from, library });
        self.tell_heard(library);
        self.hear(link, library, is_new).await;
    }

    /// What is due once a peer that has access told how far it is.
    pub(super) async fn hear(&mut self, link: u64, library: LibraryKey, is_new: bool) {
        let role = self.role_of(link, &library);
        let Some((linked, standing)) =
            self.links.get(&link).and_then(|linked| Some((linked, linked.standing.get(&library)?)))
        else {
            return;
        };
        if role.is_none() {
            return;
        }
        let (node, grants_digest) = (linked.node, standing.grants_digest);
        let told =
            standing.policy.map(|policy| ToldPolicy { policy, is_taken_over: standing.is_policy_taken_over });
        if is_new {
            self.to_contents(contents::Input::PeerCame(library));
        }
        // The worker hears of the policy before any commit that is asked for now.
        if let (Some(told), Some(handle)) = (told, self.libraries.get(&library)) {
            let _ = handle.inputs.send(LibraryInput::PeerPolicy(node, told)).await;
        }
        self.send_votes_if_news(link, library);
        if self.state_of(&library).grants_digest.is_some_and(|ours| grants_digest != Some(ours)) {
            self.send_stock(link, library, Stock::Grants, &[]);
        }
        self.ask_around(library);
    }

    /// A library of others is written to only when somebody that counts told whether it is sealed.
    pub(super) fn tell_heard(&self, library: LibraryKey) {
        if self.state_of(&library).is_heard {
            return;
        }
        let counts = self.links.values().filter(|linked| self.start.access.is_trusted(&linked.node));
        let told: Vec<&Standing> = counts.filter_map(|linked| linked.standing.get(&library)).collect();
        if let Some(handle) = self.libraries.get(&library).filter(|_| !told.is_empty()) {
            let is_sealed = told.iter().any(|standing| standing.grants_digest.is_some());
            // A worker that is busy is told at the next tick.
            let _ = handle.inputs.try_send(LibraryInput::Heard { is_sealed });
        }
    }

    pub(super) async fn on_grants(&mut self, link: u64, library: LibraryKey, grants: Vec<SignedGrant>) {
        let is_let_in = self.role_of(link, &library).is_some();
        if let Some(handle) = self.libraries.get(&library).filter(|_| is_let_in) {
            let _ = handle.inputs.send(LibraryInput::Grants(grants)).await;
        }
    }

    /// Asks for commits that peers have and this node lacks: those of one author of one peer.
    pub(super) fn ask_around(&mut self, library: LibraryKey) {
        let Some(handle) = self.libraries.get(&library) else { return };
        let (ours, full, passed_over) = {
            let state = handle.state.borrow();
            (state.frontier.clone(), state.full.clone(), state.passed_over.clone())
        };
        let now = clock::moment();
        // What comes along with commits comes as fast as it can.
        let without_files = handle.limits.down.is_some();
        self.asked.forget_done(&library, (&ours, &passed_over), now);
        let mut requests: BTreeMap<u64, Vec<After>> = BTreeMap::new();
        for (number, linked) in &self.links {
            let may = self.may_give(*number, &library);
            let Some(standing) = linked.standing.get(&library).filter(|_| may) else { continue };
            // Of those that do not count here no more is kept than fits.
            let lacking = ours.lacking(&standing.frontier).into_iter();
            for After { author, seq } in lacking.filter(|after| !full.contains(&after.author)) {
                let seqs = (seq, standing.frontier.seq(&author));
                if let Some(seq) = self.asked.ask((library, author), seqs, *number, now) {
                    requests.entry(*number).or_default().push(After { author, seq });
                }
            }
        }
        for (link, after) in requests {
            self.send(link, Message::CommitsRequest { library, after, without_files });
        }
    }

    pub(super) fn on_commit_taken(&mut self, library: LibraryKey, author: NodeId, seq: u64) {
        if self.asked.on_handed((library, author), seq, clock::moment()) {
            self.ask_around(library);
        }
    }

    pub(super) fn on_request(
        &mut self,
        link: u64,
        library: LibraryKey,
        after: &[After],
        without_files: bool,
    ) {
        if self.role_of(link, &library).is_none() {
            let why = "this node's users say nothing of you for this library: ask its operator".to_owned();
            let refusal = Refusal { library: Some(library), code: RefusalCode::NotAuthorised, why };
            return self.send(link, Message::Refusal(refusal));
        }
        let is_limited = self.libraries.get(&library).is_some_and(|handle| handle.limits.up.is_some());
        let stock = if without_files || is_limited { Stock::CommitsAlone } else { Stock::Commits };
        self.send_stock(link, library, stock, after);
    }

    /// A mirror of a sealed library has no plain bytes, and is told nothing of them.
    pub(super) fn on_recipe_request(&mut self, link: u64, request: RecipeRequest) {
        let is_told = self.role_of(link, &request.library).is_some_and(|role| role != Role::Mirror);
        let (Some(handle), Some(linked)) = (self.libraries.get(&request.library), self.links.get(&link))
        else {
            return;
        };
        if !is_told {
            let why = "this node tells you nothing of the files of this library";
            return self.send(link, recipes::refusal(&request, RefusalCode::NotAuthorised, why));
        }
        let Ok(permit) = Arc::clone(&linked.recipe_permits).try_acquire_owned() else {
            let why = "this node still answers what you asked before";
            return self.send(link, recipes::refusal(&request, RefusalCode::TooMuch, why));
        };
        let question = (Arc::clone(&handle.places), request);
        self.recipe_tellers.tell(&self.start.tasks, question, linked.outgoing.bulk.clone(), permit);
    }

    pub(super) fn ask_recipe(&mut self, node: NodeId, request: RecipeRequest, reply: oneshot::Sender<Bytes>) {
        let found = self.links.iter().find(|(_, linked)| linked.node == node && linked.hello.is_some());
        if let Some(link) = found.map(|(link, _)| *link) {
            self.recipes_asked.insert(link, &request, reply);
            self.send(link, Message::RecipeRequest(request));
        }
    }

    pub(super) async fn on_votes(&mut self, link: u64, library: LibraryKey, votes: Vec<SignedVote>) {
        let may = self
            .role_of(link, &library)
            .is_some_and(|role| swarm_library::may(role, swarm_library::Permission::ReadVotes));
        if let Some(handle) = self.libraries.get(&library).filter(|_| may) {
            let _ = handle.inputs.send(LibraryInput::Votes(votes)).await;
        }
    }

    pub(super) fn on_progress(&mut self, link: u64, progress: Progress) {
        let role = self.role_of(link, &progress.library);
        if let Some(linked) = self.links.get_mut(&link).filter(|_| role.is_some()) {
            let known = linked.peer.libraries.entry(progress.library).or_default();
            (known.completion, known.activity, known.role) = (progress.completion, progress.activity, role);
        }
    }
}
