//! SIGHUP: takes contents, limits, schedule and trust from the configuration as it is now, and tries again what could not be served.

use tracing::{info, warn};

use super::config::Config;
use super::contents::Entry;
use super::run::{Running, Work};

impl Running {
    /// Takes the live settings of the configuration as it is now; the fixed ones need a restart.
    pub(super) async fn reload(&mut self) {
        let Some(path) = &self.config_path else {
            for content in self.work.contents.renew() {
                self.node.leave(content).await;
            }
            return info!("looking again at what could not be served");
        };
        let config = match Config::load(path) {
            Ok(config) => config,
            Err(error) => {
                return warn!(%error, "the configuration is not taken; going on with the one before");
            }
        };
        let is_configured = |work: &Work| {
            let configured = work.contents.iter().filter(|(_, entry)| entry.is_configured);
            configured.map(|(id, entry)| (id, entry.spec.clone())).collect::<Vec<_>>()
        };
        let before = is_configured(&self.work);
        for (id, spec) in &before {
            if !config.live.contents.contains(spec)
                && let Some(content) = self.work.contents.remove(*id).and_then(|entry| entry.content)
            {
                info!(content = %content.short(), "removed");
                self.node.leave(content).await;
            }
        }
        for spec in &config.live.contents {
            if !before.iter().any(|(_, known)| known == spec) {
                self.work.contents.insert(Entry::of(spec.clone(), true));
            }
        }
        for content in self.work.contents.renew() {
            self.node.leave(content).await;
        }
        if self.config.needs_restart(&config) {
            warn!(
                "only contents, limit_up, limit_down, schedule and the lists in trust are taken while the node runs: restart it for the rest"
            );
        }
        // Rates and schedule are looked at every second, the contents were compared above.
        self.config.live = config.live;
        self.admission_files.use_files(self.config.live.trust.clone());
        info!(contents = self.work.contents.len(), "took the configuration anew");
    }
}
