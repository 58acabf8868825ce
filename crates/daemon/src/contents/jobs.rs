//! The transfers that contents come to: what there is of each, why it is slow, and what follows when somebody steers one. A transfer is a long file,
//! or the short files of a content together. Invariant: a held part is asked of nobody; what came of it stays where it is, open to others, while its
//! content has any part that may go on. A content of which all is held takes no place of those that are fetched at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use swarm_core::base::{ContentId, NodeId};
use swarm_engine::{Bottleneck, ChunkMap, ContentSnapshot, MapQuery, Rank, Ranks};
use swarm_files::{GatheredStore, Store as _};
use swarm_library::LibraryKey;
use swarm_sync::ContentHash;

use super::steering::{Hold, Part, Steer};
use super::supply::{Supply, known};
use super::{Contents, Done, Joined, opening};
use crate::clock;
use crate::library::LibraryHandle;
use crate::limits::{JOINED_MAX, MAP_CELLS_MAX, MAP_PEERS_MAX, TRANSFERS_LISTED_MAX};
use crate::transfers::{Action, Priority, SlowReason, TransferState};

/// Which transfers are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobsQuery {
    /// As many as an answer has.
    All,
    /// One, with its map.
    One(LibraryKey, Part),
}

/// Transfers as they stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) jobs: Vec<Job>,
    /// Those that are not in the list, by library.
    pub(crate) further: BTreeMap<LibraryKey, u64>,
}

/// One transfer.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) library: LibraryKey,
    pub(super) content: ContentId,
    pub(crate) part: Part,
    pub(crate) files: u64,
    /// The first file of it, for its path.
    pub(crate) first: Option<ContentHash>,
    /// The same of a ticket's: where it goes, or stands.
    pub(crate) path: Option<String>,
    /// Files of a ticket that took another name.
    pub(crate) renamed: u64,
    /// Bytes, as far as it is known without the content.
    pub(super) len: u64,
    pub(crate) priority: Priority,
    pub(crate) state: TransferState,
    /// Transfers of other contents that have their turn before.
    pub(super) ahead: u64,
    pub(crate) why: Option<SlowReason>,
    /// Figures, and cells if they were asked for.
    pub(crate) map: ChunkMap,
    /// Bytes a second from each peer.
    pub(crate) rates: BTreeMap<NodeId, u64>,
}

/// Why a transfer is not steered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SteerFault {
    /// There is none of that id.
    Unknown,
    /// It cannot be remembered, for people.
    Disk(String),
}

impl Job {
    /// Bytes to fetch and fetched.
    pub(crate) fn len(&self) -> u64 {
        self.len.max(self.map.wanted_len)
    }

    /// Bytes a second from all peers.
    pub(crate) fn rate(&self) -> u64 {
        self.rates.values().sum()
    }
}

impl Contents {
    /// The transfers there are. All of them are looked at once in a while, however many ask.
    pub(super) async fn told_jobs(&mut self, query: &JobsQuery) -> Jobs {
        if *query != JobsQuery::All {
            return self.jobs(query).await;
        }
        if let Some((at, jobs)) = &self.jobs_told
            && at.elapsed() < JOBS_AGE
        {
            return jobs.clone();
        }
        let jobs = self.jobs(query).await;
        self.jobs_told = Some((clock::moment(), jobs.clone()));
        jobs
    }

