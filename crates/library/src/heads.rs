//! The versions of one path that hold at once: those that no other version includes. Invariant: none includes another. The order in which
//! versions come makes no difference: equal entries made apart stay two versions, so that a version made from one of them replaces that one.

use std::cmp::Ordering;

use swarm_core::base::NodeId;
use swarm_sync::{ContentHash, Kind};

use crate::limits::HEADS_MAX;
use crate::{RecordRef, State, Vector};

/// One version that no other includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where its record is.
    pub record: RecordRef,
    /// What stands there.
    pub state: State,
    /// Which versions it includes.
    pub vector: Vector,
    /// The file that it was made from.
    pub parent: Option<ContentHash>,
}

/// All versions of a path that hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads(Vec<Head>);

/// What a version did to the heads of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is included in what was known.
    Known,
    /// It holds now.
    Holds,
    /// There are too many versions that exclude each other, and its author has the most of them.
    TooMany,
}

impl Heads {
    /// Takes heads that were stored.
    pub fn of(heads: Vec<Head>) -> Self {
        Self(heads)
    }

    /// All that hold.
    pub fn all(&self) -> &[Head] {
        &self.0
    }

    /// Takes a version.
    pub fn take(&mut self, head: Head) -> Taken {
        if self.0.iter().any(|known| replaces(known, &head)) {
            return Taken::Known;
        }
        let record = head.record;
        self.0.retain(|known| !replaces(&head, known));
        self.0.push(head);
        self.0.sort_by_key(|head| head.record);
        if self.0.len() > HEADS_MAX {
            self.drop_one();
        }
        if self.0.iter().any(|head| head.record == record) { Taken::Holds } else { Taken::TooMany }
    }

    /// Forgets the oldest version of the author that has the most: one that signs versions without end takes no room from others, and since
    /// the commits of an author come in their order, all nodes forget the same ones.
    fn drop_one(&mut self) {
        let count = |author: &NodeId| self.0.iter().filter(|head| head.record.author == *author).count();
        let most = self.0.iter().map(|head| count(&head.record.author)).max();
        let gone = self.0.iter().position(|head| Some(count(&head.record.author)) == most);
        if let Some(gone) = gone {
            self.0.remove(gone);
        }
    }

    /// The version that all nodes take for now: an entry before a deletion, then the one with the greatest last counter, then by its author.
    /// With all the same heads, all nodes have the same winner; which one it is matters little.
    pub fn winner(&self) -> Option<&Head> {
        self.0.iter().max_by(|one, other| compare(one, other))
    }

    /// Whether versions exclude each other and say different things.
    pub fn is_disputed(&self) -> bool {
        let mut all = self.0.iter();
        all.next().is_some_and(|first| all.any(|head| !head.state.says_the_same(&first.state)))
    }

    /// Whether a version that waits would change nothing if it held: one that holds includes it, or all say the same already.
    pub fn makes_void(&self, state: &State, vector: &Vector) -> bool {
        self.0.iter().any(|head| head.vector.includes(vector))
            || (!self.is_disputed() && self.winner().is_some_and(|winner| winner.state.says_the_same(state)))
    }

    /// What a version includes that is made from the winner: all versions that say the same as it.
    pub fn vector_of_winner(&self) -> Vector {
        let Some(winner) = self.winner() else { return Vector::default() };
        let same = self.0.iter().filter(|head| head.state.says_the_same(&winner.state));
        same.fold(Vector::default(), |vector, head| vector.joined(&head.vector))
    }

    /// The version that a node made itself and that lost against another entry: its user has to hear of it.
    pub fn lost_of(&self, author: &NodeId) -> Option<&Head> {
        let winner = self.winner()?;
        let is_lost =
            |head: &&Head| head.record.author == *author && !head.state.says_the_same(&winner.state);
        self.0.iter().find(is_lost)
    }

    /// Whether versions exclude each other and a version of this node says something else than what stands.
    pub fn is_given_up(&self, author: &NodeId, standing: Option<&Kind>) -> bool {
        let is_other = |head: &Head| head.record.author == *author && head.state.kind() != standing;
        self.is_disputed() && self.0.iter().any(is_other)
    }

