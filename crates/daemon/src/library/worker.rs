//! The thread of one library: takes what peers, watchers and people say, one after the other, and makes a pass when something changed.
//! Invariant: the index and the mounts of a library are changed in this thread alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::SigningKey;
use swarm_daemon_files::Limits;
use swarm_files::GatheredStore;
use swarm_index::{LeftToDo, ProposalEnd, Stored, ViewFigures};
use swarm_library::limits::GRANTS_MAX;
use swarm_library::{
    Cause, Commit, CommitId, Frontier, LibraryKey, Need, Outcome, Policy, Position, Proposal, SignedGrant,
    SignedVote, Subject, Verdict, VoteSet, VoteTaken, grants_digest, votes_digest,
};
use swarm_mounts::MountSpec;
use swarm_sync::{ContentHash, TreePath};
use tokio::sync::{mpsc, oneshot, watch};

use super::ask::{Answer, Question};
use super::carrying::Carrying;
use super::error::LibraryError;
use super::keys::LibraryKeys;
use super::places::LibraryPlaces;
use super::policies::ToldPolicy;
use super::scrubbing::Scrub;
use super::session::{Opening, PassReport, Session};
use super::settings::LibrarySettings;
use super::strangers::Strangers;
use super::verifying::Rotten;
use super::watching::Watchers;
use crate::clock;
use crate::limits::{INPUTS_AT_ONCE, INPUTS_WAITING_MAX, RECORDS_LEN_AT_ONCE};

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
    /// Contents that are whole on the disk.
    Arrived(Vec<ContentHash>, Arc<GatheredStore>),
    /// All that was wanted of a content came.
    Completed(ContentId, Arc<GatheredStore>),
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
}

/// What a worker tells others of its library.
#[derive(Clone, Debug, Default)]
pub(crate) struct LibraryState {
    pub(crate) frontier: Frontier,
    pub(crate) votes_digest: [u8; 32],
    /// Somebody that counts was heard about it.
    pub(crate) is_heard: bool,
    /// `None` without grants of keys.
    pub(crate) grants_digest: Option<[u8; 32]>,
    pub(crate) policy: Policy,
    /// It is that of peers, since the library's file has none.
    pub(crate) is_policy_taken_over: bool,
    pub(crate) figures: ViewFigures,
    /// Something happened after the figures were taken.
    pub(crate) are_figures_old: bool,
    pub(crate) activity: String,
    /// Why it stands still.
    pub(crate) trouble: Option<String>,
    /// Why files that are wanted are not fetched.
    pub(crate) fetch_trouble: Option<String>,
    pub(crate) conflicts: u64,
    /// Conflicts that this disk takes no part in.
    pub(crate) conflicts_elsewhere: u64,
    /// What the figures have left to do only because of conflicts.
    pub(crate) left_to_decide: LeftToDo,
    pub(crate) proposals: u64,
    /// Changes of this node that wait for votes: its disk has them, and the team has not.
    pub(crate) waiting: u64,
    /// Deletions on this disk that wait for a yes here.
    pub(crate) held_here: Option<u64>,
    /// Operations that were refused in the last pass.
    pub(crate) refused: Vec<(String, String)>,
    /// Entries on this disk that are no part of the library, and why.
    pub(crate) unseen: BTreeMap<String, String>,
    /// What authors did that do not count.
    pub(crate) strangers: Strangers,
    /// Files whose bytes are wrong on this disk, and what they are to be.
    pub(crate) rotten: BTreeMap<TreePath, ContentHash>,
    /// Authors that signed two histories.
    pub(crate) equivocators: BTreeSet<NodeId>,
    /// Authors that do not count, and of which no more is kept for others.
    pub(crate) full: BTreeSet<NodeId>,
    pub(crate) is_scanned: bool,
}

/// What a worker asks of the rest of the daemon.
#[derive(Debug)]
pub(crate) enum Output {
    /// Contents that paths wait for.
    Wanted(LibraryKey, BTreeMap<ContentHash, u64>),
    /// Nothing waits for bytes: what fetches left is of no use.
    WantsNothing(LibraryKey),
    /// Contents that a mirror fetches whole.
    Mirror(LibraryKey, Vec<ContentId>),
    /// Files come, and there is no sync target.
    NeedsTarget(LibraryKey),
    /// Its state changed: peers are to hear of it.
    Changed(LibraryKey),
}

