//! The data and the folders of a run. The same bytes at every run, and incompressible.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder in which everything happens.
pub(crate) struct World {
    dir: PathBuf,
}

/// The data of a case: a folder with one film or many small files.
pub(crate) struct Data {
    /// The folder that is served.
    pub(crate) dir: PathBuf,
    /// Name in `dir` of the entry that is fetched.
    pub(crate) name: String,
    pub(crate) len: u64,
    digest: [u8; 32],
}

impl World {
    pub(crate) fn new(dir: &Path) -> Self {
        fs::create_dir_all(dir).expect("a folder for the data");
        Self { dir: dir.canonicalize().expect("it was just made") }
    }

    /// A folder for one contender's state; empty.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        let dir = self.dir.join("state").join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a folder for state");
        dir
    }

    /// The folder that is fetched into: empty, with nothing of earlier runs still being written. Many small files are only moved
    /// aside: for minutes after a hundred thousand were removed, ext4 creates new ones far more slowly.
    pub(crate) fn fresh_out(&self) -> PathBuf {
        let out = self.out();
        if walkdir::WalkDir::new(&out).into_iter().take(MANY).count() < MANY {
            let _ = fs::remove_dir_all(&out);
        } else {
            let aside = self.aside();
            fs::create_dir_all(&aside).expect("a folder to put things aside");
            let count = fs::read_dir(&aside).map_or(0, Iterator::count);
            fs::rename(&out, aside.join(count.to_string())).expect("it is on the same disk");
        }
        fs::create_dir_all(&out).expect("a folder to fetch into");
        let _ = Command::new("sync").status();
        out
    }

    /// Removes what was fetched.
    pub(crate) fn clean(&self) {
        for dir in [self.out(), self.aside()] {
            let _ = fs::remove_dir_all(dir);
        }
    }

    fn aside(&self) -> PathBuf {
        self.dir.join("aside")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.dir.join("out")
    }

    /// One file of this length.
    pub(crate) fn film(&self, len: u64) -> Data {
        let dir = self.dir.join(format!("film-{len}"));
        let path = dir.join("film.bin");
        if fs::metadata(&path).map(|meta| meta.len()).ok() != Some(len) {
            fs::create_dir_all(&dir).expect("a folder for the film");
            let mut file = File::create(&path).expect("room on the disk");
            io::copy(&mut noise(len).take(len), &mut file).expect("room on the disk");
        }
        Data::of(dir, "film.bin", len)
    }

    /// Many files of 4 KiB, a thousand to a folder.
    pub(crate) fn small_files(&self, count: u64) -> Data {
        let dir = self.dir.join(format!("small-{count}"));
        let name = "small";
        if !dir.join("complete").exists() {
            let mut bytes = noise(count);
            let mut page = vec![0; SMALL_LEN as usize];
            for number in 0..count {
                let folder = dir.join(name).join(format!("{:03}", number / 1000));
                fs::create_dir_all(&folder).expect("a folder for small files");
                bytes.read_exact(&mut page).expect("it has no end");
                fs::write(folder.join(format!("{number:06}.bin")), &page).expect("room on the disk");
            }
            File::create(dir.join("complete")).expect("room on the disk");
        }
        Data::of(dir, name, count * SMALL_LEN)
    }
}

impl Data {
    /// Hashes the data, which also brings it into the page cache.
    fn of(dir: PathBuf, name: &str, len: u64) -> Self {
        let digest = digest(&dir.join(name));
        Self { dir, name: name.to_owned(), len, digest }
    }

    /// Brings evicted data back into the page cache.
    pub(crate) fn warm(&self) {
        let mut bytes = vec![0; 1 << 20];
        for entry in
            walkdir::WalkDir::new(self.path()).into_iter().flatten().filter(|e| e.file_type().is_file())
        {
            let mut file = File::open(entry.path()).expect("what was written can be read");
            while file.read(&mut bytes).expect("what was written can be read") > 0 {}
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// Compares the fetched data; an error names the difference.
    pub(crate) fn check(&self, out: &Path) -> Result<(), String> {
        let fetched = out.join(&self.name);
        if !fetched.exists() {
            return Err(format!("{} is not there", fetched.to_string_lossy()));
        }
        if digest(&fetched) == self.digest {
            Ok(())
        } else {
            Err("what was fetched is not what was served".to_owned())
        }
    }
}

/// Hash of a file, or of all files below a folder with their names.
fn digest(path: &Path) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
        let entry = entry.expect("what was written can be listed");
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(path).expect("it is below");
            hasher.update(name.as_os_str().as_encoded_bytes());
            let mut file = File::open(entry.path()).expect("what was written can be read");
            let mut bytes = vec![0; 1 << 20];
            loop {
                let len = file.read(&mut bytes).expect("what was written can be read");
                if len == 0 {
                    break;
                }
                hasher.update(&bytes[..len]);
            }
        }
    }
    *hasher.finalize().as_bytes()
}

fn noise(seed: u64) -> impl io::Read {
    let mut hasher = blake3::Hasher::new();
    hasher.write_all(&seed.to_le_bytes()).expect("a hasher takes all");
    io::BufReader::with_capacity(1 << 20, hasher.finalize_xof())
}

const SMALL_LEN: u64 = 4096;
const MANY: usize = 1000;
