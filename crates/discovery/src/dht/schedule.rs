//! When each content is announced and looked up. Invariant: each content has at most one query of each kind under way. Time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits::{DHT_ANNOUNCE_INTERVAL, DHT_LOOKUP_INTERVAL, DHT_RETRY_MIN};
use swarm_core::base::{ContentId, Instant};
use swarm_core::presence::Presence;

/// One announcement or lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Query {
    pub(super) content: ContentId,
    pub(super) kind: QueryKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum QueryKind {
    Lookup,
    Announce,
}

#[derive(Default)]
pub(super) struct Schedule {
    entries: BTreeMap<Query, Entry>,
    /// Waiting queries, soonest first.
    due: BTreeSet<(Instant, Query)>,
}

struct Entry {
    state: State,
    /// Consecutive failures: a lookup that left this node without peers, an announcement that failed. Backoff grows with it.
    failed_count: u32,
    has_peers: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { at: Instant },
    GoingOn,
}

impl Schedule {
    /// Sets the contents to announce and look up from now on.
    pub(super) fn on_presences(&mut self, now: Instant, presences: &[Presence]) {
        let mut gone: BTreeSet<Query> = self.entries.keys().copied().collect();
        for presence in presences {
            let has_peers = !presence.links.is_empty();
            let announce = Query { content: presence.content, kind: QueryKind::Announce };
            gone.remove(&announce);
            self.keep(now, announce, has_peers);
            if presence.is_wanting {
                let lookup = Query { content: presence.content, kind: QueryKind::Lookup };
                gone.remove(&lookup);
                self.keep(now, lookup, has_peers);
            }
        }
        for query in gone {
            self.drop_query(query);
        }
    }

    /// The next query that is due; it is under way until [`Self::on_ended`].
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Query> {
        let &(at, query) = self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.entries.get_mut(&query).expect("what is due has an entry").state = State::GoingOn;
        Some(query)
    }

    /// A query ended; `is_done` if it had success.
    pub(super) fn on_ended(&mut self, now: Instant, query: Query, is_done: bool) {
        let Some(entry) = self.entries.get_mut(&query) else { return };
        if entry.state != State::GoingOn {
            return;
        }
        let (is_enough, interval) = match query.kind {
            QueryKind::Announce => (is_done, DHT_ANNOUNCE_INTERVAL),
            QueryKind::Lookup => (entry.has_peers, DHT_LOOKUP_INTERVAL),
        };
        let wait = if is_enough { interval } else { retry_after(entry.failed_count).min(interval) };
        entry.failed_count = if is_enough { 0 } else { entry.failed_count.saturating_add(1) };
        entry.state = State::Waiting { at: now + wait };
        self.due.insert((now + wait, query));
    }

    /// When the next query is due.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }

    fn keep(&mut self, now: Instant, query: Query, has_peers: bool) {
        let Some(entry) = self.entries.get_mut(&query) else {
            let state = State::Waiting { at: now };
            self.entries.insert(query, Entry { state, failed_count: 0, has_peers });
            self.due.insert((now, query));
            return;
        };
        let has_lost_all = entry.has_peers && !has_peers;
        entry.has_peers = has_peers;
        if let State::Waiting { at } = entry.state
            && query.kind == QueryKind::Lookup
            && has_lost_all
        {
            let soon = at.min(now + DHT_RETRY_MIN);
            entry.state = State::Waiting { at: soon };
            self.due.remove(&(at, query));
            self.due.insert((soon, query));
        }
    }

    fn drop_query(&mut self, query: Query) {
        if let Some(Entry { state: State::Waiting { at }, .. }) = self.entries.remove(&query) {
            self.due.remove(&(at, query));
        }
    }
}

impl QueryKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Announce => "announcement",
        }
    }
}

fn retry_after(failed_count: u32) -> Duration {
    DHT_RETRY_MIN * (1 << failed_count.min(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::NodeId;

    fn presence(is_wanting: bool, has_peers: bool) -> Presence {
        let links = if has_peers { vec![NodeId::from_bytes([1; 32])] } else { Vec::new() };
        let content = ContentId::from_bytes([7; 32]);
        Presence { content, have_count: 0, chunk_count: 0, is_wanting, links }
    }

    /// The queries of the first half hour, with the second of each.
    fn asked(presences: &[Presence], is_done: bool) -> String {
        let start = Instant::ZERO;
        let mut schedule = Schedule::default();
        schedule.on_presences(start, presences);
        let mut asked = Vec::new();
        while let Some(at) = schedule.next_at()
            && at <= start + Duration::from_secs(1800)
        {
            while let Some(query) = schedule.pop_due(at) {
                asked.push(format!("{} {}", query.kind.name(), (at - start).as_secs()));
                schedule.on_ended(at, query, is_done);
            }
        }
        asked.join(", ")
    }

    #[test]
    fn a_seed_announces_each_quarter_of_an_hour_and_soon_again_what_failed() {
        assert_eq!(
            asked(&[presence(false, false)], true),
            "announcement 0, announcement 900, announcement 1800"
        );
        assert_eq!(
            asked(&[presence(false, false)], false),
            "announcement 0, announcement 10, announcement 30, announcement 70, announcement 150, announcement 310, \
             announcement 630, announcement 1270"
        );
    }

    #[test]
    fn a_node_without_peers_looks_up_again_sooner() {
        let only_lookups = |shown: String| {
            shown.split(", ").filter(|query| query.starts_with("lookup")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            only_lookups(asked(&[presence(true, false)], true)),
            "lookup 0, lookup 10, lookup 30, lookup 70, lookup 150, lookup 310, lookup 630, lookup 1230"
        );
        assert_eq!(
            only_lookups(asked(&[presence(true, true)], true)),
            "lookup 0, lookup 600, lookup 1200, lookup 1800"
        );
    }

    #[test]
    fn a_left_content_is_not_looked_up_and_lost_peers_are_looked_for_soon() {
        let start = Instant::ZERO;
        let mut schedule = Schedule::default();
        schedule.on_presences(start, &[presence(true, true)]);
        while let Some(query) = schedule.pop_due(start) {
            schedule.on_ended(start, query, true);
        }
        schedule.on_presences(start, &[presence(true, false)]);
        assert_eq!(schedule.next_at(), Some(start + DHT_RETRY_MIN));
        schedule.on_presences(start, &[]);
        assert_eq!(schedule.next_at(), None);
    }
}
