//! Messages as trace lines show them: every one, in and out, on one line each. They cost a comparison where nothing listens at that
//! level: a field of an event is made into text only for a listener.

use std::fmt;

use swarm_core::wire::Message;

/// A message with the length of what is long in place of its bytes.
pub(super) struct Brief<'a>(pub(super) &'a Message);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Message::ManifestPage { handle, page, body_len, data } => {
                let (handle, len) = (handle.0, data.len());
                write!(
                    f,
                    "ManifestPage {{ handle: {handle}, page: {page}, body_len: {body_len}, data: {len} bytes }}"
                )
            }
            Message::Have { handle, chunks } => {
                write!(f, "Have {{ handle: {}, chunks: {} of them }}", handle.0, chunks.count())
            }
            Message::Lost { handle, chunks } => {
                write!(f, "Lost {{ handle: {}, chunks: {} of them }}", handle.0, chunks.count())
            }
            Message::Peers { handle, sources } => {
                write!(f, "Peers {{ handle: {}, sources: {} of them }}", handle.0, sources.len())
            }
            message => write!(f, "{message:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use swarm_core::wire::{Handle, RequestId};

    #[test]
    fn a_line_tells_what_a_message_says_and_not_its_bytes() {
        let handle = Handle(3);
        let data = Bytes::from(vec![0; 1 << 16]);
        let page = Message::ManifestPage { handle, page: 2, body_len: 70_000, data };
        let line = "ManifestPage { handle: 3, page: 2, body_len: 70000, data: 65536 bytes }";
        assert_eq!(Brief(&page).to_string(), line);
        let request = Message::Request { request: RequestId(9), handle, chunk: 4, offset: 0, len: 5 };
        let line = "Request { request: RequestId(9), handle: Handle(3), chunk: 4, offset: 0, len: 5 }";
        assert_eq!(Brief(&request).to_string(), line);
    }
}
