//! Authors as small numbers: a node's key would stand in each of a million rows.

use rusqlite::{Connection, OptionalExtension};
use swarm_core::base::NodeId;
use swarm_library::Vector;

use crate::error::Fault;

/// The number of an author; it gets one if it has none.
pub(super) fn number_of(db: &Connection, author: &NodeId) -> Result<i64, Fault> {
    if let Some(number) = known_number_of(db, author)? {
        return Ok(number);
    }
    db.prepare_cached("INSERT INTO authors (node) VALUES (?1)")?.execute([author.as_bytes()])?;
    Ok(db.last_insert_rowid())
}

/// The number of an author, if it has one.
pub(super) fn known_number_of(db: &Connection, author: &NodeId) -> Result<Option<i64>, Fault> {
    let mut found = db.prepare_cached("SELECT number FROM authors WHERE node = ?1")?;
    Ok(found.query_row([author.as_bytes()], |row| row.get(0)).optional()?)
}

/// The author of a number.
pub(super) fn node_of(db: &Connection, number: i64) -> Result<NodeId, Fault> {
    let mut found = db.prepare_cached("SELECT node FROM authors WHERE number = ?1")?;
    let node: Option<Vec<u8>> = found.query_row([number], |row| row.get(0)).optional()?;
    node.as_deref().and_then(NodeId::from_slice).ok_or(Fault::Damaged("an author has no key"))
}

/// A vector as bytes: a number and a counter for each author, LEB128.
pub(super) fn encode(db: &Connection, vector: &Vector) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    for (author, counter) in vector.iter() {
        put(&mut bytes, number_of(db, author)?.cast_unsigned());
        put(&mut bytes, counter);
    }
    Ok(bytes)
}

/// The vector of these bytes.
pub(super) fn decode(db: &Connection, mut bytes: &[u8]) -> Result<Vector, Fault> {
    let mut counters = Vec::new();
    while !bytes.is_empty() {
        let number = take(&mut bytes).ok_or(BAD_VECTOR)?;
        let counter = take(&mut bytes).ok_or(BAD_VECTOR)?;
        counters.push((node_of(db, number.cast_signed())?, counter));
    }
    Vector::from_counters(counters).ok_or(BAD_VECTOR)
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

const BAD_VECTOR: Fault = Fault::Damaged("a version vector is none");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_lengths_survive() {
        for value in [0, 1, 127, 128, 1 << 35, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            let mut rest = bytes.as_slice();
            assert_eq!(take(&mut rest), Some(value));
            assert!(rest.is_empty());
        }
        assert_eq!(take(&mut [0x80].as_slice()), None);
        assert_eq!(take(&mut [0xff; 11].as_slice()), None);
    }
}