    async fn jobs(&self, query: &JobsQuery) -> Jobs {
        let mut jobs = self.outline();
        jobs.extend(self.ticket_jobs());
        let mut parts: BTreeMap<ContentId, usize> = BTreeMap::new();
        for job in &jobs {
            *parts.entry(job.content).or_default() += 1;
        }
        if let JobsQuery::One(library, part) = query {
            jobs.retain(|job| (job.library, job.part) == (*library, *part));
        }
        jobs.sort_by_key(|job| {
            (job.state, job.ahead, std::cmp::Reverse(job.priority), job.content, job.part)
        });
        let cells_max = if *query == JobsQuery::All { 0 } else { MAP_CELLS_MAX };
        let maps = self.maps(&jobs, cells_max).await;
        for (job, map) in jobs.iter_mut().zip(maps) {
            if let Some(map) = map {
                job.map = map;
            }
        }
        // What is whole is on its way to its place.
        let is_ticket = |job: &Job| matches!(job.part, Part::Ticket(_));
        jobs.retain(|job| {
            is_ticket(job) || job.map.chunk_count == 0 || job.map.here_count < job.map.chunk_count
        });
        let mut further: BTreeMap<LibraryKey, u64> = BTreeMap::new();
        for job in jobs.iter().skip(TRANSFERS_LISTED_MAX) {
            *further.entry(job.library).or_default() += 1;
        }
        jobs.truncate(TRANSFERS_LISTED_MAX);
        let contents = self.node.snapshot().await.engine.contents;
        for job in &mut jobs {
            let is_alone = parts.get(&job.content) == Some(&1);
            job.rates = apportioned(&job.map, &self.flow.rates(&job.content), is_alone);
            let known = known(&contents, &job.content);
            job.why = if is_ticket(job) { self.why_ticket(job, known) } else { self.why(job, known) };
        }
        Jobs { jobs, further }
    }

    /// A part is fetched otherwise from now on.
    pub(super) async fn steer(
        &mut self,
        library: LibraryKey,
        part: Part,
        said: (Option<Action>, Option<Priority>),
    ) -> Result<(), SteerFault> {
        if let Part::Ticket(content) = part {
            return self.steer_ticket((library, content), said).await;
        }
        let concerned: BTreeSet<ContentId> = self
            .outline()
            .into_iter()
            .filter(|job| (job.library, job.part) == (library, part))
            .map(|job| job.content)
            .collect();
        if concerned.is_empty() {
            return Err(SteerFault::Unknown);
        }
        self.steers.say(library, part, said).map_err(|error| SteerFault::Disk(error.to_string()))?;
        for content in concerned {
            self.follow_steers(library, content).await;
        }
        self.jobs_told = None;
        Ok(())
    }

    /// The same for all contents of a library that was paused, or goes on.
    pub(super) async fn follow_steers_of(&mut self, library: LibraryKey) {
        let of_it = self.outline().into_iter().filter(|job| job.library == library);
        let contents: BTreeSet<ContentId> = of_it.map(|job| job.content).collect();
        for content in contents {
            self.follow_steers(library, content).await;
        }
    }

    pub(super) async fn follow_steers(&mut self, library: LibraryKey, content: ContentId) {
        self.rank(library, content).await;
        self.retries.remove(&content);
        let is_fetching = self.joined.get(&content).is_some_and(|joined| joined.is_fetching);
        if self.is_resting(&library, &content) {
            self.stop_waiting_for_held();
            if self.is_given_up(&library, &content) {
                self.drop_parts(library, content).await;
            }
        } else if is_fetching && self.needs_another_opening(&library, &content) {
            self.joined.remove(&content);
            self.leave(content).await;
            self.waiting.push_back((library, content));
        } else if is_fetching {
            if let Some(joined) = self.joined.get_mut(&content) {
                joined.used_at = clock::moment();
            }
            self.seek(library, content).await;
        } else if !self.waiting.iter().any(|(_, waiting)| *waiting == content) {
            self.waiting.push_back((library, content));
        }
        self.start_fetches().await;
    }

    /// Tells the engine which chunks of a content come first, and which not now.
    pub(super) async fn rank(&self, library: LibraryKey, content: ContentId) {
        let Some(joined) = self.joined.get(&content).filter(|joined| joined.is_fetching) else { return };
        let Some(store) = &joined.store else { return };
        self.node.rank(content, self.ranks(library, content, joined, store)).await;
    }

    fn ranks(
        &self,
        library: LibraryKey,
        content: ContentId,
        joined: &Joined,
        store: &GatheredStore,
    ) -> Ranks {
        if self.is_paused(&library) {
            return vec![(0..u32::MAX, Rank::Held)];
        }
        if !self.wanted.contains_key(&content) {
            return vec![(0..u32::MAX, self.steers.of(library, Part::Rest(content)).rank())];
        }
        let ranked = self.files(content, Some(joined)).into_iter().filter_map(|file| {
            let rank = self.steers.part_of(library, content, file).1.rank();
            (rank != Rank::Normal).then_some((store.chunks_of(&file.0)?, rank))
        });
        ranked.collect()
    }

