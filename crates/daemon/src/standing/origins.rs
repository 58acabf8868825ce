//! How peers stand that speak HTTP(S) alone.

use swarm_daemon_files::{OriginUrl, Peer};
use swarm_library::{LibraryKey, Trust};

use super::peers::trust_word;
use super::percent;
use crate::daemon::Desk;
use crate::daemon::libraries::Running;
use crate::origins::{OriginFault, OriginShare, OriginState};
use crate::sentence::Sentence;
use crate::status::{PeerLibraryStatus, PeerStatus, StatusError};

/// Such a peer.
pub(super) fn origin_status(desk: &Desk, peer: &Peer, url: &OriginUrl) -> PeerStatus {
    let (known, unused) = {
        let origins = desk.origins.borrow();
        (origins.used.get(url).cloned(), origins.unused.get(url).cloned())
    };
    let state = known.as_ref().map(|origin| origin.state()).unwrap_or_default();
    let trust = if peer.trusted { Trust::Trusted } else { Trust::Untrusted };
    let waits = || (!state.is_connected).then(|| Sentence::new("peer-not-asked", [], "not asked yet"));
    let trouble = unused.or(state.trouble.clone()).or_else(waits);
    PeerStatus {
        address: url.to_string(),
        name: peer.name.clone().unwrap_or_default(),
        trust: trust_word(trust).to_owned(),
        connected: state.is_connected,
        trouble_told: trouble.as_ref().and_then(Sentence::told),
        trouble: trouble.map(|trouble| trouble.to_string()),
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

/// What is wrong with libraries of origins and files of these.
pub(super) fn origin_errors(desk: &Desk) -> Vec<StatusError> {
    let origins: Vec<_> = desk.origins.borrow().used.values().cloned().collect();
    let mut errors = Vec::new();
    for origin in origins {
        let OriginState { troubles, faults, unnamed, .. } = origin.state();
        let troubles = troubles.into_iter().map(|(library, fault)| (library, String::new(), fault));
        let faults = faults.into_iter().map(|((library, path), fault)| (library, path, fault));
        let unnamed = unnamed.into_iter().map(|(library, count)| {
            let url = &origin.settings.url;
            let detail = format!(
                "something is wrong with {count} more files of {url}: see to those that are named first"
            );
            let detail = Sentence::new("origin-more", [("url", url), ("n", &count)], detail);
            (library, String::new(), OriginFault { issue: "not-synced", detail })
        });
        errors.extend(troubles.chain(faults).chain(unnamed).filter_map(|(library, path, fault)| {
            let settings = desk.libraries.get(&library).map(Running::settings)?;
            Some(StatusError {
                guid: settings.guid.to_string(),
                file: path.trim_start_matches('/').to_owned(),
                issue: fault.issue.to_owned(),
                told: fault.detail.told(),
                detail: fault.detail.to_string(),
            })
        }));
    }
    errors
}
