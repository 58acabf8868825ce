//! Taking records into the view.

use rusqlite::Connection;
use swarm_core::base::NodeId;
use swarm_library::{BaseChange, Commit, Head, Live, Record, RecordRef, State, Step};
use swarm_sync::{BaseEntry, Entry, Observation, PerSide, Side, Stamp, TreePath};

use super::heads::{load, store};
use super::{LibraryBook, commits, proposals};
use crate::IndexError;
use crate::error::Fault;
use crate::row::key_of;
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
    /// Paths at which another version wins now.
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

    /// The records of a proposal hold now.
    pub fn take_held(
        &mut self,
        commit: &Commit,
        records: &[Record],
        me: &NodeId,
    ) -> Result<Taken, IndexError> {
        self.write(|db| {
            let mut taken = Taken::default();
            let trees = Trees::new(db)?;
            for place in proposals::take_held(db, commit)? {
                let record = records.get(place as usize).ok_or(Fault::Damaged("a held record is missing"))?;
                take(db, (Some(&trees), me), record_ref(commit, place), record, &mut taken)?;
            }
            Ok(taken)
        })
    }

    /// Makes the row of a path in the remote tree what the view has there: after a proposal of this node came to nothing.
    pub fn restore_row(&mut self, path: &TreePath) -> Result<(), IndexError> {
        self.write(|db| {
            let heads = load(db, &key_of(path))?;
            Trees::new(db)?.observe(Side::Remote, &row_of(path, heads.winner()))
        })
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
    let mut trees = Trees::new(db)?;
    if matches!(way, Way::Peer { .. }) {
        trees.expect_load(Side::Remote)?;
    }
    let rows = match way {
        Way::Own => (None, &commit.header().author),
        Way::Peer { me } => (Some(&trees), me),
    };
    for (place, record) in (0_u32..).zip(records) {
        match votes.get(place as usize).copied().unwrap_or(0) {
            0 => take(db, rows, record_ref(commit, place), record, &mut taken)?,
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
    (trees, me): (Option<&Trees<'_>>, &NodeId),
    reference: RecordRef,
    record: &Record,
    taken: &mut Taken,
) -> Result<(), Fault> {
    let key = key_of(&record.path);
    let before = load(db, &key)?;
    let Record { state, vector, parent, .. } = record.clone();
    let head = Head { record: reference, state, vector, parent };
    let Some(Step { heads, is_changed, base }) = swarm_library::take(&before, head, me) else {
        return Ok(());
    };
    store(db, &key, &before, &heads)?;
    taken.disputed += u64::from(heads.is_disputed());
    taken.changed += u64::from(is_changed);
    let Some(trees) = trees else { return Ok(()) };
    if is_changed {
        trees.observe(Side::Remote, &row_of(&record.path, heads.winner()))?;
    }
    set_base(db, trees, &record.path, base)
}

fn set_base(db: &Connection, trees: &Trees<'_>, path: &TreePath, change: BaseChange) -> Result<(), Fault> {
    let base = match change {
        BaseChange::Keep => return Ok(()),
        BaseChange::Parent(None) => None,
        BaseChange::Parent(Some(parent)) => base_of_content(db, path, parent)?,
        BaseChange::Settled(live) => live.map(base_of),
    };
    trees.set_base(path, base.as_ref())
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

fn row_of(path: &TreePath, winner: Option<&Head>) -> Observation {
    let entry = winner.and_then(|head| match &head.state {
        State::Live(live) => {
            Some(Entry { kind: live.kind.clone(), modified_ns: live.modified_ns, stamp: Stamp::default() })
        }
        State::Deleted => None,
    });
    Observation { path: path.clone(), entry }
}
