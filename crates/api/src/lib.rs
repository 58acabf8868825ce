//! HTTP(S) of a daemon: the API for programs, and the page for people. `server` takes clients, `auth` knows who they are and what they may do, `routes`
//! are what can be asked, `file` gives the bytes of files, `events` tells what changes, `page` has the files that a browser loads.
//!
//! Invariants: nothing is told or done before a user is proven and the table of roles allows it; what changes something leaves a line in the audit
//! log; nothing that a client says is held without a limit. Absent here: what is decided about libraries and peers (`swarm-daemon` is asked).

mod app;
mod audit;
mod auth;
mod chance;
mod clock;
mod code;
mod digest;
mod error;
mod events;
mod extract;
mod file;
mod html;
mod known;
pub mod limits;
mod links;
mod made_folder;
mod page;
mod places;
mod private_file;
mod problem;
mod rates;
mod reach;
mod routes;
mod scratch;
mod sending;
mod server;
mod uploads;

use std::sync::Arc;

use swarm_daemon::Daemon;
use swarm_daemon_files::DaemonFolder;
use swarm_web_server::{Origins, WebServer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use app::{App, Facts, Parts};
use auth::Tokens;
use limits::{LOOK_INTERVAL, OPEN_FILES_AGE, STOP_TIMEOUT, UPLOADS_LOOK};
use server::{Certificate, Guests, Server};

pub use auth::{LibraryName, Permission, Roles};
pub use code::Code;
pub use error::ApiError;
pub use problem::Problem;
pub use routes::document;

/// The API of a daemon, ready to serve.
pub struct Api {
    app: Arc<App>,
    server: Server,
    listener: TcpListener,
    tasks: TaskTracker,
    ending: CancellationToken,
    /// The links of pages, which live until the node has said farewell on them.
    links: (CancellationToken, TaskTracker),
}

impl Api {
    /// Takes the TCP port of the same number as the daemon's UDP port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the port is taken, or the certificate cannot be used.
    pub fn prepare(daemon: &Daemon) -> Result<Self, ApiError> {
        let folder = DaemonFolder::open(daemon.dir())?;
        let state = daemon.state();
        let config = folder.config();
        let listener = server::bind(config.listen, daemon.address().port(), config.port != 0)?;
        let name = swarm_daemon::host_name();
        let certificate = Certificate::open(config.tls.as_ref(), state, &name)?;
        let node = daemon.node_id().to_string();
        let facts = Facts {
            node: node.clone(),
            name,
            fingerprint: certificate.fingerprint,
            folder: daemon.dir().to_owned(),
            state: state.to_owned(),
            began_at: clock::moment(),
            page: listener
                .local_addr()
                .map_err(|source| ApiError::Listen { address: daemon.address(), source })?,
        };
        let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
        let app = Arc::new(App::new(Parts {
            asker: daemon.asker(),
            tokens: Tokens::open(&state.join("token-key"), &node)?,
            passwords: daemon.passwords(),
            folder,
            facts,
            tasks: tasks.clone(),
            ending: ending.clone(),
        }));
        let links = (CancellationToken::new(), TaskTracker::new());
        let peers = WebServer::new(daemon.endpoint(), Origins::default(), clock::time, links.clone())?;
        let server = Server {
            peers,
            router: routes::router(Arc::clone(&app)),
            app: Arc::clone(&app),
            tls: certificate.acceptor,
            guests: Arc::new(Guests::default()),
        };
        Ok(Self { app, server, listener, tasks, ending, links })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// SHA-256 of the certificate, as browsers show it.
    pub fn fingerprint(&self) -> &str {
        &self.app.facts.fingerprint
    }

    /// The address by which somebody becomes the first admin; `None` if there is one.
    pub fn first_link(&self) -> Option<String> {
        let port = self.listener.local_addr().ok()?.port();
        let token = self.app.lacks_admin().then(|| self.app.first.renew(clock::moment())).flatten()?;
        Some(format!("https://127.0.0.1:{port}/#setup={token}"))
    }

    /// Serves until `stop` is ready.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { app, server, listener, tasks, ending, links: (links_ending, links) } = self;
        tasks.spawn(server.run(listener, ending.clone(), tasks.clone()));
        tasks.spawn(events::make(Arc::clone(&app)));
        tasks.spawn(look_at_files(Arc::clone(&app)));
        tasks.spawn(forget_open_files(Arc::clone(&app)));
        tasks.spawn(tidy_uploads(Arc::clone(&app)));
        stop.await;
        ending.cancel();
        tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, tasks.wait()).await.is_err() {
            tracing::debug!("some clients of the page did not go in time");
        }
        links.close();
        if tokio::time::timeout(STOP_TIMEOUT, links.wait()).await.is_err() {
            links_ending.cancel();
        }
        app.passwords.audit().tell_unwritten();
    }
}

async fn look_at_files(app: Arc<App>) {
    let mut tick = tokio::time::interval(LOOK_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while app.ending.run_until_cancelled(tick.tick()).await.is_some() {
        app.look_at_files().await;
    }
}

async fn forget_open_files(app: Arc<App>) {
    let mut tick = tokio::time::interval(OPEN_FILES_AGE);
    while app.ending.run_until_cancelled(tick.tick()).await.is_some() {
        app.forget_open_files().await;
        app.passwords.audit().tell_unwritten();
    }
}

async fn tidy_uploads(app: Arc<App>) {
    let mut tick = tokio::time::interval(UPLOADS_LOOK);
    while app.ending.run_until_cancelled(tick.tick()).await.is_some() {
        app.uploads.tidy(&app).await;
    }
}
