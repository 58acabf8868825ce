//! What a record does to its path on one node: to the versions that hold, to the entry that a run of sync is to see as the remote one, and to
//! what it is to see as agreed on. Invariant: a version that this node made and that lost is a conflict for sync until a version includes it;
//! every other version just follows the one before it.

use swarm_core::base::NodeId;
use swarm_sync::ContentHash;

use crate::{Head, Heads, Live, State, Taken};

/// What sync is to take for the base of a path from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseChange {
    /// What it is.
    Keep,
    /// The file that the lost version was made from, or nothing where it was made from none or its content is not known any more.
    Parent(Option<ContentHash>),
    /// What the lost version said: a version includes it, and follows it.
    Settled(Option<Live>),
}

/// What a record did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The versions that hold now.
    pub heads: Heads,
    /// Whether another entry wins than before.
    pub is_changed: bool,
    /// For the base.
    pub base: BaseChange,
}

/// Takes a record; `None` if it changes nothing. `me` is this node.
pub fn take(before: &Heads, head: Head, me: &NodeId) -> Option<Step> {
    let mut heads = before.clone();
    match heads.take(head) {
        Taken::Holds => {}
        Taken::Known | Taken::TooMany => return None,
    }
    let state = |heads: &Heads| heads.winner().map(|head| head.state.kind().cloned());
    let is_changed = state(before) != state(&heads);
    let base = match (before.lost_of(me), heads.origin_of_lost(me)) {
        (None, None) => BaseChange::Keep,
        (_, Some(origin)) => BaseChange::Parent(origin),
        (Some(lost), None) => BaseChange::Settled(match &lost.state {
            State::Live(live) => Some(live.clone()),
            State::Deleted => None,
        }),
    };
    Some(Step { heads, is_changed, base })
}

#[cfg(test)]
mod tests {
    use swarm_sync::{FileContent, Kind};

    use super::*;
    use crate::{RecordRef, Vector};

    fn node(name: char) -> NodeId {
        NodeId::from_bytes([name as u8; 32])
    }

    /// `x:a1b2<p` is the content x, by the last author, made from p; `-` is a deletion.
    fn head(text: &str) -> Head {
        let (text, parent) = text.split_once('<').map_or((text, None), |(text, parent)| (text, Some(parent)));
        let (content, vector) = text.split_once(':').expect("a colon");
        let letters: Vec<char> = vector.chars().collect();
        let counters: Vec<(NodeId, u64)> = letters
            .chunks(2)
            .map(|pair| (node(pair[0]), u64::from(pair[1].to_digit(10).expect("a digit"))))
            .collect();
        let (author, seq) = *counters.last().expect("one");
        let hash = |text: &str| ContentHash::of(text.as_bytes());
        let kind = Kind::File(FileContent { len: 1, hash: hash(content), executable: false });
        let state = match content {
            "-" => State::Deleted,
            _ => State::Live(Live { kind, modified_ns: 0, sha256: None }),
        };
        let vector = Vector::from_counters(counters).expect("valid");
        Head { record: RecordRef { author, seq, index: 0 }, state, vector, parent: parent.map(hash) }
    }

    /// For the node `a`: what the last of these versions does to the base.
    fn check(versions: &[&str], expected: &str) {
        let (last, before) = versions.split_last().expect("one");
        let mut heads = Heads::default();
        for version in before {
            heads = take(&heads, head(version), &node('a')).expect("it holds").heads;
        }
        let name = |hash: ContentHash| {
            let names = ["x", "y", "z", "p"].into_iter();
            names.into_iter().find(|name| ContentHash::of(name.as_bytes()) == hash).expect("known")
        };
        let shown = match take(&heads, head(last), &node('a')).map(|step| step.base) {
            None => "nothing".to_owned(),
            Some(BaseChange::Keep) => "keep".to_owned(),
            Some(BaseChange::Parent(parent)) => format!("parent {}", parent.map_or("-", name)),
            Some(BaseChange::Settled(live)) => {
                let hash = live.and_then(|live| live.kind.file().map(|file| file.hash));
                format!("settled {}", hash.map_or("-", name))
            }
        };
        assert_eq!(shown, expected, "{versions:?}");
    }

    #[test]
    fn versions_that_follow_leave_the_base_alone() {
        check(&["x:b1"], "keep");
        check(&["x:b1", "y:b2"], "keep");
        check(&["x:a1", "y:a1b2"], "keep");
        check(&["x:b2", "y:b1"], "nothing");
    }

    #[test]
    fn an_own_version_that_lost_is_seen_against_what_it_was_made_from() {
        check(&["x:p1a1<p", "y:p1b2<p"], "parent p");
        check(&["x:a1", "y:b2"], "parent -");
        // Made apart from each other: what this one was made from is nothing to the other one.
        check(&["-:a2<p", "y:b1"], "parent -");
        // That of another node is no conflict here.
        check(&["x:c1<p", "y:b2<p"], "keep");
        // The own one won.
        check(&["x:a2<p", "y:b1<p"], "keep");
    }

    #[test]
    fn the_base_is_the_last_version_that_both_came_from() {
        // The author of `x` went on while another node changed it: that one names it.
        check(&["x:a1", "y:a2", "z:a1b3<x"], "parent x");
        // The other way round: this node changed what the other one made, and that one went on.
        check(&["x:b1", "y:b1a2<x", "z:b3"], "parent x");
    }

    #[test]
    fn a_version_that_includes_the_lost_one_follows_it() {
        check(&["x:a1<p", "y:b2<p", "z:a1b2c3"], "settled x");
        check(&["-:a1<p", "y:b2<p", "z:a1b2c3"], "settled -");
        check(&["x:p1a1<p", "y:p1b2<p", "z:p1b3"], "parent p");
    }
}
