//! Names in a folder that other running fetches hold. A fetch claims its names by its locked journal, so a claim ends with its
//! process. Two contents may be fetched into one folder as long as they share no name. Does not know the bytes of chunks.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::dir::{Access, Dir};
use super::file::File;
use super::holder::holder_of;
use super::journal::{self, Record};
use super::resume::claimed;
use super::target_files::{final_path, part_paths};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{FileIndex, Manifest};

/// Refuses a fetch of the `wanted` chunks if a running one holds a name that it needs. The caller must have written its own
/// journal before: of two fetches that start at the same time at least one then sees the other.
pub(super) fn check(dir: &Dir, manifest: &Manifest, wanted: &Bitfield) -> Result<(), StoreError> {
    let mut mine = None;
    for (path, file) in living(dir, manifest) {
        let mine = mine.get_or_insert_with(|| names(manifest, files_of(manifest, wanted)));
        let busy = |path: &Path| StoreError::Busy { path: dir.full(path), holder: holder_of(&file) };
        // A journal that does not list its names may hold any name.
        let theirs = held_by(&file).ok_or_else(|| busy(&path))?;
        if let Some(name) = mine.intersection(&theirs).next() {
            return Err(busy(name));
        }
    }
    Ok(())
}

/// The journals of other contents that a running process has locked. A folder that cannot be listed counts as having none.
fn living(dir: &Dir, manifest: &Manifest) -> Vec<(PathBuf, File)> {
    let own = journal::file_name(manifest.id());
    let others = dir.names(Path::new("")).unwrap_or_default().into_iter().filter(|name| is_journal(name));
    let others = others.map(PathBuf::from).filter(|name| *name != own);
    let opened = others.filter_map(|name| Some((dir.open_file(&name, Access::Read).ok()?, name)));
    opened.filter(|(file, _)| file.is_locked_elsewhere()).map(|(file, name)| (name, file)).collect()
}

fn is_journal(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(".swarm-") && name.ends_with(".journal"))
}

/// Every name that the fetch of this journal writes; `None` if the journal does not list them.
fn held_by(journal: &File) -> Option<BTreeSet<PathBuf>> {
    let (manifest, records) = journal::read(journal)?;
    let held = recorded_files(&manifest, &records)?;
    let geometry = manifest.geometry();
    // The fetch has only started, and has not recorded its names yet.
    let is_unknown = records.is_empty();
    let all = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
    Some(names(&manifest, all.filter(|file| is_unknown || held.contains(file.get() as u32))))
}

/// The files that the records of a journal name, by themselves or by a chunk; `None` if a record fits no such content.
pub(super) fn recorded_files(manifest: &Manifest, records: &[Record]) -> Option<Bitfield> {
    let geometry = manifest.geometry();
    let mut files = Bitfield::new(manifest.files().len() as u32);
    for record in records {
        match record {
            Record::Ours(runs) => claimed(runs, files.len())?.into_iter().for_each(|file| {
                files.insert(file);
            }),
            Record::Durable(runs) => {
                let chunks = claimed(runs, geometry.chunk_count())?.into_iter();
                chunks.filter_map(|chunk| geometry.chunk(chunk)).for_each(|chunk| {
                    files.insert(geometry.span(chunk).file.get() as u32);
                });
            }
        }
    }
    Some(files)
}

fn files_of<'a>(manifest: &'a Manifest, wanted: &'a Bitfield) -> impl Iterator<Item = FileIndex> + 'a {
    let geometry = manifest.geometry();
    let all = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
    all.filter(|file| geometry.file_chunk_range(*file).any(|chunk| wanted.contains(chunk)))
}

fn names(manifest: &Manifest, files: impl Iterator<Item = FileIndex>) -> BTreeSet<PathBuf> {
    files
        .flat_map(|file| [vec![final_path(manifest, file).to_owned()], part_paths(manifest, file)].concat())
        .collect()
}
