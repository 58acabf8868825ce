//! What people ask of a library, and the answers. Invariant: an answer is data; words for people are made where it is shown.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use swarm_core::base::{Category, NodeId};
use swarm_index::{KnownProposal, ViewEntry};
use swarm_library::{Ballots, Commit, Live, SignedVote, State, Verdict};
use swarm_sync::{Kind, RunId, TreePath};
use utoipa::ToSchema;

use super::asked::{Deciding, DeedsView, KeptView, TextsView};
use super::disputes::DisputeView;
use super::error::LibraryError;
use super::session::Session;
use super::undoing::{AuthorView, TakenBackView};
use super::verifying::VerifyView;
use crate::contents::Supply;

/// A question, or an order, to one library.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// Says yes or no to a proposal, named by the first digits of its id.
    Vote { id: String, verdict: Verdict, why: String },
    /// The deletions that this disk shows are meant.
    ApproveHere,
    /// Look at the folders now.
    Sync,
    /// What waits for votes, or all.
    Proposals { with_ended: bool },
    /// Entries of the view at a place.
    Tree { place: Option<TreePath>, start: Option<TreePath>, limit: usize },
    /// The last commits.
    Log { limit: usize },
    /// Why a path is as it is.
    Explain { path: TreePath },
    /// The texts of the conflict at a path.
    Texts { path: TreePath },
    /// Conflicts that others decide.
    Disputes,
    /// Decide a conflict.
    Decide(Deciding),
    /// Kept versions.
    Versions { path: TreePath },
    /// Bring a kept version back, or copy it to a file outside.
    Restore { path: TreePath, run: Option<RunId>, out: Option<PathBuf> },
    /// Take back what a run did on this disk.
    Undo { run: Option<RunId> },
    /// Who signed commits.
    Authors,
    /// Take back what an author did since a time in milliseconds since 1970, or say what that would be.
    TakeBack { author: String, since_ms: u64, is_rehearsal: bool },
}

/// An answer of a library.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not done, because of this.
    Failed {
        /// The category of the cause.
        category: String,
        /// For people.
        message: String,
    },
    /// Proposals.
    Proposals(Vec<ProposalView>),
    /// Entries of the view.
    Tree(Vec<EntryView>),
    /// Commits.
    Log(Vec<CommitView>),
    /// Why a path is as it is.
    Explain(Box<PathView>),
    /// Conflicts that this disk takes no part in.
    Disputes(Vec<DisputeView>),
    /// The texts of a conflict.
    Texts(Box<TextsView>),
    /// Kept versions.
    Versions(Vec<KeptView>),
    /// What was done on somebody's word.
    Deeds(Box<DeedsView>),
    /// Who signed commits.
    Authors(Vec<AuthorView>),
    /// What a reading of all files found.
    Verified(Box<VerifyView>),
    /// What was taken back.
    TakenBack(Box<TakenBackView>),
}

/// A proposal, for people.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProposalView {
    /// The id of its commit.
    pub id: String,
    /// Who proposes.
    pub author: String,
    /// How many yes it needs.
    pub needed: u32,
    /// Who said yes, the author included.
    pub yes: Vec<String>,
    /// Who said no, and why.
    #[schema(value_type = Vec<Vec<String>>)]
    pub no: Vec<(String, String)>,
    /// Records that wait.
    pub changes: u64,
    /// Of these, deletions.
    pub deletions: u64,
    /// Paths of the first hundred.
    pub paths: Vec<String>,
    /// Of these paths, those that are to be deleted.
    #[serde(default)]
    pub deleted: Vec<String>,
    /// Milliseconds since 1970, when it came here.
    pub seen_at_ms: u64,
    /// The same, when it expires if nobody decides; nothing if it waits for ever.
    #[serde(default)]
    pub expires_at_ms: Option<u64>,
    /// How it ended: `approved`, `refused`, `expired`, `withdrawn` or `superseded`: what it is about changed since, or was done already.
    pub ended: Option<String>,
}

/// An entry of the view.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EntryView {
    /// Its path.
    pub path: String,
    /// `file`, `folder` or `symlink`.
    pub kind: String,
    /// In bytes.
    pub len: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
    /// BLAKE3 of a file.
    pub blake3: Option<String>,
    /// SHA-256 of a file, where it is known.
    pub sha256: Option<String>,
    /// Who made this version.
    pub author: String,
    /// Whether other versions exclude it.
    pub is_disputed: bool,
    /// Whether the bytes are on this disk.
    pub is_here: bool,
    /// Whether a change of this node there waits for the votes of others.
    #[serde(default)]
    pub is_waiting: bool,
}

