//! What peers tell of peers, users, locks and wrong files, and the list that this node tells them. Invariant: a list or a report replaces the last one of
//! the same peer, and no peer fills the room of the others; a user that a peer proposes is none before somebody here agrees. Absent here: whom to
//! believe (`exchange/access`).

use swarm_library::wire::{ListedPeer, ListedUser};
use swarm_library::{Role, SignedLock};

use super::Desk;
use crate::clock;
use crate::exchange;
use crate::limits::FLAGS_PER_PEER_MAX;
use crate::protocol::ProposedUser;
use crate::rejected;

impl Desk {
    pub(super) fn on_exchange(&mut self, output: exchange::Output) {
        match output {
            exchange::Output::PeerList { from, peers, users } => {
                for told in self.told.values_mut() {
                    told.remove(&from);
                }
                for peer in peers.into_iter().filter(|peer| peer.node != self.endpoint.node_id()) {
                    self.told.entry(peer.node).or_default().insert(from, peer);
                }
                self.told.retain(|_, told| !told.is_empty());
                self.proposed.retain(|user| user.by != from.to_string());
                self.proposed.extend(users.into_iter().map(|user| ProposedUser {
                    name: user.name,
                    role: user.role.as_str().to_owned(),
                    by: from.to_string(),
                }));
                let targets = self.all_targets();
                self.dial(targets);
            }
            exchange::Output::FlagsAnew { from, library } => {
                self.flags.retain(|(known, flag)| *known != from || flag.library != library);
            }
            exchange::Output::Flag { from, flag } => {
                let of_peer = self.flags.iter().filter(|(known, _)| *known == from).count();
                let is_room = self.flags.len() < FLAGS_MAX && of_peer < FLAGS_PER_PEER_MAX;
                if is_room && !self.flags.iter().any(|(_, known)| *known == flag) {
                    self.flags.push((from, flag));
                }
            }
            exchange::Output::Lock(lock) => self.take_lock(lock),
        }
    }

    /// Users that trusted peers propose, without those that are known or were rejected.
    pub(crate) fn proposed_users(&self) -> Vec<ProposedUser> {
        let rejected = rejected::read(&self.state);
        let is_known = |name: &str| self.folder.users().iter().any(|user| user.user == name);
        let mut users = self.proposed.clone();
        users.retain(|user| !is_known(&user.name) && !rejected.contains(&user.name));
        users
    }

    pub(crate) fn reject_user(&self, name: &str) -> std::io::Result<()> {
        rejected::add(&self.state, name)
    }

    pub(crate) fn take_lock(&mut self, lock: SignedLock) {
        let _ = self.locks.entry(lock.lock().library).or_default().take(lock, clock::now_ms());
    }

    /// Tells trusted peers whom this node trusts.
    pub(super) async fn say_own_list(&self) {
        let peers = self.folder.peers().iter().filter(|peer| peer.trusted).filter_map(|peer| {
            let name = peer.name.clone().unwrap_or_default();
            Some(ListedPeer { node: peer.node?, address: peer.address.clone(), name })
        });
        let users = self.folder.users().iter().filter_map(|user| {
            let role = match user.role? {
                swarm_daemon_files::Role::Admin => Role::Admin,
                swarm_daemon_files::Role::Editor => Role::Editor,
                swarm_daemon_files::Role::Viewer => Role::Viewer,
                swarm_daemon_files::Role::Mirror => Role::Mirror,
            };
            Some(ListedUser { name: user.user.clone(), role })
        });
        let own = exchange::Input::OwnList { peers: peers.collect(), users: users.collect() };
        self.to_exchange(own).await;
    }
}

const FLAGS_MAX: usize = 1000;
