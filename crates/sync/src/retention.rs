//! Which kept versions go. Invariant: space alone never takes a version younger than an hour, so whoever notices a mistake at once can
//! undo it. Absent here: clocks, and the files of the versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::TreePath;

/// A kept version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it stood.
    pub path: TreePath,
    /// When it was superseded or deleted, nanoseconds since 1970.
    pub at_ns: i64,
    /// In bytes.
    pub len: u64,
}

/// How long versions are kept. All that is set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Older ones go, in seconds.
    pub max_age_secs: Option<u64>,
    /// Of each path, only so many stay: the youngest.
    pub max_count: Option<usize>,
    /// All together take at most so many bytes, except those younger than [`Retention::SPACE_AGE_MIN_SECS`]: the oldest go first.
    pub max_bytes: Option<u64>,
    /// The older they are, the fewer stay of each path: all of the last hour, one an hour of the last day, one a day of the
    /// last 30 days, then one a week.
    pub staggered: bool,
}

impl Retention {
    /// Versions younger than this are never removed for space, in seconds.
    pub const SPACE_AGE_MIN_SECS: u64 = 60 * 60;
}

impl Default for Retention {
    fn default() -> Self {
        Self { max_age_secs: Some(30 * DAY_SECS), max_count: None, max_bytes: None, staggered: true }
    }
}

/// The indices of the versions that go, in ascending order. A version from the future is as young as one from now.
pub fn expired(versions: &[Kept], now_ns: i64, retention: &Retention) -> Vec<usize> {
    let mut keepers: Vec<Keeper> =
        versions.iter().enumerate().map(|(index, kept)| Keeper::of(index, kept, now_ns)).collect();
    if let Some(max_age_secs) = retention.max_age_secs {
        keepers.retain(|keeper| keeper.age_ns <= nanos(max_age_secs));
    }
    // The oldest first; of two of one age, the one that was named first.
    keepers.sort_by_key(|keeper| (std::cmp::Reverse(keeper.age_ns), keeper.index));
    if retention.staggered {
        keep_staggered(&mut keepers, versions);
    }
    if let Some(max_count) = retention.max_count {
        keep_youngest(&mut keepers, versions, max_count);
    }
    if let Some(max_bytes) = retention.max_bytes {
        keep_within(&mut keepers, versions, max_bytes);
    }
    let mut stays = vec![false; versions.len()];
    keepers.iter().for_each(|keeper| stays[keeper.index] = true);
    (0..versions.len()).filter(|&index| !stays[index]).collect()
}

const DAY_SECS: u64 = 24 * 60 * 60;
/// Up to an age in seconds, the least distance between two versions of one path.
/// The last hour is whole: a run must be undone in it, however soon it came after another one.
const STEPS: [(u64, u64); 3] = [(60 * 60, 0), (DAY_SECS, 60 * 60), (30 * DAY_SECS, DAY_SECS)];
/// The least distance of older ones.
const LAST_STEP_SECS: u64 = 7 * DAY_SECS;

/// A version that stays so far.
struct Keeper {
    index: usize,
    age_ns: u128,
}

impl Keeper {
    fn of(index: usize, kept: &Kept, now_ns: i64) -> Self {
        let age_ns = i128::from(now_ns) - i128::from(kept.at_ns);
        Self { index, age_ns: age_ns.max(0).unsigned_abs() }
    }
}

fn nanos(secs: u64) -> u128 {
    u128::from(secs) * 1_000_000_000
}

/// Goes from the oldest to the youngest, so that what stayed once stays while it ages: distances are counted from it.
fn keep_staggered(keepers: &mut Vec<Keeper>, versions: &[Kept]) {
    let mut last_kept: BTreeMap<&TreePath, u128> = BTreeMap::new();
    keepers.retain(|keeper| {
        let path = &versions[keeper.index].path;
        let is_far = last_kept.get(path).is_none_or(|last| last - keeper.age_ns >= step_ns(keeper.age_ns));
        if is_far {
            last_kept.insert(path, keeper.age_ns);
        }
        is_far
    });
}

fn step_ns(age_ns: u128) -> u128 {
    let step = STEPS.iter().find(|(age_secs, _)| age_ns <= nanos(*age_secs));
    nanos(step.map_or(LAST_STEP_SECS, |(_, step_secs)| *step_secs))
}

fn keep_youngest(keepers: &mut Vec<Keeper>, versions: &[Kept], max_count: usize) {
    let mut left: BTreeMap<&TreePath, usize> = BTreeMap::new();
    for keeper in keepers.iter() {
        *left.entry(&versions[keeper.index].path).or_default() += 1;
    }
    keepers.retain(|keeper| {
        let Some(left) = left.get_mut(&versions[keeper.index].path) else { return true };
        let stays = *left <= max_count;
        *left -= 1;
        stays
    });
}