    /// The turn of what comes first of a content.
    pub(super) fn first_rank(&self, library: &LibraryKey, content: &ContentId) -> Rank {
        if self.steers.is_empty() {
            return Rank::Normal;
        }
        match self.wanted.get(content) {
            Some(wanted) => {
                let files = wanted.files.iter().map(|(hash, len)| (*hash, *len));
                let ranks = files.map(|file| self.steers.part_of(*library, *content, file).1.rank());
                ranks.min().unwrap_or_default()
            }
            None => self.steers.of(*library, Part::Rest(*content)).rank(),
        }
    }

    pub(super) fn is_paused(&self, library: &LibraryKey) -> bool {
        self.libraries.get(library).is_some_and(LibraryHandle::fetches_nothing)
    }

    /// Why nothing is fetched for a library.
    pub(super) fn why_paused(&self, library: &LibraryKey) -> SlowReason {
        match self.libraries.get(library) {
            Some(handle) if !handle.is_paused => SlowReason::NoRate,
            Some(_) | None => SlowReason::LibraryPaused,
        }
    }

    /// Whether all that is lacking of a content is held.
    pub(super) fn is_resting(&self, library: &LibraryKey, content: &ContentId) -> bool {
        if self.is_paused(library) || self.steers.is_empty() {
            return self.is_paused(library);
        }
        match self.wanted.get(content) {
            Some(wanted) => {
                let is_held = |(hash, len): (&ContentHash, &u64)| {
                    self.steers.part_of(*library, *content, (*hash, *len)).1.hold.is_some()
                };
                !wanted.files.is_empty() && wanted.files.iter().all(is_held)
            }
            None => self.steers.of(*library, Part::Rest(*content)).hold.is_some(),
        }
    }

    /// Contents that are fetched, and of which nothing is asked for because all of it is held.
    pub(super) fn resting(&self) -> BTreeSet<ContentId> {
        let fetching = self.joined.iter().filter(|(_, joined)| joined.is_fetching);
        let resting = fetching.filter(|(content, joined)| self.is_resting(&joined.library, content));
        resting.map(|(content, _)| *content).collect()
    }

    /// Opens what is paused, as after a restart, so that it is known and served what came of it.
    pub(super) async fn open_resting(&mut self, library: LibraryKey, content: ContentId) {
        let is_known = self.joined.contains_key(&content);
        let is_needless = self.is_paused(&library) || self.is_given_up(&library, &content);
        if !is_known && !is_needless && self.resting().len() < JOINED_MAX {
            self.begin(library, content, true, Vec::new()).await;
        }
    }

    /// Contents that are fetched, and not only held.
    pub(super) fn moving(&self) -> impl Iterator<Item = (&ContentId, &Joined)> {
        let fetching = self.joined.iter().filter(|(_, joined)| joined.is_fetching);
        fetching.filter(|(content, joined)| !self.is_resting(&joined.library, content))
    }

    /// What is held has no turn.
    pub(super) fn stop_waiting_for_held(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting =
            waiting.into_iter().filter(|(library, content)| !self.is_resting(library, content)).collect();
    }

    /// What is wanted of a content, with lengths.
    pub(super) fn wanted_of(&self, content: &ContentId) -> BTreeMap<ContentHash, u64> {
        self.wanted.get(content).map(|wanted| wanted.files.clone()).unwrap_or_default()
    }

    /// Lengths that the index did not tell are in the manifest.
    pub(super) fn learn_lens(&mut self, content: ContentId, store: &GatheredStore) {
        let Some(wanted) = self.wanted.get_mut(&content) else { return };
        if wanted.files.values().all(|len| *len > 0) {
            return;
        }
        for (hash, len) in store.contents() {
            if let Some(known) = wanted.files.get_mut(&hash) {
                *known = len;
            }
        }
    }

