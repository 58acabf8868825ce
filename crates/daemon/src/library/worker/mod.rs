//! The thread of one library: takes what peers, watchers and people say, one after the other, and makes a pass when something changed.
//! Invariant: the index and the mounts of a library are changed in this thread alone.
//!
//! `handle` starts it, `input` is what it is told, `due` what that calls for; `admission` decides whose commits are taken, `voting` what votes come to,
//! `rot` minds files that rotted, `state` is what is told of it all. Absent here: what a pass does (`session`).

mod admission;
mod due;
pub(super) mod handle;
pub(super) mod input;
mod rot;
pub(super) mod state;
mod voting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use swarm_core::base::NodeId;
use swarm_library::LibraryKey;
use swarm_mounts::MountSpec;
use swarm_sync::{ContentHash, TreePath};
use tokio::sync::{mpsc, watch};

use super::carrying::Carrying;
use super::error::LibraryError;
use super::outbox::{Outbox, Output};
use super::session::Session;
use super::session::pass::PassReport;
use super::settings::LibrarySettings;
use super::watching::Watchers;
use crate::clock;
use crate::sentence::Sentence;
use due::{Due, Places};
use handle::FetchedFolder;
use input::Input;
use state::{FIGURES_INTERVAL, LOOKING, LibraryState};

struct Worker {
    session: Session,
    library: LibraryKey,
    authors: BTreeSet<NodeId>,
    inputs: mpsc::Receiver<Input>,
    /// What came has its turn before further commits, so that files are put into their places while others are fetched.
    arrived: mpsc::Receiver<Input>,
    /// For watchers: it does not keep the queue open.
    hints: mpsc::WeakSender<Input>,
    outputs: Arc<Outbox>,
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
    /// What the files say and could not be taken over.
    refused_settings: Option<LibrarySettings>,
    /// Commits that were only carried so far may count now.
    is_carried_due: bool,
    /// The number of what was handed to this worker last, and was taken.
    taken: u64,
    /// Votes came since they were counted last.
    has_new_votes: bool,
    /// The last pass was about a part of what is new: another one follows at once.
    is_part_left: bool,
    /// Versions came since it was looked last whether proposals would still change anything.
    has_new_versions: bool,
    /// What came and is not what its commit names: it is not asked for again before the next start.
    false_contents: BTreeSet<ContentHash>,
    /// The last of the contents that were told as wanted, where there are more: they are told in turn.
    wished_up_to: Option<ContentHash>,
    carrying: Carrying,
    /// The last commit of each author in the transaction that is open.
    batch: BTreeMap<NodeId, u64>,
}

