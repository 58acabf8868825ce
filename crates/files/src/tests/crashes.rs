//! Every crash of a small fetch: after each of its operations, and with every kind of loss that the missing syncs allow. Each
//! such state of the disk is rebuilt, and the production code runs the same fetch on it again.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;

use super::bytes;
use super::disk::{Disk, Fate, volatile};
use super::fetch::{Content, Heard, Resumed, alone, each, folder};
use super::watch::{Done, Plan, Watch};
use crate::locked;
use swarm_core::base::Rng;

/// A state that a crash may leave, and the chunks reported as durable before it.
struct Crash {
    disk: Disk,
    promised: BTreeSet<u32>,
    what: String,
}

/// The results of a scenario.
#[derive(Debug, Default)]
struct Tally {
    states: usize,
    fresh: usize,
    resumed: usize,
    doubted: usize,
}

#[test]
fn no_crash_of_a_fetch_makes_anything_wrong_believed_or_anything_durable_lost() {
    let tally = check_crashes("fetch", &small(), &Disk::default());
    assert!(tally.fresh > 0 && tally.resumed > 0, "{tally:?}");
}

#[test]
fn no_crash_of_a_fetch_that_goes_on_does_either() {
    let content = small();
    let half = stopped_at(&content, 3, 5);
    check_crashes("resume", &content, &half);
    // A damaged journal is rewritten.
    let mut damaged = half;
    let journal = damaged.files.iter().position(|bytes| bytes.starts_with(b"swarmjnl")).unwrap();
    damaged.files[journal][70] ^= 1;
    check_crashes("resume with doubt", &content, &damaged);
    // None of the chunks fetched so far is valid any more.
    let mut begun = damaged;
    let is_part = |name: &std::path::Path| name.extension().is_some_and(|end| end == "part");
    for (name, file) in &begun.names {
        if is_part(name) {
            begun.files[*file].fill(0);
        }
    }
    check_crashes("resume with doubt and nothing good", &content, &begun);
}

#[test]
fn no_crash_shows_a_replaced_file_half() {
    let folder = folder();
    fs::create_dir(folder.path().join("c")).unwrap();
    fs::write(folder.path().join("c/film"), bytes(77, FILM_LEN)).unwrap();
    fs::create_dir(folder.path().join("c/d")).unwrap();
    fs::write(folder.path().join("c/d/empty"), b"another").unwrap();
    let old = Disk::of(folder.path());
    check_crashes("overwrite", &small().over(old.clone()), &old);
}

#[test]
fn no_crash_of_a_fetch_of_many_files_does_either() {
    let names: Vec<String> = (0..70).map(|number| format!("{}/{number}", number % 2)).collect();
    let files: Vec<_> = (1..).zip(&names).map(|(seed, name)| (name.as_str(), bytes(seed, 700))).collect();
    check_crashes("many files", &Content::of(&files), &Disk::default());
}

/// A file of many chunks, so that samples alone do not find what a crash took; one of one chunk; one of none.
fn small() -> Content {
    Content::of(&[("film", bytes(1, FILM_LEN)), ("d/song", bytes(2, 9000)), ("d/empty", vec![])])
}

/// The disk after a fetch that was killed after a share of its operations.
fn stopped_at(content: &Content, part: usize, of: usize) -> Disk {
    let log = recorded(content, &Disk::default());
    let log = &log[..log.len() * part / of];
    Disk::default().after(log, &vec![Fate::Kept; log.len()])
}

/// The operations of a whole fetch on this disk.
fn recorded(content: &Content, before: &Disk) -> Vec<Done> {
    let folder = folder();
    before.restore(folder.path());
    let watch = Watch::new(Plan::Nothing, &Disk::of(folder.path()));
    alone(|| content.fetch(folder.path(), &watch, &mut Heard::default())).unwrap();
    content.check_complete(folder.path());
    watch.log()
}

fn check_crashes(scenario: &str, content: &Content, before: &Disk) -> Tally {
    // Files are numbered as the watch numbers them.
    let before = {
        let folder = folder();
        before.restore(folder.path());
        Disk::of(folder.path())
    };
    let log = recorded(content, &before);
    let mut crashes = crashes(&before, &log);
    let count = crashes.len();
    if !is_long_search() {
        Rng::seeded(1).shuffle(&mut crashes);
        crashes.truncate(STATES_MAX);
    }
    let tally = Mutex::new(Tally::default());
    each(&crashes, |crash| {
        let folder = folder();
        crash.disk.restore(folder.path());
        let check = || content.check_resume(folder.path(), &crash.promised);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
        let resumed = checked.unwrap_or_else(|_| panic!("{scenario}: {}", crash.what));
        locked(&tally).add(resumed);
    });
    let tally = tally.into_inner().unwrap();
    println!("crashes of a {scenario}: {} operations, of {count} states {tally:?}", log.len());
    tally
}

