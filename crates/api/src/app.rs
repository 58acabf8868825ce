//! What all requests share: the daemon that is asked, the users, sessions and tokens. Invariant: a lock is held for no wait.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use swarm_daemon::{Asker, LibraryFiles, OpenFiles, Reply, Request, Status};
use swarm_daemon_files::{DaemonFolder, Proof, Public, Reloaded};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::auth::{COOKIE, First, Gate, LibraryName, Passwords, Permission, Roles, Sessions, Tokens};
use crate::clock;
use crate::events::Events;
use crate::limits::{STATUS_AGE, ZIPS_MAX};
use crate::links::Links;
use crate::problem::{Answer, Problem};
use crate::rates::Rates;

/// What all requests share.
pub(crate) struct App {
    pub(crate) asker: Asker,
    folder: Arc<Mutex<DaemonFolder>>,
    known: watch::Sender<Arc<Known>>,
    sessions: Mutex<Sessions>,
    tokens: Mutex<Tokens>,
    pub(crate) passwords: Passwords,
    pub(crate) first: First,
    pub(crate) audit: Audit,
    pub(crate) events: Events,
    pub(crate) links: Links,
    pub(crate) rates: Rates,
    pub(crate) open_files: Arc<OpenFiles>,
    /// Folders that are sent at once.
    pub(crate) zips: Arc<Semaphore>,
    status: tokio::sync::Mutex<Option<(Instant, Arc<Status>)>>,
    /// The name of the cookie of a session.
    pub(crate) cookie: String,
    pub(crate) facts: Facts,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

/// What does not change while the process runs.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) node: String,
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    pub(crate) folder: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) began_at: Instant,
    /// Where the page is served; an unspecified address is all addresses.
    pub(crate) page: SocketAddr,
}

/// What the files say, as requests need it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) users: BTreeMap<String, KnownUser>,
    pub(crate) hosts: Vec<String>,
    pub(crate) allows_plain: bool,
    /// Libraries that everybody may see, by GUID.
    pub(crate) public: BTreeMap<String, Public>,
}

/// A user of this node.
#[derive(Clone, Debug)]
pub(crate) struct KnownUser {
    /// The hash of the password.
    pub(crate) proof: String,
    pub(crate) roles: Roles,
}

