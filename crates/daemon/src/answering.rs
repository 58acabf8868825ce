//! What commands ask of a daemon, answered: orders go to the worker of their library, the status is put together here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use swarm_core::base::{Category, NodeId};
use swarm_daemon_files::OriginUrl;
use swarm_library::{LibraryKey, Lock, SignedLock, Trust, Verdict};
use swarm_mounts::MountKind;
use swarm_sync::{ContentHash, RunId, TreePath};
use tokio::sync::{mpsc, oneshot};

use crate::asking::Call;
use crate::clock;
use crate::contents::{self, Lacking, Supply};
use crate::daemon::{Desk, Running, all_warnings};
use crate::exchange::{self, PeerLibrary, PeerState};
use crate::library::{self, Answer, Deciding, Input, LibraryFiles, LibraryState, PathView, Question};
use crate::origins::{OriginFault, OriginShare};
use crate::policy_words;
use crate::protocol::{Reply, Request};
use crate::status::{
    LibraryStatus, LockStatus, MountStatus, PeerLibraryStatus, PeerStatus, PolicyStatus, Status, StatusError,
};

/// Answers one call. Libraries are asked in a task of their own: one that is busy holds nobody up.
pub(crate) async fn answer(desk: &mut Desk, call: Call) {
    let (request, reply) = match call {
        Call::Request { request, reply } => (request, reply),
        Call::Files { library, reply } => {
            let _ = reply.send(files(desk, &library));
            return;
        }
    };
    let now = match request {
        Request::Status => {
            desk.look_at_traffic().await;
            Some(Reply::Status(Box::new(status(desk))))
        }
        Request::ProposedUsers => Some(Reply::ProposedUsers { users: desk.proposed_users() }),
        Request::RejectUser { name } => Some(match desk.reject_user(&name) {
            Ok(()) => Reply::Done,
            Err(error) => Reply::failed(Category::Disk, format!("cannot remember that: {error}")),
        }),
        Request::Lock { library, path, seconds, why } => {
            Some(lock(desk, &library, &path, seconds, why).await)
        }
        Request::Verify { library } => match find(desk, &library) {
            Ok(key) => return verify(desk, &key, reply),
            Err(reply) => Some(reply),
        },
        request => match questions(desk, request) {
            Ok(questions) => return ask(desk, questions, reply),
            Err(reply) => Some(reply),
        },
    };
    if let Some(now) = now {
        // Who asked may be gone.
        let _ = reply.send(now);
    }
}

/// The files of a library.
fn files(desk: &Desk, library: &str) -> Result<LibraryFiles, Reply> {
    let key = find(desk, library)?;
    match desk.libraries.get(&key) {
        Some(Running::Works { handle, settings, .. }) => {
            Ok(LibraryFiles::new(settings, handle.index_path.clone(), Arc::clone(&handle.places)))
        }
        Some(Running::Stands { why, .. }) => Err(Reply::failed(Category::Held, why.clone())),
        None => Err(Reply::failed(Category::Usage, format!("no library `{library}` here"))),
    }
}

/// Which libraries are asked what, and whether one answer is enough.
struct Questions {
    of: Vec<(LibraryKey, Question)>,
    is_one: bool,
}

