//! What is left out of sync, shared by the walks, watchers and plans of a session. A session that watches takes a changed file of rules over.

use std::sync::{PoisonError, RwLock};

use swarm_sync::{IgnoreRules, TreePath};

/// Rules that may be replaced while they are used.
#[derive(Debug)]
pub(crate) struct SharedRules(RwLock<IgnoreRules>);

impl SharedRules {
    pub(crate) fn new(rules: IgnoreRules) -> Self {
        Self(RwLock::new(rules))
    }

    pub(crate) fn replace(&self, rules: IgnoreRules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// Whether a path is left out, by itself or with a folder above it.
    pub(crate) fn is_ignored(&self, path: &TreePath, is_folder: bool) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_ignored(path, is_folder)
    }

    /// The same for a path in a folder that is not left out.
    pub(crate) fn is_ignored_in_folder(&self, path: &TreePath, is_folder: bool) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_ignored_in_folder(path, is_folder)
    }
}