    /// The file that both the lost version of a node and the winner were made from; `None` inside if there is none. A version that a node makes
    /// from its own one names what that one was made from, so the last common file is named by the version whose author saw a later one of
    /// the other's: counters grow along a history.
    pub fn origin_of_lost(&self, author: &NodeId) -> Option<Option<ContentHash>> {
        let (lost, winner) = (self.lost_of(author)?, self.winner()?);
        // Two histories that have no version in common were made from nothing that both had.
        if !lost.vector.meets(&winner.vector) {
            return Some(None);
        }
        let seen = |one: &Head, other: &Head| one.vector.counter(&other.record.author);
        // A version that is the same file again is still a change: its author meant it against the other one.
        let is_either = |hash: &ContentHash| {
            let file = |head: &Head| head.state.kind().and_then(Kind::file).map(|file| file.hash);
            file(lost) == Some(*hash) || file(winner) == Some(*hash)
        };
        let by_winner = winner.parent.filter(|_| seen(winner, lost) > seen(lost, winner));
        Some(by_winner.filter(|hash| !is_either(hash)).or(lost.parent))
    }
}

/// Whether a version stands and the other one does not. No honest author gives two versions one vector; of such two, all nodes keep the same.
fn replaces(one: &Head, other: &Head) -> bool {
    match one.vector.compare(&other.vector) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => compare(one, other).is_ge(),
        Some(Ordering::Less) | None => false,
    }
}

