//! Decides how much of an earlier fetch's files is believed. Invariant: a chunk counts as durable only if the
//! journal claims it and samples of the claims are right, or if it was hashed just now. On any doubt everything is hashed.

use std::path::Path;
use std::sync::Arc;

use super::dir::{Access, Dir, Standing};
use super::file::File;
use super::hashing::HashProgress;
use super::identity::Identity;
use super::journal::{Record, Recovered};
use super::open_files::OpenFiles;
use super::part_locks::PartLocks;
use super::scan::good_chunks;
use super::target_files::{FoundFiles, Place, final_path, part_path};
use super::{StoreError, TargetOptions};
use crate::limits::RESUME_SAMPLES_MAX;
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkIndex, FileIndex, Manifest};

/// The state that a fetch starts from.
#[derive(Debug)]
pub(super) struct Resumed {
    /// Chunks that need not be fetched.
    pub(super) durable: Bitfield,
    /// The place and identity of each file.
    pub(super) found: FoundFiles,
    /// Files whose `.part` belongs to this fetch.
    pub(super) ours: Bitfield,
    /// Whether the journal already records exactly this state.
    pub(super) is_recorded: bool,
    /// Number of chunks that were hashed.
    pub(super) hashed_chunks: u32,
    /// Whether the journal was not believed.
    pub(super) doubted: bool,
}

/// Inspects the folder of a fetch.
pub(super) struct Survey<'a> {
    pub(super) dir: &'a Dir,
    pub(super) manifest: &'a Manifest,
    pub(super) wanted: &'a Bitfield,
    pub(super) options: &'a TargetOptions,
    pub(super) progress: &'a (dyn Fn(HashProgress) + Sync),
}

/// A file that may hold the bytes of a content's file.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    file: FileIndex,
    kind: Kind,
    len: u64,
    identity: Identity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file of the right length under the final name.
    Final,
    /// A `.part` that the journal of this content lists.
    OurPart,
    /// A `.part` that no journal lists.
    StrangePart,
}

/// The claims of the journal.
struct Claims {
    existed: bool,
    durable: Bitfield,
    ours: Bitfield,
    /// The chunks of the last record: a crash damages these first, so samples start there.
    latest: Vec<u32>,
    doubt: bool,
}

