//! What teams' own programs ask for, at short paths: `/files`, `/status`, `/libraries`, `/subscribe`, `/peers`. The shapes are those of the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use swarm_daemon::{EntryView, StatusError};
use swarm_daemon_files::NewPeer;
use utoipa::{IntoParams, ToSchema};

use super::libraries::{FollowedParts, follow};
use super::{From, blocking, ip, seen_by};
use crate::app::App;
use crate::auth::{Caller, LibraryName, Permission};
use crate::extract::{Asked, Given};
use crate::limits::ENTRIES_MAX;
use crate::problem::{Answer, Problem};

/// How this node and its peers stand.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeamStatus {
    /// As in `3h 12m`.
    uptime: String,
    /// How far each peer is with each library: by address, then by name of the library, as in `94.3%`.
    #[serde(rename = "peerSync")]
    peer_sync: BTreeMap<String, BTreeMap<String, String>>,
    /// Files and libraries with which something is wrong.
    errors: Vec<TeamError>,
}

/// Something that is wrong with a file.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeamError {
    guid: String,
    file: String,
    /// As in `hash-mismatch`.
    issue: String,
}

/// How this node and its peers stand
#[utoipa::path(get, path = "/status", tag = "team", responses((status = 200, description = "The status", body = TeamStatus), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn status(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<TeamStatus>> {
    let status = app.status().await?;
    let seen = seen_by(&status, &caller);
    let error = |error: &StatusError| TeamError {
        guid: error.guid.clone(),
        file: error.file.clone(),
        issue: error.issue.clone(),
    };
    Ok(Json(TeamStatus {
        uptime: seen.uptime.clone(),
        peer_sync: seen.peer_sync.clone(),
        errors: seen.errors.iter().map(error).collect(),
    }))
}

/// A library, as `libraries.json` has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeamLibrary {
    guid: String,
    mounts: Vec<TeamMount>,
}

/// A folder of a library, as `libraries.json` has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeamMount {
    dir: String,
    libpath: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    readonly: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sync: bool,
}

/// List libraries
///
/// By name, as `libraries.json` has them; those that are subscribed, too.
#[utoipa::path(get, path = "/libraries", tag = "team", responses((status = 200, description = "Libraries by name", body = BTreeMap<String, TeamLibrary>), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn libraries(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Answer<Json<BTreeMap<String, TeamLibrary>>> {
    let status = app.status().await?;
    let is_admin = caller.roles.may(Permission::LibrariesManage);
    let seen = status.libraries.iter().filter(|library| {
        let name = LibraryName { name: &library.name, guid: &library.guid };
        caller.roles.may_in(Permission::FilesRead, &name)
    });
    let shown = seen.map(|library| {
        // Where folders stand on this machine is the admin's affair.
        let mounts = library.mounts.iter().filter(|_| is_admin).map(|mount| TeamMount {
            dir: mount.dir.clone(),
            libpath: mount.libpath.clone(),
            readonly: !mount.sync,
            sync: mount.sync,
        });
        (library.name.clone(), TeamLibrary { guid: library.guid.clone(), mounts: mounts.collect() })
    });
    Ok(Json(shown.collect()))
}

/// Which files.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilesQuery {
    /// GUID or name of the library.
    guid: String,
    /// Go on after this path: the last one of the page before.
    start: Option<String>,
    /// At most so many; without it, all.
    limit: Option<usize>,
}

/// A file, as `files-local.json` has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeamFile {
    /// In the library, as in `/video/a.mov`.
    path: String,
    /// In bytes.
    length: u64,
    /// When it was modified, in UTC, as in `2026-01-31T12:00:00.5Z`.
    mtime: String,
    sha256: Option<String>,
    blake3: Option<String>,
    /// The library is sealed: a daemon that reads this list by HTTPS alone takes nothing over. Left out if it is not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sealed: bool,
}