fn keep_within(keepers: &mut Vec<Keeper>, versions: &[Kept], max_bytes: u64) {
    let mut total: u128 = keepers.iter().map(|keeper| u128::from(versions[keeper.index].len)).sum();
    keepers.retain(|keeper| {
        let stays = total <= u128::from(max_bytes) || keeper.age_ns < nanos(Retention::SPACE_AGE_MIN_SECS);
        if !stays {
            total -= u128::from(versions[keeper.index].len);
        }
        stays
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: i64 = 2_000_000_000_000_000_000;
    const NOTHING: Retention =
        Retention { max_age_secs: None, max_count: None, max_bytes: None, staggered: false };

    /// An age such as `30s`, `2h` or `8d`; below 0 it is in the future.
    fn secs(age: &str) -> i64 {
        let (number, unit) = age.split_at(age.len() - 1);
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            other => panic!("no unit: {other}"),
        };
        number.parse::<i64>().expect("a number") * unit
    }

    /// `AGE`, or `PATH:AGE`, or `PATH:AGE:LEN`.
    fn version(text: &str) -> Kept {
        let fields: Vec<&str> = text.split(':').collect();
        let (path, age, len) = match fields[..] {
            [age] => ("a", age, "1"),
            [path, age] => (path, age, "1"),
            [path, age, len] => (path, age, len),
            _ => panic!("no version: {text}"),
        };
        let at_ns = NOW_NS - secs(age) * 1_000_000_000;
        Kept { path: TreePath::new(path).expect("a path"), at_ns, len: len.parse().expect("a length") }
    }

    /// The versions, and those of them that stay.
    fn check(retention: Retention, versions: &str, stay: &str) {
        let texts: Vec<&str> = versions.split_whitespace().collect();
        let versions: Vec<Kept> = texts.iter().copied().map(version).collect();
        let gone = expired(&versions, NOW_NS, &retention);
        let kept: Vec<&str> =
            (0..texts.len()).filter(|index| !gone.contains(index)).map(|index| texts[index]).collect();
        assert_eq!(kept.join(" "), stay);
    }

    #[test]
    fn without_rules_all_stay() {
        check(NOTHING, "1s 400d -1d", "1s 400d -1d");
    }

    #[test]
    fn the_old_go_by_age() {
        let retention = Retention { max_age_secs: Some(86_400), ..NOTHING };
        check(retention, "2d 25h 24h 1s -5d", "24h 1s -5d");
    }

    #[test]
    fn of_each_path_the_youngest_stay() {
        let retention = Retention { max_count: Some(2), ..NOTHING };
        check(retention, "a:1s a:3s a:2s b:9d b:8d b:7d c:1s", "a:1s a:2s b:8d b:7d c:1s");
        check(Retention { max_count: Some(0), ..NOTHING }, "a:1s b:1s", "");
    }

    #[test]
    fn the_oldest_of_all_go_for_space() {
        let retention = Retention { max_bytes: Some(10), ..NOTHING };
        check(retention, "a:5d:4 b:4d:4 a:3d:4 b:2d:4", "a:3d:4 b:2d:4");
        check(retention, "a:5d:4 b:4d:6", "a:5d:4 b:4d:6");
    }

    #[test]
    fn the_last_hour_never_goes_for_space() {
        let retention = Retention { max_bytes: Some(10), ..NOTHING };
        check(retention, "a:2h:1 a:59m:100 b:1s:100 c:-1h:1", "a:59m:100 b:1s:100 c:-1h:1");
        check(retention, "a:60m:100", "");
    }

    #[test]
    fn the_older_the_fewer_stay() {
        let retention = Retention { staggered: true, ..NOTHING };
        check(retention, "59m 80s 60s 59s 20s 1s", "59m 80s 60s 59s 20s 1s");
        check(retention, "5h 280m 3h 121m 2h", "5h 3h 2h");
        check(retention, "9d 200h 8d 7d 150h 6d", "9d 8d 7d 6d");
        check(retention, "60d 54d 53d 47d 46d 40d", "60d 53d 46d");
    }

    #[test]
    fn each_path_is_thinned_out_on_its_own() {
        let retention = Retention { staggered: true, ..NOTHING };
        check(retention, "a:5h b:280m a:279m", "a:5h b:280m");
    }

    #[test]
    fn what_is_thinned_out_frees_room_for_what_counts() {
        let retention = Retention { staggered: true, max_count: Some(2), max_bytes: Some(2), ..NOTHING };
        check(retention, "5h 280m 3h 121m 2h", "3h 2h");
    }

    #[test]
    fn versions_thinned_out_while_they_age_leave_a_trace_of_every_time() {
        let retention = Retention { staggered: true, max_age_secs: Some(365 * DAY_SECS), ..NOTHING };
        let path = TreePath::new("a").expect("a path");
        let mut versions: Vec<Kept> = Vec::new();
        // One version in ten minutes for 60 days, looked at each time.
        for tick in 0..60 * 144_i64 {
            let now_ns = tick * 600 * 1_000_000_000;
            versions.push(Kept { path: path.clone(), at_ns: now_ns, len: 1 });
            let gone = expired(&versions, now_ns, &retention);
            gone.into_iter().rev().for_each(|index| drop(versions.remove(index)));
        }
        let count = versions.len();
        assert!((50..90).contains(&count), "6 + 23 + 29 + 4 and few more stay: {count}");
        let widest = versions.windows(2).map(|pair| pair[1].at_ns - pair[0].at_ns).max();
        assert!(widest.is_some_and(|widest| widest <= 15 * 86_400 * 1_000_000_000), "{widest:?}");
    }
}
