//! What QUIC may hold for all links together, received and not yet read or written and not yet acknowledged. Few links get wide
//! windows, many get narrow ones: they share one line, and none needs all of it.

use std::collections::BTreeMap;

use super::link::LinkHandle;
use crate::engine::LinkId;
use crate::transport::LinkOptions;

pub(super) struct Windows {
    /// All links together, bytes.
    receive_len: u64,
    send_len: u64,
    /// The widest of one link.
    link: LinkOptions,
    /// What every link has now.
    share: Share,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    receive_len: u32,
    send_len: u32,
}

impl Windows {
    pub(super) fn new(receive_len: u64, send_len: u64, link: LinkOptions) -> Self {
        let share = Share { receive_len: link.receive_window_len, send_len: link.send_window_len };
        Self { receive_len, send_len, link, share }
    }

    /// Shares out anew. A new link has the widest windows until then.
    pub(super) fn divide(&mut self, links: &BTreeMap<LinkId, LinkHandle>, newcomer: Option<&LinkHandle>) {
        let share = self.share_of(links.len() + usize::from(newcomer.is_some()));
        let changed = share != self.share;
        self.share = share;
        let affected = links.values().filter(|_| changed).chain(newcomer);
        affected.for_each(|handle| handle.link.set_windows(share.receive_len, share.send_len));
    }

    /// Bytes of an upload to read at once: what a link has under way is about one window and a few blocks.
    pub(super) fn block_len(&self) -> u32 {
        (self.share.send_len / 4).clamp(BLOCK_LEN_MIN, BLOCK_LEN_MAX)
    }

    /// Changes only when the number of links doubles or halves, so that not every newcomer touches all others.
    fn share_of(&self, link_count: usize) -> Share {
        let parts = link_count.next_power_of_two() as u64;
        let share = |all: u64, least: u32, most: u32| {
            u32::try_from(all / parts).unwrap_or(u32::MAX).max(least).min(most)
        };
        Share {
            receive_len: share(self.receive_len, RECEIVE_LEN_MIN, self.link.receive_window_len),
            send_len: share(self.send_len, SEND_LEN_MIN, self.link.send_window_len),
        }
    }
}

/// 40 Mbit/s at 50 ms.
const RECEIVE_LEN_MIN: u32 = 256 << 10;
const SEND_LEN_MIN: u32 = 256 << 10;
/// Long enough for the disk and for QUIC's segmentation, short enough for many uploads at a time.
const BLOCK_LEN_MAX: u32 = 512 << 10;
const BLOCK_LEN_MIN: u32 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_links_share_what_few_have_for_themselves() {
        let windows = Windows::new(32 << 20, 64 << 20, LinkOptions::default());
        let check = |count, receive_kib: u32, send_kib: u32| {
            let expected = Share { receive_len: receive_kib << 10, send_len: send_kib << 10 };
            assert_eq!(windows.share_of(count), expected, "{count} links");
        };
        check(0, 8192, 4096);
        check(1, 8192, 4096);
        check(5, 4096, 4096);
        check(64, 512, 1024);
        check(200, 256, 256);
        check(4096, 256, 256);
    }
}
