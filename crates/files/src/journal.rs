//! Records the durable chunks of a fetch, across a kill or a power cut. One hidden file beside the data: a header with the manifest,
//! then checksummed records. Invariant: a record is believed only if its checksum, which covers its place in the file, holds, and
//! every record before it was believed. A torn end is cut off; any other damage puts all of it in doubt. Does not know the bytes of chunks.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::StoreError;
use super::dir::{Access, Dir};
use super::file::File;
use super::holder::holder_of;
use super::nicety::Nicety;
use crate::limits::{JOURNAL_RECORD_RUNS_MAX, JOURNAL_RESERVE_LEN_MAX};
use swarm_core::base::ContentId;
use swarm_core::base::limits::MANIFEST_BODY_LEN_MAX;
use swarm_core::manifest::Manifest;

/// The journal of one fetch, locked against other processes while it is open.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    content: ContentId,
    /// Offset of the next record. Bytes beyond it are torn and are overwritten.
    end: u64,
}

/// The contents of a journal that was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Whether there was a journal.
    pub(super) existed: bool,
    /// Whether it is damaged: nothing in it may be relied on.
    pub(super) doubt: bool,
    /// Its records, oldest first.
    pub(super) records: Vec<Record>,
}

/// One record: runs of `(first, count)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Chunks that are durable.
    Durable(Vec<(u32, u32)>),
    /// Files, by index, whose `.part` belongs to this fetch: their names were free when the fetch started.
    Ours(Vec<(u32, u32)>),
}

impl Journal {
    /// Opens or creates the journal of a content in a folder, and reads it.
    pub(super) fn open(dir: &Dir, manifest: &Manifest) -> Result<(Self, Recovered), StoreError> {
        let name = file_name(manifest.id());
        let path = dir.full(&name);
        let file = open_locked(dir, &name)?;
        let mut bytes = Vec::new();
        let len = file.metadata().map_err(StoreError::disk(&path, "stat"))?.len();
        let is_readable = len <= JOURNAL_LEN_MAX;
        if is_readable {
            bytes.resize(len as usize, 0);
            file.read_exact_at(&mut bytes, 0).map_err(StoreError::disk(&path, "read"))?;
        }
        let mut journal = Self { file, path, content: manifest.id(), end: 0 };
        if !is_readable {
            return Ok((journal, Recovered { existed: true, doubt: true, records: Vec::new() }));
        }
        let (recovered, end) = recover(manifest, &bytes);
        journal.end = end as u64;
        if end < bytes.len() && !recovered.doubt {
            journal.cut_off(manifest.geometry().chunk_count())?;
        }
        Ok((journal, recovered))
    }

    /// Replaces all records, durably and in one step: a crash leaves the old journal or the new one. (A half-written journal would not
    /// even tell which files belong to the fetch.)
    pub(super) fn rewrite(
        &mut self,
        dir: &Dir,
        manifest: &Manifest,
        records: &[Record],
    ) -> Result<(), StoreError> {
        let (name, new_name) = (file_name(self.content), new_file_name(self.content));
        dir.remove_file(&new_name)?;
        // Locked before it is renamed: there is no moment at which another process could take it.
        let file = open_locked(dir, &new_name)?;
        let mut new = Self { file, path: self.path.clone(), content: self.content, end: 0 };
        let written = new.write_all(manifest, records).and_then(|()| dir.rename(&new_name, &name, true));
        if written.is_err() {
            // If this fails too, the next process that rewrites the journal removes the file.
            let _ = dir.remove_file(&new_name);
            return written;
        }
        *self = new;
        dir.sync_directory(Path::new(""))
    }

