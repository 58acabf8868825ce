//! How paths and entries stand in rows. Invariant: what is read is a valid path or entry, or the file is damaged.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use swarm_sync::limits::LINK_LEN_MAX;
use swarm_sync::{BaseEntry, ContentHash, Entry, FileContent, FileId, Kind, PerSide, Stamp, TreePath};

use crate::error::Fault;

/// A path as a key: with NUL for the slash, so that SQLite's order of blobs is the order of paths.
pub(crate) fn key_of(path: &TreePath) -> Vec<u8> {
    path.as_str().bytes().map(|byte| if byte == b'/' { 0 } else { byte }).collect()
}

/// The path of a key.
pub(crate) fn path_of(key: &[u8]) -> Result<TreePath, Fault> {
    let bytes = key.iter().map(|byte| if *byte == 0 { b'/' } else { *byte }).collect();
    let text = String::from_utf8(bytes).map_err(|_| Fault::Damaged("a path is not UTF-8"))?;
    TreePath::new(text).map_err(|_| Fault::Damaged("a path is none"))
}

/// The keys at and below a path are those from its own to this one, exclusive: after a NUL comes 1.
pub(crate) fn end_of(key: &[u8]) -> Vec<u8> {
    [key, &[1]].concat()
}

/// The smallest key after this one: its own with a NUL.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// No key is as great as this: UTF-8 has no such byte.
pub(crate) const END: &[u8] = &[0xff];

/// An entry's kind as three columns.
pub(crate) struct KindColumns<'a> {
    pub(crate) kind: i64,
    pub(crate) len: Option<i64>,
    /// The hash of a file, the target of a link.
    pub(crate) content: Option<&'a [u8]>,
}

impl<'a> KindColumns<'a> {
    pub(crate) fn of(kind: &'a Kind) -> Self {
        match kind {
            Kind::Folder => Self { kind: FOLDER, len: None, content: None },
            Kind::File(content) => Self {
                kind: if content.executable { EXECUTABLE } else { FILE },
                len: Some(content.len.cast_signed()),
                content: Some(&content.hash.0),
            },
            Kind::Symlink { target } => Self { kind: LINK, len: None, content: Some(target.as_bytes()) },
        }
    }
}

/// Columns of an entry: kind, len, content, modified_ns, device, inode, changed_ns.
pub(crate) const ENTRY_COLUMNS: usize = 7;

/// The entry in the columns from `at` on; `None` if they are all NULL, as an outer join makes them.
pub(crate) fn entry_at(row: &Row<'_>, at: usize) -> Result<Option<Entry>, Fault> {
    let Some(kind) = kind_at(row, at)? else { return Ok(None) };
    let modified_ns = row.get_ref(at + 3)?.as_i64()?;
    let stamp = Stamp { id: id_at(row, at + 4)?, changed_ns: row.get_ref(at + 6)?.as_i64()? };
    Ok(Some(Entry { kind, modified_ns, stamp }))
}

/// The base entry in the columns from `at` on: kind, len, content, modified_ns, then device and inode of each side.
pub(crate) fn base_at(row: &Row<'_>, at: usize) -> Result<Option<BaseEntry>, Fault> {
    let Some(kind) = kind_at(row, at)? else { return Ok(None) };
    let modified_ns = row.get_ref(at + 3)?.as_i64()?;
    let ids = PerSide { local: id_at(row, at + 4)?, remote: id_at(row, at + 6)? };
    Ok(Some(BaseEntry { kind, modified_ns, ids }))
}

pub(crate) fn kind_at(row: &Row<'_>, at: usize) -> Result<Option<Kind>, Fault> {
    let Some(kind) = row.get_ref(at)?.as_i64_or_null()? else { return Ok(None) };
    match kind {
        FOLDER => Ok(Some(Kind::Folder)),
        FILE | EXECUTABLE => {
            let len = row.get_ref(at + 1)?.as_i64()?.cast_unsigned();
            let hash = hash_of(row.get_ref(at + 2)?)?;
            Ok(Some(Kind::File(FileContent { len, hash, executable: kind == EXECUTABLE })))
        }
        LINK => {
            let target = row.get_ref(at + 2)?.as_blob()?;
            let target = str::from_utf8(target).ok().filter(|target| target.len() <= LINK_LEN_MAX);
            let target = target.ok_or(Fault::Damaged("the target of a link is none"))?;
            Ok(Some(Kind::Symlink { target: target.into() }))
        }
        _ => Err(Fault::Damaged("an entry has an unknown kind")),
    }
}

/// The hash in a value.
pub(crate) fn hash_of(value: ValueRef<'_>) -> Result<ContentHash, Fault> {
    let hash = value.as_blob()?.try_into().map_err(|_| Fault::Damaged("a hash has another length"))?;
    Ok(ContentHash(hash))
}

fn id_at(row: &Row<'_>, at: usize) -> Result<Option<FileId>, Fault> {
    let device = row.get_ref(at)?.as_i64_or_null()?;
    let inode = row.get_ref(at + 1)?.as_i64_or_null()?;
    match (device, inode) {
        (Some(device), Some(inode)) => {
            Ok(Some(FileId { device: device.cast_unsigned(), inode: inode.cast_unsigned() }))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(Fault::Damaged("half of a file's number is missing")),
    }
}

/// Reads the rows of a cursor in the order of their keys. A damaged file may hold them in another order: a cursor that goes on after
/// its last key would never end, and a plan would be wrong.
#[derive(Default)]
pub(crate) struct InOrder {
    last: Vec<u8>,
}

impl InOrder {
    /// Takes the next key.
    pub(crate) fn take(&mut self, key: &[u8]) -> Result<(), Fault> {
        if key <= self.last.as_slice() {
            return Err(Fault::Damaged("paths are out of order"));
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        Ok(())
    }

    /// The key that was taken last; empty before the first.
    pub(crate) fn last(&self) -> &[u8] {
        &self.last
    }
}

/// Zero and one take no byte in a row.
const FOLDER: i64 = 0;
const FILE: i64 = 1;
const EXECUTABLE: i64 = 2;
const LINK: i64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_paths_do() {
        let mut paths: Vec<_> = ["a-b", "a/c", "a", "a!", "a/b/z", "a/b", "b", "a\u{1}", "é/x", "é"]
            .map(|text| TreePath::new(text).expect("a path"))
            .into();
        paths.sort();
        let keys: Vec<_> = paths.iter().map(key_of).collect();
        assert!(keys.is_sorted());
        assert!(keys.iter().all(|key| key.as_slice() < END));
        for (path, key) in paths.iter().zip(&keys) {
            assert_eq!(path_of(key).expect("a key"), *path);
            for (other, other_key) in paths.iter().zip(&keys) {
                let is_in = other_key >= key && *other_key < end_of(key);
                assert_eq!(other.is_at_or_below(path), is_in, "{other} in {path}");
                assert_eq!(other_key > key, *other_key >= after(key));
            }
        }
    }
}
