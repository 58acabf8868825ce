//! Whether folders of libraries and subscriptions stand apart. Invariant of what passes: a sync target shares no folder with
//! anything else, in either direction, and nothing shares the daemon's own folder with its passwords. Folders are compared
//! as they are written and as the disk resolves them (symbolic links, `..`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::error::{FileError, Place};
use crate::json::quoted;
use crate::key_path::KeyPath;
use crate::loaded::Loaded;
use crate::{FileName, Library, Subscription};

/// A path as it is written in a file, made absolute.
pub(crate) fn absolute(folder: &Path, dir: &str) -> Result<PathBuf, String> {
    if dir.is_empty() || dir.contains('\0') {
        return Err(format!("expected a folder, found {}", quoted(dir)));
    }
    if dir.starts_with("~/") || dir == "~" {
        return Err(format!("~ is not expanded in files: write the whole path instead of {}", quoted(dir)));
    }
    // Leaves out `.`, and keeps `..`: what that leads to depends on symbolic links.
    Ok(folder.join(dir).components().collect())
}

/// The first fault among the folders of these files. If two entries are no neighbours, it is told at the one of `blamed`, or at
/// the later one.
pub(crate) fn check(
    home: &Path,
    libraries: &Loaded<Vec<Library>>,
    subscriptions: &Loaded<Vec<Subscription>>,
    blamed: FileName,
) -> Result<(), FileError> {
    let mut claims = claims_of_libraries(libraries);
    claims.extend(claims_of_subscriptions(subscriptions));
    // Stable: within one file the order stays.
    claims.sort_by_key(|claim| claim.place.file == blamed);
    if let Some(claim) = claims.iter().find(|claim| claim.holds(home)) {
        let message = format!(
            "{} holds the daemon's own folder {}, where passwords are: choose another folder",
            claim.dir.to_string_lossy(),
            home.to_string_lossy()
        );
        return Err(claim.error(message));
    }
    check_apart(&claims)?;
    check_guids(libraries, subscriptions, blamed)
}

/// A folder that an entry of a file is about.
struct Claim {
    place: Place,
    /// As in `the sync target of library "Lib 1"`.
    what: String,
    is_sync: bool,
    dir: PathBuf,
    /// `dir` as it is written, and as the disk resolves it.
    forms: BTreeSet<PathBuf>,
}

impl Claim {
    fn new(place: Place, what: String, is_sync: bool, dir: &Path) -> Self {
        Self { place, what, is_sync, dir: dir.to_owned(), forms: forms(dir) }
    }

    fn holds(&self, home: &Path) -> bool {
        forms(home).iter().any(|home| self.forms.iter().any(|form| home.starts_with(form)))
    }

    fn error(&self, message: String) -> FileError {
        FileError { place: self.place.clone(), message }
    }

    /// That this one, which comes later, is no neighbour for `other`.
    fn clash(&self, other: &Self) -> FileError {
        let within = |inner: &Self, outer: &Self| {
            inner.forms.iter().any(|form| outer.forms.iter().any(|outer| form.starts_with(outer)))
        };
        let how = match (within(self, other), within(other, self)) {
            (true, true) => "is",
            (true, false) => "is inside",
            (false, _) => "holds",
        };
        let place = Place { key: String::new(), ..other.place.clone() };
        let (dir, other_dir) = (self.dir.to_string_lossy(), other.dir.to_string_lossy());
        let named = if dir == other_dir { String::new() } else { format!("{other_dir}, ") };
        self.error(format!("{dir} {how} {named}{} ({place}): expected a folder apart from it", other.what))
    }
}

fn claims_of_libraries(libraries: &Loaded<Vec<Library>>) -> Vec<Claim> {
    let mut claims = Vec::new();
    for library in &libraries.value {
        let at = KeyPath::default().key(&library.name).key("mounts");
        for (index, mount) in library.mounts.iter().enumerate() {
            let place = libraries.place(&at.index(index).key("dir"));
            let kind = if mount.is_sync { "the sync target" } else { "a mount" };
            let what = format!("{kind} of library {}", quoted(&library.name));
            claims.push(Claim::new(place, what, mount.is_sync, &mount.dir));
        }
    }
    claims
}

fn claims_of_subscriptions(subscriptions: &Loaded<Vec<Subscription>>) -> Vec<Claim> {
    let claim = |(index, entry): (usize, &Subscription)| {
        let place = subscriptions.place(&KeyPath::default().index(index).key("localSyncDir"));
        let what = format!("the folder of subscription {}", entry.guid);
        Claim::new(place, what, true, &entry.local_sync_dir)
    };
    subscriptions.value.iter().enumerate().map(claim).collect()
}

/// That no sync target is, holds or is inside another claim's folder.
fn check_apart(claims: &[Claim]) -> Result<(), FileError> {
    // Each folder with its claims: of each claim only the folders above it are looked up, so time is linear.
    let mut by_dir: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        claim.forms.iter().for_each(|form| by_dir.entry(form).or_default().push(index));
    }
    let mut first: Option<(usize, usize)> = None;
    for (index, claim) in claims.iter().enumerate() {
        let above = claim.forms.iter().flat_map(|form| form.ancestors());
        for other in above.filter_map(|dir| by_dir.get(dir)).flatten().copied() {
            if other != index && (claim.is_sync || claims[other].is_sync) {
                let pair = (index.max(other), index.min(other));
                first = Some(first.map_or(pair, |known| known.min(pair)));
            }
        }
    }
    first.map_or(Ok(()), |(later, earlier)| Err(claims[later].clash(&claims[earlier])))
}

/// That no library is subscribed to and kept under a name, too: it would have two sync targets.
fn check_guids(
    libraries: &Loaded<Vec<Library>>,
    subscriptions: &Loaded<Vec<Subscription>>,
    blamed: FileName,
) -> Result<(), FileError> {
    let names: BTreeMap<_, _> =
        libraries.value.iter().map(|library| (&library.guid, &library.name)).collect();
    for (index, entry) in subscriptions.value.iter().enumerate() {
        let Some(name) = names.get(&entry.guid) else { continue };
        let kept = libraries.place(&KeyPath::default().key(name).key("guid"));
        let subscribed = subscriptions.place(&KeyPath::default().index(index).key("guid"));
        let (place, other) =
            if blamed == FileName::Libraries { (kept, subscribed) } else { (subscribed, kept) };
        let message = format!(
            "library {} ({}) is kept here and subscribed to, too ({}): expected one of the two",
            entry.guid,
            quoted(name),
            Place { key: String::new(), ..other }
        );
        return Err(FileError { place, message });
    }
    Ok(())
}

/// A folder as it is written, and as the disk resolves it.
fn forms(dir: &Path) -> BTreeSet<PathBuf> {
    BTreeSet::from([joined(PathBuf::new(), dir), resolved(dir)])
}

/// With symbolic links followed in as much of it as exists.
fn resolved(dir: &Path) -> PathBuf {
    for existing in dir.ancestors() {
        if let (Ok(real), Ok(rest)) = (existing.canonicalize(), dir.strip_prefix(existing)) {
            return joined(real, rest);
        }
    }
    joined(PathBuf::new(), dir)
}

/// A path behind another, where `..` takes the last name away.
fn joined(mut to: PathBuf, path: &Path) -> PathBuf {
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(to.pop()),
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => to.push(component),
        }
    }
    to
}