    /// Appends a record and makes it durable. After an error the record may be there or not; the next one overwrites it.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), StoreError> {
        let before = self.end;
        let appended = self.write(record).and_then(|()| self.sync());
        if appended.is_err() {
            self.end = before;
            // If this fails too, the next open finds the journal in doubt, which is safe.
            let _ = self.file.set_len(before);
        }
        appended
    }

    /// Removes the journal and so releases its lock.
    pub(super) fn remove(&self, dir: &Dir) -> Result<(), StoreError> {
        // A crash may have left this file.
        dir.remove_file(&new_file_name(self.content))?;
        dir.remove_file(&file_name(self.content))
    }

    fn write_all(&mut self, manifest: &Manifest, records: &[Record]) -> Result<(), StoreError> {
        let header = header(manifest);
        self.file.write_all_at(&header, 0).map_err(StoreError::disk(&self.path, "write"))?;
        self.end = header.len() as u64;
        for record in records {
            self.write(record)?;
        }
        self.reserve(manifest.geometry().chunk_count());
        self.sync()
    }

    fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        let bytes = encode_record(self.content, self.end, record);
        self.file.write_all_at(&bytes, self.end).map_err(StoreError::disk(&self.path, "write"))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::disk(&self.path, "sync"))
    }

    /// Removes a torn end: behind the next record it would put the journal in doubt.
    fn cut_off(&self, chunk_count: u32) -> Result<(), StoreError> {
        self.file.set_len(self.end).map_err(StoreError::disk(&self.path, "truncate"))?;
        self.reserve(chunk_count);
        self.sync()
    }

    /// Allocates space, so that on a full disk the record of its last chunks still fits. Best effort: not every file system can.
    fn reserve(&self, chunk_count: u32) {
        let len = (RESERVE_LEN_MIN + u64::from(chunk_count) * 8).min(JOURNAL_RESERVE_LEN_MAX);
        if let Err(errno) = self.file.reserve(self.end, len) {
            tracing::debug!(%errno, "no space could be set aside for the journal");
        }
    }
}

/// The manifest in the journal of this folder, if it is intact: a fetch can then continue without asking a peer for it.
pub fn find_manifest(dir: &Path, content: ContentId) -> Option<Manifest> {
    let dir = Dir::open(dir).ok()?;
    let file = dir.open_file(&file_name(content), Access::Read).ok()?;
    let len = file.metadata().ok()?.len().min((HEADER_LEN + MANIFEST_BODY_LEN_MAX) as u64);
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let body = Bytes::copy_from_slice(read_header(&bytes)?);
    Manifest::decode(body).ok().filter(|manifest| manifest.id() == content)
}

/// The manifest in the journal at this path, if it is intact.
pub(super) fn manifest_in(path: &Path) -> Option<Manifest> {
    // Any file may have this name: opening a pipe must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take((HEADER_LEN + MANIFEST_BODY_LEN_MAX) as u64).read_to_end(&mut bytes).ok()?;
    Manifest::decode(Bytes::copy_from_slice(read_header(&bytes)?)).ok()
}

/// Whether a journal of any content may have this name, now or while it is rewritten.
pub(super) fn is_file_name(name: &OsStr) -> bool {
    let name = name.to_str().map(|name| name.strip_suffix(".new").unwrap_or(name));
    let digits = name.and_then(|name| name.strip_prefix(".swarm-")?.strip_suffix(".journal"));
    digits.is_some_and(|digits| digits.len() == 16 && HEXLOWER.decode(digits.as_bytes()).is_ok())
}

