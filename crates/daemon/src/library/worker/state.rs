//! How a library stands, for peers, people and the pages. Invariant: what the worker does is told after it is done; figures are counted no
//! more often than their interval allows, and say so where they are old. Absent here: words for people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_core::base::NodeId;
use swarm_index::{LeftToDo, ViewFigures};
use swarm_library::limits::GRANTS_MAX;
use swarm_library::{Frontier, Policy, Position, SignedVote, grants_digest, votes_digest};
use swarm_sync::{ContentHash, TreePath};

use super::Worker;
use crate::clock;
use crate::library::error::LibraryError;
use crate::library::outbox::Output;
use crate::library::strangers::Strangers;
use crate::sentence::Sentence;

/// What a worker tells others of its library.
#[derive(Clone, Debug, Default)]
pub(crate) struct LibraryState {
    pub(crate) frontier: Frontier,
    pub(crate) votes_digest: [u8; 32],
    /// Somebody that counts was heard about it.
    pub(crate) is_heard: bool,
    /// `None` without grants of keys.
    pub(crate) grants_digest: Option<[u8; 32]>,
    pub(crate) policy: Policy,
    /// It is that of peers, since the library's file has none.
    pub(crate) is_policy_taken_over: bool,
    pub(crate) figures: ViewFigures,
    /// Something happened after the figures were taken.
    pub(crate) are_figures_old: bool,
    pub(crate) activity: String,
    /// Why it stands still.
    pub(crate) trouble: Option<Sentence>,
    /// Why files that are wanted are not fetched.
    pub(crate) fetch_trouble: Option<String>,
    pub(crate) conflicts: u64,
    /// Conflicts that this disk takes no part in.
    pub(crate) conflicts_elsewhere: u64,
    /// What the figures have left to do only because of conflicts.
    pub(crate) left_to_decide: LeftToDo,
    pub(crate) proposals: u64,
    /// Changes of this node that wait for votes: its disk has them, and the team has not.
    pub(crate) waiting: u64,
    /// Deletions on this disk that wait for a yes here.
    pub(crate) held_here: Option<u64>,
    /// Operations that were refused in the last pass.
    pub(crate) refused: Vec<(String, Sentence)>,
    /// Entries on this disk that are no part of the library, and why.
    pub(crate) unseen: BTreeMap<String, Sentence>,
    /// What authors did that do not count.
    pub(crate) strangers: Strangers,
    /// Files whose bytes are wrong on this disk, and what they are to be.
    pub(crate) rotten: BTreeMap<TreePath, ContentHash>,
    /// Authors that signed two histories.
    pub(crate) equivocators: BTreeSet<NodeId>,
    /// Authors that do not count, and of which no more is kept for others.
    pub(crate) full: BTreeSet<NodeId>,
    /// The commit of an author that came last and was not taken.
    pub(crate) passed_over: BTreeMap<NodeId, u64>,
    pub(crate) is_scanned: bool,
    /// New files wait for their turn to be planned.
    pub(crate) is_part_left: bool,
}

/// What a library does while its folders are read.
pub(crate) const LOOKING: &str = "looking at the folders";
/// What it does while it is paused.
pub(crate) const PAUSED: &str = "paused";

impl Worker {
    pub(super) fn trouble(&mut self, error: &LibraryError) {
        let words = Sentence::from(error);
        if self.known.trouble.as_ref() != Some(&words) {
            tracing::warn!(library = %self.session.settings.name, %error, "a library stands still");
        }
        self.known.trouble = Some(words);
    }

    pub(super) fn activity(&mut self, what: &str) {
        if self.known.activity != what {
            what.clone_into(&mut self.known.activity);
            self.state.send_replace(self.known.clone());
        }
    }

    /// Tells others how the library stands.
    pub(super) fn publish(&mut self) {
        let refreshed = self.refresh();
        if let Err(error) = refreshed {
            self.trouble(&error);
        }
        self.state.send_replace(self.known.clone());
        self.say(Output::Changed(self.library));
    }

    fn refresh(&mut self) -> Result<(), LibraryError> {
        let positions = self.session.book.frontier()?;
        let positions = positions.into_iter().map(|(author, seq, id)| Position { author, seq, id });
        self.known.frontier = Frontier::from_positions(positions).unwrap_or_default();
        let votes = self.session.book.votes(None, VOTES_MAX)?;
        let ids = votes
            .into_iter()
            .filter_map(|bytes| SignedVote::decode_kept(bytes.into()).ok())
            .map(|vote| vote.id());
        self.known.votes_digest = votes_digest(ids);
        self.known.is_heard = self.session.is_heard;
        let grants = self.session.book.grant_ids(GRANTS_MAX)?;
        self.known.grants_digest = (!grants.is_empty()).then(|| grants_digest(grants));
        self.known.proposals = self.session.book.proposals(false)?.len() as u64;
        self.known.waiting = self.session.book.held_of_author(&self.session.signer.key.public())?;
        let activity = if self.session.settings.is_paused { PAUSED } else { "" };
        activity.clone_into(&mut self.known.activity);
        let is_due = self.figured_at.is_none_or(|at| at.elapsed() >= FIGURES_INTERVAL);
        if is_due {
            self.known.figures = self.session.book.figures()?;
            self.known.conflicts_elsewhere = if self.known.figures.disputed > 0 {
                self.session.disputes_elsewhere()?.len() as u64
            } else {
                0
            };
            self.known.strangers = self.session.look_at_strangers(&self.authors, &self.known.strangers)?;
            self.known.left_to_decide =
                if self.known.conflicts > 0 { self.session.left_to_decide()? } else { LeftToDo::default() };
            self.figured_at = Some(clock::moment());
        }
        self.known.are_figures_old = !is_due;
        Ok(())
    }
}

/// The figures of half a million files take some 50 ms.
pub(super) const FIGURES_INTERVAL: Duration = Duration::from_millis(500);
/// Votes of one library.
const VOTES_MAX: usize = 64 << 10;
