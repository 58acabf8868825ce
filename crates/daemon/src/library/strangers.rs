//! What authors did that do not count here: the view takes nothing of it, and that is told. So it is where a file waits for a version that such
//! an author replaced: the others may have the newer one alone.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::NodeId;
use swarm_library::Commit;
use swarm_sync::{ContentHash, TreePath};

use super::error::LibraryError;
use super::session::Session;

/// What is known of strangers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strangers {
    /// Those that signed commits, and how many: the first ones by id.
    pub(crate) commits: BTreeMap<NodeId, u64>,
    /// Files that wait for bytes, and who replaced them since; some, if there are many.
    pub(crate) replaced: BTreeMap<TreePath, NodeId>,
    /// What waited when that was found out.
    waiting: Vec<ContentHash>,
}

impl Session {
    /// Looks what strangers did, where that may be something else than was known.
    pub(super) fn look_at_strangers(
        &self,
        authors: &BTreeSet<NodeId>,
        known: &Strangers,
    ) -> Result<Strangers, LibraryError> {
        if self.settings.is_mirror {
            return Ok(Strangers::default());
        }
        let carried = self.book.carried()?.into_iter().filter(|(author, _)| !authors.contains(author));
        let commits: BTreeMap<NodeId, u64> = carried.take(STRANGERS_MAX).collect();
        let waiting =
            if commits.is_empty() { Vec::new() } else { self.book.parked_contents(None, WAITING_MAX)? };
        if (&commits, &waiting) == (&known.commits, &known.waiting) {
            return Ok(known.clone());
        }
        let replaced = self.replaced_by(commits.keys(), &waiting)?;
        Ok(Strangers { commits, replaced, waiting })
    }

    /// Which of the files that wait these authors replaced: their versions include those that are waited for.
    fn replaced_by<'a>(
        &self,
        strangers: impl Iterator<Item = &'a NodeId>,
        waiting: &[ContentHash],
    ) -> Result<BTreeMap<TreePath, NodeId>, LibraryError> {
        let mut paths = BTreeSet::new();
        for hash in waiting {
            paths.extend(self.book.parked_at(hash, PATHS_AT_MAX)?);
        }
        let (mut replaced, mut looked_at) = (BTreeMap::new(), 0);
        for author in strangers {
            for seq in self.book.carried_of(author)?.into_iter().rev() {
                looked_at += 1;
                if paths.is_empty() || looked_at > COMMITS_MAX {
                    return Ok(replaced);
                }
                let Some(bytes) = self.book.commit(author, seq)? else { continue };
                for record in self.records_of(&Commit::decode(bytes)?).unwrap_or_default() {
                    if !paths.contains(&record.path) {
                        continue;
                    }
                    let heads = self.book.heads(&record.path)?;
                    if heads.winner().is_some_and(|winner| record.vector.includes(&winner.vector)) {
                        paths.remove(&record.path);
                        replaced.insert(record.path, *author);
                    }
                }
            }
        }
        Ok(replaced)
    }
}

/// Strangers that are told of.
const STRANGERS_MAX: usize = 64;
/// Contents that wait and are looked at.
const WAITING_MAX: usize = 100;
/// Paths with one content.
const PATHS_AT_MAX: usize = 10;
/// Commits that are searched for what waits.
const COMMITS_MAX: usize = 256;
