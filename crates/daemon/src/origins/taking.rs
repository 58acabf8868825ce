//! Compares what a trusted origin lists with the library: what is new or changed there is taken over (`putting`). Invariant: what somebody deleted
//! or changed here stays so; deletions of the origin are not carried over. Blocking.

use std::collections::BTreeMap;
use std::path::PathBuf;

use swarm_core::base::NodeId;
use swarm_index::{IndexError, LibraryBook};
use swarm_library::{LibraryKey, State};
use swarm_origins::ListedFile;
use swarm_sync::{ContentHash, TreePath};

use super::Followed;
use super::deciding::{Decision, Digests, Here, decide};
use super::listed::Listed;
use super::shared::{OriginFault, OriginShare, Shared};
use super::taken::{TakenBook, TakenError};
use crate::library::{EntryView, LibraryFiles, ReadError, ignore_rules};
use crate::limits::{ORIGIN_FAULTS_MAX, ORIGIN_TAKES_AT_ONCE};
use crate::sentence::Sentence;

/// What comparing came to.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) share: OriginShare,
    /// What is to be taken over.
    pub(super) takes: Vec<Take>,
    /// What is wrong, by path.
    pub(super) faults: BTreeMap<String, OriginFault>,
    /// Files with which something is wrong that are not among these.
    pub(super) unnamed: usize,
    /// There is more than can be taken at once.
    pub(super) has_more: bool,
}

/// A file that is to be taken over.
pub(super) struct Take {
    pub(super) path: TreePath,
    pub(super) file: ListedFile,
    /// The BLAKE3 of what it replaces; `None` if nothing stands there.
    pub(super) replaces: Option<[u8; 32]>,
}

/// Why a library cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComparingError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Taken(#[from] TakenError),
}

/// Compares a list with a library.
pub(super) struct Comparing<'a> {
    pub(super) shared: &'a Shared,
    pub(super) library: LibraryKey,
    pub(super) followed: &'a Followed,
    pub(super) listed: &'a Listed,
    pub(super) me: NodeId,
    /// Whether files are taken over; otherwise it is only told how much the origin has.
    pub(super) may_take: bool,
}

