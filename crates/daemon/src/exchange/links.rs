//! The tasks of one link about libraries: one reads, one writes. Commits go from the reader to the worker of their library, which holds the
//! reader up when it is busy; all else goes to the exchange. Invariant: a peer that breaks the protocol loses its link, and nothing else; nothing
//! of a library is taken from a peer that the exchange did not let in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use swarm_core::base::NodeId;
use swarm_index::{IndexError, LibraryBook};
use swarm_library::limits::{
    GRANTS_MAX, GRANTS_PER_FRAME_MAX, PACK_FILES_MAX, PACK_LEN_MAX, VOTES_PER_FRAME_MAX,
};
use swarm_library::wire::{CommitPiece, Message};
use swarm_library::{Commit, CommitAssembly, LibraryKey, Record, SignedGrant, SignedVote, pieces_of};
use swarm_link::{FrameReader, FrameWriter, QuicLink};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Input;
use super::squeezing::Squeezer;
use crate::library::{Input as LibraryInput, LibraryHandle, LibraryPlaces};
use crate::limits::{BULK_FRAMES, PACKED_COMMIT_LEN_MAX, QUEUE_FRAMES};

/// The two queues of a link. What answers or tells something goes first: what is read from an index fills its queue as long as the peer reads
/// slowly.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) first: mpsc::Sender<Message>,
    pub(super) bulk: mpsc::Sender<Message>,
}

/// What is read from the index of a library and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stock {
    Grants,
    Votes,
    /// With the files of small ones.
    Commits,
    /// Their files come another way.
    CommitsAlone,
}

/// What a link is started with.
pub(super) struct LinkStart {
    pub(super) number: u64,
    pub(super) link: QuicLink,
    pub(super) inputs: mpsc::Sender<Input>,
    /// Those there are now: some may have come after the link.
    pub(super) libraries: watch::Receiver<BTreeMap<LibraryKey, LibraryHandle>>,
    /// Those of which commits are taken from this peer.
    pub(super) taken: watch::Receiver<BTreeSet<LibraryKey>>,
    pub(super) squeezer: Option<Arc<Squeezer>>,
    /// Whether the peer said that it does.
    pub(super) reads_compressed: watch::Receiver<bool>,
    pub(super) tasks: TaskTracker,
    pub(super) ending: CancellationToken,
}

/// Starts the tasks of a link; what is put into a queue is written in its order.
pub(super) fn start(start: LinkStart) -> Outgoing {
    let ((first, first_queue), (bulk, bulk_queue)) =
        (mpsc::channel(QUEUE_FRAMES), mpsc::channel(BULK_FRAMES));
    let tasks = start.tasks.clone();
    tasks.spawn(async move {
        let (number, link, inputs, ending) =
            (start.number, start.link.clone(), start.inputs.clone(), start.ending.clone());
        let reason = tokio::select! {
            reason = talk(start, (first_queue, bulk_queue)) => reason,
            () = ending.cancelled() => "the daemon is stopping".to_owned(),
        };
        let reason = link.close_reason().map_or(reason, |closed| closed.to_string());
        link.close(0, &reason);
        let _ = inputs.send(Input::Down { link: number, reason }).await;
    });
    Outgoing { first, bulk }
}

type Queues = (mpsc::Receiver<Message>, mpsc::Receiver<Message>);

async fn talk(start: LinkStart, queues: Queues) -> String {
    let control = timeout(GREETING_TIMEOUT, start.link.control()).await;
    let (writer, reader) = match control {
        Ok(Ok(control)) => control,
        Ok(Err(error)) => return error.to_string(),
        Err(_) => return "it does not greet".to_owned(),
    };
    tokio::select! {
        reason = read(&start, reader) => reason,
        reason = write(&start, writer, queues) => reason,
    }
}

async fn read(start: &LinkStart, mut reader: FrameReader) -> String {
    let mut assembly = CommitAssembly::default();
    loop {
        let frame = match reader.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return "it ended the link".to_owned(),
            Err(error) => return error.to_string(),
        };
        let message = match (Message::decode(frame), &start.squeezer) {
            // Of whom nothing is taken may not have anything unpacked here, either.
            (Ok(Some(Message::Compressed(_))), _) if start.taken.borrow().is_empty() => continue,
            (Ok(Some(Message::Compressed(frame))), Some(squeezer)) => match squeezer.open(&frame) {
                Ok(message) => message,
                Err(error) => return error.to_string(),
            },
            (Ok(message), _) => message,
            (Err(error), _) => return error.to_string(),
        };
        // Of a later version.
        let Some(message) = message else { continue };
        let done = match message {
            Message::CommitPiece(piece) => take_piece(start, &mut assembly, piece).await,
            Message::Pack { library, files } => {
                if let Some(handle) = taking(start, &library) {
                    let _ = handle.inputs.send(LibraryInput::Packed(files)).await;
                }
                Ok(())
            }
            message => {
                let sent = start.inputs.send(Input::Message { link: start.number, message }).await;
                sent.map_err(|_| "the daemon is stopping".to_owned())
            }
        };
        if let Err(reason) = done {
            return reason;
        }
    }
}

/// The library, if something of it is taken from this peer.
fn taking(start: &LinkStart, library: &LibraryKey) -> Option<LibraryHandle> {
    let is_taken = start.taken.borrow().contains(library);
    start.libraries.borrow().get(library).filter(|_| is_taken).cloned()
}