/// A library that works.
#[derive(Clone)]
pub(crate) struct LibraryHandle {
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) state: watch::Receiver<LibraryState>,
    /// Contents of libraries with a greater one are fetched first.
    pub(crate) priority: i8,
    pub(crate) limits: Limits,
    pub(crate) index_path: PathBuf,
    pub(crate) places: Arc<LibraryPlaces>,
    pub(crate) stop: Arc<AtomicBool>,
    /// Where contents are fetched into; nothing while there is no sync target.
    pub(crate) fetched: watch::Receiver<Option<FetchedFolder>>,
    pub(crate) keys: Arc<LibraryKeys>,
    /// Whether contents are fetched whole, whoever wants what of them.
    pub(crate) is_mirror: watch::Receiver<bool>,
}

/// A folder that contents are fetched into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FetchedFolder {
    pub(crate) dir: PathBuf,
    /// Bytes that stay free on its disk.
    pub(crate) min_free: u64,
}

/// What a worker is started with.
pub(crate) struct Start {
    pub(crate) settings: LibrarySettings,
    pub(crate) folder: PathBuf,
    pub(crate) key: SigningKey,
    pub(crate) authors: BTreeSet<NodeId>,
    pub(crate) outputs: mpsc::Sender<Output>,
}

/// Starts a library. The worker ends when its handle's inputs are closed and `stop` is set.
pub(crate) fn start(start: Start) -> Result<(LibraryHandle, tokio::task::JoinHandle<()>), LibraryError> {
    let stop = Arc::new(AtomicBool::new(false));
    let Start { settings, folder, key, authors, outputs } = start;
    let opening = Opening { settings, folder, key, stop: Arc::clone(&stop) };
    let mut session = Session::open(opening)?;
    session.set_policy(&authors)?;
    let library = session.signer.library;
    let (inputs, input_queue) = mpsc::channel(INPUTS_WAITING_MAX);
    let known = LibraryState {
        policy: session.signer.policy,
        is_policy_taken_over: session.settings.policy.is_none(),
        ..LibraryState::default()
    };
    let (state, state_watch) = watch::channel(known.clone());
    let (fetched, fetched_watch) = watch::channel(session.fetched_folder());
    let (mirror, mirror_watch) = watch::channel(session.settings.is_mirror);
    let handle = LibraryHandle {
        inputs: inputs.clone(),
        state: state_watch,
        priority: session.settings.priority,
        limits: session.settings.limits,
        index_path: session.index_path(),
        places: Arc::clone(&session.places),
        stop: Arc::clone(&stop),
        fetched: fetched_watch,
        keys: Arc::clone(&session.signer.keys),
        is_mirror: mirror_watch,
    };
    let carrying = Carrying::of(session.book.carried_lens()?, carried_len_of_test());
    let mut worker = Worker {
        mounts: watch::Sender::new(session.settings.mounts.clone()),
        scrub_days: watch::Sender::new(session.settings.scrub_days),
        session,
        library,
        authors,
        inputs: input_queue,
        hints: inputs.downgrade(),
        outputs,
        state,
        fetched,
        mirror,
        stop,
        watchers: Watchers::default(),
        known,
        approved_here: false,
        figured_at: None,
        ticked_at: Some(clock::moment()),
        pruned_at: None,
        looked_at: None,
        is_complete_look_due: true,
        has_new_votes: true,
        has_new_versions: true,
        false_contents: BTreeSet::new(),
        carrying,
    };
    let scrub = Scrub {
        index: handle.index_path.clone(),
        folder: worker.session.folder.clone(),
        mounts: worker.mounts.subscribe(),
        days: worker.scrub_days.subscribe(),
        stop: Arc::clone(&handle.stop),
        inputs: worker.hints.clone(),
    };
    let spawned = std::thread::Builder::new().name("scrub".to_owned()).spawn(move || scrub.run());
    if let Err(error) = spawned {
        tracing::warn!(%error, "files are not read again");
    }
    let runtime = tokio::runtime::Handle::current();
    let task = tokio::task::spawn_blocking(move || worker.run(&runtime));
    Ok((handle, task))
}

