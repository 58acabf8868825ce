//! Which contents go when room is needed for another. Pure: knows no clock, no disk.

use swarm_core::base::ContentId;

/// A content that was collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) content: ContentId,
    /// Bytes of all of it.
    pub(super) len: u64,
    /// When a peer last wanted it, milliseconds since 1970.
    pub(super) wanted_at_ms: u64,
    /// It is being fetched, or a peer that is linked lacks some of it, or the operator named it.
    pub(super) must_stay: bool,
}

/// What has to go so that `needed_len` bytes are free: the least recently wanted first. `None` if that is not enough.
pub(super) fn victims(needed_len: u64, contents: &[Held]) -> Option<Vec<ContentId>> {
    let mut loose: Vec<&Held> = contents.iter().filter(|held| !held.must_stay).collect();
    loose.sort_unstable_by_key(|held| (held.wanted_at_ms, held.content));
    let (mut freed_len, mut victims) = (0, Vec::new());
    for held in loose {
        if freed_len >= needed_len {
            break;
        }
        freed_len += held.len;
        victims.push(held.content);
    }
    (freed_len >= needed_len).then_some(victims)
}

/// Bytes that have to be freed before `len` more fit; `None` if they never will.
pub(super) fn needed(len: u64, used_len: u64, quota_len: Option<u64>) -> Option<u64> {
    let Some(quota_len) = quota_len else { return Some(0) };
    (len <= quota_len).then(|| used_len.saturating_add(len).saturating_sub(quota_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ContentId {
        ContentId::from_bytes([number; 32])
    }

    /// Each content is a word: its length, when it was wanted, and `!` if it must stay. Named by its place, from 1.
    fn check(needed_len: u64, contents: &str, expected: Option<&[u8]>) {
        let contents: Vec<Held> = contents
            .split_whitespace()
            .enumerate()
            .map(|(place, word)| {
                let (len, wanted_at) = word.trim_end_matches('!').split_once('@').expect("len@time");
                Held {
                    content: id(place as u8 + 1),
                    len: len.parse().expect("a length"),
                    wanted_at_ms: wanted_at.parse().expect("a time"),
                    must_stay: word.ends_with('!'),
                }
            })
            .collect();
        let expected = expected.map(|numbers| numbers.iter().copied().map(id).collect());
        assert_eq!(victims(needed_len, &contents), expected, "{needed_len} of {contents:?}");
    }

    #[test]
    fn the_least_recently_wanted_go_first_and_no_more_than_needed() {
        check(0, "5@1 5@2", Some(&[]));
        check(1, "5@2 5@1", Some(&[2]));
        check(5, "5@2 5@1", Some(&[2]));
        check(6, "5@2 5@1 5@3", Some(&[2, 1]));
        check(15, "5@2 5@1 5@3", Some(&[2, 1, 3]));
        check(5, "5@1 5@1", Some(&[1]));
    }

    #[test]
    fn what_is_in_use_or_pinned_stays_and_if_that_is_too_much_nothing_goes() {
        check(5, "5@1! 5@2", Some(&[2]));
        check(6, "5@1! 5@2", None);
        check(1, "", None);
        check(1, "9@1!", None);
        check(0, "", Some(&[]));
    }

    #[test]
    fn a_content_longer_than_the_quota_never_fits() {
        for (len, used_len, quota_len, expected) in [
            (5, 0, None, Some(0)),
            (u64::MAX, u64::MAX, None, Some(0)),
            (5, 0, Some(5), Some(0)),
            (6, 0, Some(5), None),
            (5, 3, Some(10), Some(0)),
            (5, 7, Some(10), Some(2)),
            // The quota was made smaller.
            (5, 90, Some(10), Some(85)),
        ] {
            assert_eq!(needed(len, used_len, quota_len), expected, "{len} to {used_len} of {quota_len:?}");
        }
    }
}