fn questions(desk: &Desk, request: Request) -> Result<Questions, Reply> {
    let one = |library: &str, question: Question| {
        Ok(Questions { of: vec![(find(desk, library)?, question)], is_one: true })
    };
    match request {
        Request::Sync { library } => one(&library, Question::Sync),
        Request::ApproveHere { library } => one(&library, Question::ApproveHere),
        Request::Log { library, limit } => one(&library, Question::Log { limit: limit.min(LIMIT_MAX) }),
        Request::Tree { library, place, start, limit } => {
            let (place, start) = (path_of(place)?, path_of(start)?);
            one(&library, Question::Tree { place, start, limit: limit.min(LIMIT_MAX) })
        }
        Request::Explain { library, path } => one(&library, Question::Explain { path: named(path)? }),
        Request::Approvals { library, all } => {
            let keys = match library {
                Some(library) => vec![find(desk, &library)?],
                None => desk.libraries.keys().copied().collect(),
            };
            let question = |key| (key, Question::Proposals { with_ended: all });
            Ok(Questions { of: keys.into_iter().map(question).collect(), is_one: false })
        }
        Request::Vote { id, verdict, why } => {
            let verdict = match verdict.as_str() {
                "yes" => Verdict::Yes,
                "no" => Verdict::No,
                "withdraw" => Verdict::Withdrawn,
                _ => return Err(Reply::failed(Category::Usage, "a vote is yes, no or withdraw")),
            };
            let id = id.trim().to_ascii_lowercase();
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Reply::failed(
                    Category::Usage,
                    "name a proposal by the first digits of its id: see `swarm approvals`",
                ));
            }
            let question =
                |key: &LibraryKey| (*key, Question::Vote { id: id.clone(), verdict, why: why.clone() });
            Ok(Questions { of: desk.libraries.keys().map(question).collect(), is_one: false })
        }
        Request::Texts { library, path } => one(&library, Question::Texts { path: named(path)? }),
        Request::Decide { library, path, choice, file, all } => {
            let bytes = file.map(|file| read(&file)).transpose()?;
            one(&library, Question::Decide(Deciding { place: path_of(path)?, choice, bytes, all }))
        }
        Request::Versions { library, path } => one(&library, Question::Versions { path: named(path)? }),
        Request::Restore { library, path, run, out } => {
            one(&library, Question::Restore { path: named(path)?, run: run_of(run)?, out })
        }
        Request::Undo { library, run } => one(&library, Question::Undo { run: run_of(run)? }),
        Request::Authors { library } => one(&library, Question::Authors),
        Request::TakeBack { library, author, since_ms, is_rehearsal } => {
            let keys = match library {
                Some(library) => vec![find(desk, &library)?],
                None => desk.libraries.keys().copied().collect(),
            };
            let question = |key| {
                let author = author.clone();
                (key, Question::TakeBack { author, since_ms, is_rehearsal })
            };
            Ok(Questions { of: keys.into_iter().map(question).collect(), is_one: false })
        }
        Request::Status
        | Request::ProposedUsers
        | Request::RejectUser { .. }
        | Request::Verify { .. }
        | Request::Lock { .. } => Err(Reply::Done),
    }
}

fn ask(desk: &Desk, questions: Questions, reply: oneshot::Sender<Reply>) {
    let Questions { of, is_one } = questions;
    let mut asked = Vec::new();
    for (key, question) in of {
        let Some(running) = desk.libraries.get(&key) else { continue };
        let name = running.settings().name.clone();
        match running {
            Running::Works { handle, .. } => asked.push((name, Ok((handle.inputs.clone(), question)))),
            Running::Stands { why, .. } => asked.push((name, Err(why.clone()))),
        }
    }
    let contents = desk.contents().clone();
    desk.tasks().spawn(async move {
        let mut answers = BTreeMap::new();
        for (name, asked) in asked {
            let answer = match asked {
                Ok((inputs, question)) => {
                    let (sender, answered) = oneshot::channel();
                    let asking = async {
                        let _ = inputs.send(Input::Ask(question, sender)).await;
                        answered.await.ok()
                    };
                    let answer = tokio::time::timeout(ANSWER_TIMEOUT, asking).await.ok().flatten();
                    let mut answer = answer.unwrap_or_else(|| failed("the library is busy: try again later"));
                    if let Answer::Explain(view) = &mut answer {
                        view.supply = supply(view, &contents).await;
                    }
                    answer
                }
                Err(why) => failed(&why),
            };
            answers.insert(name, answer);
        }
        let said = match answers.len() {
            1 if is_one => answers.pop_first().map(|(name, answer)| Reply::Library { name, answer }),
            _ => Some(Reply::Libraries { answers }),
        };
        let _ = reply.send(said.unwrap_or(Reply::Done));
    });
}

/// Whether the bytes that a path waits for can come.
async fn supply(view: &PathView, contents: &mpsc::Sender<contents::Input>) -> Option<Supply> {
    let wins = view.versions.iter().find(|version| version.wins).filter(|_| view.is_waiting)?;
    let file = ContentHash::from_hex(wins.blake3.as_ref()?)?;
    let (reply, answered) = oneshot::channel();
    contents.send(contents::Input::Supply { file, reply }).await.ok()?;
    answered.await.ok()?
}

