//! Taking records into the view.

use rusqlite::Connection;
use swarm_core::base::NodeId;
use swarm_library::{BaseChange, Commit, CommitId, Head, Live, Record, RecordRef, State, Step};
use swarm_sync::{BaseEntry, Entry, Kind, Observation, PerSide, Side, Stamp, TreePath};

use super::heads::{load, store};
use super::{HeldRecord, KnownProposal, LibraryBook, ProposalEnd, commits, proposals};
use crate::IndexError;
use crate::error::Fault;
use crate::records;
use crate::row::{end_of, key_of};
use crate::trees::{self, Trees};

/// What to do with the records of a commit.
#[derive(Clone, Debug)]
pub enum Acceptance<'a> {
    /// Its author is not trusted: it is kept for others, and changes nothing here.
    CarryOnly,
    /// Its records count, but for those that need votes: a number of votes for each record, zero for one that holds at once.
    Take {
        /// In their order.
        records: &'a [Record],
        /// One for each record; none if nothing is held.
        votes: &'a [u32],
    },
}

/// What a batch of records did to the view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Paths at which another version wins now, or one of this node's lost, or that ended.
    pub changed: u64,
    /// Records that wait for votes.
    pub held: u64,
    /// Paths at which versions exclude each other after this.
    pub disputed: u64,
}

impl LibraryBook {
    /// Takes a commit that came from a peer, and follows the author's last one. `me` is this node.
    pub fn take(
        &mut self,
        commit: &Commit,
        acceptance: &Acceptance<'_>,
        me: &NodeId,
        now_ms: u64,
    ) -> Result<Taken, IndexError> {
        self.write(|db| {
            commits::insert(db, commit, matches!(acceptance, Acceptance::Take { .. }), now_ms)?;
            match acceptance {
                Acceptance::CarryOnly => Ok(Taken::default()),
                Acceptance::Take { records, votes } => {
                    apply(db, commit, (records, votes), Way::Peer { me }, now_ms)
                }
            }
        })
    }

    /// Takes a commit of this node, whose run changes the remote tree itself.
    pub fn take_own(
        &mut self,
        commit: &Commit,
        records: &[Record],
        votes: &[u32],
        now_ms: u64,
    ) -> Result<Taken, IndexError> {
        self.write(|db| {
            commits::insert(db, commit, true, now_ms)?;
            apply(db, commit, (records, votes), Way::Own, now_ms)
        })
    }

    /// Takes a commit that was only carried so far, now that its author is trusted.
    pub fn take_carried(
        &mut self,
        commit: &Commit,
        records: &[Record],
        votes: &[u32],
        me: &NodeId,
        now_ms: u64,
    ) -> Result<Taken, IndexError> {
        self.write(|db| {
            commits::mark_applied(db, commit)?;
            apply(db, commit, (records, votes), Way::Peer { me }, now_ms)
        })
    }

    /// The records of a proposal hold now, though it may have come to nothing before: votes that were signed in time were heard of late.
    pub fn take_held(
        &mut self,
        commit: &Commit,
        records: &[Record],
        me: &NodeId,
    ) -> Result<Taken, IndexError> {
        self.write(|db| {
            let mut taken = Taken::default();
            let places = proposals::take_held(db, commit)?;
            let rows = Rows::new(db, me)?;
            for place in places {
                let record = records.get(place as usize).ok_or(Fault::Damaged("a held record is missing"))?;
                take(db, (Some(&rows), me), record_ref(commit, place), record, &mut taken)?;
            }
            Ok(taken)
        })
    }

    /// Notes how a proposal ended; its records wait no longer, unless they were taken before. What a proposal of this node did to the view is
    /// taken back with it. Returns how many paths that concerned.
    pub fn end_proposal(
        &mut self,
        id: &CommitId,
        end: ProposalEnd,
        me: &NodeId,
        now_ms: u64,
    ) -> Result<usize, IndexError> {
        self.write(|db| {
            let Some((author, paths)) = proposals::end(db, id, end, now_ms)? else { return Ok(0) };
            if author == *me && end != ProposalEnd::Approved {
                let rows = Rows::new(db, me)?;
                paths.iter().try_for_each(|path| rows.restore_unless_held(path))?;
            }
            Ok(paths.len())
        })
    }