fn compare(one: &Head, other: &Head) -> Ordering {
    let key = |head: &Head| {
        let counter = head.vector.counter(&head.record.author);
        (head.state.is_live(), counter, head.record)
    };
    key(one).cmp(&key(other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use swarm_sync::FileContent;

    use super::*;
    use crate::Live;

    fn node(name: char) -> NodeId {
        NodeId::from_bytes([name as u8; 32])
    }

    /// `x:a1b2` is the content x, made by the last author named; `-` for a deletion.
    fn head(text: &str) -> Head {
        let (content, vector) = text.split_once(':').expect("a colon");
        let letters: Vec<char> = vector.chars().collect();
        let counters: Vec<(NodeId, u64)> = letters
            .chunks(2)
            .map(|pair| (node(pair[0]), u64::from(pair[1].to_digit(10).expect("a digit"))))
            .collect();
        let (author, seq) = *counters.last().expect("one");
        let hash = ContentHash::of(content.as_bytes());
        let kind = Kind::File(FileContent { len: 1, hash, executable: false });
        let state = match content {
            "-" => State::Deleted,
            _ => State::Live(Live { kind, modified_ns: 0, sha256: None }),
        };
        let vector = Vector::from_counters(counters).expect("valid");
        Head { record: RecordRef { author, seq, index: 0 }, state, vector, parent: None }
    }

    /// All orders of these versions come to these heads, the winner last.
    fn check(versions: &[&str], expected: &[&str]) {
        let mut orders = vec![Vec::new()];
        for version in versions {
            let grown = orders.iter().flat_map(|order: &Vec<&str>| {
                (0..=order.len()).map(|at| {
                    let mut order = order.clone();
                    order.insert(at, version);
                    order
                })
            });
            orders = grown.collect();
        }
        for order in orders {
            let mut heads = Heads::default();
            for version in &order {
                let _ = heads.take(head(version));
            }
            let mut found: Vec<Head> = heads.all().to_vec();
            found.sort_by(compare);
            let states: Vec<(State, Vector)> =
                found.into_iter().map(|head| (head.state, head.vector)).collect();
            let wanted = expected.iter().map(|text| head(text)).map(|head| (head.state, head.vector));
            assert_eq!(states, wanted.collect::<Vec<_>>(), "{order:?}");
        }
    }

    #[test]
    fn a_version_replaces_what_it_includes() {
        check(&["x:a1", "y:a2"], &["y:a2"]);
        check(&["x:a1", "y:a1b1", "z:a1b2"], &["z:a1b2"]);
    }

    #[test]
    fn versions_that_exclude_each_other_stay_and_one_wins() {
        check(&["x:a1", "y:b2"], &["x:a1", "y:b2"]);
        check(&["x:a2", "y:b1"], &["y:b1", "x:a2"]);
        check(&["-:a9", "y:b1"], &["-:a9", "y:b1"]);
    }

    #[test]
    fn the_same_entry_made_twice_is_no_dispute() {
        check(&["x:a1", "x:b1"], &["x:a1", "x:b1"]);
        let mut heads = Heads::default();
        let _ = (heads.take(head("x:a1")), heads.take(head("x:b1")));
        assert!(!heads.is_disputed());
        assert_eq!(heads.vector_of_winner(), head("x:a1b1").vector);
        let _ = heads.take(head("y:a2"));
        assert!(heads.is_disputed());
        assert_eq!(heads.vector_of_winner(), head("y:a2").vector);
    }

    #[test]
    fn an_author_that_signs_versions_without_end_takes_no_room_from_others() {
        let flood = |seq: u64| {
            let head = head("x:t1");
            let vector = Vector::from_counters([(node('t'), 1), (NodeId::from_bytes([seq as u8; 32]), 1)]);
            let record = RecordRef { seq, ..head.record };
            Head { record, vector: vector.expect("valid"), ..head }
        };
        let floods: Vec<Head> = (1..=40).map(flood).collect();
        let honest = [head("y:a1"), head("z:b2")];
        let taken = |at: usize| {
            let mut heads = Heads::default();
            let all = floods[..at].iter().chain(&honest).chain(&floods[at..]);
            for head in all {
                let _ = heads.take(head.clone());
            }
            heads
        };
        assert_eq!(taken(0).all().len(), HEADS_MAX);
        for at in [0, 1, 15, 16, 40] {
            assert_eq!(taken(at), taken(0), "the honest versions come after {at}");
            assert!(honest.iter().all(|head| taken(at).all().contains(head)));
        }
    }

    #[test]
    fn what_would_change_nothing_is_void() {
        let check = |heads: &[&str], waits: &str, expected: bool| {
            let heads = Heads::of(heads.iter().map(|text| head(text)).collect());
            let waits = head(waits);
            assert_eq!(heads.makes_void(&waits.state, &waits.vector), expected, "{heads:?}, {waits:?}");
        };
        check(&["x:a1"], "-:a1b2", false);
        // Its author put the file back.
        check(&["x:a1b3"], "-:a1b2", true);
        // Somebody else deleted it.
        check(&["-:a1c2"], "-:a1b2", true);
        check(&["y:a1c2"], "-:a1b2", false);
        check(&["y:a1c2", "x:a1b3"], "-:a1b2", true);
        check(&["x:a1", "y:c1"], "x:b2", false);
        check(&[], "x:b2", false);
    }

    #[test]
    fn a_decision_ends_a_dispute() {
        check(&["x:a1", "y:b1", "x:a1b2"], &["x:a1b2"]);
    }

    #[test]
    fn of_two_versions_with_one_vector_all_nodes_keep_the_same() {
        let made_by = |content: &str, author| {
            let head = head(&format!("{content}:a1b1"));
            Head { record: RecordRef { author: node(author), ..head.record }, ..head }
        };
        for versions in [[made_by("x", 'b'), made_by("y", 'c')], [made_by("x", 'b'), made_by("-", 'c')]] {
            let taken = |order: [usize; 2]| {
                let mut heads = Heads::default();
                let _ = order.map(|at| heads.take(versions[at].clone()));
                heads
            };
            assert_eq!(taken([0, 1]), taken([1, 0]));
            assert_eq!(taken([0, 1]).all().len(), 1);
        }
    }

    /// Versions of three authors with any vectors, as no honest authors make them.
    fn versions() -> impl Strategy<Value = Vec<Head>> {
        let one = (prop::array::uniform3(0..4u64), 0..3u8, 0..3usize).prop_filter_map(
            "a counter",
            |(counters, content, author)| {
                let nodes = ['a', 'b', 'c'].map(node);
                let counted = nodes.into_iter().zip(counters).filter(|(_, counter)| *counter > 0);
                let vector = Vector::from_counters(counted).filter(|vector| *vector != Vector::default())?;
                let content = ["x", "y", "-"][usize::from(content)];
                let record = RecordRef { author: nodes[author], seq: 0, index: 0 };
                Some(Head { record, vector, ..head(&format!("{content}:a1")) })
            },
        );
        prop::collection::vec(one, 1..12).prop_map(|mut heads| {
            (1..).zip(&mut heads).for_each(|(seq, head)| head.record.seq = seq);
            heads
        })
    }

    proptest! {
        #[test]
        fn versions_in_any_order_come_to_the_same_heads(
            (versions, shuffled) in versions().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let taken = |versions: &[Head]| {
                let mut heads = Heads::default();
                for version in versions {
                    prop_assert_ne!(heads.take(version.clone()), Taken::TooMany);
                }
                Ok(heads)
            };
            let heads = taken(&versions)?;
            prop_assert_eq!(&heads, &taken(&shuffled)?);
            // Taken twice, nothing changes.
            prop_assert_eq!(&heads, &taken(&[versions.clone(), shuffled].concat())?);
            // No head includes another, and each version is included in one.
            for head in heads.all() {
                prop_assert!(heads.all().iter().all(|other| other == head || !other.vector.includes(&head.vector)));
            }
            for version in &versions {
                prop_assert!(heads.all().iter().any(|head| head.vector.includes(&version.vector)));
            }
        }
    }
}
