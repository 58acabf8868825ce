//! Lets the fuzz targets and their replay reach the decoders of this crate. No other code uses it.

use super::cache;
use super::journal::{self, Record};
use super::resume;
use swarm_core::manifest::Manifest;

/// The contents of a journal.
#[derive(Debug, PartialEq, Eq)]
pub struct Recovery {
    /// There was a journal.
    pub existed: bool,
    /// The journal is damaged, so that nothing in it is believed.
    pub doubt: bool,
    /// Each record: whether it is of files, and its runs of `(first, count)`.
    pub records: Vec<(bool, Vec<(u32, u32)>)>,
    /// Offset of the next record.
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

/// The bytes of a journal with these records.
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

/// The numbers below `len` that runs name; `None` if the runs are invalid.
pub fn claimed(runs: &[(u32, u32)], len: u32) -> Option<Vec<u32>> {
    resume::claimed(runs, len)
}

/// Reads an index cache file and writes it again.
pub fn index_cache(bytes: &[u8]) -> Option<Vec<u8>> {
    cache::rewritten(bytes)
}
