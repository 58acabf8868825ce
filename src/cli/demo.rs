//! `swarm demo`: several seed processes, none with all chunks, feed one fetch; one of them dies midway.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::args::{DemoArgs, DownLimitArgs, FetchArgs, FindArgs, Global, LimitArgs, Peer, TrustArgs};
use super::failure::{Exit, Failure};
use super::fetch;
use super::manifest::{index_paths, write_manifest};
use super::output;
use super::setup::Interrupts;
use super::source::manifest_file;
use swarm_core::base::{ByteLen, Category, Shown};
use swarm_core::manifest::{Manifest, ManifestFile, Ticket};
use swarm_engine::ContentSnapshot;
use swarm_files::{IndexOptions, free_len, scan};

pub(super) async fn run(args: DemoArgs, _global: &Global) -> Result<(), Failure> {
    if args.team {
        return super::demo_team::run(&args.dir.unwrap_or_else(std::env::temp_dir)).await;
    }
    let mut interrupts = Interrupts::catch()?;
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_interrupted);
    let mut preparing = tokio::task::spawn_blocking(move || Demo::prepare(args, flag));
    let prepared = tokio::select! {
        prepared = &mut preparing => prepared,
        () = interrupts.next() => {
            is_interrupted.store(true, Ordering::Relaxed);
            // It ends soon, and only then nothing new is made in the folder; unless the system holds it.
            tokio::time::timeout(END_TIMEOUT, preparing).await.map_err(|_| interrupted())?
        }
    };
    let bug = |_| Failure::new(Category::Other, "preparing the demo failed: this is a bug, please report it");
    let mut demo = prepared.map_err(bug)??;
    tokio::select! {
        biased;
        // It may have come with the end of the preparation. From here on the fetch looks out for it.
        () = interrupts.next() => return Err(interrupted()),
        () = std::future::ready(()) => {}
    }
    let result = demo.play(&mut interrupts).await;
    demo.end();
    result.map_err(
        |failure| if failure.exit == Exit::from(Category::Interrupted) { interrupted() } else { failure },
    )
}

fn interrupted() -> Failure {
    Failure::new(Category::Interrupted, "interrupted; what the demo made is removed")
}

