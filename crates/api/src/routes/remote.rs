//! A library at an address, `swarm://NODEID@HOST:PORT/NAME`: the node that it names becomes a peer, and the library is the one of that node.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::limits::OFFER_LOOKS;
use crate::problem::Problem;

/// A name and a password for the other side.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Credentials {
    #[serde(default)]
    username: String,
    #[serde(default)]
    #[schema(value_type = String)]
    password: super::peers::Password,
}

/// Adds the node of an address as a peer, if it is new; gives the GUID of the library that it offers, and no other node does.
pub(super) async fn reach(
    app: &App,
    caller: &Caller,
    address: &str,
    credentials: Option<Credentials>,
    trusted: bool,
    from: std::net::IpAddr,
) -> Result<String, Problem> {
    let (peer, name) = address
        .split_once('/')
        .ok_or_else(|| Problem::bad("an address of a library is swarm://NODEID@HOST:PORT/NAME"))?;
    caller.needs(Permission::PeersManage)?;
    let at = Remote::of(peer);
    let looked = at.clone();
    let is_known = app.read_files(move |folder| {
        folder
            .peers()
            .iter()
            .any(|known| looked.is_it(known.node.map(|node| node.to_string()), known.place()))
    });
    if !is_known.await? {
        let (username, password) =
            credentials.map(|given| (given.username, given.password.0)).unwrap_or_default();
        let new = swarm_daemon_files::NewPeer {
            address: peer.to_owned(),
            trusted,
            username,
            password: password.into(),
            ..swarm_daemon_files::NewPeer::default()
        };
        let act = app.audit.begin(&caller.user, from, "peer add", peer);
        act.over(app.edit_files(caller, move |folder| folder.add_peer(&new))).await?;
    }
    for _ in 0..OFFER_LOOKS {
        let status = app.status().await?;
        let of_node = status.peers.iter().filter(|peer| at.is_it(peer.node.clone(), Some(&peer.address)));
        let offered: Vec<_> = of_node.flat_map(|peer| &peer.libraries).collect();
        // A name may be the GUID of another library.
        let found = offered.iter().find(|library| library.guid == name);
        if let Some(found) = found.or_else(|| offered.iter().find(|library| library.name == name)) {
            return Ok(found.guid.clone());
        }
        tokio::time::sleep(crate::limits::STATUS_AGE).await;
    }
    Err(Problem::not_found(format!(
        "the node does not offer a library `{}` to this one: check the name, and whether it lets this node in",
        swarm_core::base::Shown(&name)
    )))
}

/// The node that an address names.
#[derive(Clone, Debug)]
struct Remote {
    node: Option<String>,
    place: String,
}

impl Remote {
    fn of(address: &str) -> Self {
        match address.split_once('@') {
            Some((node, place)) => Self { node: Some(node.to_ascii_lowercase()), place: place.to_owned() },
            None => Self { node: None, place: address.to_owned() },
        }
    }

    /// Its key says who it is; without one, its place.
    fn is_it(&self, node: Option<String>, place: Option<&str>) -> bool {
        match &self.node {
            Some(wanted) => node.is_some_and(|node| node == *wanted),
            None => place == Some(self.place.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_by_its_key_and_without_one_by_its_place() {
        let check = |address: &str, node: Option<&str>, place: &str, expected: bool| {
            let remote = Remote::of(address);
            assert_eq!(remote.is_it(node.map(str::to_owned), Some(place)), expected, "{address}");
        };
        check("aa@one:1", Some("aa"), "other:1", true);
        check("AA@one:1", Some("aa"), "other:1", true);
        check("aa@one:1", Some("bb"), "one:1", false);
        check("aa@one:1", None, "one:1", false);
        check("one:1", Some("aa"), "one:1", true);
        check("one:1", Some("aa"), "two:1", false);
    }
}
