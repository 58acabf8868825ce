//! The control socket: a Unix socket for the owner of the node alone. Passes requests on and answers back; decides nothing.
//! Invariant: at most one process listens at a path.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::protocol::{Answer, Envelope, Request, VERSION};
use crate::limits::{
    CONTROL_CLIENTS_MAX, CONTROL_IDLE_TIMEOUT, CONTROL_PATH_LEN_MAX, CONTROL_REQUEST_LEN_MAX,
};
use swarm_core::base::{Category, Shown};
use swarm_files::HashProgress;

/// A control socket that this process holds; its path goes away with it.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Held for its lock.
    _lock: File,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another node has it.
    #[error("a node runs already with the control socket `{}`: stop it, or give this one another by `control`", Shown(.0))]
    InUse(PathBuf),
    /// Something else has its place.
    #[error("`{}` is there and is not a socket: move it away, or name another place by `control`", Shown(.0))]
    InTheWay(PathBuf),
    /// Longer than the system takes.
    #[error("the path `{}` is too long for a control socket, which takes {CONTROL_PATH_LEN_MAX} bytes: name a shorter one by `control`", Shown(.0))]
    TooLong(PathBuf),
    /// The system refused.
    #[error("cannot {op} `{}`: {source}", Shown(path))]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ControlError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::InUse(_) => Category::Held,
            Self::InTheWay(_) => Category::TargetDiffers,
            Self::TooLong(_) => Category::Usage,
            Self::Io { .. } => Category::Disk,
        }
    }
}

