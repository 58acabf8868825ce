//! A node that runs for months: many contents on one endpoint, told what to do by a configuration and over a control socket,
//! watched by its metrics.
//!
//! `jobs` is what is done for one content, by this process or by a command. `settings` is what it is told, `config` the file with it,
//! `run` the loop (`calls`, `events`, `turns`, `reload`, `collecting` and `coordinating` are its parts), `contents` what there is to
//! serve, `saved` what of it outlives a restart, `opening` the blocking work before a content can be served; `policy` who may offer
//! contents to a node that collects, `disk_space` whether there is room for them; `protocol`, `control` and `client` are the socket; `status`, `rates`,
//! `metrics` and `page` tell how things stand. Invariant: one control socket belongs to one node. Absent here: printing,
//! arguments.

pub mod limits;

pub mod client;
pub mod config;
pub mod jobs;
pub mod protocol;

mod policy;
mod schedule;
mod settings;

mod content_key;
mod contents;
mod disk_space;
mod opening;
mod reputations;
mod saved;

mod rates;
mod status;

mod admission_files;
mod control;
mod metrics;
mod page;
mod signals;

mod calls;
mod collecting;
mod coordinating;
mod events;
mod reload;
mod turns;

mod run;

#[doc(hidden)]
pub mod fuzzing;

use swarm_core::base::ContentId;

pub use admission_files::AdmissionFiles;
pub use config::{Allowed, AnyOr, AnyOrError, Collecting, Config, ConfigError, Rates};
pub use content_key::{ContentKeyError, content_key_in, lasting_content_key_in};
pub use control::{ControlError, ControlSocket};
pub use run::{Ending, Service, ServiceError};
pub use saved::SavedError;
pub use settings::{Fixed, Live, LogFormat, PeerLimits, PeersMax, PeersMaxError};
pub use signals::Signals;

/// What a service claims its key by, so that it has the same key and port after a restart: it has many contents, or none.
pub fn key_claim() -> ContentId {
    ContentId::from_bytes(*blake3::hash(b"swarm node").as_bytes())
}

/// Where the control socket is unless the configuration says otherwise.
pub fn default_control(state_dir: &std::path::Path) -> std::path::PathBuf {
    state_dir.join("control.sock")
}
