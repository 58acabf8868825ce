//! `--memory`: what a fetch may hold on its way to disk or stdout.

use swarm_core::base::ByteLen;
use swarm_link::LinkOptions;

/// How `--memory` is shared out.
pub(super) struct Memory {
    /// Chunks being received, checked and written.
    pub(super) buffers_len: u64,
    /// Chunks that wait for their turn on stdout.
    pub(super) window_len: u64,
    /// What QUIC holds of all links.
    pub(super) windows_len: u64,
    pub(super) link: LinkOptions,
}

impl Memory {
    /// Half for chunk buffers, the rest for what QUIC holds: a sixteenth a link, and less where there are more than eight.
    pub(super) fn split(ByteLen(memory_len): ByteLen, is_stdout: bool, link: LinkOptions) -> Self {
        let buffers_len = if is_stdout { memory_len / 4 } else { memory_len / 2 };
        let receive_window_len = (memory_len / 16).clamp(LINK_WINDOW_MIN, LINK_WINDOW_MAX) as u32;
        let stream_receive_window_len = receive_window_len / 2;
        let link = LinkOptions { receive_window_len, stream_receive_window_len, ..link };
        Self { buffers_len, window_len: memory_len / 4, windows_len: memory_len / 2, link }
    }
}

/// Bounds of one link's receive window, bytes; it is also the most that comes in one round trip.
const LINK_WINDOW_MIN: u64 = 1 << 20;
const LINK_WINDOW_MAX: u64 = 32 << 20;
