//! Fetches a content into a folder. Invariants: bytes are written to a chunk's place only under its lock and never once it is
//! verified; the journal records a chunk only after its file was synced; after a failed sync it records nothing more, because the
//! system may have dropped the bytes that it could not write.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Mutex;

use rayon::prelude::*;

use super::claims;
use super::dir::Dir;
use super::hashing::{Copied, HashProgress, Stamp, hash_chunk};
use super::journal::{Journal, Record};
use super::last_look::LastLook;
use super::nicety::{Nicety, StoreWarning};
use super::resume::{Resumed, Survey};
use super::stamps::{ChunkLocks, Guarded, Stamped, Stamps};
use super::target_files::{Place, TargetFiles};
use super::trial::{LeftOut, LeftOutWhy, doubtful_lengths, leave_out_names, try_names};
use super::{Store, StoreError, Verdict, check_range, locked};
use crate::limits::SYNC_FILES_MAX;
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkHasher, ChunkIndex, EntryPath, FileIndex, Manifest};

/// Options of a fetch into a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetOptions {
    /// Whether files in the way are replaced (once the new ones are complete).
    pub overwrite: bool,
    /// Empty files and folders that are not wanted; files with bytes are left out by their chunks.
    pub unwanted_empty: BTreeSet<EntryPath>,
}

/// The state of the folder when the fetch started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Chunks that need not be fetched.
    pub durable: Bitfield,
    /// Number of chunks that were hashed to find out.
    pub hashed_chunks: u32,
    /// Whether the fetch continues an earlier one.
    pub resumed: bool,
    /// Whether the journal of the earlier fetch was not believed, so that every file was hashed.
    pub doubted: bool,
    /// The chunks that the store wants: the requested ones, without those of entries that are left out.
    pub wanted: Bitfield,
    /// Requested entries that the target cannot hold.
    pub left_out: Vec<LeftOut>,
}

/// A store that fills a folder.
#[derive(Debug)]
pub struct TargetStore {
    manifest: Manifest,
    wanted: Bitfield,
    unwanted_empty: BTreeSet<EntryPath>,
    files: TargetFiles,
    stamps: Stamps,
    writers: ChunkLocks,
    last_look: Option<LastLook>,
    state: Mutex<State>,
    /// Locked during a flush, so that there is one at a time.
    journal: Mutex<Journal>,
}

#[derive(Debug)]
struct State {
    verified: Bitfield,
    durable: Bitfield,
    /// Verified chunks, not yet synced.
    pending: BTreeSet<ChunkIndex>,
    /// Durable chunks, not yet reported to the caller.
    unreported: Vec<ChunkIndex>,
    /// Files that may be complete, and then get their final names.
    touched: BTreeSet<FileIndex>,
    sync_failed: bool,
    /// Files whose `.part` belongs to this fetch.
    ours: Bitfield,
    /// Whether complete files may get their final names: there is no final check, or it has passed.
    may_promote: bool,
}

impl TargetStore {
    /// Starts or continues a fetch into `dir`, which is created if missing. `wanted` are the chunks to fetch. May hash
    /// existing files on all cores; `progress` is then called from hashing threads.
    pub fn open(
        dir: &Path,
        manifest: Manifest,
        wanted: Bitfield,
        options: TargetOptions,
        progress: &(dyn Fn(HashProgress) + Sync),
    ) -> Result<(Self, Opened), StoreError> {
        Self::open_in(Dir::create(dir)?, manifest, wanted, options, progress)
    }

