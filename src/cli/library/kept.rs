//! `swarm library`: the libraries that a daemon keeps.

use std::str::FromStr as _;

use super::super::args::{
    DaemonDir, Global, LibraryArgs, LibraryCommand, LibraryCreateArgs, LibraryPolicyArgs, LibraryTreeArgs,
    ListArgs, PatternArgs, RateArgs,
};
use super::super::failure::Failure;
use super::super::output;
use super::{
    absolute, all_known, answer, files, known, odd, place, status, status_if_running, until_left,
    until_taken_over,
};
use swarm_core::base::{Category, Shown};
use swarm_daemon::{Answer, LibraryStatus, PeerStatus, PolicyStatus, Request, Status};
use swarm_daemon_files::{Approvals, ApprovalsChange, Guid, NewMount};

pub(in super::super) fn run(command: LibraryCommand, global: &Global) -> Result<(), Failure> {
    match command {
        LibraryCommand::Ls(args) => ls(&args, global),
        LibraryCommand::Create(args) => create(&args, global),
        LibraryCommand::Show { of, json } => show(&of, json, global),
        LibraryCommand::Log { of, json, limit } => log(&of, json, limit, global),
        LibraryCommand::Tree(args) => tree(&args, global),
        LibraryCommand::Sync { of, wait } => {
            let request = Request::Sync { library: of.library.clone() };
            answer(&of.folder, global, &request)?;
            if wait { until_same(&of, global) } else { Ok(()) }
        }
        LibraryCommand::Remove(of) => remove(&of, global),
        LibraryCommand::Pause(of) => set_paused(&of, true, global),
        LibraryCommand::Resume(of) => set_paused(&of, false, global),
        LibraryCommand::Priority { of, priority } => {
            let mut folder = files(&of.folder, global)?;
            let library = known(&folder, &of.library)?;
            folder.set_priority(library.followed(), priority)?;
            Ok(())
        }
        LibraryCommand::Limit { of, rates } => limit(&of, &rates, global),
        LibraryCommand::Policy(args) => policy(&args, global),
        LibraryCommand::Verify { of, json } => verify(&of, json, global),
        LibraryCommand::Select { of, patterns } => select(&of, &patterns, global),
    }
}

/// What the daemon says, or what its files say if it does not run.
fn ls(args: &ListArgs, global: &Global) -> Result<(), Failure> {
    let libraries = match status_if_running(&args.folder, global)? {
        Some(status) => status.libraries,
        None => from_files(&args.folder, global)?,
    };
    if args.json {
        return libraries.iter().try_for_each(output::json);
    }
    if libraries.is_empty() {
        output::note(
            "no libraries yet: `swarm library create` makes one, `swarm subscribe` follows one of a peer",
        );
        return Ok(());
    }
    output::text(&output::libraries_table(&libraries))
}

fn from_files(folder: &DaemonDir, global: &Global) -> Result<Vec<LibraryStatus>, Failure> {
    let folder = files(folder, global)?;
    let line = |known: super::Known| LibraryStatus {
        name: known.name,
        guid: known.guid.to_string(),
        state: "not running".to_owned(),
        ..LibraryStatus::default()
    };
    Ok(all_known(&folder).into_iter().map(line).collect())
}

fn create(args: &LibraryCreateArgs, global: &Global) -> Result<(), Failure> {
    let guid = guid(args.guid.as_deref())?;
    let mut mounts = Vec::new();
    for mount in &args.mount {
        Failure::unless_there(&mount.dir)?;
        let (dir, libpath) = (absolute(&mount.dir)?, mount.libpath.clone());
        mounts.push(NewMount { dir, libpath, is_sync: false });
    }
    if let Some(sync) = &args.sync {
        mounts.push(NewMount { dir: absolute(sync)?, libpath: "/".to_owned(), is_sync: true });
    }
    files(&args.folder, global)?.add_library(&args.name, &guid, &mounts)?;
    until_taken_over(&args.folder, global, &guid)?;
    output::result(&guid)
}

pub(super) fn guid(wanted: Option<&str>) -> Result<Guid, Failure> {
    let wrong = |error: swarm_daemon_files::GuidError| Failure::new(Category::Usage, error);
    if let Some(text) = wanted {
        return Guid::from_str(text).map_err(wrong);
    }
    let new = swarm_daemon::new_guid().ok_or_else(|| {
        Failure::new(Category::Other, "the system gives no random bytes: name a GUID by --guid")
    })?;
    Guid::from_str(new.as_str()).map_err(wrong)
}