    /// Records of a proposal that would change nothing any more wait no longer.
    pub fn drop_held(
        &mut self,
        known: &KnownProposal,
        held: &[HeldRecord],
        me: &NodeId,
    ) -> Result<(), IndexError> {
        self.write(|db| {
            let places: Vec<u32> = held.iter().map(|record| record.place).collect();
            proposals::drop_held(db, &known.author, known.seq, &places)?;
            if known.author != *me {
                return Ok(());
            }
            let rows = Rows::new(db, me)?;
            held.iter().try_for_each(|record| rows.restore_unless_held(&record.path))
        })
    }

    /// Makes the trees tell of all commits of this node: a run that was cut off did not come to it, and a version that lost at once is a
    /// conflict. After a run that did all that it drafted, only disputes and proposals are looked at.
    pub fn settle_own(&mut self, me: &NodeId, was_cut_off: bool) -> Result<(), IndexError> {
        self.write(|db| {
            let last = commits::last_of(db, me)?.map_or(0, |(seq, _)| seq);
            let recorded = number_in(db, RECORDED)?;
            let rows = Rows::new(db, me)?;
            if recorded < last && (was_cut_off || rows.has_held || has_disputes(db)?) {
                for seq in recorded + 1..=last {
                    let Some(bytes) = commits::bytes_of(db, me, seq)? else { continue };
                    let records = Commit::decode(bytes.into()).ok().and_then(|commit| commit.records().ok());
                    records.unwrap_or_default().iter().try_for_each(|record| rows.settle_own(record))?;
                }
            }
            if recorded == last { Ok(()) } else { set_number(db, RECORDED, last) }
        })
    }

    /// Makes the row of a path in the remote tree what the view has there, but for what a proposal of this node says.
    pub fn restore_row(&mut self, path: &TreePath, me: &NodeId) -> Result<(), IndexError> {
        self.write(|db| Rows::new(db, me)?.restore_unless_held(path))
    }

    /// The greatest counter that this node signed.
    pub fn own_counter(&self) -> Result<u64, IndexError> {
        self.read(|db| number_in(db, OWN_COUNTER))
    }

    /// What a run sees at a path of the view.
    pub fn row(&self, path: &TreePath) -> Result<Option<Entry>, IndexError> {
        self.read(|db| trees::entry(db, Side::Remote, path))
    }

    /// The same below a place, in path order.
    pub fn rows_below(&self, place: &TreePath) -> Result<Vec<(TreePath, Entry)>, IndexError> {
        let known = crate::reader::known(&self.db, &self.path, Side::Remote, Some(place));
        known.filter(|row| row.as_ref().map_or(true, |(path, _)| path != place)).collect()
    }
}

/// Who changes the remote tree.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// The run of this node that made the records.
    Own,
    /// The taking of them.
    Peer { me: &'a NodeId },
}

fn apply(
    db: &Connection,
    commit: &Commit,
    (records, votes): (&[Record], &[u32]),
    way: Way<'_>,
    now_ms: u64,
) -> Result<Taken, Fault> {
    let mut taken = Taken::default();
    if matches!(way, Way::Peer { .. }) {
        Trees::new(db)?.expect_load(Side::Remote)?;
    }
    let author = &commit.header().author;
    let rows = match way {
        Way::Own => {
            let counters = records.iter().map(|record| record.vector.counter(author));
            let most = counters.fold(number_in(db, OWN_COUNTER)?, u64::max);
            set_number(db, OWN_COUNTER, most)?;
            None
        }
        Way::Peer { me } => Some(Rows::new(db, me)?),
    };
    let me = match way {
        Way::Own => author,
        Way::Peer { me } => me,
    };
    for (place, record) in (0_u32..).zip(records) {
        match votes.get(place as usize).copied().unwrap_or(0) {
            0 => take(db, (rows.as_ref(), me), record_ref(commit, place), record, &mut taken)?,
            needed => {
                proposals::hold(db, commit, place, record, needed, now_ms)?;
                taken.held += 1;
            }
        }
    }
    Ok(taken)
}

fn record_ref(commit: &Commit, index: u32) -> RecordRef {
    RecordRef { author: commit.header().author, seq: commit.header().seq, index }
}