    pub(super) fn open_in(
        dir: Dir,
        manifest: Manifest,
        wanted: Bitfield,
        options: TargetOptions,
        progress: &(dyn Fn(HashProgress) + Sync),
    ) -> Result<(Self, Opened), StoreError> {
        // No other fetch starts in the folder until the names of this one are recorded and compared with those of others.
        let turn = dir.take_turn();
        let (mut journal, recovered) = Journal::open(&dir, &manifest)?;
        let existed = recovered.existed;
        let announced = if existed { Ok(()) } else { journal.rewrite(&dir, &manifest, &[]) };
        let claimed = announced.and_then(|()| claims::check(&dir, &manifest, &wanted));
        drop(turn);
        // A journal with damage may have named any file.
        let every_file = || Bitfield::full(manifest.files().len() as u32);
        let begun = claims::recorded_files(&manifest, &recovered.records).unwrap_or_else(every_file);
        let tried = claimed.and_then(|()| try_names(&dir, &manifest, &wanted, &options, &begun));
        let refused_names = match tried {
            Ok(refused) => refused,
            Err(error) => return Err(abandon(&journal, &dir, existed, error)),
        };
        let (mut wanted, mut options) = (wanted, options);
        let left_out = leave_out_names(&refused_names, &manifest, &mut wanted, &mut options);
        let dir = dir.refusing(refused_names);
        let survey = Survey { dir: &dir, manifest: &manifest, wanted: &wanted, options: &options, progress };
        let begun = survey.run(recovered).and_then(|resumed| {
            record(&mut journal, &dir, &manifest, &resumed)?;
            Ok(resumed)
        });
        let resumed = match begun {
            Ok(resumed) => resumed,
            Err(error) => return Err(abandon(&journal, &dir, existed, error)),
        };
        let mut opened = Opened {
            durable: resumed.durable.clone(),
            hashed_chunks: resumed.hashed_chunks,
            resumed: existed,
            doubted: resumed.doubted,
            wanted: wanted.clone(),
            left_out,
        };
        let mut store = Self::resumed(dir, manifest, wanted, options, journal, resumed);
        match store.try_lengths() {
            Ok(too_long) => opened.left_out.extend(too_long),
            Err(error) => {
                let journal = locked(&store.journal);
                return Err(abandon(&journal, &store.files.dir, existed, error));
            }
        }
        opened.wanted.clone_from(&store.wanted);
        Ok((store, opened))
    }