/// What an [`App`] is made of.
pub(crate) struct Parts {
    pub(crate) asker: Asker,
    pub(crate) folder: DaemonFolder,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) audit: Audit,
    pub(crate) facts: Facts,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { asker, folder, tokens, passwords, audit, facts, tasks, ending } = parts;
        let known = watch::channel(Arc::new(Known::of(&folder))).0;
        Self {
            asker,
            folder: Arc::new(Mutex::new(folder)),
            known,
            sessions: Mutex::default(),
            tokens: Mutex::new(tokens),
            passwords,
            first: First::default(),
            audit,
            events: Events::default(),
            links: Links::open(facts.state.join("links.json")),
            rates: Rates::default(),
            open_files: Arc::default(),
            zips: Arc::new(Semaphore::new(ZIPS_MAX)),
            status: tokio::sync::Mutex::default(),
            cookie: format!("{COOKIE}{}", facts.node.get(..8).unwrap_or_default()),
            facts,
            tasks,
            ending,
        }
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }

    /// What the files said last.
    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.borrow())
    }

    pub(crate) fn user(&self, name: &str) -> Option<KnownUser> {
        self.known.borrow().users.get(name).cloned()
    }

    /// Whether somebody has to become the first admin.
    pub(crate) fn lacks_admin(&self) -> bool {
        !self.known.borrow().users.values().any(|user| user.roles.may(Permission::UsersManage))
    }

    /// The user of a name and a password.
    pub(crate) async fn proven(&self, name: &str, password: &str, from: IpAddr) -> Answer<KnownUser> {
        let user = self.user(name);
        let hash = user.as_ref().map(|user| user.proof.as_str());
        match (self.passwords.compare(name, password, hash, from).await, user) {
            (Gate::Open, Some(user)) => Ok(user),
            (gate, _) => {
                // What waits was not compared: that is no news, and there may be any number of it.
                if gate == Gate::Wrong {
                    self.audit.note(name, from, "login refused", "");
                }
                Err(crate::auth::refused(gate))
            }
        }
    }

    /// Takes over what the files say now, if they changed. To be called some times a second.
    pub(crate) async fn look_at_files(&self) {
        let folder = Arc::clone(&self.folder);
        let looked = tokio::task::spawn_blocking(move || {
            let mut folder = lock(&folder);
            folder.changed().then(|| {
                folder.reload();
                Known::of(&folder)
            })
        });
        if let Ok(Some(known)) = looked.await {
            self.take(known);
        }
    }

    fn take(&self, known: Known) {
        let before = self.known.send_replace(Arc::new(known));
        let now = self.known();
        let is_other = |(name, user): &(&String, &KnownUser)| {
            now.users.get(*name).is_none_or(|known| known.proof != user.proof)
        };
        for (name, _) in before.users.iter().filter(is_other) {
            self.sessions().end_all_of(name);
            self.tokens().end_all_of(name);
        }
    }

    /// Reads the files of the daemon's folder.
    pub(crate) async fn read_files<T: Send + 'static>(
        &self,
        read: impl FnOnce(&DaemonFolder) -> T + Send + 'static,
    ) -> Answer<T> {
        let folder = Arc::clone(&self.folder);
        let looked = tokio::task::spawn_blocking(move || {
            let mut folder = lock(&folder);
            folder.reload();
            read(&folder)
        });
        looked.await.map_err(|_| Problem::broken())
    }

    /// Changes a file of the daemon's folder; the daemon takes it over within a second.
    pub(crate) async fn edit_files(
        &self,
        edit: impl FnOnce(&mut DaemonFolder) -> Result<Reloaded, swarm_daemon_files::EditError> + Send + 'static,
    ) -> Answer<()> {
        let folder = Arc::clone(&self.folder);
        let edited = tokio::task::spawn_blocking(move || {
            let mut folder = lock(&folder);
            folder.reload();
            edit(&mut folder).map(|_| Known::of(&folder))
        });
        let known = edited.await.map_err(|_| Problem::broken())??;
        self.take(known);
        Ok(())
    }

    /// How everything stands, at most a moment old.
    pub(crate) async fn status(&self) -> Answer<Arc<Status>> {
        let mut kept = self.status.lock().await;
        if let Some((at, status)) = &*kept
            && at.elapsed() < STATUS_AGE
        {
            return Ok(Arc::clone(status));
        }
        match self.asker.ask(Request::Status).await {
            Reply::Status(status) => {
                let status = Arc::new(*status);
                *kept = Some((clock::moment(), Arc::clone(&status)));
                Ok(status)
            }
            reply => Err(reply.into()),
        }
    }

    /// A place for a file that nobody else sees, and that goes with the value.
    pub(crate) fn scratch(&self) -> std::io::Result<Scratch> {
        let folder = self.facts.state.join("scratch");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let name = crate::chance::secret().ok_or(std::io::ErrorKind::Other)?;
        Ok(Scratch(folder.join(name)))
    }

    /// The files of a library that the caller may read.
    pub(crate) async fn library(
        &self,
        caller: &crate::auth::Caller,
        which: &str,
        permission: Permission,
    ) -> Answer<LibraryFiles> {
        let found = self.asker.files(which).await;
        match found {
            Ok(files) => {
                caller.needs_in(permission, &LibraryName { name: files.name(), guid: files.guid() })?;
                Ok(files)
            }
            // Whoever may not see a library learns nothing of it.
            Err(_) if !caller.roles.may(Permission::LibraryRead) => Err(crate::auth::no_such_library()),
            Err(reply) => {
                let problem = Problem::from(reply);
                let is_unknown = problem.status() == axum::http::StatusCode::BAD_REQUEST;
                Err(if is_unknown { crate::auth::no_such_library() } else { problem })
            }
        }
    }
}

/// The path of a file that is removed with this.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Known {
    fn of(folder: &DaemonFolder) -> Self {
        let users = folder.users().iter().filter_map(|user| {
            let Proof::Hash(proof) = &user.proof else { return None };
            let roles = Roles { node: user.role, libraries: user.libraries.clone() };
            Some((user.user.clone(), KnownUser { proof: proof.clone(), roles }))
        });
        let own = folder.libraries().iter().filter(|library| !library.is_sealed);
        let own = own.map(|library| (&library.guid, library.public));
        let followed = folder.subscriptions().iter().map(|followed| (&followed.guid, followed.public));
        let public = own.chain(followed).filter(|(_, public)| *public != Public::No);
        let config = folder.config();
        Self {
            users: users.collect(),
            hosts: config.hosts.clone(),
            allows_plain: config.allow_plain_http,
            public: public.map(|(guid, public)| (guid.to_string(), public)).collect(),
        }
    }
}

impl KnownUser {
    /// Stands for the password in tokens, which others read.
    pub(crate) fn proof_mark(&self) -> String {
        data_encoding::HEXLOWER.encode(&blake3::hash(self.proof.as_bytes()).as_bytes()[..16])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
