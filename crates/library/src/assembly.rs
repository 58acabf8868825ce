//! Commits from their parts, and parts of commits. Invariant: no more bytes are held than have come, and than a commit may have; whatever
//! does not follow ends the assembly.

use bytes::Bytes;
use swarm_core::base::NodeId;

use crate::limits::{COMMIT_LEN_MAX, PIECE_LEN};
use crate::wire::{CommitPiece, Part};
use crate::{Commit, CommitError, LibraryKey, Message};

/// Puts the commits of one link together, one after the other.
#[derive(Debug, Default)]
pub struct CommitAssembly {
    begun: Option<Begun>,
}

/// Why parts are no commit. The sender is at fault: it read the commit before it sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// A part of another commit, of another place or of another length than the next one.
    #[error("a part of a commit does not follow the part before it")]
    OutOfOrder,
    /// The parts together are no commit.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// It is another commit than the parts said.
    #[error("the parts of a commit name another commit than they are of")]
    OtherCommit,
}

/// A commit of which some parts are here.
#[derive(Debug)]
struct Begun {
    name: Name,
    len: u32,
    bytes: Vec<u8>,
}

/// What a part says of its commit.
type Name = (LibraryKey, NodeId, u64);

impl CommitAssembly {
    /// Takes the next part; the commit if it was the last. After an error nothing of the commit is kept.
    pub fn take(&mut self, piece: CommitPiece) -> Result<Option<Commit>, AssemblyError> {
        let name = (piece.library, piece.author, piece.seq);
        match self.begun.take() {
            None if piece.part.offset != 0 => Err(AssemblyError::OutOfOrder),
            // Small commits are one part, which is not copied.
            None if is_last(&piece.part) => finished(name, piece.part.data).map(Some),
            None => self.go_on(Begun { name, len: piece.part.len, bytes: Vec::new() }, piece.part),
            Some(begun) if begun.name == name => self.go_on(begun, piece.part),
            Some(_) => Err(AssemblyError::OutOfOrder),
        }
    }

    /// Bytes of the commit that is not finished.
    pub fn held_len(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.bytes.len())
    }

    fn go_on(&mut self, mut begun: Begun, part: Part) -> Result<Option<Commit>, AssemblyError> {
        let follows = part.len == begun.len && part.offset as usize == begun.bytes.len();
        if !follows || part.len as usize > COMMIT_LEN_MAX {
            return Err(AssemblyError::OutOfOrder);
        }
        begun.bytes.extend_from_slice(&part.data);
        if is_last(&part) {
            return finished(begun.name, begun.bytes.into()).map(Some);
        }
        self.begun = Some(begun);
        Ok(None)
    }
}

/// The messages that carry a commit, in order.
pub fn pieces_of(commit: &Commit) -> impl Iterator<Item = Message> + use<> {
    let header = commit.header();
    let (library, author, seq) = (header.library, header.author, header.seq);
    let bytes = commit.encode();
    let len = bytes.len() as u32;
    (0..bytes.len()).step_by(PIECE_LEN).map(move |offset| {
        let data = bytes.slice(offset..bytes.len().min(offset + PIECE_LEN));
        let part = Part { len, offset: offset as u32, data };
        Message::CommitPiece(CommitPiece { library, author, seq, part })
    })
}

fn is_last(part: &Part) -> bool {
    part.offset as usize + part.data.len() >= part.len as usize
}

fn finished(name: Name, bytes: Bytes) -> Result<Commit, AssemblyError> {
    let commit = Commit::decode(bytes)?;
    let header = commit.header();
    if (header.library, header.author, header.seq) == name {
        Ok(commit)
    } else {
        Err(AssemblyError::OtherCommit)
    }
}

#[cfg(test)]
mod tests {
    use swarm_core::manifest::SigningKey;
    use swarm_sync::TreePath;

    use super::*;
    use crate::{CommitId, Draft, Guid, Record, State, Vector};

    fn commit(seq: u64, record_count: usize) -> Commit {
        let key = SigningKey::from_seed(&[1; 32]);
        let record = |n: usize| Record {
            path: TreePath::new(format!("{n}/{}", "long/".repeat(20) + "name")).expect("a path"),
            state: State::Deleted,
            vector: Vector::of(key.public(), 1),
            parent: None,
            moved_from: None,
        };
        let records: Vec<Record> = (0..record_count).map(record).collect();
        let draft = Draft {
            library: Guid::new("a").expect("a GUID").key(),
            after: (seq > 1).then_some((seq - 1, CommitId([1; 32]))),
            content: None,
            made_at_ms: 5,
            covers: 0,
            records: &records,
        };
        Commit::sign(&key, &draft).expect("signed")
    }

