//! How often an address without a name may ask: a bucket of tokens for each. Invariant: what is remembered is bounded; a flood of addresses forgets those
//! that were quiet longest.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use swarm_daemon::of_one_client;

use crate::clock;
use crate::limits::{RATE_ADDRESSES_MAX, RATE_BURST, RATE_PER_SECOND};

/// The buckets.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<BTreeMap<IpAddr, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of a request.
    left: u64,
    at: Instant,
}

impl Rates {
    /// Takes a token, or says after how many seconds there is one.
    pub(crate) fn take(&self, from: IpAddr) -> Result<(), u64> {
        self.take_at(from, clock::moment())
    }

    fn take_at(&self, from: IpAddr, now: Instant) -> Result<(), u64> {
        let from = of_one_client(from);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= RATE_ADDRESSES_MAX && !buckets.contains_key(&from) {
            let quietest = buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(from, _)| *from);
            quietest.map(|quietest| buckets.remove(&quietest));
        }
        let bucket = buckets.entry(from).or_insert(Bucket { left: RATE_BURST * WHOLE, at: now });
        let gone = u64::try_from(now.duration_since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        bucket.left =
            bucket.left.saturating_add(gone.saturating_mul(RATE_PER_SECOND)).min(RATE_BURST * WHOLE);
        bucket.at = now;
        bucket.left = bucket.left.checked_sub(WHOLE).ok_or(1_u64)?;
        Ok(())
    }
}

/// A request, in thousandths.
const WHOLE: u64 = 1000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_has_its_burst_and_then_its_rate() {
        let (rates, now) = (Rates::default(), clock::moment());
        let from = |text: &str| text.parse::<IpAddr>().expect("an address");
        let taken = |at: Instant, who: &str| {
            (0..10 * RATE_BURST).take_while(|_| rates.take_at(from(who), at).is_ok()).count() as u64
        };
        assert_eq!(taken(now, "192.0.2.1"), RATE_BURST);
        assert_eq!(rates.take_at(from("192.0.2.1"), now), Err(1));
        assert_eq!(taken(now + Duration::from_secs(2), "192.0.2.1"), 2 * RATE_PER_SECOND);
        assert_eq!(taken(now, "2001:db8::1"), RATE_BURST);
        assert_eq!(taken(now, "2001:db8::2"), 0);
        assert_eq!(taken(now, "2001:db8:0:1::2"), RATE_BURST);
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let (rates, now) = (Rates::default(), clock::moment());
        for number in 0..RATE_ADDRESSES_MAX + 10 {
            let number = u32::try_from(number).expect("it fits");
            assert_eq!(rates.take_at(std::net::Ipv4Addr::from(number).into(), now), Ok(()));
        }
        assert_eq!(rates.0.lock().expect("nobody panicked").len(), RATE_ADDRESSES_MAX);
    }
}
