//! What teams' own programs ask for, at short paths: `/files`, `/status`, `/libraries`, `/subscribe`, `/peers`. The shapes are those of the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use swarm_daemon::{EntryView, LibraryFiles, StatusError};
use swarm_daemon_files::{EditError, NewPeer};
use swarm_sync::TreePath;
use utoipa::{IntoParams, ToSchema};

use super::following::{FollowedParts, follow};
use super::{From, blocking, ip, seen_by};
use crate::app::App;
use crate::auth::{Caller, LibraryName, Permission, Right};
use crate::extract::{Asked, Given};
use crate::limits::{ENTRIES_MAX, PEERS_MERGED_MAX};
use crate::problem::{Answer, Problem};
use crate::sending::streamed;

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
    /// At most so many; without it, all: they come while they are read.
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
) -> Answer<Response> {
    let files = app.library(&caller, &query.guid, Permission::FilesRead).await?;
    let start = super::place_of(query.start.as_deref())?;
    let mut left = query.limit.unwrap_or(usize::MAX);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if files.is_sealed() {
        headers.insert(SEALED, HeaderValue::from_static("true"));
    }
    let (page, mut next) = page_of(&files, start, &mut left).await?;
    let mut text = b"[".to_vec();
    append(&mut text, &page)?;
    if next.is_none() {
        text.push(b']');
        return Ok((headers, text).into_response());
    }
    let right = Right::of_user(&caller, Permission::FilesRead, &files);
    let (sending, body) = streamed(&app, right);
    // What fails from here on breaks the answer off, so that no part of a list looks like all of it.
    app.tasks.spawn(async move {
        sending.send(text.into()).await.ok()?;
        while next.is_some() {
            let (page, then) = page_of(&files, next, &mut left).await.ok()?;
            next = then;
            let mut text = Vec::new();
            if !page.is_empty() {
                text.push(b',');
                append(&mut text, &page).ok()?;
            }
            sending.send(text.into()).await.ok()?;
        }
        sending.send(Bytes::from_static(b"]")).await.ok()?;
        sending.finish();
        Some(())
    });
    Ok((headers, body).into_response())
}

/// Files of a page, and where the next one goes on; nothing where none is left or wanted.
async fn page_of(
    files: &LibraryFiles,
    start: Option<TreePath>,
    left: &mut usize,
) -> Answer<(Vec<TeamFile>, Option<TreePath>)> {
    let (mut start, files, wanted) = (start, files.clone(), (*left).min(ENTRIES_MAX));
    let is_sealed = files.is_sealed();
    let read = blocking(move || {
        let mut listed = Vec::new();
        // Until there is something to say: folders alone are a page without files.
        loop {
            let page = files.all(start.as_ref(), ENTRIES_MAX)?;
            let of_page = page.entries.iter().filter(|entry| entry.kind == "file");
            listed.extend(of_page.map(|entry| TeamFile { sealed: is_sealed, ..team_file(entry) }));
            start = page.next;
            if start.is_none() || !listed.is_empty() || wanted == 0 {
                return Ok::<_, swarm_daemon::ReadError>((listed, start));
            }
        }
    });
    let read = read.await?.map_err(|error| Problem::of(error.category(), error.to_string()));
    let (mut listed, next) =
        read.inspect_err(|error| tracing::warn!(error = error.detail(), "files cannot be listed"))?;
    listed.truncate(*left);
    *left -= listed.len();
    Ok((listed, next.filter(|_| *left > 0)))
}

/// Adds files to a list in JSON.
fn append(text: &mut Vec<u8>, files: &[TeamFile]) -> Answer<()> {
    for (number, file) in files.iter().enumerate() {
        if number > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut *text, file).map_err(|_| Problem::odd())?;
    }
    Ok(())
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
    let act = app.audit.begin(&caller.user, ip(&from), "subscribe", &new.guid);
    let guid = act.over(follow(&app, &caller, FollowedParts::new(new.guid, new.local_sync_dir))).await?;
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
        let count = merged.added.len().to_string();
        let act = app.audit.begin(&caller.user, ip(&from), "peers merge", &count);
        let added = merged.added.clone();
        let edit = app.edit_files(&caller, move |folder| {
            let mut last = folder.reload();
            for peer in &added {
                last = folder.add_peer(&new_peer(peer))?;
            }
            Ok::<_, EditError>(last)
        });
        act.over(edit).await?;
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
    for peer in listed.into_iter().take(PEERS_MERGED_MAX).filter(|peer| peer.node.as_deref() != Some(own)) {
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
