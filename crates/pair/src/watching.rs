//! Keeps a pair the same while its folders change. A watcher tells where to look, and a scan of that place tells what changed.
//! Places are gathered until nothing happens for a moment; one that never rests is looked at all the same.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use swarm_files::{FolderWatcher, Hint};
use swarm_sync::{Blind, BlindWhy, IGNORE_FILE_NAME, PerSide, Side, Tally, TreePath, observe_side};

use crate::told::Told;
use crate::{PairError, Report, Session, SyncEvent, clock};

/// Where to look next.
#[derive(Debug, Default)]
struct Places {
    of_side: PerSide<BTreeSet<TreePath>>,
    everything: bool,
    /// Why some folders of a side are not watched any more.
    unwatched: Vec<(Side, String)>,
    /// When the last of them was told.
    last_at: Option<Instant>,
}

/// Gathers what both watchers tell. Bounded: from some number of places on, it is everything.
#[derive(Debug, Default)]
struct Inbox {
    places: Mutex<Places>,
    is_told: Condvar,
}

impl Session {
    /// Syncs once, then after every change, until `stop` is set. `on_report` is told of each plan that was performed or is held.
    pub fn watch(
        &mut self,
        stop: &AtomicBool,
        on_event: &(dyn Fn(SyncEvent) + Sync),
        on_report: &mut dyn FnMut(&Report),
    ) -> Result<(), PairError> {
        let inbox = Arc::new(Inbox::default());
        let told = Told::default();
        let on_news = |event: SyncEvent| {
            if told.is_news(&event) {
                on_event(event);
            }
        };
        // Watched before it is scanned: what changes in between is in both, and not in neither.
        let (mut watchers, mut is_watched) = self.watch_both(&inbox, &on_news);
        let mut places = Places { everything: true, ..Places::default() };
        while !stop.load(Ordering::Relaxed) {
            if places.have_rules() {
                self.reload_rules()?;
                places.everything = true;
                // Other folders are left out now. The old watches go first: their number is limited.
                watchers.clear();
                (watchers, is_watched) = self.watch_both(&inbox, &on_news);
            }
            self.look(&places, &on_news)?;
            self.settle_differences(&told, &on_news, on_report)?;
            told.keep(&self.blind);
            on_event(SyncEvent::Idle);
            places = self.wait(&inbox, is_watched, stop)?;
            for (side, why) in std::mem::take(&mut places.unwatched) {
                is_watched = false;
                on_news(SyncEvent::NotWatched { side, why });
            }
        }
        Ok(())
    }

    /// Starts to watch both sides; also says whether all of them is watched.
    fn watch_both(
        &self,
        inbox: &Arc<Inbox>,
        on_event: &(dyn Fn(SyncEvent) + Sync),
    ) -> (Vec<FolderWatcher>, bool) {
        let mut watchers = Vec::new();
        for side in Side::BOTH {
            match self.watch_side(side, Arc::clone(inbox)) {
                Ok(watcher) => watchers.push(watcher),
                Err(why) => on_event(SyncEvent::NotWatched { side, why }),
            }
        }
        let is_watched = watchers.len() == Side::BOTH.len();
        (watchers, is_watched)
    }

    fn watch_side(&self, side: Side, inbox: Arc<Inbox>) -> Result<FolderWatcher, String> {
        let ignore = self.ignore.reader();
        let is_ignored = Arc::new(move |path: &TreePath, is_folder: bool| ignore.is_ignored(path, is_folder));
        let started = FolderWatcher::start(self.pair.root(side), Some(is_ignored));
        let (watcher, hints) = started.map_err(|error| error.to_string())?;
        // The thread ends when the watcher is dropped.
        let gather = move || {
            while let Ok(hint) = hints.next(FULL_SCAN_INTERVAL) {
                hint.into_iter().for_each(|hint| inbox.take(side, hint));
            }
        };
        let spawned = std::thread::Builder::new().name("hints".to_owned()).spawn(gather);
        spawned.map(|_| watcher).map_err(|error| error.to_string())
    }

    /// Looks at these places, or everywhere.
    fn look(&mut self, places: &Places, on_event: &(dyn Fn(SyncEvent) + Sync)) -> Result<(), PairError> {
        if places.everything {
            self.reload_rules()?;
            return self.scan(on_event);
        }
        // A folder may have come with a file of rules, or gone with one.
        Side::BOTH
            .into_iter()
            .flat_map(|side| places.of_side.of(side))
            .for_each(|place| self.ignore.forget(place));
        let rules = self.ignore.reader();
        let is_ignored = move |path: &TreePath, is_folder: bool| rules.is_ignored(path, is_folder);
        for side in Side::BOTH {
            for place in places.of_side.of(side) {
                let observed =
                    observe_side(&mut self.bare_run(&mut |_| {}), side, Some(place), false, &is_ignored);
                let tally = observed.map_err(|error| self.ended(error))?;
                self.take_tally_of(side, place, tally, on_event);
            }
        }
        Ok(())
    }