    /// Files are whole: what was said of them is over.
    pub(super) fn on_whole(&mut self, library: LibraryKey, content: ContentId, whole: &[ContentHash]) {
        if let Some(wanted) = self.wanted.get_mut(&content) {
            for hash in whole {
                wanted.files.remove(hash);
            }
        }
        if !self.steers.is_empty() {
            self.steers.forget(library, |part| matches!(part, Part::File(file) if whole.contains(file)));
        }
    }

    /// Whether a content was opened while it was held, or a file of it while that was cancelled.
    fn needs_another_opening(&self, library: &LibraryKey, content: &ContentId) -> bool {
        let Some(joined) = self.joined.get(content).filter(|joined| joined.store.is_some()) else {
            return false;
        };
        let mut wanted = self.wanted_now(library, content).into_keys();
        joined.is_unfilled || wanted.any(|hash| !joined.opened_for.contains_key(&hash))
    }

    /// What is to come of a content: all that is wanted and was not cancelled.
    pub(super) fn wanted_now(&self, library: &LibraryKey, content: &ContentId) -> BTreeMap<ContentHash, u64> {
        let mut wanted = self.wanted_of(content);
        if !self.steers.is_empty() {
            wanted.retain(|hash, len| {
                self.steers.part_of(*library, *content, (*hash, *len)).1.hold != Some(Hold::Skipped)
            });
        }
        wanted
    }

    /// What came of contents that were given up makes room, once the worker has taken the rest.
    pub(super) async fn drop_given_up(&mut self) {
        if self.steers.is_empty() {
            return;
        }
        let given_up = |(content, joined): &(&ContentId, &Joined)| {
            joined.is_fetching && self.is_given_up(&joined.library, content)
        };
        let given_up: Vec<(LibraryKey, ContentId)> =
            self.joined.iter().filter(given_up).map(|(content, joined)| (joined.library, *content)).collect();
        for (library, content) in given_up {
            self.drop_parts(library, content).await;
        }
    }

    /// Whether nothing of a content is to come, until somebody says otherwise.
    pub(super) fn is_given_up(&self, library: &LibraryKey, content: &ContentId) -> bool {
        let wanted = self.wanted.get(content).into_iter().flat_map(|wanted| &wanted.files);
        let mut holds = wanted
            .map(|(hash, len)| self.steers.part_of(*library, *content, (*hash, *len)).1.hold)
            .peekable();
        let is_unused = self.handed.get(library).is_none_or(|handed| !handed.has_files());
        is_unused && holds.peek().is_some() && holds.all(|hold| hold == Some(Hold::Skipped))
    }

    /// What came of a content that was given up makes room.
    async fn drop_parts(&mut self, library: LibraryKey, content: ContentId) {
        if self.joined.remove(&content).is_some() {
            self.leave(content).await;
        }
        self.sought.remove(&content);
        let fetched = self.libraries.get(&library).and_then(|handle| handle.fetched.borrow().clone());
        self.used.end(&content);
        if let Some(fetched) = fetched {
            let used = self.used.clone();
            self.tasks.spawn_blocking(move || {
                opening::remove_leftover(&fetched.dir, content, &used);
                Done::Over
            });
        }
    }

    /// The files of a content that are wanted or came with the others, with lengths.
    fn files(&self, content: ContentId, joined: Option<&Joined>) -> Vec<(ContentHash, u64)> {
        let mut files = self.wanted_of(&content);
        for (hash, len) in joined.into_iter().flat_map(|joined| &joined.opened_for) {
            files.entry(*hash).or_insert(*len);
        }
        files.into_iter().collect()
    }

