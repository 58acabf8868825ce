//! Libraries of others, followed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use swarm_core::base::Shown;
use swarm_daemon_files::{Guid, NewSubscription};
use utoipa::ToSchema;

use super::libraries::GuidView;
use super::{From, ip};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::code::Code;
use crate::extract::Given;
use crate::limits::{KNOWN_LOOKS, STATUS_AGE};
use crate::problem::{Answer, Problem};

/// A subscription to make.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewFollowed {
    /// Its GUID, or the name under which a connected peer offers it.
    library: String,
    /// The folder for its files; without it, one of its name below the default folder.
    dir: Option<String>,
    /// Patterns of paths to fetch; none for all.
    #[serde(default)]
    include: Vec<String>,
    /// Patterns of paths to leave out.
    #[serde(default)]
    exclude: Vec<String>,
}

/// Subscribe to a library
#[utoipa::path(post, path = "/api/v1/subscriptions", tag = "libraries", request_body = NewFollowed, responses((status = 201, description = "It is followed", body = GuidView), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn subscribe(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    Given(new): Given<NewFollowed>,
) -> Answer<(StatusCode, Json<GuidView>)> {
    caller.needs(Permission::LibrariesManage)?;
    let act = app.audit.begin(&caller.user, ip(&from), "subscribe", &new.library);
    let guid = act.over(follow(&app, &caller, new)).await?;
    Ok((StatusCode::CREATED, Json(GuidView { guid: guid.to_string() })))
}

/// Follows a library that a peer offers, or one of a GUID.
pub(super) async fn follow(app: &App, caller: &Caller, new: FollowedParts) -> Answer<Guid> {
    let NewFollowed { library, dir, include, exclude } = new;
    let status = app.status().await?;
    let offered = status.peers.iter().flat_map(|peer| &peer.libraries);
    let mut offered: Vec<(&str, &str)> =
        offered.map(|offered| (offered.guid.as_str(), offered.name.as_str())).collect();
    offered.sort_unstable();
    offered.dedup_by_key(|(guid, _)| *guid);
    let (guid, name) = meant(&offered, &library)?;
    let unknown = |_| {
        let problem = Problem::not_found(format!(
            "no connected peer offers a library `{library}`: GET /api/v1/peers lists what they offer"
        ));
        problem.code(Code::NotOffered).with("library", library)
    };
    let guid: Guid = guid.parse().map_err(unknown)?;
    let known = guid.clone();
    app.edit_files(caller, move |folder| {
        let dir = match dir {
            Some(dir) => dir,
            None => {
                let root = folder.config().default_sync_root.join(folder_name(&name));
                let is_followed = folder.subscriptions().iter().any(|followed| followed.guid == known);
                // A peer chose the name: what stands there already is nothing to hand to it.
                if !is_followed && !is_free(&root) {
                    return Err(taken(&root));
                }
                root.to_string_lossy().into_owned()
            }
        };
        Ok(folder.add_subscription(&NewSubscription {
            guid: known,
            local_sync_dir: dir,
            from: Vec::new(),
            include,
            exclude,
            version_of: None,
        })?)
    })
    .await?;
    until_known(app, guid.as_str()).await;
    Ok(guid)
}

/// Whether nothing stands at a place, or an empty folder.
fn is_free(place: &Path) -> bool {
    match std::fs::read_dir(place) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn taken(place: &Path) -> Problem {
    let message = format!(
        "`{}` has files in it, which would go to those who have the library: name the folder in `dir` if that is right, or another one",
        Shown(place)
    );
    Problem::new(StatusCode::CONFLICT, message)
}

/// The GUID and the name of the library that is meant. A GUID is one whatever others call their libraries.
fn meant(offered: &[(&str, &str)], library: &str) -> Answer<(String, String)> {
    let owned = |(guid, name): &(&str, &str)| ((*guid).to_owned(), (*name).to_owned());
    if let Some(found) = offered.iter().find(|(guid, _)| *guid == library) {
        return Ok(owned(found));
    }
    let mut named = offered.iter().filter(|(_, name)| *name == library);
    match (named.next(), named.next()) {
        (None, _) => Ok((library.to_owned(), library.to_owned())),
        (Some(found), None) => Ok(owned(found)),
        (Some(_), Some(_)) => {
            let problem =
                Problem::bad(format!("peers offer several libraries called `{library}`: name a GUID"));
            Err(problem.code(Code::SeveralLibraries).with("library", library))
        }
    }
}

/// Waits until the daemon has taken a library over from the files, so that the next request finds it. A daemon that is busy is not waited for long.
pub(super) async fn until_known(app: &App, guid: &str) {
    for _ in 0..KNOWN_LOOKS {
        let status = app.status().await;
        if status.is_ok_and(|status| status.libraries.iter().any(|library| library.guid == guid)) {
            return;
        }
        tokio::time::sleep(STATUS_AGE).await;
    }
}

pub(super) type FollowedParts = NewFollowed;

impl NewFollowed {
    pub(super) fn new(library: String, dir: Option<String>) -> Self {
        Self { library, dir, include: Vec::new(), exclude: Vec::new() }
    }
}

/// A name that a peer gave, as the name of one folder.
fn folder_name(name: &str) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() || " -_.".contains(letter) { letter } else { '_' };
    let name: String = name.chars().map(plain).take(64).collect();
    let name = name.trim_matches(['.', ' ']);
    if name.is_empty() { "library".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_one_whatever_others_call_their_libraries() {
        let offered = [("evilguid", "goodguid"), ("goodguid", "Films"), ("three", "Twice"), ("two", "Twice")];
        let check = |library: &str, expected: Option<&str>| {
            let found = meant(&offered, library).ok().map(|(guid, _)| guid);
            assert_eq!(found.as_deref(), expected, "{library}");
        };
        check("goodguid", Some("goodguid"));
        check("Films", Some("goodguid"));
        check("Twice", None);
        check("unknown", Some("unknown"));
    }

    #[test]
    fn a_folder_by_default_is_a_new_one_or_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("empty")).expect("a place");
        std::fs::create_dir(at("used")).expect("a place");
        std::fs::write(at("used/salaries.txt"), "private").expect("a place");
        let found = ["new", "empty", "used", "used/salaries.txt"].map(|name| is_free(&at(name)));
        assert_eq!(found, [true, true, false, false]);
    }

    #[test]
    fn a_name_of_a_peer_is_one_folder() {
        let check = |name: &str, expected: &str| assert_eq!(folder_name(name), expected);
        check("Lib 1", "Lib 1");
        check("../../etc", "_.._etc");
        check("..", "library");
        check("a/b\0c", "a_b_c");
        check("", "library");
        check("Fotos \u{202e}exe", "Fotos _exe");
    }
}
