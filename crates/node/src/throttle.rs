//! A rate limit that many tasks share: a token bucket (GCRA) of bytes. Invariant: tasks that wait pass in the order in which they came,
//! so that uploads share the rate evenly. It can be changed while tasks wait for it.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Mutex, watch};

use swarm_core::base::Rate;

/// A limit, or none. Clones share it.
#[derive(Clone)]
pub struct Throttle(Arc<watch::Sender<Option<Arc<Bucket>>>>);

struct Bucket {
    /// `None` is a pause: nothing passes.
    limiter: Option<DefaultDirectRateLimiter>,
    burst: NonZeroU32,
    /// Held by the task that waits for tokens; tokio hands it on first in, first out. Without it all waiting tasks wake at the same
    /// instant, and the order of the timers decides: measured with two uploads, one of them got 43 of 48 pieces.
    turn: Mutex<()>,
}

impl Throttle {
    /// At most this rate; `None` is no limit, and zero a pause.
    pub fn new(rate: Option<Rate>) -> Self {
        Self(Arc::new(watch::Sender::new(rate.map(Bucket::new))))
    }

    /// Another rate from now on, for tasks that wait already, too.
    pub fn set(&self, rate: Option<Rate>) {
        self.0.send_replace(rate.map(Bucket::new));
    }

    /// The longest piece to move at once, so that the flow is even.
    pub(super) fn piece_len(&self, wanted: usize) -> usize {
        self.0.borrow().as_ref().map_or(wanted, |bucket| wanted.min(bucket.burst.get() as usize))
    }

    /// Waits until so many bytes may pass.
    pub async fn wait(&self, len: usize) {
        if self.0.borrow().is_none() {
            return;
        }
        let mut changes = self.0.subscribe();
        let mut left = u32::try_from(len).unwrap_or(u32::MAX);
        while left > 0 {
            let Some(bucket) = changes.borrow_and_update().clone() else { return };
            let Some(piece) = NonZeroU32::new(left.min(bucket.burst.get())) else { return };
            tokio::select! {
                () = bucket.pass(piece) => left -= piece.get(),
                _ = changes.changed() => {}
            }
        }
    }
}

impl Bucket {
    fn new(Rate(bytes): Rate) -> Arc<Self> {
        let rate = NonZeroU32::new(u32::try_from(bytes).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new((rate.get() / BURSTS_PER_SEC).max(BURST_LEN_MIN)).unwrap_or(rate);
        let limiter = RateLimiter::direct(Quota::per_second(rate).allow_burst(burst));
        Arc::new(Self { limiter: (bytes > 0).then_some(limiter), burst, turn: Mutex::new(()) })
    }

    async fn pass(&self, piece: NonZeroU32) {
        let Some(limiter) = &self.limiter else { return std::future::pending().await };
        let _turn = self.turn.lock().await;
        // The piece is never more than a burst, which is the only error.
        let _ = limiter.until_n_ready(piece).await;
    }
}

const BURSTS_PER_SEC: u32 = 20;
const BURST_LEN_MIN: u32 = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_share_a_limit_pass_by_turns() {
        let throttle = Throttle::new(Some(Rate(1 << 20)));
        let (passed, mut order) = tokio::sync::mpsc::channel(90);
        let mut tasks = tokio::task::JoinSet::new();
        for name in ['a', 'b', 'c'] {
            let (throttle, passed) = (throttle.clone(), passed.clone());
            tasks.spawn(async move {
                for _ in 0..30 {
                    throttle.wait(4 << 10).await;
                    passed.send(name).await.expect("the test listens");
                }
            });
        }
        drop(passed);
        let mut names = Vec::new();
        while let Some(name) = order.recv().await {
            names.push(name);
        }
        // The first task takes the burst that passes without waiting, 13 pieces, and is the first to end.
        let mut shared = names[15..60].chunks_exact(3);
        assert!(shared.all(|turn| ['a', 'b', 'c'].iter().all(|name| turn.contains(name))), "{names:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_passes_a_pause_until_it_ends() {
        let throttle = Throttle::new(Some(Rate(0)));
        let waiting = tokio::time::timeout(std::time::Duration::from_secs(3600), throttle.wait(1));
        assert!(waiting.await.is_err(), "an hour long");
        let ((), ()) = tokio::join!(throttle.wait(1), async { throttle.set(Some(Rate(1 << 20))) });
    }

    #[tokio::test]
    async fn a_task_that_waits_at_a_limit_goes_on_when_it_is_lifted() {
        let throttle = Throttle::new(Some(Rate(1)));
        // A burst may pass at once; a gigabyte at a byte a second would take 30 years.
        let waiting = throttle.clone();
        let ((), ()) = tokio::join!(waiting.wait(1 << 30), async { throttle.set(None) });
        assert_eq!(throttle.piece_len(usize::MAX), usize::MAX);
    }
}