/// A request, and where its answer goes.
pub(super) struct Call {
    pub(super) request: Request,
    /// How far hashing is, while it goes on.
    pub(super) progress: watch::Sender<HashProgress>,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl ControlSocket {
    /// Takes the socket at this path; one that a dead node left is replaced. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If another node has it, something else stands there, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        if path.as_os_str().len() > CONTROL_PATH_LEN_MAX {
            return Err(ControlError::TooLong(path.to_owned()));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(failed("create", folder))?;
        }
        let lock = lock(path)?;
        refuse_taken(path)?;
        let listener = listen(path).map_err(failed("listen at", path))?;
        Ok(Self { listener, path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes clients until the node ends. Each has a task in `tasks`.
    pub(super) async fn serve(
        self: Arc<Self>,
        calls: mpsc::Sender<Call>,
        ending: CancellationToken,
        tasks: TaskTracker,
    ) {
        let slots = Arc::new(Semaphore::new(CONTROL_CLIENTS_MAX));
        while let Some(Ok(slot)) = ending.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
            match ending.run_until_cancelled(self.listener.accept()).await {
                None => break,
                Some(Ok((stream, _))) if is_allowed(&stream) => {
                    let (client, ending) = (Client::new(stream, calls.clone()), ending.clone());
                    tasks.spawn(async move {
                        client.run(&ending).await;
                        drop(slot);
                    });
                }
                Some(Ok(_)) => tracing::warn!("turned away another user at the control socket"),
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot take a client of the control socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // It may be gone already; a dead socket is replaced at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    calls: mpsc::Sender<Call>,
}

impl Client {
    fn new(stream: UnixStream, calls: mpsc::Sender<Call>) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer, calls }
    }

    async fn run(mut self, ending: &CancellationToken) {
        loop {
            let line = timeout(CONTROL_IDLE_TIMEOUT, self.next_line());
            let Some(Ok(Some(line))) = ending.run_until_cancelled(line).await else { return };
            let is_over = match parse(&line) {
                Ok(request) => self.pass_on(request, ending).await.is_err(),
                Err(answer) => self.say(&answer).await.is_err(),
            };
            if is_over || line.len() as u64 > CONTROL_REQUEST_LEN_MAX {
                return;
            }
        }
    }

    /// A line, or a byte more than the longest that is taken. `None` at the end.
    async fn next_line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(CONTROL_REQUEST_LEN_MAX + 1);
        let len = limited.read_until(b'\n', &mut line).await.ok()?;
        (len > 0).then_some(line)
    }

    async fn pass_on(&mut self, request: Request, ending: &CancellationToken) -> io::Result<()> {
        let (answer, mut answered) = oneshot::channel();
        let progress = watch::Sender::new(HashProgress { hashed_len: 0, total_len: 0 });
        let mut changes = progress.subscribe();
        if self.calls.send(Call { request, progress, answer }).await.is_err() {
            return self.say(&stopping()).await;
        }
        loop {
            tokio::select! {
                biased;
                answer = &mut answered => return self.say(&answer.unwrap_or_else(|_| stopping())).await,
                () = ending.cancelled() => return self.say(&stopping()).await,
                Ok(()) = changes.changed() => {
                    let HashProgress { hashed_len, total_len } = *changes.borrow_and_update();
                    self.say(&Answer::Progress { hashed_bytes: hashed_len, total_bytes: total_len }).await?;
                }
            }
        }
    }

    /// Writes one line; a client that does not read is let go.
    async fn say(&mut self, answer: &Answer) -> io::Result<()> {
        let mut line = serde_json::to_vec(answer)?;
        line.push(b'\n');
        timeout(CONTROL_IDLE_TIMEOUT, self.writer.write_all(&line)).await?
    }
}

/// The request on a line, or what is answered to something else.
pub(super) fn parse(line: &[u8]) -> Result<Request, Answer> {
    /// What every version has.
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let usage = |message: String| Answer::error(Category::Usage, message);
    if line.len() as u64 > CONTROL_REQUEST_LEN_MAX {
        return Err(usage(format!(
            "the request is longer than {CONTROL_REQUEST_LEN_MAX} bytes: ask for less"
        )));
    }
    let not_json = |error: serde_json::Error| usage(format!("not a request: {error}"));
    let Versioned { version } = serde_json::from_slice(line).map_err(not_json)?;
    if version != VERSION {
        let message = format!("this node speaks version {VERSION} of the control protocol, not {version}");
        return Err(usage(message + ": use the swarm that it was started with"));
    }
    let envelope: Envelope = serde_json::from_slice(line).map_err(not_json)?;
    Ok(envelope.request)
}

fn stopping() -> Answer {
    Answer::error(Category::Other, "the node is stopping: ask again when it runs")
}

/// The mode of the socket decides which users may connect; this holds where a system ignores it.
fn is_allowed(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

/// The process that holds this lock may have the socket; the lock ends with the process, whatever ends that.
fn lock(path: &Path) -> Result<File, ControlError> {
    let lock_path = beside(path, ".lck");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(failed("open", &lock_path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ControlError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed("lock", &lock_path)(source)),
    }
}

fn refuse_taken(path: &Path) -> Result<(), ControlError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => Err(ControlError::InTheWay(path.to_owned())),
        Ok(_) if StdStream::connect(path).is_ok() => Err(ControlError::InUse(path.to_owned())),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The socket gets its place when it is the owner's alone, and not before.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let new = beside(path, ".new");
    // What a killed process left.
    let _ = fs::remove_file(&new);
    let listener = StdListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, path)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn failed(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ControlError {
    move |source| ControlError::Io { op, path: path.to_owned(), source }
}

/// After an error that says nothing of a single client, as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::super::protocol::ErrorKind;
    use super::*;

    #[tokio::test]
    async fn a_socket_belongs_to_one_node_and_a_dead_one_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run/control.sock");
        let socket = ControlSocket::bind(&path).expect("it is free");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        let message = ControlSocket::bind(&path).expect_err("it is taken").to_string();
        assert!(message.contains("a node runs already"), "{message}");
        drop(socket);
        assert!(!path.exists());
        // As a killed node leaves it.
        drop(StdListener::bind(&path).expect("a place"));
        drop(ControlSocket::bind(&path).expect("no process listens there"));
        // Another program's, that takes no lock.
        let _other = StdListener::bind(&path).expect("a place");
        assert!(matches!(ControlSocket::bind(&path), Err(ControlError::InUse(_))));
    }

    #[tokio::test]
    async fn what_is_not_a_socket_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes");
        fs::write(&path, "not to be lost").expect("written");
        assert!(matches!(ControlSocket::bind(&path), Err(ControlError::InTheWay(_))));
        assert_eq!(fs::read(&path).expect("it is there"), b"not to be lost");
        let long = folder.path().join("x".repeat(100));
        assert!(matches!(ControlSocket::bind(&long), Err(ControlError::TooLong(_))));
    }

    #[test]
    fn what_is_no_request_is_told_so() {
        for (line, part) in [
            ("", "not a request"),
            ("{", "not a request"),
            ("{\"version\":2,\"request\":\"fly\"}", "speaks version 1"),
            ("{\"version\":1,\"request\":\"fly\"}", "unknown variant"),
            ("{\"version\":1,\"request\":{\"remove\":{}}}", "missing field"),
        ] {
            let Err(Answer::Error { message, .. }) = parse(line.as_bytes()) else {
                panic!("{line} was taken")
            };
            assert!(message.contains(part), "{line}: {message}");
        }
        assert!(matches!(parse(b"{\"version\":1,\"request\":\"list\",\"new\":1}\n"), Ok(Request::List)));
        let long = vec![b' '; CONTROL_REQUEST_LEN_MAX as usize + 1];
        assert!(matches!(parse(&long), Err(Answer::Error { kind: ErrorKind::Usage, .. })));
    }
}
