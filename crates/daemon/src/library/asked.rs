//! What somebody asks to be done to paths of a library: a conflict decided, a kept version brought back, a run taken back. It is done on this
//! disk, as that person could do it by hand: the next pass tells the others.

use serde::{Deserialize, Serialize};
use swarm_core::base::Category;
use swarm_files::KeptVersion;
use swarm_sync::{
    ChangeCause, Choice, Conflict, ContentHash, DeedEnd, FoundKind, Index as _, IndexStep, KeptId, NoMerge,
    Op, PerSide, Plan, Proposal, Replica as _, RunEvent, RunId, Side, TreePath, base_of, limits, merged,
    read_whole, settled, undo,
};
use utoipa::ToSchema;

use super::ask::Answer;
use super::error::LibraryError;
use super::session::Session;
use super::view_side::ViewSide;
use crate::clock;

/// A kept version of a path.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeptView {
    /// The run that replaced or deleted it: the name of the version.
    pub run: String,
    /// Its number in the run.
    pub number: u32,
    /// Where it stood.
    pub path: String,
    /// `file`, `folder` or `symlink`.
    pub kind: String,
    /// In bytes.
    pub len: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
}

/// The texts of a conflict, where they are short and on this machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct TextsView {
    /// On this disk.
    pub local: Option<String>,
    /// In the library.
    pub remote: Option<String>,
    /// What both had last.
    pub base: Option<String>,
}

/// What was done on somebody's word.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DeedsView {
    /// The run that did it, or that was taken back.
    pub run: String,
    /// Operations on this disk.
    pub performed: u64,
    /// Paths that stay as they are, and why.
    #[schema(value_type = Vec<Vec<String>>)]
    pub refused: Vec<(String, String)>,
    /// Paths in the hands of a run that was cut off.
    pub unknown: Vec<String>,
    /// Files and links of a folder that was restored; nothing for another path.
    #[serde(default)]
    pub restored: Option<u64>,
    /// Changes that this node told the others of in that run: they are not taken back by it.
    pub published: u64,
}

/// Who decides what about a conflict, as it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Deciding {
    pub(crate) place: Option<TreePath>,
    pub(crate) choice: String,
    /// The file with the bytes, if the choice is one.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) all: bool,
}

impl Session {
    /// Notes a decision; the next pass acts on it. Returns how many conflicts it is about, or what is wrong with it.
    pub(crate) fn decide(&mut self, deciding: Deciding) -> Result<Answer, LibraryError> {
        let is_meant = |conflict: &Conflict| {
            deciding.place.as_ref().is_none_or(|place| conflict.path.is_at_or_below(place))
        };
        let open = self.index.conflicts()?.into_iter().map(|(conflict, _)| conflict).filter(is_meant);
        let open: Vec<Conflict> = open.collect();
        if open.is_empty() {
            return self.decide_elsewhere(&deciding);
        }
        let Deciding { choice, bytes, all, .. } = deciding;
        if open.len() > 1 && !all {
            let count = open.len();
            let message = format!("there are {count} conflicts there: name one of them, or pass --all");
            return Ok(Answer::refused(message));
        }
        let mut steps = Vec::new();
        for conflict in &open {
            let chosen = match choice.as_str() {
                "keep-local" => Choice::KeepLocal,
                "keep-remote" => Choice::KeepRemote,
                "keep-both" => Choice::KeepBoth,
                "merge" => match self.merged(conflict)? {
                    Ok(text) => keep(conflict, text, &mut steps),
                    Err(why) => return Ok(not_merged(conflict, why)),
                },
                _ => keep(conflict, bytes.clone().unwrap_or_default(), &mut steps),
            };
            steps.push(IndexStep::Choose(conflict.id, Some(chosen)));
        }
        self.index.apply(steps)?;
        let performed = open.len() as u64;
        Ok(Answer::Deeds(Box::new(DeedsView { performed, ..DeedsView::default() })))
    }