struct Demo {
    args: DemoArgs,
    folder: Folder,
    seeds: Vec<Child>,
    peers: Vec<Peer>,
    is_interrupted: Arc<AtomicBool>,
}

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Demo {
    /// Makes the file, the copies with holes and the seeds.
    fn prepare(args: DemoArgs, is_interrupted: Arc<AtomicBool>) -> Result<Self, Failure> {
        let base = args.dir.clone().unwrap_or_else(std::env::temp_dir);
        let path = base.join(format!("swarm-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| disk("make", &path, &error))?;
        let mut demo =
            Self { args, folder: Folder(path), seeds: Vec::new(), peers: Vec::new(), is_interrupted };
        demo.check_space()?;
        demo.start_seeds()?;
        Ok(demo)
    }

    fn check_interrupted(&self) -> Result<(), Failure> {
        if self.is_interrupted.load(Ordering::Relaxed) { Err(interrupted()) } else { Ok(()) }
    }

    fn check_space(&self) -> Result<(), Failure> {
        let (file_len, is_made) = match &self.args.file {
            Some(path) => {
                let metadata =
                    std::fs::metadata(path).map_err(|error| Failure::file("read", path, &error))?;
                (metadata.len(), 0)
            }
            None => (self.args.len.0, 1),
        };
        // The file if it is made, every chunk in two seeds, and the fetched copy.
        let needed_len = file_len.saturating_mul(is_made + 3);
        match free_len(&self.folder.0) {
            Some(free) if free < needed_len => {
                let at = Shown(&self.folder.0);
                let message = format!(
                    "the demo needs {} at {at}, {} are free: choose a shorter --len or another --dir",
                    ByteLen(needed_len),
                    ByteLen(free)
                );
                Err(Failure::new(Category::Disk, message))
            }
            _ => Ok(()),
        }
    }

    fn start_seeds(&mut self) -> Result<(), Failure> {
        let original = self.original()?;
        let demo_state = self.state();
        let manifest =
            index_paths((std::slice::from_ref(&original), &[]), IndexOptions::default(), &demo_state, false)?
                .manifest;
        if manifest.geometry().chunk_count() < self.args.seeds {
            return Err(Failure::new(
                Category::Usage,
                "the file has fewer chunks than there are seeds: take a longer one or fewer --seeds",
            ));
        }
        write_manifest(&self.manifest_path(), &ManifestFile::new(manifest.clone()))?;
        for number in 0..self.args.seeds {
            let copy = self.partial_copy(number, &original, &manifest)?;
            let ticket = self.start_seed(&copy, &self.manifest_path())?;
            self.peers.push(Peer::Ticket(ticket));
        }
        let first = self.args.seeds;
        output::note(format_args!(
            "{first} seed processes run, each with {} of {} chunks; the last one dies at 40 %",
            chunks_of(0, first, &manifest),
            manifest.geometry().chunk_count()
        ));
        self.check_interrupted()
    }

    async fn play(&mut self, interrupts: &mut Interrupts) -> Result<(), Failure> {
        let out = self.folder.0.join("fetched");
        let args = fetch_args(&self.manifest_path(), &out, std::mem::take(&mut self.peers));
        let doomed = self.seeds.pop();
        let mut killer = Killer { doomed };
        fetch::fetch(args, &self.state(), interrupts, &mut |content| killer.observe(content)).await?;
        let manifest = manifest_file(&self.manifest_path())?.manifest;
        let found = scan(&manifest, &out, &|_| {})?;
        let digest = manifest.files().first().map(|file| data_encoding::HEXLOWER.encode(&file.blake3));
        if !found.is_whole() {
            return Err(Failure::new(
                Category::Integrity,
                "the fetched file differs from the original: this is a bug, please report it",
            ));
        }
        output::note(format_args!(
            "read back and compared: identical to the original, BLAKE3 {}",
            digest.unwrap_or_default()
        ));
        Ok(())
    }

    fn manifest_path(&self) -> PathBuf {
        self.folder.0.join("demo.swarm")
    }

    /// Keys and hashes of the demo stay in its own folder.
    fn state(&self) -> Global {
        Global { verbose: 0, state_dir: Some(self.folder.0.join("state")), key: None }
    }

    fn original(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.args.file {
            return Ok(path.clone());
        }
        let path = self.folder.0.join("film.bin");
        output::note(format_args!("making {} of random bytes in {}", self.args.len, Shown(&self.folder.0)));
        let mut left = self.args.len.0;
        let mut file = File::create(&path).map_err(|error| disk("make", &path, &error))?;
        let mut random = random();
        let mut block = vec![0; 1 << 20];
        while left > 0 {
            self.check_interrupted()?;
            random.fill(&mut block);
            let part = &block[..block.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            file.write_all(part).map_err(|error| disk("write", &path, &error))?;
            left -= part.len() as u64;
        }
        Ok(path)
    }

    /// A copy with holes: each chunk is in two of the seeds, so that one may die and yet none has everything.
    fn partial_copy(&self, number: u32, original: &Path, manifest: &Manifest) -> Result<PathBuf, Failure> {
        let name = original.file_name().unwrap_or_default();
        let folder = self.folder.0.join(format!("seed-{}", number + 1));
        let path = folder.join(name);
        let failed = |error: std::io::Error| disk("copy", &path, &error);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let (from, to) = (File::open(original).map_err(failed)?, File::create(&path).map_err(failed)?);
        to.set_len(manifest.geometry().content_len()).map_err(failed)?;
        let mut buffer = Vec::new();
        for chunk in manifest.geometry().chunks().filter(|chunk| holds(number, chunk.get(), self.args.seeds))
        {
            self.check_interrupted()?;
            let span = manifest.geometry().span(chunk);
            buffer.resize(span.len as usize, 0);
            from.read_exact_at(&mut buffer, span.file_offset).map_err(failed)?;
            to.write_all_at(&buffer, span.file_offset).map_err(failed)?;
        }
        Ok(folder)
    }

    fn start_seed(&mut self, copy: &Path, manifest: &Path) -> Result<Ticket, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Category::Other, format_args!("cannot start a seed: {error}"))
        };
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .arg("seed")
            .arg(copy)
            .arg("--manifest")
            .arg(manifest)
            .arg("--state-dir")
            .arg(self.folder.0.join("state"))
            .args(["--no-lan", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        let stdout = child.stdout.take().map(BufReader::new);
        self.seeds.push(child);
        if let Some(mut stdout) = stdout {
            stdout.read_line(&mut line).map_err(failed)?;
        }
        line.parse().map_err(|_| {
            Failure::new(
                Category::Other,
                "a seed process ended before it was ready: run `swarm seed` by hand to see why",
            )
        })
    }

    fn end(&mut self) {
        for seed in &mut self.seeds {
            // It may have ended already.
            let _ = seed.kill();
            let _ = seed.wait();
        }
        self.seeds.clear();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.end();
    }
}

/// Kills one seed when the fetch is well under way.
struct Killer {
    doomed: Option<Child>,
}

impl Killer {
    fn observe(&mut self, content: &ContentSnapshot) {
        if content.verified_len * 10 >= content.wanted_len * 4 && content.wanted_len > 0 {
            self.kill();
        }
    }

    fn kill(&mut self) {
        if let Some(mut seed) = self.doomed.take() {
            let _ = seed.kill();
            let _ = seed.wait();
        }
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How long an interrupted demo may take to remove what it made.
const END_TIMEOUT: Duration = Duration::from_secs(5);

fn holds(seed: u32, chunk: u32, seeds: u32) -> bool {
    chunk % seeds == seed || (chunk + 1) % seeds == seed
}

fn chunks_of(seed: u32, seeds: u32, manifest: &Manifest) -> usize {
    manifest.geometry().chunks().filter(|chunk| holds(seed, chunk.get(), seeds)).count()
}

fn fetch_args(manifest: &Path, out: &Path, peer: Vec<Peer>) -> FetchArgs {
    FetchArgs {
        what: manifest.to_string_lossy().into_owned(),
        out: out.to_owned(),
        peer,
        // The demo shows this machine alone.
        find: FindArgs { no_lan: true, ..FindArgs::default() },
        trust: TrustArgs::default(),
        readers: None,
        publisher: None,
        content_key: None,
        include: Vec::new(),
        sequential: false,
        limit: LimitArgs::default(),
        down_limit: DownLimitArgs::default(),
        memory: ByteLen(64 << 20),
        keep_seeding: false,
        overwrite: false,
        verify_at_end: false,
        timeout: 60,
        listen: None,
        json: false,
    }
}

/// Bytes that do not compress, from BLAKE3's output stream under a key that differs from run to run.
fn random() -> blake3::OutputReader {
    let since_epoch =
        swarm_node::clock::wall_clock().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    blake3::Hasher::new().update(&since_epoch.as_nanos().to_le_bytes()).finalize_xof()
}

fn disk(op: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Category::Disk, format_args!("cannot {op} `{}`: {error}", Shown(&path)))
}