fn take(
    db: &Connection,
    (rows, me): (Option<&Rows<'_>>, &NodeId),
    reference: RecordRef,
    record: &Record,
    taken: &mut Taken,
) -> Result<(), Fault> {
    let key = key_of(&record.path);
    let before = load(db, &key)?;
    let Record { state, vector, parent, .. } = record.clone();
    let head = Head { record: reference, state, vector, parent };
    let Some(Step { heads, is_changed, base }) = swarm_library::take(&before, head, me) else {
        // A proposal of this node may have ended like this.
        let Some(rows) = rows else { return Ok(()) };
        rows.set_base_of_lost(&record.path)?;
        return rows.refresh(&record.path);
    };
    store(db, &key, &before, &heads)?;
    taken.disputed += u64::from(heads.is_disputed());
    taken.changed += u64::from(is_changed || base != BaseChange::Keep);
    let Some(rows) = rows else { return Ok(()) };
    if is_changed {
        rows.note_agreed(&record.path, before.winner())?;
    }
    rows.set_base(&record.path, base)?;
    rows.refresh(&record.path)
}

/// The trees, as the taking of records changes them.
struct Rows<'a> {
    db: &'a Connection,
    trees: Trees<'a>,
    me: &'a NodeId,
    /// Whether any proposal of this node waits.
    has_held: bool,
}

impl<'a> Rows<'a> {
    fn new(db: &'a Connection, me: &'a NodeId) -> Result<Self, Fault> {
        Ok(Self { db, trees: Trees::new(db)?, me, has_held: proposals::has_held(db, me)? })
    }

    fn is_held(&self, path: &TreePath) -> Result<bool, Fault> {
        if self.has_held { proposals::is_held(self.db, self.me, path) } else { Ok(false) }
    }

    /// Makes the row of a path what the view has there, but for what a proposal of this node says.
    fn restore_unless_held(&self, path: &TreePath) -> Result<(), Fault> {
        if self.is_held(path)? { Ok(()) } else { self.restore(path) }
    }

    /// Makes the row of a path what the view has there.
    fn restore(&self, path: &TreePath) -> Result<(), Fault> {
        let heads = load(self.db, &key_of(path))?;
        let entry = heads.winner().and_then(|head| entry_of(&head.state));
        self.trees.observe(Side::Remote, &Observation { path: path.clone(), entry })?;
        self.refresh(path)
    }

    /// Makes the rows of a path and of the folders above it what the view has there, but for what a proposal of this node says. A folder stands
    /// wherever something stands in it.
    fn refresh(&self, path: &TreePath) -> Result<(), Fault> {
        self.refresh_one(path)?;
        for folder in path.ancestors() {
            let is_folder = trees::entry(self.db, Side::Remote, &folder)?.is_some_and(|row| row.is_folder());
            // Those above it are folders then, too.
            if is_folder && !load(self.db, &key_of(&folder))?.is_disputed() && self.has_below(&folder)? {
                break;
            }
            self.refresh_one(&folder)?;
        }
        Ok(())
    }