struct Worker {
    session: Session,
    library: LibraryKey,
    authors: BTreeSet<NodeId>,
    inputs: mpsc::Receiver<Input>,
    /// For watchers: it does not keep the queue open.
    hints: mpsc::WeakSender<Input>,
    outputs: mpsc::Sender<Output>,
    state: watch::Sender<LibraryState>,
    fetched: watch::Sender<Option<FetchedFolder>>,
    mirror: watch::Sender<bool>,
    mounts: watch::Sender<Vec<MountSpec>>,
    scrub_days: watch::Sender<u32>,
    stop: Arc<AtomicBool>,
    watchers: Watchers,
    known: LibraryState,
    /// Somebody said yes to the deletions that this disk shows.
    approved_here: bool,
    figured_at: Option<Instant>,
    /// When what is due now and then was done last.
    ticked_at: Option<Instant>,
    /// When expired versions were looked for last.
    pruned_at: Option<Instant>,
    /// When everything was looked at last.
    looked_at: Option<Instant>,
    is_complete_look_due: bool,
    /// Votes came since they were counted last.
    has_new_votes: bool,
    /// Versions came since it was looked last whether proposals would still change anything.
    has_new_versions: bool,
    /// What came and is not what its commit names: it is not asked for again before the next start.
    false_contents: BTreeSet<ContentHash>,
    carrying: Carrying,
}

/// What a batch of inputs calls for.
#[derive(Default)]
struct Due {
    pass: bool,
    look: Option<Places>,
    tally: bool,
    /// Something was told, so that others may have to hear of it.
    is_news: bool,
}

/// Where to look.
enum Places {
    Everywhere,
    At(BTreeSet<TreePath>),
}

impl Due {
    fn look(&mut self, places: Option<Vec<TreePath>>) {
        self.pass = true;
        let places = match (self.look.take(), places) {
            (Some(Places::Everywhere), _) | (_, None) => Places::Everywhere,
            (None, Some(places)) => Places::At(places.into_iter().collect()),
            (Some(Places::At(mut known)), Some(places)) => {
                known.extend(places);
                if known.len() > PLACES_MAX { Places::Everywhere } else { Places::At(known) }
            }
        };
        self.look = Some(places);
    }
}

