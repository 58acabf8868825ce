//! Steps of a command that the system may hold for ever: a read from a pipe, a mount or a server. Each runs on a thread of its own.
//! The command waits for it until a signal comes or patience ends, and then leaves the thread behind: it ends with the process, for
//! `setup::block_on` does not wait for it. Decides when a step is given up; knows nothing of what the step does.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::failure::Failure;
use super::setup::Interrupts;
use swarm_core::base::Category;

/// The steps of one command.
pub(super) struct Steps<'a> {
    interrupts: &'a mut Interrupts,
    /// How long a step may make no progress; `None` waits for ever.
    patience: Option<Duration>,
}

/// How far a step is: bytes that it read so far. A step that reads none has its patience once.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl<'a> Steps<'a> {
    /// Steps that signals end, and patience.
    pub(super) fn new(interrupts: &'a mut Interrupts, patience: Option<Duration>) -> Self {
        Self { interrupts, patience }
    }

    /// Runs one step, which does what `doing` says in a message: `reading x`.
    pub(super) async fn run<T: Send + 'static>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&Progress) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let progress = Progress::default();
        let of_work = progress.clone();
        let done = tokio::task::spawn_blocking(move || work(&of_work));
        tokio::select! {
            biased;
            () = self.interrupts.next() => Err(interrupted(doing)),
            done = done => done.unwrap_or_else(|_| {
                let message = format!("{doing} failed: this is a bug, please report it");
                Err(Failure::new(Category::Other, message))
            }),
            patience = stalled(&progress, self.patience) => {
                let seconds = patience.as_secs();
                let message = format!("{doing} made no progress for {seconds} s: try again when there is an answer");
                Err(Failure::new(Category::NoSource, message))
            }
        }
    }
}

impl Progress {
    /// A reader whose bytes count.
    pub(super) fn of<R: Read>(&self, reader: R) -> impl Read {
        Counted { reader, progress: self.clone() }
    }

    fn len(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counted<R> {
    reader: R,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.reader.read(buffer)?;
        self.progress.0.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

fn interrupted(doing: &str) -> Failure {
    Failure::new(Category::Interrupted, format_args!("interrupted while {doing}; run the same command again"))
}

/// Ends, with the patience, when that has passed and fewer bytes came in it than a line that is alive brings. Counts looks and not
/// time, so that patience begins anew after the machine has slept.
async fn stalled(progress: &Progress, patience: Option<Duration>) -> Duration {
    let Some(patience) = patience else { return std::future::pending().await };
    let enough_len = patience.as_secs().max(1) * BYTES_PER_SEC_MIN;
    let mut looks = tokio::time::interval(patience / LOOKS);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await;
    let (mut counted_len, mut idle_looks) = (progress.len(), 0);
    while idle_looks < LOOKS {
        looks.tick().await;
        idle_looks += 1;
        let len = progress.len();
        if len - counted_len >= enough_len {
            (counted_len, idle_looks) = (len, 0);
        }
    }
    patience
}

/// Looks at a step in one patience.
const LOOKS: u32 = 20;
/// Slower than a modem: who sends so little holds a connection open and means to send nothing.
const BYTES_PER_SEC_MIN: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::Instant;
    use swarm_node::clock::Clock;

    /// How many seconds the patience of 10 s lasts for a step that reads so many bytes each second, for so many seconds.
    async fn lasted(bytes_per_sec: u64, seconds: u32) -> u64 {
        let progress = Progress::default();
        let clock = Clock::start();
        let reads = async {
            for _ in 0..seconds {
                tokio::time::sleep(Duration::from_secs(1)).await;
                progress.0.fetch_add(bytes_per_sec, Ordering::Relaxed);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = stalled(&progress, Some(Duration::from_secs(10))) => {}
            () = reads => {}
        }
        (clock.now() - Instant::ZERO).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_for_what_is_silent_or_drips_and_not_for_what_is_slow() {
        assert_eq!(lasted(0, 0).await, 10);
        assert_eq!(lasted(1, 1000).await, 10);
        assert_eq!(lasted(100_000, 5).await, 15);
        assert!(lasted(2 * BYTES_PER_SEC_MIN, 1000).await >= 1000);
    }
}