    /// Its parts, as the other end reads them.
    fn pieces(commit: &Commit) -> Vec<CommitPiece> {
        let read = |message: Message| match Message::decode(message.encode()) {
            Ok(Some(Message::CommitPiece(piece))) => piece,
            other => panic!("{other:?}"),
        };
        pieces_of(commit).map(read).collect()
    }

    #[test]
    fn commits_of_any_length_are_put_together() {
        let mut assembly = CommitAssembly::default();
        for (seq, records, parts) in [(1, 1, 1), (2, 2000, 4), (3, 8000, 15), (4, 1, 1)] {
            let commit = commit(seq, records);
            let pieces = pieces(&commit);
            assert_eq!(pieces.len(), parts);
            let mut held = 0;
            for piece in &pieces[..parts - 1] {
                held += piece.part.data.len();
                assert_eq!(assembly.take(piece.clone()), Ok(None));
                assert_eq!(assembly.held_len(), held);
            }
            assert_eq!(assembly.take(pieces[parts - 1].clone()), Ok(Some(commit)));
            assert_eq!(assembly.held_len(), 0);
        }
    }

    /// The parts of two commits of four parts each, in this order, end with this.
    fn check(order: &[(u64, usize)], expected: Result<bool, AssemblyError>) {
        let all = [pieces(&commit(1, 2000)), pieces(&commit(2, 2000))];
        let mut assembly = CommitAssembly::default();
        let mut last = Ok(None);
        for (seq, part) in order {
            assert!(last.is_ok(), "{order:?}");
            last = assembly.take(all[*seq as usize - 1][*part].clone());
        }
        assert_eq!(last.map(|commit| commit.is_some()), expected, "{order:?}");
        assert_eq!(assembly.held_len() > 0, expected == Ok(false));
    }

    #[test]
    fn parts_that_do_not_follow_end_the_assembly() {
        let out_of_order = Err(AssemblyError::OutOfOrder);
        check(&[(1, 0), (1, 1), (1, 2), (1, 3)], Ok(true));
        check(&[(1, 0), (1, 1)], Ok(false));
        check(&[(1, 1)], out_of_order);
        check(&[(1, 3)], out_of_order);
        check(&[(1, 0), (1, 2)], out_of_order);
        check(&[(1, 0), (1, 1), (1, 1)], out_of_order);
        check(&[(1, 0), (1, 0)], out_of_order);
        check(&[(1, 0), (2, 1)], out_of_order);
        check(&[(1, 0), (2, 0)], out_of_order);
    }

    #[test]
    fn a_commit_is_the_one_that_its_parts_name() {
        let piece = pieces(&commit(2, 1)).remove(0);
        let check = |piece: CommitPiece, expected| {
            assert_eq!(CommitAssembly::default().take(piece), Err(expected));
        };
        check(CommitPiece { seq: 3, ..piece.clone() }, AssemblyError::OtherCommit);
        check(
            CommitPiece { author: NodeId::from_bytes([9; 32]), ..piece.clone() },
            AssemblyError::OtherCommit,
        );
        let library = Guid::new("b").expect("a GUID").key();
        check(CommitPiece { library, ..piece.clone() }, AssemblyError::OtherCommit);
        let data = Bytes::from_static(b"no commit");
        let part = Part { len: 9, offset: 0, data };
        check(CommitPiece { part, ..piece }, AssemblyError::Commit(CommitError::Schema));
    }

    #[test]
    fn another_name_or_length_ends_the_assembly() {
        let check = |change: fn(&mut CommitPiece), expected| {
            let mut pieces = pieces(&commit(2, 2000));
            let mut assembly = CommitAssembly::default();
            assert_eq!(assembly.take(pieces.remove(0)), Ok(None));
            change(&mut pieces[0]);
            assert_eq!(assembly.take(pieces.remove(0)), expected);
        };
        check(|_| (), Ok(None));
        check(|piece| piece.part.len += 1, Err(AssemblyError::OutOfOrder));
        check(|piece| piece.seq += 1, Err(AssemblyError::OutOfOrder));
        check(|piece| piece.author = NodeId::from_bytes([9; 32]), Err(AssemblyError::OutOfOrder));
    }
}
