//! Whether the bytes of a file can come, as far as this node knows: by what the engine says of the content that carries the file, and by how long
//! nothing of it came although peers were asked. What peers do not tell is not guessed: one that is away may have the bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use swarm_core::base::ContentId;
use swarm_engine::{Bottleneck, ContentSnapshot};
use swarm_library::LibraryKey;
use swarm_sync::ContentHash;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::Contents;
use super::steering::Hold;
use crate::clock;

/// How it stands with bytes that a path waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Supply {
    /// They come.
    Coming,
    /// Peers are asked, and it is not known yet whether one has them.
    Asked {
        /// For how long nothing came.
        seconds: u64,
    },
    /// Other files are fetched first.
    Queued {
        /// Commits whose files are fetched before.
        ahead: u64,
    },
    /// No linked peer has them.
    Nobody {
        /// For how long nothing came although peers were asked.
        seconds: u64,
    },
    /// Somebody paused the transfer, or its library.
    Paused,
    /// Somebody cancelled the transfer.
    Cancelled,
    /// Fetching them failed on this machine: it is tried again.
    Failing,
}

/// What no linked peer has, of a library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lacking {
    /// Commits with files that wait for it.
    pub(crate) commits: u64,
    /// For how long nothing came of the first of them.
    pub(crate) seconds: u64,
}

/// What peers are asked for.
pub(super) struct Sought {
    pub(super) library: LibraryKey,
    /// When they were asked first, or more of it came.
    since: Instant,
    /// Bytes of it that had come by then.
    verified_len: u64,
}

/// How a content stands with those who fetch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// It is fetched.
    Fetched,
    /// So many contents have their turn before.
    Waits { ahead: usize },
    /// It failed.
    Failed,
}

impl Supply {
    /// What is known. `quiet` is for how long nothing came although peers were asked; nothing if they were not.
    pub(super) fn of(turn: Turn, bottleneck: Option<&Bottleneck>, quiet: Option<Duration>) -> Self {
        let is_late = quiet.is_some_and(|quiet| quiet >= PATIENCE);
        let seconds = quiet.unwrap_or_default().as_secs();
        match (turn, bottleneck) {
            (Turn::Failed, _) => Self::Failing,
            // What waits again had its turn, and gave way to others because nothing came.
            (Turn::Waits { .. }, _)
            | (
                Turn::Fetched,
                Some(
                    Bottleneck::NoPeer(_)
                    | Bottleneck::AllDeclined
                    | Bottleneck::NoManifest
                    | Bottleneck::NoPeerHas(_),
                ),
            ) if is_late => Self::Nobody { seconds },
            (Turn::Waits { ahead }, _) => Self::Queued { ahead: ahead as u64 },
            (Turn::Fetched, Some(Bottleneck::AllChoked | Bottleneck::Disk)) => Self::Coming,
            // Late, it may be another content that moves.
            (Turn::Fetched, Some(Bottleneck::None)) if !is_late => Self::Coming,
            (Turn::Fetched, _) => Self::Asked { seconds },
        }
    }
}

impl Sought {
    pub(super) fn new(library: LibraryKey) -> Self {
        Self { library, since: clock::moment(), verified_len: 0 }
    }
}

impl Contents {
    /// What no linked peer has, by library.
    pub(crate) fn lacking(&self) -> watch::Receiver<BTreeMap<LibraryKey, Lacking>> {
        self.lacking.subscribe()
    }

    /// Whether the bytes of a file can come; nothing if nobody fetches them yet.
    pub(super) async fn supply(&self, file: &ContentHash) -> Option<Supply> {
        let (content, wanted) = self.wanted.iter().find(|(_, wanted)| wanted.files.contains_key(file))?;
        let len = wanted.files.get(file).copied().unwrap_or_default();
        match self.steers.part_of(wanted.library, *content, (*file, len)).1.hold {
            Some(Hold::Skipped) => return Some(Supply::Cancelled),
            Some(Hold::Paused) => return Some(Supply::Paused),
            None if self.is_paused(&wanted.library) => return Some(Supply::Paused),
            None => {}
        }
        let ahead = self.waiting.iter().position(|(_, waiting)| waiting == content);
        let contents = self.node.snapshot().await.engine.contents;
        Some(self.supply_of(content, ahead, known(&contents, content)))
    }