    /// Creates the longest files at once, because the target may refuse their lengths. Refused files are no longer wanted.
    fn try_lengths(&mut self) -> Result<Vec<LeftOut>, StoreError> {
        self.check_file_limit()?;
        let mut left_out = Vec::new();
        for file in doubtful_lengths(&self.manifest, &self.wanted) {
            if self.files.place(file) != Place::Nothing {
                continue;
            }
            match self.files.to_write(file) {
                Err(error) if error.is_too_long() => {
                    let entry = self.manifest.file(file);
                    let (path, why) = (entry.path.clone(), LeftOutWhy::Length(entry.len));
                    left_out.push(LeftOut { path, why });
                    self.manifest.geometry().file_chunk_range(file).for_each(|chunk| {
                        self.wanted.remove(chunk);
                    });
                }
                // Any other error: the first write meets it too, and handles it.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(left_out)
    }

    /// Whether this process may write files of the lengths that are still to be written.
    fn check_file_limit(&self) -> Result<(), StoreError> {
        let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Fsize).current else {
            return Ok(());
        };
        let geometry = self.manifest.geometry();
        let over = (0..geometry.file_count()).filter_map(|index| geometry.file(index)).find(|file| {
            self.manifest.file(*file).len > limit
                && self.files.place(*file) != Place::Final
                && geometry.file_chunk_range(*file).any(|chunk| self.wanted.contains(chunk))
        });
        match over {
            Some(file) => {
                let len = self.manifest.file(file).len;
                Err(StoreError::FileLimit { path: self.files.path(file), len, limit })
            }
            None => Ok(()),
        }
    }

    /// Whether a file has its final name. Somebody may have moved it away since.
    pub(super) fn has_final(&self, file: FileIndex) -> bool {
        self.files.place(file) == Place::Final
    }

    /// Makes the final names durable.
    pub(super) fn sync_names(&self) -> Result<(), StoreError> {
        self.files.sync_names()
    }

    /// Closes a file that is not read here any more.
    pub(super) fn forget(&self, file: FileIndex) {
        self.files.forget(file);
    }

    /// Adds a final check: every wanted chunk is read from the disk again before any file gets its final name.
    pub fn looking_again(self, look: LastLook) -> Self {
        locked(&self.state).may_promote = false;
        Self { last_look: Some(look), ..self }
    }

    fn resumed(
        dir: Dir,
        manifest: Manifest,
        wanted: Bitfield,
        options: TargetOptions,
        journal: Journal,
        resumed: Resumed,
    ) -> Self {
        let geometry = manifest.geometry();
        let touched = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
        let touched = touched.filter(|file| resumed.found.places[file.get()] == Place::Part).collect();
        let state = State {
            verified: resumed.durable.clone(),
            durable: resumed.durable,
            pending: BTreeSet::new(),
            unreported: Vec::new(),
            touched,
            sync_failed: false,
            ours: resumed.ours,
            may_promote: true,
        };
        Self {
            wanted,
            unwanted_empty: options.unwanted_empty,
            stamps: Stamps::new(geometry.chunk_count()),
            files: TargetFiles::new(dir, manifest.clone(), options.overwrite, resumed.found),
            manifest,
            writers: ChunkLocks::new(),
            last_look: None,
            state: Mutex::new(state),
            journal: Mutex::new(journal),
        }
    }

    fn file_of(&self, chunk: ChunkIndex) -> FileIndex {
        self.manifest.geometry().span(chunk).file
    }

    fn is_verified(&self, chunk: ChunkIndex) -> bool {
        locked(&self.state).verified.contains(chunk.get())
    }

    fn check_wanted(&self, chunk: ChunkIndex) -> Result<(), StoreError> {
        if self.wanted.contains(chunk.get()) {
            return Ok(());
        }
        Err(StoreError::Unwanted {
            path: self.files.path(self.file_of(chunk)),
            chunk: self.manifest.geometry().number_in_file(chunk),
        })
    }

    /// The caller holds the chunk's lock and has verified its hash.
    fn mark_verified(&self, chunk: ChunkIndex) {
        self.stamps.mark(&self.manifest, chunk, Stamp::OURS);
        let mut state = locked(&self.state);
        state.verified.insert(chunk.get());
        state.pending.insert(chunk);
    }

    /// Writes verified bytes decrypted.
    fn put_opened(&self, chunk: ChunkIndex, data: &[u8]) -> Result<(), StoreError> {
        let Some(opening) = self.manifest.opening() else { return self.put(chunk, data) };
        let mut opened = data.to_vec();
        if opening.open(&self.manifest, chunk, &mut opened) {
            return self.put(chunk, &opened);
        }
        Err(StoreError::Sealed {
            path: self.files.path(self.file_of(chunk)),
            chunk: self.manifest.geometry().number_in_file(chunk),
        })
    }

    fn put(&self, chunk: ChunkIndex, data: &[u8]) -> Result<(), StoreError> {
        let span = self.manifest.geometry().span(chunk);
        let file = self.files.to_write(span.file)?;
        if is_zero(data) {
            match file.punch(span.file_offset, span.len.into()) {
                Ok(()) => return Ok(()),
                // Any refusal: written zeros read the same.
                Err(reason) => {
                    self.files.dir.niceties().note(Nicety::Hole, || self.files.path(span.file), reason)
                }
            }
        }
        self.files.write(span.file, &file, data, span.file_offset)
    }

    /// Syncs the data of these chunks, and the names of their files.
    fn sync(&self, batch: &BTreeSet<ChunkIndex>) -> Result<(), StoreError> {
        let files: BTreeSet<FileIndex> = batch.iter().map(|&chunk| self.file_of(chunk)).collect();
        if files.len() > SYNC_FILES_MAX && self.files.dir.sync_file_system()? {
            return Ok(());
        }
        for file in files {
            if let Some((open, _)) = self.files.existing(file)? {
                open.sync_data().map_err(StoreError::disk(&self.files.path(file), "sync"))?;
            }
        }
        self.files.sync_names()
    }

    fn make_durable(&self, journal: &mut Journal, batch: &BTreeSet<ChunkIndex>) -> Result<(), StoreError> {
        // The journal identifies files by their names: it must not claim chunks of a file that no longer has its name.
        let files: BTreeSet<FileIndex> = batch.iter().map(|&chunk| self.file_of(chunk)).collect();
        files.iter().try_for_each(|file| self.files.check_part(*file))?;
        if let Err(error) = self.sync(batch) {
            locked(&self.state).sync_failed = true;
            return Err(error);
        }
        journal.append(&Record::Durable(runs(batch)))?;
        let mut state = locked(&self.state);
        for &chunk in batch {
            state.durable.insert(chunk.get());
            state.unreported.push(chunk);
            state.touched.insert(self.file_of(chunk));
        }
        Ok(())
    }

    /// Renames complete files. If a rename fails, the next flush tries it again.
    fn promote_complete(&self) -> Result<(), StoreError> {
        let touched = {
            let state = locked(&self.state);
            if state.may_promote { state.touched.clone() } else { BTreeSet::new() }
        };
        // In parallel: a folder of a hundred thousand files spends half its time here.
        touched.into_par_iter().try_for_each(|file| {
            if self.missing_of(file) == 0 && self.files.promote(file)? {
                self.trust_final(file)?;
            }
            locked(&self.state).touched.remove(&file);
            Ok(())
        })
    }

    /// Chunks that were verified under the temporary name stay verified under the final one, until another process changes the file.
    fn trust_final(&self, file: FileIndex) -> Result<(), StoreError> {
        if let Some((open, _)) = self.files.existing(file)? {
            let stamp = Stamp::of(&open).map_err(StoreError::disk(&self.files.path(file), "stat"))?;
            self.stamps.restamp(file, stamp);
        }
        Ok(())
    }

    /// The chunk that a read error marks as bad: none, if the error may be transient.
    fn unreadable(&self, chunk: ChunkIndex, error: StoreError) -> StoreError {
        let file = self.file_of(chunk);
        self.files.forget(file);
        if error.is_missing() && !self.files.dir.is_at_its_place() {
            return StoreError::Away { path: self.files.path(file) };
        }
        if error.is_missing() || matches!(error, StoreError::Replaced { .. }) {
            return StoreError::Changed {
                path: self.files.path(file),
                chunk: self.manifest.geometry().number_in_file(chunk),
            };
        }
        error
    }

    fn missing_of(&self, file: FileIndex) -> u32 {
        let state = locked(&self.state);
        let range = self.manifest.geometry().file_chunk_range(file);
        range.filter(|&chunk| !state.durable.contains(chunk)).count() as u32
    }

    fn check_complete(&self) -> Result<(), StoreError> {
        let state = locked(&self.state);
        let missing = |chunk: &u32| !state.durable.contains(*chunk);
        let Some(first) = self.wanted.iter().find(missing) else { return Ok(()) };
        let geometry = self.manifest.geometry();
        let Some(chunk) = geometry.chunk(first) else { return Ok(()) };
        let file = geometry.span(chunk).file;
        let range = geometry.file_chunk_range(file);
        let missing =
            range.filter(|&chunk| self.wanted.contains(chunk) && !state.durable.contains(chunk)).count();
        Err(StoreError::Unfinished { path: self.files.path(file), missing: missing as u32 })
    }

    fn flush_into(&self, journal: &mut Journal) -> Result<Vec<ChunkIndex>, StoreError> {
        let batch = {
            let mut state = locked(&self.state);
            if state.sync_failed {
                return Err(StoreError::SyncFailed { path: self.files.dir.path().to_owned() });
            }
            std::mem::take(&mut state.pending)
        };
        if !batch.is_empty()
            && let Err(error) = self.make_durable(journal, &batch)
        {
            locked(&self.state).pending.extend(batch);
            return Err(error);
        }
        self.files.dir.check_place()?;
        self.promote_complete()?;
        Ok(std::mem::take(&mut locked(&self.state).unreported))
    }

    /// Runs the final check, if one was requested, and renames complete files.
    fn look_again(&self) -> Result<(), StoreError> {
        let Some(look) = &self.last_look else { return Ok(()) };
        let geometry = self.manifest.geometry();
        let wanted: Vec<ChunkIndex> = self.wanted.iter().filter_map(|index| geometry.chunk(index)).collect();
        let wrong = look.wrong_of(&self.manifest, &self.files, &wanted)?;
        if let Some(first) = wrong.first() {
            let (file, more_count) = (self.file_of(*first), wrong.len() - 1);
            let chunk = geometry.number_in_file(*first);
            self.disown(&mut locked(&self.journal), &wrong, &[]);
            return Err(StoreError::Damaged { path: self.files.path(file), chunk, more_count });
        }
        locked(&self.state).may_promote = true;
        self.promote_complete()
    }

    /// Checks that each final name leads to the file that was written: other processes may have replaced it.
    fn check_finals(&self) -> Result<(), StoreError> {
        let geometry = self.manifest.geometry();
        let wanted = (0..geometry.file_count()).into_par_iter().filter_map(|index| geometry.file(index));
        let is_wanted =
            |file: &FileIndex| geometry.file_chunk_range(*file).any(|chunk| self.wanted.contains(chunk));
        wanted.filter(is_wanted).try_for_each(|file| self.files.check_final(file))
    }

    /// Removes the claims to files whose names lead elsewhere now: the next run would believe them after a few samples.
    fn disown_replaced(&self, journal: &mut Journal) {
        let geometry = self.manifest.geometry();
        let is_replaced = |file: &FileIndex| {
            [self.files.check_part(*file), self.files.check_final(*file)]
                .iter()
                .any(|checked| matches!(checked, Err(StoreError::Replaced { .. })))
        };
        let all = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
        let files: Vec<FileIndex> = all.filter(is_replaced).collect();
        let chunks: Vec<ChunkIndex> = files.iter().flat_map(|&file| geometry.file_chunks(file)).collect();
        self.disown(journal, &chunks, &files);
    }

    fn disown(&self, journal: &mut Journal, chunks: &[ChunkIndex], files: &[FileIndex]) {
        let records = {
            let mut state = locked(&self.state);
            for chunk in chunks {
                state.durable.remove(chunk.get());
                state.verified.remove(chunk.get());
                state.pending.remove(chunk);
            }
            for file in files {
                state.ours.remove(file.get() as u32);
            }
            [Record::Ours(state.ours.runs().collect()), Record::Durable(state.durable.runs().collect())]
        };
        if let Err(error) = journal.rewrite(&self.files.dir, &self.manifest, &records) {
            tracing::warn!(%error, "the journal still claims what is not there: its samples have to show it");
        }
    }

    fn make_what_has_no_bytes(&self) -> Result<(), StoreError> {
        let geometry = self.manifest.geometry();
        for file in (0..geometry.file_count()).filter_map(|index| geometry.file(index)) {
            let entry = self.manifest.file(file);
            if entry.len > 0 {
                self.files.finish_executable(file)?;
            } else if !self.unwanted_empty.contains(&entry.path) {
                self.files.make_empty(file)?;
            }
        }
        let wanted =
            self.manifest.empty_directories().iter().filter(|path| !self.unwanted_empty.contains(path));
        wanted.into_iter().try_for_each(|path| self.files.make_directory(path))
    }
}

impl Store for TargetStore {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read(&self, chunk: ChunkIndex, offset: u32, buf: &mut [u8]) -> Result<(), StoreError> {
        check_range(&self.manifest, chunk, offset, buf.len())?;
        let file = self.file_of(chunk);
        let not_verified = || StoreError::NotVerified {
            path: self.files.path(file),
            chunk: self.manifest.geometry().number_in_file(chunk),
        };
        if !self.is_verified(chunk) {
            return Err(not_verified());
        }
        let opened = self.files.existing(file).map_err(|error| self.unreadable(chunk, error))?;
        let (open, place) = opened.ok_or_else(not_verified)?;
        let stamped = match place {
            Place::Final => Stamped::AsOf(i128::MAX),
            Place::Part | Place::Nothing => Stamped::Ours,
        };
        match self.stamps.read(&self.manifest, chunk, &open, stamped, Copied { offset, buf }) {
            Ok(Guarded::Good) => Ok(()),
            Ok(Guarded::Changed) => Err(StoreError::Changed {
                path: self.files.path(file),
                chunk: self.manifest.geometry().number_in_file(chunk),
            }),
            Err(error) => {
                Err(self.unreadable(chunk, StoreError::disk(&self.files.path(file), "read")(error)))
            }
        }
    }

