//! Takes over what a trusted origin lists: compares the list with the library, and puts what is new or changed into the sync target, from where it
//! goes on as a change of this node. Invariant: a file is put whole, and only with the hash that is listed; what stands in its place is replaced
//! only if it is what the library had when it was compared. Deletions are not carried over. Blocking.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use swarm_core::base::NodeId;
use swarm_files::{NewFile, PutError, Replaces, free_len};
use swarm_mounts::MountKind;
use swarm_origins::{ListedFile, Modified};
use swarm_sync::{ContentHash, RunId, Timestamp, TreePath};
use tokio::runtime::Handle;

use super::Followed;
use super::deciding::{Decision, Digests, Here, decide};
use super::listed::Listed;
use super::shared::{OriginFault, OriginShare, Shared};
use super::taken::TakenBook;
use super::whole::{Whole, WholeError};
use crate::clock;
use crate::library::{EntryView, Input as LibraryInput, LibraryFiles, ReadError, ignore_rules};
use crate::limits::ORIGIN_TAKES_AT_ONCE;

/// What comparing came to.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) share: OriginShare,
    /// What is to be taken over.
    pub(super) takes: Vec<Take>,
    /// What is wrong, by path.
    pub(super) faults: BTreeMap<String, OriginFault>,
    /// There is more than can be taken at once.
    pub(super) has_more: bool,
}

/// A file that is to be taken over.
pub(super) struct Take {
    path: TreePath,
    file: ListedFile,
    replaces: Replaces,
}

/// Compares a list with a library.
pub(super) struct Comparing<'a> {
    pub(super) shared: &'a Shared,
    pub(super) followed: &'a Followed,
    pub(super) listed: &'a Listed,
    pub(super) me: NodeId,
    /// Whether files are taken over; otherwise it is only told how much the origin has.
    pub(super) may_take: bool,
}

impl Comparing<'_> {
    /// # Errors
    /// If the memory of the library cannot be read.
    pub(super) fn run(&self) -> Result<Compared, ReadError> {
        let Followed { handle, settings } = self.followed;
        let files = LibraryFiles::new(settings, handle);
        let view = view_of(&files)?;
        let mut compared = Compared { share: self.share(&view), ..Compared::default() };
        if self.may_take {
            self.compare(&files, &view, &mut compared);
        }
        Ok(compared)
    }

    fn share(&self, view: &BTreeMap<String, EntryView>) -> OriginShare {
        let mut share = OriginShare { is_complete: true, ..OriginShare::default() };
        for entry in view.values().filter(|entry| entry.kind == "file") {
            let digests = digests_of(entry);
            let hash = ContentHash(digests.blake3.unwrap_or_default());
            let is_listed =
                entry.len == 0 || self.listed.find(&hash, digests.sha256.as_ref(), Some(entry.len)).is_some();
            share.len += entry.len;
            share.listed_len += if is_listed { entry.len } else { 0 };
            share.is_complete &= is_listed;
        }
        share
    }

    fn compare(&self, files: &LibraryFiles, view: &BTreeMap<String, EntryView>, compared: &mut Compared) {
        // Patterns that are none stop the library, and say so there.
        let Ok(rules) = ignore_rules(&self.followed.settings) else { return };
        let mut taken = self.book();
        let mut is_news = false;
        for file in &self.listed.files {
            let Some(path) = path_of(file) else {
                compared.fault(&file.path, "not-synced", "no path of a library: it is left out");
                continue;
            };
            if rules.is_ignored(&path, false)
                || files.place_for(&path).is_err()
                || self.shared.is_refused(file)
            {
                continue;
            }
            let listed = Digests { blake3: file.blake3, sha256: file.sha256 };
            if listed == Digests::default() {
                compared.fault(&file.path, "not-synced", "the origin lists no hash of it: it is left out");
                continue;
            }
            let entry = view.get(path.as_str());
            let here = entry.map_or(Here::Nothing, |entry| self.here(entry));
            match decide(&listed, &here, taken.get(path.as_str())) {
                Decision::Same => {
                    let digests = entry.map(digests_of).unwrap_or_default();
                    is_news |= taken.put(path.as_str(), &digests);
                }
                Decision::Take { replaces } if compared.takes.len() < ORIGIN_TAKES_AT_ONCE => {
                    let run = RunId::at_ms(clock::now_ms());
                    let replaces = replaces.map_or(Replaces::Nothing, |hash| Replaces::File(hash, run));
                    compared.takes.push(Take { path, file: file.clone(), replaces });
                }
                Decision::Take { .. } => compared.has_more = true,
                Decision::Leave => {}
                Decision::Conflict => compared.conflict(&file.path, self.shared),
            }
        }
        if is_news && let Err(error) = taken.save() {
            tracing::warn!(%error, "cannot remember what was taken over from an origin");
        }
    }

    fn here(&self, entry: &EntryView) -> Here {
        if entry.kind != "file" {
            return Here::Other;
        }
        Here::File { digests: digests_of(entry), is_own: entry.author == self.me.to_string() }
    }

    fn book(&self) -> TakenBook {
        book_of(self.shared, self.followed)
    }
}

impl Compared {
    fn fault(&mut self, path: &str, issue: &'static str, detail: &str) {
        self.faults.insert(path.to_owned(), OriginFault { issue, detail: detail.to_owned() });
    }

    fn conflict(&mut self, path: &str, shared: &Shared) {
        let detail = format!(
            "it was changed here and at {}: the version here stays; take it away here to get the other one, or put it there",
            shared.settings.url
        );
        self.fault(path, "conflict", &detail);
    }
}

