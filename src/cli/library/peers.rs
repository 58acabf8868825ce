//! `swarm peer`: whom a daemon knows, and whom it trusts.

use super::super::args::{Global, ListArgs, PeerAddArgs, PeerArgs, PeerCommand};
use super::super::failure::Failure;
use super::super::output;
use super::super::password;
use super::{files, status, status_if_running};
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
            files(&args.folder, global)?.remove_peer(&args.peer)?;
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
        None => folder.set_peer_trusted(&args.peer, trusted)?,
    };
    if !trusted {
        output::note(
            "nothing more is taken from it; `swarm author ls` shows what it changed, and `swarm author undo` takes that back",
        );
    }
    Ok(())
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
            || peer.node.as_deref().is_some_and(|node| node.starts_with(&args.peer) && args.peer.len() >= 8)
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