/// List files of a library
///
/// All of its view, also those that are on other machines: `GET /file/{guid}/{path}` gives those that are here. Of a sealed library, each file says
/// `"sealed": true`, and the answer has the header `swarm-sealed: true`, since a list may be empty.
#[utoipa::path(get, path = "/files", tag = "team", params(FilesQuery), responses((status = 200, description = "Files in path order", body = Vec<TeamFile>, headers(("swarm-sealed" = String, description = "`true` for a sealed library"))), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn files(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(query): Asked<FilesQuery>,
) -> Answer<(HeaderMap, Json<Vec<TeamFile>>)> {
    let files = app.library(&caller, &query.guid, Permission::FilesRead).await?;
    let mut start = super::place_of(query.start.as_deref())?;
    let limit = query.limit.unwrap_or(FILES_MAX).min(FILES_MAX);
    let is_sealed = files.is_sealed();
    let listed = blocking(move || {
        let mut listed = Vec::new();
        loop {
            let page = files.all(start.as_ref(), ENTRIES_MAX)?;
            let of_page = page.entries.iter().filter(|entry| entry.kind == "file");
            listed.extend(of_page.map(|entry| TeamFile { sealed: is_sealed, ..team_file(entry) }));
            start = page.next;
            if start.is_none() || listed.len() >= limit {
                listed.truncate(limit);
                return Ok::<_, swarm_daemon::ReadError>(listed);
            }
        }
    });
    let listed = listed.await?.map_err(|error| Problem::of(error.category(), error.to_string()))?;
    let sealed = is_sealed.then_some((SEALED, HeaderValue::from_static("true")));
    Ok((sealed.into_iter().collect(), Json(listed)))
}

fn team_file(entry: &EntryView) -> TeamFile {
    TeamFile {
        path: format!("/{}", entry.path),
        length: entry.len,
        mtime: swarm_sync::Timestamp(entry.modified_ns).to_string(),
        sha256: entry.sha256.clone(),
        blake3: entry.blake3.clone(),
        sealed: false,
    }
}

/// A library to subscribe to, as `subscriptions.json` has it.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TeamSubscription {
    guid: String,
    /// The folder for its files; without it, one of its name below the default folder.
    #[serde(rename = "localSyncDir")]
    local_sync_dir: Option<String>,
}

/// The subscription that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeamSubscribed {
    guid: String,
    /// `subscribed`.
    status: &'static str,
}

/// Subscribe to a library
#[utoipa::path(post, path = "/subscribe", tag = "team", request_body = TeamSubscription, responses((status = 200, description = "It is followed", body = TeamSubscribed), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn subscribe(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    Given(new): Given<TeamSubscription>,
) -> Answer<Json<TeamSubscribed>> {
    caller.needs(Permission::LibrariesManage)?;
    let guid = follow(&app, FollowedParts::new(new.guid, new.local_sync_dir)).await?;
    app.audit.note(&caller.user, ip(&from), "subscribe", guid.as_str());
    Ok(Json(TeamSubscribed { guid: guid.to_string(), status: "subscribed" }))
}

/// A peer, as `peers.json` has it, without its password.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct TeamPeer {
    /// `host:port`.
    address: String,
    #[serde(default)]
    trusted: bool,
    /// Its key, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// List peers
///
/// As `peers.json` has them, for `POST /peers/merge` of another node.
#[utoipa::path(get, path = "/peers", tag = "team", responses((status = 200, description = "Peers", body = Vec<TeamPeer>), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn peers(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<Vec<TeamPeer>>> {
    caller.needs(Permission::NodeRead)?;
    app.read_files(|folder| folder.peers().iter().map(team_peer).collect()).await.map(Json)
}

fn team_peer(peer: &swarm_daemon_files::Peer) -> TeamPeer {
    TeamPeer {
        address: peer.place().unwrap_or_default().to_owned(),
        trusted: peer.trusted,
        node: peer.node.map(|node| node.to_string()),
        name: peer.name.clone(),
    }
}

/// Peers that another node lists.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Merge {
    /// As `GET /peers` gives them.
    peers: Vec<TeamPeer>,
    /// Only say what would become of them.
    #[serde(default)]
    preview: bool,
}

