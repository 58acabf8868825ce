//! Divides the node's budget for bytes in QUIC windows among its links: a few links get wide windows, many links get narrow
//! ones, because they share one line and none of them needs all of it. Invariant: while no share is at its minimum, all links
//! together hold no more than the budget. Knows the number of links, not the links.

/// Windows of all links, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Budget of all links together for bytes received and not yet read.
    receive_len: u64,
    /// Budget of all links together for bytes written and not yet acknowledged.
    send_len: u64,
    /// The windows of a link that is alone.
    widest: WindowShare,
}

/// Windows of one link, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowShare {
    /// Bytes received and not yet read.
    pub receive_len: u32,
    /// Bytes written and not yet acknowledged.
    pub send_len: u32,
}

impl Windows {
    /// Budgets of all links together in each direction, in bytes, and the widest windows of one link.
    pub fn new(receive_len: u64, send_len: u64, widest: WindowShare) -> Self {
        Self { receive_len, send_len, widest }
    }

    /// The windows of each of `link_count` links. They change only when the number of links doubles or halves: otherwise every
    /// new link would resize all others.
    pub fn share_of(&self, link_count: usize) -> WindowShare {
        let parts = link_count.next_power_of_two() as u64;
        let share = |all: u64, least: u32, most: u32| {
            u32::try_from(all / parts).unwrap_or(u32::MAX).max(least).min(most)
        };
        WindowShare {
            receive_len: share(self.receive_len, RECEIVE_LEN_MIN, self.widest.receive_len),
            send_len: share(self.send_len, SEND_LEN_MIN, self.widest.send_len),
        }
    }

    /// Most received bytes that `link_count` links hold together: the budget, or the minimum share of each link if that is more.
    pub fn received_len_max(&self, link_count: usize) -> u64 {
        self.receive_len.max(link_count as u64 * u64::from(RECEIVE_LEN_MIN))
    }

    /// The windows of a link that is alone.
    pub fn widest(&self) -> WindowShare {
        self.widest
    }
}

/// The bandwidth-delay product of 40 Mbit/s at 50 ms: below it, one link could not fill a common line.
const RECEIVE_LEN_MIN: u32 = 256 << 10;
/// As [`RECEIVE_LEN_MIN`].
const SEND_LEN_MIN: u32 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn windows() -> Windows {
        Windows::new(32 << 20, 64 << 20, WindowShare { receive_len: 8 << 20, send_len: 4 << 20 })
    }

    #[test]
    fn many_links_share_what_few_have_for_themselves() {
        let check = |count, receive_kib: u32, send_kib: u32| {
            let expected = WindowShare { receive_len: receive_kib << 10, send_len: send_kib << 10 };
            assert_eq!(windows().share_of(count), expected, "{count} links");
        };
        check(0, 8192, 4096);
        check(1, 8192, 4096);
        check(5, 4096, 4096);
        check(64, 512, 1024);
        check(200, 256, 256);
        check(4096, 256, 256);
    }

    #[test]
    fn all_shares_together_stay_within_the_budget() {
        for count in 0..5000 {
            let held_len = count as u64 * u64::from(windows().share_of(count).receive_len);
            assert!(held_len <= windows().received_len_max(count), "{count} links hold {held_len}");
        }
    }
}