/// Waits until this machine and the connected peers have the same, or somebody has to decide something.
fn until_same(of: &LibraryArgs, global: &Global) -> Result<(), Failure> {
    let (mut looks, mut disputed_looks, mut waiting_looks, mut said) = (0, 0, 0, String::new());
    loop {
        let status = status(&of.folder, global)?;
        let Some(library) = find(&status, &of.library) else {
            return known(&files(&of.folder, global)?, &of.library).map(drop);
        };
        if library.state == "stopped" || library.state == "paused" || library.state == "held" {
            let message = format!("library `{}` is {}: {}", library.name, library.state, library.activity);
            return Err(Failure::new(Category::Undecided, message));
        }
        looks = if is_same(library, &status) { looks + 1 } else { 0 };
        if looks >= SAME_LOOKS {
            return Ok(());
        }
        let is_waiting = library.state == "waiting" && looks == 0;
        waiting_looks = if is_waiting { waiting_looks + 1 } else { 0 };
        if waiting_looks >= DISPUTED_LOOKS {
            let count = output::count(library.waiting as usize, "change");
            let message = format!(
                "{count} of this machine in `{0}` waiting for approval by others: see `swarm approvals`",
                library.name
            );
            return Err(Failure::new(Category::Undecided, message));
        }
        // What others change goes on coming meanwhile; a conflict stays until somebody decides it.
        let conflicts = library.conflicts + library.conflicts_elsewhere;
        disputed_looks = if conflicts > 0 { disputed_looks + 1 } else { 0 };
        if disputed_looks >= DISPUTED_LOOKS {
            let count = output::count(conflicts as usize, "conflict");
            let message =
                format!("{count} in `{0}` waiting for a decision: see `swarm conflicts`", library.name);
            return Err(Failure::new(Category::Undecided, message));
        }
        let line = waiting_for(library, &status);
        if line != said && looks == 0 {
            output::note(&line);
            said = line;
        }
        std::thread::sleep(SAME_INTERVAL);
    }
}

fn find<'a>(status: &'a Status, which: &str) -> Option<&'a LibraryStatus> {
    status.libraries.iter().find(|library| library.name == which || library.guid == which)
}

/// What is not done yet: here, or at the first peer that is behind.
fn waiting_for(here: &LibraryStatus, status: &Status) -> String {
    if here.state != "up to date" {
        return format!("{}: {} % here{}", here.state, here.percent, nobody_to_fetch_from(status));
    }
    let behind = |peer: &&PeerStatus| {
        let mut libraries = peer.libraries.iter().filter(|library| library.guid == here.guid);
        peer.connected && libraries.any(|library| !library.is_level || library.percent != "100.0")
    };
    match status.peers.iter().find(behind) {
        Some(peer) => {
            format!("up to date here; waiting for {} ({})", Shown(&peer.name), Shown(&peer.address))
        }
        None => "up to date".to_owned(),
    }
}

/// That no peer is connected, and why the first one is not.
fn nobody_to_fetch_from(status: &Status) -> String {
    if status.peers.is_empty() || status.peers.iter().any(|peer| peer.connected) {
        return String::new();
    }
    let why = status.peers.iter().find_map(|peer| Some((&peer.address, peer.trouble.as_ref()?)));
    let why = why.map(|(address, why)| format!(" ({}: {})", Shown(address), Shown(why)));
    format!("; no peer is connected{}", why.unwrap_or_default())
}

/// Whether the connected peers and this machine have all of the same commits.
pub(super) fn is_same(here: &LibraryStatus, status: &Status) -> bool {
    let of_peers = status.peers.iter().filter(|peer| peer.connected);
    let mut there = of_peers.flat_map(|peer| &peer.libraries).filter(|library| library.guid == here.guid);
    here.state == "up to date" && there.all(|library| library.is_level && library.percent == "100.0")
}

fn show(of: &LibraryArgs, is_json: bool, global: &Global) -> Result<(), Failure> {
    let status = status(&of.folder, global)?;
    let Some(library) = find(&status, &of.library) else {
        return known(&files(&of.folder, global)?, &of.library).map(drop);
    };
    if is_json {
        return output::json(library);
    }
    output::text(&output::library_screen(library, &status))
}

fn log(of: &LibraryArgs, is_json: bool, limit: usize, global: &Global) -> Result<(), Failure> {
    let request = Request::Log { library: of.library.clone(), limit };
    let Answer::Log(commits) = answer(&of.folder, global, &request)? else { return Err(odd()) };
    if is_json {
        return commits.iter().try_for_each(output::json);
    }
    if commits.is_empty() {
        output::note("no commits yet");
    }
    output::text(&output::commits_text(&commits))
}

/// All entries, page by page.
fn tree(args: &LibraryTreeArgs, global: &Global) -> Result<(), Failure> {
    let (library, below) = place(&args.place);
    let mut start: Option<String> = None;
    let mut count: usize = 0;
    loop {
        let request = Request::Tree {
            library: library.to_owned(),
            place: below.map(str::to_owned),
            start: start.take(),
            limit: PAGE_ENTRIES,
        };
        let Answer::Tree(entries) = answer(&args.folder, global, &request)? else { return Err(odd()) };
        if args.json {
            entries.iter().try_for_each(output::json)?;
        } else if !entries.is_empty() {
            output::text(&output::entries_table(&entries, count == 0))?;
        }
        count += entries.len();
        match entries.last() {
            Some(last) => start = Some(last.path.clone()),
            None => break,
        }
    }
    if count == 0 && !args.json {
        output::note("nothing is there");
    }
    Ok(())
}

