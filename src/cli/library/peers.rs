//! `swarm peer`: whom a daemon knows, and whom it trusts.

use super::super::args::{Global, ListArgs, PeerAddArgs, PeerArgs, PeerCommand};
use super::super::failure::Failure;
use super::super::output;
use super::super::password;
use super::naming::Meant;
use super::{files, status, status_if_running};
use swarm_core::base::{Category, Shown};
use swarm_daemon::PeerStatus;
use swarm_daemon_files::{DaemonFolder, NewPeer, Peer, Secret, is_peer_address};

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
    if !is_peer_address(&args.address) {
        let message = format!(
            "`{}` is no address of a peer: write HOST:PORT, NODEID@HOST:PORT, a NODEID alone, which has 64 digits, or https://HOST:PORT",
            Shown(&args.address)
        );
        return Err(Failure::new(Category::Usage, message));
    }
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
    match meant(&folder, args, global)? {
        Meant::Known(which) => folder.set_peer_trusted(&which, trusted)?,
        Meant::Told(peer) if trusted => folder.add_peer(&peer)?,
        Meant::Told(_) => return Err(not_in_files(&args.peer)),
    };
    if !trusted {
        output::note(
            "nothing more is taken from it; `swarm author ls` shows what it changed, and `swarm author undo` takes that back",
        );
    }
    Ok(())
}

fn in_files(folder: &DaemonFolder, args: &PeerArgs, global: &Global) -> Result<String, Failure> {
    match meant(folder, args, global)? {
        Meant::Known(which) => Ok(which),
        Meant::Told(_) => Err(not_in_files(&args.peer)),
    }
}

fn not_in_files(which: &str) -> Failure {
    let message =
        format!("`{}` is not in peers.json: others told of it, and nothing of it counts", Shown(which));
    Failure::new(Category::Usage, message)
}

/// The peer that somebody means.
fn meant(folder: &DaemonFolder, args: &PeerArgs, global: &Global) -> Result<Meant, Failure> {
    let status = status_if_running(&args.folder, global)?;
    super::naming::meant(folder, status.as_ref(), &args.peer)
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
        address: peer.place().unwrap_or_default().to_owned(),
        node: peer.node.map(|node| node.to_string()),
        name: peer.name.clone().unwrap_or_default(),
        trust: trust.to_owned(),
        trouble: Some("the daemon does not run".to_owned()),
        ..PeerStatus::default()
    }
}
