//! A rate limit that many tasks share: a token bucket (GCRA) of bytes.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::base::Rate;

/// A limit, or none. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Throttle(Option<Arc<Bucket>>);

struct Bucket {
    limiter: DefaultDirectRateLimiter,
    burst: NonZeroU32,
}

impl Throttle {
    /// At most this rate; `None` is no limit.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|Rate(bytes)| {
            let rate = NonZeroU32::new(u32::try_from(bytes).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
            let burst = NonZeroU32::new((rate.get() / BURSTS_PER_SEC).max(BURST_LEN_MIN)).unwrap_or(rate);
            let limiter = RateLimiter::direct(Quota::per_second(rate).allow_burst(burst));
            Arc::new(Bucket { limiter, burst })
        }))
    }

    /// The longest piece to move at once, so that the flow is even.
    pub(super) fn piece_len(&self, wanted: usize) -> usize {
        self.0.as_ref().map_or(wanted, |bucket| wanted.min(bucket.burst.get() as usize))
    }

    /// Waits until so many bytes may pass.
    pub(super) async fn wait(&self, len: usize) {
        let Some(bucket) = &self.0 else { return };
        let mut left = u32::try_from(len).unwrap_or(u32::MAX);
        while let Some(piece) = NonZeroU32::new(left.min(bucket.burst.get())) {
            // A piece is never more than a burst, so it can always pass some time.
            let _ = bucket.limiter.until_n_ready(piece).await;
            left -= piece.get();
        }
    }
}

const BURSTS_PER_SEC: u32 = 20;
const BURST_LEN_MIN: u32 = 4 << 10;
