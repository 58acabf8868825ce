//! What a worker is told, by peers, watchers, people and the files, and where each of it goes. Invariant: one input is taken after the other; an
//! error of one is told, and holds up no other. Absent here: the work that follows (`due`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use swarm_core::base::{ContentId, NodeId};
use swarm_files::GatheredStore;
use swarm_library::{Commit, SignedGrant, SignedVote};
use swarm_sync::{ContentHash, TreePath};
use tokio::sync::oneshot;

use super::due::Due;
use super::{COMPLETE_LOOK_PAUSE, Worker};
use crate::library::ask::{Answer, Question};
use crate::library::error::LibraryError;
use crate::library::outbox::Output;
use crate::library::past::{Found, Past, PastFile};
use crate::library::policies::ToldPolicy;
use crate::library::settings::LibrarySettings;
use crate::library::verifying::Rotten;
use crate::limits::{INPUTS_AT_ONCE, RECORDS_LEN_AT_ONCE};

/// What a worker is told.
pub(crate) enum Input {
    /// A commit whose signature holds.
    Commit(Box<Commit>),
    /// Small files of commits that follow.
    Packed(Vec<Bytes>),
    /// Votes whose signatures hold.
    Votes(Vec<SignedVote>),
    /// Grants of keys whose signatures hold.
    Grants(Vec<SignedGrant>),
    /// A node that counts told of this library, and whether it is sealed.
    Heard { is_sealed: bool },
    /// Contents that are whole on the disk, under a number that grows; zero for what nobody was asked for.
    Arrived(Vec<ContentHash>, Arc<GatheredStore>, u64),
    /// All that was wanted of a content came; likewise.
    Completed(ContentId, Arc<GatheredStore>, u64),
    /// Files whose bytes are wrong on this disk.
    Rotten(Vec<Rotten>),
    /// A peer says that bytes of this content that came from here are wrong.
    Suspect(ContentHash),
    /// Files that are wanted cannot be fetched, for this reason.
    FetchTrouble(String),
    /// Something may have changed at these places, or anywhere.
    Look(Option<Vec<TreePath>>),
    /// What the files say.
    Settings(Box<LibrarySettings>),
    /// Whose records and votes count.
    Authors(BTreeSet<NodeId>),
    /// A peer's policy.
    PeerPolicy(NodeId, ToldPolicy),
    /// Somebody asks.
    Ask(Question, oneshot::Sender<Answer>),
    /// Somebody wants to read what a path had.
    Open(TreePath, Past, oneshot::Sender<Result<Option<PastFile>, Answer>>),
}

impl Worker {
    /// Takes what waits, up to what one pass is made for.
    pub(super) fn take_some(&mut self, first: Input, due: &mut Due) {
        due.is_news = true;
        self.take_what_waits(first, due);
        self.end_batch();
    }

    fn take_what_waits(&mut self, first: Input, due: &mut Due) {
        let (mut input, mut taken, mut records_len) = (first, 0, 0);
        loop {
            if let Input::Commit(commit) = &input {
                records_len += commit.encoded_records().len();
            }
            // Commits and their packs are noted in the book of the library alone, many of them at once. All else writes elsewhere, too.
            if !matches!(input, Input::Commit(_) | Input::Packed(_)) {
                self.end_batch();
            }
            self.take_noting(input, due);
            taken += 1;
            if taken == INPUTS_AT_ONCE || records_len >= RECORDS_LEN_AT_ONCE {
                return;
            }
            // Whoever asks or changes settings is not to wait for all that comes.
            let next = if taken % OTHERS_EACH == 0 {
                self.inputs.try_recv().or_else(|_| self.arrived.try_recv())
            } else {
                self.arrived.try_recv().or_else(|_| self.inputs.try_recv())
            };
            let Ok(next) = next else { return };
            input = next;
        }
    }

    fn take_noting(&mut self, input: Input, due: &mut Due) {
        if let Err(error) = self.take(input, due) {
            self.trouble(&error);
        }
    }

    fn take(&mut self, input: Input, due: &mut Due) -> Result<(), LibraryError> {
        if let Input::Arrived(.., number) | Input::Completed(.., number) = &input {
            self.taken = self.taken.max(*number);
        }
        match input {
            Input::Commit(commit) => self.take_commit(&commit, due)?,
            Input::Votes(votes) => self.take_votes(&votes, due)?,
            Input::Grants(grants) => {
                if self.session.take_grants(&grants, &self.authors)? {
                    self.look_after_keys(due)?;
                }
            }
            Input::Heard { is_sealed } => self.on_heard(is_sealed, due),
            Input::Arrived(hashes, store, _) if self.session.settings.is_mirror => {
                self.session.keep(&hashes, &store)
            }
            Input::Completed(content, store, _) => self.session.note_mirrored(content, &store)?,
            Input::Arrived(hashes, store, _) => self.on_arrived(hashes, &store, due)?,
            // A mirror fetches contents whole.
            Input::Packed(_) if self.session.settings.is_mirror => {}
            Input::Packed(files) => {
                let hashes: Vec<ContentHash> =
                    files.into_iter().map(|bytes| self.session.arrivals.insert_packed(bytes)).collect();
                due.pass |= self.session.book.unpark(&hashes)? > 0;
            }
            Input::Rotten(rotten) => self.take_rotten(rotten, due)?,
            Input::Suspect(hash) => {
                let rotten = self.session.verify_places_of(&hash)?;
                self.take_rotten(rotten, due)?;
            }
            Input::FetchTrouble(why) => self.known.fetch_trouble = Some(why),
            Input::Look(places) => self.take_hint(places, due),
            Input::Settings(settings) => self.on_settings(*settings, due)?,
            Input::Authors(authors) => self.set_authors(authors, due)?,
            Input::PeerPolicy(node, told) => {
                let noted = self.session.told_policies.note(node, told);
                noted.map_err(LibraryError::state(&self.session.folder, "write the policies in"))?;
                self.set_policy(due)?;
            }
            Input::Ask(question, reply) => {
                let answer = self.answer(question, due);
                // Who asked may be gone.
                let _ = reply.send(answer.unwrap_or_else(|error| Answer::failed(&error)));
            }
            Input::Open(path, past, reply) => drop(reply.send(self.open_past(&path, past))),
        }
        Ok(())
    }

