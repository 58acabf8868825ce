//! The decoders of this room, for those who try them with any bytes: the fuzz targets and their replay. Nothing else uses this.

use super::cache;
use super::journal::{self, Record};
use super::resume;
use swarm_core::manifest::Manifest;

/// What the bytes of a journal say.
#[derive(Debug, PartialEq, Eq)]
pub struct Recovery {
    /// There was a journal.
    pub existed: bool,
    /// Nothing it says is believed.
    pub doubt: bool,
    /// Each record: whether it is of files, and its runs of `(first, count)`.
    pub records: Vec<(bool, Vec<(u32, u32)>)>,
    /// Bytes up to where the next record goes.
    pub end: usize,
}

/// Reads the journal of a content.
pub fn recover(manifest: &Manifest, bytes: &[u8]) -> Recovery {
    let (recovered, end) = journal::recover(manifest, bytes);
    let records = recovered.records.into_iter().map(|record| match record {
        Record::Durable(runs) => (false, runs),
        Record::Ours(runs) => (true, runs),
    });
    Recovery { existed: recovered.existed, doubt: recovered.doubt, records: records.collect(), end }
}

/// The journal of a content with these records, as it is written.
pub fn journal(manifest: &Manifest, records: &[(bool, Vec<(u32, u32)>)]) -> Vec<u8> {
    let mut bytes = journal::header(manifest);
    for (is_of_files, runs) in records {
        let record = if *is_of_files { Record::Ours(runs.clone()) } else { Record::Durable(runs.clone()) };
        bytes.extend(journal::encode_record(manifest.id(), bytes.len() as u64, &record));
    }
    bytes
}

/// The manifest body in the header of a journal.
pub fn journal_body(bytes: &[u8]) -> Option<&[u8]> {
    journal::read_header(bytes)
}

/// The numbers below `len` that runs name; `None` if they are not believed.
pub fn claimed(runs: &[(u32, u32)], len: u32) -> Option<Vec<u32>> {
    resume::claimed(runs, len)
}

/// What an index cache file says, written again.
pub fn index_cache(bytes: &[u8]) -> Option<Vec<u8>> {
    cache::rewritten(bytes)
}
