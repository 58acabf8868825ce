//! Two pieces of work at once, for whoever keeps two trees the same.

use swarm_sync::Beside;

/// A thread for one piece of work, while the caller's does the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnTwoThreads;

impl Beside for OnTwoThreads {
    fn both(&self, one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send)) {
        std::thread::scope(|scope| {
            let beside = scope.spawn(one);
            other();
            beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }
}