/// Reads a library's files beside its worker, for as long as that takes.
fn verify(desk: &Desk, key: &LibraryKey, reply: oneshot::Sender<Reply>) {
    let Some(running) = desk.libraries.get(key) else { return };
    let settings = running.settings().clone();
    let (index, stop, inputs) = match running {
        Running::Works { handle, .. } => {
            (handle.index_path.clone(), Arc::clone(&handle.stop), handle.inputs.clone())
        }
        Running::Stands { why, .. } => {
            let _ = reply.send(Reply::failed(Category::Held, why.clone()));
            return;
        }
    };
    desk.tasks().spawn(async move {
        let mounts = settings.mounts;
        let read = move || library::verify(&index, &mounts, &stop, &mut |_| {});
        let answer = match tokio::task::spawn_blocking(read).await {
            Ok(Ok((view, rotten))) => {
                // The worker gets good bytes for them.
                let _ = inputs.send(Input::Rotten(rotten)).await;
                Answer::Verified(Box::new(view))
            }
            Ok(Err(error)) => Answer::failed(&error),
            Err(_) => failed("reading the files failed: this is a bug, please report it"),
        };
        let _ = reply.send(Reply::Library { name: settings.name, answer });
    });
}

fn failed(message: &str) -> Answer {
    Answer::Failed { category: Category::Held.name().to_owned(), message: message.to_owned() }
}

async fn lock(desk: &mut Desk, library: &str, path: &str, seconds: u64, why: String) -> Reply {
    let key = match find(desk, library) {
        Ok(key) => key,
        Err(reply) => return reply,
    };
    let path = match path_of(Some(path.to_owned())) {
        Ok(Some(path)) => path,
        Ok(None) => return Reply::failed(Category::Usage, "name a path in the library"),
        Err(reply) => return reply,
    };
    let holder = desk.endpoint.node_id();
    if seconds == 0
        && let Some(reply) = not_own(desk, &key, &path, holder)
    {
        return reply;
    }
    let lock = Lock {
        library: key,
        holder,
        path,
        holds_ms: seconds.saturating_mul(1000),
        made_at_ms: clock::now_ms(),
        why,
    };
    let signed = SignedLock::sign(&desk.endpoint.signing_key(), lock);
    desk.take_lock(signed.clone());
    desk.to_exchange(exchange::Input::Lock(signed)).await;
    Reply::Done
}

/// Why a lock cannot be ended: it is of others.
fn not_own(desk: &Desk, key: &LibraryKey, path: &TreePath, me: NodeId) -> Option<Reply> {
    let now_ms = clock::now_ms();
    let at_path: Vec<&SignedLock> = desk
        .locks
        .get(key)
        .into_iter()
        .flat_map(|locks| locks.holding(now_ms))
        .filter(|signed| signed.lock().path == *path)
        .collect();
    let others = at_path.iter().find(|signed| signed.lock().holder != me)?.lock();
    let is_own = at_path.iter().any(|signed| signed.lock().holder == me);
    let message = format!(
        "`{path}` is locked by {}, which alone can end that; it ends by itself in {}",
        others.holder.short(),
        shown(Duration::from_millis((others.made_at_ms + others.holds_ms).saturating_sub(now_ms))),
    );
    (!is_own).then(|| Reply::failed(Category::Denied, message))
}

/// The library of this name or GUID.
fn find(desk: &Desk, which: &str) -> Result<LibraryKey, Reply> {
    let is_it = |running: &Running| {
        let settings = running.settings();
        settings.name == which || settings.guid.as_str() == which
    };
    let found: Vec<LibraryKey> =
        desk.libraries.iter().filter(|(_, running)| is_it(running)).map(|(key, _)| *key).collect();
    match found.as_slice() {
        [key] => Ok(*key),
        [] => {
            Err(Reply::failed(Category::Usage, format!("no library `{which}` here: see `swarm library ls`")))
        }
        _ => Err(Reply::failed(
            Category::Usage,
            format!("several libraries are called `{which}`: name its GUID"),
        )),
    }
}

fn path_of(text: Option<String>) -> Result<Option<TreePath>, Reply> {
    let Some(text) = text else { return Ok(None) };
    let text = text.trim_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |fault| Reply::failed(Category::Usage, format!("`{text}` is no path in a library: {fault}"));
    TreePath::new(text).map(Some).map_err(bad)
}

