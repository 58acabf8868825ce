//! Bodies of answers that are made while they are sent. Invariant: a body ends as a whole one only if its maker says that it is whole: if the maker
//! fails, panics or goes, the answer breaks off, so that the client sees that it is not whole. A client that is slow holds few blocks; one that takes
//! nothing for long is given up, and so is one that may not have it any more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;

use crate::app::App;
use crate::auth::{Lasting, Right};
use crate::limits::{BLOCK_TIMEOUT, BLOCKS_AHEAD};

/// Where the blocks of a body come from.
pub(crate) struct Sending {
    blocks: mpsc::Sender<Bytes>,
    is_whole: Arc<AtomicBool>,
    timeout: Duration,
    right: Lasting,
}

/// The client is gone, takes nothing, or may have no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// A body, and where its blocks come from, for as long as the client may have it.
pub(crate) fn streamed(app: &App, right: Right) -> (Sending, Body) {
    let (sending, received) = pair(BLOCK_TIMEOUT, Lasting::new(right, Arc::clone(&app.files)));
    (sending, Body::from_stream(received))
}

fn pair(timeout: Duration, right: Lasting) -> (Sending, Received) {
    let (blocks, receiver) = mpsc::channel(BLOCKS_AHEAD);
    let is_whole = Arc::new(AtomicBool::new(false));
    let received = Received { blocks: receiver, is_whole: Some(Arc::clone(&is_whole)) };
    (Sending { blocks, is_whole, timeout, right }, received)
}

impl Sending {
    /// Sends a block, once there is room for it.
    pub(crate) async fn send(&self, block: Bytes) -> Result<(), Gone> {
        let sent = tokio::time::timeout(self.timeout, self.blocks.send(block));
        match self.right.while_it_holds(sent).await {
            Ok(Ok(sent)) => sent.map_err(|_| Gone),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// The same on a thread for blocking work.
    pub(crate) fn send_blocking(&self, block: Bytes) -> Result<(), Gone> {
        tokio::runtime::Handle::current().block_on(self.send(block))
    }

    /// Nothing is missing.
    pub(crate) fn finish(self) {
        self.is_whole.store(true, Ordering::Release);
    }
}

struct Received {
    blocks: mpsc::Receiver<Bytes>,
    /// Nothing once the end was told.
    is_whole: Option<Arc<AtomicBool>>,
}

impl Stream for Received {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.blocks.poll_recv(cx) {
            Poll::Ready(Some(block)) => Poll::Ready(Some(Ok(block))),
            Poll::Ready(None) => {
                let is_broken =
                    self.is_whole.take().is_some_and(|is_whole| !is_whole.load(Ordering::Acquire));
                Poll::Ready(is_broken.then(|| Err(io::Error::other("the answer broke off"))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::auth::right_tests::{of_ben, remove_ben};

    fn body() -> (Sending, Body, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let (sending, received) = pair(BLOCK_TIMEOUT, of_ben(folder.path()));
        (sending, Body::from_stream(received), folder)
    }

    /// What a client gets, and whether it is whole.
    async fn taken(body: Body) -> (Vec<u8>, bool) {
        let (mut body, mut bytes) = (body, Vec::new());
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(frame.data_ref().expect("data alone")),
                Err(_) => return (bytes, false),
            }
        }
        (bytes, true)
    }

    #[tokio::test]
    async fn a_body_is_whole_only_if_its_maker_says_so() {
        let (sending, body, _folder) = self::body();
        sending.send(Bytes::from_static(b"one")).await.expect("there is room");
        sending.finish();
        assert_eq!(taken(body).await, (b"one".to_vec(), true));
        let (sending, body, _folder) = self::body();
        sending.send(Bytes::from_static(b"one")).await.expect("there is room");
        drop(sending);
        assert_eq!(taken(body).await, (b"one".to_vec(), false));
    }

    #[tokio::test]
    async fn a_maker_that_panics_breaks_the_answer_off() {
        let (sending, body, _folder) = self::body();
        let made = tokio::task::spawn_blocking(move || {
            sending.send_blocking(Bytes::from_static(b"one")).expect("there is room");
            assert!(sending.is_whole.load(Ordering::Acquire), "a fault that this test makes");
        });
        assert!(made.await.is_err());
        assert_eq!(taken(body).await, (b"one".to_vec(), false));
    }

    #[tokio::test]
    async fn a_client_that_may_have_no_more_is_cut_off_whether_it_takes_blocks_or_not() {
        let (sending, body, folder) = self::body();
        sending.send(Bytes::from_static(b"one")).await.expect("there is room");
        remove_ben(folder.path(), &sending.right);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(sending.send(Bytes::from_static(b"two")).await, Err(Gone));
        drop(sending);
        assert_eq!(taken(body).await, (b"one".to_vec(), false));
        let (sending, body, folder) = self::body();
        for _ in 0..BLOCKS_AHEAD {
            sending.send(Bytes::from_static(b"one")).await.expect("there is room");
        }
        let cut = async {
            tokio::task::yield_now().await;
            remove_ben(folder.path(), &sending.right);
        };
        let (sent, ()) = tokio::join!(sending.send(Bytes::from_static(b"two")), cut);
        assert_eq!(sent, Err(Gone));
        drop(body);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let (sending, received) = pair(Duration::from_millis(1), of_ben(folder.path()));
        for _ in 0..BLOCKS_AHEAD {
            assert_eq!(sending.send(Bytes::from_static(b"one")).await, Ok(()));
        }
        assert_eq!(sending.send(Bytes::from_static(b"one")).await, Err(Gone));
        drop(sending);
        let taken = taken(Body::from_stream(received)).await;
        assert_eq!(taken, (b"one".repeat(BLOCKS_AHEAD), false));
    }
}
