//! The keys of a sealed library at work: takes those that members hand out, hands out what members are owed, begins epochs. Runs when grants came,
//! when trust changed, and at the start. Invariant: as `keys`, a new key is durable before it is granted.

use std::collections::BTreeSet;

use swarm_core::base::NodeId;
use swarm_library::limits::{GRANT_NODES_MAX, GRANTS_MAX};
use swarm_library::{EpochDue, EpochKey, GrantDraft, Keyring, Owed, SignedGrant};

use super::error::LibraryError;
use super::keys::random_bytes;
use super::session::Session;
use crate::clock;

impl Session {
    /// Keeps grants that came: all of nodes that count here, and some of others, to pass them on. True if there are new ones.
    pub(crate) fn take_grants(
        &mut self,
        grants: &[SignedGrant],
        authors: &BTreeSet<NodeId>,
    ) -> Result<bool, LibraryError> {
        let known = self.book.grant_ids(GRANTS_MAX)?;
        let mut count = known.len();
        for signed in grants.iter().filter(|signed| !known.contains(&signed.id())) {
            let grant = signed.grant();
            let room = if authors.contains(&grant.granter) { GRANTS_MAX } else { GRANTS_MAX / 4 };
            if grant.library == self.signer.library && count < room {
                self.book.put_grant(&signed.id(), &grant.granter, &signed.encode())?;
                count += 1;
            }
        }
        Ok(count > known.len())
    }

    /// Takes and gives keys. True if this node has a key that it had not.
    pub(crate) fn look_after_keys(&mut self, authors: &BTreeSet<NodeId>) -> Result<bool, LibraryError> {
        if self.settings.is_mirror {
            return Ok(false);
        }
        let stored = self.book.grants(GRANTS_MAX)?;
        let stored: Vec<SignedGrant> =
            stored.into_iter().filter_map(|bytes| SignedGrant::decode(bytes).ok()).collect();
        let mut counts: Vec<SignedGrant> =
            stored.into_iter().filter(|signed| authors.contains(&signed.grant().granter)).collect();
        let (mut ring, me) = (self.signer.keys.ring(), self.signer.key.public());
        let before: BTreeSet<_> = ring.keys.keys().copied().collect();
        ring.set_members(&authors.iter().filter(|node| **node != me).copied().collect());
        ring.take(&counts, &self.signer.key);
        ring.note(&counts);
        if self.settings.is_sealed || !counts.is_empty() {
            self.signer.keys.require();
        }
        if ring.keys.is_empty() && !(self.settings.is_sealed && counts.is_empty()) {
            return Ok(false);
        }
        self.begin_if_due(&mut ring, &me)?;
        self.signer.keys.set_ring(ring.clone())?;
        let signed = self.grant(&ring, &ring.owed(&counts, &me))?;
        counts.extend(signed);
        ring.note(&counts);
        ring.settle();
        let is_more = ring.keys.keys().any(|id| !before.contains(id));
        self.signer.keys.set_ring(ring)?;
        Ok(is_more)
    }

    fn begin_if_due(&self, ring: &mut Keyring, me: &NodeId) -> Result<(), LibraryError> {
        let first = ring.keys.is_empty().then(|| EpochDue { epoch: 1, removed: BTreeSet::new() });
        let Some(due) = first.or_else(|| ring.due(me)) else { return Ok(()) };
        let key = random_bytes().map_err(LibraryError::state("/dev/urandom".as_ref(), "read"))?;
        tracing::info!(
            library = %self.settings.name,
            epoch = due.epoch,
            removed = due.removed.len(),
            "what is written from now on is sealed with a new key"
        );
        ring.begin(due, EpochKey::from_bytes(key), *me);
        Ok(())
    }

    fn grant(&mut self, ring: &Keyring, owed: &[Owed]) -> Result<Vec<SignedGrant>, LibraryError> {
        let mut all = Vec::new();
        for Owed { key, nodes } in owed {
            let Some(of) = ring.keys.get(key) else { continue };
            let nodes: Vec<NodeId> = nodes.iter().copied().collect();
            for nodes in nodes.chunks(GRANT_NODES_MAX) {
                let chance = |node: &NodeId| Ok((*node, random_bytes()?));
                let nodes: Vec<_> = nodes
                    .iter()
                    .map(chance)
                    .collect::<std::io::Result<_>>()
                    .map_err(LibraryError::state("/dev/urandom".as_ref(), "read"))?;
                let draft = GrantDraft {
                    library: self.signer.library,
                    epoch: of.epoch,
                    key: &of.key,
                    removed: &of.removed,
                    nodes: &nodes,
                    made_at_ms: clock::now_ms(),
                };
                let Ok(signed) = SignedGrant::sign(&self.signer.key, &draft) else { continue };
                self.book.put_grant(&signed.id(), &self.signer.key.public(), &signed.encode())?;
                all.push(signed);
            }
        }
        Ok(all)
    }
}
