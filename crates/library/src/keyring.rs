//! Which keys of a sealed library a member has, which it writes with, who is owed one, and when a new epoch begins. Keys are told apart by their
//! ids: two members that begin an epoch at once both give out their keys, everybody has both, and all write with the one of the greatest id.
//!
//! Invariants: a key is taken of a granter that counts, alone; no key is given to a node that this one does not trust, nor to one that a member
//! removed and none let in again; what a node that was removed holds is not written with for longer than it takes to hear of it.
//! Absent here: random bytes, and where the ring is kept.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::NodeId;
use swarm_core::manifest::SigningKey;

use crate::{EpochKey, KeyId, SignedGrant};

/// The keys of a library that a member has. What it knows of the holders outlives the grants and the trust in who signed them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    /// By id.
    pub keys: BTreeMap<KeyId, RingKey>,
    /// Whom this node trusted when it looked last; `None` before the first look.
    pub members: Option<BTreeSet<NodeId>>,
    /// Whom it trusted once, and does not now.
    pub dropped: BTreeSet<NodeId>,
    /// Whom it began to trust, and gave no key since: its word lets in again who was removed.
    pub welcomed: BTreeSet<NodeId>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingKey {
    /// The number of its epoch.
    pub epoch: u32,
    /// The key.
    pub key: EpochKey,
    /// Nodes that have it, as far as members told: those that it was wrapped for, and those that gave it.
    pub holders: BTreeSet<NodeId>,
    /// Nodes because of which its epoch began.
    pub removed: BTreeSet<NodeId>,
}

/// A new epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochDue {
    /// Its number.
    pub epoch: u32,
    /// Because of whom it begins.
    pub removed: BTreeSet<NodeId>,
}

/// A key, and who lacks a grant of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Which key.
    pub key: KeyId,
    /// For whom it is to be wrapped.
    pub nodes: BTreeSet<NodeId>,
}

impl Keyring {
    /// The key that this node writes with: of the last epoch, the one with the greatest id.
    pub fn current(&self) -> Option<&RingKey> {
        self.keys.iter().max_by_key(|(id, ring)| (ring.epoch, **id)).map(|(_, ring)| ring)
    }

    /// A key by its id.
    pub fn key(&self, id: &KeyId) -> Option<&EpochKey> {
        self.keys.get(id).map(|ring| &ring.key)
    }

    /// Takes over whom this node trusts. True if that is news.
    pub fn set_members(&mut self, trusted: &BTreeSet<NodeId>) -> bool {
        let Some(before) = self.members.replace(trusted.clone()) else { return true };
        self.dropped.extend(before.difference(trusted).copied());
        self.dropped.retain(|node| !trusted.contains(node));
        self.welcomed.extend(trusted.difference(&before).copied());
        self.welcomed.retain(|node| trusted.contains(node));
        before != *trusted
    }

