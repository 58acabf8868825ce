//! Records to protobuf and back. Each author of a vector is written once for all records.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::{Message as _, decode_length_delimiter};
use swarm_core::base::NodeId;
use swarm_sync::limits::PATH_LEN_MAX;
use swarm_sync::{ContentHash, FileContent, Kind, TreePath};

use crate::limits::{AUTHORS_MAX, COMMIT_RECORDS_MAX};
use crate::{CommitError, Live, Record, State, Vector, proto};

/// Encodes records.
pub fn encode(records: &[Record]) -> Vec<u8> {
    let mut authors = Authors::default();
    let records = records.iter().map(|record| to_proto(record, &mut authors)).collect();
    let authors = authors.in_order.iter().map(|author| Bytes::copy_from_slice(author.as_bytes())).collect();
    proto::RecordList { authors, records }.encode_to_vec()
}

/// Bytes that a record adds to the encoding, at most.
pub fn encoded_len_max(record: &Record) -> usize {
    to_proto(record, &mut Authors::default()).encoded_len() + record.vector.iter().count() * 40 + 8
}

/// Reads records. They are counted first: an empty one takes two bytes there, and hundreds here.
pub fn decode(encoded: Bytes) -> Result<Vec<Record>, CommitError> {
    let (authors, records) = counts(&encoded).ok_or(CommitError::Schema)?;
    if authors > AUTHORS_MAX {
        return Err(CommitError::Field("authors"));
    }
    if records > COMMIT_RECORDS_MAX {
        return Err(CommitError::Field("records"));
    }
    let list = proto::RecordList::decode(encoded).map_err(|_| CommitError::Schema)?;
    let authors: Option<Vec<NodeId>> = list.authors.iter().map(|bytes| NodeId::from_slice(bytes)).collect();
    let authors = authors.ok_or(CommitError::Field("authors"))?;
    list.records.into_iter().map(|record| from_proto(record, &authors)).collect()
}

/// How many authors and records an encoded list has; `None` if it does not follow the schema.
fn counts(mut encoded: &[u8]) -> Option<(usize, usize)> {
    let (mut authors, mut records) = (0, 0);
    while !encoded.is_empty() {
        let key = decode_length_delimiter(&mut encoded).ok()?;
        authors += usize::from(key == AUTHORS_KEY);
        records += usize::from(key == RECORDS_KEY);
        let len = match key & WIRE_TYPE {
            // A number, which nothing is done with.
            0 => decode_length_delimiter(&mut encoded).ok().map(|_| 0)?,
            1 => 8,
            2 => decode_length_delimiter(&mut encoded).ok()?,
            5 => 4,
            _ => return None,
        };
        encoded = encoded.get(len..)?;
    }
    Some((authors, records))
}

/// The authors of all vectors, by index.
#[derive(Default)]
struct Authors {
    in_order: Vec<NodeId>,
    index: BTreeMap<NodeId, u32>,
}

impl Authors {
    fn index_of(&mut self, author: &NodeId) -> u32 {
        *self.index.entry(*author).or_insert_with(|| {
            self.in_order.push(*author);
            self.in_order.len() as u32 - 1
        })
    }
}

fn to_proto(record: &Record, authors: &mut Authors) -> proto::RecordBody {
    let (vector_authors, vector_counters) =
        record.vector.iter().map(|(author, counter)| (authors.index_of(author), counter)).unzip();
    let mut body = proto::RecordBody {
        path: record.path.as_str().to_owned(),
        kind: KIND_DELETED,
        vector_authors,
        vector_counters,
        parent: record.parent.map(|hash| Bytes::copy_from_slice(&hash.0)).unwrap_or_default(),
        moved_from: record.moved_from.as_ref().map(|path| path.as_str().to_owned()).unwrap_or_default(),
        ..proto::RecordBody::default()
    };
    if let State::Live(live) = &record.state {
        put_live(live, &mut body);
    }
    body
}

fn put_live(live: &Live, body: &mut proto::RecordBody) {
    body.modified_ns = live.modified_ns;
    body.sha256 = live.sha256.map(|hash| Bytes::copy_from_slice(&hash)).unwrap_or_default();
    match &live.kind {
        Kind::File(file) => {
            (body.kind, body.len, body.executable) = (KIND_FILE, file.len, file.executable);
            body.blake3 = Bytes::copy_from_slice(&file.hash.0);
        }
        Kind::Folder => body.kind = KIND_FOLDER,
        Kind::Symlink { target } => {
            (body.kind, body.target) = (KIND_SYMLINK, target.to_string());
        }
    }
}

