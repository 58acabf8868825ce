//! How somebody names a peer: by its address, its NODEID or at least eight digits of that, or its name. Invariant: one is meant, or none is.

use super::super::failure::Failure;
use swarm_core::base::{Category, Shown};
use swarm_daemon::{PeerStatus, Status};
use swarm_daemon_files::{DaemonFolder, NewPeer, Peer};

/// A peer that somebody means.
pub(super) enum Meant {
    /// As the files name it.
    Known(String),
    /// One that others told of, or that linked itself, as the files would have it.
    Told(NewPeer),
}

/// A peer with all that it is called.
struct Candidate {
    /// In the files; nothing for one that they do not have.
    own: Option<Peer>,
    node: Option<String>,
    address: String,
    names: Vec<String>,
}

/// The peer that is called so.
pub(super) fn meant(folder: &DaemonFolder, status: Option<&Status>, which: &str) -> Result<Meant, Failure> {
    let all = candidates(folder, status);
    let of = |is_it: fn(&Candidate, &str) -> bool| -> Vec<&Candidate> {
        all.iter().filter(|candidate| is_it(candidate, which)).collect()
    };
    let exact = of(Candidate::is_exactly);
    let found = if exact.is_empty() { of(Candidate::may_be) } else { exact };
    match found.as_slice() {
        [one] => Ok(one.meant(folder)),
        [] => Err(Failure::new(Category::Usage, unknown(which))),
        several => Err(Failure::new(Category::Usage, unclear(which, several))),
    }
}

fn candidates(folder: &DaemonFolder, status: Option<&Status>) -> Vec<Candidate> {
    let seen: Vec<&PeerStatus> = status.iter().flat_map(|status| &status.peers).collect();
    let own = folder.peers().iter().map(|peer| {
        let node = peer.node.map(|node| node.to_string());
        let address = peer.place().unwrap_or_default().to_owned();
        let is_same = |seen: &&&PeerStatus| {
            if node.is_some() { seen.node == node } else { !address.is_empty() && seen.address == address }
        };
        let names = seen.iter().find(is_same).map(|seen| seen.name.clone());
        let names = names.into_iter().chain(peer.name.clone()).collect();
        Candidate { own: Some(peer.clone()), node, address, names }
    });
    let own: Vec<Candidate> = own.collect();
    let is_new = |peer: &&&PeerStatus| own.iter().all(|own| own.node.is_none() || own.node != peer.node);
    let told = seen.iter().filter(|peer| peer.node.is_some() && !peer.address.is_empty()).filter(is_new);
    let is_listed = |peer: &&&PeerStatus| own.iter().all(|own| own.address != peer.address);
    let told: Vec<Candidate> = told
        .filter(is_listed)
        .map(|peer| Candidate {
            own: None,
            node: peer.node.clone(),
            address: peer.address.clone(),
            names: vec![peer.name.clone()],
        })
        .collect();
    own.into_iter().chain(told).collect()
}

impl Candidate {
    fn is_exactly(&self, which: &str) -> bool {
        let (node, place) = which.split_once('@').unwrap_or(("", which));
        let is_place = !self.address.is_empty() && self.address == place;
        let is_node = self.node.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(which));
        let is_name = self.own.as_ref().is_some_and(|own| own.name.as_deref() == Some(which));
        let is_other = !node.is_empty() && self.node.as_deref().is_some_and(|own| own != node);
        (is_place && !is_other) || is_node || is_name
    }

    fn may_be(&self, which: &str) -> bool {
        let digits = which.trim_end_matches('…').to_ascii_lowercase();
        let is_begun =
            digits.len() >= DIGITS_MIN && self.node.as_deref().is_some_and(|node| node.starts_with(&digits));
        is_begun || (!which.is_empty() && self.names.iter().any(|name| name == which))
    }

    fn meant(&self, folder: &DaemonFolder) -> Meant {
        let node = self.node.clone();
        if self.own.is_some() {
            return Meant::Known(node.unwrap_or_else(|| self.address.clone()));
        }
        let is_free = |name: &&String| {
            !name.is_empty() && folder.peers().iter().all(|known| known.name.as_ref() != Some(*name))
        };
        let name = self.names.iter().find(is_free).cloned();
        let address = format!("{}@{}", node.unwrap_or_default(), self.address);
        Meant::Told(NewPeer { address, trusted: true, name, ..NewPeer::default() })
    }

    /// `anna (0123456789ab, 10.0.0.2:8000)`.
    fn shown(&self, digits: usize) -> String {
        let node = self.node.as_deref().map(|node| node.get(..digits).unwrap_or(node).to_owned());
        let address = Some(self.address.clone()).filter(|address| !address.is_empty());
        let details: Vec<String> = node.into_iter().chain(address).collect();
        let name = self.names.iter().rfind(|name| !name.is_empty());
        match name {
            Some(name) => format!("{} ({})", Shown(name), Shown(&details.join(", "))),
            None => Shown(&details.join(", ")).to_string(),
        }
    }
}

fn unknown(which: &str) -> String {
    let is_short =
        (1..DIGITS_MIN).contains(&which.len()) && which.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = if is_short {
        format!(", and of a NODEID at least {DIGITS_MIN} digits are needed")
    } else {
        String::new()
    };
    format!("no peer is called `{}`{digits}: `swarm peer ls` lists them", Shown(which))
}

fn unclear(which: &str, several: &[&Candidate]) -> String {
    let nodes: Vec<&str> = several.iter().filter_map(|one| one.node.as_deref()).collect();
    let is_told_apart = |digits: &usize| {
        let begins: std::collections::BTreeSet<&str> =
            nodes.iter().map(|node| node.get(..*digits).unwrap_or(node)).collect();
        begins.len() == nodes.len()
    };
    let digits = (DIGITS_SHOWN..).step_by(2).take(26).find(is_told_apart).unwrap_or(64);
    let named: Vec<String> = several.iter().take(NAMED_MAX).map(|one| one.shown(digits)).collect();
    let more = several.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "`{}` may be {}{more}: name one by its address, or by as many digits as tell it apart",
        Shown(which),
        named.join(" or ")
    )
}

/// As many digits of a key as tables show.
const DIGITS_MIN: usize = 8;
const DIGITS_SHOWN: usize = 12;
/// Peers that an error names.
const NAMED_MAX: usize = 5;