impl Comparing<'_> {
    /// # Errors
    /// If the memory of the library, or what was taken over, cannot be read.
    pub(super) fn run(&self) -> Result<Compared, ComparingError> {
        let Followed { handle, settings, .. } = self.followed;
        let files = LibraryFiles::new(settings, handle);
        let view = view_of(&files)?;
        let mut compared = Compared { share: self.share(&view), ..Compared::default() };
        if self.may_take {
            self.compare(&files, &view, &mut compared)?;
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

    fn compare(
        &self,
        files: &LibraryFiles,
        view: &BTreeMap<String, EntryView>,
        compared: &mut Compared,
    ) -> Result<(), ComparingError> {
        // Patterns that are none stop the library, and say so there.
        let Ok(rules) = ignore_rules(&self.followed.settings) else { return Ok(()) };
        let (mut taken, library) = (self.book()?, LibraryBook::open(files.index())?);
        let mut is_news = false;
        for file in &self.listed.files {
            let Some(path) = path_of(file) else {
                compared.fault(
                    &file.path,
                    "not-synced",
                    Sentence::new("origin-no-path", [], "no path of a library: it is left out"),
                );
                continue;
            };
            if rules.is_ignored(&path, false)
                || files.place_for(&path).is_err()
                || self.shared.is_refused(self.library, file)
            {
                continue;
            }
            let listed = Digests { blake3: file.blake3, sha256: file.sha256 };
            if listed == Digests::default() {
                compared.fault(
                    &file.path,
                    "not-synced",
                    Sentence::new("origin-no-hash", [], "the origin lists no hash of it: it is left out"),
                );
                continue;
            }
            let entry = view.get(path.as_str());
            let here = match entry {
                Some(entry) => self.here(entry),
                None => deleted(&library, &path)?.map_or(Here::Nothing, Here::Deleted),
            };
            match decide(&listed, &here, taken.get(path.as_str())) {
                Decision::Same => {
                    let digests = entry.map(digests_of).unwrap_or_default();
                    is_news |= taken.put(path.as_str(), &digests);
                }
                Decision::Take { replaces } if self.shared.rests(self.library, file, replaces) => {}
                Decision::Take { replaces } if compared.takes.len() < ORIGIN_TAKES_AT_ONCE => {
                    compared.takes.push(Take { path, file: file.clone(), replaces });
                }
                Decision::Take { .. } => compared.has_more = true,
                Decision::Leave => {}
                Decision::Conflict => compared.conflict(&file.path, entry.is_some(), self.shared),
            }
        }
        if is_news && let Err(error) = taken.save() {
            tracing::warn!(%error, "cannot remember what was taken over from an origin");
        }
        Ok(())
    }

    fn here(&self, entry: &EntryView) -> Here {
        if entry.kind != "file" {
            return Here::Other;
        }
        Here::File { digests: digests_of(entry), is_own: entry.author == self.me.to_string() }
    }

    fn book(&self) -> Result<TakenBook, TakenError> {
        book_of(self.shared, self.followed)
    }
}

impl Compared {
    fn fault(&mut self, path: &str, issue: &'static str, detail: Sentence) {
        if self.faults.len() < ORIGIN_FAULTS_MAX {
            self.faults.insert(path.to_owned(), OriginFault { issue, detail });
        } else {
            self.unnamed += 1;
        }
    }

    fn conflict(&mut self, path: &str, is_here: bool, shared: &Shared) {
        let url = &shared.settings.url;
        let text = if is_here {
            format!(
                "it was changed here and at {url}: the version here stays; take it away here to get the other one, or put it there"
            )
        } else {
            format!(
                "it was deleted here, and {url} lists another version, or one that cannot be compared: it stays deleted; put that version here if you want it"
            )
        };
        let code = if is_here { "origin-both-changed" } else { "origin-deleted-here" };
        self.fault(path, "conflict", Sentence::new(code, [("url", url)], text));
    }
}

/// The file that was deleted at a path, as far as it is known; nothing if none was.
fn deleted(library: &LibraryBook, path: &TreePath) -> Result<Option<Digests>, IndexError> {
    let heads = library.heads(path)?;
    let tombstone = heads.winner().filter(|head| matches!(head.state, State::Deleted));
    let Some(hash) = tombstone.and_then(|head| head.parent) else { return Ok(None) };
    Ok(Some(Digests { blake3: Some(hash.0), sha256: library.sha256_of(&hash)? }))
}

/// What was taken over from an origin.
///
/// # Errors
/// If that cannot be read.
pub(super) fn book_of(shared: &Shared, followed: &Followed) -> Result<TakenBook, TakenError> {
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

/// Entries of one look at the index.
const PAGE_LEN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::test_world::{World, file};
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_more_is_taken_over_at_once_than_may_be_and_the_rest_is_told_of() {
        let world = World::start().await;
        let (shared, library, followed) =
            (std::sync::Arc::clone(&world.shared), world.standing.library, world.followed.clone());
        let compared = move |count: usize| {
            let hash = |number: usize| ContentHash::of(&number.to_le_bytes());
            let files = (0..count).map(|number| file(&format!("/{number}.txt"), 1, hash(number)));
            let listed = Listed::new(files.collect(), None);
            let me = NodeId::from_bytes([1; 32]);
            let comparing = Comparing {
                shared: &shared,
                library,
                followed: &followed,
                listed: &listed,
                me,
                may_take: true,
            };
            let compared = comparing.run().expect("it can be read");
            (compared.takes.len(), compared.has_more)
        };
        let work = tokio::task::spawn_blocking(move || {
            [ORIGIN_TAKES_AT_ONCE, ORIGIN_TAKES_AT_ONCE + 5].map(compared)
        });
        let all = work.await.expect("it ends");
        assert_eq!(all, [(ORIGIN_TAKES_AT_ONCE, false), (ORIGIN_TAKES_AT_ONCE, true)]);
        world.end().await;
    }
}