/// What taking over came to.
#[derive(Default)]
pub(super) struct Outcome {
    /// Files changed at the origin meanwhile: its list is to be read again soon.
    pub(super) is_soon: bool,
    /// The origin does not answer, or refuses this node.
    pub(super) trouble: Option<swarm_origins::OriginError>,
}

/// Takes files over, one after the other.
pub(super) fn take_all(
    shared: &Shared,
    library: swarm_library::LibraryKey,
    followed: &Followed,
    takes: Vec<Take>,
    runtime: &Handle,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut taken = book_of(shared, followed);
    for take in takes {
        if followed.handle.stop.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        match take.put(shared, followed, runtime) {
            Ok(digests) => {
                // Before the library sees it: a change that comes after is one of this node's people.
                taken.put(take.path.as_str(), &digests);
                if let Err(error) = taken.save() {
                    tracing::warn!(%error, "cannot remember what was taken over from an origin");
                }
                let _ = followed.handle.inputs.blocking_send(LibraryInput::Look(Some(vec![take.path])));
            }
            Err(TakeError::Whole(WholeError::Wrong(_))) => {
                shared.note_wrong(library, &take.file);
                // It may have changed while it came: then the origin lists another one by now.
                outcome.is_soon = true;
            }
            Err(TakeError::Whole(WholeError::Origin(error))) if is_of_file(&error) => outcome.is_soon = true,
            Err(TakeError::Whole(WholeError::Origin(error))) => {
                outcome.trouble = Some(error);
                break;
            }
            Err(TakeError::Whole(WholeError::Over)) => break,
            Err(TakeError::Whole(WholeError::Store(error))) => take.refuse(shared, library, &error),
            Err(TakeError::Put(error)) => take.refuse(shared, library, &error),
            Err(TakeError::Read(error)) => take.refuse(shared, library, &error),
        }
    }
    outcome
}

/// Whether an error says something of one file alone.
fn is_of_file(error: &swarm_origins::OriginError) -> bool {
    use swarm_origins::OriginError;
    matches!(
        error,
        OriginError::Changed | OriginError::Missing(_) | OriginError::Odd(_) | OriginError::NoRange
    )
}

#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error(transparent)]
    Whole(#[from] WholeError),
    #[error(transparent)]
    Put(#[from] PutError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Take {
    fn put(&self, shared: &Shared, followed: &Followed, runtime: &Handle) -> Result<Digests, TakeError> {
        let Followed { handle, settings } = followed;
        let files = LibraryFiles::new(settings, handle);
        let (target, relative) = files.place_for(&self.path)?;
        self.check_room(&target, followed)?;
        let name = ContentHash::of(format!("{} {}", shared.settings.url, self.path).as_bytes()).to_string();
        let mut new = NewFile::begin(&target, &name).map_err(PutError::Store)?;
        let whole = Whole { shared, guid: settings.guid.as_str(), file: &self.file, runtime };
        let found = whole.fetch(&mut |bytes| new.write(bytes))?;
        if let Some(modified_ns) = modified_ns(&self.file) {
            new.set_modified(modified_ns).map_err(PutError::Store)?;
        }
        new.put(&relative, self.replaces)?;
        Ok(Digests { blake3: Some(found.blake3), sha256: Some(found.sha256) })
    }

    fn check_room(&self, target: &Path, followed: &Followed) -> Result<(), TakeError> {
        let is_target = |mount: &&swarm_mounts::MountSpec| mount.kind == MountKind::SyncTarget;
        let min_free = followed.settings.mounts.iter().find(is_target).map_or(0, |mount| mount.min_free);
        let needed = self.file.length.saturating_add(min_free);
        if free_len(target).is_none_or(|free| free >= needed) {
            return Ok(());
        }
        let source = rustix::io::Errno::NOSPC.into();
        Err(PutError::Store(swarm_files::StoreError::Disk { path: target.to_owned(), op: "write", source })
            .into())
    }

    fn refuse(&self, shared: &Shared, library: swarm_library::LibraryKey, error: &dyn std::error::Error) {
        let detail = format!("it cannot be taken over from {}: {error}", shared.settings.url);
        shared.fault(library, &self.file.path, OriginFault { issue: "refused", detail });
    }
}

fn book_of(shared: &Shared, followed: &Followed) -> TakenBook {
    let folder = followed.handle.index_path.parent().map(PathBuf::from).unwrap_or_default();
    TakenBook::open(&folder, &shared.settings.url)
}

/// All entries of the view, by path.
fn view_of(files: &LibraryFiles) -> Result<BTreeMap<String, EntryView>, ReadError> {
    let (mut view, mut start) = (BTreeMap::new(), None);
    loop {
        let page = files.all(start.as_ref(), PAGE_LEN)?;
        view.extend(page.entries.into_iter().map(|entry| (entry.path.clone(), entry)));
        start = page.next;
        if start.is_none() {
            return Ok(view);
        }
    }
}

fn digests_of(entry: &EntryView) -> Digests {
    let digest = |hex: &String| ContentHash::from_hex(hex).map(|hash| hash.0);
    Digests { blake3: entry.blake3.as_ref().and_then(digest), sha256: entry.sha256.as_ref().and_then(digest) }
}

fn path_of(file: &ListedFile) -> Option<TreePath> {
    TreePath::new(file.path.trim_start_matches('/')).ok()
}

/// Nanoseconds since 1970; nothing for a time that is none.
fn modified_ns(file: &ListedFile) -> Option<i64> {
    match file.mtime.as_ref()? {
        Modified::Text(text) => text.parse::<Timestamp>().ok().map(|time| time.0),
        Modified::Seconds(seconds) => {
            let nanos = seconds * 1e9;
            (nanos.abs() < 9e18).then_some(nanos as i64)
        }
    }
}

/// Entries of one look at the index.
const PAGE_LEN: usize = 4096;