/// A commit, for people.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CommitView {
    /// Its id.
    pub id: String,
    /// Who signed it.
    pub author: String,
    /// Its number.
    pub seq: u64,
    /// Milliseconds since 1970, by its author.
    pub made_at_ms: u64,
    /// Milliseconds since 1970, when it came here.
    pub seen_at_ms: u64,
    /// How many records it has.
    pub records: u64,
    /// Whether it counts here; otherwise it is only carried.
    pub counts: bool,
    /// Some of its paths, with what became of each: `+` there, `-` gone.
    pub paths: Vec<String>,
}

/// Why a path is as it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PathView {
    /// The path.
    pub path: String,
    /// What stands on this disk.
    pub here: Option<EntryView>,
    /// The versions that hold, the winner first.
    pub versions: Vec<VersionLine>,
    /// Who has proposed what here, if it waits.
    pub held_by: Vec<String>,
    /// The change of this node, if one waits: what stands on this disk is what it says.
    #[serde(default)]
    pub own_held: Option<OwnHeld>,
    /// Where the file is on this disk.
    pub place: Option<String>,
    /// Whether it is left out by the selection.
    pub is_left_out: bool,
    /// Whether it waits for its bytes.
    pub is_waiting: bool,
    /// Who replaced the version that this node waits for, and does not count here.
    #[serde(default)]
    pub replaced_by: Option<String>,
    /// Where a conflict there can be decided: `here`, or `elsewhere`; nothing if there is none.
    #[serde(default)]
    pub conflict: Option<String>,
    /// Whether these can come, as far as it is known.
    #[serde(default)]
    pub supply: Option<Supply>,
}

/// A change of this node that waits for the votes of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnHeld {
    /// The id of its proposal.
    pub id: String,
    /// How many yes it needs, that of this node included.
    pub needed: u32,
}

/// A version of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionLine {
    /// Who made it.
    pub author: String,
    /// The number of the commit.
    pub seq: u64,
    /// `file`, `folder`, `symlink` or `deleted`.
    pub kind: String,
    /// In bytes.
    pub len: u64,
    /// BLAKE3 of a file.
    pub blake3: Option<String>,
    /// Whether all nodes take it.
    pub wins: bool,
}

impl Answer {
    /// Why it was not done.
    pub(crate) fn failed(error: &LibraryError) -> Self {
        Self::Failed { category: error.category().name().to_owned(), message: error.to_string() }
    }

    /// It cannot be done as it was asked.
    pub(crate) fn refused(message: String) -> Self {
        Self::Failed { category: Category::Usage.name().to_owned(), message }
    }
}

/// Answers what changes nothing. `wants_pass` is set where the answer calls for a pass.
pub(crate) fn answer(
    session: &mut Session,
    authors: &BTreeSet<NodeId>,
    question: Question,
    wants_pass: &mut bool,
) -> Result<Answer, LibraryError> {
    match question {
        Question::Proposals { with_ended } => proposals(session, authors, with_ended).map(Answer::Proposals),
        Question::Tree { place, start, limit } => {
            let page = session.book.view(place.as_ref(), start.as_ref(), limit)?;
            let me = session.signer.key.public();
            let has_held = session.book.has_held(&me)?;
            let mut entries = Vec::new();
            for entry in page {
                let State::Live(live) = &entry.winner.state else { continue };
                let is_here = session.has(&entry.path, &live.kind)?;
                let is_waiting = has_held && session.book.held_at(&me, &entry.path)?.is_some();
                entries.push(EntryView { is_waiting, ..entry_view(&entry, live, is_here) });
            }
            Ok(Answer::Tree(entries))
        }
        Question::Log { limit } => log(session, limit).map(Answer::Log),
        Question::Disputes => session.dispute_views().map(Answer::Disputes),
        Question::Decide(deciding) => {
            *wants_pass = true;
            session.decide(deciding)
        }
        Question::Versions { path } => session.versions(&path).map(Answer::Versions),
        Question::Restore { path, run, out } => {
            *wants_pass |= out.is_none();
            session.restore(&path, run, out.as_deref())
        }
        Question::Undo { run } => {
            *wants_pass = true;
            session.undo(run)
        }
        Question::Authors => session.authors().map(Answer::Authors),
        Question::TakeBack { author, since_ms, is_rehearsal } => {
            *wants_pass |= !is_rehearsal;
            take_back(session, &author, since_ms, is_rehearsal)
        }
        Question::Vote { .. }
        | Question::ApproveHere
        | Question::Sync
        | Question::Texts { .. }
        | Question::Explain { .. } => Ok(Answer::Done),
    }
}

