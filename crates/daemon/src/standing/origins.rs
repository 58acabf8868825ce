//! How peers stand that speak HTTP(S) alone.

use swarm_daemon_files::{OriginUrl, Peer};
use swarm_library::{LibraryKey, Trust};

use super::peers::trust_word;
use super::percent;
use crate::daemon::Desk;
use crate::daemon::libraries::Running;
use crate::origins::{OriginFault, OriginShare};
use crate::status::{PeerLibraryStatus, PeerStatus, StatusError};

/// Such a peer.
pub(super) fn origin_status(desk: &Desk, peer: &Peer, url: &OriginUrl) -> PeerStatus {
    let known = desk.origins.borrow().get(url).cloned();
    let state = known.as_ref().map(|origin| origin.state()).unwrap_or_default();
    let trust = if peer.trusted { Trust::Trusted } else { Trust::Untrusted };
    let waits = || (!state.is_connected).then(|| "not asked yet".to_owned());
    PeerStatus {
        address: url.to_string(),
        name: peer.name.clone().unwrap_or_default(),
        trust: trust_word(trust).to_owned(),
        connected: state.is_connected,
        trouble: state.trouble.clone().or_else(waits),
        received: known.map(|origin| origin.origin.received_len()).unwrap_or_default(),
        libraries: state.shares.iter().filter_map(|(key, share)| library(desk, key, share)).collect(),
        ..PeerStatus::default()
    }
}

fn library(desk: &Desk, key: &LibraryKey, share: &OriginShare) -> Option<PeerLibraryStatus> {
    let settings = desk.libraries.get(key).map(Running::settings)?;
    Some(PeerLibraryStatus {
        name: settings.name.clone(),
        guid: settings.guid.to_string(),
        is_shared: true,
        is_level: false,
        percent: percent(share.listed_len, share.len, share.is_complete),
        activity: String::new(),
        deletions_to_do: 0,
    })
}

/// What is wrong with files of origins.
pub(super) fn origin_errors(desk: &Desk) -> Vec<StatusError> {
    let origins: Vec<_> = desk.origins.borrow().values().cloned().collect();
    let faults = origins.iter().flat_map(|origin| origin.state().faults);
    let error = |((library, path), fault): ((LibraryKey, String), OriginFault)| {
        let settings = desk.libraries.get(&library).map(Running::settings)?;
        Some(StatusError {
            guid: settings.guid.to_string(),
            file: path.trim_start_matches('/').to_owned(),
            issue: fault.issue.to_owned(),
            detail: fault.detail,
        })
    };
    faults.filter_map(error).collect()
}
