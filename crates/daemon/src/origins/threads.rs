//! The threads that wait for one origin. Invariant: an origin that is slow holds threads of its own, a few of them, and none of those that the
//! disk and the other parts of the daemon work on.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::limits::ORIGIN_THREADS_MAX;

/// The threads; those that wait end by the origin's ending.
pub(super) struct Threads(Option<Runtime>);

impl Threads {
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let threads = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(ORIGIN_THREADS_MAX)
            .thread_name("origin")
            .enable_all()
            .build()?;
        Ok(Self(Some(threads)))
    }

    /// Whom work is given to.
    pub(super) fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|threads| threads.handle().clone())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for them is not allowed where tasks run.
        if let Some(threads) = self.0.take() {
            threads.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Condvar, Mutex};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_origin_that_is_slow_holds_its_own_threads_and_no_more() {
        let threads = Threads::start().expect("threads");
        let handle = threads.handle().expect("they run");
        let (began, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new((Mutex::new(false), Condvar::new())));
        let waits = |_| {
            let (began, gate) = (Arc::clone(&began), Arc::clone(&gate));
            handle.spawn_blocking(move || {
                began.fetch_add(1, Ordering::SeqCst);
                let (is_open, opened) = &*gate;
                let guard = is_open.lock().expect("nobody panicked");
                drop(opened.wait_while(guard, |is_open| !*is_open).expect("nobody panicked"));
            })
        };
        let waiting: Vec<_> = (0..ORIGIN_THREADS_MAX + 3).map(waits).collect();
        while began.load(Ordering::SeqCst) < ORIGIN_THREADS_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Those that the disk is worked on with are free, and so is the one of the origin's tasks.
        assert_eq!(tokio::task::spawn_blocking(|| 7).await.expect("it runs"), 7);
        assert_eq!(handle.spawn(async { 8 }).await.expect("it runs"), 8);
        assert_eq!(began.load(Ordering::SeqCst), ORIGIN_THREADS_MAX);
        // It goes at once, whatever waits.
        drop(threads);
        *gate.0.lock().expect("nobody panicked") = true;
        gate.1.notify_all();
        drop(waiting);
    }
}