/// States that a crash of this log may leave, up to the limit.
fn crashes(before: &Disk, log: &[Done]) -> Vec<Crash> {
    let (mut crashes, mut known) = (Vec::new(), BTreeSet::new());
    let mut promised = BTreeSet::new();
    for end in 0..=log.len() {
        if let Some(Done::Said(chunks)) = end.checked_sub(1).map(|last| &log[last]) {
            promised.extend(chunks);
        }
        for (kind, fates) in fates(&log[..end], end as u64) {
            let disk = before.after(&log[..end], &fates);
            if known.insert((*disk.sum().as_bytes(), promised.clone())) {
                let last = end.checked_sub(1).map(|last| brief(&log[last]));
                let what = format!("after operation {end}, {last:?}: {kind}");
                crashes.push(Crash { disk, promised: promised.clone(), what });
            }
        }
    }
    crashes
}

/// Possible losses of a crash at the end of this log. Operations can be lost in every combination; tried are all and none,
/// each one alone lost or kept or torn, those of each file and those of the names, and random mixtures.
fn fates(log: &[Done], seed: u64) -> Vec<(String, Vec<Fate>)> {
    let volatile = volatile(log);
    let kept = vec![Fate::Kept; log.len()];
    let with = |choose: &dyn Fn(usize) -> Fate| {
        let mut fates = kept.clone();
        volatile.iter().for_each(|&index| fates[index] = choose(index));
        fates
    };
    let lost_if = |is_lost: bool| if is_lost { Fate::Lost } else { Fate::Kept };
    let mut all = vec![("a kill".to_owned(), kept.clone())];
    all.push(("all lost".to_owned(), with(&|_| Fate::Lost)));
    for &one in &volatile {
        let name = brief(&log[one]);
        all.push((format!("lost: {name}"), with(&|index| lost_if(index == one))));
        all.push((format!("kept alone: {name}"), with(&|index| lost_if(index != one))));
        for fate in [Fate::Torn(seed * 2), Fate::Torn(seed * 2 + 1), Fate::Zeros, Fate::Garbage] {
            let torn = |index| if index == one { fate } else { Fate::Kept };
            all.push((format!("{fate:?}: {name}"), with(&torn)));
        }
    }
    let groups: BTreeSet<Option<usize>> = volatile.iter().map(|&index| file_of(&log[index])).collect();
    for group in groups {
        let is_in = |index: usize| file_of(&log[index]) == group;
        all.push((format!("lost: all of {group:?}"), with(&|index| lost_if(is_in(index)))));
        all.push((format!("kept: only {group:?}"), with(&|index| lost_if(!is_in(index)))));
    }
    for number in 0..random_count() {
        let mut rng = Rng::seeded(seed << 16 | number);
        let mut fates = kept.clone();
        for &index in &volatile {
            fates[index] = match rng.below(8) {
                0..3 => Fate::Kept,
                3..6 => Fate::Lost,
                6 => Fate::Torn(rng.next_u64()),
                _ => Fate::Zeros,
            };
        }
        all.push((format!("mixture {number}"), fates));
    }
    all
}

/// The file whose bytes an operation changes; `None` if it changes names.
fn file_of(done: &Done) -> Option<usize> {
    match done {
        Done::Write { file, .. } | Done::SetLen { file, .. } | Done::Punch { file, .. } => Some(*file),
        Done::Create { .. }
        | Done::SyncData { .. }
        | Done::Rename { .. }
        | Done::RenameFolder { .. }
        | Done::Exchange { .. }
        | Done::Remove { .. }
        | Done::MakeDirectory { .. }
        | Done::SyncDirectory { .. }
        | Done::SyncFileSystem
        | Done::Said(_) => None,
    }
}

fn brief(done: &Done) -> String {
    match done {
        Done::Write { file, offset, data } => format!("write {}+{} to file {file}", offset, data.len()),
        other => format!("{other:?}"),
    }
}

impl Tally {
    fn add(&mut self, resumed: Resumed) {
        self.states += 1;
        self.fresh += usize::from(!resumed.existed);
        self.resumed += usize::from(resumed.durable_count > 0);
        self.doubted += usize::from(resumed.doubted);
    }
}

/// Random mixtures for each operation; `SWARM_CRASH_MIXTURES` sets more, and then every state is tried.
fn random_count() -> u64 {
    std::env::var(MIXTURES).map_or(6, |count| count.parse().expect("a number"))
}

fn is_long_search() -> bool {
    std::env::var_os(MIXTURES).is_some()
}

const MIXTURES: &str = "SWARM_CRASH_MIXTURES";
/// States tried of each scenario, chosen by a fixed seed if there are more.
const STATES_MAX: usize = 2000;

/// 40 chunks of 16 KiB, the last one short.
const FILM_LEN: usize = 40 * 16_384 - 100;
