//! Kept versions and runs whose time is over. Invariant: a version is removed only after its library's rules of retention let it go. Absent here:
//! which ones those are (`swarm-sync`).

use swarm_files::KeptVersion;
use swarm_sync::{Kept, KeptId, expired};

use super::Session;
use crate::clock;
use crate::library::error::LibraryError;

impl Session {
    /// Removes kept versions whose time is over, and forgets runs that nobody undoes any more.
    pub(crate) fn prune(&mut self) -> Result<(), LibraryError> {
        let versions = self.overlay.kept(None).map_err(LibraryError::Mounts)?;
        let as_kept = |version: &KeptVersion| Kept {
            path: version.id.path.clone(),
            at_ns: i64::try_from(version.id.run.ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000),
            len: version.len(),
        };
        let kept: Vec<Kept> = versions.iter().map(as_kept).collect();
        let now_ns = i64::try_from(clock::now_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let gone = expired(&kept, now_ns, &self.settings.retention).into_iter();
        let gone: Vec<KeptId> =
            gone.filter_map(|at| versions.get(at).map(|version| version.id.clone())).collect();
        self.overlay.remove_kept(&gone).map_err(LibraryError::Mounts)?;
        self.index.prune_runs(RUNS_KEPT)?;
        Ok(())
    }
}

/// Runs that are remembered with their deeds.
const RUNS_KEPT: u32 = 1000;
