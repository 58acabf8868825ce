//! `swarm share`: a library of two by one command. Who has the address may join once: its last part is the password of a user that the first
//! node to show it uses up, and that node is trusted from then on.
//!
//! Invariant: an invitation lets one node in; it ends with that, or with the command.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::args::{Global, ShareArgs};
use super::super::daemon;
use super::super::failure::Failure;
use super::super::output;
use super::super::pair::interrupted;
use super::super::setup::Interrupts;
use super::address::{Invitation, user_of, users_of};
use super::{absolute, odd};
use std::path::{Path, PathBuf};
use swarm_core::base::{Category, Shown};
use swarm_daemon::{Daemon, Reply, Request, Status};
use swarm_daemon_files::{DaemonFolder, NewMount, NewPeer, Role};

pub(in super::super) async fn share(args: ShareArgs, global: &Global) -> Result<(), Failure> {
    let mut interrupts = Interrupts::catch()?;
    let dir = daemon::folder(&args.folder, global)?;
    let is_running = swarm_daemon::ask(&dir, &Request::Status).is_ok();
    let mut folder = DaemonFolder::open(&dir)?;
    make_library(&mut folder, &args)?;
    let secret = if args.invite || is_running || folder.peers().iter().all(|peer| !peer.trusted) {
        Some(invite(&mut folder, &args.name)?)
    } else {
        None
    };
    let sharing = Sharing { dir: dir.clone(), name: args.name.clone(), secret };
    let served = if is_running {
        tokio::select! {
            served = sharing.serve(false) => served,
            () = interrupts.next() => Err(interrupted()),
        }
    } else {
        let daemon = Daemon::prepare(&dir)?;
        beside(daemon, &mut interrupts, sharing.serve(true)).await
    };
    // What nobody used is of no use from now on.
    forget_invitations(&mut folder, &args.name);
    served
}

/// Runs a daemon until something else is done or a signal comes; both end in order.
pub(super) async fn beside(
    daemon: Daemon,
    interrupts: &mut Interrupts,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let (over, signalled) = (CancellationToken::new(), CancellationToken::new());
    let running = daemon.run(async {
        tokio::select! {
            () = over.cancelled() => {}
            () = interrupts.next() => signalled.cancel(),
        }
    });
    tokio::pin!(running, work);
    tokio::select! {
        () = &mut running => Err(interrupted()),
        done = &mut work => {
            over.cancel();
            running.await;
            // What the work met at a daemon that was ending is no news.
            if signalled.is_cancelled() { Err(interrupted()) } else { done }
        }
    }
}

/// How the daemon of a folder stands.
pub(super) async fn status_of(dir: &Path) -> Result<Status, Failure> {
    let dir = dir.to_owned();
    let asked = tokio::task::spawn_blocking(move || swarm_daemon::ask(&dir, &Request::Status)).await;
    match asked {
        Ok(Ok(Reply::Status(status))) => Ok(*status),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(_)) | Err(_) => Err(odd()),
    }
}

fn make_library(folder: &mut DaemonFolder, args: &ShareArgs) -> Result<(), Failure> {
    let known = folder.libraries().iter().find(|known| known.name == args.name);
    let Some(target) = &args.target else {
        let message = format!("there is no library `{}` here: name the folder to share, too", args.name);
        return known.map(drop).ok_or_else(|| Failure::new(Category::Usage, message));
    };
    let dir = absolute(target)?;
    if let Some(known) = known {
        if known.mounts.iter().any(|mount| mount.dir == Path::new(&dir)) {
            return Ok(());
        }
        let message = format!("library `{}` is another folder already: choose another name", args.name);
        return Err(Failure::new(Category::TargetDiffers, message));
    }
    let mount = NewMount { dir, libpath: "/".to_owned(), is_sync: true };
    folder.add_library(&args.name, &super::kept::guid(None)?, &[mount])?;
    Ok(())
}

/// Makes the user that the address lets in. One of an earlier start counts no more.
fn invite(folder: &mut DaemonFolder, name: &str) -> Result<String, Failure> {
    let no_chance = || Failure::new(Category::Other, "the system gives no random bytes");
    let secret = swarm_daemon::new_guid().ok_or_else(no_chance)?.to_string();
    let hash = swarm_daemon::hash_password(&secret).ok_or_else(no_chance)?;
    let user = user_of(name, &secret);
    forget_invitations(folder, name);
    folder.add_user(&user, &hash, None)?;
    folder.set_user_role_in(&user, name, Some(Role::Viewer))?;
    Ok(secret)
}

/// Those of earlier starts count no more.
fn forget_invitations(folder: &mut DaemonFolder, name: &str) {
    let prefix = users_of(name);
    // As they are now: another process may have edited the file.
    folder.reload();
    let users: Vec<String> = folder.users().iter().map(|user| user.user.clone()).collect();
    for user in users.iter().filter(|user| user.starts_with(&prefix)) {
        if let Err(error) = folder.remove_user(user) {
            output::note(format_args!(
                "`{user}` may still come in: {error}; `swarm user remove` takes it out"
            ));
        }
    }
}

struct Sharing {
    dir: PathBuf,
    name: String,
    secret: Option<String>,
}

impl Sharing {
    /// Prints the address, and lets one node in. Goes on for ever if the daemon is this command's own.
    async fn serve(self, is_own: bool) -> Result<(), Failure> {
        let mut waits = self.secret.is_some();
        let mut is_told = false;
        loop {
            let status = match status_of(&self.dir).await {
                Ok(status) => status,
                // It starts.
                Err(_) if is_own && !is_told => {
                    tokio::time::sleep(INTERVAL).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            if !is_told {
                // A daemon reads its files within a second: who comes earlier is not known.
                tokio::time::sleep(READ_INTERVAL).await;
                self.tell(&status)?;
                is_told = true;
            }
            waits = waits && !self.let_in(&status)?;
            if !waits && !is_own {
                return Ok(());
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn tell(&self, status: &Status) -> Result<(), Failure> {
        let address = Invitation {
            source: status.address.clone(),
            name: self.name.clone(),
            secret: self.secret.clone(),
        };
        output::result(&address)?;
        if self.secret.is_some() {
            output::note(
                "the first machine to use it is let in, and trusted: `swarm sync DIR ADDRESS`, or `swarm subscribe ADDRESS DIR`",
            );
        } else {
            output::note("shared with the machines that were let in before; --invite lets in one more");
        }
        Ok(())
    }

    /// Trusts the node that shows the invitation. Returns whether there was one.
    fn let_in(&self, status: &Status) -> Result<bool, Failure> {
        let Some(secret) = &self.secret else { return Ok(false) };
        let user = user_of(&self.name, secret);
        let is_it = |peer: &&swarm_daemon::PeerStatus| peer.connected && peer.user.as_ref() == Some(&user);
        let Some(peer) = status.peers.iter().find(is_it) else { return Ok(false) };
        let Some(node) = &peer.node else { return Ok(false) };
        let mut folder = DaemonFolder::open(&self.dir)?;
        if folder.peers().iter().any(|known| known.node.is_some_and(|known| known.to_string() == *node)) {
            folder.set_peer_trusted(node, true)?;
        } else {
            let address = format!("{node}@{}", peer.address);
            folder.add_peer(&NewPeer { address, trusted: true, ..NewPeer::default() })?;
        }
        folder.remove_user(&user)?;
        output::note(format_args!("let in {} ({})", node.get(..8).unwrap_or(node), Shown(&peer.name)));
        Ok(true)
    }
}

const INTERVAL: Duration = Duration::from_millis(500);
const READ_INTERVAL: Duration = Duration::from_secs(1);