    fn merged(&mut self, conflict: &Conflict) -> Result<Result<Vec<u8>, NoMerge>, LibraryError> {
        let base = base_of(conflict).map(|hash| self.index.text(&hash)).transpose()?.flatten();
        Ok(merged(conflict, base.as_deref(), &self.conflict_texts(conflict)))
    }

    /// The texts of the conflict at a path; also the content that peers have and that this machine lacks.
    pub(crate) fn texts_at(
        &mut self,
        path: &TreePath,
    ) -> Result<(TextsView, Option<(ContentHash, u64)>), LibraryError> {
        let conflicts = self.index.conflicts()?;
        let Some((conflict, _)) = conflicts.into_iter().find(|(conflict, _)| conflict.path == *path) else {
            return Ok((TextsView::default(), None));
        };
        let texts = self.conflict_texts(&conflict);
        let base = base_of(&conflict).map(|hash| self.index.text(&hash)).transpose()?.flatten();
        let text = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let wanted = conflict.versions.remote.as_ref().and_then(|version| version.kind.file());
        let wanted = wanted.filter(|file| texts.remote.is_none() && file.len <= limits::MERGE_LEN_MAX);
        let wanted = wanted.map(|file| (file.hash, file.len));
        let view = TextsView { local: text(texts.local), remote: text(texts.remote), base: text(base) };
        Ok((view, wanted))
    }

    /// The bytes of both versions, where they are short and on this machine.
    fn conflict_texts(&mut self, conflict: &Conflict) -> PerSide<Option<Vec<u8>>> {
        let view =
            ViewSide::new(&self.overlay, (&self.arrivals, &self.digests), &self.signer, &mut self.book);
        let read = |side: Side| {
            let version = conflict.versions.of(side).as_ref()?;
            let content = version.kind.file().filter(|content| content.len <= limits::MERGE_LEN_MAX)?;
            let entry = swarm_sync::Entry {
                kind: version.kind.clone(),
                modified_ns: version.modified_ns,
                stamp: swarm_sync::Stamp::default(),
            };
            let bytes = match side {
                Side::Local => std::fs::read(self.overlay.file_path(&version.path)?).ok()?,
                Side::Remote => {
                    read_whole(&mut *view.source(&version.path, &entry), &version.path, content).ok()?
                }
            };
            (ContentHash::of(&bytes) == content.hash).then_some(bytes)
        };
        PerSide::each(read)
    }

    /// Kept versions of a path and of what stood below it, the newest first.
    pub(crate) fn versions(&self, path: &TreePath) -> Result<Vec<KeptView>, LibraryError> {
        let mut kept = self.overlay.kept(Some(path)).map_err(LibraryError::Mounts)?;
        kept.sort_by(|one, other| (other.id.run, &one.id.path).cmp(&(one.id.run, &other.id.path)));
        Ok(kept.iter().take(VERSIONS_SHOWN).map(kept_view).collect())
    }

    /// Leads back from what a run did on this disk, the last one if none is named.
    pub(crate) fn undo(&mut self, run: Option<RunId>) -> Result<Answer, LibraryError> {
        let Some(run) = run.map_or_else(|| self.last_run_here(), |run| Ok(Some(run)))? else {
            return Ok(Answer::refused(
                "no run did anything on this disk yet: there is nothing to undo".to_owned(),
            ));
        };
        let deeds = self.index.deeds(run)?;
        if deeds.is_empty() {
            let message = format!("run {run} did nothing, or is forgotten: `swarm changes` lists runs");
            return Ok(Answer::refused(message));
        }
        let way_back = undo(&deeds);
        let of_side = |side: Side| {
            deeds.iter().filter(move |deed| deed.side == side && matches!(deed.end, DeedEnd::Done { .. }))
        };
        let unknown = way_back.unknown.iter().filter(|deed| deed.side == Side::Local);
        let unknown = unknown.map(|deed| deed.op.path.to_string()).collect();
        let published = of_side(Side::Remote).count() as u64;
        let ended = Ended { cause: ChangeCause::Undo, undone_run: Some(run) };
        let done = self.perform_asked(way_back.ops.local, &ended)?;
        let view = DeedsView { run: run.to_string(), unknown, published, ..done };
        Ok(Answer::Deeds(Box::new(view)))
    }