impl Survey<'_> {
    /// Decides which chunks are believed. Changes nothing on disk except what `overwrite` allows.
    pub(super) fn run(&self, recovered: Recovered) -> Result<Resumed, StoreError> {
        let mut claims = self.claims(recovered);
        let candidates = self.candidates(&claims)?;
        let mut found =
            FoundFiles { places: vec![Place::Nothing; self.manifest.files().len()], ..FoundFiles::default() };
        self.lock_parts(&candidates, &found.locks)?;
        let sampled = self.sample(&claims, &candidates);
        let good_samples = self.good(&candidates, &sampled)?;
        claims.doubt |= good_samples.count() as usize != sampled.len();
        let to_hash = self.to_hash(&claims, &candidates);
        let good = self.good(&candidates, &to_hash)?;
        let mut resumed = Resumed {
            durable: Bitfield::new(self.manifest.geometry().chunk_count()),
            found: std::mem::take(&mut found),
            ours: Bitfield::new(self.manifest.files().len() as u32),
            is_recorded: false,
            hashed_chunks: (sampled.len() + to_hash.len()) as u32,
            doubted: claims.doubt,
        };
        for candidate in &candidates {
            self.settle(candidate, &claims, &good, &mut resumed)?;
        }
        self.own_what_is_not_there(&mut resumed);
        resumed.is_recorded = !claims.doubt
            && claims.existed
            && resumed.durable == claims.durable
            && !resumed.ours.has_beyond(&claims.ours);
        Ok(resumed)
    }

    fn claims(&self, recovered: Recovered) -> Claims {
        let mut claims = Claims {
            existed: recovered.existed,
            durable: Bitfield::new(self.manifest.geometry().chunk_count()),
            ours: Bitfield::new(self.manifest.files().len() as u32),
            latest: Vec::new(),
            doubt: recovered.doubt,
        };
        for record in recovered.records {
            let (set, runs, is_durable) = match record {
                Record::Durable(runs) => (&mut claims.durable, runs, true),
                Record::Ours(runs) => (&mut claims.ours, runs, false),
            };
            let Some(numbers) = claimed(&runs, set.len()) else {
                claims.doubt = true;
                continue;
            };
            for &number in &numbers {
                set.insert(number);
            }
            if is_durable {
                claims.latest = numbers;
            }
        }
        claims
    }

    /// Files that may hold wanted bytes. An entry in the way of a wanted file is an error here, before anything is written.
    fn candidates(&self, claims: &Claims) -> Result<Vec<Candidate>, StoreError> {
        let geometry = self.manifest.geometry();
        let mut candidates = Vec::new();
        for file in (0..geometry.file_count()).filter_map(|index| geometry.file(index)) {
            let has = |set: &Bitfield| geometry.file_chunks(file).any(|chunk| set.contains(chunk.get()));
            let is_ours = claims.ours.contains(file.get() as u32) || has(&claims.durable);
            if has(self.wanted) {
                candidates.extend(self.candidate(claims, file, is_ours)?);
            } else if is_ours {
                // A file of an earlier, wider fetch: used if it is intact, and no reason to stop if it is not.
                candidates.extend(self.candidate(claims, file, true).unwrap_or(None));
            }
        }
        Ok(candidates)
    }

    fn candidate(
        &self,
        claims: &Claims,
        file: FileIndex,
        is_ours: bool,
    ) -> Result<Option<Candidate>, StoreError> {
        let (name, part) = (final_path(self.manifest, file), part_path(self.dir, self.manifest, file));
        let overwrite = self.options.overwrite;
        let part = match self.stand(&part)? {
            Standing::Nothing => None,
            Standing::File { len, identity } => Some((len, identity)),
            Standing::Symlink => return Err(StoreError::Unsafe { path: self.dir.full(&part) }),
            Standing::Directory => return Err(StoreError::FolderInTheWay { path: self.dir.full(&part) }),
            Standing::Special => return Err(StoreError::NotAFile { path: self.dir.full(&part) }),
        };
        let kind = if is_ours { Kind::OurPart } else { Kind::StrangePart };
        let part = part.map(|(len, identity)| Candidate { file, kind, len, identity });
        match self.stand(name)? {
            Standing::Nothing => Ok(part),
            Standing::File { len, identity } if len == self.manifest.file(file).len => {
                let is_begun = |part: &Candidate| is_ours || self.may_be_ours(claims, part);
                let replaces = overwrite && part.as_ref().is_some_and(is_begun);
                Ok(if replaces { part } else { Some(Candidate { file, kind: Kind::Final, len, identity }) })
            }
            Standing::File { .. } if overwrite => Ok(part),
            Standing::File { .. } => Err(StoreError::TargetExists { path: self.dir.full(name) }),
            Standing::Directory => Err(StoreError::FolderInTheWay { path: self.dir.full(name) }),
            Standing::Special => Err(StoreError::NotAFile { path: self.dir.full(name) }),
            Standing::Symlink => Err(StoreError::Unsafe { path: self.dir.full(name) }),
        }
    }

    fn stand(&self, relative: &Path) -> Result<Standing, StoreError> {
        match self.dir.stat(relative) {
            // A file stands in place of a folder: the error names that file, not the one that was to be created below it.
            Err(error) if error.is_missing() => {
                let above = self.dir.not_a_folder_above(relative);
                Err(above.map_or(error, |path| StoreError::NotAFolder { path }))
            }
            standing => standing,
        }
    }

    /// Claimed chunks to hash: the latest ones, and some spread over all.
    fn sample(&self, claims: &Claims, candidates: &[Candidate]) -> Vec<ChunkIndex> {
        let geometry = self.manifest.geometry();
        if claims.doubt {
            return Vec::new();
        }
        let mut there = Bitfield::new(geometry.chunk_count());
        for candidate in candidates.iter().filter(|candidate| self.is_believed(claims, candidate)) {
            let claimed =
                geometry.file_chunk_range(candidate.file).filter(|&chunk| claims.durable.contains(chunk));
            claimed.for_each(|chunk| {
                there.insert(chunk);
            });
        }
        let latest = claims.latest.iter().copied().filter(|&chunk| there.contains(chunk));
        let mut picked = Bitfield::new(geometry.chunk_count());
        for chunk in spread(&latest.collect::<Vec<_>>(), RESUME_SAMPLES_MAX / 2) {
            picked.insert(chunk);
            there.remove(chunk);
        }
        let rest: Vec<u32> = there.iter().collect();
        for chunk in spread(&rest, RESUME_SAMPLES_MAX - picked.count() as usize) {
            picked.insert(chunk);
        }
        picked.iter().filter_map(|chunk| geometry.chunk(chunk)).collect()
    }

    /// Whether the journal's claims about a file suffice, if its samples are right.
    fn is_believed(&self, claims: &Claims, candidate: &Candidate) -> bool {
        let right_len = candidate.len == self.manifest.file(candidate.file).len;
        let mut chunks = self.manifest.geometry().file_chunk_range(candidate.file);
        !claims.doubt
            && match candidate.kind {
                Kind::OurPart => right_len || !chunks.any(|chunk| claims.durable.contains(chunk)),
                Kind::Final => chunks.all(|chunk| claims.durable.contains(chunk)),
                Kind::StrangePart => false,
            }
    }

    fn to_hash(&self, claims: &Claims, candidates: &[Candidate]) -> Vec<ChunkIndex> {
        candidates
            .iter()
            .filter(|candidate| !self.is_believed(claims, candidate))
            .flat_map(|candidate| self.manifest.geometry().file_chunks(candidate.file))
            .collect()
    }

    /// Chunks that were read and match their hashes. A file that cannot be opened says nothing about its bytes, so that is an error,
    /// unless the file is gone.
    fn good(&self, candidates: &[Candidate], chunks: &[ChunkIndex]) -> Result<Bitfield, StoreError> {
        let held = OpenFiles::default();
        let open = |file: FileIndex| {
            let at = candidates.binary_search_by_key(&file, |candidate| candidate.file);
            let candidate = at.ok().map(|at| &candidates[at]);
            let opened = held.get(file, || {
                let name = match candidate.map(|candidate| candidate.kind) {
                    Some(Kind::Final) => final_path(self.manifest, file).to_owned(),
                    Some(Kind::OurPart | Kind::StrangePart) | None => {
                        part_path(self.dir, self.manifest, file)
                    }
                };
                let open = self.dir.open_file(&name, Access::Read)?;
                self.check_identity(candidate, &open, &name)?;
                Ok(open)
            });
            match opened {
                Err(error) if error.is_missing() => Ok(None),
                opened => opened.map(Some),
            }
        };
        good_chunks(self.manifest, chunks, &open, self.progress)
    }

    fn settle(
        &self,
        candidate: &Candidate,
        claims: &Claims,
        good: &Bitfield,
        resumed: &mut Resumed,
    ) -> Result<(), StoreError> {
        let source = if self.is_believed(claims, candidate) { &claims.durable } else { good };
        let range = self.manifest.geometry().file_chunk_range(candidate.file);
        let chunks: Vec<u32> = range.clone().filter(|&chunk| source.contains(chunk)).collect();
        let place = match candidate.kind {
            Kind::Final if chunks.len() == range.len() => Place::Final,
            Kind::Final => return self.settle_other_final(candidate, claims, resumed),
            Kind::OurPart => Place::Part,
            Kind::StrangePart if !chunks.is_empty() || self.may_be_ours(claims, candidate) => Place::Part,
            Kind::StrangePart => return self.settle_strange_part(candidate, resumed),
        };
        if place == Place::Part {
            self.fix_len(candidate)?;
            resumed.ours.insert(candidate.file.get() as u32);
        }
        resumed.found.identities.insert(candidate.file.get(), candidate.identity);
        if place == Place::Final && claims.ours.contains(candidate.file.get() as u32) {
            // Another program put the right file in place meanwhile, so the `.part` is useless.
            self.remove_part(candidate.file, &resumed.found.locks)?;
        }
        resumed.found.places[candidate.file.get()] = place;
        for chunk in chunks {
            resumed.durable.insert(chunk);
        }
        Ok(())
    }

    /// Handles a file of the right length that is not the content's.
    fn settle_other_final(
        &self,
        candidate: &Candidate,
        claims: &Claims,
        resumed: &Resumed,
    ) -> Result<(), StoreError> {
        let is_wanted = self
            .manifest
            .geometry()
            .file_chunks(candidate.file)
            .any(|chunk| self.wanted.contains(chunk.get()));
        if is_wanted && !self.options.overwrite {
            return Err(StoreError::TargetExists {
                path: self.dir.full(final_path(self.manifest, candidate.file)),
            });
        }
        if !is_wanted {
            return Ok(());
        }
        // The complete new file replaces it. A `.part` beside it does not belong to this fetch, or it would be the candidate.
        let part = part_path(self.dir, self.manifest, candidate.file);
        let stands = self.stand(&part)? != Standing::Nothing;
        if stands && !claims.ours.contains(candidate.file.get() as u32) {
            return self.remove_part(candidate.file, &resumed.found.locks);
        }
        Ok(())
    }

    /// A damaged journal shows that an earlier fetch was here; a `.part` of the right length is then taken for its own.
    fn may_be_ours(&self, claims: &Claims, candidate: &Candidate) -> bool {
        let our_len = candidate.len == 0 || candidate.len == self.manifest.file(candidate.file).len;
        claims.existed && claims.doubt && our_len
    }

    fn settle_strange_part(&self, candidate: &Candidate, resumed: &Resumed) -> Result<(), StoreError> {
        if self.options.overwrite {
            return self.remove_part(candidate.file, &resumed.found.locks);
        }
        let part = part_path(self.dir, self.manifest, candidate.file);
        Err(StoreError::TargetExists { path: self.dir.full(&part) })
    }

    /// Locks every `.part` that may be continued or removed: a running fetch must not lose one, whatever is in it.
    fn lock_parts(&self, candidates: &[Candidate], locks: &PartLocks) -> Result<(), StoreError> {
        let parts = candidates.iter().filter(|candidate| candidate.kind != Kind::Final);
        parts.into_iter().try_for_each(|part| self.lock_part(part.file, locks))
    }

    fn lock_part(&self, file: FileIndex, locks: &PartLocks) -> Result<(), StoreError> {
        let part = part_path(self.dir, self.manifest, file);
        // A file that cannot be opened is not locked; if it matters, the later use fails.
        let Ok(open) = self.dir.open_file(&part, Access::Read) else { return Ok(()) };
        locks.take(file, &self.dir.full(&part), Arc::new(open))
    }

    fn remove_part(&self, file: FileIndex, locks: &PartLocks) -> Result<(), StoreError> {
        if !locks.has(file) {
            self.lock_part(file, locks)?;
        }
        let removed = self.dir.remove_file(&part_path(self.dir, self.manifest, file));
        locks.release(file);
        removed
    }

    /// Checks that the opened file is the inspected one.
    fn check_identity(
        &self,
        candidate: Option<&Candidate>,
        open: &File,
        name: &Path,
    ) -> Result<(), StoreError> {
        match candidate {
            Some(candidate) if self.dir.keeps_inodes() && candidate.identity != open.identity() => {
                Err(StoreError::Replaced { path: self.dir.full(name) })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn fix_len(&self, candidate: &Candidate) -> Result<(), StoreError> {
        let len = self.manifest.file(candidate.file).len;
        if candidate.len == len {
            return Ok(());
        }
        let part = part_path(self.dir, self.manifest, candidate.file);
        let file = self.dir.open_file(&part, Access::Write)?;
        self.check_identity(Some(candidate), &file, &part)?;
        file.set_len(len).map_err(StoreError::disk(&self.dir.full(&part), "extend"))
    }

    /// A `.part` that does not exist now belongs to this fetch once it does.
    fn own_what_is_not_there(&self, resumed: &mut Resumed) {
        let geometry = self.manifest.geometry();
        for file in (0..geometry.file_count()).filter_map(|index| geometry.file(index)) {
            let wanted = geometry.file_chunks(file).any(|chunk| self.wanted.contains(chunk.get()));
            if wanted && resumed.found.places[file.get()] == Place::Nothing {
                resumed.ours.insert(file.get() as u32);
            }
        }
    }
}

/// At most `count` of the numbers, evenly spread, always with the last.
fn spread(numbers: &[u32], count: usize) -> Vec<u32> {
    let take = count.min(numbers.len());
    (1..=take).map(|part| numbers[part * numbers.len() / take - 1]).collect()
}

/// The numbers below `len` that the runs of a record name; `None` if they name others, or do not rise: written runs always rise,
/// and rising runs name at most `len` numbers.
pub(super) fn claimed(runs: &[(u32, u32)], len: u32) -> Option<Vec<u32>> {
    let mut end = 0;
    for &(first, count) in runs {
        let next = first.checked_add(count).filter(|next| first >= end && *next <= len)?;
        end = next;
    }
    Some(runs.iter().flat_map(|&(first, count)| first..first + count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_claims_each_number_once_and_none_beyond_the_last() {
        assert_eq!(claimed(&[(0, 2), (2, 1), (5, 1)], 6), Some(vec![0, 1, 2, 5]));
        assert_eq!(claimed(&[], 0), Some(Vec::new()));
        for runs in [
            &[(0, 7)][..],
            &[(6, 1)],
            &[(u32::MAX, 1)],
            &[(1, u32::MAX)],
            &[(0, 6), (0, 6)],
            &[(3, 1), (2, 1)],
        ] {
            assert_eq!(claimed(runs, 6), None, "{runs:?}");
        }
    }
}