    /// All transfers, without what the engine knows of them.
    fn outline(&self) -> Vec<Job> {
        let mut jobs = BTreeMap::new();
        for (content, wanted) in self.wanted.iter().filter(|(_, wanted)| !wanted.files.is_empty()) {
            let joined = self.joined.get(content).filter(|joined| joined.is_fetching);
            for (hash, len) in self.files(*content, joined) {
                let (part, steer) = self.steers.part_of(wanted.library, *content, (hash, len));
                let job = jobs
                    .entry((wanted.library, part))
                    .or_insert_with(|| self.job(wanted.library, *content, (part, steer)));
                job.files += 1;
                job.len += len;
                job.first = job.first.or(Some(hash));
            }
        }
        // A mirror fetches contents whole.
        let fetched = self.joined.iter().filter(|(_, joined)| joined.is_fetching);
        let fetched = fetched.map(|(content, joined)| (joined.library, *content));
        let held = self.steers.held().filter_map(|(library, part, _)| match part {
            Part::Rest(content) => Some((library, content)),
            Part::File(_) | Part::Ticket(_) => None,
        });
        for (library, content) in fetched.chain(self.waiting.iter().copied()).chain(held) {
            let is_mirror = self.libraries.get(&library).is_some_and(|handle| *handle.is_mirror.borrow());
            if is_mirror && !self.wanted.contains_key(&content) {
                let part = Part::Rest(content);
                let steer = self.steers.of(library, part);
                jobs.entry((library, part)).or_insert_with(|| {
                    let files = self.joined.get(&content).map_or(0, |joined| joined.files as u64);
                    Job { files, ..self.job(library, content, (part, steer)) }
                });
            }
        }
        jobs.into_values().collect()
    }

    fn job(&self, library: LibraryKey, content: ContentId, (part, steer): (Part, Steer)) -> Job {
        let joined = self.joined.get(&content).filter(|joined| joined.is_fetching);
        let ahead = self.waiting.iter().position(|(_, waiting)| *waiting == content);
        let state = match (steer.hold, joined) {
            (Some(Hold::Skipped), _) => TransferState::Cancelled,
            (Some(Hold::Paused), _) => TransferState::Paused,
            (None, _) if self.is_paused(&library) => TransferState::Paused,
            (None, Some(Joined { store: Some(_), .. })) => TransferState::Fetching,
            (None, Some(_)) => TransferState::Opening,
            (None, None) if self.retries.contains_key(&content) => TransferState::Failing,
            (None, None) => TransferState::Queued,
        };
        Job {
            library,
            content,
            part,
            files: 0,
            first: None,
            path: None,
            renamed: 0,
            len: 0,
            priority: steer.priority,
            state,
            ahead: ahead.unwrap_or_default() as u64,
            why: None,
            map: ChunkMap::default(),
            rates: BTreeMap::new(),
        }
    }

    /// What the engine knows of the chunks of transfers.
    async fn maps(&self, jobs: &[Job], cells_max: u32) -> Vec<Option<ChunkMap>> {
        let mut known: BTreeMap<ContentId, BTreeMap<Part, Vec<Range<u32>>>> = BTreeMap::new();
        let query = |job: &Job| {
            let parts = known.entry(job.content).or_insert_with(|| self.chunks_by_part(job));
            let chunks = parts.get(&job.part).cloned().unwrap_or_default();
            MapQuery { content: job.content, chunks, cells_max, peers_max: MAP_PEERS_MAX }
        };
        let queries = jobs.iter().map(query).collect();
        self.node.chunk_maps(queries).await
    }

    /// The chunks of each part of the content that a job is of.
    fn chunks_by_part(&self, job: &Job) -> BTreeMap<Part, Vec<Range<u32>>> {
        if let Part::Ticket(content) = job.part {
            return BTreeMap::from([(job.part, self.tickets.runs(&content))]);
        }
        let joined = self.joined.get(&job.content).filter(|joined| joined.is_fetching);
        let Some(store) = joined.and_then(|joined| joined.store.as_ref()) else { return BTreeMap::new() };
        let store: &Arc<GatheredStore> = store;
        let mut parts: BTreeMap<Part, Vec<Range<u32>>> = BTreeMap::new();
        if !self.wanted.contains_key(&job.content) {
            parts.entry(job.part).or_default().push(0..store.manifest().geometry().chunk_count());
            return parts;
        }
        for file in self.files(job.content, joined) {
            let (part, _) = self.steers.part_of(job.library, job.content, file);
            parts.entry(part).or_default().extend(store.chunks_of(&file.0));
        }
        parts.values_mut().for_each(|chunks| chunks.sort_unstable_by_key(|range| range.start));
        parts
    }

