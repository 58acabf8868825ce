//! Reads all files of a library again from time to time, slowly: a disk may lose a bit that nobody touched. Invariant: a round is remembered when
//! it ended, so that restarts do not begin it anew. Absent here: what becomes of a file that rotted (the worker).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use swarm_mounts::MountSpec;
use tokio::sync::{mpsc, watch};

use super::memory::write_durably;
use super::verifying::verify;
use super::worker::input::Input;
use crate::clock;

/// What a scrub is started with.
pub(crate) struct Scrub {
    pub(crate) index: PathBuf,
    /// The folder of the library's state.
    pub(crate) folder: PathBuf,
    pub(crate) mounts: watch::Receiver<Vec<MountSpec>>,
    /// Days between two rounds; zero for none.
    pub(crate) days: watch::Receiver<u32>,
    pub(crate) stop: Arc<AtomicBool>,
    /// It does not keep the queue open.
    pub(crate) inputs: mpsc::WeakSender<Input>,
}

impl Scrub {
    /// Runs until the library ends. The files were read when they were first looked at: the first round is due as long after the first start
    /// as the others after each other.
    pub(crate) fn run(&self) {
        let memory = self.folder.join("scrub.json");
        loop {
            let last = last_round(&memory);
            let interval_ms = u64::from(*self.days.borrow()) * DAY_MS;
            let is_on = interval_ms > 0;
            let is_due = is_on && last.is_some_and(|at| clock::now_ms().saturating_sub(at) >= interval_ms);
            if (is_due || last.is_none()) && self.round(is_due) {
                let noted = write_durably(&memory, format!("{}\n", clock::now_ms()).as_bytes());
                if let Err(error) = noted {
                    tracing::warn!(%error, "cannot remember that all files were read again");
                }
            }
            if self.rest(LOOK_INTERVAL) {
                return;
            }
        }
    }

    /// Whether it went through to its end.
    fn round(&self, is_due: bool) -> bool {
        if !is_due {
            return true;
        }
        let mounts = self.mounts.borrow().clone();
        let mut pace = |len: u64| {
            self.rest(Duration::from_millis(len / (RATE / 1000)));
        };
        let (view, rotten) = match verify(&self.index, &mounts, &self.stop, &mut pace) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, "cannot read all files again");
                return false;
            }
        };
        tracing::info!(files = view.files, bad = view.bad.len(), "read all files again");
        if let (Some(inputs), false) = (self.inputs.upgrade(), rotten.is_empty()) {
            let _ = inputs.blocking_send(Input::Rotten(rotten));
        }
        !view.is_cut_off
    }

    /// Waits; true if the library ends.
    fn rest(&self, time: Duration) -> bool {
        let began = clock::moment();
        while began.elapsed() < time && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(time.saturating_sub(began.elapsed()).min(STEP));
        }
        self.stop.load(Ordering::Relaxed)
    }
}

/// When the last round ended, milliseconds since 1970. What cannot be read is as if there had been none.
fn last_round(memory: &Path) -> Option<u64> {
    let text: io::Result<String> = std::fs::read_to_string(memory);
    text.ok()?.trim().parse().ok()
}

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Bytes a second: a tenth of what a plain disk gives.
const RATE: u64 = 16 << 20;
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
const STEP: Duration = Duration::from_secs(1);