impl Worker {
    fn run(&mut self, runtime: &tokio::runtime::Handle) {
        self.watch();
        let mut due =
            Due { pass: true, look: Some(Places::Everywhere), tally: true, is_news: true, wishes: false };
        if let Err(error) = self.look_after_keys(&mut due) {
            self.trouble(&error);
        }
        loop {
            let has_worked = self.work(&mut due).unwrap_or_else(|error| {
                self.trouble(&error);
                self.is_complete_look_due = true;
                true
            });
            if has_worked || due.is_news || self.known.are_figures_old {
                self.publish();
            }
            if due.wishes {
                self.tell_wishes();
            }
            due = Due { pass: self.is_part_left, ..Due::default() };
            let wait = match self.known.trouble {
                _ if self.is_part_left => Duration::ZERO,
                _ if self.known.are_figures_old => FIGURES_INTERVAL,
                None if self.is_complete_look_due => COMPLETE_LOOK_PAUSE,
                Some(_) => TROUBLE_PAUSE,
                None => TICK,
            };
            let first = runtime.block_on(async { tokio::time::timeout(wait, self.next_input()).await });
            match first {
                Ok(None) => return,
                Err(_) if self.stop.load(Ordering::Relaxed) => return,
                // What is due then is done in any case.
                Err(_) if self.known.are_figures_old || self.is_part_left => {}
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

    /// `None` when nobody holds the library any more.
    async fn next_input(&mut self) -> Option<Input> {
        tokio::select! {
            biased;
            Some(arrived) = self.arrived.recv() => Some(arrived),
            input = self.inputs.recv() => input,
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
        due.wishes = true;
    }

    /// Tells what is wanted, or that nothing is: then what came and was not used goes, too. Not before the pass that uses it.
    fn tell_wishes(&mut self) {
        if self.session.settings.is_paused {
            return;
        }
        if self.wants_nothing() {
            // What was overtaken by a later version on its way, too.
            self.session.arrivals.release_fetched();
            self.say(Output::WantsNothing(self.library));
        } else if let Ok(parked) =
            self.session.book.parked_contents(self.wished_up_to.as_ref(), WANTED_AGAIN_MAX)
        {
            // The next ones at the next time: these may be such that nobody has.
            self.wished_up_to = parked.last().copied().filter(|_| parked.len() == WANTED_AGAIN_MAX);
            // A fetch that ended otherwise begins anew; for the others it is no news.
            let is_true = |hash: &ContentHash| !self.false_contents.contains(hash);
            let wanted = parked.into_iter().filter(is_true).map(|hash| (hash, 0)).collect::<BTreeMap<_, _>>();
            if !wanted.is_empty() {
                self.say(Output::Wanted(self.library, wanted, self.taken));
            }
        }
    }

    /// An index that cannot be read says so at the next look.
    fn wants_nothing(&self) -> bool {
        let is_quiet =
            self.known.trouble.is_none() && self.known.refused.is_empty() && self.known.conflicts == 0;
        is_quiet
            && !self.is_part_left
            && self.session.book.parked_contents(None, 1).is_ok_and(|parked| parked.is_empty())
    }

    /// What is to be done after a batch of inputs. Returns whether there was anything.
    fn work(&mut self, due: &mut Due) -> Result<bool, LibraryError> {
        self.is_part_left = false;
        if let Some(settings) = self.refused_settings.clone() {
            self.on_settings(settings, due)?;
        }
        if self.is_carried_due
            && let Err(error) = self.take_all_carried(due)
        {
            tracing::warn!(library = %self.session.settings.name, %error, "what was carried is not taken over");
        }
        let has_ended = (due.tally || self.has_new_versions) && self.tally()?;
        if self.session.settings.is_paused {
            return Ok(has_ended);
        }
        if self.session.settings.is_mirror {
            let lacking = self.session.unmirrored(&self.authors)?;
            if !lacking.is_empty() {
                self.say(Output::Mirror(self.library, lacking, self.taken));
            }
            self.known.trouble = None;
            (self.known.is_scanned, self.known.is_part_left) = (true, false);
            return Ok(true);
        }
        if let Some(places) = &due.look {
            self.look_at(places)?;
        }
        if let Some(trouble) = self.missing_history()? {
            self.known.trouble = Some(trouble);
            return Ok(true);
        }
        let is_due = due.pass || due.look.is_some() || has_ended;
        if is_due {
            let report = self.session.pass(self.approved_here)?;
            tracing::debug!(
                library = %self.session.settings.name,
                performed = report.performed,
                refused = report.refused.len(),
                wanted = report.wanted.len(),
                commits = report.commits,
                is_part = report.is_part,
                "made a pass"
            );
            self.take_report(report);
        }
        if self.pruned_at.is_none_or(|at| at.elapsed() >= PRUNE_INTERVAL) {
            self.session.prune()?;
            self.pruned_at = Some(clock::moment());
        }
        let has_ended_trouble = self.is_trouble_over(due) && self.known.trouble.take().is_some();
        self.forget_repaired()?;
        Ok(is_due || has_ended_trouble)
    }

    /// Whether what held the library up is gone, after work without an error: only a look at everything tells that of a folder or a disk.
    fn is_trouble_over(&self, due: &Due) -> bool {
        let is_history_back =
            self.known.trouble.as_ref().is_some_and(|trouble| trouble.has_code(HISTORY_COMES));
        matches!(due.look, Some(Places::Everywhere)) || is_history_back
    }

    fn look_at(&mut self, places: &Places) -> Result<(), LibraryError> {
        self.activity(LOOKING);
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
        Ok(())
    }

    /// What holds a library up whose index was lost. A node without peers goes on: nobody else has its commits.
    fn missing_history(&self) -> Result<Option<Sentence>, LibraryError> {
        let lacking = self.session.lacking_history()?;
        let has_peers = self.authors.len() > 1;
        Ok((lacking > 0 && has_peers).then(|| {
            let text = format!(
                "the memory of this library was lost, and {lacking} commits of this node are to come back first: start a peer that has them"
            );
            Sentence::new(HISTORY_COMES, [("n", &lacking)], text)
        }))
    }

    fn take_report(&mut self, report: PassReport) {
        let PassReport { refused, wanted, conflicts, held, commits, is_part, .. } = report;
        self.is_part_left = is_part;
        self.known.is_part_left = is_part;
        self.has_new_versions |= commits > 0;
        self.approved_here &= held.is_some();
        self.known.held_here = held;
        self.known.conflicts = conflicts;
        self.known.refused = refused.into_iter().map(|(path, why)| (path.to_string(), why)).collect();
        if !wanted.is_empty() {
            self.say(Output::Wanted(self.library, wanted, self.taken));
        }
        if self.session.needs_target() {
            self.say(Output::NeedsTarget(self.library));
        }
    }

    fn say(&self, output: Output) {
        self.outputs.put(output);
    }

    fn watch(&mut self) {
        self.watchers = Watchers::start(&self.session.watched(), &self.hints);
        for trouble in self.watchers.troubles() {
            tracing::warn!(library = %self.session.settings.name, "{trouble}");
        }
    }
}

/// How often a library looks whether something is due.
const TICK: Duration = Duration::from_secs(5);
/// How soon a library that stands still tries again.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);
/// Trouble that ends as soon as commits came.
const HISTORY_COMES: &str = "history-comes";
/// Contents that are asked for again at one time.
const WANTED_AGAIN_MAX: usize = 1000;

/// Everything is looked at no more often than this for what watchers tell.
const COMPLETE_LOOK_PAUSE: Duration = Duration::from_secs(2);
/// How often expired versions are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);
