//! What QUIC may hold for all links together, received and not yet read or written and not yet acknowledged: gives each link its
//! share. The rule is `base`'s.

use std::collections::BTreeMap;

use super::link::LinkHandle;
use swarm_core::base::{WindowShare, Windows as Rule};
use swarm_engine::LinkId;
use swarm_link::limits::EARLY_RECEIVE_WINDOW_LEN;
use swarm_link::{Link, LinkOptions};

pub(super) struct Windows {
    rule: Rule,
    /// What every link has now.
    share: WindowShare,
}

impl Windows {
    pub(super) fn new(receive_len: u64, send_len: u64, link: LinkOptions) -> Self {
        let widest = WindowShare { receive_len: link.receive_window_len, send_len: link.send_window_len };
        Self { rule: Rule::new(receive_len, send_len, widest), share: widest }
    }

    /// Shares out anew among the links that are up.
    pub(super) fn divide<L: Link>(&mut self, links: &BTreeMap<LinkId, LinkHandle<L>>) {
        let share = self.rule.share_of(links.len());
        if share != self.share {
            self.share = share;
            links.values().filter(|handle| handle.is_up).for_each(|handle| self.give(handle));
        }
    }

    /// Gives a link that is up its share. A peer that was asked for nothing has little to say: credit cannot be taken back, and what
    /// is sent unasked would fill it.
    pub(super) fn give<L: Link>(&self, handle: &LinkHandle<L>) {
        let receive_len = if handle.is_asked {
            self.share.receive_len
        } else {
            EARLY_RECEIVE_WINDOW_LEN.min(self.share.receive_len)
        };
        handle.link.set_windows(receive_len, self.share.send_len);
    }

    /// The same, before this node asks for chunks or for a manifest there.
    pub(super) fn make_room<L: Link>(&self, handle: &mut LinkHandle<L>) {
        if !std::mem::replace(&mut handle.is_asked, true) {
            self.give(handle);
        }
    }

    /// Bytes of an upload to read at once: what a link has under way is about one window and a few blocks.
    pub(super) fn block_len(&self) -> u32 {
        (self.share.send_len / 4).clamp(BLOCK_LEN_MIN, BLOCK_LEN_MAX)
    }
}

/// Long enough for the disk and for QUIC's segmentation, short enough for many uploads at a time.
const BLOCK_LEN_MAX: u32 = 512 << 10;
const BLOCK_LEN_MIN: u32 = 64 << 10;
