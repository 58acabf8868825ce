//! Conflicts of versions, as every machine sees them that trusts their authors. The machine whose version lost has both versions and decides; any
//! other one shows the conflict, and may decide that what the library has stands.
//!
//! Absent here: which version wins meanwhile (`swarm-library`), and conflicts of this disk with the library (`swarm-sync`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use swarm_index::LeftToDo;
use swarm_library::Heads;
use swarm_sync::{Conflict, Entry, Side, TreePath};
use utoipa::ToSchema;

use super::ask::{Answer, VersionLine};
use super::asked::{Deciding, DeedsView};
use super::error::LibraryError;
use super::session::Session;
use super::session::explaining::version_lines;
use super::view_side::ViewSide;

/// A conflict that this disk takes no part in: what stands here is what the library has for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisputeView {
    /// The path.
    pub path: String,
    /// The versions that exclude each other, first the one that stands for now.
    pub versions: Vec<VersionLine>,
}

impl Session {
    /// Conflicts of versions in which no disk of this node takes part, in path order; the first ones, if there are many.
    pub(super) fn disputes_elsewhere(&self) -> Result<Vec<(TreePath, Heads)>, LibraryError> {
        let own = places_of(self.index.conflicts()?.into_iter().map(|(conflict, _)| conflict));
        let is_own =
            |path: &TreePath| own.contains(path) || path.ancestors().any(|above| own.contains(&above));
        let mut found = Vec::new();
        for path in self.book.disputed(DISPUTES_AT_ONCE)? {
            let heads = self.book.heads(&path)?;
            if heads.is_disputed() && !is_own(&path) {
                found.push((path, heads));
            }
        }
        Ok(found)
    }

    /// What is left to do only because a conflict waits for a decision.
    pub(super) fn left_to_decide(&self) -> Result<LeftToDo, LibraryError> {
        let conflicts = self.index.conflicts()?.into_iter().map(|(conflict, _)| conflict);
        Ok(self.book.left_to_do_at(&places_of(conflicts.take(DISPUTES_AT_ONCE)))?)
    }

    /// The same for people.
    pub(super) fn dispute_views(&self) -> Result<Vec<DisputeView>, LibraryError> {
        let view = |(path, heads): (TreePath, Heads)| DisputeView {
            path: path.as_str().to_owned(),
            versions: version_lines(&heads),
        };
        Ok(self.disputes_elsewhere()?.into_iter().map(view).collect())
    }

    /// Decides conflicts that this disk takes no part in: what the library has stands.
    pub(super) fn decide_elsewhere(&mut self, deciding: &Deciding) -> Result<Answer, LibraryError> {
        let is_meant =
            |path: &TreePath| deciding.place.as_ref().is_none_or(|place| path.is_at_or_below(place));
        let mut open = self.disputes_elsewhere()?;
        open.retain(|(path, _)| is_meant(path));
        if open.is_empty() || (open.len() > 1 && !deciding.all) {
            let message = match open.len() {
                0 => "there is no open conflict there: `swarm conflicts` lists them".to_owned(),
                count => format!("there are {count} conflicts there: name one of them, or pass --all"),
            };
            return Ok(Answer::refused(message));
        }
        if !matches!(deciding.choice.as_str(), "keep-local" | "keep-remote") {
            let lost = open[0]
                .1
                .all()
                .iter()
                .filter(|head| Some(head.record) != open[0].1.winner().map(|head| head.record));
            let nodes: BTreeSet<String> = lost.map(|head| head.record.author.short()).collect();
            let nodes: Vec<String> = nodes.into_iter().collect();
            return Ok(Answer::refused(format!(
                "this machine has one version alone, that of the library: choose `remote`, which keeps it, or decide at the machine of {}",
                nodes.join(" or ")
            )));
        }
        let paths: Vec<TreePath> = open.into_iter().map(|(path, _)| path).collect();
        let performed = self.decide_for_winners(&paths)?;
        if performed == 0 {
            return Ok(Answer::refused(
                "a change of this machine waits there for approval: `swarm withdraw` it first".to_owned(),
            ));
        }
        Ok(Answer::Deeds(Box::new(DeedsView { performed, ..DeedsView::default() })))
    }

    /// Signs that the winners at these paths stand, against all versions that they exclude. Returns how many that decided.
    fn decide_for_winners(&mut self, paths: &[TreePath]) -> Result<u64, LibraryError> {
        let view =
            ViewSide::new(&self.overlay, (&self.arrivals, &self.digests), &self.signer, &mut self.book);
        view.decide_disputes(paths).map_err(LibraryError::Mounts)
    }

    /// Where a version of this node was given up and what others have stands on its disk, the dispute is over.
    pub(super) fn settle_disputes(&mut self) -> Result<u64, LibraryError> {
        let me = self.signer.key.public();
        let mut settled = Vec::new();
        for path in self.book.disputed(DISPUTES_AT_ONCE)? {
            let heads = self.book.heads(&path)?;
            let kind = |entry: Option<Entry>| entry.map(|entry| entry.kind);
            let here = kind(self.index.entry(Side::Local, &path)?);
            // Folders stand where others have something, whatever wins.
            let is_followed = here == kind(self.book.row(&path)?)
                && here == self.index.base(&path)?.map(|base| base.kind)
                && heads.is_given_up(&me, here.as_ref());
            if is_followed {
                settled.push(path);
            }
        }
        if settled.is_empty() {
            return Ok(0);
        }
        let view =
            ViewSide::new(&self.overlay, (&self.arrivals, &self.digests), &self.signer, &mut self.book);
        view.settle_disputes(&settled).map_err(LibraryError::Mounts)?;
        Ok(view.made())
    }
}

/// Where the versions of conflicts stand, and what waits with them.
fn places_of(conflicts: impl Iterator<Item = Conflict>) -> BTreeSet<TreePath> {
    let mut places = BTreeSet::new();
    for conflict in conflicts {
        let versions = [conflict.versions.local, conflict.versions.remote].into_iter().flatten();
        places.extend(versions.map(|version| version.path));
        places.extend(conflict.holds);
        places.insert(conflict.path);
    }
    places
}

/// Disputes that are looked at in one pass.
pub(super) const DISPUTES_AT_ONCE: usize = 1000;