    pub(super) fn supply_of(
        &self,
        content: &ContentId,
        ahead: Option<usize>,
        known: Option<&ContentSnapshot>,
    ) -> Supply {
        let turn = match ahead {
            _ if self.joined.get(content).is_some_and(|joined| joined.is_fetching) => Turn::Fetched,
            Some(ahead) if !self.retries.contains_key(content) => Turn::Waits { ahead },
            Some(_) | None => Turn::Failed,
        };
        let quiet = self.sought.get(content).map(|sought| sought.since.elapsed());
        Supply::of(turn, known.map(|known| &known.bottleneck), quiet)
    }

    /// Looks how far everything came that peers were asked for, and what no linked peer has.
    pub(super) async fn look_for_lacking(&mut self) {
        if self.looked_at.elapsed() < LOOK_INTERVAL {
            return;
        }
        self.looked_at = clock::moment();
        let mut sought = std::mem::take(&mut self.sought);
        sought.retain(|content, sought| {
            self.wanted.contains_key(content) && !self.is_resting(&sought.library, content)
        });
        self.sought = sought;
        let mut lacking: BTreeMap<LibraryKey, Lacking> = BTreeMap::new();
        let is_fetching = self.tickets.is_fetching() || self.joined.values().any(|joined| joined.is_fetching);
        if self.sought.is_empty() && !is_fetching {
            self.flow.clear();
        } else {
            let contents = self.node.snapshot().await.engine.contents;
            self.note_what_came(&contents);
            self.note_tickets(&contents);
            self.flow.note(clock::moment(), &contents);
            let waiting: BTreeSet<ContentId> = self.waiting.iter().map(|(_, content)| *content).collect();
            for (content, sought) in &self.sought {
                let ahead = waiting.contains(content).then_some(0);
                if let Supply::Nobody { seconds } = self.supply_of(content, ahead, known(&contents, content))
                {
                    let of_library = lacking.entry(sought.library).or_default();
                    of_library.commits += 1;
                    of_library.seconds = of_library.seconds.max(seconds);
                }
            }
        }
        self.lacking.send_replace(lacking);
    }

    fn note_what_came(&mut self, contents: &[ContentSnapshot]) {
        for (content, sought) in &mut self.sought {
            let verified_len = known(contents, content).map_or(0, |known| known.verified_len);
            if verified_len > sought.verified_len {
                (sought.verified_len, sought.since) = (verified_len, clock::moment());
            }
        }
    }
}

/// What the engine says of a content; it lists them by id.
pub(super) fn known<'a>(contents: &'a [ContentSnapshot], content: &ContentId) -> Option<&'a ContentSnapshot> {
    contents.binary_search_by_key(content, |known| known.content).ok().map(|at| &contents[at])
}

/// A peer that has the bytes sends some sooner, also over a slow link.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked what no peer has.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(turn: Turn, bottleneck: Option<Bottleneck>, quiet_secs: Option<u64>, expected: Supply) {
        let quiet = quiet_secs.map(Duration::from_secs);
        assert_eq!(Supply::of(turn, bottleneck.as_ref(), quiet), expected, "{turn:?} {bottleneck:?}");
    }

    #[test]
    fn that_nobody_has_the_bytes_is_said_when_nothing_came_for_a_while() {
        let nobody = |seconds| Supply::Nobody { seconds };
        let lacks = || Some(Bottleneck::NoPeer(None));
        check(Turn::Fetched, lacks(), Some(1), Supply::Asked { seconds: 1 });
        check(Turn::Fetched, lacks(), Some(10), nobody(10));
        check(Turn::Fetched, Some(Bottleneck::AllDeclined), Some(60), nobody(60));
        check(Turn::Fetched, Some(Bottleneck::NoManifest), Some(60), nobody(60));
        check(Turn::Waits { ahead: 3 }, None, Some(120), nobody(120));
    }

    #[test]
    fn what_comes_waits_or_fails_is_said_to() {
        check(Turn::Fetched, Some(Bottleneck::None), Some(5), Supply::Coming);
        check(Turn::Fetched, Some(Bottleneck::None), Some(60), Supply::Asked { seconds: 60 });
        check(Turn::Fetched, Some(Bottleneck::AllChoked), Some(60), Supply::Coming);
        check(Turn::Fetched, None, None, Supply::Asked { seconds: 0 });
        check(Turn::Waits { ahead: 3 }, None, None, Supply::Queued { ahead: 3 });
        check(Turn::Failed, Some(Bottleneck::AllDeclined), Some(60), Supply::Failing);
    }
}