impl Worker {
    fn run(&mut self, runtime: &tokio::runtime::Handle) {
        self.watch();
        let mut due = Due { pass: true, look: Some(Places::Everywhere), tally: true, is_news: true };
        let begun = self.look_after_keys(&mut due).and_then(|()| self.take_all_carried(&mut due));
        if let Err(error) = begun {
            self.trouble(&error);
        }
        loop {
            let has_worked = self.work(&due).unwrap_or_else(|error| {
                self.trouble(&error);
                self.is_complete_look_due = true;
                true
            });
            if has_worked || due.is_news || self.known.are_figures_old {
                self.publish();
            }
            due = Due::default();
            let wait = match self.known.trouble {
                _ if self.known.are_figures_old => FIGURES_INTERVAL,
                None if self.is_complete_look_due => COMPLETE_LOOK_PAUSE,
                Some(_) => TROUBLE_PAUSE,
                None => TICK,
            };
            let first = runtime.block_on(async { tokio::time::timeout(wait, self.inputs.recv()).await });
            match first {
                Ok(None) => return,
                Err(_) if self.stop.load(Ordering::Relaxed) => return,
                // What is due then is done in any case.
                Err(_) if self.known.are_figures_old => {}
                Err(_) => self.on_tick(&mut due),
                Ok(Some(input)) => self.take_some(input, &mut due),
            }
            // Inputs without a pause do not put off what is due now and then.
            if self.ticked_at.is_none_or(|at| at.elapsed() >= TICK) {
                self.on_tick(&mut due);
            }
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Takes what waits, up to what one pass is made for.
    fn take_some(&mut self, first: Input, due: &mut Due) {
        due.is_news = true;
        let (mut input, mut taken, mut records_len) = (first, 0, 0);
        loop {
            if let Input::Commit(commit) = &input {
                records_len += commit.encoded_records().len();
            }
            self.take_noting(input, due);
            taken += 1;
            if taken == INPUTS_AT_ONCE || records_len >= RECORDS_LEN_AT_ONCE {
                return;
            }
            let Ok(next) = self.inputs.try_recv() else { return };
            input = next;
        }
    }

    fn on_tick(&mut self, due: &mut Due) {
        self.ticked_at = Some(clock::moment());
        due.tally = true;
        // No event tells that another disk was mounted over a folder.
        let has_gone = self.session.overlay.check(&[]).is_err();
        if has_gone || self.known.trouble.is_some() || self.is_complete_look_due {
            due.look(None);
        }
        if !self.known.refused.is_empty() {
            due.pass = true;
        }
        if !self.session.covered.is_empty() {
            due.look(Some(self.session.covered.iter().cloned().collect()));
        }
        if self.wants_nothing() {
            // What was overtaken by a later version on its way, too.
            self.session.arrivals.release_fetched();
            self.say(Output::WantsNothing(self.library));
        } else if let Ok(parked) = self.session.book.parked_contents(None, WANTED_AGAIN_MAX) {
            // A fetch that ended otherwise begins anew; for the others it is no news.
            let is_true = |hash: &ContentHash| !self.false_contents.contains(hash);
            let wanted = parked.into_iter().filter(is_true).map(|hash| (hash, 0)).collect::<BTreeMap<_, _>>();
            if !wanted.is_empty() && !self.session.settings.is_paused {
                self.say(Output::Wanted(self.library, wanted));
            }
        }
    }

    /// An index that cannot be read says so at the next look.
    fn wants_nothing(&self) -> bool {
        let is_quiet =
            self.known.trouble.is_none() && self.known.refused.is_empty() && self.known.conflicts == 0;
        is_quiet && self.session.book.parked_contents(None, 1).is_ok_and(|parked| parked.is_empty())
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

    fn take_noting(&mut self, input: Input, due: &mut Due) {
        if let Err(error) = self.take(input, due) {
            self.trouble(&error);
        }
    }

    fn take(&mut self, input: Input, due: &mut Due) -> Result<(), LibraryError> {
        match input {
            Input::Commit(commit) => self.take_commit(&commit, due)?,
            Input::Votes(votes) => self.take_votes(&votes, due)?,
            Input::Grants(grants) => {
                if self.session.take_grants(&grants, &self.authors)? {
                    self.look_after_keys(due)?;
                }
            }
            Input::Heard { is_sealed } => {
                due.pass |= !self.session.is_heard;
                self.session.is_heard = true;
                if is_sealed {
                    self.session.signer.keys.require();
                }
            }
            Input::Arrived(hashes, store) if self.session.settings.is_mirror => {
                self.session.keep(&hashes, &store)
            }
            Input::Completed(content, store) => self.session.note_mirrored(content, &store)?,
            Input::Arrived(hashes, store) => {
                self.known.fetch_trouble = None;
                self.false_contents.extend(hashes.iter().copied());
                let hashes = self.session.proven(hashes, &store)?;
                self.false_contents.retain(|hash| !hashes.contains(hash));
                for hash in &hashes {
                    self.session.arrivals.insert(*hash, &store);
                }
                // A conflict may have waited for them.
                due.pass |= self.session.book.unpark(&hashes)? > 0 || self.known.conflicts > 0;
            }
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
            Input::Settings(settings) => {
                self.session.set_settings(*settings)?;
                self.set_policy(due)?;
                self.fetched.send_replace(self.session.fetched_folder());
                self.mirror.send_replace(self.session.settings.is_mirror);
                self.look_after_keys(due)?;
                self.mounts.send_replace(self.session.settings.mounts.clone());
                self.scrub_days.send_replace(self.session.settings.scrub_days);
                self.watch();
                self.known.trouble = None;
                due.tally = true;
                due.look(None);
            }
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
        }
        Ok(())
    }

    fn take_commit(&mut self, commit: &Commit, due: &mut Due) -> Result<(), LibraryError> {
        let author = commit.header().author;
        match self.session.book.place_of(commit)? {
            Stored::Next => {}
            Stored::Known | Stored::Gap => return Ok(()),
            Stored::Equivocation => {
                if self.known.equivocators.insert(author) {
                    tracing::warn!(
                        author = author.short(),
                        seq = commit.header().seq,
                        "an author signed two histories: nothing more is taken from it"
                    );
                }
                return Ok(());
            }
        }
        if self.known.equivocators.contains(&author) {
            return Ok(());
        }
        if commit.is_of_the_future(clock::now_ms()) {
            tracing::debug!(author = author.short(), "a commit is of the far future: it is not taken yet");
            return Ok(());
        }
        let counts = self.authors.contains(&author);
        if !counts && commit.header().seq == 1 && self.has_all_strangers()? {
            tracing::debug!(
                author = author.short(),
                "a commit of a stranger is not kept: there are as many as may be"
            );
            return Ok(());
        }
        if !counts && !self.carrying.takes(author, commit.encoded_len() as u64) {
            if self.known.full.insert(author) {
                tracing::warn!(
                    author = author.short(),
                    "no more commits of an author that does not count here are kept"
                );
            }
            return Ok(());
        }
        let taken = self.session.take(commit, counts)?;
        self.has_new_versions |= counts;
        due.pass |= taken.changed > 0 || taken.disputed > 0;
        due.tally |= taken.held > 0;
        Ok(())
    }

    /// Whether no further author that does not count is carried: those that count find room in any case.
    fn has_all_strangers(&self) -> Result<bool, LibraryError> {
        let known = self.session.book.frontier()?;
        Ok(known.iter().filter(|(author, ..)| !self.authors.contains(author)).count()
            >= STRANGERS_CARRIED_MAX)
    }

    fn set_authors(&mut self, authors: BTreeSet<NodeId>, due: &mut Due) -> Result<(), LibraryError> {
        for author in authors.difference(&self.authors.clone()) {
            due.pass |= self.session.take_carried(author)? > 0;
        }
        due.tally = true;
        self.carrying.forget(&authors);
        self.known.full.clone_from(self.carrying.full());
        self.authors = authors;
        self.set_policy(due)?;
        self.look_after_keys(due)
    }

    /// Takes and gives keys, and takes the commits that a new key opens.
    fn look_after_keys(&mut self, due: &mut Due) -> Result<(), LibraryError> {
        if self.session.look_after_keys(&self.authors)? {
            self.take_all_carried(due)?;
            due.pass = true;
        }
        Ok(())
    }

    fn take_all_carried(&mut self, due: &mut Due) -> Result<(), LibraryError> {
        for author in self.authors.clone() {
            due.pass |= self.session.take_carried(&author)? > 0;
        }
        Ok(())
    }

    fn set_policy(&mut self, due: &mut Due) -> Result<(), LibraryError> {
        let has_changed = self.session.set_policy(&self.authors)?;
        (due.tally, due.pass) = (due.tally || has_changed, due.pass || has_changed);
        self.known.policy = self.session.signer.policy;
        self.known.is_policy_taken_over = self.session.settings.policy.is_none();
        Ok(())
    }

    fn take_votes(&mut self, votes: &[SignedVote], due: &mut Due) -> Result<(), LibraryError> {
        for signed in votes {
            due.tally |= self.keep_vote(signed)?;
        }
        Ok(())
    }

    /// Keeps a vote about a commit that is known. Returns whether it says anything new.
    fn keep_vote(&mut self, signed: &SignedVote) -> Result<bool, LibraryError> {
        let id = signed.vote().subject.commit;
        let Some(bytes) = self.session.book.commit_by_id(&id)? else { return Ok(false) };
        let need = Need { votes: 0, cause: Cause::Bulk };
        let proposal = Proposal::of(&Commit::decode(bytes)?, need, &self.session.signer.policy);
        let trusted = |node: &NodeId| self.authors.contains(node);
        let known = self.votes_about(&id)?;
        let mut set = VoteSet::default();
        for vote in known.iter().cloned() {
            let _ = set.take(&proposal, vote, &trusted);
        }
        if set.take(&proposal, signed.clone(), &trusted) != VoteTaken::New {
            return Ok(false);
        }
        let kept = |voter: &NodeId| -> Vec<Bytes> { set.of(voter).map(SignedVote::encode).collect() };
        // One that made room goes.
        let gone = known.iter().map(|vote| vote.vote().voter).filter(|voter| set.of(voter).next().is_none());
        for voter in gone.chain([signed.vote().voter]) {
            self.session.book.put_votes(&id, &voter, &kept(&voter))?;
        }
        self.has_new_votes = true;
        Ok(true)
    }

    fn votes_about(&self, id: &CommitId) -> Result<Vec<SignedVote>, LibraryError> {
        // Two of each voter at most.
        let votes = self.session.book.votes(Some(id), 2 * swarm_library::limits::VOTES_PER_PROPOSAL_MAX)?;
        Ok(votes.into_iter().filter_map(|bytes| SignedVote::decode(bytes.into()).ok()).collect())
    }

    /// What is to be done after a batch of inputs. Returns whether there was anything.
    fn work(&mut self, due: &Due) -> Result<bool, LibraryError> {
        let has_ended = (due.tally || self.has_new_versions) && self.tally()?;
        if self.session.settings.is_paused {
            return Ok(has_ended);
        }
        if self.session.settings.is_mirror {
            let lacking = self.session.unmirrored(&self.authors)?;
            if !lacking.is_empty() {
                self.say(Output::Mirror(self.library, lacking));
            }
            self.known.trouble = None;
            self.known.is_scanned = true;
            return Ok(true);
        }
        if let Some(places) = &due.look {
            self.activity("looking at the folders");
            match places {
                Places::Everywhere => {
                    self.session.look(None, false)?;
                    self.looked_at = Some(clock::moment());
                    self.is_complete_look_due = false;
                }
                Places::At(places) => {
                    let places: Vec<TreePath> = places.iter().cloned().collect();
                    self.session.look(Some(&places), false)?;
                }
            }
            self.known.is_scanned = true;
            self.known.unseen.clone_from(&self.session.unseen);
        }
        if let Some(trouble) = self.missing_history()? {
            self.known.trouble = Some(trouble);
            return Ok(true);
        }
        let is_due = due.pass || due.look.is_some() || has_ended;
        if is_due {
            let report = self.session.pass(self.approved_here)?;
            self.take_report(report);
        }
        if self.pruned_at.is_none_or(|at| at.elapsed() >= PRUNE_INTERVAL) {
            self.session.prune()?;
            self.pruned_at = Some(clock::moment());
        }
        let had_trouble = self.known.trouble.take().is_some();
        self.forget_repaired()?;
        Ok(is_due || had_trouble)
    }

    /// The trees tell what stands on the disk from now on: the next pass puts good bytes there, and keeps the bad ones as a version.
    fn take_rotten(&mut self, rotten: Vec<Rotten>, due: &mut Due) -> Result<(), LibraryError> {
        for Rotten { path, expected, found } in rotten {
            tracing::warn!(library = %self.session.settings.name, %path, "the bytes of a file are wrong, and nobody changed it");
            due.pass |= self.session.book.note_rot(&path, &expected, &found)?;
            self.known.rotten.insert(path, expected);
        }
        Ok(())
    }

    /// Forgets files that are as they should be again, or that somebody changed.
    fn forget_repaired(&mut self) -> Result<(), LibraryError> {
        let mut repaired = Vec::new();
        for (path, expected) in &self.known.rotten {
            if !self.session.book.is_wrong_at(path, expected)? {
                repaired.push(path.clone());
            }
        }
        for path in repaired {
            self.known.rotten.remove(&path);
        }
        Ok(())
    }

    /// What holds a library up whose index was lost. A node without peers goes on: nobody else has its commits.
    fn missing_history(&self) -> Result<Option<String>, LibraryError> {
        let lacking = self.session.lacking_history()?;
        let has_peers = self.authors.len() > 1;
        Ok((lacking > 0 && has_peers).then(|| {
            format!(
                "the memory of this library was lost, and {lacking} commits of this node are to come back first: start a peer that has them"
            )
        }))
    }

    fn take_report(&mut self, report: PassReport) {
        let PassReport { refused, wanted, conflicts, held, commits, .. } = report;
        self.has_new_versions |= commits > 0;
        self.approved_here &= held.is_some();
        self.known.held_here = held;
        self.known.conflicts = conflicts;
        self.known.refused = refused.into_iter().map(|(path, why)| (path.to_string(), why)).collect();
        if !wanted.is_empty() {
            self.say(Output::Wanted(self.library, wanted));
        }
        if self.session.needs_target() {
            self.say(Output::NeedsTarget(self.library));
        }
    }

    /// Counts the votes about what is held, and does what they come to. Returns whether any of it ended.
    fn tally(&mut self) -> Result<bool, LibraryError> {
        let mut has_ended = self.end_void()?;
        let (me, now_ms) = (self.session.signer.key.public(), clock::now_ms());
        let policy = self.session.signer.policy;
        // One that came to nothing is looked at again when votes come: they may have been signed in time.
        let with_ended = std::mem::take(&mut self.has_new_votes);
        for known in self.session.book.proposals(with_ended)? {
            if known.ended.is_some_and(|(end, _)| end == ProposalEnd::Approved) {
                continue;
            }
            let proposal = known.proposal(self.library, &policy);
            let votes = self.votes_about(&known.id)?;
            let trusted = |node: &NodeId| self.authors.contains(node);
            let end = match proposal.tally(&votes, &trusted, now_ms, known.seen_at_ms) {
                Outcome::Waiting { .. } => continue,
                Outcome::Approved => ProposalEnd::Approved,
                Outcome::Refused { .. } => ProposalEnd::Refused,
                Outcome::Expired => ProposalEnd::Expired,
                Outcome::Withdrawn => ProposalEnd::Withdrawn,
            };
            if end == ProposalEnd::Approved {
                self.session.take_held(&known.id)?;
            } else if known.ended.is_some() {
                continue;
            }
            // What this disk shows may not be what the view says any more: the next pass brings it back.
            self.session.book.end_proposal(&known.id, end, &me, now_ms)?;
            has_ended = true;
        }
        Ok(has_ended)
    }

    /// Ends proposals that would change nothing any more. Returns whether there were any.
    fn end_void(&mut self) -> Result<bool, LibraryError> {
        let mut has_ended = false;
        if !std::mem::take(&mut self.has_new_versions) {
            return Ok(false);
        }
        let (me, now_ms) = (self.session.signer.key.public(), clock::now_ms());
        for known in self.session.book.proposals(false)? {
            if self.session.drop_void(&known)? {
                self.session.book.end_proposal(&known.id, ProposalEnd::Superseded, &me, now_ms)?;
                has_ended = true;
            }
        }
        Ok(has_ended)
    }

    fn trouble(&mut self, error: &LibraryError) {
        let words = error.to_string();
        if self.known.trouble.as_ref() != Some(&words) {
            tracing::warn!(library = %self.session.settings.name, %error, "a library stands still");
        }
        self.known.trouble = Some(words);
    }

    fn activity(&mut self, what: &str) {
        if self.known.activity != what {
            what.clone_into(&mut self.known.activity);
            self.state.send_replace(self.known.clone());
        }
    }

    /// Tells others how the library stands.
    fn publish(&mut self) {
        let refreshed = self.refresh();
        if let Err(error) = refreshed {
            self.trouble(&error);
        }
        self.state.send_replace(self.known.clone());
        self.say(Output::Changed(self.library));
    }

    fn refresh(&mut self) -> Result<(), LibraryError> {
        let positions = self.session.book.frontier()?;
        let positions = positions.into_iter().map(|(author, seq, id)| Position { author, seq, id });
        self.known.frontier = Frontier::from_positions(positions).unwrap_or_default();
        let votes = self.session.book.votes(None, VOTES_MAX)?;
        let ids =
            votes.into_iter().filter_map(|bytes| SignedVote::decode(bytes.into()).ok()).map(|vote| vote.id());
        self.known.votes_digest = votes_digest(ids);
        self.known.is_heard = self.session.is_heard;
        let grants = self.session.book.grant_ids(GRANTS_MAX)?;
        self.known.grants_digest = (!grants.is_empty()).then(|| grants_digest(grants));
        self.known.proposals = self.session.book.proposals(false)?.len() as u64;
        self.known.waiting = self.session.book.held_of_author(&self.session.signer.key.public())?;
        let activity = if self.session.settings.is_paused { "paused" } else { "" };
        activity.clone_into(&mut self.known.activity);
        let is_due = self.figured_at.is_none_or(|at| at.elapsed() >= FIGURES_INTERVAL);
        if is_due {
            self.known.figures = self.session.book.figures()?;
            self.known.conflicts_elsewhere = if self.known.figures.disputed > 0 {
                self.session.disputes_elsewhere()?.len() as u64
            } else {
                0
            };
            self.known.strangers = self.session.look_at_strangers(&self.authors, &self.known.strangers)?;
            self.known.left_to_decide =
                if self.known.conflicts > 0 { self.session.left_to_decide()? } else { LeftToDo::default() };
            self.figured_at = Some(clock::moment());
        }
        self.known.are_figures_old = !is_due;
        Ok(())
    }

    /// The rest of the daemon takes outputs for as long as it lives.
    fn say(&self, output: Output) {
        let _ = self.outputs.blocking_send(output);
    }

    fn watch(&mut self) {
        self.watchers = Watchers::start(&self.session.watched(), &self.hints);
        for trouble in self.watchers.troubles() {
            tracing::warn!(library = %self.session.settings.name, "{trouble}");
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
                    self.say(Output::Wanted(self.library, BTreeMap::from([wanted])));
                }
                Ok(Answer::Texts(Box::new(texts)))
            }
            Question::ConflictSide { path, is_local, out } => {
                let (answer, wanted) = self.session.conflict_side(&path, is_local, &out)?;
                if let Some(wanted) = wanted {
                    self.say(Output::Wanted(self.library, BTreeMap::from([wanted])));
                }
                Ok(answer)
            }
            Question::Explain { path } => {
                let mut view = self.session.explain(&path)?;
                view.replaced_by = self.known.strangers.replaced.get(&path).map(NodeId::to_string);
                Ok(Answer::Explain(Box::new(view)))
            }
            other => super::ask::answer(&mut self.session, &self.authors, other, due_pass(due)),
        }
    }

    fn vote(
        &mut self,
        prefix: &str,
        verdict: Verdict,
        why: &str,
        due: &mut Due,
    ) -> Result<Answer, LibraryError> {
        // What has ended here may still wait elsewhere for a yes of this node.
        let proposals = self.session.book.proposals(verdict == Verdict::Yes)?;
        let found: Vec<_> =
            proposals.iter().filter(|known| known.id.to_string().starts_with(prefix)).collect();
        let [known] = found.as_slice() else {
            let count = found.len();
            return Ok(Answer::refused(format!(
                "{count} proposals begin with `{prefix}`: see `swarm approvals`"
            )));
        };
        if known.ended.is_some_and(|(end, _)| end == ProposalEnd::Superseded) {
            return Ok(Answer::refused(
                "nothing is left of this proposal: what it is about changed since, or was done already"
                    .to_owned(),
            ));
        }
        let me = self.session.signer.key.public();
        if verdict == Verdict::Withdrawn && known.author != me {
            return Ok(Answer::refused("only its author withdraws a proposal: refuse it instead".to_owned()));
        }
        let subject = Subject { library: self.library, commit: known.id, records_hash: known.records_hash };
        let votes = self.votes_about(&known.id)?;
        let mine = votes.iter().map(SignedVote::vote).filter(|vote| vote.voter == me);
        let after = mine.map(|vote| vote.made_at_ms + 1).max().unwrap_or(0);
        let vote =
            SignedVote::sign(&self.session.signer.key, subject, verdict, why, clock::now_ms().max(after));
        due.tally |= self.keep_vote(&vote)?;
        Ok(Answer::Done)
    }
}

fn due_pass(due: &mut Due) -> &mut bool {
    &mut due.pass
}

/// How often a library looks whether something is due.
const TICK: Duration = Duration::from_secs(5);
/// How soon a library that stands still tries again.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);
/// More places than these, and one scan of everything is cheaper.
const PLACES_MAX: usize = 10_000;
/// Contents that are asked for again at once.
const WANTED_AGAIN_MAX: usize = 1000;
/// Authors that do not count and whose commits are carried for others: half of those that peers can be told of.
const STRANGERS_CARRIED_MAX: usize = swarm_library::limits::AUTHORS_MAX / 2;
/// Bytes of the commits of one author that are carried, if a test sets it: nobody signs a hundred megabytes for one.
fn carried_len_of_test() -> Option<u64> {
    std::env::var("SWARM_TEST_CARRIED_LEN").ok()?.parse().ok()
}

/// The figures of half a million files take some 50 ms.
const FIGURES_INTERVAL: Duration = Duration::from_millis(500);
/// Votes of one library.
const VOTES_MAX: usize = 64 << 10;
/// Everything is looked at no more often than this for what watchers tell.
const COMPLETE_LOOK_PAUSE: Duration = Duration::from_secs(2);
/// How often expired versions are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);