    fn write_chunk(&self, chunk: ChunkIndex, data: &[u8]) -> Result<Verdict, StoreError> {
        let span = self.manifest.geometry().span(chunk);
        if data.len() != span.len as usize {
            return Err(StoreError::Range { chunk: chunk.get(), offset: 0, len: data.len() });
        }
        if self.is_verified(chunk) {
            return Ok(Verdict::Verified);
        }
        self.check_wanted(chunk)?;
        if ChunkHasher::hash(&span, data) != self.manifest.chunk_hash(chunk) {
            return Ok(Verdict::Corrupt);
        }
        let _turn = self.writers.lock(chunk);
        if !self.is_verified(chunk) {
            self.put_opened(chunk, data)?;
            self.mark_verified(chunk);
        }
        Ok(Verdict::Verified)
    }

    fn keep_slice(&self, chunk: ChunkIndex, offset: u32, data: &[u8]) -> Result<(), StoreError> {
        check_range(&self.manifest, chunk, offset, data.len())?;
        let _turn = self.writers.lock(chunk);
        if self.is_verified(chunk) {
            return Ok(());
        }
        self.check_wanted(chunk)?;
        let span = self.manifest.geometry().span(chunk);
        let file = self.files.to_write(span.file)?;
        file.write_all_at(data, span.file_offset + u64::from(offset))
            .map_err(StoreError::disk(&self.files.path(span.file), "write"))
    }

