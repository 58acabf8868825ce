//! A daemon is prepared: its folder, its lock, its identity and its sockets. Invariant: one daemon has a folder; what fails is told before anything
//! runs. Absent here: what it does then.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use swarm_core::base::{ContentId, NodeId};
use swarm_daemon_files::{DaemonFolder, Proof, Reloaded, Secret};
use swarm_link::{Endpoint, IdentityStore, LinkOptions};
use tokio::sync::mpsc;

use super::{Daemon, QUEUE, STATE_FOLDER};
use crate::asking::Asker;
use crate::audit::AuditLog;
use crate::control::{ControlSocket, socket_path};
use crate::error::DaemonError;
use crate::exchange::hash_password;
use crate::proof::Passwords;

impl Daemon {
    /// Takes a folder, makes what is missing in it, and binds its sockets. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If a file of the folder is wrong, another daemon has it, or a port is taken.
    pub fn prepare(dir: &Path) -> Result<Self, DaemonError> {
        let mut folder = DaemonFolder::open(dir)?;
        let state = folder.dir().join(STATE_FOLDER);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&state);
        made.map_err(failed("make", &state))?;
        let lock = lock(&state, dir)?;
        hash_passwords(&mut folder);
        let identity = IdentityStore::open(&state)?.acquire(Some(key_claim()))?;
        let config = folder.config();
        let address = config.listen.unwrap_or(std::net::Ipv6Addr::UNSPECIFIED.into());
        let listen = (config.port != 0 || config.listen.is_some()).then(|| (address, config.port).into());
        let endpoint = Endpoint::bind(listen, &identity, LinkOptions::default())?;
        let socket = socket_path(folder.dir());
        let control = ControlSocket::bind(&socket).map_err(failed("listen at", &socket))?;
        let (calls, call_queue) = mpsc::channel(QUEUE);
        let asker = Asker::new(calls);
        let audit = AuditLog::new(state.join("audit.log"));
        let passwords = Passwords::new(audit).ok_or(DaemonError::NoChance)?;
        Ok(Self { folder, state, _lock: lock, endpoint, control, asker, calls: call_queue, passwords })
    }

    /// This node.
    pub fn node_id(&self) -> NodeId {
        self.endpoint.node_id()
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.endpoint.bound_address()
    }

    /// Asks it, once it runs.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Where its node is on the network: pages link to it by that, too.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Compares passwords of users, of whichever way they come.
    pub fn passwords(&self) -> Passwords {
        self.passwords.clone()
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.folder.dir()
    }

    /// Where it keeps what is not for people.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What is odd in the files, a line each.
    pub fn warnings(&self) -> Vec<String> {
        all_warnings(&self.folder)
    }
}

/// What is odd in the files, a line each.
pub(crate) fn all_warnings(folder: &DaemonFolder) -> Vec<String> {
    let odd = folder.warnings();
    odd.iter().map(ToString::to_string).collect()
}

/// Replaces passwords that somebody wrote into users.json by their hashes.
pub(super) fn hash_passwords(folder: &mut DaemonFolder) {
    let mut tried: Vec<(String, Secret)> = Vec::new();
    // A replacement reads the files again: what somebody wrote meanwhile is hashed, too.
    while let Some((user, pass)) = plain_password(folder, &tried) {
        if let Some(hash) = hash_password(pass.expose()) {
            match folder.replace_pass(&user, &pass, &hash) {
                Ok(reloaded) => {
                    tracing::info!(user, "users.json: replaced the password by its hash");
                    tell(&reloaded);
                }
                Err(error) => tracing::warn!(user, %error, "users.json: the password stays as it is"),
            }
        }
        tried.push((user, pass));
    }
}

/// Tells what is wrong in the files now, and what is odd and was not before.
pub(super) fn tell(reloaded: &Reloaded) {
    for error in &reloaded.errors {
        tracing::error!("{error}; going on with what it said before");
    }
    for warning in &reloaded.warnings {
        tracing::warn!("{warning}");
    }
}

/// A user whose password stands in users.json as it is, and which was not tried yet.
fn plain_password(folder: &DaemonFolder, tried: &[(String, Secret)]) -> Option<(String, Secret)> {
    let plain = folder.users().iter().filter_map(|user| match &user.proof {
        Proof::Pass(pass) => Some((user.user.clone(), pass.clone())),
        Proof::Hash(_) => None,
    });
    let mut untried = plain.filter(|found| !tried.contains(found));
    untried.next()
}

/// The claim on a key that stands for a daemon, so that it is the same node at every start.
fn key_claim() -> ContentId {
    ContentId::from_bytes(*blake3::hash(b"swarm daemon").as_bytes())
}

fn lock(state: &Path, dir: &Path) -> Result<File, DaemonError> {
    let path = state.join("lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(DaemonError::InUse(dir.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

fn failed(op: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DaemonError + use<> {
    let path = path.to_owned();
    move |source| DaemonError::Io { op, path, source }
}