/// What became of each.
#[derive(Serialize, ToSchema)]
pub(crate) struct Merged {
    /// New here: added, and not trusted.
    added: Vec<TeamPeer>,
    /// Known here already.
    known: Vec<TeamPeer>,
    /// The same address with another key: left as it is here.
    conflicts: Vec<TeamPeer>,
}

/// Take over peers that another node lists
///
/// Those that are new are added without trust: whom this node trusts its admin says.
#[utoipa::path(post, path = "/peers/merge", tag = "team", request_body = Merge, responses((status = 200, description = "What became of each", body = Merged), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn merge_peers(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    Given(merge): Given<Merge>,
) -> Answer<Json<Merged>> {
    caller.needs(Permission::PeersManage)?;
    let known: Vec<TeamPeer> =
        app.read_files(|folder| folder.peers().iter().map(team_peer).collect()).await?;
    let own = app.facts.node.clone();
    let merged = compare(&known, merge.peers, &own);
    if !merge.preview && !merged.added.is_empty() {
        app.audit.note(&caller.user, ip(&from), "peers merge", &merged.added.len().to_string());
        let added = merged.added.clone();
        app.edit_files(move |folder| {
            let mut last = folder.reload();
            for peer in &added {
                last = folder.add_peer(&new_peer(peer))?;
            }
            Ok(last)
        })
        .await?;
    }
    Ok(Json(merged))
}

fn new_peer(peer: &TeamPeer) -> NewPeer {
    let address = match (&peer.node, peer.address.as_str()) {
        (Some(node), "") => node.clone(),
        (Some(node), address) => format!("{node}@{address}"),
        (None, address) => address.to_owned(),
    };
    NewPeer { address, name: peer.name.clone(), ..NewPeer::default() }
}

fn compare(known: &[TeamPeer], listed: Vec<TeamPeer>, own: &str) -> Merged {
    let mut merged = Merged { added: Vec::new(), known: Vec::new(), conflicts: Vec::new() };
    for peer in listed.into_iter().take(PEERS_MAX).filter(|peer| peer.node.as_deref() != Some(own)) {
        let has_node = |other: &&TeamPeer| other.node.is_some() && other.node == peer.node;
        let has_address = |other: &&TeamPeer| !peer.address.is_empty() && other.address == peer.address;
        let is_listed = merged.added.iter().any(|other| has_node(&other) || has_address(&other));
        let same = known.iter().find(has_node).or_else(|| known.iter().find(has_address));
        match same {
            Some(same) if same.node.is_some() && peer.node.is_some() && same.node != peer.node => {
                merged.conflicts.push(peer);
            }
            Some(_) => merged.known.push(peer),
            None if is_listed => merged.known.push(peer),
            None => merged.added.push(TeamPeer { trusted: false, ..peer }),
        }
    }
    merged
}

/// Says of a list that its library is sealed.
const SEALED: HeaderName = HeaderName::from_static("swarm-sealed");
/// Files of one answer.
const FILES_MAX: usize = 1 << 20;
/// Peers of one merge.
const PEERS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> TeamPeer {
        let (node, address) = text.split_once('@').unwrap_or(("", text));
        let node = Some(node.to_owned()).filter(|node| !node.is_empty());
        TeamPeer { address: address.to_owned(), trusted: true, node, name: None }
    }

    #[test]
    fn peers_of_others_are_added_without_trust_and_change_none_that_is_known() {
        let known = ["a@one:1", "two:1"].map(peer);
        let listed = ["a@elsewhere:1", "b@one:1", "c@two:1", "d@three:1", "d@three:1", "me@four:1"].map(peer);
        let merged = compare(&known, listed.to_vec(), "me");
        let shown = |peers: &[TeamPeer]| -> Vec<String> {
            peers
                .iter()
                .map(|peer| format!("{}@{}", peer.node.clone().unwrap_or_default(), peer.address))
                .collect()
        };
        assert_eq!(shown(&merged.added), ["d@three:1"]);
        assert_eq!(shown(&merged.known), ["a@elsewhere:1", "c@two:1", "d@three:1"]);
        assert_eq!(shown(&merged.conflicts), ["b@one:1"]);
        assert!(!merged.added[0].trusted);
    }
}
