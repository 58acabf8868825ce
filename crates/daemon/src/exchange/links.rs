//! The tasks of one link about libraries: one reads, one writes. Commits go from the reader to the worker of their library, which holds the
//! reader up when it is busy; all else goes to the exchange. Invariant: a peer that breaks the protocol loses its link, and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use swarm_index::LibraryBook;
use swarm_library::limits::{
    GRANTS_MAX, GRANTS_PER_FRAME_MAX, PACK_FILES_MAX, PACK_LEN_MAX, VOTES_PER_FRAME_MAX,
};
use swarm_library::wire::{CommitPiece, Message};
use swarm_library::{After, Commit, CommitAssembly, LibraryKey, Record, SignedGrant, SignedVote, pieces_of};
use swarm_link::{FrameReader, FrameWriter, QuicLink};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Input;
use crate::library::{Input as LibraryInput, LibraryHandle, LibraryPlaces};
use crate::limits::{PACKED_COMMIT_LEN_MAX, QUEUE_FRAMES};

/// What is to be written.
pub(crate) enum Outgoing {
    /// One message.
    One(Message),
}

/// What a link is started with.
pub(super) struct LinkStart {
    pub(super) number: u64,
    pub(super) link: QuicLink,
    pub(super) inputs: mpsc::Sender<Input>,
    /// Those there are now: some may have come after the link.
    pub(super) libraries: watch::Receiver<BTreeMap<LibraryKey, LibraryHandle>>,
    pub(super) tasks: TaskTracker,
    pub(super) ending: CancellationToken,
}

/// Starts the tasks of a link; what is put into the queue is written in its order.
pub(super) fn start(start: LinkStart) -> mpsc::Sender<Outgoing> {
    let (outgoing, queue) = mpsc::channel(QUEUE_FRAMES);
    let tasks = start.tasks.clone();
    tasks.spawn(async move {
        let (number, link, inputs, ending) =
            (start.number, start.link.clone(), start.inputs.clone(), start.ending.clone());
        let reason = tokio::select! {
            reason = talk(start, queue) => reason,
            () = ending.cancelled() => "the daemon is stopping".to_owned(),
        };
        let reason = link.close_reason().map_or(reason, |closed| closed.to_string());
        link.close(0, &reason);
        let _ = inputs.send(Input::Down { link: number, reason }).await;
    });
    outgoing
}