fn remove(of: &LibraryArgs, global: &Global) -> Result<(), Failure> {
    let mut folder = files(&of.folder, global)?;
    let library = known(&folder, &of.library)?;
    if library.is_subscription {
        folder.remove_subscription(&library.guid)?;
    } else {
        folder.remove_library(&library.name)?;
    }
    until_left(&of.folder, global, &library.guid)?;
    output::note(format_args!("forgot library `{}`; its files stay where they are", library.name));
    Ok(())
}

fn set_paused(of: &LibraryArgs, paused: bool, global: &Global) -> Result<(), Failure> {
    let mut folder = files(&of.folder, global)?;
    let library = known(&folder, &of.library)?;
    folder.set_paused(library.followed(), paused)?;
    Ok(())
}

fn limit(of: &LibraryArgs, rates: &RateArgs, global: &Global) -> Result<(), Failure> {
    let mut folder = files(&of.folder, global)?;
    let library = known(&folder, &of.library)?;
    let change = rates.change();
    if !change.is_empty() {
        folder.set_limits(library.followed(), &change)?;
    }
    let kept = folder.libraries().iter().find(|known| known.guid == library.guid).map(|known| known.limits);
    let followed = folder.subscriptions().iter().find(|known| known.guid == library.guid);
    let limits = kept.or(followed.map(|known| known.limits)).unwrap_or_default();
    output::result(output::limits_text(limits.up, limits.down))
}

fn policy(args: &LibraryPolicyArgs, global: &Global) -> Result<(), Failure> {
    let mut folder = files(&args.of.folder, global)?;
    let library = known(&folder, &args.of.library)?;
    let change = ApprovalsChange {
        delete: args.delete,
        moves: args.moves,
        bulk: args.bulk.map(Some),
        bulk_approvals: args.bulk_approvals,
        expiry_days: args.expiry_days,
        refuse_by_one: args.refuse_by_one,
    };
    if change != ApprovalsChange::default() {
        folder.set_approvals(library.followed(), &change)?;
    }
    let guid = &library.guid;
    let kept = folder.libraries().iter().find(|known| known.guid == *guid).map(|known| known.approvals);
    let followed = folder.subscriptions().iter().find(|known| known.guid == *guid);
    match kept.or_else(|| followed.and_then(|known| known.approvals)) {
        Some(policy) => output::text(&output::policy_text(&policy_of_file(&policy))),
        None => taken_over_policy(guid, &args.of.folder, global),
    }
}

fn policy_of_file(policy: &Approvals) -> PolicyStatus {
    let Approvals { delete, moves, bulk, bulk_approvals, expiry_days, refuse_by_one } = *policy;
    PolicyStatus { delete, moves, bulk, bulk_approvals, expiry_days, refuse_by_one, is_taken_over: false }
}

/// A subscription without a policy of its own goes by those of others, which the daemon knows.
fn taken_over_policy(guid: &Guid, folder: &DaemonDir, global: &Global) -> Result<(), Failure> {
    output::result("as the strictest of the trusted peers that have the library asks for")?;
    let status = status_if_running(folder, global)?;
    let library = status.as_ref().and_then(|status| find(status, guid.as_str()));
    match library.and_then(|library| library.policy.as_ref()) {
        Some(policy) => output::text(&output::policy_text(policy)),
        None => {
            output::note("the numbers are known while the daemon keeps the library: see `swarm library ls`");
            Ok(())
        }
    }
}

fn verify(of: &LibraryArgs, is_json: bool, global: &Global) -> Result<(), Failure> {
    let request = Request::Verify { library: of.library.clone() };
    let Answer::Verified(view) = answer(&of.folder, global, &request)? else { return Err(odd()) };
    if is_json {
        output::json(&view)?;
    } else {
        output::text(&output::verified_text(&view))?;
    }
    match view.bad.len() {
        0 if view.unreadable.is_empty() => Ok(()),
        0 => {
            let count = output::count(view.unreadable.len(), "file");
            Err(Failure::new(Category::Disk, format_args!("{count} cannot be read")))
        }
        bad => {
            let count = output::count(bad, "file");
            let way = "take them from a peer: move them away, and restore them from there";
            Err(Failure::new(
                Category::Integrity,
                format_args!("{count} changed on the disk by itself: {way}"),
            ))
        }
    }
}

fn select(of: &LibraryArgs, patterns: &PatternArgs, global: &Global) -> Result<(), Failure> {
    let mut folder = files(&of.folder, global)?;
    let library = known(&folder, &of.library)?;
    if !library.is_subscription {
        let message =
            format!("library `{}` is kept here as a whole: only subscriptions have patterns", library.name);
        return Err(Failure::new(Category::Usage, message));
    }
    folder.set_patterns(&library.guid, Some(&patterns.include), Some(&patterns.exclude))?;
    Ok(())
}

/// Looks at which all have the same, before that is believed: a change that was just made is heard of within them.
pub(super) const SAME_LOOKS: u32 = 5;
/// A conflict that stands for so many looks waits for a person.
const DISPUTED_LOOKS: u32 = 10;
pub(super) const SAME_INTERVAL: std::time::Duration = std::time::Duration::from_millis(300);
/// Entries that are asked for at once.
const PAGE_ENTRIES: usize = 4096;
