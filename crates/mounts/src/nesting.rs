//! Whether the mounts of all libraries can be used beside one another: a sync target shares no files with any other mount. What is written
//! to it would appear in the other one too, and read-only mounts are never written.
//!
//! Folders are compared by their real paths, and by device and inode of the folders above them: that finds links, and bind mounts of a
//! folder at or above the other one. A folder that is missing is compared by its path.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::{MountKind, MountSpec, OverlayError};

/// A library and its mounts.
#[derive(Clone, Copy, Debug)]
pub struct LibraryMounts<'a> {
    /// As it is shown to the user.
    pub name: &'a str,
    /// Its mounts.
    pub mounts: &'a [MountSpec],
}

/// Checks the mounts of all libraries against each other.
///
/// # Errors
/// [`OverlayError::Nested`] for the first sync target that contains another mount, is in one, or is one.
pub fn nesting(libraries: &[LibraryMounts<'_>]) -> Result<(), OverlayError> {
    let mounts = libraries.iter().flat_map(|library| library.mounts.iter().map(|spec| (library.name, spec)));
    let mounts: Vec<(&str, &MountSpec, Place)> =
        mounts.map(|(name, spec)| (name, spec, Place::of(&spec.dir))).collect();
    for (at, (library, target, place)) in mounts.iter().enumerate() {
        if target.kind != MountKind::SyncTarget {
            continue;
        }
        let others = mounts.iter().enumerate().filter(|(other, _)| *other != at);
        let mut nested = others.filter(|(_, (_, _, other))| place.is_in(other) || other.is_in(place));
        if let Some((_, (other_library, other, _))) = nested.next() {
            return Err(OverlayError::Nested {
                target: target.dir.clone(),
                library: (*library).to_owned(),
                other: other.dir.clone(),
                other_library: (*other_library).to_owned(),
            });
        }
    }
    Ok(())
}

/// Where a folder is.
struct Place {
    /// Without links, as far as it exists.
    path: PathBuf,
    /// Device and inode of the folder, if it exists.
    id: Option<(u64, u64)>,
    /// The same of the folder and all above it that exist.
    ids: Vec<(u64, u64)>,
}

impl Place {
    fn of(dir: &Path) -> Self {
        let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let path = real(&absolute);
        let id_of = |at: &Path| std::fs::metadata(at).ok().map(|told| (told.dev(), told.ino()));
        let ids = path.ancestors().filter_map(id_of).collect();
        Self { id: id_of(&path), ids, path }
    }

    /// Whether it is the other folder, or below it.
    fn is_in(&self, other: &Self) -> bool {
        self.path.starts_with(&other.path) || other.id.is_some_and(|id| self.ids.contains(&id))
    }
}

/// The path without links. What does not exist is kept as it is.
fn real(path: &Path) -> PathBuf {
    let mut missing: Vec<OsString> = Vec::new();
    let mut at = path;
    loop {
        if let Ok(real) = at.canonicalize() {
            return missing.iter().rev().fold(real, |path, name| path.join(name));
        }
        match (at.parent(), at.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                at = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `A target: a/b`, `B ro: c`; below one folder, in which `made` and the links of `links` (`x->y`) are made before.
    fn check(made: &str, links: &str, mounts: &[&str], expected: Option<&str>) {
        let root = tempfile::tempdir().unwrap();
        for dir in made.split_whitespace() {
            std::fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        for link in links.split_whitespace() {
            let (link, to) = link.split_once("->").unwrap();
            std::os::unix::fs::symlink(root.path().join(to), root.path().join(link)).unwrap();
        }
        let parsed: Vec<(&str, MountSpec)> = mounts
            .iter()
            .map(|text| {
                let (library, rest) = text.split_once(' ').unwrap();
                let (kind, dir) = rest.split_once(": ").unwrap();
                let kind = if kind == "ro" { MountKind::ReadOnly } else { MountKind::SyncTarget };
                (library, MountSpec { dir: root.path().join(dir), libpath: None, kind, min_free: 0 })
            })
            .collect();
        let libraries: Vec<_> = parsed
            .iter()
            .map(|(name, spec)| LibraryMounts { name, mounts: std::slice::from_ref(spec) })
            .collect();
        let shown = nesting(&libraries)
            .err()
            .map(|error| error.to_string().replace(&format!("{}/", root.path().to_str().unwrap()), ""));
        let expected = expected.map(|pair| {
            let (one, other) = pair.split_once(" | ").unwrap();
            let dir = |text: &str| text.split_once(' ').map(|(library, dir)| (library.to_owned(), dir.to_owned())).unwrap();
            let ((library, target), (other_library, other)) = (dir(one), dir(other));
            format!(
                "the sync target `{target}` of {library} and the mount `{other}` of {other_library} are in one another: choose folders apart"
            )
        });
        assert_eq!(shown, expected, "{mounts:?}");
    }

    #[test]
    fn a_sync_target_shares_no_files_with_another_mount() {
        check("a b c", "", &["A target: a", "B target: b", "C ro: c", "A ro: c"], None);
        check("a/b", "", &["A target: a", "B target: a/b"], Some("A a | B a/b"));
        check("a", "", &["A target: a", "B target: a"], Some("A a | B a"));
        check("a/b", "", &["A target: a", "B ro: a/b"], Some("A a | B a/b"));
        check("a/b", "", &["A ro: a", "A target: a/b"], Some("A a/b | A a"));
        check("a/b", "", &["A ro: a", "B ro: a/b"], None);
        check("a ab", "", &["A target: a", "B target: ab"], None);
    }

    #[test]
    fn links_and_missing_folders_are_seen_through() {
        check("a/b", "l->a", &["A target: a", "B ro: l/b"], Some("A a | B l/b"));
        check("a/b", "l->a/b", &["A target: a", "B target: l"], Some("A a | B l"));
        check("a", "l->a", &["A target: a", "B target: l/new/deep"], Some("A a | B l/new/deep"));
        check("a", "", &["A target: new", "B target: new/x"], Some("A new | B new/x"));
    }
}
