//! The libraries that run. Invariant: a library whose start failed says why, and is tried again; the end of a worker is waited for, as it holds the
//! lock of its index until then. Absent here: what a library does (`library`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use swarm_core::base::NodeId;
use swarm_daemon_files::NewMount;
use swarm_library::LibraryKey;
use tokio::sync::oneshot;

use super::{Desk, LIBRARIES_FOLDER, STOP_TIMEOUT, limiting};
use crate::clock;
use crate::library::{self, Input, LibraryHandle, LibrarySettings, WrittenPart};
use crate::sentence::Sentence;

/// A library that runs, or does not start.
pub(crate) enum Running {
    Works { handle: LibraryHandle, end: oneshot::Receiver<()>, settings: LibrarySettings },
    Stands { why: Sentence, settings: LibrarySettings, tried_at: Instant },
}

impl Running {
    pub(crate) fn settings(&self) -> &LibrarySettings {
        match self {
            Self::Works { settings, .. } | Self::Stands { settings, .. } => settings,
        }
    }
}

impl Desk {
    pub(super) async fn apply_library(&mut self, key: LibraryKey, settings: LibrarySettings) {
        let (authors, limits) =
            (self.authors_of(&settings), limiting::of_library(settings.limits, self.limits));
        if let Some(Running::Works { handle, settings: known, .. }) = self.libraries.get_mut(&key) {
            let _ = handle.inputs.send(Input::Authors(authors)).await;
            if *known != settings {
                let _ = handle.inputs.send(Input::Settings(Box::new(settings.clone()))).await;
                handle.priority = settings.priority;
                handle.is_paused = settings.is_paused;
                handle.written = WrittenPart::of(&settings.mounts);
                *known = settings;
            }
            handle.limits = limits;
            return;
        }
        let start = library::Start {
            settings: settings.clone(),
            folder: self.state.join(LIBRARIES_FOLDER).join(settings.guid.as_str()),
            key: self.endpoint.signing_key(),
            authors,
            outputs: Arc::clone(&self.outputs),
        };
        let running = match library::start(start) {
            Ok((handle, end)) => Running::Works { handle: LibraryHandle { limits, ..handle }, end, settings },
            Err(error) => {
                let why = Sentence::from(&error);
                let is_news = !matches!(self.libraries.get(&key), Some(Running::Stands { why: known, .. }) if *known == why);
                if is_news {
                    tracing::warn!(library = settings.name, %error, "a library does not start");
                }
                Running::Stands { why, settings, tried_at: clock::moment() }
            }
        };
        self.libraries.insert(key, running);
    }

    pub(super) async fn end_library(&mut self, key: LibraryKey) {
        if let Some(Running::Works { handle, end, .. }) = self.libraries.remove(&key) {
            handle.stop.store(true, Ordering::Relaxed);
            drop(handle);
            // It ends at its next look at the flag, and holds the lock of its index until then.
            let _ = tokio::time::timeout(STOP_TIMEOUT, end).await;
        }
    }

    pub(super) fn handles(&self) -> BTreeMap<LibraryKey, LibraryHandle> {
        let works = self.libraries.iter().filter_map(|(key, running)| match running {
            Running::Works { handle, .. } => Some((*key, handle.clone())),
            Running::Stands { .. } => None,
        });
        works.collect()
    }

    /// Whose records count in a library.
    fn authors_of(&self, settings: &LibrarySettings) -> BTreeSet<NodeId> {
        let me = self.endpoint.node_id();
        let counts = |node: &&NodeId| **node == me || settings.version_of.is_none_or(|only| only == **node);
        self.authors.iter().filter(counts).copied().collect()
    }

    /// Files come to a library without a sync target: it gets one below the default folder.
    pub(super) async fn make_target(&mut self, library: LibraryKey) {
        let Some(settings) = self.libraries.get(&library).map(Running::settings) else { return };
        if settings.has_target() {
            return;
        }
        let (name, dir) = (settings.name.clone(), settings.default_target.to_string_lossy().into_owned());
        let mount = NewMount { dir: dir.clone(), libpath: "/".to_owned(), is_sync: true };
        match self.folder.add_mount(&name, &mount) {
            Ok(reloaded) => {
                tracing::info!(library = name, dir, "files arrive: made a folder for them");
                self.on_reloaded(reloaded).await;
                self.apply().await;
            }
            Err(error) => {
                tracing::warn!(library = name, %error, "files arrive, and no folder can be made for them")
            }
        }
    }
}
