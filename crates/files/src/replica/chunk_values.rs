//! The BLAKE3 values of the chunks of long files, by content: two lists of them tell which chunks of two versions differ, and no version
//! has to be read for that. They stay in a folder between runs. Invariant: a list is used only if it combines into the content's hash,
//! so the folder may be damaged or removed at any time.

use std::cmp::Reverse;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use blake3::hazmat::HasherExt as _;
use swarm_core::manifest::{Hash, combine_chunk_values};
use swarm_sync::ContentHash;

/// The values of all chunks of a file, in their order. Each chunk but the last has [`CHUNK_LEN`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChunkValues {
    len: u64,
    values: Vec<Hash>,
}

impl ChunkValues {
    /// The values of a file of this length; `None` unless there are as many as it has chunks, and two at least.
    pub(super) fn new(len: u64, values: Vec<Hash>) -> Option<(Self, ContentHash)> {
        let hash = combine_chunk_values(len, CHUNK_LEN_LOG2, &values)?;
        Some((Self { len, values }, ContentHash(hash)))
    }

    /// The numbers of the chunks that another version does not have at the same place, and what proves each.
    pub(super) fn missing_from(&self, other: &Self) -> Vec<(u64, Hash)> {
        let numbered = (0..).zip(&self.values);
        let differs = |number: u64, value: &Hash| {
            usize::try_from(number).ok().and_then(|number| other.values.get(number)) != Some(value)
        };
        numbered
            .filter(|(number, value)| differs(*number, value))
            .map(|(number, value)| (number, *value))
            .collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Hash] {
        &self.values
    }

    /// Number of chunks.
    pub(super) fn count(&self) -> usize {
        self.values.len()
    }
}

/// The value of a chunk that begins at an offset of a file with more than one chunk.
pub(super) fn value_of(offset: u64, chunk: &[u8]) -> Hash {
    blake3::Hasher::new().set_input_offset(offset).update(chunk).finalize_non_root()
}

/// Where lists of values are between runs.
#[derive(Clone, Debug)]
pub(super) struct ValueFolder {
    path: PathBuf,
}

impl ValueFolder {
    /// A folder for them alone. It is made when the first list comes.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The values of a content, if they are known.
    pub(super) fn get(&self, hash: &ContentHash, len: u64) -> Option<ChunkValues> {
        let count = usize::try_from(len.div_ceil(CHUNK_LEN)).ok()?;
        let file = File::open(self.path.join(hash.to_string())).ok()?;
        if file.metadata().ok()?.len() != count as u64 * VALUE_LEN {
            return None;
        }
        let mut bytes = vec![0; count * VALUE_LEN as usize];
        io::Read::read_exact(&mut &file, &mut bytes).ok()?;
        let (values, rest) = bytes.as_chunks();
        let (values, proven) = ChunkValues::new(len, values.to_vec()).filter(|_| rest.is_empty())?;
        (proven == *hash).then_some(values)
    }

    /// Remembers the values of a content. Of little use without a disk that can be written: a failure is no error.
    pub(super) fn put(&self, hash: &ContentHash, values: &ChunkValues) {
        if let Err(error) = self.try_put(hash, values) {
            tracing::debug!(%error, "chunk values are not kept");
        }
    }

    fn try_put(&self, hash: &ContentHash, values: &ChunkValues) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        let place = self.path.join(hash.to_string());
        // Both replicas of a pair may come with the same content at once.
        let beside = self.path.join(format!("{hash}.{:?}", std::thread::current().id()));
        fs::write(&beside, values.values.as_flattened())?;
        fs::rename(&beside, &place)?;
        make_room(&self.path)
    }
}

/// Removes the lists that were written longest ago, while all take more than [`KEPT_LEN_MAX`].
fn make_room(folder: &Path) -> io::Result<()> {
    let mut lists = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        lists.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), entry.path()));
    }
    lists.sort_by_key(|(modified, ..)| Reverse(*modified));
    let mut total = 0;
    for (_, len, path) in lists {
        total += len;
        if total > KEPT_LEN_MAX {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

pub(super) const CHUNK_LEN_LOG2: u8 = 16;
/// In bytes. A file of 10 GB has 5 MB of values.
pub(super) const CHUNK_LEN: u64 = 1 << CHUNK_LEN_LOG2;
const VALUE_LEN: u64 = size_of::<Hash>() as u64;
/// Files that are shorter have no values, in bytes: reading them takes no time.
pub(super) const VALUED_LEN_MIN: u64 = 16 << 20;
/// Of all lists, in bytes: half a terabyte of files.
const KEPT_LEN_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn values_of(bytes: &[u8]) -> (ChunkValues, ContentHash) {
        let chunks = bytes.chunks(CHUNK_LEN as usize).zip(0..);
        let values = chunks.map(|(chunk, number)| value_of(number * CHUNK_LEN, chunk)).collect();
        ChunkValues::new(bytes.len() as u64, values).expect("more than one chunk")
    }

    #[test]
    fn the_values_prove_the_content_and_tell_versions_apart() {
        let old: Vec<u8> = (0..300_000_u32).map(|at| (at / 7) as u8).collect();
        let mut new = old.clone();
        new[70_000] ^= 1;
        new.extend([9; 100_000]);
        let (of_old, hash) = values_of(&old);
        assert_eq!(hash, ContentHash::of(&old));
        let (of_new, _) = values_of(&new);
        let missing: Vec<u64> = of_new.missing_from(&of_old).into_iter().map(|(number, _)| number).collect();
        assert_eq!(missing, [1, 4, 5, 6], "what changed, what was cut short, what is new");
        assert!(of_old.missing_from(&of_old).is_empty());
    }

    #[test]
    fn a_list_is_there_later_and_a_damaged_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = ValueFolder::new(folder.path().join("values"));
        let bytes = vec![3; 200_000];
        let (values, hash) = values_of(&bytes);
        assert_eq!(kept.get(&hash, 200_000), None);
        kept.put(&hash, &values);
        assert_eq!(kept.get(&hash, 200_000), Some(values));
        assert_eq!(kept.get(&hash, 100_000), None);
        let place = folder.path().join("values").join(hash.to_string());
        let mut list = fs::read(&place).expect("the list");
        list[40] ^= 1;
        fs::write(&place, list).expect("damaged");
        assert_eq!(kept.get(&hash, 200_000), None);
    }

    #[test]
    fn the_lists_that_were_written_longest_ago_make_room() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, written_secs) in [("old", 300), ("older", 200), ("new", 400)] {
            let file = File::create(folder.path().join(name)).expect("a list");
            file.set_len(KEPT_LEN_MAX / 2).expect("a hole");
            let written = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(written_secs);
            file.set_modified(written).expect("a time");
        }
        make_room(folder.path()).expect("room");
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .expect("listed")
            .map(|entry| entry.expect("one").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["new", "old"]);
    }
}
