//! Chunk buffers come from one budget. Invariant: buffers handed out never hold more than the budget together. Who finds it
//! empty waits, and so stops reading from its stream, and QUIC holds the sender.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use swarm_files::DIRECT_ALIGN;

/// The budget. Clones share it.
#[derive(Clone)]
pub(super) struct Budget {
    permits: Arc<Semaphore>,
    permits_max: u32,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A buffer out of the budget; goes back when dropped. It begins where a disk can take it from.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of so many bytes; at least the longest chunk, so that any chunk fits.
    pub(super) fn new(budget_len: u64) -> Self {
        let least = (1u64 << swarm_core::base::limits::CHUNK_LEN_LOG2_MAX) + DIRECT_ALIGN as u64;
        let permits_max = u32::try_from(budget_len.max(least) / UNIT_LEN).unwrap_or(u32::MAX >> 3);
        let permits = Arc::new(Semaphore::new(permits_max as usize));
        Self { permits, permits_max, spare: Arc::default() }
    }

    /// A buffer of `len` bytes (of any value), as soon as the budget has room. To be cancelled by dropping the future.
    pub(super) async fn buffer(&self, len: u32) -> Buffer {
        let units =
            (u64::from(len) + DIRECT_ALIGN as u64).div_ceil(UNIT_LEN).min(self.permits_max.into()) as u32;
        let permits = Arc::clone(&self.permits).acquire_many_owned(units).await;
        let permit = permits.expect("the semaphore is never closed");
        // A used buffer has its pages already; a fresh one is zeroed by the system page by page.
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = spare.pop().unwrap_or_default();
        // Fewer buffers are in use than were: what lies spare may not add up to more than the budget has left.
        let left_len = self.permits.available_permits() * UNIT_LEN as usize;
        while spare.iter().map(Vec::capacity).sum::<usize>() > left_len {
            spare.pop();
        }
        drop(spare);
        if bytes.len() < len as usize + DIRECT_ALIGN {
            bytes = vec![0; len as usize + DIRECT_ALIGN];
        }
        let start = bytes.as_ptr().align_offset(DIRECT_ALIGN);
        Buffer { bytes, start, len: len as usize, spare: Arc::clone(&self.spare), _permit: permit }
    }
}

impl Buffer {
    /// The bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..][..self.len]
    }

    /// The bytes, to be written to.
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(std::mem::take(&mut self.bytes));
    }
}

/// Permits count units of this many bytes.
const UNIT_LEN: u64 = 4 << 10;
