//! The control socket of a daemon: a Unix socket for its owner alone, a request and a reply on each connection. Decides nothing.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::asking::Asker;
use crate::protocol::{Reply, Request};
use swarm_core::base::Category;

/// A socket that this process listens at.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Listens. The caller holds the lock of the daemon: what stands there is of a dead process.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Takes clients until the daemon ends.
    pub(crate) async fn serve(self, asker: Asker, ending: CancellationToken, tasks: TaskTracker) {
        while let Some(accepted) = ending.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    let (asker, ending) = (asker.clone(), ending.clone());
                    tasks.spawn(async move {
                        let _ = ending.run_until_cancelled(talk(stream, asker)).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take a client of the control socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn talk(stream: UnixStream, asker: Asker) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = Vec::new();
    let mut limited = BufReader::new(reader).take(REQUEST_LEN_MAX);
    timeout(CLIENT_TIMEOUT, limited.read_until(b'\n', &mut line)).await??;
    let reply = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => asker.ask(request).await,
        Err(error) => Reply::failed(
            Category::Usage,
            format!("the daemon does not understand the request: {error}; are both of one version?"),
        ),
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    timeout(CLIENT_TIMEOUT, writer.write_all(&line)).await?
}

/// Asks the daemon of a folder. Blocking.
pub fn ask(folder: &Path, request: &Request) -> Result<Reply, AskError> {
    use std::io::{BufRead as _, Write as _};
    let path = socket_path(folder);
    let failed = |source| AskError { folder: folder.to_owned(), source };
    let mut stream = std::os::unix::net::UnixStream::connect(&path).map_err(failed)?;
    let mut line = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(failed)?;
    let mut answer = String::new();
    std::io::BufReader::new(stream).read_line(&mut answer).map_err(failed)?;
    serde_json::from_str(&answer).map_err(|error| failed(error.into()))
}

/// Why a daemon does not answer.
#[derive(Debug, thiserror::Error)]
#[error("no daemon answers for `{}`: {source}; start one with `swarm daemon`, or name its folder by --dir", swarm_core::base::Shown(.folder))]
pub struct AskError {
    /// The daemon's folder.
    pub folder: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl AskError {
    /// The category of the cause.
    pub fn category(&self) -> Category {
        Category::NoNode
    }
}

/// Where the socket of a daemon is.
pub(crate) fn socket_path(folder: &Path) -> PathBuf {
    folder.join(crate::daemon::STATE_FOLDER).join("control.sock")
}

const REQUEST_LEN_MAX: u64 = 64 << 10;
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
