//! Blocks of uploads, used again and again: a fresh one is zeroed, and the system may have to find and clear its pages first. Invariant: what lies spare never holds more than [`SPARE_LEN_MAX`].

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The blocks that are free. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Blocks {
    spare: Arc<Mutex<Spare>>,
}

#[derive(Default)]
struct Spare {
    blocks: Vec<Vec<u8>>,
    len: usize,
}

/// A block in use; its memory comes back when it is dropped.
struct Block {
    bytes: Vec<u8>,
    len: usize,
    home: Blocks,
}

impl Blocks {
    /// `len` bytes that `fill` writes, all of them; before that they may be anything.
    pub(super) fn filled<E>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let mut bytes = self.take();
        if bytes.len() < len {
            bytes = vec![0; len];
        }
        let mut block = Block { bytes, len, home: self.clone() };
        fill(&mut block.bytes[..len])?;
        Ok(Bytes::from_owner(block))
    }

    fn take(&self) -> Vec<u8> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let block = spare.blocks.pop().unwrap_or_default();
        spare.len -= block.len();
        block
    }

    fn give_back(&self, block: Vec<u8>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len + block.len() <= SPARE_LEN_MAX {
            spare.len += block.len();
            spare.blocks.push(block);
        }
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.bytes));
    }
}

/// About what QUIC holds of two links, and what is being read meanwhile.
const SPARE_LEN_MAX: usize = 10 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn filled_with(blocks: &Blocks, len: usize, value: u8) -> Bytes {
        let fill = |bytes: &mut [u8]| {
            bytes.fill(value);
            Ok::<(), ()>(())
        };
        blocks.filled(len, fill).unwrap()
    }

    fn spare_len(blocks: &Blocks) -> usize {
        blocks.spare.lock().unwrap().len
    }

    #[test]
    fn a_block_is_used_again_when_the_last_of_its_bytes_is_gone() {
        let blocks = Blocks::default();
        let first = filled_with(&blocks, 1000, 1);
        let part = first.slice(10..20);
        drop(first);
        assert_eq!(spare_len(&blocks), 0);
        drop(part);
        assert_eq!(spare_len(&blocks), 1000);
        let shorter = filled_with(&blocks, 600, 2);
        assert_eq!((shorter.len(), spare_len(&blocks)), (600, 0));
        assert!(shorter.iter().all(|&byte| byte == 2));
    }

    #[test]
    fn little_lies_spare_and_what_failed_comes_back() {
        let blocks = Blocks::default();
        let many: Vec<Bytes> = (0..100).map(|_| filled_with(&blocks, 512 << 10, 3)).collect();
        drop(many);
        assert_eq!(spare_len(&blocks), SPARE_LEN_MAX);
        let before = spare_len(&blocks);
        assert_eq!(blocks.filled(10, |_| Err(())), Err(()));
        assert_eq!(spare_len(&blocks), before);
    }
}
