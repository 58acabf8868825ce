//! What is told while a command waits for the node that an address names: for whom, and why nothing comes of it yet.

use super::super::output;
use super::address::Invitation;
use swarm_core::base::Shown;
use swarm_daemon::{PeerStatus, Status};

/// A wait for one node.
pub(super) struct Contact<'a> {
    invitation: &'a Invitation,
    looks: u32,
    trouble: Option<String>,
    told: String,
}

impl<'a> Contact<'a> {
    pub(super) fn new(invitation: &'a Invitation) -> Self {
        Self { invitation, looks: 0, trouble: None, told: String::new() }
    }

    /// Takes a look at a node that offers nothing yet; no status while the daemon starts. Tells what is new.
    pub(super) fn look(&mut self, status: Option<&Status>) {
        self.looks += 1;
        let peer = status.and_then(|status| self.invitation.peer_in(status));
        self.trouble = trouble_of(peer, &self.invitation.name);
        let why = self.trouble.as_deref().unwrap_or("the daemon starts");
        let line = format!("waiting for {}: {}", self.invitation.shown_source(), Shown(why));
        if self.looks >= SILENT_LOOKS && line != self.told {
            output::note(&line);
            self.told = line;
        }
    }

    /// Why nothing came of it.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }
}

fn trouble_of(peer: Option<&PeerStatus>, library: &str) -> Option<String> {
    let peer = peer?;
    if peer.connected {
        return Some(format!("it is connected, and does not offer `{library}`; an address lets in once"));
    }
    Some(peer.trouble.clone().unwrap_or_else(|| "it does not answer yet".to_owned()))
}

/// Half a minute.
pub(super) const CONTACT_LOOKS: u32 = 100;
/// One second: usually it is done by then.
const SILENT_LOOKS: u32 = 4;
