//! One process: its lines are collected as they come, and it is killed when the test drops it.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::outcome::Outcome;

/// A running `swarm`.
pub struct Process {
    child: Child,
    said: Arc<Said>,
    /// Number of stdout lines that the test has read.
    seen: usize,
    /// Stdout, if the test reads it itself because it carries content.
    stdout: Option<ChildStdout>,
}

/// A signal for a process.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// The first signal of a service manager.
    Terminate,
    /// Reload the configuration.
    HangUp,
    /// Cannot be handled.
    Kill,
    /// Pauses it.
    Stop,
    /// Resumes it.
    Continue,
}

/// The lines printed so far.
#[derive(Default)]
struct Said {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    out: Vec<String>,
    err: Vec<String>,
    open_streams: usize,
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

impl Process {
    /// Starts it; stdin gets `stdin` and is closed.
    pub fn start(command: &mut Command, stdin: &[u8]) -> Self {
        let mut process = Self::start_piped(command, stdin);
        let stdout = process.stdout.take().expect("stdout is piped");
        process.collect(stdout, Stream::Out);
        process
    }

    /// Starts it and leaves its stdout to the test.
    pub fn start_piped(command: &mut Command, stdin: &[u8]) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        // A process that ends early does not read its stdin; its exit code shows that.
        let _ = child.stdin.take().expect("stdin is piped").write_all(stdin);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let process = Self { child, said: Arc::default(), seen: 0, stdout };
        process.collect(stderr.expect("stderr is piped"), Stream::Err);
        process
    }

    /// Starts it and leaves its stdin open.
    pub fn start_with_stdin(command: &mut Command) -> (Self, ChildStdin) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdin = child.stdin.take().expect("stdin is piped");
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let process = Self { child, said: Arc::default(), seen: 0, stdout: None };
        process.collect(stdout.expect("stdout is piped"), Stream::Out);
        process.collect(stderr.expect("stderr is piped"), Stream::Err);
        (process, stdin)
    }

    /// Its stdout, which carries content.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.stdout.take().expect("started by start_piped, taken once")
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next JSON line for which `pick` returns a value. Every line before it must be JSON, too.
    pub fn wait_json<T>(&mut self, pick: impl Fn(&Value) -> Option<T>) -> T {
        let give_up_at = now() + DEADLINE;
        loop {
            let line = self.next_line();
            let value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if let Some(picked) = pick(&value) {
                return picked;
            }
            // A process that reports every second would otherwise never reach the deadline.
            assert!(now() < give_up_at, "not what was waited for: {line}");
        }
    }

    /// Waits for the next stdout line for which `pick` returns a value.
    pub fn wait_line<T>(&mut self, pick: impl Fn(&str) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(&self.next_line()) {
                return picked;
            }
        }
    }

    /// Waits for a line on stderr that contains `part`.
    pub fn wait_stderr(&self, part: &str) {
        let has_line = |lines: &Lines| lines.err.iter().any(|line| line.contains(part));
        let lines = self.said.wait_until(|lines| has_line(lines) || lines.open_streams == 0);
        assert!(has_line(&lines), "no `{part}` on stderr, but:\n{}", lines.all());
    }

    /// Waits for a line on stderr for which `pick` returns a value.
    pub fn wait_stderr_line<T>(&self, pick: impl Fn(&str) -> Option<T>) -> T {
        let picked = |lines: &Lines| lines.err.iter().find_map(|line| pick(line));
        let lines = self.said.wait_until(|lines| picked(lines).is_some() || lines.open_streams == 0);
        picked(&lines).unwrap_or_else(|| panic!("not on stderr what was waited for, but:\n{}", lines.all()))
    }

    fn next_line(&mut self) -> String {
        let seen = self.seen;
        let lines = self.said.wait_until(|lines| lines.out.len() > seen || lines.open_streams == 0);
        let Some(line) = lines.out.get(seen) else {
            panic!("it ended, or waited too long, before the line that the test waits for:\n{}", lines.all())
        };
        self.seen += 1;
        line.clone()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        let number = match signal {
            Signal::Interrupt => rustix::process::Signal::INT,
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::HangUp => rustix::process::Signal::HUP,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Stop => rustix::process::Signal::STOP,
            Signal::Continue => rustix::process::Signal::CONT,
        };
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, number).expect("it runs");
    }

    /// Runs a command of the shell in this process's network.
    pub fn run_beside(&self, command: &str) {
        let tools = format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default());
        let pid = self.pid().to_string();
        let mut entered = Command::new("nsenter");
        let status = entered.args(["-n", "-t", &pid, "/bin/sh", "-c", command]).env("PATH", tools).status();
        assert!(status.is_ok_and(|status| status.success()), "{command}");
    }

    /// Waits for its end.
    pub fn end(mut self) -> Outcome {
        let lines = self.said.wait_until(|lines| lines.open_streams == 0);
        assert!(lines.open_streams == 0, "it does not end; so far:\n{}", lines.all());
        let (out, err) = (lines.out.clone(), lines.err.clone());
        drop(lines);
        let status = self.child.wait().expect("it is ours");
        Outcome::new(status.code(), out, err)
    }

    /// Kills it and waits for its end.
    pub fn kill(mut self) -> Outcome {
        self.signal(Signal::Kill);
        self.end()
    }

    /// The highest resident memory so far, bytes; `None` where the system does not tell as Linux does.
    pub fn peak_memory_len(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kib << 10)
    }

    fn collect(&self, stream: impl Read + Send + 'static, which: Stream) {
        self.said.lock().open_streams += 1;
        let said = Arc::clone(&self.said);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                said.add(which, String::from_utf8_lossy(&line).into_owned());
            }
            said.lock().open_streams -= 1;
            said.changed.notify_all();
        });
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a test that fails tells what it saw")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what process {} said:\n{}", self.pid(), self.said.lock().all());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, which: Stream, line: String) {
        match which {
            Stream::Out => self.lock().out.push(line),
            Stream::Err => self.lock().err.push(line),
        }
        self.changed.notify_all();
    }

    /// Waits until `is_enough`, or the deadline.
    fn wait_until(&self, is_enough: impl Fn(&Lines) -> bool) -> MutexGuard<'_, Lines> {
        let waited = self.changed.wait_timeout_while(self.lock(), DEADLINE, |lines| !is_enough(lines));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Lines {
    fn all(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.out.join("\n"), self.err.join("\n"))
    }
}

/// Longest wait for a line or an end: only a hang takes so long.
#[expect(clippy::disallowed_methods, reason = "a test waits for a process")]
fn now() -> Instant {
    Instant::now()
}

const DEADLINE: Duration = Duration::from_mins(2);
