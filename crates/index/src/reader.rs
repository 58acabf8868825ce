//! Reading what is known of a side, page by page. Between two pages nothing is held: a side can be compared with its walk for an hour
//! while another connection writes what the walk found.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use swarm_sync::{Entry, Known, PerSide, Side, TreePath};

use crate::IndexError;
use crate::error::Fault;
use crate::limits::PAGE_ROWS;
use crate::row::{END, InOrder, after, end_of, entry_at, key_of, path_of};
use crate::schema;
use crate::trees::of_side;

/// A connection of its own that reads: it can be given to another thread.
#[derive(Debug)]
pub struct IndexReader {
    db: Connection,
    path: PathBuf,
}

impl IndexReader {
    pub(crate) fn open(path: &Path) -> Result<Self, IndexError> {
        let db = schema::open_reader(path).map_err(|fault| fault.at(path))?;
        Ok(Self { db, path: path.into() })
    }

    /// What is known of a side at `place` and below it, in path order; of all of it without a place. What is written meanwhile at
    /// paths that were not read yet is seen, or not.
    pub fn known(&self, side: Side, place: Option<&TreePath>) -> Known<'_, IndexError> {
        known(&self.db, &self.path, side, place)
    }
}

/// What is known of a side, in path order.
pub(crate) fn known<'a>(
    db: &'a Connection,
    path: &'a Path,
    side: Side,
    place: Option<&TreePath>,
) -> Known<'a, IndexError> {
    let place = place.map(key_of);
    let end = place.as_deref().map_or_else(|| END.to_vec(), end_of);
    let start = place.unwrap_or_default();
    Box::new(Pages {
        db,
        path,
        side,
        start,
        end,
        order: InOrder::default(),
        page: VecDeque::new(),
        is_over: false,
    })
}

/// Number of paths that each side has.
pub(crate) fn totals(db: &Connection) -> Result<PerSide<u64>, Fault> {
    let count = |side| -> Result<u64, Fault> {
        let sql = of_side!(side, "SELECT count(*) FROM ", "");
        Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    };
    Ok(PerSide { local: count(Side::Local)?, remote: count(Side::Remote)? })
}

struct Pages<'a> {
    db: &'a Connection,
    path: &'a Path,
    side: Side,
    /// The next page begins here.
    start: Vec<u8>,
    end: Vec<u8>,
    order: InOrder,
    page: VecDeque<(TreePath, Entry)>,
    is_over: bool,
}

impl Pages<'_> {
    fn read(&mut self) -> Result<(), Fault> {
        let sql = of_side!(
            self.side,
            "SELECT path, kind, len, content, modified_ns, device, inode, changed_ns FROM ",
            " WHERE path >= ?1 AND path < ?2 ORDER BY path LIMIT ?3"
        );
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params![self.start, self.end, PAGE_ROWS])?;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_blob()?;
            self.order.take(key)?;
            let entry = entry_at(row, 1)?.ok_or(Fault::Damaged("an entry has no kind"))?;
            self.page.push_back((path_of(key)?, entry));
        }
        self.is_over = self.page.len() < PAGE_ROWS;
        self.start = after(self.order.last());
        Ok(())
    }
}

/// Ends after an error.
impl Iterator for Pages<'_> {
    type Item = Result<(TreePath, Entry), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && !self.is_over
            && let Err(fault) = self.read()
        {
            self.is_over = true;
            self.page.clear();
            return Some(Err(fault.at(self.path)));
        }
        self.page.pop_front().map(Ok)
    }
}
