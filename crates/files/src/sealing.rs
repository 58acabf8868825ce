//! Makes a sealed content of an index: reads every chunk once more, seals it in memory, and keeps its hash and tag. Writes
//! nothing; a seed seals each chunk again when it reads it.

use std::os::unix::fs::FileExt as _;

use rayon::prelude::*;

use super::hashing::{HashProgress, Meter};
use super::index::{Index, IndexError};
use super::open_files::OpenFiles;
use super::roots::OpenRoots;
use swarm_core::manifest::{ChunkHasher, ChunkIndex, ContentKey, Hash, Manifest, Sealer, Tag};

/// The sealed content of an index, already opened. `progress` is called from hashing threads.
///
/// # Errors
/// If a file can no longer be read, or has changed since it was indexed.
pub fn seal(
    index: &Index,
    key: &ContentKey,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<Manifest, IndexError> {
    let (plain, roots) = (&index.manifest, OpenRoots::new(index.roots.clone()));
    let (sealer, files) = (Sealer::new(plain, key), OpenFiles::default());
    let meter = Meter::new(plain.geometry().content_len(), progress);
    let sealed = |chunk: ChunkIndex| -> Result<(Hash, Tag), IndexError> {
        let span = plain.geometry().span(chunk);
        let entry = &plain.file(span.file).path;
        let path = roots.roots().path(entry);
        let file = files.get(span.file, || roots.open(entry))?;
        let mut data = vec![0; span.len as usize];
        let read = file.read_exact_at(&mut data, span.file_offset);
        if read.is_err() || ChunkHasher::hash(&span, &data) != plain.chunk_hash(chunk) {
            return Err(IndexError::Changed { path });
        }
        meter.add(span.len.into());
        Ok(sealer.seal(chunk, &mut data))
    };
    let chunks: Vec<ChunkIndex> = plain.geometry().chunks().collect();
    let proofs = chunks.into_par_iter().with_max_len(1).map(sealed).collect::<Result<Vec<_>, _>>()?;
    Ok(sealer.finish(&proofs)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{IndexOptions, SeedStore, Store, TargetOptions, TargetStore, Verdict, index as index_of};
    use swarm_core::base::Bitfield;

    const NOTE: &str = "the butler did it";

    fn key() -> ContentKey {
        ContentKey::from_bytes([7; 32])
    }

    /// A folder with a film and a note, and their sealed content.
    fn source() -> (tempfile::TempDir, Index, Manifest) {
        let folder = tempfile::tempdir().expect("a folder");
        let film: Vec<u8> = (0..3_000_000u32).flat_map(|i| i.to_le_bytes()).collect();
        fs::create_dir(folder.path().join("c")).expect("made");
        fs::write(folder.path().join("c/film"), &film).expect("written");
        fs::write(folder.path().join("c/note"), NOTE).expect("written");
        let index =
            index_of(&[folder.path().join("c")], &IndexOptions::default(), None, &|_| {}).expect("indexed");
        let sealed = seal(&index, &key(), &|_| {}).expect("sealed");
        (folder, index, sealed)
    }

    /// Copies every chunk, some in slices, from a store to one in `out`.
    fn fetch(from: &dyn Store, manifest: &Manifest, out: &Path) -> TargetStore {
        let all = Bitfield::full(manifest.geometry().chunk_count());
        let opened = TargetStore::open(out, manifest.clone(), all, TargetOptions::default(), &|_| {});
        let (to, _) = opened.expect("an empty folder");
        for chunk in manifest.geometry().chunks() {
            let mut data = vec![0; manifest.geometry().chunk_len(chunk) as usize];
            from.read(chunk, 0, &mut data).expect("it is there");
            if chunk.get() % 2 == 0 {
                assert_eq!(to.write_chunk(chunk, &data).expect("written"), Verdict::Verified);
            } else {
                let half = data.len() / 2;
                to.keep_slice(chunk, half as u32, &data[half..]).expect("kept");
                to.keep_slice(chunk, 0, &data[..half]).expect("kept");
                assert_eq!(to.verify_kept(chunk).expect("read"), Verdict::Verified);
            }
        }
        to.finish().expect("all is there");
        to
    }

    /// Whether any file below a folder holds these words; shorter words could occur in random bytes by chance.
    fn holds(folder: &Path, words: &str) -> bool {
        let mut entries = walkdir::WalkDir::new(folder).into_iter().flatten();
        entries.any(|entry| {
            entry.file_type().is_file()
                && fs::read(entry.path())
                    .expect("a file")
                    .windows(words.len())
                    .any(|part| part == words.as_bytes())
        })
    }

    fn is_named(folder: &Path, word: &str) -> bool {
        let mut entries = walkdir::WalkDir::new(folder).min_depth(1).into_iter().flatten();
        entries.any(|entry| entry.file_name().to_string_lossy().contains(word))
    }

    #[test]
    fn a_mirror_without_the_key_serves_what_it_cannot_read() {
        let (folder, index, sealed) = source();
        let all = Bitfield::full(sealed.geometry().chunk_count());
        let seed = SeedStore::new(sealed.clone(), index.roots, all, || UNIX_EPOCH);
        let shut = Manifest::decode(sealed.body().clone()).expect("our own");
        let (mirror_dir, reader_dir) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let mirror = fetch(&seed, &shut, mirror_dir.path());
        assert!(!holds(mirror_dir.path(), NOTE) && !is_named(mirror_dir.path(), "film"));
        let opened = shut.opened(&key()).expect("the right key");
        let reader = fetch(&mirror, &opened, reader_dir.path());
        for name in ["c/film", "c/note"] {
            let [ours, theirs] =
                [reader_dir.path(), folder.path()].map(|dir| fs::read(dir.join(name)).expect("a file"));
            assert!(ours == theirs, "{name}");
        }
        // The reader serves its chunks sealed, at the first read and from the verified state.
        let again = tempfile::tempdir().expect("a folder");
        fetch(&reader, &shut, again.path());
        assert!(!holds(again.path(), NOTE));
    }

    #[test]
    fn a_reader_goes_on_where_it_was_stopped() {
        let (_folder, index, sealed) = source();
        let all = Bitfield::full(sealed.geometry().chunk_count());
        let seed = SeedStore::new(sealed.clone(), index.roots, all.clone(), || UNIX_EPOCH);
        let out = tempfile::tempdir().expect("a folder");
        let open =
            || TargetStore::open(out.path(), sealed.clone(), all.clone(), TargetOptions::default(), &|_| {});
        let (to, _) = open().expect("an empty folder");
        let first = sealed.geometry().chunk(0).expect("there");
        let mut data = vec![0; sealed.geometry().chunk_len(first) as usize];
        seed.read(first, 0, &mut data).expect("there");
        assert_eq!(to.write_chunk(first, &data).expect("written"), Verdict::Verified);
        to.flush().expect("flushed");
        drop(to);
        let (_, found) = open().expect("its own folder");
        assert!(found.resumed && !found.doubted);
        assert_eq!(found.durable.iter().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn what_changed_since_it_was_indexed_is_not_sealed() {
        let (folder, index, _) = source();
        fs::write(folder.path().join("c/note"), "the butler did IT").expect("written");
        assert!(matches!(seal(&index, &key(), &|_| {}), Err(IndexError::Changed { .. })));
    }
}
