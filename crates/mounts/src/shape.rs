//! What the libpaths of all mounts make of the name space: which read-only mount owns a path, and which folders are there because a mount
//! is at or below them. Pure. Invariant: every folder above a libpath is in it, so that the tree is whole.

use std::collections::{BTreeMap, BTreeSet};

use swarm_sync::TreePath;

/// The places of all mounts.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// The read-only mount at each libpath, by its number.
    mounts: BTreeMap<TreePath, usize>,
    /// The one at the root of the library.
    at_root: Option<usize>,
    /// Libpaths, and the folders above them.
    folders: BTreeSet<TreePath>,
    /// Those at or above the libpath of the sync target: nothing hides them.
    fixed: BTreeSet<TreePath>,
}

impl Shape {
    /// `read_only` are the libpaths of the read-only mounts, by their numbers.
    pub(crate) fn new<'a>(
        read_only: impl Iterator<Item = Option<&'a TreePath>>,
        target: Option<&TreePath>,
    ) -> Self {
        let mut shape = Self::default();
        for (number, libpath) in read_only.enumerate() {
            match libpath {
                None => shape.at_root = Some(number),
                Some(libpath) => {
                    shape.folders.extend(at_and_above(libpath));
                    shape.mounts.insert(libpath.clone(), number);
                }
            }
        }
        if let Some(target) = target {
            shape.fixed.extend(at_and_above(target));
            shape.folders.extend(at_and_above(target));
        }
        shape
    }

    /// The read-only mount that owns a path: of those at or above it, the one with the longest libpath.
    pub(crate) fn owner(&self, path: &TreePath) -> Option<usize> {
        at_and_above(path).find_map(|at| self.mounts.get(&at)).copied().or(self.at_root)
    }

    /// Whether exactly this path is where another read-only mount than this one begins.
    pub(crate) fn is_of_other(&self, path: &TreePath, number: usize) -> bool {
        self.mounts.get(path).is_some_and(|owner| *owner != number)
    }

    /// Whether a folder is there because a mount is at or below it.
    pub(crate) fn is_folder(&self, path: &TreePath) -> bool {
        self.folders.contains(path)
    }

    /// Whether it leads to the sync target.
    pub(crate) fn is_fixed(&self, path: &TreePath) -> bool {
        self.fixed.contains(path)
    }

    /// The folders at `place` and below, in path order; all of them without a place.
    pub(crate) fn folders(&self, place: Option<&TreePath>) -> impl Iterator<Item = &TreePath> {
        self.folders.iter().filter(move |path| place.is_none_or(|place| path.is_at_or_below(place)))
    }

    /// The folders directly in another one.
    pub(crate) fn folders_in(&self, folder: &TreePath) -> impl Iterator<Item = &TreePath> {
        self.folders.iter().filter(move |path| path.parent().as_ref() == Some(folder))
    }
}

fn at_and_above(path: &TreePath) -> impl Iterator<Item = TreePath> {
    std::iter::once(path.clone()).chain(path.ancestors())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<Option<TreePath>> {
        text.split_whitespace().map(|text| TreePath::new(text.trim_start_matches('/')).ok()).collect()
    }

    fn check(mounts: &str, target: &str, path: &str, owner: Option<usize>, folders: &str) {
        let (mounts, target) = (paths(mounts), paths(target));
        let shape = Shape::new(mounts.iter().map(Option::as_ref), target.first().and_then(Option::as_ref));
        let path = TreePath::new(path).expect("a path");
        assert_eq!(shape.owner(&path), owner, "{path}");
        let shown: Vec<_> = shape.folders(None).map(TreePath::as_str).collect();
        assert_eq!(shown.join(" "), folders);
    }

    #[test]
    fn the_longest_libpath_owns_a_path() {
        check("/ /video /video/raw", "/", "video/raw/x", Some(2), "video video/raw");
        check("/ /video", "/", "video", Some(1), "video");
        check("/ /video", "/", "videos", Some(0), "video");
        check("/video", "/", "x", None, "video");
    }

    #[test]
    fn folders_above_a_libpath_are_there() {
        check("/a/b/c", "/x/y", "a", None, "a a/b a/b/c x x/y");
    }
}