/// The contents of another fetch's journal; `None` if it has none yet, or none that can be believed.
pub(super) fn read(file: &File) -> Option<(Manifest, Vec<Record>)> {
    let len = file.metadata().ok()?.len();
    let mut bytes = vec![0; usize::try_from(len).ok().filter(|_| len <= JOURNAL_LEN_MAX)?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let manifest = Manifest::decode(Bytes::copy_from_slice(read_header(&bytes)?)).ok()?;
    let (recovered, _) = recover(&manifest, &bytes);
    (!recovered.doubt).then_some((manifest, recovered.records))
}

/// The journal's name. A content could hold a file of this name only if its author had found a preimage of the content's id.
pub(super) fn file_name(content: ContentId) -> PathBuf {
    PathBuf::from(format!(".swarm-{}.journal", HEXLOWER.encode(&content.as_bytes()[..8])))
}

/// The journal's name while it is rewritten.
fn new_file_name(content: ContentId) -> PathBuf {
    let mut name = file_name(content).into_os_string();
    name.push(".new");
    name.into()
}

/// Opens a file that only this process can hold until it closes it.
pub(super) fn open_locked(dir: &Dir, name: &Path) -> Result<File, StoreError> {
    let path = dir.full(name);
    for _ in 0..LOCK_TRIES_MAX {
        let file = dir.open_file(name, Access::Create)?;
        match file.lock() {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(StoreError::Busy { path, holder: holder_of(&file) }),
            Err(errno) => dir.niceties().note(Nicety::Lock, || path.clone(), errno),
        }
        // The last holder may have removed the file between this open and this lock.
        if file.metadata().map_err(StoreError::disk(&path, "stat"))?.nlink() > 0 {
            return Ok(file);
        }
    }
    Err(StoreError::Busy { path, holder: None })
}

/// Parses the bytes of a journal; returns its contents and the offset of the next record.
pub(super) fn recover(manifest: &Manifest, bytes: &[u8]) -> (Recovered, usize) {
    let existed = !bytes.is_empty();
    let header_len = HEADER_LEN + manifest.body().len();
    if read_header(bytes) != Some(manifest.body().as_ref()) {
        return (Recovered { existed, doubt: existed, records: Vec::new() }, 0);
    }
    let (records, end, doubt) = read_records(manifest.id(), bytes, header_len);
    (Recovered { existed, doubt, records: if doubt { Vec::new() } else { records } }, end)
}

/// The bytes of a record at this offset, split into as many records as its length needs.
pub(super) fn encode_record(content: ContentId, at: u64, record: &Record) -> Vec<u8> {
    let (kind, runs) = match record {
        Record::Durable(runs) => (KIND_DURABLE, runs),
        Record::Ours(runs) => (KIND_OURS, runs),
    };
    let mut bytes = Vec::new();
    for runs in runs.chunks(JOURNAL_RECORD_RUNS_MAX) {
        let mut payload = vec![kind];
        for (first, count) in runs {
            payload.extend(first.to_le_bytes());
            payload.extend(count.to_le_bytes());
        }
        let at = at + bytes.len() as u64;
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(record_sum(content, at, &payload));
        bytes.extend(payload);
    }
    bytes
}

pub(super) fn header(manifest: &Manifest) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + manifest.body().len());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(manifest.id().as_bytes());
    bytes.extend((manifest.body().len() as u32).to_le_bytes());
    bytes.extend(sum(&[&bytes]));
    bytes.extend(manifest.body());
    bytes
}

/// The manifest body, if the header is intact.
pub(super) fn read_header(bytes: &[u8]) -> Option<&[u8]> {
    let (fixed, rest) = bytes.split_at_checked(HEADER_LEN)?;
    let (fixed, stored) = fixed.split_last_chunk::<SUM_LEN>()?;
    let (start, body_len) = fixed.split_last_chunk::<4>()?;
    if *stored != sum(&[fixed]) || !start.starts_with(&MAGIC) || start[8..12] != VERSION.to_le_bytes() {
        return None;
    }
    let body = rest.get(..u32::from_le_bytes(*body_len) as usize)?;
    (blake3::hash(body).as_bytes().as_slice() == &start[12..44]).then_some(body)
}

/// The records from `at` on, the offset of their end, and whether the journal is in doubt.
fn read_records(content: ContentId, bytes: &[u8], at: usize) -> (Vec<Record>, usize, bool) {
    let (mut records, mut at) = (Vec::new(), at);
    while at < bytes.len() {
        match read_record(content, bytes, at) {
            Ok((record, end)) => {
                records.push(record);
                at = end;
            }
            Err(Broken::Torn) => return (records, at, false),
            Err(Broken::Doubt) => return (records, at, true),
        }
    }
    (records, at, false)
}

enum Broken {
    /// The last record is half written.
    Torn,
    /// Damage that a half-written record cannot explain.
    Doubt,
}

fn read_record(content: ContentId, bytes: &[u8], at: usize) -> Result<(Record, usize), Broken> {
    let rest = &bytes[at..];
    let (Some(len), Some(stored)) = (rest.first_chunk::<4>(), rest.get(4..RECORD_HEAD_LEN)) else {
        return Err(Broken::Torn);
    };
    let len = u32::from_le_bytes(*len) as usize;
    if len == 0 && rest.iter().all(|&byte| byte == 0) {
        return Err(Broken::Torn);
    }
    if len == 0 || len > RECORD_LEN_MAX || !(len - 1).is_multiple_of(8) {
        return Err(Broken::Doubt);
    }
    let end = RECORD_HEAD_LEN + len;
    let payload = rest.get(RECORD_HEAD_LEN..end).ok_or(Broken::Torn)?;
    if stored != record_sum(content, at as u64, payload) {
        return Err(if end == rest.len() { Broken::Torn } else { Broken::Doubt });
    }
    let runs = payload[1..].as_chunks::<8>().0.iter().map(|run| {
        let run = u64::from_le_bytes(*run);
        (run as u32, (run >> 32) as u32)
    });
    let record = match payload[0] {
        KIND_DURABLE => Record::Durable(runs.collect()),
        KIND_OURS => Record::Ours(runs.collect()),
        _ => return Err(Broken::Doubt),
    };
    Ok((record, at + end))
}

