//! `swarm peer`: whom a daemon knows, and whom it trusts.

use super::super::args::{Global, ListArgs, PeerAddArgs, PeerArgs, PeerCommand};
use super::super::failure::Failure;
use super::super::output;
use super::super::password;
use super::{files, status, status_if_running};
use swarm_core::base::{Category, Shown};
use swarm_daemon::PeerStatus;
use swarm_daemon_files::{DaemonFolder, NewPeer, Peer, Secret};

pub(in super::super) fn run(command: &PeerCommand, global: &Global) -> Result<(), Failure> {
    match command {
        PeerCommand::Add(args) => add(args, global),
        PeerCommand::Ls(args) => ls(args, global),
        PeerCommand::Me(folder) => output::result(status(folder, global)?.address),
        PeerCommand::Trust(args) => set_trusted(args, true, global),
        PeerCommand::Untrust(args) => set_trusted(args, false, global),
        PeerCommand::Remove(args) => {
            let mut folder = files(&args.folder, global)?;
            let which = in_files(&folder, args, global)?;
            folder.remove_peer(&which)?;
            Ok(())
        }
    }
}

fn add(args: &PeerAddArgs, global: &Global) -> Result<(), Failure> {
    let password = match &args.password_file {
        Some(file) => password::read(Some(file))?,
        None => Secret::default(),
    };
    let peer = NewPeer {
        address: args.address.clone(),
        trusted: args.trust,
        username: args.user.clone().unwrap_or_default(),
        password,
        is_mirror: args.mirror,
        name: args.name.clone(),
    };
    files(&args.folder, global)?.add_peer(&peer)?;
    Ok(())
}

fn set_trusted(args: &PeerArgs, trusted: bool, global: &Global) -> Result<(), Failure> {
    let mut folder = files(&args.folder, global)?;
    match told(&folder, args, global)?.filter(|_| trusted) {
        Some(peer) => folder.add_peer(&peer)?,
        None => {
            let which = in_files(&folder, args, global)?;
            folder.set_peer_trusted(&which, trusted)?
        }
    };
    if !trusted {
        output::note(
            "nothing more is taken from it; `swarm author ls` shows what it changed, and `swarm author undo` takes that back",
        );
    }
    Ok(())
}

/// How the files name a peer that is given as they have it, by the first digits of its key, or by the name that it has in the status.
fn in_files(folder: &DaemonFolder, args: &PeerArgs, global: &Global) -> Result<String, Failure> {
    let status = status_if_running(&args.folder, global)?;
    let called: Vec<String> = status
        .iter()
        .flat_map(|status| &status.peers)
        .filter(|peer| peer.name == args.peer)
        .filter_map(|peer| peer.node.clone())
        .collect();
    let is_it = |peer: &&Peer| {
        let node = peer.node.map(|node| node.to_string()).unwrap_or_default();
        let is_begun = args.peer.len() >= NODE_DIGITS_MIN && node.starts_with(&args.peer);
        is_begun || called.contains(&node) || peer.name.as_ref() == Some(&args.peer)
    };
    let found: Vec<&Peer> = folder.peers().iter().filter(is_it).collect();
    match found.as_slice() {
        [peer] => Ok(peer.node.map_or_else(|| args.peer.clone(), |node| node.to_string())),
        [] => Ok(args.peer.clone()),
        [..] => {
            let message = format!(
                "{} peers are called `{}`: name one by its address or NODEID",
                found.len(),
                Shown(&args.peer)
            );
            Err(Failure::new(Category::Usage, message))
        }
    }
}

/// A peer that is not in the files: one that others told of, or that linked itself.
fn told(folder: &DaemonFolder, args: &PeerArgs, global: &Global) -> Result<Option<NewPeer>, Failure> {
    let Some(status) = status_if_running(&args.folder, global)? else { return Ok(None) };
    let is_known = |node: &str| {
        folder.peers().iter().any(|peer| peer.node.is_some_and(|known| known.to_string() == node))
    };
    let is_it = |peer: &PeerStatus| {
        let is_named = peer.name == args.peer || peer.address == args.peer;
        is_named
            || (args.peer.len() >= NODE_DIGITS_MIN
                && peer.node.as_deref().is_some_and(|node| node.starts_with(&args.peer)))
    };
    let found: Vec<(&PeerStatus, &String)> = status
        .peers
        .iter()
        .filter(|peer| is_it(peer) && !peer.address.is_empty())
        .filter_map(|peer| Some((peer, peer.node.as_ref()?)))
        .filter(|(_, node)| !is_known(node))
        .collect();
    let [(peer, node)] = found.as_slice() else { return Ok(None) };
    let name = Some(peer.name.clone()).filter(|name| !name.is_empty());
    let name = name.filter(|name| folder.peers().iter().all(|known| known.name.as_ref() != Some(name)));
    let address = format!("{node}@{}", peer.address);
    Ok(Some(NewPeer { address, trusted: true, name, ..NewPeer::default() }))
}

/// What the daemon says, or what its files say if it does not run.
fn ls(args: &ListArgs, global: &Global) -> Result<(), Failure> {
    let peers = match status_if_running(&args.folder, global)? {
        Some(status) => status.peers,
        None => files(&args.folder, global)?.peers().iter().map(of_file).collect(),
    };
    if args.json {
        return peers.iter().try_for_each(output::json);
    }
    if peers.is_empty() {
        output::note("no peers yet: `swarm peer add HOST:PORT` adds one");
        return Ok(());
    }
    output::text(&output::library_peers_table(&peers))
}

fn of_file(peer: &Peer) -> PeerStatus {
    let trust = match (peer.is_mirror, peer.trusted) {
        (true, _) => "mirror",
        (false, true) => "trusted",
        (false, false) => "untrusted",
    };
    PeerStatus {
        address: peer.address.as_ref().map(ToString::to_string).unwrap_or_default(),
        node: peer.node.map(|node| node.to_string()),
        name: peer.name.clone().unwrap_or_default(),
        trust: trust.to_owned(),
        trouble: Some("the daemon does not run".to_owned()),
        ..PeerStatus::default()
    }
}

/// As many digits of a key as tables show.
const NODE_DIGITS_MIN: usize = 8;