fn from_proto(body: proto::RecordBody, authors: &[NodeId]) -> Result<Record, CommitError> {
    if body.vector_authors.len() != body.vector_counters.len() || body.vector_authors.is_empty() {
        return Err(CommitError::Field("vector"));
    }
    let author = |index: &u32| authors.get(*index as usize).copied();
    let counters = body.vector_authors.iter().map(author).zip(body.vector_counters.iter().copied());
    let counters: Option<Vec<(NodeId, u64)>> = counters.map(|(author, n)| Some((author?, n))).collect();
    let vector = counters.and_then(Vector::from_counters).ok_or(CommitError::Field("vector"))?;
    let path = |text: String, name| TreePath::new(text).map_err(|_| CommitError::Field(name));
    let state = state_of(&body)?;
    let parent = hash_of(&body.parent, "parent")?.map(ContentHash);
    let moved_from = Some(body.moved_from).filter(|text| !text.is_empty());
    let moved_from = moved_from.map(|text| path(text, "moved_from")).transpose()?;
    Ok(Record { path: path(body.path, "path")?, state, vector, parent, moved_from })
}

fn state_of(body: &proto::RecordBody) -> Result<State, CommitError> {
    let sha256 = hash_of(&body.sha256, "sha256")?;
    let kind = match body.kind {
        KIND_FILE => {
            let hash = hash_of(&body.blake3, "blake3")?.ok_or(CommitError::Field("blake3"))?;
            if body.len > LEN_MAX {
                return Err(CommitError::Field("len"));
            }
            Kind::File(FileContent { len: body.len, hash: ContentHash(hash), executable: body.executable })
        }
        KIND_FOLDER => Kind::Folder,
        KIND_SYMLINK if body.target.is_empty() || body.target.len() > PATH_LEN_MAX => {
            return Err(CommitError::Field("target"));
        }
        KIND_SYMLINK => Kind::Symlink { target: body.target.as_str().into() },
        KIND_DELETED => return Ok(State::Deleted),
        _ => return Err(CommitError::Field("kind")),
    };
    Ok(State::Live(Live { kind, modified_ns: body.modified_ns, sha256 }))
}

fn hash_of(bytes: &Bytes, name: &'static str) -> Result<Option<[u8; 32]>, CommitError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.as_ref().try_into().map(Some).map_err(|_| CommitError::Field(name))
}

/// Number and wire type of the fields of a RecordList.
const AUTHORS_KEY: usize = 1 << 3 | 2;
const RECORDS_KEY: usize = 2 << 3 | 2;
const WIRE_TYPE: usize = 7;
const KIND_FILE: u32 = 1;
const KIND_FOLDER: u32 = 2;
const KIND_SYMLINK: u32 = 3;
const KIND_DELETED: u32 = 4;
/// Longer files exist on no system.
const LEN_MAX: u64 = i64::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Empty authors and records, then what a later version says.
    fn check(authors: usize, records: usize, rest: &[u8], expected: Option<(usize, usize)>) {
        let list = proto::RecordList {
            authors: vec![Bytes::new(); authors],
            records: vec![proto::RecordBody::default(); records],
        };
        let encoded = [&list.encode_to_vec(), rest].concat();
        assert_eq!(counts(&encoded), expected, "{authors} {records} {rest:?}");
    }

    #[test]
    fn records_are_counted_before_they_are_read() {
        check(0, 0, &[], Some((0, 0)));
        check(3, 2, &[], Some((3, 2)));
        // A number, eight bytes, a text and four bytes of fields 9.
        check(1, 1, &[0x48, 0x80, 1], Some((1, 1)));
        check(1, 1, &[0x49, 1, 2, 3, 4, 5, 6, 7, 8], Some((1, 1)));
        check(1, 1, &[0x4a, 2, 0x12, 0], Some((1, 1)));
        check(1, 1, &[0x4d, 1, 2, 3, 4], Some((1, 1)));
        check(1, 1, &[0x12], None);
        check(1, 1, &[0x12, 1], None);
        check(1, 1, &[0x4b, 0x4c], None);
    }

    #[test]
    fn too_many_records_or_authors_are_refused() {
        let refused = |authors, records| {
            let list = proto::RecordList {
                authors: vec![Bytes::new(); authors],
                records: vec![proto::RecordBody::default(); records],
            };
            decode(list.encode_to_vec().into())
        };
        assert_eq!(refused(0, COMMIT_RECORDS_MAX + 1), Err(CommitError::Field("records")));
        assert_eq!(refused(0, COMMIT_RECORDS_MAX), Err(CommitError::Field("vector")));
        assert_eq!(refused(AUTHORS_MAX + 1, 0), Err(CommitError::Field("authors")));
        assert_eq!(refused(0, 0), Ok(vec![]));
    }
}
