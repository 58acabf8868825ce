//! How a library stands. Invariant: a library is complete, or up to date, only by figures that are not old. Absent here: the figures (`library/worker`).

use std::collections::BTreeMap;

use swarm_core::base::{NodeId, Rate};
use swarm_library::{LibraryKey, Policy, SignedLock};
use swarm_mounts::MountKind;

use super::percent;
use crate::clock;
use crate::contents::Lacking;
use crate::daemon::Desk;
use crate::daemon::libraries::Running;
use crate::exchange::PeerState;
use crate::library::{LOOKING, LibrarySettings, LibraryState, PAUSED};
use crate::policy_words;
use crate::sentence::Sentence;
use crate::status::{LibraryStatus, LockStatus, MountStatus, PolicyStatus, StatusError};

/// How a library stands; what is wrong with it is added to `errors`.
pub(super) fn library_status(
    desk: &Desk,
    key: &LibraryKey,
    running: &Running,
    states: &[PeerState],
    errors: &mut Vec<StatusError>,
) -> LibraryStatus {
    let settings = running.settings();
    match running {
        Running::Stands { why, .. } => {
            let (guid, issue) = (settings.guid.to_string(), "stopped".to_owned());
            let detail = why.to_string();
            errors.push(StatusError { guid, file: String::new(), issue, detail, told: why.told() });
            LibraryStatus {
                state: "stopped".to_owned(),
                activity: why.to_string(),
                activity_told: why.told(),
                ..status_by_settings(settings)
            }
        }
        Running::Works { handle, .. } => {
            let state = handle.state.borrow().clone();
            errors.extend(errors_of(settings, &state));
            let activity = activity(desk, key, &state);
            LibraryStatus {
                policy_differences: policy_differences(key, state.policy, states),
                locks: locks(desk, key),
                activity_told: activity.told(),
                activity: activity.to_string(),
                ..status_of_working(settings, &state, desk.traffic.down)
            }
        }
    }
}

/// What the files alone say.
fn status_by_settings(settings: &LibrarySettings) -> LibraryStatus {
    let [limit_up, limit_down] =
        [settings.limits.up, settings.limits.down].map(|limit| limit.map(|Rate(rate)| rate));
    let mounts = settings.mounts.iter().map(|mount| MountStatus {
        dir: mount.dir.to_string_lossy().into_owned(),
        libpath: mount.libpath.as_ref().map_or_else(|| "/".to_owned(), |path| format!("/{}", path.as_str())),
        sync: mount.kind == MountKind::SyncTarget,
    });
    LibraryStatus {
        name: settings.name.clone(),
        guid: settings.guid.to_string(),
        mounts: mounts.collect(),
        limit_up,
        limit_down,
        scrub_days: settings.scrub_days,
        ..LibraryStatus::default()
    }
}

/// `rate_down` is in bytes a second.
fn status_of_working(settings: &LibrarySettings, state: &LibraryState, rate_down: u64) -> LibraryStatus {
    let figures = state.figures;
    let (files_here, bytes_here) = (
        figures.files.saturating_sub(figures.files_lacking),
        figures.len.saturating_sub(figures.lacking_len),
    );
    let is_known = !settings.is_followed || state.frontier.positions().next().is_some();
    let is_known = is_known && !state.is_part_left;
    let is_complete =
        is_known && !state.are_figures_old && figures.files_lacking == 0 && figures.deletions_to_do == 0;
    // All but what somebody has to decide.
    let is_done = is_known
        && !state.are_figures_old
        && figures.files_lacking <= state.left_to_decide.files
        && figures.deletions_to_do <= state.left_to_decide.deletions;
    LibraryStatus {
        state: state_word(state, settings.is_paused, is_done).to_owned(),
        percent: percent(bytes_here, figures.len, is_complete),
        files: figures.files,
        files_here,
        bytes: figures.len,
        bytes_here,
        deletions_to_do: figures.deletions_to_do.saturating_sub(state.left_to_decide.deletions),
        conflicts: state.conflicts,
        conflicts_elsewhere: state.conflicts_elsewhere,
        proposals: state.proposals,
        waiting: state.waiting,
        untrusted_commits: untrusted_commits(state),
        held_here: state.held_here,
        commits: state.frontier.positions().map(|position| position.seq).sum(),
        eta_seconds: (!is_complete && rate_down > 0).then(|| figures.lacking_len / rate_down),
        policy: Some(policy_status(state)),
        ..status_by_settings(settings)
    }
}

