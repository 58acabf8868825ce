//! The view as people browse it: the children of a folder, and a search by name. Invariant: a page costs what it shows, however much stands
//! below its folders; a search that finds little ends after a bounded number of rows, and says where to go on.

use rusqlite::{Connection, OptionalExtension as _, params};
use swarm_sync::TreePath;

use super::LibraryBook;
use super::heads::{self, ViewEntry};
use crate::IndexError;
use crate::error::Fault;
use crate::limits::SEARCHED_AT_ONCE;
use crate::row::{END, end_of, key_of, path_of};

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In path order.
    pub entries: Vec<ViewEntry>,
    /// The path to go on after; `None` if nothing more comes.
    pub next: Option<TreePath>,
}

impl LibraryBook {
    /// The entry of the view at a path.
    pub fn entry(&self, path: &TreePath) -> Result<Option<ViewEntry>, IndexError> {
        let at = self.read(|db| heads::view(db, Some(path), None, 1))?;
        Ok(at.into_iter().next().filter(|entry| entry.path == *path))
    }

    /// What stands directly in a folder, or at the top, after `start`; at most `limit`.
    pub fn children(
        &self,
        place: Option<&TreePath>,
        start: Option<&TreePath>,
        limit: usize,
    ) -> Result<Page, IndexError> {
        self.read(|db| children(db, place, start, limit))
    }

    /// How many stand directly in a folder, or at the top. Rows are counted with all that stands below: `None` if these are too many.
    pub fn count_children(&self, place: Option<&TreePath>) -> Result<Option<u64>, IndexError> {
        self.read(|db| count_children(db, place))
    }

    /// Entries below a folder, or of the whole view, that `is_meant` picks, after `start`; at most `limit`.
    pub fn search(
        &self,
        place: Option<&TreePath>,
        start: Option<&TreePath>,
        limit: usize,
        is_meant: &dyn Fn(&ViewEntry) -> bool,
    ) -> Result<Page, IndexError> {
        let (mut page, mut looked) = (Page { next: start.cloned(), ..Page::default() }, 0);
        while looked < SEARCHED_AT_ONCE {
            let some = self.view(place, page.next.as_ref(), SEARCH_STEP)?;
            looked += some.len();
            let is_last = some.len() < SEARCH_STEP;
            for entry in some {
                page.next = Some(entry.path.clone());
                if place != Some(&entry.path) && is_meant(&entry) {
                    page.entries.push(entry);
                    if page.entries.len() == limit {
                        return Ok(page);
                    }
                }
            }
            if is_last {
                return Ok(Page { next: None, ..page });
            }
        }
        Ok(page)
    }
}

/// From each child to the next one, past all that stands below it.
fn children(
    db: &Connection,
    place: Option<&TreePath>,
    start: Option<&TreePath>,
    limit: usize,
) -> Result<Page, Fault> {
    let place = place.map(key_of);
    let end = place.as_deref().map_or_else(|| END.to_vec(), end_of);
    let below = place.map_or_else(Vec::new, |mut key| {
        key.push(0);
        key
    });
    let mut from = match start {
        Some(start) if key_of(start).starts_with(&below) => end_of(&key_of(start)),
        _ => below.clone(),
    };
    let mut page = Page::default();
    while page.entries.len() < limit {
        let Some(found) = first_from(db, &from, &end)? else { return Ok(Page { next: None, ..page }) };
        // A folder has a row of its own before the rows of what is in it.
        let name_len = found[below.len()..].iter().position(|byte| *byte == 0);
        let child = name_len.map_or(found.as_slice(), |len| &found[..below.len() + len]);
        from = end_of(child);
        let path = path_of(child)?;
        page.entries
            .extend(heads::view(db, Some(&path), None, 1)?.into_iter().filter(|entry| entry.path == path));
        page.next = Some(path);
    }
    let is_more = first_from(db, &from, &end)?.is_some();
    Ok(Page { next: page.next.filter(|_| is_more), ..page })
}

fn count_children(db: &Connection, place: Option<&TreePath>) -> Result<Option<u64>, Fault> {
    let place = place.map(key_of);
    let end = place.as_deref().map_or_else(|| END.to_vec(), end_of);
    let below = place.map_or_else(Vec::new, |mut key| {
        key.push(0);
        key
    });
    let sql = "SELECT COUNT(*), COALESCE(SUM(instr(substr(path, ?3), x'00') = 0), 0) FROM
        (SELECT path FROM heads WHERE path >= ?1 AND path < ?2 AND is_winner = 1 AND kind IS NOT NULL LIMIT ?4)";
    let mut statement = db.prepare_cached(sql)?;
    let from = i64::try_from(below.len()).unwrap_or(i64::MAX).saturating_add(1);
    let (rows, children): (i64, i64) = statement
        .query_row(params![below, end, from, COUNTED_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((rows < COUNTED_AT_ONCE).then_some(children.unsigned_abs()))
}

fn first_from(db: &Connection, from: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let sql = "SELECT path FROM heads WHERE path >= ?1 AND path < ?2 AND is_winner = 1 AND kind IS NOT NULL
        ORDER BY path LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    Ok(statement.query_row(params![from, end], |row| row.get(0)).optional()?)
}

/// Rows that are counted: some 30 ms.
const COUNTED_AT_ONCE: i64 = 200_000;
/// Rows that a search looks at between two looks at its end.
const SEARCH_STEP: usize = 4096;
