//! What all requests share: the daemon that is asked, the users, sessions and tokens. Invariant: a lock is held for no wait.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use axum::http::StatusCode;
use swarm_core::base::Category;
use swarm_daemon::{Asker, Client, Gate, LibraryFiles, OpenFiles, Passwords, Reply, Request, Status};
use swarm_daemon_files::{DaemonFolder, Reloaded, Role};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::auth::{COOKIE, First, LibraryName, Permission, SECURE_COOKIE, Sessions, Tokens, refused};
use crate::clock;
use crate::code::Code;
use crate::events::Events;
use crate::known::{Files, Known, KnownUser, PasswordChange, Revocations};
use crate::limits::{STATUS_AGE, ZIPS_MAX, ZIPS_OF_ONE_MAX};
use crate::links::Links;
use crate::places::Places;
use crate::problem::{Answer, Problem};
use crate::rates::Rates;
use crate::routes::blocking;
use crate::scratch::Scratches;
use crate::server::IsTls;
use crate::uploads::Uploads;

/// What all requests share.
pub(crate) struct App {
    pub(crate) asker: Asker,
    pub(crate) files: Arc<Files>,
    pub(crate) passwords: Passwords,
    pub(crate) first: First,
    pub(crate) audit: Audit,
    pub(crate) events: Events,
    pub(crate) rates: Rates,
    pub(crate) open_files: Arc<OpenFiles>,
    pub(crate) scratches: Scratches,
    pub(crate) uploads: Uploads,
    /// Folders that are sent at once.
    pub(crate) zips: Places,
    status: tokio::sync::Mutex<Option<(Instant, Arc<Status>)>>,
    /// The names of the cookie of a session: without TLS, and with it.
    cookies: [String; 2],
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

/// What an [`App`] is made of.
pub(crate) struct Parts {
    pub(crate) asker: Asker,
    pub(crate) folder: DaemonFolder,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) facts: Facts,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { asker, folder, tokens, passwords, facts, tasks, ending } = parts;
        let links = Links::open(facts.state.join("links.json"));
        let revocations = Revocations::open(facts.state.join("token-revocation"));
        Self {
            asker,
            files: Arc::new(Files::new(folder, tokens, revocations, links)),
            audit: Audit::new(passwords.audit().clone()),
            passwords,
            first: First::default(),
            events: Events::default(),
            rates: Rates::default(),
            open_files: Arc::default(),
            scratches: Scratches::new(facts.state.join("scratch")),
            uploads: Uploads::default(),
            zips: Places::of(ZIPS_MAX, ZIPS_OF_ONE_MAX),
            status: tokio::sync::Mutex::default(),
            cookies: ["", SECURE_COOKIE]
                .map(|first| format!("{first}{COOKIE}{}", facts.node.get(..8).unwrap_or_default())),
            facts,
            tasks,
            ending,
        }
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.files.sessions()
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.files.tokens()
    }

    pub(crate) fn links(&self) -> &Links {
        &self.files.links
    }

    /// The name of the cookie of a session.
    pub(crate) fn cookie(&self, IsTls(is_tls): IsTls) -> &str {
        &self.cookies[usize::from(is_tls)]
    }

    /// What the files said last.
    pub(crate) fn known(&self) -> Arc<Known> {
        self.files.known()
    }

    pub(crate) fn user(&self, name: &str) -> Option<KnownUser> {
        self.files.user(name)
    }

    /// Whether somebody has to become the first admin.
    pub(crate) fn lacks_admin(&self) -> bool {
        !self.known().has_admin()
    }

    /// The user of a name and a password.
    pub(crate) async fn proven(&self, name: &str, password: &str, from: IpAddr) -> Answer<KnownUser> {
        let user = self.user(name);
        let hash = user.as_ref().map(|user| user.proof.as_str());
        match (self.passwords.compare(name, password, hash, Client::Web(from)).await, user) {
            // As it is now: the comparison may have waited.
            (Gate::Open, Some(user)) => {
                let now = self.user(name).filter(|now| now.proof == user.proof);
                now.ok_or_else(|| refused(Gate::Wrong))
            }
            (gate, _) => Err(refused(gate)),
        }
    }

    /// Takes over what the files say now, if they changed. To be called some times a second.
    pub(crate) async fn look_at_files(&self) {
        let files = Arc::clone(&self.files);
        let looked = tokio::task::spawn_blocking(move || {
            files.look();
            files.links.save_again();
            // What fails is tried again in a moment; who revokes a token is told.
            let _ = files.save_revocations();
        });
        if looked.await.is_err() {
            tracing::warn!("looking at the files of the daemon failed: this is a bug, please report it");
        }
        if !self.lacks_admin() {
            self.first.end();
        }
    }

    /// Lets go of files that nobody reads any more. To be called some times an hour.
    pub(crate) async fn forget_open_files(&self) {
        let open = Arc::clone(&self.open_files);
        // A panic there leaves them open.
        let _ = tokio::task::spawn_blocking(move || open.forget_unused()).await;
    }

    /// Reads the files of the daemon's folder.
    pub(crate) async fn read_files<T: Send + 'static>(
        &self,
        read: impl FnOnce(&DaemonFolder) -> T + Send + 'static,
    ) -> Answer<T> {
        let files = Arc::clone(&self.files);
        blocking(move || files.read(read)).await
    }

    /// Ends a token.
    pub(crate) async fn revoke(&self, token: String, from: IpAddr) -> Answer<()> {
        let files = Arc::clone(&self.files);
        let (user, remembered) = blocking(move || files.revoke(&token)).await?;
        let remembered = remembered.map_err(|error| {
            tracing::warn!(%error, "a revocation cannot be remembered");
            let message = "the token has ended, but may hold again after a restart of the daemon, whose disk takes nothing: revoke it again";
            Problem::of(Category::Disk, message)
        });
        match user {
            Some(user) => self.audit.begin(&user, from, "token revoke", "").end(remembered),
            None => remembered,
        }
    }

    /// Changes a file of the daemon's folder, if the caller may still do what it might when its request began; the daemon takes it over within a
    /// second.
    pub(crate) async fn edit_files<E: Into<Problem>>(
        &self,
        caller: &crate::auth::Caller,
        edit: impl FnOnce(&mut DaemonFolder) -> Result<Reloaded, E> + Send + 'static,
    ) -> Answer<()> {
        let (files, caller) = (Arc::clone(&self.files), caller.clone());
        blocking(move || files.edit(|| caller.check_as_before(&files), edit)).await?
    }

    /// Makes the first admin.
    pub(crate) async fn add_first_admin(&self, name: String, proof: String) -> Answer<()> {
        let files = Arc::clone(&self.files);
        let add = move |folder: &mut DaemonFolder| folder.add_user(&name, &proof, Some(Role::Admin));
        blocking(move || {
            let lacks_admin = || {
                let message = "this node has an admin by now: log in";
                let used = || Problem::new(StatusCode::FORBIDDEN, message).code(Code::SetupUsed);
                if files.known().has_admin() { Err(used()) } else { Ok(()) }
            };
            files.edit(lacks_admin, add)
        })
        .await?
    }

    /// Gives the caller another password.
    pub(crate) async fn change_password(
        &self,
        caller: crate::auth::Caller,
        change: PasswordChange,
    ) -> Answer<()> {
        let files = Arc::clone(&self.files);
        blocking(move || files.change_password(&change, || caller.check_as_before(&files))).await?
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
                let is_unknown = problem.status() == StatusCode::BAD_REQUEST;
                Err(if is_unknown { crate::auth::no_such_library() } else { problem })
            }
        }
    }
}