    fn verify_kept(&self, chunk: ChunkIndex) -> Result<Verdict, StoreError> {
        let _turn = self.writers.lock(chunk);
        if self.is_verified(chunk) {
            return Ok(Verdict::Verified);
        }
        let span = self.manifest.geometry().span(chunk);
        let Some((file, _)) = self.files.existing(span.file)? else { return Ok(Verdict::Corrupt) };
        let hash =
            hash_chunk(&file, &span, None).map_err(StoreError::disk(&self.files.path(span.file), "read"))?;
        if hash != self.manifest.chunk_hash(chunk) {
            return Ok(Verdict::Corrupt);
        }
        if self.manifest.opening().is_some() {
            // Slices are kept on disk unverified, as they came.
            let mut data = vec![0; span.len as usize];
            file.read_exact_at(&mut data, span.file_offset)
                .map_err(StoreError::disk(&self.files.path(span.file), "read"))?;
            self.put_opened(chunk, &data)?;
        }
        self.mark_verified(chunk);
        Ok(Verdict::Verified)
    }

    fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        let mut journal = locked(&self.journal);
        let flushed = self.flush_into(&mut journal);
        if matches!(flushed, Err(StoreError::Replaced { .. })) {
            self.disown_replaced(&mut journal);
        }
        flushed
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.flush()?;
        self.check_complete()?;
        let named = self.look_again().and_then(|()| self.check_finals());
        if matches!(named, Err(StoreError::Replaced { .. })) {
            self.disown_replaced(&mut locked(&self.journal));
        }
        named?;
        self.make_what_has_no_bytes()?;
        self.files.sync_names()?;
        locked(&self.journal).remove(&self.files.dir)?;
        self.files.dir.sync_directory(Path::new(""))
    }

