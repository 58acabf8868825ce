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
