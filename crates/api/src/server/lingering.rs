//! The end of a connection whose last request was answered before its body was read. Invariant: such a client is read from for a while after it was
//! told that nothing more comes, so that it gets the answer; what it sends in that time is bounded, and thrown away.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::limits::{LINGER_LEN_MAX, LINGER_TIMEOUT};

/// Whether the last body of a connection was read to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

/// A stream that does not close on a client that still sends.
pub(super) struct Lingering<S> {
    stream: S,
    bodies: Unread,
    /// Since nothing more is written.
    ends: Option<Pin<Box<Sleep>>>,
    taken_len: u64,
}

/// A body, whose end is noted.
struct Watched {
    body: Incoming,
    unread: Unread,
}

impl Unread {
    /// A body that comes now, after those before it.
    pub(super) fn watch(&self, body: Incoming) -> Body {
        let watched = Watched { body, unread: self.clone() };
        watched.note();
        Body::new(watched)
    }

    fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Watched {
    fn note(&self) {
        self.unread.0.store(!self.body.is_end_stream(), Ordering::Release);
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.note();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S, bodies: Unread) -> Self {
        Self { stream, bodies, ends: None, taken_len: 0 }
    }
}

impl<S: AsyncRead + Unpin> Lingering<S> {
    /// Takes what the client still sends, until it ends, or for as long as is allowed.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ends = self.ends.get_or_insert_with(|| Box::pin(sleep(LINGER_TIMEOUT)));
        let mut bytes = [0; STEP];
        while self.taken_len < LINGER_LEN_MAX && ends.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => self.taken_len += buf.filled().len() as u64,
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ends.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self.bodies.is_so() {
            ready!(self.poll_rest(cx));
        }
        Poll::Ready(Ok(()))
    }
}

/// Bytes that are thrown away at once.
const STEP: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_an_answered_client_still_sends_is_taken_until_it_ends() {
        let (near, mut far) = tokio::io::duplex(4);
        let unread = Unread::default();
        unread.0.store(true, Ordering::Release);
        let mut lingering = Lingering::new(near, unread);
        let client = async {
            far.write_all(&[0; 1000]).await.expect("it is taken");
            far.shutdown().await.expect("it is taken");
            let mut bytes = Vec::new();
            far.read_to_end(&mut bytes).await.expect("it is told the end");
        };
        let (ended, ()) = tokio::join!(lingering.shutdown(), client);
        ended.expect("it has ended");
        assert_eq!(lingering.taken_len, 1000);
    }

    #[tokio::test]
    async fn a_client_whose_body_was_read_is_not_waited_for() {
        let (near, _far) = tokio::io::duplex(4);
        let mut lingering = Lingering::new(near, Unread::default());
        lingering.shutdown().await.expect("it has ended");
        assert!(lingering.ends.is_none());
    }
}