    fn take_tally_of(
        &mut self,
        side: Side,
        place: &TreePath,
        tally: Tally,
        on_event: &(dyn Fn(SyncEvent) + Sync),
    ) {
        for Blind { path, why } in tally.blind.iter().cloned() {
            on_event(SyncEvent::Blind { side, path, why });
        }
        for (shown, why) in tally.unnamed {
            on_event(SyncEvent::Unnamed { side, shown, why });
        }
        let blind = self.blind.of_mut(side);
        blind.retain(|known| !known.path.is_at_or_below(place));
        blind.extend(tally.blind);
    }

    fn settle_differences(
        &mut self,
        told: &Told,
        on_event: &(dyn Fn(SyncEvent) + Sync),
        on_report: &mut dyn FnMut(&Report),
    ) -> Result<(), PairError> {
        let proposal = self.propose()?;
        let summary = crate::Summary::of(&proposal.plan);
        let is_new = told.is_new_plan(&proposal.plan);
        if proposal.plan.is_empty() && proposal.plan.agreed.is_empty() {
            return Ok(());
        }
        if is_new {
            on_event(SyncEvent::Planned(summary));
        }
        let report = if summary.held.is_some() {
            Report { planned: summary, conflicts: summary.conflicts, ..Report::default() }
        } else {
            self.carry_out(&proposal, on_event)?
        };
        on_report(&report);
        Ok(())
    }

    /// Waits until something is told, and then until nothing more is. Ends early for a decision that another process noted, and in time
    /// for a full scan.
    fn wait(&mut self, inbox: &Inbox, is_watched: bool, stop: &AtomicBool) -> Result<Places, PairError> {
        inbox.put_back(self.unsettled());
        let patience = if is_watched { FULL_SCAN_INTERVAL } else { UNWATCHED_INTERVAL };
        let (began, version) = (clock::moment(), self.index.data_version()?);
        while !stop.load(Ordering::Relaxed) {
            if let Some(places) = inbox.wait(TICK) {
                return Ok(places);
            }
            if clock::moment() - began >= patience {
                return Ok(Places { everything: true, ..Places::default() });
            }
            if self.index.data_version()? != version {
                break;
            }
        }
        Ok(Places::default())
    }

    /// Files that were written to while they were read.
    fn unsettled(&self) -> Places {
        let changing = |side: Side| {
            let blind = self.blind.of(side).iter();
            blind
                .filter(|blind| blind.why == BlindWhy::Changing)
                .map(|Blind { path, .. }| path.clone())
                .collect()
        };
        Places { of_side: PerSide::each(changing), ..Places::default() }
    }
}

impl Inbox {
    fn take(&self, side: Side, hint: Hint) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.take(side, hint);
        places.last_at = Some(clock::moment());
        drop(places);
        self.is_told.notify_one();
    }

    fn put_back(&self, unsettled: Places) {
        if unsettled.is_empty() {
            return;
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        for side in Side::BOTH {
            places.of_side.of_mut(side).extend(unsettled.of_side.of(side).iter().cloned());
        }
        places.last_at = Some(clock::moment());
    }

    /// What was told, once nothing more was for a moment; `None` if nothing is told within the pause.
    fn wait(&self, pause: Duration) -> Option<Places> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.is_told.wait_timeout_while(places, pause, |places| places.is_empty());
        let (mut places, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if places.is_empty() {
            return None;
        }
        let first = clock::moment();
        loop {
            let now = clock::moment();
            let rest = places.last_at.map_or(Duration::ZERO, |last| SETTLE.saturating_sub(now - last));
            if rest.is_zero() || now - first >= SETTLE_MAX {
                return Some(std::mem::take(&mut *places));
            }
            places = self.is_told.wait_timeout(places, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Places {
    fn is_empty(&self) -> bool {
        !self.everything
            && self.of_side.local.is_empty()
            && self.of_side.remote.is_empty()
            && self.unwatched.is_empty()
    }

    /// Whether a file of rules is among them.
    fn have_rules(&self) -> bool {
        let mut places = Side::BOTH.into_iter().flat_map(|side| self.of_side.of(side));
        places.any(|place| place.name() == IGNORE_FILE_NAME)
    }

    fn take(&mut self, side: Side, hint: Hint) {
        match hint {
            Hint::Place(place) => {
                let places = self.of_side.of_mut(side);
                // A folder that is looked at is looked at with all below it.
                if !place.ancestors().any(|above| places.contains(&above)) {
                    places.insert(place);
                }
                self.everything |= self.of_side.of(side).len() > PLACES_MAX;
            }
            Hint::Everything => self.everything = true,
            Hint::CannotWatch(why) => self.unwatched.push((side, why.to_string())),
        }
    }
}

/// Time without a further hint after which places are looked at.
const SETTLE: Duration = Duration::from_millis(50);
/// A place that never rests is looked at after this time.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// How often a stop, or a decision of another process, is looked for.
const TICK: Duration = Duration::from_millis(500);
/// A watcher may miss what no event names: everything is looked at once in this time.
const FULL_SCAN_INTERVAL: Duration = Duration::from_secs(3600);
/// The same where folders cannot be watched.
const UNWATCHED_INTERVAL: Duration = Duration::from_secs(60);
/// More places than these, and one scan of everything is cheaper.
const PLACES_MAX: usize = 10_000;