async fn talk(start: LinkStart, queue: mpsc::Receiver<Outgoing>) -> String {
    let control = timeout(GREETING_TIMEOUT, start.link.control()).await;
    let (writer, reader) = match control {
        Ok(Ok(control)) => control,
        Ok(Err(error)) => return error.to_string(),
        Err(_) => return "it does not greet".to_owned(),
    };
    tokio::select! {
        reason = read(&start, reader) => reason,
        reason = write(writer, queue) => reason,
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
        let message = match Message::decode(frame) {
            Ok(Some(message)) => message,
            // Of a later version.
            Ok(None) => continue,
            Err(error) => return error.to_string(),
        };
        let done = match message {
            Message::CommitPiece(piece) => take_piece(start, &mut assembly, piece).await,
            Message::Pack { library, files } => {
                let handle = start.libraries.borrow().get(&library).cloned();
                if let Some(handle) = handle {
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

async fn take_piece(
    start: &LinkStart,
    assembly: &mut CommitAssembly,
    piece: CommitPiece,
) -> Result<(), String> {
    let library = piece.library;
    let Some(commit) = assembly.take(piece).map_err(|error| error.to_string())? else { return Ok(()) };
    let handle = start.libraries.borrow().get(&library).cloned();
    let Some(handle) = handle else { return Ok(()) };
    if commit.header().library != library {
        return Err("it sends commits of another library".to_owned());
    }
    let (author, seq) = (commit.header().author, commit.header().seq);
    // A worker that has ended takes nothing more.
    let _ = handle.inputs.send(LibraryInput::Commit(Box::new(commit))).await;
    let taken = Input::CommitTaken { link: start.number, library, author, seq };
    start.inputs.send(taken).await.map_err(|_| "the daemon is stopping".to_owned())
}

async fn write(mut writer: FrameWriter, mut queue: mpsc::Receiver<Outgoing>) -> String {
    while let Some(Outgoing::One(message)) = queue.recv().await {
        let frames: Vec<Bytes> = vec![message.encode()];
        match timeout(WRITE_TIMEOUT, writer.write_frames(&frames)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "it does not read what it is told".to_owned(),
        }
    }
    "another link took its place".to_owned()
}

/// Sends the commits of these authors that come after these numbers.
pub(super) fn send_commits(
    tasks: &TaskTracker,
    (library, handle): (LibraryKey, &LibraryHandle),
    after: Vec<After>,
    outgoing: mpsc::Sender<Outgoing>,
) {
    let (index, places) = (handle.index_path.clone(), Arc::clone(&handle.places));
    tasks.spawn_blocking(move || {
        let sent = LibraryBook::open(&index).map_err(|error| error.to_string()).and_then(|book| {
            for After { author, seq } in after {
                let mut next = seq + 1;
                while let Some(bytes) = book.commit(&author, next).map_err(|error| error.to_string())? {
                    let commit = Commit::decode(bytes).map_err(|error| error.to_string())?;
                    // First, so that nobody asks for them elsewhere.
                    let packs =
                        packs_of(&commit, &places).into_iter().map(|files| Message::Pack { library, files });
                    for piece in packs.chain(pieces_of(&commit)) {
                        // The link is gone: nobody waits for the rest.
                        if outgoing.blocking_send(Outgoing::One(piece)).is_err() {
                            return Ok(());
                        }
                    }
                    next += 1;
                }
            }
            Ok(())
        });
        if let Err(error) = sent {
            tracing::warn!(error, "cannot send commits");
        }
    });
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
pub(super) fn send_votes(
    tasks: &TaskTracker,
    (library, index): (LibraryKey, PathBuf),
    outgoing: mpsc::Sender<Outgoing>,
) {
    tasks.spawn_blocking(move || {
        let votes = LibraryBook::open(&index).and_then(|book| book.votes(None, VOTES_MAX));
        let votes: Vec<SignedVote> = match votes {
            Ok(votes) => {
                votes.into_iter().filter_map(|bytes| SignedVote::decode(bytes.into()).ok()).collect()
            }
            Err(error) => return tracing::warn!(%error, "cannot send votes"),
        };
        for votes in votes.chunks(VOTES_PER_FRAME_MAX) {
            let message = Message::Votes { library, votes: votes.to_vec() };
            if outgoing.blocking_send(Outgoing::One(message)).is_err() {
                return;
            }
        }
    });
}

/// Sends all grants of keys of a library.
pub(super) fn send_grants(
    tasks: &TaskTracker,
    (library, index): (LibraryKey, PathBuf),
    outgoing: mpsc::Sender<Outgoing>,
) {
    tasks.spawn_blocking(move || {
        let grants = LibraryBook::open(&index).and_then(|book| book.grants(GRANTS_MAX));
        let grants: Vec<SignedGrant> = match grants {
            Ok(grants) => grants.into_iter().filter_map(|bytes| SignedGrant::decode(bytes).ok()).collect(),
            Err(error) => return tracing::warn!(%error, "cannot send grants of keys"),
        };
        for grants in grants.chunks(GRANTS_PER_FRAME_MAX) {
            let message = Message::KeyGrants { library, grants: grants.to_vec() };
            if outgoing.blocking_send(Outgoing::One(message)).is_err() {
                return;
            }
        }
    });
}

const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that does not read for so long loses its link.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Votes of one library.
const VOTES_MAX: usize = 64 << 10;
