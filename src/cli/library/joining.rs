//! `swarm sync DIR swarm://..`: the other end of `swarm share`. A daemon of its own, in the state folder, follows the library into the folder;
//! the command ends when both sides have the same, or goes on with --watch.

use std::path::{Path, PathBuf};

use super::super::args::{Global, SyncArgs};
use super::super::failure::Failure;
use super::super::output;
use super::super::setup::{self, Interrupts};
use super::absolute;
use super::address::{Invitation, SCHEME};
use super::contact::{CONTACT_LOOKS, Contact};
use super::kept::{SAME_INTERVAL, SAME_LOOKS, is_same};
use super::sharing::{beside, status_of};
use swarm_core::base::{ByteLen, Category, Shown};
use swarm_daemon::{Daemon, LibraryStatus};
use swarm_daemon_files::{DaemonFolder, Guid, NewSubscription};

/// Whether the other folder is one of another machine.
pub(in super::super) fn is_remote(args: &SyncArgs) -> bool {
    args.b.as_ref().and_then(|b| b.to_str()).is_some_and(|b| b.starts_with(SCHEME))
}

pub(in super::super) async fn join(args: SyncArgs, global: &Global) -> Result<(), Failure> {
    let (Some(target), Some(address)) = (&args.a, args.b.as_ref().and_then(|b| b.to_str())) else {
        return Err(Failure::new(Category::Usage, "name a folder and an address"));
    };
    check_flags(&args)?;
    let invitation: Invitation =
        address.parse().map_err(|message: String| Failure::new(Category::Usage, message))?;
    let dir = folder_of(target, &invitation, global)?;
    let mut interrupts = Interrupts::catch()?;
    prepare(&dir, &invitation)?;
    let joining = Joining {
        dir: dir.clone(),
        target: absolute(target)?,
        invitation,
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        is_for_ever: args.watch,
    };
    let daemon = Daemon::prepare(&dir)?;
    beside(daemon, &mut interrupts, joining.follow()).await
}

/// Flags of `swarm sync` that are about two folders of this machine.
fn check_flags(args: &SyncArgs) -> Result<(), Failure> {
    let given = [
        (args.dry_run, "--dry-run"),
        (args.plan_out.is_some(), "--plan-out"),
        (args.plan.is_some(), "--plan"),
        (!args.resolve.is_empty(), "--resolve"),
        (args.max_delete.is_some(), "--max-delete"),
        (args.one_way, "--one-way"),
        (args.accept_empty, "--accept-empty"),
        (args.accept_root, "--accept-root"),
        (args.checksum, "--checksum"),
        (args.limit_up.is_some(), "--limit-up"),
        (args.limit_down.is_some(), "--limit-down"),
        (args.interactive, "--interactive"),
        (args.json, "--json"),
    ];
    let Some((_, flag)) = given.iter().find(|(is_given, _)| *is_given) else { return Ok(()) };
    let message = format!("{flag} is for two folders of one machine: leave it out with {SCHEME}");
    Err(Failure::new(Category::Usage, message))
}

/// The daemon's folder: the same each time for the same folder and library.
fn folder_of(target: &Path, invitation: &Invitation, global: &Global) -> Result<PathBuf, Failure> {
    let key = format!("{}\n{}\n{}", absolute(target)?, invitation.source, invitation.name);
    let hash = blake3::hash(key.as_bytes()).to_hex();
    Ok(setup::state_dir(global)?.join("joined").join(&hash.as_str()[..16]))
}

/// Writes what the daemon goes by: any port, the one peer, and what lets this node in.
fn prepare(dir: &Path, invitation: &Invitation) -> Result<(), Failure> {
    let is_new = !dir.join("config.json").exists();
    let mut folder = DaemonFolder::open(dir)?;
    if is_new {
        folder.edit_config(|json| {
            json.set("port", 0.into());
            json.set("lan", false.into());
        })?;
    }
    let peer = invitation.peer();
    if invitation.secret.is_some() && !folder.peers().is_empty() && folder.subscriptions().is_empty() {
        folder.remove_peer(&invitation.source)?;
    }
    if folder.peers().is_empty() {
        folder.add_peer(&peer)?;
    }
    Ok(())
}