    /// The last run that did something on this disk.
    fn last_run_here(&self) -> Result<Option<RunId>, LibraryError> {
        for record in self.index.runs(RUNS_LOOKED_AT)? {
            let deeds = self.index.deeds(record.run)?;
            let is_here = |deed: &swarm_sync::Deed| {
                deed.side == Side::Local && matches!(deed.end, DeedEnd::Done { .. })
            };
            if deeds.iter().any(is_here) {
                return Ok(Some(record.run));
            }
        }
        Ok(None)
    }

    /// Performs operations on this disk.
    pub(super) fn perform_asked(&mut self, ops: Vec<Op>, ended: &Ended) -> Result<DeedsView, LibraryError> {
        let conflicts = self.index.conflicts()?.into_iter().map(|(conflict, _)| conflict).collect();
        let plan = Plan { ops: PerSide { local: ops, remote: Vec::new() }, conflicts, ..Plan::default() };
        let proposal = Proposal { plan, ..Proposal::default() };
        let mut view = DeedsView::default();
        let mut on_event = |event: RunEvent| match event {
            RunEvent::Performed { .. } => view.performed += 1,
            RunEvent::Refused { op, error, .. } => {
                if view.refused.len() < REFUSED_MAX {
                    view.refused.push((op.path.to_string(), error.to_string()));
                }
            }
        };
        let run = self.next_run();
        self.index.begin_run(run, clock::now_ms())?;
        let done =
            self.with_run(&mut on_event, |run| Ok(run.carry_out(&proposal.plan, &proposal.differences)?));
        let summary = serde_json::to_string(ended).unwrap_or_default();
        self.index.end_run(run, clock::now_ms(), &summary)?;
        done?;
        view.run = run.to_string();
        Ok(view)
    }
}

/// What is kept of a run that was asked for; lists of changes read it.
#[derive(Serialize)]
pub(super) struct Ended {
    pub(super) cause: ChangeCause,
    pub(super) undone_run: Option<RunId>,
}

fn keep(conflict: &Conflict, bytes: Vec<u8>, steps: &mut Vec<IndexStep>) -> Choice {
    let (choice, step) = settled(conflict, bytes);
    steps.push(step);
    choice
}

fn not_merged(conflict: &Conflict, why: NoMerge) -> Answer {
    let path = &conflict.path;
    let way = match why {
        NoMerge::NoText => {
            "if peers have the other version, it is being fetched: `swarm conflicts` shows it, then try again"
        }
        NoMerge::NoBase | NoMerge::NeverAgreed | NoMerge::Overlap | NoMerge::NotMergeable => {
            "put what is to stand into a file, and name that file as the choice"
        }
    };
    let message = format!("`{path}` cannot be merged: {why}; {way}");
    Answer::Failed { category: Category::Undecided.name().to_owned(), message }
}

fn kept_view(version: &KeptVersion) -> KeptView {
    let KeptVersion { id: KeptId { run, path, number }, kind, modified_ns } = version;
    let word = match kind {
        FoundKind::File { .. } => "file",
        FoundKind::Folder => "folder",
        FoundKind::Symlink { .. } => "symlink",
    };
    KeptView {
        run: run.to_string(),
        number: *number,
        path: path.to_string(),
        kind: word.to_owned(),
        len: version.len(),
        modified_ns: *modified_ns,
    }
}

/// Versions that an answer names.
const VERSIONS_SHOWN: usize = 10_000;
/// Runs that are looked through for the last one that did something.
const RUNS_LOOKED_AT: u32 = 1000;
const REFUSED_MAX: usize = 1000;
