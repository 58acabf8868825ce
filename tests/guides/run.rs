//! Runs a page in its own folder: commands in turn, and background commands until the page ends.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use super::page::{Command, Page, Step};

/// The folder of a page, the values of its words, and its background commands.
pub(crate) struct Shell {
    folder: tempfile::TempDir,
    words: Vec<(String, String)>,
    jobs: Vec<Job>,
}

/// A process group whose output goes to files.
struct Job {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Shell {
    pub(crate) fn new(page: &Page) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("{}: {error}", page.name))?;
        files(folder.path()).map_err(|error| format!("{}: {error}", page.name))?;
        let ports = ["4433", "9433"].map(|port| (port.to_owned(), free_port().to_string()));
        Ok(Self { folder, words: ports.into(), jobs: Vec::new() })
    }

    /// Runs the whole page; an error names the place and the output there.
    pub(crate) fn run(&mut self, page: &Page) -> Result<(), String> {
        for step in &page.steps {
            match step {
                Step::Run(command) => {
                    let at = format!("{}:{}: `{}`", page.name, command.line, command.text);
                    let result = self.command(command);
                    result.map_err(|why| format!("{at} {why}{}", self.news()))?;
                }
                Step::Write(name, text) => {
                    let path = self.work().join(name);
                    fs::write(path, self.filled_in(text)).map_err(|error| format!("{name}: {error}"))?;
                }
            }
        }
        for job in &mut self.jobs {
            let ended = job.child.try_wait().map_err(|error| error.to_string())?;
            if let Some(status) = ended.filter(|status| !status.success()) {
                return Err(format!("{}: {} in the background {}", page.name, job.name, job.told(status)));
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<(), String> {
        let mut job = self.start(&self.filled_in(&command.text)).map_err(|error| error.to_string())?;
        let out = job.out.clone();
        if command.is_background {
            let result = job.wait_until(|job| job.is_ready(command.prints.is_some()));
            self.jobs.push(job);
            result?;
        } else {
            job.wait_until(|job| job.child.try_wait().is_ok_and(|status| status.is_some()))?;
            let status = job.child.wait().map_err(|error| error.to_string())?;
            if status.code() != Some(command.exit_code) {
                return Err(job.told(status));
            }
        }
        command.prints.as_ref().map_or(Ok(()), |word| self.bind(word, &out))
    }

    /// Lets the word stand for the line that was printed last.
    fn bind(&mut self, word: &str, out: &Path) -> Result<(), String> {
        let printed = text_of(out);
        let line = printed.lines().last().ok_or("printed nothing")?;
        self.words.retain(|(known, _)| known != word);
        self.words.push((word.to_owned(), line.to_owned()));
        Ok(())
    }

    fn filled_in(&self, text: &str) -> String {
        let mut filled = String::new();
        let is_word = |c: char| c.is_ascii_alphanumeric();
        for part in text.split_inclusive(|c| !is_word(c)) {
            let end = part.find(|c| !is_word(c)).unwrap_or(part.len());
            let known = self.words.iter().find(|(word, _)| *word == part[..end]);
            filled += known.map_or(&part[..end], |(_, value)| value);
            filled += &part[end..];
        }
        filled
    }

    fn start(&self, text: &str) -> std::io::Result<Job> {
        let logs = self.folder.path().join("logs");
        let number = fs::read_dir(&logs)?.count();
        let (out, err) = (logs.join(format!("{number}.out")), logs.join(format!("{number}.err")));
        let bin = Path::new(env!("CARGO_BIN_EXE_swarm")).parent().expect("a file is in a folder");
        let path = env::var("PATH").unwrap_or_default();
        let path =
            format!("{}:{}:{path}", self.folder.path().join("bin").to_string_lossy(), bin.to_string_lossy());
        let mut process = Process::new("bash");
        for (name, _) in
            env::vars().filter(|(name, _)| name.starts_with("SWARM_") || name.starts_with("XDG_"))
        {
            process.env_remove(name);
        }
        process
            .args(["-euo", "pipefail", "-c", text])
            .current_dir(self.work())
            .env("HOME", self.folder.path().join("home"))
            .env("PATH", path)
            // Pages that run at the same time must not find each other.
            .env("SWARM_NO_LAN", "1")
            // The length of the demo's file: a gigabyte takes an unoptimised build too long.
            .env("SWARM_LEN", "16MiB")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .process_group(0);
        Ok(Job { name: format!("`{text}`"), child: process.spawn()?, out, err })
    }

    /// The output of the background commands, for the message of a failure.
    fn news(&self) -> String {
        self.jobs.iter().fold(String::new(), |mut news, job| {
            let _ = write!(news, "\n  {} said: {}", job.name, indented(&text_of(&job.err)));
            news
        })
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }
}

impl Job {
    fn wait_until(&mut self, is_so: impl Fn(&mut Self) -> bool) -> Result<(), String> {
        let start = now();
        while !is_so(self) {
            if now() - start > COMMAND_TIMEOUT {
                return Err(format!("is not done after {COMMAND_TIMEOUT:?}: {}", self.said()));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Whether it has printed its output, or logged that it is ready. A command that has ended is checked when the page ends.
    fn is_ready(&mut self, is_printing: bool) -> bool {
        let has_ended = self.child.try_wait().is_ok_and(|status| status.is_some());
        let is_ready = if is_printing {
            text_of(&self.out).ends_with('\n')
        } else {
            text_of(&self.err).contains("ready")
        };
        has_ended || is_ready
    }

    fn told(&self, status: ExitStatus) -> String {
        format!("ended with {status}: {}", self.said())
    }

    fn said(&self) -> String {
        indented(&(text_of(&self.out) + &text_of(&self.err)))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let signal =
            |name: &str| Process::new("kill").args([name, "--", &group]).stderr(Stdio::null()).status();
        let _ = signal("-TERM");
        let start = now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if now() - start > END_TIMEOUT {
                let _ = signal("-KILL");
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Creates the files that a page starts from, and stand-ins for programs that a test cannot run.
fn files(folder: &Path) -> std::io::Result<()> {
    for name in [
        "home",
        "logs",
        "bin",
        "work/photos/2025",
        "work/photos/raw",
        "work/diary",
        "work/broken-copy",
        "work/other-copy",
    ] {
        fs::create_dir_all(folder.join(name))?;
    }
    let work = folder.join("work");
    let mut state = 7u64;
    let mut byte = || {
        // Knuth's MMIX generator: the high bits are random enough that no two chunks are alike.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut bytes = |len: usize| std::iter::repeat_with(&mut byte).take(len).collect::<Vec<u8>>();
    let film = bytes(3 * MIB + 5);
    for (name, damaged) in [("broken-copy", MIB + 3), ("other-copy", 3)] {
        let mut copy = film.clone();
        copy[damaged] ^= 1;
        fs::write(work.join(name).join("film.mkv"), copy)?;
    }
    fs::write(work.join("film.mkv"), film)?;
    for name in
        ["photos/2025/beach.jpg", "photos/2025/forest.jpg", "photos/raw/beach.raw", "diary/monday.txt"]
    {
        fs::write(work.join(name), bytes(70_000))?;
    }
    let swarm = "[ \"$1 $2 $3\" = 'run --release --' ] || exit 99\nshift 3\nexec swarm \"$@\"\n";
    let make = format!(
        "PATH=\"${{PATH#*:}}\"\nexec make -n -C '{}' \"$@\" >/dev/null\n",
        env!("CARGO_MANIFEST_DIR")
    );
    for (name, script) in [("cargo", swarm), ("make", &make), ("mpv", "exec cat >/dev/null\n")] {
        let path = folder.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// A port that is free for UDP and for TCP.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("[::]:0").expect("a socket");
    let port = socket.local_addr().expect("it is bound").port();
    if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() { port } else { free_port() }
}

fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| all + "\n    " + line)
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "how long to wait; no result depends on it")]
    Instant::now()
}

const MIB: usize = 1 << 20;
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
const END_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