struct Joining {
    dir: PathBuf,
    target: String,
    invitation: Invitation,
    include: Vec<String>,
    exclude: Vec<String>,
    is_for_ever: bool,
}

impl Joining {
    async fn follow(self) -> Result<(), Failure> {
        let guid = self.subscribed().await?;
        output::note(format_args!(
            "following `{}`: the other sync commands take --dir {}",
            self.invitation.name,
            Shown(&self.dir)
        ));
        let (mut shown, mut level) = (String::new(), 0);
        loop {
            let status = status_of(&self.dir).await?;
            let here = status.libraries.iter().find(|library| library.guid == guid);
            if let Some(here) = here {
                let line = progress(here);
                if line != shown {
                    output::note(&line);
                    shown = line;
                }
                let is_linked = status.peers.iter().any(|peer| peer.connected);
                let is_left_to_people = here.state == "conflict" || here.state == "waiting";
                let is_over = is_same(here, &status) || is_left_to_people;
                level = if is_linked && is_over { level + 1 } else { 0 };
                if !self.is_for_ever && (level >= SAME_LOOKS || here.held_here.is_some()) {
                    return self.verdict(here);
                }
            }
            tokio::time::sleep(SAME_INTERVAL).await;
        }
    }

    fn verdict(&self, here: &LibraryStatus) -> Result<(), Failure> {
        let (name, dir) = (Shown(&here.name), Shown(&self.dir));
        if let Some(held) = here.held_here {
            let count = output::count(held as usize, "deletion");
            let message = format!(
                "{count} in `{}` are held: `swarm approve --here '{name}' --dir {dir}` while --watch runs tells the other side",
                self.target
            );
            return Err(Failure::new(Category::Undecided, message));
        }
        if here.waiting > 0 {
            let count = output::count(here.waiting as usize, "change");
            let message = format!(
                "{count} of this machine waiting for approval by the others: `swarm approvals --dir {dir}` while --watch runs shows them"
            );
            return Err(Failure::new(Category::Undecided, message));
        }
        let conflicts = here.conflicts + here.conflicts_elsewhere;
        if conflicts > 0 {
            let count = output::count(conflicts as usize, "conflict");
            let message = format!(
                "{count} waiting, all else is done: `swarm conflicts '{name}' --dir {dir}` while --watch runs shows what there is"
            );
            return Err(Failure::new(Category::Undecided, message));
        }
        Ok(())
    }

    /// The GUID, once the folder follows the library.
    async fn subscribed(&self) -> Result<String, Failure> {
        let mut folder = DaemonFolder::open(&self.dir)?;
        if let Some(known) = folder.subscriptions().first() {
            return Ok(known.guid.to_string());
        }
        let (mut looks, mut contact) = (0, Contact::new(&self.invitation));
        loop {
            // None while it starts.
            let status = status_of(&self.dir).await.ok();
            if let Some(guid) = status.as_ref().and_then(|status| self.invitation.offered(status)) {
                self.subscribe(&mut folder, &guid)?;
                return Ok(guid);
            }
            looks += 1;
            contact.look(status.as_ref());
            if looks > CONTACT_LOOKS && !self.is_for_ever {
                return Err(self.invitation.not_offered(contact.trouble()));
            }
            tokio::time::sleep(SAME_INTERVAL).await;
        }
    }

    /// From now on the other side knows this node by its key: what let it in is forgotten.
    fn subscribe(&self, folder: &mut DaemonFolder, guid: &str) -> Result<(), Failure> {
        let guid: Guid =
            guid.parse().map_err(|error| Failure::new(Category::Integrity, format_args!("{error}")))?;
        let new = NewSubscription {
            guid,
            local_sync_dir: self.target.clone(),
            from: Vec::new(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            version_of: None,
        };
        folder.add_subscription(&new)?;
        Ok(())
    }
}

fn progress(library: &LibraryStatus) -> String {
    format!(
        "{}: {} of {} here ({} %)",
        library.state,
        ByteLen(library.bytes_here),
        ByteLen(library.bytes),
        library.percent
    )
}