    /// Why a transfer is slow or waits, as far as contents know.
    fn why(&self, job: &Job, known: Option<&ContentSnapshot>) -> Option<SlowReason> {
        match job.state {
            TransferState::Cancelled => return Some(SlowReason::Cancelled),
            TransferState::Paused if self.steers.of(job.library, job.part).hold.is_none() => {
                return Some(self.why_paused(&job.library));
            }
            TransferState::Paused => return Some(SlowReason::Paused),
            TransferState::Opening
            | TransferState::Fetching
            | TransferState::Queued
            | TransferState::Failing
            | TransferState::Done => {}
        }
        let ahead = self.waiting.iter().position(|(_, waiting)| *waiting == job.content);
        match self.supply_of(&job.content, ahead, known) {
            Supply::Nobody { seconds } => return Some(SlowReason::Nobody { seconds }),
            Supply::Queued { ahead } => return Some(SlowReason::Queued { ahead }),
            Supply::Failing => {
                let why = self.retries.get(&job.content).and_then(|retry| retry.why.clone());
                return Some(SlowReason::Failing { detail: why.unwrap_or_default() });
            }
            Supply::Asked { seconds } if job.rate() == 0 && job.state == TransferState::Fetching => {
                return Some(SlowReason::Asked { seconds });
            }
            Supply::Asked { .. } | Supply::Coming | Supply::Paused | Supply::Cancelled => {}
        }
        let library_limit = self.libraries.get(&job.library).and_then(|handle| handle.limits.down);
        if let Some(limit) = library_limit.filter(|limit| self.rate_of(&job.library) >= limit.0 / 5 * 4) {
            return Some(SlowReason::Limited { bytes_per_sec: limit.0, of_library: true });
        }
        let asked: Vec<_> = job.map.peers.iter().filter(|peer| peer.asked_len > 0).collect();
        match known.map(|known| &known.bottleneck) {
            Some(Bottleneck::Disk) => Some(SlowReason::Disk),
            Some(Bottleneck::AllChoked) => Some(SlowReason::Choked),
            _ if !asked.is_empty() && asked.iter().all(|peer| peer.is_stalled) => Some(SlowReason::Stalled),
            _ if job.map.peers.len() == 1 => Some(SlowReason::OnePeer),
            _ => None,
        }
    }

    /// Bytes a second of all contents of a library.
    fn rate_of(&self, library: &LibraryKey) -> u64 {
        let of_it = self.joined.iter().filter(|(_, joined)| joined.library == *library);
        of_it.map(|(content, _)| self.flow.rates(content).values().sum::<u64>()).sum()
    }
}

/// What of the rates of a content is a part's: by what each peer is asked for.
fn apportioned(map: &ChunkMap, rates: &BTreeMap<NodeId, u64>, is_alone: bool) -> BTreeMap<NodeId, u64> {
    let share = |peer: &swarm_engine::PeerRow| {
        let rate = rates.get(&peer.node).copied().unwrap_or_default();
        let share = match (is_alone, peer.asked_of_content_len) {
            (true, _) => rate,
            (false, 0) => 0,
            (false, all) => (u128::from(rate) * u128::from(peer.asked_len) / u128::from(all)) as u64,
        };
        (peer.node, share)
    };
    map.peers.iter().map(share).collect()
}

/// For so long all who ask are told the same of all transfers.
const JOBS_AGE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_engine::PeerRow;

    #[test]
    fn what_a_peer_sends_of_a_content_is_shared_by_what_it_is_asked_for() {
        let node = NodeId::from_bytes([1; 32]);
        let check = |asked_len, asked_of_content_len, is_alone, expected| {
            let peer = PeerRow {
                node,
                has_count: 1,
                asked_len,
                asked_of_content_len,
                rate: swarm_core::base::Rate::default(),
                is_choked: false,
                is_stalled: false,
                has: Vec::new(),
                asked: Vec::new(),
            };
            let map = ChunkMap { peers: vec![peer], ..ChunkMap::default() };
            let found = apportioned(&map, &BTreeMap::from([(node, 1000)]), is_alone);
            assert_eq!(found, BTreeMap::from([(node, expected)]));
        };
        check(30, 40, false, 750);
        check(0, 40, false, 0);
        check(0, 0, false, 0);
        check(0, 0, true, 1000);
    }
}