    fn take_warnings(&self) -> Vec<StoreWarning> {
        self.files.dir.niceties().take()
    }
}

/// A fetch that cannot start leaves no journal behind, unless there was one before.
fn abandon(journal: &Journal, dir: &Dir, existed: bool, error: StoreError) -> StoreError {
    let removed = if existed { Ok(()) } else { journal.remove(dir) };
    removed.err().unwrap_or(error)
}

/// Rewrites the journal, unless it already says the same.
fn record(
    journal: &mut Journal,
    dir: &Dir,
    manifest: &Manifest,
    resumed: &Resumed,
) -> Result<(), StoreError> {
    if resumed.is_recorded {
        return Ok(());
    }
    let records =
        [Record::Ours(resumed.ours.runs().collect()), Record::Durable(resumed.durable.runs().collect())];
    journal.rewrite(dir, manifest, &records)
}

fn runs(chunks: &BTreeSet<ChunkIndex>) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for chunk in chunks {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == chunk.get() => *count += 1,
            _ => runs.push((chunk.get(), 1)),
        }
    }
    runs
}

fn is_zero(data: &[u8]) -> bool {
    data.chunks(ZEROS.len()).all(|part| part == &ZEROS[..part.len()])
}

static ZEROS: [u8; 4096] = [0; 4096];
