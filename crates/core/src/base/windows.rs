//! How links share what a node may hold of their bytes: few links get wide windows, many get narrow ones, for they share one
//! line and none needs all of it. Invariant: as long as no share is at its least, all links together hold no more than the
//! budget. Knows no links, only how many there are.

/// Windows of all links, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// What all links together may hold, received and not yet read.
    receive_len: u64,
    /// What all links together may hold, written and not yet acknowledged.
    send_len: u64,
    /// The widest windows of one link.
    widest: WindowShare,
}

/// Windows of one link, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowShare {
    /// Received and not yet read.
    pub receive_len: u32,
    /// Written and not yet acknowledged.
    pub send_len: u32,
}

impl Windows {
    /// So many bytes for all links together, each way, and the widest windows of one.
    pub fn new(receive_len: u64, send_len: u64, widest: WindowShare) -> Self {
        Self { receive_len, send_len, widest }
    }

    /// What each of so many links has. Changes only when their number doubles or halves, so that not every newcomer touches
    /// all others.
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

    /// What so many links may hold together of what was received, bytes: the budget, or the least share of each.
    pub fn received_len_max(&self, link_count: usize) -> u64 {
        self.receive_len.max(link_count as u64 * u64::from(RECEIVE_LEN_MIN))
    }

    /// What each link has as long as it is the only one.
    pub fn widest(&self) -> WindowShare {
        self.widest
    }
}

/// 40 Mbit/s at 50 ms.
const RECEIVE_LEN_MIN: u32 = 256 << 10;
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
