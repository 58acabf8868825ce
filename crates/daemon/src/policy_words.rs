//! How a policy differs from another, in words.

use swarm_library::Policy;

/// What the other asks for that this node does not, or the other way round; nothing if both come to the same.
pub(crate) fn difference(own: &Policy, other: &Policy) -> Option<String> {
    let mut words = Vec::new();
    let mut compare = |what: &str, own: u32, other: u32| {
        if own != other {
            words.push(format!("{what} need {other} there, {own} here"));
        }
    };
    // Without votes of others, the author's own is enough.
    compare("deletions", own.delete_votes.max(1), other.delete_votes.max(1));
    compare("moves", own.move_votes.max(1), other.move_votes.max(1));
    let bulk = |policy: &Policy| if policy.bulk_votes < 2 { 0 } else { policy.bulk_changes };
    let (own_bulk, other_bulk) = (bulk(own), bulk(other));
    if own_bulk != other_bulk {
        let from = |changes: u32| match changes {
            0 => "never".to_owned(),
            changes => format!("from {changes} changes on"),
        };
        words.push(format!("bulk changes are held {} there, {} here", from(other_bulk), from(own_bulk)));
    } else if own_bulk > 0 && own.bulk_votes != other.bulk_votes {
        words.push(format!("bulk changes need {} there, {} here", other.bulk_votes, own.bulk_votes));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_to_something_else_is_a_difference() {
        let check = |own: Policy, other: Policy, words: &str| {
            assert_eq!(difference(&own, &other).unwrap_or_default(), words);
        };
        let none = Policy::default();
        let deletions = |votes: u32| Policy { delete_votes: votes, ..Policy::default() };
        let bulk = |changes: u32, votes: u32| Policy { bulk_changes: changes, bulk_votes: votes, ..none };
        check(none, deletions(1), "");
        check(none, deletions(2), "deletions need 2 there, 1 here");
        check(bulk(0, 2), bulk(100, 1), "");
        check(bulk(100, 2), none, "bulk changes are held never there, from 100 changes on here");
        check(bulk(100, 2), bulk(100, 3), "bulk changes need 3 there, 2 here");
    }
}
