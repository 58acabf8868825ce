//! Recipes of files: what this node asks of its peers, and what it tells them. Invariant: one question about a file at a time on each link, and
//! no more of an answer in memory than it may have. Absent here: who may ask, and what is made of an answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use swarm_files::{Places as _, VersionFile};
use swarm_library::LibraryKey;
use swarm_library::limits::PIECE_LEN;
use swarm_library::wire::{Message, Part, RecipeDetail, RecipePiece, RecipeRequest, Refusal, RefusalCode};
use swarm_sync::ContentHash;
use swarm_sync::delta::{encode_recipes, encode_slices};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::library::LibraryPlaces;
use crate::limits::{RECIPE_ANSWER_LEN_MAX, RECIPES_KEPT_LEN_MAX};

/// What this node asked, by link and file.
#[derive(Default)]
pub(super) struct Asked(BTreeMap<(u64, ContentHash), Ask>);

struct Ask {
    library: LibraryKey,
    came: Vec<u8>,
    reply: oneshot::Sender<Bytes>,
    heard_at: Instant,
}

impl Asked {
    /// A question is sent. Dropping `reply` says that no answer comes.
    pub(super) fn insert(&mut self, link: u64, request: &RecipeRequest, reply: oneshot::Sender<Bytes>) {
        let ask = Ask { library: request.library, came: Vec::new(), reply, heard_at: clock::moment() };
        self.0.insert((link, request.file), ask);
    }

    /// A part of an answer came.
    pub(super) fn on_piece(&mut self, link: u64, piece: &RecipePiece) {
        let key = (link, piece.file);
        let Some(ask) = self.0.get_mut(&key) else { return };
        let Part { len, offset, data } = &piece.part;
        if *len as usize > RECIPE_ANSWER_LEN_MAX || *offset as usize != ask.came.len() {
            self.0.remove(&key);
            return;
        }
        ask.heard_at = clock::moment();
        ask.came.extend_from_slice(data);
        if ask.came.len() == *len as usize
            && let Some(ask) = self.0.remove(&key)
        {
            // The asker may be gone.
            let _ = ask.reply.send(ask.came.into());
        }
    }

    /// A peer refuses something about a library: that may be any of the answers.
    pub(super) fn on_refusal(&mut self, link: u64, library: &LibraryKey) {
        self.0.retain(|(asked, _), ask| *asked != link || ask.library != *library);
    }

    pub(super) fn on_down(&mut self, link: u64) {
        self.0.retain(|(asked, _), _| *asked != link);
    }

    /// Forgets questions that no peer answers.
    pub(super) fn on_tick(&mut self) {
        self.0.retain(|_, ask| ask.heard_at.elapsed() < ANSWER_TIMEOUT);
    }
}

/// Answers, the last ones of which are kept: peers that have the same old version ask the same.
pub(super) struct Tellers {
    kept: Arc<Mutex<Kept>>,
    /// One question is answered at a time: each reads a file.
    turn: Arc<Semaphore>,
}

#[derive(Default)]
struct Kept {
    answers: VecDeque<(RecipeRequest, Bytes)>,
    len: usize,
}

impl Tellers {
    pub(super) fn new() -> Self {
        Self { kept: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Answers a question in its turn.
    pub(super) fn tell(
        &self,
        tasks: &TaskTracker,
        (places, request): (Arc<LibraryPlaces>, RecipeRequest),
        outgoing: mpsc::Sender<Message>,
        permit: OwnedSemaphorePermit,
    ) {
        let (kept, turn) = (Arc::clone(&self.kept), Arc::clone(&self.turn));
        tasks.spawn(async move {
            let Ok(its_turn) = turn.acquire_owned().await else { return };
            let asked = request.clone();
            let answering = tokio::task::spawn_blocking(move || {
                kept.lock().unwrap_or_else(PoisonError::into_inner).answer(&places, &asked)
            });
            let answer = answering.await.ok().flatten();
            drop(its_turn);
            let messages = match answer {
                Some(answer) => pieces_of(&request, &answer),
                None => vec![refusal(&request, RefusalCode::NotHere, "the file is not here as it should be")],
            };
            for message in messages {
                // The link is gone: nobody waits for the rest.
                if outgoing.send(message).await.is_err() {
                    return;
                }
            }
            drop(permit);
        });
    }
}

impl Kept {
    fn answer(&mut self, places: &LibraryPlaces, request: &RecipeRequest) -> Option<Bytes> {
        if let Some((_, answer)) = self.answers.iter().find(|(known, _)| known == request) {
            return Some(answer.clone());
        }
        let copies = places.places(&request.file, request.len);
        let versions = copies.iter().filter_map(|place| VersionFile::open(place, Vec::new()).ok());
        let mut answers = versions
            .filter(|version| version.len() == request.len)
            .filter_map(|version| answer_of(&version, request));
        let answer = answers.next().filter(|answer| answer.len() <= RECIPE_ANSWER_LEN_MAX)?;
        self.len += answer.len();
        self.answers.push_back((request.clone(), answer.clone()));
        while self.len > RECIPES_KEPT_LEN_MAX {
            let Some((_, first)) = self.answers.pop_front() else { break };
            self.len -= first.len();
        }
        Some(answer)
    }
}

fn answer_of(version: &VersionFile, request: &RecipeRequest) -> Option<Bytes> {
    let slices = |from_both| Ok(encode_slices(&version.slices(&request.ranges, from_both)?));
    let answer = match request.detail {
        RecipeDetail::Pieces => version.recipes(&request.ranges).map(|recipes| encode_recipes(&recipes)),
        RecipeDetail::SlicesFromStart => slices(false),
        RecipeDetail::SlicesFromBothEnds => slices(true),
    };
    answer.inspect_err(|error| tracing::debug!(%error, "a recipe cannot be made")).ok().map(Bytes::from)
}

fn pieces_of(request: &RecipeRequest, answer: &Bytes) -> Vec<Message> {
    let (library, file, len) = (request.library, request.file, answer.len() as u32);
    let piece = |start: usize| {
        let data = answer.slice(start..answer.len().min(start + PIECE_LEN));
        let part = Part { len, offset: start as u32, data };
        Message::RecipePiece(RecipePiece { library, file, part })
    };
    (0..answer.len()).step_by(PIECE_LEN).map(piece).collect()
}

pub(super) fn refusal(request: &RecipeRequest, code: RefusalCode, why: &str) -> Message {
    Message::Refusal(Refusal { library: Some(request.library), code, why: why.to_owned() })
}

/// Questions of one peer that wait or are answered at once.
pub(super) const TOLD_AT_ONCE: usize = 4;
/// A peer that says nothing for so long does not answer: it reads up to 1 GiB for each part.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