/// A path that has to be one below the library itself.
fn named(text: String) -> Result<TreePath, Reply> {
    path_of(Some(text))?.ok_or_else(|| Reply::failed(Category::Usage, "name a path in the library"))
}

fn run_of(text: Option<String>) -> Result<Option<RunId>, Reply> {
    let bad = |error: swarm_sync::NotARun| Reply::failed(Category::Usage, error.to_string());
    text.map(|text| RunId::parse(&text).map_err(bad)).transpose()
}

/// The bytes of a file that settles a conflict.
fn read(file: &std::path::Path) -> Result<Vec<u8>, Reply> {
    use std::io::Read as _;
    let shown = swarm_core::base::Shown(&file).to_string();
    let mut bytes = Vec::new();
    let opened =
        std::fs::File::open(file).and_then(|file| file.take(SETTLED_LEN_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = opened {
        return Err(Reply::failed(Category::of_io(error.kind()), format!("cannot read `{shown}`: {error}")));
    }
    if bytes.len() as u64 > SETTLED_LEN_MAX {
        let message =
            format!("`{shown}` is longer than a conflict can be settled with: put it in its place yourself");
        return Err(Reply::failed(Category::Usage, message));
    }
    Ok(bytes)
}

/// How everything stands.
fn status(desk: &Desk) -> Status {
    let uptime = desk.began_at.elapsed();
    let states = desk.peers.borrow().clone();
    let mut status = Status {
        node: desk.endpoint.node_id().to_string(),
        address: own_address(desk),
        uptime: shown(uptime),
        uptime_seconds: uptime.as_secs(),
        rate_down: desk.traffic.down,
        rate_up: desk.traffic.up,
        metrics: desk.pages.bound().map(|address| address.to_string()),
        file_errors: file_errors(desk),
        file_warnings: all_warnings(&desk.folder),
        ..Status::default()
    };
    for (key, running) in &desk.libraries {
        let library = library_status(desk, key, running, &states, &mut status.errors);
        status.libraries.push(library);
    }
    status.libraries.sort_by(|one, other| one.name.cmp(&other.name));
    status.peers = peers(desk, &states);
    status.errors.extend(origin_errors(desk));
    for peer in &status.peers {
        let of_peer =
            peer.libraries.iter().filter(|library| library.is_shared && !library.percent.is_empty());
        let percents: BTreeMap<String, String> =
            of_peer.map(|library| (library.name.clone(), format!("{}%", library.percent))).collect();
        if !percents.is_empty() {
            status.peer_sync.insert(peer.address.clone(), percents);
        }
    }
    for (from, flag) in &desk.flags {
        let guid = desk.libraries.get(&flag.library).map(|running| running.settings().guid.to_string());
        let source = flag.source.map(|node| format!(" from {}", node.short())).unwrap_or_default();
        status.errors.push(StatusError {
            guid: guid.unwrap_or_default(),
            file: flag.path.to_string(),
            issue: "hash-mismatch".to_owned(),
            detail: format!("node {} reports wrong bytes{source}", from.short()),
        });
    }
    status
}

/// What is wrong in the files, and what cannot be done as they say.
fn file_errors(desk: &Desk) -> Vec<String> {
    let errors = desk.folder.errors().iter().map(ToString::to_string);
    errors.chain(desk.pages.trouble().map(str::to_owned)).collect()
}

/// As another node's peers.json takes it.
fn own_address(desk: &Desk) -> String {
    let source = desk.endpoint.source(&[]);
    let address = source.addresses.first().map(ToString::to_string).unwrap_or_default();
    format!("{}@{address}", source.node)
}

fn library_status(
    desk: &Desk,
    key: &LibraryKey,
    running: &Running,
    states: &[PeerState],
    errors: &mut Vec<StatusError>,
) -> LibraryStatus {
    let settings = running.settings();
    let guid = settings.guid.to_string();
    let mounts = settings.mounts.iter().map(|mount| MountStatus {
        dir: mount.dir.to_string_lossy().into_owned(),
        libpath: mount.libpath.as_ref().map_or_else(|| "/".to_owned(), |path| format!("/{}", path.as_str())),
        sync: mount.kind == MountKind::SyncTarget,
    });
    let mounts = mounts.collect();
    let mut error = |file: &str, issue: &str, detail: &str| {
        let (guid, file, issue) = (guid.clone(), file.to_owned(), issue.to_owned());
        errors.push(StatusError { guid, file, issue, detail: detail.to_owned() });
    };
    let state = match running {
        Running::Stands { why, .. } => {
            error("", "stopped", why);
            let (name, state) = (settings.name.clone(), "stopped".to_owned());
            return LibraryStatus {
                name,
                guid,
                state,
                mounts,
                activity: why.clone(),
                ..LibraryStatus::default()
            };
        }
        Running::Works { handle, .. } => handle.state.borrow().clone(),
    };
    if let Some(trouble) = &state.trouble {
        error("", "stopped", trouble);
    }
    if let Some(trouble) = &state.fetch_trouble {
        error("", "fetch", trouble);
    }
    for (path, why) in &state.refused {
        error(path, "refused", why);
    }
    for (path, why) in &state.unseen {
        error(path, "not-synced", why);
    }
    for path in state.rotten.keys() {
        error(
            path.as_str(),
            "hash-mismatch",
            "its bytes on this disk are wrong: good ones are to come from peers",
        );
    }
    for node in &state.equivocators {
        error(
            "",
            "equivocation",
            &format!("node {} signed two histories: nothing more is taken from it", node.short()),
        );
    }
    let figures = state.figures;
    let (files_here, bytes_here) = (
        figures.files.saturating_sub(figures.files_lacking),
        figures.len.saturating_sub(figures.lacking_len),
    );
    let is_known = !settings.is_followed || state.frontier.positions().next().is_some();
    let is_complete =
        is_known && !state.are_figures_old && figures.files_lacking == 0 && figures.deletions_to_do == 0;
    let eta_seconds =
        (!is_complete && desk.traffic.down > 0).then(|| figures.lacking_len / desk.traffic.down);
    LibraryStatus {
        name: settings.name.clone(),
        guid,
        state: state_word(&state, settings.is_paused, is_complete).to_owned(),
        percent: percent(bytes_here, figures.len, is_complete),
        files: figures.files,
        files_here,
        bytes: figures.len,
        bytes_here,
        deletions_to_do: figures.deletions_to_do,
        conflicts: state.conflicts,
        proposals: state.proposals,
        held_here: state.held_here,
        activity: activity(desk, key, &state),
        mounts,
        commits: state.frontier.positions().map(|position| position.seq).sum(),
        eta_seconds,
        policy_differences: policy_differences(key, state.policy, states),
        policy: Some(policy_status(&state)),
        locks: locks(desk, key),
    }
}

/// What a library does; that what it waits for cannot come is said first.
fn activity(desk: &Desk, key: &LibraryKey, state: &LibraryState) -> String {
    match desk.lacking.borrow().get(key) {
        Some(Lacking { commits, seconds }) => format!(
            "no connected peer has all files of {commits} {}: nothing came for {seconds} s",
            if *commits == 1 { "commit" } else { "commits" }
        ),
        None => state.activity.clone(),
    }
}

fn state_word(state: &LibraryState, is_paused: bool, is_complete: bool) -> &'static str {
    match state {
        LibraryState { trouble: Some(_), .. } => "stopped",
        _ if is_paused => "paused",
        LibraryState { held_here: Some(_), .. } => "held",
        LibraryState { is_scanned: false, .. } => "scanning",
        _ if is_complete => "up to date",
        _ => "syncing",
    }
}

/// With one decimal; 100 only if all is there.
fn percent(here: u64, all: u64, is_complete: bool) -> String {
    if is_complete {
        return "100.0".to_owned();
    }
    let tenths = if all == 0 { 0 } else { (u128::from(here) * 1000 / u128::from(all)).min(999) };
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn policy_differences(key: &LibraryKey, own: swarm_library::Policy, states: &[PeerState]) -> Vec<String> {
    let differs = |state: &PeerState| {
        let policy = state.libraries.get(key)?.policy?;
        let words = policy_words::difference(&own, &policy)?;
        Some(format!("{}: {words}", state.node.short()))
    };
    states.iter().filter_map(differs).collect()
}

/// Without votes of others, the author's own is enough.
fn policy_status(state: &LibraryState) -> PolicyStatus {
    let policy = state.policy;
    let is_bulk = policy.bulk_changes > 0 && policy.bulk_votes > 1;
    PolicyStatus {
        delete: policy.delete_votes.max(1),
        moves: policy.move_votes.max(1),
        bulk: is_bulk.then_some(policy.bulk_changes),
        bulk_approvals: policy.bulk_votes.max(1),
        expiry_days: policy.expiry_days,
        refuse_by_one: policy.refused_by_one,
        is_taken_over: state.is_policy_taken_over,
    }
}

fn locks(desk: &Desk, key: &LibraryKey) -> Vec<LockStatus> {
    let now_ms = clock::now_ms();
    let Some(locks) = desk.locks.get(key) else { return Vec::new() };
    let shown = |signed: &SignedLock| {
        let lock = signed.lock();
        let left = (lock.made_at_ms + lock.holds_ms).saturating_sub(now_ms) / 1000;
        LockStatus {
            path: lock.path.to_string(),
            holder: lock.holder.to_string(),
            seconds_left: left,
            why: lock.why.clone(),
        }
    };
    locks.holding(now_ms).map(shown).collect()
}

fn peers(desk: &Desk, states: &[PeerState]) -> Vec<PeerStatus> {
    let mut shown = Vec::new();
    let mut seen: BTreeSet<NodeId> = BTreeSet::new();
    for peer in desk.folder.peers() {
        if let Some(origin) = &peer.origin {
            shown.push(origin_status(desk, peer, origin));
            continue;
        }
        let state = peer.node.and_then(|node| states.iter().find(|state| state.node == node));
        seen.extend(peer.node);
        let trust = match (peer.is_mirror, peer.trusted) {
            (true, _) => Trust::Mirror,
            (false, true) => Trust::Trusted,
            (false, false) => Trust::Untrusted,
        };
        let (address, trouble) = where_it_is(desk, peer, state);
        shown.push(PeerStatus {
            trouble,
            address,
            node: peer.node.map(|node| node.to_string()),
            name: peer.name.clone().or_else(|| state.map(|state| state.name.clone())).unwrap_or_default(),
            trust: trust_word(trust).to_owned(),
            connected: state.is_some(),
            user: state.and_then(|state| state.user.clone()),
            libraries: state.map(|state| peer_libraries(desk, state)).unwrap_or_default(),
            ..PeerStatus::default()
        });
    }
    for (node, told) in &desk.told {
        if !seen.insert(*node) {
            continue;
        }
        let state = states.iter().find(|state| state.node == *node);
        let address = told.values().find_map(|peer| peer.address.as_ref()).map(ToString::to_string);
        shown.push(PeerStatus {
            address: address.unwrap_or_default(),
            node: Some(node.to_string()),
            name: told.values().map(|peer| peer.name.clone()).next().unwrap_or_default(),
            trust: "unknown".to_owned(),
            connected: state.is_some(),
            user: state.and_then(|state| state.user.clone()),
            told_by: told.keys().map(NodeId::to_string).collect(),
            libraries: state.map(|state| peer_libraries(desk, state)).unwrap_or_default(),
            ..PeerStatus::default()
        });
    }
    for state in states.iter().filter(|state| !seen.contains(&state.node)) {
        shown.push(PeerStatus {
            address: state.address.to_string(),
            node: Some(state.node.to_string()),
            name: state.name.clone(),
            trust: "unknown".to_owned(),
            connected: true,
            user: state.user.clone(),
            libraries: peer_libraries(desk, state),
            ..PeerStatus::default()
        });
    }
    for peer in &mut shown {
        let node: Option<NodeId> = peer.node.as_ref().and_then(|node| node.parse().ok());
        if let Some(totals) = node.and_then(|node| desk.traffic.of_peers.get(&node)) {
            (peer.received, peer.sent) = (totals.received_len, totals.sent_len);
        }
        if let Some(state) = states.iter().find(|state| Some(state.node) == node) {
            peer.received += state.received_len;
            peer.sent += state.sent_len;
        }
    }
    shown
}

/// A peer that speaks HTTP(S) alone.
fn origin_status(desk: &Desk, peer: &swarm_daemon_files::Peer, url: &OriginUrl) -> PeerStatus {
    let known = desk.origins.borrow().get(url).cloned();
    let state = known.as_ref().map(|origin| origin.state()).unwrap_or_default();
    let trust = if peer.trusted { Trust::Trusted } else { Trust::Untrusted };
    let waits = || (!state.is_connected).then(|| "not asked yet".to_owned());
    PeerStatus {
        address: url.to_string(),
        name: peer.name.clone().unwrap_or_default(),
        trust: trust_word(trust).to_owned(),
        connected: state.is_connected,
        trouble: state.trouble.clone().or_else(waits),
        received: known.map(|origin| origin.origin.received_len()).unwrap_or_default(),
        libraries: state.shares.iter().filter_map(|(key, share)| origin_library(desk, key, share)).collect(),
        ..PeerStatus::default()
    }
}

fn origin_library(desk: &Desk, key: &LibraryKey, share: &OriginShare) -> Option<PeerLibraryStatus> {
    let settings = desk.libraries.get(key).map(Running::settings)?;
    Some(PeerLibraryStatus {
        name: settings.name.clone(),
        guid: settings.guid.to_string(),
        is_shared: true,
        is_level: false,
        percent: percent(share.listed_len, share.len, share.is_complete),
        activity: String::new(),
        deletions_to_do: 0,
    })
}

/// What is wrong with files of origins.
fn origin_errors(desk: &Desk) -> Vec<StatusError> {
    let origins: Vec<_> = desk.origins.borrow().values().cloned().collect();
    let faults = origins.iter().flat_map(|origin| origin.state().faults);
    let error = |((library, path), fault): ((LibraryKey, String), OriginFault)| {
        let settings = desk.libraries.get(&library).map(Running::settings)?;
        Some(StatusError {
            guid: settings.guid.to_string(),
            file: path.trim_start_matches('/').to_owned(),
            issue: fault.issue.to_owned(),
            detail: fault.detail,
        })
    };
    faults.filter_map(error).collect()
}

/// Where a peer of the files is, and why it is not linked.
fn where_it_is(
    desk: &Desk,
    peer: &swarm_daemon_files::Peer,
    state: Option<&PeerState>,
) -> (String, Option<String>) {
    let found = peer.node.and_then(|node| desk.found.get(&node)).and_then(|addresses| addresses.first());
    let dialed = peer.address.as_ref().or(found).map(ToString::to_string);
    let trouble = match &dialed {
        Some(address) => desk.dial_troubles.get(address).cloned(),
        None => Some("not found yet".to_owned()),
    };
    let seen = state.map(|state| state.address.to_string());
    let address = peer.address.as_ref().map(ToString::to_string).or(seen).or(dialed);
    (address.unwrap_or_default(), trouble.filter(|_| state.is_none()))
}

fn peer_libraries(desk: &Desk, state: &PeerState) -> Vec<PeerLibraryStatus> {
    let line = |(key, known): (&LibraryKey, &PeerLibrary)| {
        let ours = desk.libraries.get(key).map(Running::settings);
        let completion = known.completion;
        let is_known = known.role.is_some();
        PeerLibraryStatus {
            name: ours.map_or_else(|| known.name.clone(), |settings| settings.name.clone()),
            guid: ours.map_or_else(|| known.guid.clone(), |settings| settings.guid.to_string()),
            is_shared: ours.is_some(),
            is_level: known.is_level,
            percent: if is_known {
                percent(completion.bytes_here(), completion.bytes(), completion.is_complete())
            } else {
                String::new()
            },
            activity: known.activity.clone(),
            deletions_to_do: completion.deletions_to_do,
        }
    };
    state.libraries.iter().map(line).collect()
}

fn trust_word(trust: Trust) -> &'static str {
    match trust {
        Trust::Trusted => "trusted",
        Trust::Untrusted => "untrusted",
        Trust::Mirror => "mirror",
    }
}

fn shown(uptime: Duration) -> String {
    let (hours, minutes, seconds) =
        (uptime.as_secs() / 3600, uptime.as_secs() / 60 % 60, uptime.as_secs() % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m {seconds}s"),
        (hours, minutes) => format!("{hours}h {minutes}m"),
    }
}

/// Entries of one answer.
const LIMIT_MAX: usize = 10_000;
/// A file that settles a conflict is kept in the index.
const SETTLED_LEN_MAX: u64 = 64 << 20;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
