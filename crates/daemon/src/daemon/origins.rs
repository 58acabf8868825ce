//! What the daemon tells its origins, and takes from them: settings, and certificates of first contact.

use super::Desk;
use super::libraries::Running;
use crate::origins;

impl Desk {
    /// Tells the origins what the files say, and which libraries work.
    pub(super) fn set_origins(&self) {
        let works = self.libraries.iter().filter_map(|(key, running)| match running {
            Running::Works { handle, settings, .. } => Some((*key, (handle.clone(), settings.clone()))),
            Running::Stands { .. } => None,
        });
        let (origins, libraries) = (crate::settings::origins_of(&self.folder), works.collect());
        self.to_origins.send_replace(origins::Settings { origins, libraries });
    }

    /// Pins certificates that were seen at first contact.
    pub(super) async fn pin_origins(&mut self) {
        let known: Vec<_> = self.origins.borrow().used.values().cloned().collect();
        for origin in known {
            let url = &origin.settings.url;
            let is_open = |peer: &swarm_daemon_files::Peer| {
                peer.origin.as_ref() == Some(url) && peer.fingerprint.is_none()
            };
            let Some(seen) = origin.to_pin().filter(|_| self.folder.peers().iter().any(is_open)) else {
                continue;
            };
            match self.folder.pin_origin(url, seen) {
                Ok(reloaded) => {
                    origin.note_pinned();
                    tracing::info!(origin = url.as_str(), fingerprint = %seen, "pinned the certificate of an origin at first contact");
                    self.on_reloaded(reloaded).await;
                }
                Err(error) => {
                    tracing::warn!(origin = url.as_str(), %error, "cannot pin the certificate of an origin");
                }
            }
        }
    }
}