    /// What a run writes is told by watchers as well: while many files come, everything is looked at now and then, and not for each of them.
    fn take_hint(&mut self, places: Option<Vec<TreePath>>, due: &mut Due) {
        let is_recent = self.looked_at.is_some_and(|at| at.elapsed() < COMPLETE_LOOK_PAUSE);
        if places.is_none() && is_recent {
            self.is_complete_look_due = true;
        } else {
            due.look(places);
        }
    }

    fn on_heard(&mut self, is_sealed: bool, due: &mut Due) {
        due.pass |= !self.session.is_heard;
        self.session.is_heard = true;
        if is_sealed {
            self.session.signer.keys.require();
        }
    }

    fn on_arrived(
        &mut self,
        hashes: Vec<ContentHash>,
        store: &Arc<GatheredStore>,
        due: &mut Due,
    ) -> Result<(), LibraryError> {
        tracing::debug!(library = %self.session.settings.name, files = hashes.len(), "files came");
        self.known.fetch_trouble = None;
        self.false_contents.extend(hashes.iter().copied());
        let hashes = self.session.proven(hashes, store)?;
        for hash in &hashes {
            self.false_contents.remove(hash);
            self.session.arrivals.insert(*hash, store);
        }
        // A conflict may have waited for them.
        due.pass |= self.session.book.unpark(&hashes)? > 0 || self.known.conflicts > 0;
        Ok(())
    }

    /// Takes over settings. Those that cannot be taken over now are tried again: until then the library stands still.
    pub(super) fn on_settings(
        &mut self,
        settings: LibrarySettings,
        due: &mut Due,
    ) -> Result<(), LibraryError> {
        self.refused_settings = Some(settings.clone());
        self.session.set_settings(settings)?;
        self.set_policy(due)?;
        self.fetched.send_replace(self.session.fetched_folder());
        self.mirror.send_replace(self.session.settings.is_mirror);
        self.look_after_keys(due)?;
        self.mounts.send_replace(self.session.settings.mounts.clone());
        self.scrub_days.send_replace(self.session.settings.scrub_days);
        self.watch();
        // Otherwise the look that follows tells whether it is over.
        if self.session.settings.is_paused {
            self.known.trouble = None;
        }
        due.tally = true;
        due.look(None);
        self.refused_settings = None;
        Ok(())
    }

    /// Opens what a path had; nothing if its bytes are on other machines, and wanted from now on.
    fn open_past(&mut self, path: &TreePath, past: Past) -> Result<Option<PastFile>, Answer> {
        match self.session.open_past(path, past) {
            Ok(Found::Open(file)) => Ok(Some(file)),
            Ok(Found::Elsewhere(hash, len)) => {
                self.say(Output::Wanted(self.library, BTreeMap::from([(hash, len)]), self.taken));
                Ok(None)
            }
            Ok(Found::Refused(answer)) => Err(answer),
            Err(error) => Err(Answer::failed(&error)),
        }
    }

    fn answer(&mut self, question: Question, due: &mut Due) -> Result<Answer, LibraryError> {
        match question {
            Question::Vote { id, verdict, why } => self.vote(&id, verdict, &why, due),
            Question::ApproveHere => {
                self.approved_here = true;
                due.pass = true;
                Ok(Answer::Done)
            }
            Question::Sync => {
                due.look(None);
                Ok(Answer::Done)
            }
            Question::Texts { path } => {
                let (texts, wanted) = self.session.texts_at(&path)?;
                if let Some(wanted) = wanted {
                    self.say(Output::Wanted(self.library, BTreeMap::from([wanted]), self.taken));
                }
                Ok(Answer::Texts(Box::new(texts)))
            }
            Question::Explain { path } => {
                let mut view = self.session.explain(&path)?;
                view.replaced_by = self.known.strangers.replaced.get(&path).map(NodeId::to_string);
                Ok(Answer::Explain(Box::new(view)))
            }
            other => crate::library::ask::answer(&mut self.session, &self.authors, other, &mut due.pass),
        }
    }
}

/// Of so many inputs that are taken one is none that came of a fetch, if any waits.
const OTHERS_EACH: usize = 4;