async fn take_piece(
    start: &LinkStart,
    assembly: &mut CommitAssembly,
    piece: CommitPiece,
) -> Result<(), String> {
    let library = piece.library;
    let Some(handle) = taking(start, &library) else { return Ok(()) };
    let Some(commit) = assembly.take(piece).map_err(|error| error.to_string())? else { return Ok(()) };
    if commit.header().library != library {
        return Err("it sends commits of another library".to_owned());
    }
    let (author, seq) = (commit.header().author, commit.header().seq);
    // A worker that has ended takes nothing more.
    if handle.inputs.send(LibraryInput::Commit(Box::new(commit))).await.is_err() {
        return Ok(());
    }
    let taken = Input::CommitTaken { library, author, seq };
    start.inputs.send(taken).await.map_err(|_| "the daemon is stopping".to_owned())
}

async fn write(start: &LinkStart, mut writer: FrameWriter, (mut first, mut bulk): Queues) -> String {
    loop {
        let message = tokio::select! {
            biased;
            message = first.recv() => match message {
                Some(message) => message,
                None => return "another link took its place".to_owned(),
            },
            Some(message) = bulk.recv() => message,
        };
        let squeezer = start.squeezer.as_ref().filter(|_| *start.reads_compressed.borrow());
        let frame = squeezer.map_or_else(|| message.encode(), |squeezer| squeezer.frame_of(&message));
        let frames: Vec<Bytes> = vec![frame];
        match timeout(WRITE_TIMEOUT, writer.write_frames(&frames)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "it does not read what it is told".to_owned(),
        }
    }
}

/// Sends something of a library from its index, and says so when it is done. Commits are those after these numbers, by author.
pub(super) fn send_stock(
    tasks: &TaskTracker,
    (library, handle): (LibraryKey, &LibraryHandle),
    (stock, after): (Stock, BTreeMap<NodeId, u64>),
    bulk: mpsc::Sender<Message>,
    done: impl Future<Output = ()> + Send + 'static,
) {
    let (index, places) = (handle.index_path.clone(), Arc::clone(&handle.places));
    tasks.spawn(async move {
        let read = move || -> Result<(), IndexError> {
            let book = LibraryBook::open(&index)?;
            match stock {
                Stock::Grants => send_grants(&book, library, &bulk),
                Stock::Votes => send_votes(&book, library, &bulk),
                Stock::Commits => send_commits(&book, (library, Some(&places)), after, &bulk),
                Stock::CommitsAlone => send_commits(&book, (library, None), after, &bulk),
            }
        };
        // One that panicked has said so.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(read).await {
            tracing::warn!(%error, ?stock, "cannot send what a peer asked for");
        }
        done.await;
    });
}

fn send_commits(
    book: &LibraryBook,
    (library, places): (LibraryKey, Option<&LibraryPlaces>),
    after: BTreeMap<NodeId, u64>,
    bulk: &mpsc::Sender<Message>,
) -> Result<(), IndexError> {
    for (author, seq) in after {
        let mut next = seq + 1;
        while let Some(bytes) = book.commit(&author, next)? {
            let Ok(commit) = Commit::decode(bytes) else {
                tracing::warn!(author = author.short(), seq = next, "a commit in the index is none any more");
                break;
            };
            // First, so that nobody asks for them elsewhere.
            let packs = places.map(|places| packs_of(&commit, places)).unwrap_or_default();
            let packs = packs.into_iter().map(|files| Message::Pack { library, files });
            for piece in packs.chain(pieces_of(&commit)) {
                // The link is gone: nobody waits for the rest.
                if bulk.blocking_send(piece).is_err() {
                    return Ok(());
                }
            }
            next += 1;
        }
    }
    Ok(())
}

/// The files of a small commit; none of a sealed one, whose files go sealed.
fn packs_of(commit: &Commit, places: &LibraryPlaces) -> Vec<Vec<Bytes>> {
    let Ok(records) = commit.records() else { return Vec::new() };
    if records.iter().map(Record::content_len).sum::<u64>() > PACKED_COMMIT_LEN_MAX {
        return Vec::new();
    }
    let files = records.iter().filter_map(|record| record.state.kind()?.file()).filter(|file| file.len > 0);
    let (mut packs, mut pack, mut len): (Vec<Vec<Bytes>>, Vec<Bytes>, usize) = (Vec::new(), Vec::new(), 0);
    for file in files.filter(|file| file.len <= PACK_LEN_MAX as u64) {
        let Some(bytes) = places.read_short(file) else { continue };
        if len + bytes.len() > PACK_LEN_MAX || pack.len() >= PACK_FILES_MAX {
            packs.push(std::mem::take(&mut pack));
            len = 0;
        }
        len += bytes.len();
        pack.push(bytes);
    }
    if !pack.is_empty() {
        packs.push(pack);
    }
    packs
}

/// Sends all votes about a library.
fn send_votes(
    book: &LibraryBook,
    library: LibraryKey,
    bulk: &mpsc::Sender<Message>,
) -> Result<(), IndexError> {
    let votes = book.votes(None, VOTES_MAX)?;
    let votes: Vec<SignedVote> =
        votes.into_iter().filter_map(|bytes| SignedVote::decode(bytes.into()).ok()).collect();
    for votes in votes.chunks(VOTES_PER_FRAME_MAX) {
        if bulk.blocking_send(Message::Votes { library, votes: votes.to_vec() }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Sends all grants of keys of a library.
fn send_grants(
    book: &LibraryBook,
    library: LibraryKey,
    bulk: &mpsc::Sender<Message>,
) -> Result<(), IndexError> {
    let grants = book.grants(GRANTS_MAX)?;
    let grants: Vec<SignedGrant> =
        grants.into_iter().filter_map(|bytes| SignedGrant::decode(bytes).ok()).collect();
    for grants in grants.chunks(GRANTS_PER_FRAME_MAX) {
        if bulk.blocking_send(Message::KeyGrants { library, grants: grants.to_vec() }).is_err() {
            break;
        }
    }
    Ok(())
}

const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that does not read for so long loses its link.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Votes of one library.
const VOTES_MAX: usize = 64 << 10;
