//! What workers ask of the rest of the daemon, until it is taken. Invariant: a worker never waits for whoever takes it, because that one may be
//! waiting for the worker; of each library there is one entry, in which what is said later replaces or joins what was said before. What finds no room
//! in it is said again by the worker's tick.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use swarm_core::base::ContentId;
use swarm_library::LibraryKey;
use swarm_sync::ContentHash;
use tokio::sync::Notify;

use crate::limits::WANTED_WAITING_MAX;

/// What a worker asks of the rest of the daemon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Contents that paths wait for; what was handed to the worker up to this number was taken before.
    Wanted(LibraryKey, BTreeMap<ContentHash, u64>, u64),
    /// Nothing waits for bytes: what fetches left is of no use.
    WantsNothing(LibraryKey),
    /// Contents that a mirror fetches whole; likewise.
    Mirror(LibraryKey, Vec<ContentId>, u64),
    /// Files come, and there is no sync target.
    NeedsTarget(LibraryKey),
    /// Its state changed: peers are to hear of it.
    Changed(LibraryKey),
}

/// Many put something in, one takes it out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    said: Mutex<All>,
    news: Notify,
}

#[derive(Debug, Default)]
struct All {
    said: BTreeMap<LibraryKey, Said>,
    /// Libraries of which something was said, the one that waits longest first.
    order: VecDeque<LibraryKey>,
}

/// What one library said and nobody took yet.
#[derive(Debug, Default)]
struct Said {
    /// Before what is wanted now.
    wants_nothing: bool,
    wanted: Option<(BTreeMap<ContentHash, u64>, u64)>,
    mirror: Option<(Vec<ContentId>, u64)>,
    needs_target: bool,
    has_changed: bool,
}

impl Outbox {
    /// Says something, at once.
    pub(crate) fn put(&self, output: Output) {
        self.lock().put(output);
        self.news.notify_one();
    }

    /// All that the library said which waits longest. To be cancelled by dropping the future.
    pub(crate) async fn next(&self) -> Vec<Output> {
        loop {
            if let Some(outputs) = self.take() {
                return outputs;
            }
            self.news.notified().await;
        }
    }

    fn take(&self) -> Option<Vec<Output>> {
        let mut all = self.lock();
        let library = all.order.pop_front()?;
        Some(all.said.remove(&library)?.outputs(library))
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn put(&mut self, output: Output) {
        let library = output.library();
        let Self { said, order } = self;
        let said = said.entry(library).or_insert_with(|| {
            order.push_back(library);
            Said::default()
        });
        match output {
            Output::Wanted(_, wanted, taken) => said.want(wanted, taken),
            Output::WantsNothing(_) => (said.wants_nothing, said.wanted) = (true, None),
            Output::Mirror(_, contents, taken) => said.mirror = Some((contents, taken)),
            Output::NeedsTarget(_) => said.needs_target = true,
            Output::Changed(_) => said.has_changed = true,
        }
    }
}

impl Said {
    /// Of two wishes, the earlier one says what the worker had seen: what came since then is fetched by neither.
    fn want(&mut self, wanted: BTreeMap<ContentHash, u64>, taken: u64) {
        let (known, seen) = self.wanted.get_or_insert_with(|| (BTreeMap::new(), taken));
        *seen = taken.min(*seen);
        for (hash, len) in wanted {
            if known.len() < WANTED_WAITING_MAX || known.contains_key(&hash) {
                // A wish that is told again says no length.
                let known = known.entry(hash).or_default();
                *known = len.max(*known);
            }
        }
    }

    fn outputs(self, library: LibraryKey) -> Vec<Output> {
        let Self { wants_nothing, wanted, mirror, needs_target, has_changed } = self;
        let nothing = wants_nothing.then_some(Output::WantsNothing(library));
        let wanted = wanted.map(|(wanted, taken)| Output::Wanted(library, wanted, taken));
        let mirror = mirror.map(|(contents, taken)| Output::Mirror(library, contents, taken));
        let target = needs_target.then_some(Output::NeedsTarget(library));
        let changed = has_changed.then_some(Output::Changed(library));
        [nothing, wanted, mirror, target, changed].into_iter().flatten().collect()
    }
}

impl Output {
    fn library(&self) -> LibraryKey {
        match self {
            Self::Wanted(library, ..)
            | Self::WantsNothing(library)
            | Self::Mirror(library, ..)
            | Self::NeedsTarget(library)
            | Self::Changed(library) => *library,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(number: u8) -> LibraryKey {
        LibraryKey::from_slice(&[number; 32]).expect("32 bytes")
    }

    fn wanted(files: &[u8], taken: u64) -> Output {
        let files = files.iter().map(|file| (ContentHash([*file; 32]), 0));
        Output::Wanted(library(1), files.collect(), taken)
    }

    #[tokio::test]
    async fn what_is_said_later_joins_or_replaces_what_nobody_took_yet() {
        let (one, content) = (library(1), ContentId::from_bytes([3; 32]));
        let outbox = Outbox::default();
        let all = [
            wanted(&[1], 7),
            Output::WantsNothing(one),
            wanted(&[2], 8),
            Output::Mirror(one, Vec::new(), 7),
            Output::Changed(one),
            wanted(&[3], 9),
            Output::Mirror(one, vec![content], 9),
            Output::Changed(one),
        ];
        all.into_iter().for_each(|output| outbox.put(output));
        let expected = [
            Output::WantsNothing(one),
            wanted(&[2, 3], 8),
            Output::Mirror(one, vec![content], 9),
            Output::Changed(one),
        ];
        assert_eq!(outbox.next().await, expected);
        assert_eq!(outbox.take(), None);
    }

    #[tokio::test]
    async fn libraries_take_turns_and_a_sleeper_is_woken() {
        let outbox = std::sync::Arc::new(Outbox::default());
        for number in [2, 1, 2] {
            outbox.put(Output::Changed(library(number)));
        }
        assert_eq!(outbox.next().await, [Output::Changed(library(2))]);
        outbox.put(Output::Changed(library(2)));
        assert_eq!(outbox.next().await, [Output::Changed(library(1))]);
        assert_eq!(outbox.next().await, [Output::Changed(library(2))]);
        let known = std::sync::Arc::clone(&outbox);
        let saying = async {
            tokio::task::yield_now().await;
            known.put(Output::NeedsTarget(library(1)));
        };
        let (taken, ()) = tokio::join!(outbox.next(), saying);
        assert_eq!(taken, [Output::NeedsTarget(library(1))]);
    }

    /// A wish that is told again names no length.
    #[tokio::test]
    async fn the_length_of_a_wish_stays_known() {
        let outbox = Outbox::default();
        let wish = |len| Output::Wanted(library(1), BTreeMap::from([(ContentHash([1; 32]), len)]), 7);
        outbox.put(wish(40));
        outbox.put(wish(0));
        assert_eq!(outbox.next().await, [wish(40)]);
    }

    #[tokio::test]
    async fn wishes_that_nobody_takes_are_bounded() {
        let outbox = Outbox::default();
        for number in 0..WANTED_WAITING_MAX as u64 + 10 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            outbox.put(Output::Wanted(library(1), BTreeMap::from([(ContentHash(hash), 1)]), 1));
        }
        let taken = outbox.next().await;
        let [Output::Wanted(_, wanted, 1)] = taken.as_slice() else { panic!("{taken:?}") };
        assert_eq!(wanted.len(), WANTED_WAITING_MAX);
    }
}