    /// Takes grants whose granters count. True if anything in them is news.
    pub fn take<'a>(&mut self, grants: impl IntoIterator<Item = &'a SignedGrant>, me: &SigningKey) -> bool {
        let before = self.clone();
        for signed in grants {
            let grant = signed.grant();
            if !self.keys.contains_key(&grant.key)
                && let Some(key) = signed.unwrap(me)
            {
                let ring =
                    RingKey { epoch: grant.epoch, key, holders: BTreeSet::new(), removed: BTreeSet::new() };
                self.keys.insert(grant.key, ring);
            }
        }
        *self != before
    }

    /// Notes who holds the keys and who was removed, as grants whose granters count say. True if anything in them is news.
    pub fn note<'a>(&mut self, grants: impl IntoIterator<Item = &'a SignedGrant>) -> bool {
        let before = self.clone();
        for signed in grants {
            let grant = signed.grant();
            if let Some(ring) = self.keys.get_mut(&grant.key).filter(|ring| ring.epoch == grant.epoch) {
                ring.holders.extend(grant.wrapped.keys().copied().chain([grant.granter]));
                ring.removed.extend(&grant.removed);
            }
        }
        *self != before
    }

    /// Whether a node was removed by a member, and let in again by none: none gave it the key of that epoch, nor one of a later epoch.
    pub fn is_out(&self, node: &NodeId) -> bool {
        let is_in_again = |id: &KeyId, epoch: u32| {
            let mut later = self.keys.iter().filter(|(other, ring)| *other == id || ring.epoch > epoch);
            later.any(|(_, ring)| ring.holders.contains(node))
        };
        let mut removals = self.keys.iter().filter(|(_, ring)| ring.removed.contains(node));
        removals.any(|(id, ring)| !is_in_again(id, ring.epoch))
    }

    /// The epoch that this node is to begin, because somebody holds the key it writes with who is no member any more.
    pub fn due(&self, me: &NodeId) -> Option<EpochDue> {
        let current = self.current().filter(|_| !self.is_out(me))?;
        let is_gone = |node: &&NodeId| *node != me && (self.dropped.contains(*node) || self.is_out(node));
        let removed: BTreeSet<NodeId> = current.holders.iter().filter(is_gone).copied().collect();
        (!removed.is_empty()).then_some(EpochDue { epoch: current.epoch.saturating_add(1), removed })
    }

    /// Begins an epoch with a new key. The ring is to be kept before anybody is given the key.
    pub fn begin(&mut self, due: EpochDue, key: EpochKey, me: NodeId) {
        let EpochDue { epoch, removed } = due;
        self.keys.insert(key.id(), RingKey { epoch, key, holders: BTreeSet::from([me]), removed });
    }

    /// What members lack, given the grants that are known of granters that count: a new member reads the history too.
    pub fn owed<'a>(
        &self,
        grants: impl IntoIterator<Item = &'a SignedGrant> + Clone,
        me: &NodeId,
    ) -> Vec<Owed> {
        if self.is_out(me) {
            return Vec::new();
        }
        let members = self.members.iter().flatten().filter(|node| *node != me);
        let members: BTreeSet<NodeId> =
            members.filter(|node| self.welcomed.contains(node) || !self.is_out(node)).copied().collect();
        let owed = self.keys.keys().map(|key| {
            let granted = grants.clone().into_iter().map(SignedGrant::grant).filter(|of| of.key == *key);
            let has: BTreeSet<NodeId> =
                granted.flat_map(|of| of.wrapped.keys().copied().chain([of.granter])).collect();
            Owed { key: *key, nodes: members.difference(&has).copied().collect() }
        });
        owed.filter(|owed| !owed.nodes.is_empty()).collect()
    }

    /// All who were owed a key have a grant: a removal after this counts again.
    pub fn settle(&mut self) {
        self.welcomed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GrantDraft, Guid};

    fn key_of(name: char) -> SigningKey {
        SigningKey::from_seed(&[name as u8; 32])
    }

    fn node(name: char) -> NodeId {
        key_of(name).public()
    }

    fn nodes(names: &str) -> BTreeSet<NodeId> {
        names.chars().map(node).collect()
    }

    /// Members by the first letters of their names, and the grants that all of them have.
    struct World {
        rings: BTreeMap<char, Keyring>,
        grants: Vec<SignedGrant>,
        trust: BTreeMap<char, String>,
        next_key: u8,
        steps: u32,
    }

    impl World {
        /// Everybody trusts everybody; the first made the library.
        fn of(names: &str) -> Self {
            let rings = names.chars().map(|name| (name, Keyring::default())).collect();
            let trust = names.chars().map(|name| (name, names.to_owned())).collect();
            let mut world = Self { rings, grants: Vec::new(), trust, next_key: 1, steps: 0 };
            let first = names.chars().next().expect("a member");
            let key = world.fresh();
            let due = EpochDue { epoch: 1, removed: BTreeSet::new() };
            world.ring(first).begin(due, key, node(first));
            world.settle(names);
            world
        }

        fn fresh(&mut self) -> EpochKey {
            self.next_key += 1;
            EpochKey::from_bytes([self.next_key; 32])
        }

        fn ring(&mut self, name: char) -> &mut Keyring {
            self.rings.get_mut(&name).expect("a member")
        }

        fn trusts(&mut self, name: char, names: &str) {
            self.trust.insert(name, names.to_owned());
        }

        /// One look of a member, with the grants that are known to it. Returns what it signs.
        fn look(&mut self, name: char, known: &[SignedGrant]) -> Vec<SignedGrant> {
            let (trusted, me) = (nodes(&self.trust[&name]), key_of(name));
            let counts: Vec<&SignedGrant> =
                known.iter().filter(|of| trusted.contains(&of.grant().granter)).collect();
            let fresh = self.fresh();
            let ring = self.ring(name);
            ring.set_members(&trusted);
            ring.take(counts.iter().copied(), &me);
            ring.note(counts.iter().copied());
            if let Some(due) = ring.due(&me.public()) {
                ring.begin(due, fresh, me.public());
            }
            let owed = ring.owed(counts.iter().copied(), &me.public());
            let library = Guid::new("g").expect("a GUID").key();
            let signed: Vec<SignedGrant> = owed
                .iter()
                .map(|owed| {
                    let RingKey { epoch, key, removed, .. } = &ring.keys[&owed.key];
                    let nodes: Vec<_> = owed.nodes.iter().map(|node| (*node, [1; 32])).collect();
                    let (epoch, nodes) = (*epoch, nodes.as_slice());
                    let draft = GrantDraft { library, epoch, key, removed, nodes, made_at_ms: 0 };
                    SignedGrant::sign(&me, &draft).expect("signed")
                })
                .collect();
            ring.note(&signed);
            ring.settle();
            signed
        }

        /// These look in turn, with all grants, until nobody has anything to say.
        fn settle(&mut self, names: &str) {
            for _ in 0..10 {
                let mut is_news = false;
                for name in names.chars() {
                    let known = self.grants.clone();
                    let signed = self.look(name, &known);
                    is_news |= !signed.is_empty();
                    self.grants.extend(signed);
                }
                self.steps += 1;
                if !is_news {
                    return;
                }
            }
            panic!("they give each other keys for ever");
        }

        /// These look at the same moment, each before it hears of the others.
        fn at_once(&mut self, names: &str) {
            let known = self.grants.clone();
            for name in names.chars() {
                let signed = self.look(name, &known);
                self.grants.extend(signed);
            }
        }

        /// The epoch that all of these write with, and who of all has its key.
        fn shown(&self, names: &str) -> String {
            let current: BTreeSet<_> = names
                .chars()
                .map(|name| {
                    self.rings[&name].current().map(|ring| (ring.epoch, ring.key.id())).expect("a key")
                })
                .collect();
            let [(epoch, id)] = current.iter().copied().collect::<Vec<_>>()[..] else {
                panic!("they write with {current:?}");
            };
            let has = self.rings.iter().filter(|(_, ring)| ring.key(&id).is_some());
            format!("{epoch}:{}", has.map(|(name, _)| *name).collect::<String>())
        }
    }

    #[test]
    fn every_member_gets_the_key() {
        let world = World::of("abc");
        assert_eq!(world.shown("abc"), "1:abc");
    }

    #[test]
    fn a_new_member_gets_the_keys_of_all_epochs() {
        let mut world = World::of("abc");
        world.trusts('a', "ab");
        world.settle("a");
        world.settle("b");
        world.rings.insert('d', Keyring::default());
        world.trusts('d', "abd");
        world.trusts('b', "abd");
        world.settle("bd");
        assert_eq!(world.rings[&'d'].keys.len(), 2);
        assert_eq!(world.shown("abd"), "2:abd");
    }

    #[test]
    fn who_was_removed_has_no_key_of_what_comes_after() {
        let mut world = World::of("abc");
        world.trusts('a', "ab");
        // The others still trust it, and give it nothing more.
        world.settle("abc");
        assert_eq!(world.shown("ab"), "2:ab");
        assert_eq!(world.rings[&'c'].current().map(|ring| ring.epoch), Some(1));
        world.trusts('b', "ab");
        world.settle("abc");
        assert_eq!(world.shown("ab"), "2:ab");
    }

    #[test]
    fn two_that_begin_an_epoch_at_once_agree() {
        let mut world = World::of("abc");
        world.trusts('a', "ab");
        world.trusts('b', "ab");
        world.at_once("ab");
        world.settle("ab");
        assert_eq!(world.shown("ab"), "2:ab");
    }

    #[test]
    fn two_that_remove_different_members_at_once_remove_both() {
        let mut world = World::of("abcde");
        world.trusts('a', "abce");
        world.trusts('b', "abcd");
        world.at_once("ab");
        world.settle("abcde");
        let shown = world.shown("abc");
        assert!(shown.ends_with(":abc"), "{shown}");
    }

    #[test]
    fn who_is_trusted_again_is_let_in_by_the_one_who_removed_it() {
        let mut world = World::of("abc");
        world.trusts('a', "ab");
        world.settle("abc");
        world.trusts('a', "abc");
        world.settle("abc");
        assert_eq!(world.shown("abc"), "2:abc");
    }

    #[test]
    fn grants_of_nodes_that_do_not_count_give_no_key_and_remove_nobody() {
        let mut world = World::of("ab");
        let key = EpochKey::from_bytes([99; 32]);
        let library = Guid::new("g").expect("a GUID").key();
        let (removed, nodes) = (nodes("b"), [(node('a'), [1; 32])]);
        let draft =
            GrantDraft { library, epoch: 9, key: &key, removed: &removed, nodes: &nodes, made_at_ms: 0 };
        world.grants.push(SignedGrant::sign(&key_of('x'), &draft).expect("signed"));
        world.settle("ab");
        assert_eq!(world.shown("ab"), "1:ab");
    }

    #[test]
    fn who_made_a_key_counts_among_its_holders_when_it_is_removed() {
        let mut world = World::of("abc");
        world.trusts('b', "bc");
        world.trusts('c', "bc");
        world.settle("bc");
        let shown = world.shown("bc");
        assert!(shown.ends_with(":bc") && !shown.starts_with("1:"), "{shown}");
    }
}
