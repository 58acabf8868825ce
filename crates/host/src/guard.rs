//! Keeps an endpoint's gate as the files of a product say, as long as it runs.

use std::time::SystemTime;

use swarm_credentials::{CredentialsError, TrustFiles, Watched};
use swarm_link::{Endpoint, Gate};

/// The files, and the endpoint that they are for.
#[derive(Debug)]
pub struct Guard {
    endpoint: Endpoint,
    clock: fn() -> SystemTime,
    watched: Watched,
}

impl Guard {
    /// Sets the gate for the first time; before the node is started, so that nobody slips in.
    ///
    /// # Errors
    /// If a file cannot be read or is not what it should be.
    pub fn set(
        endpoint: &Endpoint,
        files: TrustFiles,
        clock: fn() -> SystemTime,
    ) -> Result<Self, CredentialsError> {
        let (watched, authoriser) = Watched::load(files)?;
        endpoint.set_gate(Gate { authoriser, clock });
        Ok(Self { endpoint: endpoint.clone(), clock, watched })
    }

    /// Takes other files from the next look on.
    pub fn use_files(&mut self, files: TrustFiles) {
        self.watched.set(files);
    }

    /// Sets the gate anew if a file has changed.
    ///
    /// # Errors
    /// If what is there now cannot be read or is not what it should be: then what held before goes on to hold. Told once.
    pub fn look(&mut self) -> Result<(), CredentialsError> {
        if let Some(authoriser) = self.watched.look()? {
            tracing::info!("took the files that say who belongs anew");
            self.endpoint.set_gate(Gate { authoriser, clock: self.clock });
        }
        Ok(())
    }
}