/// What is wrong with a library that works: first what holds all of it up, then single files, then authors.
fn errors_of(settings: &LibrarySettings, state: &LibraryState) -> Vec<StatusError> {
    let mut errors = Vec::new();
    let mut error = |file: &str, issue: &str, detail: &Sentence| {
        let (guid, file, issue) = (settings.guid.to_string(), file.to_owned(), issue.to_owned());
        errors.push(StatusError { guid, file, issue, detail: detail.to_string(), told: detail.told() });
    };
    if let Some(trouble) = &state.trouble {
        error("", "stopped", trouble);
    }
    if let Some(trouble) = &state.fetch_trouble {
        error("", "fetch", &trouble.clone().into());
    }
    for (path, why) in &state.refused {
        error(path, "refused", why);
    }
    for (path, why) in &state.unseen {
        error(path, "not-synced", why);
    }
    for path in state.rotten.keys() {
        let text = "its bytes on this disk are wrong: good ones are to come from peers";
        error(path.as_str(), "hash-mismatch", &Sentence::new("wrong-bytes-here", [], text));
    }
    for (path, by) in &state.strangers.replaced {
        error(path.as_str(), "replaced", &replaced_words(by));
    }
    for node in &state.equivocators {
        let detail = format!("node {} signed two histories: nothing more is taken from it", node.short());
        error("", "equivocation", &Sentence::new("two-histories", [("node", &node.short())], detail));
    }
    for node in &state.full {
        let detail = "no more is kept of the changes of this node, which does not count here: others have to get them elsewhere";
        let node = node.short();
        error(
            "",
            "carried",
            &Sentence::new("not-carried", [("node", &node)], format!("node {node}: {detail}")),
        );
    }
    errors
}

fn replaced_words(by: &NodeId) -> Sentence {
    let by = by.short();
    let text = format!(
        "{by} replaced the version that this node waits for, and does not count here: if no machine has that one any more, `swarm peer trust {by}` takes the newer one"
    );
    Sentence::new("replaced-by", [("node", &by)], text)
}

fn untrusted_commits(state: &LibraryState) -> BTreeMap<String, u64> {
    state.strangers.commits.iter().map(|(author, count)| (author.to_string(), *count)).collect()
}

/// What a library does; that what it waits for cannot come is said first.
fn activity(desk: &Desk, key: &LibraryKey, state: &LibraryState) -> Sentence {
    if desk.limits.down == Some(Rate(0)) && state.figures.files_lacking > 0 {
        let text = "the schedule in config.json pauses downloads now";
        return Sentence::new("schedule-pauses", [], text);
    }
    match desk.lacking.borrow().get(key) {
        Some(Lacking { commits, seconds }) => {
            let text = format!(
                "no connected peer has all files of {commits} {}: nothing came for {seconds} s",
                if *commits == 1 { "commit" } else { "commits" }
            );
            Sentence::new("nobody-has", [("n", commits), ("seconds", seconds)], text)
        }
        None => match state.activity.as_str() {
            LOOKING => Sentence::new("looking", [], LOOKING),
            PAUSED => Sentence::new("paused", [], PAUSED),
            other => other.to_owned().into(),
        },
    }
}

/// `is_done` says that nothing is to be done but what waits for somebody.
fn state_word(state: &LibraryState, is_paused: bool, is_done: bool) -> &'static str {
    match state {
        LibraryState { trouble: Some(_), .. } => "stopped",
        _ if is_paused => "paused",
        LibraryState { held_here: Some(_), .. } => "held",
        LibraryState { is_scanned: false, .. } => "scanning",
        LibraryState { conflicts: 1.., .. } | LibraryState { conflicts_elsewhere: 1.., .. } if is_done => {
            "conflict"
        }
        LibraryState { waiting: 1.., .. } if is_done => "waiting",
        _ if is_done => "up to date",
        _ => "syncing",
    }
}

fn policy_differences(key: &LibraryKey, own: Policy, states: &[PeerState]) -> Vec<String> {
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
