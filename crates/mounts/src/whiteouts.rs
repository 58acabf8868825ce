//! Whiteouts: paths at which, and below which, no read-only mount shows anything. They say nothing of the sync target: a folder that
//! is made again at such a path shows what is put into it, and nothing of what was there before. So a whiteout stays for as long as a
//! read-only mount has something to hide.
//!
//! A whiteout whose bytes were copied to the sync target waits until the copies are durable: a power cut must not take both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use swarm_sync::{Entry, ReplicaError, TreePath};

/// The whiteouts of a library, by paths in the library. Whoever implements it stores them: what was inserted is durable when the call
/// returns.
pub trait Whiteouts: Send + Sync {
    /// Whether there is one at exactly this path.
    fn contains(&self, path: &TreePath) -> bool;

    /// Adds them, all or none.
    fn insert(&self, paths: &[TreePath]) -> Result<(), ReplicaError>;

    /// Removes them. One that is not there is no error.
    fn remove(&self, paths: &[TreePath]) -> Result<(), ReplicaError>;

    /// Those at `place` and below, or all, in path order.
    fn within(&self, place: Option<&TreePath>) -> Result<Vec<TreePath>, ReplicaError>;

    /// Remembers what a read-only mount has where something hides or shadows it, in place of what was remembered.
    fn remember(&self, hidden: &[(TreePath, Entry)]) -> Result<(), ReplicaError>;

    /// Forgets what read-only mounts had at these paths.
    fn forget(&self, paths: &[TreePath]) -> Result<(), ReplicaError>;

    /// What is remembered at `place` and below, or everywhere, in path order.
    fn hidden(&self, place: Option<&TreePath>) -> Result<Vec<(TreePath, Entry)>, ReplicaError>;

    /// Whether anything is remembered at exactly this path.
    fn is_remembered(&self, path: &TreePath) -> Result<bool, ReplicaError>;
}

/// Whiteouts in memory, for tests: gone when they are dropped.
#[derive(Debug, Default)]
pub struct MemoryWhiteouts(RwLock<BTreeSet<TreePath>>, RwLock<BTreeMap<TreePath, Entry>>);

impl Whiteouts for MemoryWhiteouts {
    fn contains(&self, path: &TreePath) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    fn insert(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(paths.iter().cloned());
        Ok(())
    }

    fn remove(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|path| !paths.contains(path));
        Ok(())
    }

    fn within(&self, place: Option<&TreePath>) -> Result<Vec<TreePath>, ReplicaError> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(all.iter().filter(|path| place.is_none_or(|place| path.is_at_or_below(place))).cloned().collect())
    }

    fn remember(&self, hidden: &[(TreePath, Entry)]) -> Result<(), ReplicaError> {
        self.1.write().unwrap_or_else(PoisonError::into_inner).extend(hidden.iter().cloned());
        Ok(())
    }

    fn forget(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        let mut hidden = self.1.write().unwrap_or_else(PoisonError::into_inner);
        paths.iter().for_each(|path| drop(hidden.remove(path)));
        Ok(())
    }

    fn hidden(&self, place: Option<&TreePath>) -> Result<Vec<(TreePath, Entry)>, ReplicaError> {
        let hidden = self.1.read().unwrap_or_else(PoisonError::into_inner);
        let is_in = |path: &TreePath| place.is_none_or(|place| path.is_at_or_below(place));
        let in_place = hidden.iter().filter(|(path, _)| is_in(path));
        Ok(in_place.map(|(path, entry)| (path.clone(), entry.clone())).collect())
    }

    fn is_remembered(&self, path: &TreePath) -> Result<bool, ReplicaError> {
        Ok(self.1.read().unwrap_or_else(PoisonError::into_inner).contains_key(path))
    }
}

/// The whiteouts of an overlay: those that are stored, and those that wait.
pub(crate) struct Veil {
    stored: Arc<dyn Whiteouts>,
    /// They hide already, and are stored when what they hide is durable elsewhere.
    waiting: RwLock<BTreeSet<TreePath>>,
}

impl Veil {
    pub(crate) fn new(stored: Arc<dyn Whiteouts>) -> Self {
        Self { stored, waiting: RwLock::default() }
    }

    /// Whether there is a whiteout at exactly this path.
    pub(crate) fn is_at(&self, path: &TreePath) -> bool {
        self.stored.contains(path)
            || self.waiting.read().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    /// Whether a whiteout at this path, or above it, hides it.
    pub(crate) fn covers(&self, path: &TreePath) -> bool {
        self.is_at(path) || path.ancestors().any(|above| self.is_at(&above))
    }

    /// Adds whiteouts at once, before what they hide is uncovered.
    pub(crate) fn store(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        if paths.is_empty() { Ok(()) } else { self.stored.insert(paths) }
    }

    /// Takes whiteouts back: what they were for did not happen.
    pub(crate) fn take_back(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        if paths.is_empty() { Ok(()) } else { self.stored.remove(paths) }
    }

    /// Adds a whiteout for what was copied elsewhere.
    pub(crate) fn add_waiting(&self, path: TreePath) {
        self.waiting.write().unwrap_or_else(PoisonError::into_inner).insert(path);
    }

    /// Those that wait now. The caller makes durable what they were copied to, and then lets them be stored.
    pub(crate) fn waiting(&self) -> BTreeSet<TreePath> {
        self.waiting.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stores those that waited.
    pub(crate) fn store_waiting(&self, paths: &BTreeSet<TreePath>) -> Result<(), ReplicaError> {
        self.store(&paths.iter().cloned().collect::<Vec<_>>())?;
        let mut waiting = self.waiting.write().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|path| !paths.contains(path));
        Ok(())
    }

    /// Remembers what read-only mounts have where they are hidden.
    pub(crate) fn remember(&self, hidden: &[(TreePath, Entry)]) -> Result<(), ReplicaError> {
        if hidden.is_empty() { Ok(()) } else { self.stored.remember(hidden) }
    }

    /// Forgets it.
    pub(crate) fn forget(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        self.stored.forget(paths)
    }

    /// What is remembered at a place and below.
    pub(crate) fn hidden(&self, place: Option<&TreePath>) -> Result<Vec<(TreePath, Entry)>, ReplicaError> {
        self.stored.hidden(place)
    }

    /// Whether anything is remembered at a path.
    pub(crate) fn is_remembered(&self, path: &TreePath) -> Result<bool, ReplicaError> {
        self.stored.is_remembered(path)
    }

    /// Those that are stored at a place and below, or all.
    pub(crate) fn within(&self, place: Option<&TreePath>) -> Result<Vec<TreePath>, ReplicaError> {
        self.stored.within(place)
    }
}
