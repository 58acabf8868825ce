//! Files: made of reproducible random bytes, damaged, compared.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

/// `len` bytes that `name` decides.
pub fn random(name: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A file of `len` bytes that `name` decides.
pub(crate) fn random_file(path: &Path, len: u64, name: &str) {
    let mut stream = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
    let mut file = File::create(path).expect("the place is free");
    let mut block = vec![0; BLOCK_LEN];
    let mut left = len;
    while left > 0 {
        let part = left.min(BLOCK_LEN as u64) as usize;
        stream.fill(&mut block[..part]);
        file.write_all(&block[..part]).expect("the disk has room");
        left -= part as u64;
    }
}

/// Changes one byte in place.
pub fn flip_byte(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).expect("it is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("it is long enough");
    file.write_all_at(&[!byte[0]], at).expect("it can be written");
}

/// A copy with holes: only the chunks (of 1 MiB) that `is_held` names have their bytes.
pub fn copy_some_chunks(from: &Path, to: &Path, is_held: impl Fn(u64) -> bool) {
    std::fs::create_dir_all(to.parent().expect("it has one")).expect("a folder");
    let (from, to) = (File::open(from).expect("it is there"), File::create(to).expect("a place"));
    let len = from.metadata().expect("it is open").len();
    to.set_len(len).expect("the disk has room");
    let mut chunk = vec![0; 1 << 20];
    for index in (0..len.div_ceil(1 << 20)).filter(|index| is_held(*index)) {
        let part = (len - (index << 20)).min(1 << 20) as usize;
        from.read_exact_at(&mut chunk[..part], index << 20).expect("it is long enough");
        to.write_all_at(&chunk[..part], index << 20).expect("the disk has room");
    }
}

/// Both hold the same bytes.
pub fn assert_same_file(one: &Path, other: &Path) {
    let open =
        |path: &Path| File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.to_string_lossy()));
    let (mut a, mut b) = (open(one), open(other));
    let len = |file: &File| file.metadata().expect("it is open").len();
    assert_eq!(len(&a), len(&b), "{} and {}", one.to_string_lossy(), other.to_string_lossy());
    let (mut of_a, mut of_b) = (vec![0; BLOCK_LEN], vec![0; BLOCK_LEN]);
    let mut left = len(&a);
    while left > 0 {
        let part = left.min(BLOCK_LEN as u64) as usize;
        a.read_exact(&mut of_a[..part]).expect("it is long enough");
        b.read_exact(&mut of_b[..part]).expect("it is long enough");
        assert!(
            of_a[..part] == of_b[..part],
            "{} differs from {}",
            one.to_string_lossy(),
            other.to_string_lossy()
        );
        left -= part as u64;
    }
}

/// Everything below a folder: kinds, executable bits and bytes, but no times and no other bits.
#[derive(Debug, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<String, Entry>);

/// The entry at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    Folder,
    File { is_executable: bool, len: u64, blake3: blake3::Hash },
    Other,
}

impl Tree {
    pub fn of(root: &Path) -> Self {
        let mut entries = BTreeMap::new();
        for found in walkdir::WalkDir::new(root).min_depth(1) {
            let found = found.expect("the folder can be read");
            let path = found.path().strip_prefix(root).expect("it is below").to_str().expect("UTF-8");
            entries.insert(path.to_owned(), Entry::of(found.path()));
        }
        Self(entries)
    }
}

impl Entry {
    fn of(path: &Path) -> Self {
        let metadata = path.symlink_metadata().expect("it is there");
        if metadata.is_dir() {
            return Self::Folder;
        }
        if !metadata.is_file() {
            return Self::Other;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path).expect("it can be read")).expect("it can be read");
        let is_executable = metadata.permissions().mode() & 0o100 != 0;
        Self::File { is_executable, len: metadata.len(), blake3: hasher.finalize() }
    }
}

const BLOCK_LEN: usize = 1 << 20;
