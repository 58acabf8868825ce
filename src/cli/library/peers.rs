//! `swarm peer`: whom a daemon knows, and whom it trusts.

use super::super::args::{Global, ListArgs, PeerAddArgs, PeerArgs, PeerCommand};
use super::super::failure::Failure;
use super::super::output;
use super::super::password;
use super::{files, status_if_running};
use swarm_daemon::PeerStatus;
use swarm_daemon_files::{NewPeer, Peer, Secret};

pub(in super::super) fn run(command: &PeerCommand, global: &Global) -> Result<(), Failure> {
    match command {
        PeerCommand::Add(args) => add(args, global),
        PeerCommand::Ls(args) => ls(args, global),
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
    files(&args.folder, global)?.set_peer_trusted(&args.peer, trusted)?;
    if !trusted {
        output::note(
            "nothing more is taken from it; `swarm author ls` shows what it changed, and `swarm author undo` takes that back",
        );
    }
    Ok(())
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
        address: peer.address.to_string(),
        node: peer.node.map(|node| node.to_string()),
        name: peer.name.clone().unwrap_or_default(),
        trust: trust.to_owned(),
        trouble: Some("the daemon does not run".to_owned()),
        ..PeerStatus::default()
    }
}
