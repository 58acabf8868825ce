//! `swarm subscribe` and `swarm unsubscribe`.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use super::super::args::{Global, LibraryArgs, SubscribeArgs};
use super::super::failure::Failure;
use super::super::output;
use super::address::{Invitation, SCHEME};
use super::joining::{CONTACT_LOOKS, trouble_of};
use super::kept::SAME_INTERVAL;
use super::{absolute, files, known, status_if_running, until_taken_over};
use swarm_core::base::{Category, Shown};
use swarm_daemon::Status;
use swarm_daemon_files::{Followed, Guid, NewSubscription, Peer};

/// Follows a library. Who follows it already changes how.
pub(in super::super) fn subscribe(args: &SubscribeArgs, global: &Global) -> Result<(), Failure> {
    let status = status_if_running(&args.folder, global)?;
    let guid = if args.library.starts_with(SCHEME) {
        accept(args, global)?
    } else {
        find(&args.library, offering(args, status.clone(), global)?.as_ref())?
    };
    let new = NewSubscription {
        guid,
        local_sync_dir: absolute(&args.target)?,
        from: args.from.clone(),
        include: args.patterns.include.clone(),
        exclude: args.patterns.exclude.clone(),
        version_of: args.version_of.clone(),
    };
    let mut folder = files(&args.folder, global)?;
    let rates = args.rates.change();
    let before = folder.subscriptions().iter().find(|known| known.guid == new.guid);
    match before {
        Some(before) if before.local_sync_dir.as_os_str() != new.local_sync_dir.as_str() => {
            let message = format!(
                "library {} goes to `{}` already: `swarm unsubscribe` first, then move the folder",
                new.guid,
                Shown(&before.local_sync_dir)
            );
            return Err(Failure::new(Category::TargetDiffers, message));
        }
        Some(_) => folder.change_subscription(&new)?,
        None => folder.add_subscription(&new)?,
    };
    if !rates.is_empty() {
        folder.set_limits(Followed::Subscription(&new.guid), &rates)?;
    }
    if status.is_none() {
        output::note("the daemon does not run: the files come when it is started");
    }
    until_taken_over(&args.folder, global, &new.guid)?;
    output::result(&new.guid)
}

pub(in super::super) fn unsubscribe(args: &LibraryArgs, global: &Global) -> Result<(), Failure> {
    let mut folder = files(&args.folder, global)?;
    let library = known(&folder, &args.library)?;
    if !library.is_subscription {
        let message =
            format!("library `{}` is this node's own: `swarm library remove` forgets it", library.name);
        return Err(Failure::new(Category::Usage, message));
    }
    let target = folder.subscriptions().iter().find(|known| known.guid == library.guid);
    let target = target.map(|known| known.local_sync_dir.clone()).unwrap_or_default();
    folder.remove_subscription(&library.guid)?;
    output::note(format_args!("`{}` follows the library no more; its files stay", Shown(&target)));
    Ok(())
}

/// Goes to the node that an address names, and finds the library there.
fn accept(args: &SubscribeArgs, global: &Global) -> Result<Guid, Failure> {
    let invitation: Invitation =
        args.library.parse().map_err(|message: String| Failure::new(Category::Usage, message))?;
    // Without it nobody goes there.
    super::status(&args.folder, global)?;
    let mut folder = files(&args.folder, global)?;
    let node = invitation.source.split_once('@').map(|(node, _)| node);
    let is_it = |peer: &Peer| peer.node.map(|node| node.to_string()).as_deref() == node;
    if let Some(known) = folder.peers().iter().find(|peer| is_it(peer)) {
        let node = known.node.map(|node| node.to_string()).unwrap_or_default();
        folder.remove_peer(&node)?;
    }
    folder.add_peer(&invitation.peer())?;
    for _ in 0..CONTACT_LOOKS {
        if let Some(guid) = invitation.offered(&super::status(&args.folder, global)?) {
            return guid.parse().map_err(|error| Failure::new(Category::Integrity, format_args!("{error}")));
        }
        std::thread::sleep(SAME_INTERVAL);
    }
    Err(invitation.not_offered(trouble_of(&super::status(&args.folder, global)?)))
}

/// The status once a connected peer offers the library. A daemon that left it a moment ago hears of the offer a moment later.
fn offering(
    args: &SubscribeArgs,
    status: Option<Status>,
    global: &Global,
) -> Result<Option<Status>, Failure> {
    let mut status = status;
    for _ in 0..OFFER_LOOKS {
        let Some(known) = &status else { return Ok(None) };
        let mut connected = known.peers.iter().filter(|peer| peer.connected).peekable();
        let has_none = connected.peek().is_none();
        let mut offered = connected.flat_map(|peer| &peer.libraries);
        if has_none || offered.any(|library| library.name == args.library || library.guid == args.library) {
            break;
        }
        std::thread::sleep(SAME_INTERVAL);
        status = status_if_running(&args.folder, global)?;
    }
    Ok(status)
}

/// The library of this name or GUID that a peer offers; a GUID that nobody offers yet may be followed, too.
fn find(which: &str, status: Option<&Status>) -> Result<Guid, Failure> {
    let offered = status.iter().flat_map(|status| &status.peers).flat_map(|peer| &peer.libraries);
    let is_it = |name: &str, guid: &str| name == which || guid == which;
    let guids: BTreeSet<&str> = offered
        .filter(|library| is_it(&library.name, &library.guid))
        .map(|library| library.guid.as_str())
        .collect();
    let guid = match guids.iter().collect::<Vec<_>>().as_slice() {
        [guid] => **guid,
        [] => which,
        _ => {
            let guids = guids.into_iter().collect::<Vec<_>>().join(", ");
            let message =
                format!("peers offer several libraries called `{which}`: name one of their GUIDs: {guids}");
            return Err(Failure::new(Category::Usage, message));
        }
    };
    if guids.is_empty() && status.is_some() && Guid::from_str(guid).is_ok() {
        output::note(format_args!(
            "no connected peer offers `{guid}` to this node yet (`swarm peer ls` shows what they offer): it is followed as a GUID"
        ));
    }
    Guid::from_str(guid).map_err(|_| {
        let message = format!(
            "no connected peer offers a library `{which}`: `swarm peer ls` shows what they offer, or name its GUID"
        );
        Failure::new(Category::NoSource, message)
    })
}

/// Three seconds.
const OFFER_LOOKS: u32 = 10;
