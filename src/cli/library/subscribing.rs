//! `swarm subscribe` and `swarm unsubscribe`.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use super::super::args::{Global, LibraryArgs, SubscribeArgs};
use super::super::failure::Failure;
use super::super::output;
use super::address::{Invitation, SCHEME};
use super::contact::{CONTACT_LOOKS, Contact};
use super::kept::SAME_INTERVAL;
use super::{absolute, files, known, status_if_running, until_left, until_taken_over};
use swarm_core::base::{Category, Shown};
use swarm_daemon::Status;
use swarm_daemon_files::{Followed, Guid, NewPeer, NewSubscription, Peer};

/// Follows a library. Who follows it already changes how.
pub(in super::super) fn subscribe(args: &SubscribeArgs, global: &Global) -> Result<(), Failure> {
    let status = status_if_running(&args.folder, global)?;
    let guid = if args.library.starts_with(SCHEME) {
        accept(args, global)?
    } else {
        named(args, status.clone(), global)?
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
    until_left(&args.folder, global, &library.guid)?;
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
    let node = invitation.node().to_owned();
    let is_it = |peer: &&Peer| peer.node.is_some_and(|known| known.to_string() == node);
    let before = folder.peers().iter().find(is_it).cloned();
    if before.is_some() {
        folder.remove_peer(&node)?;
    }
    // An address that does not let in is no reason to trust what is there.
    let trusted = before.as_ref().is_some_and(|before| before.trusted);
    folder.add_peer(&NewPeer { trusted, ..invitation.peer() })?;
    let contacted = contact(&invitation, args, global);
    if contacted.is_ok() {
        folder.set_peer_trusted(&node, true)?;
        return contacted;
    }
    folder.remove_peer(&node)?;
    if let Some(before) = before {
        folder.add_peer(&as_it_was(&before))?;
    }
    contacted
}

fn contact(invitation: &Invitation, args: &SubscribeArgs, global: &Global) -> Result<Guid, Failure> {
    let mut contact = Contact::new(invitation);
    for _ in 0..CONTACT_LOOKS {
        let status = super::status(&args.folder, global)?;
        if let Some(guid) = invitation.offered(&status) {
            return guid.parse().map_err(|error| Failure::new(Category::Integrity, format_args!("{error}")));
        }
        contact.look(Some(&status));
        std::thread::sleep(SAME_INTERVAL);
    }
    Err(invitation.not_offered(contact.trouble()))
}

fn as_it_was(peer: &Peer) -> NewPeer {
    let node = peer.node.map(|node| node.to_string());
    let place = peer.place().map(str::to_owned);
    NewPeer {
        address: [node, place].into_iter().flatten().collect::<Vec<_>>().join("@"),
        trusted: peer.trusted,
        username: peer.username.clone(),
        password: peer.password.clone(),
        is_mirror: peer.is_mirror,
        name: peer.name.clone(),
    }
}

/// The library of this name or GUID that a peer offers. A GUID that nobody offers may be followed, too, where it cannot be a name with a typo.
fn named(args: &SubscribeArgs, status: Option<Status>, global: &Global) -> Result<Guid, Failure> {
    let which = args.library.as_str();
    let is_followed = |guid: &Guid| {
        let folder = files(&args.folder, global)?;
        Ok::<bool, Failure>(folder.subscriptions().iter().any(|known| known.guid == *guid))
    };
    let guid = Guid::from_str(which).ok();
    let is_sure = match &guid {
        Some(guid) => args.guid || is_usual(which) || is_followed(guid)?,
        None => false,
    };
    let looks = if is_sure { 0 } else { OFFER_LOOKS };
    let status = offering(args, status, looks, global)?;
    if let Some(offered) = find(which, status.as_ref())? {
        return Ok(offered);
    }
    match guid.filter(|_| is_sure) {
        Some(guid) => {
            if status.is_some() && !is_followed(&guid)? {
                output::note(format_args!(
                    "no connected peer offers `{guid}` yet (`swarm peer ls` shows what they offer): it is followed from when one does"
                ));
            }
            Ok(guid)
        }
        None => Err(Failure::new(Category::Usage, not_in_sight(which, status.as_ref()))),
    }
}

/// The status once a connected peer offers the library. A daemon that left it a moment ago hears of the offer a moment later.
fn offering(
    args: &SubscribeArgs,
    status: Option<Status>,
    looks: u32,
    global: &Global,
) -> Result<Option<Status>, Failure> {
    let mut status = status;
    for _ in 0..looks {
        let Some(known) = &status else { return Ok(None) };
        let mut offered = known.peers.iter().flat_map(|peer| &peer.libraries);
        let is_in_sight = offered.any(|library| library.name == args.library || library.guid == args.library);
        if known.peers.is_empty() || is_in_sight {
            break;
        }
        std::thread::sleep(SAME_INTERVAL);
        status = status_if_running(&args.folder, global)?;
    }
    Ok(status)
}

fn find(which: &str, status: Option<&Status>) -> Result<Option<Guid>, Failure> {
    let is_it = |name: &str, guid: &str| name == which || guid == which;
    let offered = offers(status);
    let guids: BTreeSet<&str> =
        offered.iter().filter(|(name, guid)| is_it(name, guid)).map(|(_, guid)| *guid).collect();
    match guids.iter().collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [guid] => Guid::from_str(guid).map(Some).map_err(|error| Failure::new(Category::Integrity, error)),
        _ => {
            let guids = guids.into_iter().collect::<Vec<_>>().join(", ");
            let message =
                format!("peers offer several libraries called `{which}`: name one of their GUIDs: {guids}");
            Err(Failure::new(Category::Usage, message))
        }
    }
}

/// Names and GUIDs.
fn offers(status: Option<&Status>) -> BTreeSet<(&str, &str)> {
    let offered = status.into_iter().flat_map(|status| &status.peers).flat_map(|peer| &peer.libraries);
    let offered = offered.filter(|library| !library.guid.is_empty());
    offered.map(|library| (library.name.as_str(), library.guid.as_str())).collect()
}

/// As `swarm library create` makes them.
fn is_usual(guid: &str) -> bool {
    guid.len() == USUAL_LEN && guid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn not_in_sight(which: &str, status: Option<&Status>) -> String {
    let which = Shown(which);
    if status.is_none() {
        return format!(
            "the daemon does not run, which knows the names of libraries: start it by `swarm daemon`, or pass --guid if `{which}` is a GUID"
        );
    }
    let offers = offers(status);
    let names: Vec<String> =
        offers.iter().take(NAMED_MAX).map(|(name, _)| format!("`{}`", Shown(*name))).collect();
    let in_sight = match names.as_slice() {
        [] => "none offers any (`swarm peer ls` shows the peers)".to_owned(),
        names => format!("in sight: {} (`swarm peer ls` shows all)", names.join(", ")),
    };
    format!("no connected peer offers a library `{which}`: {in_sight}; pass --guid if `{which}` is a GUID")
}

/// Three seconds.
const OFFER_LOOKS: u32 = 10;
/// Digits of a GUID that is made here.
const USUAL_LEN: usize = 32;
/// Libraries that an error names.
const NAMED_MAX: usize = 5;