fn record_sum(content: ContentId, at: u64, payload: &[u8]) -> [u8; SUM_LEN] {
    sum(&[content.as_bytes(), &at.to_le_bytes(), payload])
}

fn sum(parts: &[&[u8]]) -> [u8; SUM_LEN] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes().first_chunk().expect("a hash is longer than a checksum")
}

const MAGIC: [u8; 8] = *b"swarmjnl";
const VERSION: u32 = 1;
const SUM_LEN: usize = 16;
/// Magic, version, content id, body length, checksum.
const HEADER_LEN: usize = 8 + 4 + 32 + 4 + SUM_LEN;
/// Payload length, checksum.
const RECORD_HEAD_LEN: usize = 4 + SUM_LEN;
const RECORD_LEN_MAX: usize = 1 + 8 * JOURNAL_RECORD_RUNS_MAX;
const KIND_DURABLE: u8 = 1;
const KIND_OURS: u8 = 2;
const RESERVE_LEN_MIN: u64 = 64 << 10;
/// A journal is read whole: the longest manifest, and each chunk as a record of its own.
const JOURNAL_LEN_MAX: u64 = (HEADER_LEN + MANIFEST_BODY_LEN_MAX) as u64 + (256 << 20);
const LOCK_TRIES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::manifest::{EntryPath, File as ManifestFile};

    fn manifest() -> Manifest {
        let file = ManifestFile {
            path: EntryPath::new("a").expect("a good path"),
            len: 3,
            executable: false,
            blake3: *blake3::hash(b"abc").as_bytes(),
            sha256: None,
            chunk_len_log2: 0,
            chunk_hashes: bytes::Bytes::new(),
        };
        Manifest::new(vec![file], Vec::new()).expect("a good manifest")
    }

    #[test]
    fn a_header_of_another_kind_or_version_is_not_believed_even_with_a_right_checksum() {
        let good = header(&manifest());
        assert_eq!(read_header(&good), Some(&manifest().body()[..]));
        for at in [0, 7, 8, 11] {
            let mut other = good.clone();
            other[at] ^= 1;
            let right = sum(&[&other[..HEADER_LEN - SUM_LEN]]);
            other[HEADER_LEN - SUM_LEN..HEADER_LEN].copy_from_slice(&right);
            assert_eq!(read_header(&other), None, "byte {at}");
        }
    }

    #[test]
    fn a_header_with_a_wrong_checksum_is_not_believed() {
        let mut other = header(&manifest());
        other[HEADER_LEN - 1] ^= 1;
        assert_eq!(read_header(&other), None);
    }

    /// A journal with these records, and where each ends.
    fn journal(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header(&manifest());
        let mut ends = Vec::new();
        for record in records {
            bytes.extend(encode_record(manifest().id(), bytes.len() as u64, record));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// A record of any payload, with a valid checksum.
    fn record_of(bytes: &[u8], payload: &[u8]) -> Vec<u8> {
        let sum = record_sum(manifest().id(), bytes.len() as u64, payload);
        [&(payload.len() as u32).to_le_bytes()[..], &sum, payload].concat()
    }

    fn sound(records: &[Record]) -> Recovered {
        Recovered { existed: true, doubt: false, records: records.to_vec() }
    }

    const DOUBT: Recovered = Recovered { existed: true, doubt: true, records: Vec::new() };

    #[test]
    fn records_are_recovered_and_an_empty_file_has_none() {
        let records = [
            Record::Ours(vec![(0, 1)]),
            Record::Durable(vec![(0, 1), (4, 2)]),
            Record::Durable(vec![(9, 1)]),
        ];
        let (bytes, ends) = journal(&records);
        assert_eq!(recover(&manifest(), &bytes), (sound(&records), ends[2]));
        assert_eq!(recover(&manifest(), &[]), (Recovered::default(), 0));
        // Runs beyond the limit of one record go into several.
        let long = Record::Durable((0..=JOURNAL_RECORD_RUNS_MAX as u32).map(|run| (2 * run, 1)).collect());
        let (bytes, _) = journal(std::slice::from_ref(&long));
        let (recovered, end) = recover(&manifest(), &bytes);
        assert_eq!((recovered.records.len(), recovered.doubt, end), (2, false, bytes.len()));
    }

    #[test]
    fn a_torn_end_is_cut_off_and_earlier_damage_puts_all_in_doubt() {
        let records = [Record::Ours(vec![(0, 1)]), Record::Durable(vec![(0, 1)])];
        let (bytes, ends) = journal(&records);
        for len in ends[0] + 1..ends[1] {
            assert_eq!(recover(&manifest(), &bytes[..len]), (sound(&records[..1]), ends[0]), "{len}");
        }
        for at in ends[0] + RECORD_HEAD_LEN..ends[1] {
            let mut wrong = bytes.clone();
            wrong[at] ^= 4;
            assert_eq!(recover(&manifest(), &wrong), (sound(&records[..1]), ends[0]), "the last, byte {at}");
            wrong.extend(record_of(&wrong, &[KIND_OURS]));
            assert_eq!(recover(&manifest(), &wrong), (DOUBT, ends[0]), "not the last, byte {at}");
        }
        // Allocated space reads as zeros.
        let reserved = [&bytes[..], &[0; 100]].concat();
        assert_eq!(recover(&manifest(), &reserved), (sound(&records), ends[1]));
        let mut scribbled = reserved.clone();
        scribbled[bytes.len() + 50] = 1;
        assert_eq!(recover(&manifest(), &scribbled), (DOUBT, ends[1]));
    }

    #[test]
    fn an_impossible_record_is_doubted_in_spite_of_its_checksum() {
        let (bytes, ends) = journal(&[Record::Ours(vec![(0, 1)])]);
        for payload in
            [&[KIND_DURABLE, 1, 2, 3][..], &[7], &[7, 0, 0, 0, 0, 1, 0, 0, 0], &[0; RECORD_LEN_MAX + 8]]
        {
            let wrong = [&bytes[..], &record_of(&bytes, payload)].concat();
            assert_eq!(recover(&manifest(), &wrong), (DOUBT, ends[0]), "{} bytes", payload.len());
        }
        // A valid record of another place.
        let moved = [&bytes[..], &record_of(&[], &[KIND_OURS]), &[1]].concat();
        assert_eq!(recover(&manifest(), &moved), (DOUBT, ends[0]));
        // An empty record, and the longest.
        let empty = [&bytes[..], &record_of(&bytes, &[KIND_OURS])].concat();
        let records = [Record::Ours(vec![(0, 1)]), Record::Ours(Vec::new())];
        assert_eq!(recover(&manifest(), &empty).0, sound(&records));
        let mut payload = vec![KIND_DURABLE];
        payload.resize(RECORD_LEN_MAX, 0);
        let longest = [&bytes[..], &record_of(&bytes, &payload)].concat();
        assert_eq!(recover(&manifest(), &longest).0.records.len(), 2);
    }

    #[test]
    fn a_journal_beyond_its_length_limit_is_doubted_and_rewritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = Dir::create(folder.path()).expect("a folder");
        let file = dir.open_file(&file_name(manifest().id()), Access::Create).expect("a file");
        // A hole: it takes no space.
        file.set_len(JOURNAL_LEN_MAX + 1).expect("a long file");
        drop(file);
        let (mut journal, recovered) = Journal::open(&dir, &manifest()).expect("it can be opened");
        assert_eq!(recovered, DOUBT);
        journal.rewrite(&dir, &manifest(), &[Record::Durable(vec![(0, 1)])]).expect("there is room");
        drop(journal);
        let (_, recovered) = Journal::open(&dir, &manifest()).expect("it can be opened");
        assert_eq!(recovered, sound(&[Record::Durable(vec![(0, 1)])]));
        assert_eq!(find_manifest(folder.path(), manifest().id()), Some(manifest()));
        assert_eq!(find_manifest(folder.path(), ContentId::from_bytes([9; 32])), None);
    }
}