fn take_back(
    session: &mut Session,
    prefix: &str,
    since_ms: u64,
    is_rehearsal: bool,
) -> Result<Answer, LibraryError> {
    let frontier = session.book.frontier()?;
    let mut authors = frontier.into_iter().map(|(author, ..)| author);
    let author = match (authors.clone().filter(|node| node.to_string().starts_with(prefix)).count(), prefix) {
        (1, _) => authors.find(|node| node.to_string().starts_with(prefix)),
        (0, _) => return Ok(Answer::TakenBack(Box::default())),
        _ => None,
    };
    let Some(author) = author else {
        let message = format!("several authors begin with `{prefix}`: see `swarm author ls`");
        return Ok(Answer::refused(message));
    };
    let report = session.take_back(&author, since_ms, is_rehearsal)?;
    Ok(Answer::TakenBack(Box::new(report)))
}

fn proposals(
    session: &Session,
    authors: &BTreeSet<NodeId>,
    with_ended: bool,
) -> Result<Vec<ProposalView>, LibraryError> {
    let waits_ms = session.signer.policy.waits_ms();
    let mut views = Vec::new();
    for known in session.book.proposals(with_ended)? {
        let held = session.book.held_of(&known.author, known.seq, PATHS_SHOWN)?;
        let ballots = ballots(session, authors, &known)?;
        let (changes, deletions) = session.book.held_count(&known.author, known.seq)?;
        let deleted = held.iter().filter(|record| record.is_deletion);
        views.push(ProposalView {
            id: known.id.to_string(),
            author: known.author.to_string(),
            needed: known.votes,
            yes: ballots.yes.iter().map(NodeId::to_string).collect(),
            no: ballots.no.into_iter().map(|(node, why)| (node.to_string(), why)).collect(),
            changes,
            deletions,
            paths: held.iter().map(|record| record.path.to_string()).collect(),
            deleted: deleted.map(|record| record.path.to_string()).collect(),
            seen_at_ms: known.seen_at_ms,
            expires_at_ms: waits_ms.map(|waits_ms| known.seen_at_ms.saturating_add(waits_ms)),
            ended: known.ended.map(|(end, _)| end.word().to_owned()),
        });
    }
    Ok(views)
}

/// What the trusted voters say about a proposal now.
fn ballots(
    session: &Session,
    authors: &BTreeSet<NodeId>,
    known: &KnownProposal,
) -> Result<Ballots, LibraryError> {
    let proposal = known.proposal(session.signer.library, &session.signer.policy);
    let votes = session.book.votes(Some(&known.id), 2 * swarm_library::limits::VOTES_PER_PROPOSAL_MAX)?;
    let votes: Vec<SignedVote> =
        votes.into_iter().filter_map(|bytes| SignedVote::decode_kept(bytes.into()).ok()).collect();
    Ok(proposal.ballots(&votes, &|node| authors.contains(node)))
}

fn log(session: &Session, limit: usize) -> Result<Vec<CommitView>, LibraryError> {
    let mut views = Vec::new();
    for known in session.book.log(limit)? {
        let bytes = session.book.commit(&known.author, known.seq)?;
        let records = bytes.and_then(|bytes| session.records_of(&Commit::decode(bytes).ok()?));
        let records = records.unwrap_or_default();
        let line = |record: &swarm_library::Record| {
            format!("{} {}", if record.state.is_live() { '+' } else { '-' }, record.path)
        };
        views.push(CommitView {
            id: known.id.to_string(),
            author: known.author.to_string(),
            seq: known.seq,
            made_at_ms: known.made_at_ms,
            seen_at_ms: known.seen_at_ms,
            records: records.len() as u64,
            counts: known.is_applied,
            paths: records.iter().take(PATHS_SHOWN).map(line).collect(),
        });
    }
    Ok(views)
}

/// A live entry of the view.
pub(crate) fn entry_view(entry: &ViewEntry, live: &Live, is_here: bool) -> EntryView {
    EntryView {
        path: entry.path.as_str().to_owned(),
        modified_ns: live.modified_ns,
        sha256: live.sha256.map(|hash| hex(&hash)),
        author: entry.winner.record.author.to_string(),
        is_disputed: entry.is_disputed,
        is_here,
        ..shape_of(&live.kind)
    }
}

/// What is told of any entry of this kind.
pub(crate) fn shape_of(kind: &Kind) -> EntryView {
    let (name, len, blake3) = match kind {
        Kind::File(file) => ("file", file.len, Some(file.hash.to_string())),
        Kind::Folder => ("folder", 0, None),
        Kind::Symlink { .. } => ("symlink", 0, None),
    };
    EntryView {
        path: String::new(),
        kind: name.to_owned(),
        len,
        modified_ns: 0,
        blake3,
        sha256: None,
        author: String::new(),
        is_disputed: false,
        is_here: false,
        is_waiting: false,
    }
}

pub(crate) fn hex(bytes: &[u8; 32]) -> String {
    NodeId::from_bytes(*bytes).to_string()
}

/// Paths that an answer names.
const PATHS_SHOWN: usize = 100;
