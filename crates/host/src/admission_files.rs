//! Replaces the admission rules of an endpoint when the files behind them change. The files are looked at on a thread of their own: a
//! mount that hangs must not hold up the loop that looks.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::SystemTime;

use swarm_core::trust::AdmissionRules;
use swarm_credentials::{CredentialsError, TrustFiles, WatchedFiles};
use swarm_link::{Admission, Endpoint};

/// The files, and the endpoint that they are for.
#[derive(Debug)]
pub struct AdmissionFiles {
    endpoint: Endpoint,
    clock: fn() -> SystemTime,
    /// `None` while they are looked at.
    watched: Option<WatchedFiles>,
    looking: Option<Receiver<Looked>>,
    /// Other files, for the next look.
    next_files: Option<TrustFiles>,
}

/// The files, and what a look at them found.
type Looked = (WatchedFiles, Result<Option<Arc<dyn AdmissionRules>>, CredentialsError>);

impl AdmissionFiles {
    /// Sets the rules for the first time: before the node is started, so that no peer links without them.
    ///
    /// # Errors
    /// If a file cannot be read or is not what it should be.
    pub fn set(
        endpoint: &Endpoint,
        files: TrustFiles,
        clock: fn() -> SystemTime,
    ) -> Result<Self, CredentialsError> {
        let (watched, rules) = WatchedFiles::load(files)?;
        endpoint.set_admission(Admission { rules, clock });
        let (endpoint, watched) = (endpoint.clone(), Some(watched));
        Ok(Self { endpoint, clock, watched, looking: None, next_files: None })
    }

    /// Takes other files from the next look on.
    pub fn use_files(&mut self, files: TrustFiles) {
        self.next_files = Some(files);
    }

    /// Sets the rules anew if the last look found that a file has changed, and begins the next look. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// If what is there now cannot be read or is not what it should be: then what held before goes on to hold. Told once.
    pub fn look(&mut self) -> Result<(), CredentialsError> {
        let found = match self.looking.as_ref().map(Receiver::try_recv) {
            None => Ok(None),
            Some(Ok((watched, found))) => {
                (self.watched, self.looking) = (Some(watched), None);
                found
            }
            // Under way; or the runtime is ending, and the result is not needed.
            Some(Err(TryRecvError::Empty | TryRecvError::Disconnected)) => return Ok(()),
        };
        self.begin_look();
        if let Some(rules) = found? {
            tracing::info!("took the files that say who belongs anew");
            self.endpoint.set_admission(Admission { rules, clock: self.clock });
        }
        Ok(())
    }

    fn begin_look(&mut self) {
        let Some(mut watched) = self.watched.take() else { return };
        if let Some(files) = self.next_files.take() {
            watched.set(files);
        }
        if watched.is_nothing() {
            self.watched = Some(watched);
            return;
        }
        let (tell, looking) = sync_channel(1);
        self.looking = Some(looking);
        tokio::task::spawn_blocking(move || {
            let found = watched.look();
            // The command may have ended.
            let _ = tell.send((watched, found));
        });
    }
}