    fn refresh_one(&self, path: &TreePath) -> Result<(), Fault> {
        let is_held = self.is_held(path)?;
        let row = trees::entry(self.db, Side::Remote, path)?;
        let heads = load(self.db, &key_of(path))?;
        let winner = heads.winner();
        let is_own = winner.is_some_and(|head| head.record.author == *self.me);
        let said = if is_held { row.clone() } else { winner.and_then(|head| entry_of(&head.state)) };
        let entry = match said {
            Some(entry) if entry.is_folder() => Some(entry),
            Some(entry) if !self.has_below(path)? => Some(entry),
            Some(_) => {
                // The author of a file where others put something hears of it as of a conflict, whether it holds or waits.
                if is_own || is_held {
                    self.trees.set_base(path, None)?;
                }
                Some(folder())
            }
            None => self.has_below(path)?.then(folder),
        };
        let kind = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.kind.clone());
        if kind(&row) == kind(&entry) {
            return Ok(());
        }
        self.trees.observe(Side::Remote, &Observation { path: path.clone(), entry })
    }

    fn has_below(&self, path: &TreePath) -> Result<bool, Fault> {
        let key = key_of(path);
        let sql = "SELECT EXISTS (SELECT 1 FROM remote WHERE path > ?1 AND path < ?2)";
        Ok(self.db.prepare_cached(sql)?.query_row((&key, end_of(&key)), |row| row.get(0))?)
    }

    /// What stands on the disk is what the view had until now: both agree on it, though no run has said so yet. An index that is made anew
    /// takes the history of the library while its disk has some version of it.
    fn note_agreed(&self, path: &TreePath, winner: Option<&Head>) -> Result<(), Fault> {
        let Some(State::Live(live)) = winner.map(|head| &head.state) else { return Ok(()) };
        if trees::base(self.db, path)?.is_some() {
            return Ok(());
        }
        let local = trees::entry(self.db, Side::Local, path)?;
        if local.is_some_and(|local| local.kind == live.kind) {
            self.trees.set_base(path, Some(&base_of(live.clone())))?;
        }
        Ok(())
    }

    fn settle_own(&self, record: &Record) -> Result<(), Fault> {
        let path = &record.path;
        let heads = load(self.db, &key_of(path))?;
        let is_winner = heads.winner().is_some_and(|winner| winner.state.says_the_same(&record.state));
        let is_held = self.is_held(path)?;
        if is_held && !record.state.is_live() {
            // What stands there again was put back: a deletion that waits takes nothing from the folder.
            self.trees.observe(Side::Remote, &Observation { path: path.clone(), entry: None })?;
            self.trees.set_base(path, None)?;
        } else if is_winner || is_held {
            let entry = entry_of(&record.state);
            self.trees.observe(Side::Remote, &Observation { path: path.clone(), entry })?;
            // Only what this disk has as well is agreed on: its user may have gone on meanwhile.
            self.trees.agree(path)?;
        } else {
            self.set_base_of_lost(path)?;
        }
        self.refresh(path)
    }

    /// A version of this node that lost while a proposal hid that is a conflict from now on.
    fn set_base_of_lost(&self, path: &TreePath) -> Result<(), Fault> {
        let heads = load(self.db, &key_of(path))?;
        match heads.origin_of_lost(self.me) {
            Some(origin) if !self.is_held(path)? => self.set_base(path, BaseChange::Parent(origin)),
            Some(_) | None => Ok(()),
        }
    }

    fn set_base(&self, path: &TreePath, change: BaseChange) -> Result<(), Fault> {
        let base = match change {
            BaseChange::Keep => return Ok(()),
            BaseChange::Parent(None) => None,
            BaseChange::Parent(Some(parent)) => base_of_content(self.db, path, parent)?,
            BaseChange::Settled(live) => live.map(base_of),
        };
        self.trees.set_base(path, base.as_ref())
    }
}

fn has_disputes(db: &Connection) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM heads WHERE is_winner = 0)";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn number_in(db: &Connection, key: &str) -> Result<u64, Fault> {
    Ok(records::meta(db, key)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn set_number(db: &Connection, key: &str, number: u64) -> Result<(), Fault> {
    records::set_meta(db, key, &number.to_string())
}

fn base_of(live: Live) -> BaseEntry {
    let ids = PerSide { local: None, remote: None };
    BaseEntry { kind: live.kind, modified_ns: live.modified_ns, ids }
}

/// The base with the content that a lost version was made from. Its length is known from the base or from a kept text: without either,
/// the conflict has no base.
fn base_of_content(
    db: &Connection,
    path: &TreePath,
    parent: swarm_sync::ContentHash,
) -> Result<Option<BaseEntry>, Fault> {
    let known = trees::base(db, path)?;
    if known.as_ref().and_then(|base| base.kind.file()).is_some_and(|file| file.hash == parent) {
        return Ok(known);
    }
    let text = crate::texts::text(db, &parent)?;
    Ok(text.map(|text| {
        let len = text.len() as u64;
        let kind = swarm_sync::Kind::File(swarm_sync::FileContent { len, hash: parent, executable: false });
        BaseEntry { kind, modified_ns: 0, ids: PerSide { local: None, remote: None } }
    }))
}

fn entry_of(state: &State) -> Option<Entry> {
    match state {
        State::Live(live) => {
            Some(Entry { kind: live.kind.clone(), modified_ns: live.modified_ns, stamp: Stamp::default() })
        }
        State::Deleted => None,
    }
}

fn folder() -> Entry {
    Entry { kind: Kind::Folder, modified_ns: 0, stamp: Stamp::default() }
}

/// The last commit of this node of which the trees tell.
const RECORDED: &str = "recorded own commits";
/// The greatest counter that this node signed.
const OWN_COUNTER: &str = "own counter";

#[cfg(test)]
mod tests;
