//! Cuts bytes into pieces where the bytes themselves say so: an insertion moves the cuts around it and no other.
//!
//! Invariant: the cuts of version 1 are the same for ever, on every machine, and however the bytes are handed over; golden vectors hold
//! it. A piece ends after its n-th byte if n >= [`PIECE_LEN_MIN`] and the gear hash of its last 64 bytes has zeros in its upper bits: 18
//! of them below [`NORMAL_LEN`], 14 from there on (the normalised chunking of FastCDC, Xia et al. 2016); and always after
//! [`PIECE_LEN_MAX`]. Absent here: hashes of pieces.

/// What makes two recipes comparable. Another rule for cuts is another version.
pub const CHUNKER_VERSION: u32 = 1;
/// No piece but the last of a file is shorter, in bytes.
pub const PIECE_LEN_MIN: u32 = 16 << 10;
/// What random bytes come to on average, in bytes.
pub const PIECE_LEN_AVERAGE: u32 = 64 << 10;
/// No piece is longer, in bytes.
pub const PIECE_LEN_MAX: u32 = 256 << 10;

/// Finds the ends of pieces in a stream of bytes.
#[derive(Clone, Debug, Default)]
pub struct Chunker {
    /// Gear hash: the last 64 bytes of the piece decide it, since each step shifts it by one bit.
    hash: u64,
    /// Bytes of the piece so far.
    len: u32,
}

impl Chunker {
    /// At the beginning of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes up to the end of the piece: `Some(n)` if the piece ends after the n-th of them (the rest is to be handed over again),
    /// `None` if it goes on past them.
    pub fn next_cut(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut taken = self.take_unhashed(bytes.len());
        taken += self.take_untested(&bytes[taken..]);
        for (until, mask) in [(NORMAL_LEN - 1, STRICT_MASK), (PIECE_LEN_MAX, LOOSE_MASK)] {
            let (zone, found) = self.take_tested(&bytes[taken..], until, mask);
            taken += zone;
            if found || self.len == PIECE_LEN_MAX {
                *self = Self::new();
                return Some(taken);
            }
        }
        None
    }

    /// Calls `on_piece` with the length of each piece that ends in these bytes.
    pub fn push(&mut self, mut bytes: &[u8], mut on_piece: impl FnMut(u32)) {
        loop {
            let before = self.len;
            let Some(taken) = self.next_cut(bytes) else { return };
            on_piece(before + taken as u32);
            bytes = &bytes[taken..];
        }
    }

    /// The length of the piece that the end of the file ends; `None` if no byte came since the last cut.
    pub fn finish(self) -> Option<u32> {
        (self.len > 0).then_some(self.len)
    }

    /// Passes over bytes that no possible cut depends on.
    fn take_unhashed(&mut self, available: usize) -> usize {
        let taken = available.min((PIECE_LEN_MIN - WINDOW_LEN).saturating_sub(self.len) as usize);
        self.len += taken as u32;
        taken
    }

    /// Hashes the window of the first possible cut, but for its last byte.
    fn take_untested(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min((PIECE_LEN_MIN - 1).saturating_sub(self.len) as usize);
        self.hash = bytes[..taken].iter().fold(self.hash, |hash, &byte| rolled(hash, byte));
        self.len += taken as u32;
        taken
    }

    /// Goes on until the piece has `until` bytes or may end: how many bytes it took, and whether the piece may end.
    fn take_tested(&mut self, bytes: &[u8], until: u32, mask: u64) -> (usize, bool) {
        let zone = bytes.len().min(until.saturating_sub(self.len) as usize);
        let mut hash = self.hash;
        let found = bytes[..zone].iter().position(|&byte| {
            hash = rolled(hash, byte);
            hash & mask == 0
        });
        let taken = found.map_or(zone, |at| at + 1);
        self.hash = hash;
        self.len += taken as u32;
        (taken, found.is_some())
    }
}

fn rolled(hash: u64, byte: u8) -> u64 {
    (hash << 1).wrapping_add(GEAR[usize::from(byte)])
}

/// The table of the gear hash: the first 256 outputs of SplitMix64 (Steele, Lea, Flood 2014) from seed 0.
const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state = 0_u64;
    let mut at = 0;
    while at < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[at] = word ^ (word >> 31);
        at += 1;
    }
    table
}

static GEAR: [u64; 256] = gear();

/// Bytes that a 64-bit gear hash remembers.
const WINDOW_LEN: u32 = 64;
/// From this length on pieces end easily. With both masks it makes the average of random bytes 64 KiB: 16 + 256 (1 - e^(-36/256)) +
/// 16 e^(-36/256) = 63.5.
const NORMAL_LEN: u32 = 52 << 10;
/// One position in 256 KiB. The upper bits depend on the whole window, the lower ones on its last bytes alone.
const STRICT_MASK: u64 = upper_bits(18);
/// One position in 16 KiB.
const LOOSE_MASK: u64 = upper_bits(14);

const fn upper_bits(count: u32) -> u64 {
    !(u64::MAX >> count)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::delta::made;

    fn pieces(parts: &[&[u8]]) -> Vec<u32> {
        let mut chunker = Chunker::new();
        let mut lens = Vec::new();
        for part in parts {
            chunker.push(part, |len| lens.push(len));
        }
        lens.extend(chunker.finish());
        lens
    }

    /// The rule as the module states it, without zones and without state.
    fn pieces_by_the_rule(bytes: &[u8]) -> Vec<u32> {
        let (mut lens, mut start) = (Vec::new(), 0);
        for end in 1..=bytes.len() {
            let piece = &bytes[start..end];
            let hash =
                piece[piece.len().saturating_sub(64)..].iter().fold(0, |hash, &byte| rolled(hash, byte));
            let zeros = hash.leading_zeros();
            let ends = match piece.len() as u32 {
                0..PIECE_LEN_MIN => false,
                PIECE_LEN_MIN..NORMAL_LEN => zeros >= 18,
                len => zeros >= 14 || len == PIECE_LEN_MAX,
            };
            if ends || end == bytes.len() {
                lens.push((end - start) as u32);
                start = end;
            }
        }
        lens
    }

    /// The number of pieces, the first of them, and a hash over all.
    fn check_golden(bytes: &[u8], golden: Expect) {
        let lens = pieces(&[bytes]);
        assert_eq!(lens.iter().map(|&len| u64::from(len)).sum::<u64>(), bytes.len() as u64);
        let all = lens.iter().flat_map(|len| len.to_le_bytes()).collect::<Vec<_>>();
        let first = &lens[..lens.len().min(12)];
        golden.assert_eq(&format!("{} {first:?} {}", lens.len(), &blake3::hash(&all).to_hex()[..16]));
    }

    #[test]
    fn cuts_of_random_bytes_are_those_of_version_1() {
        check_golden(
            &made::random(1, 4 << 20),
            expect![
                "63 [54829, 99886, 65494, 71453, 72276, 16690, 63801, 76927, 72276, 90515, 68962, 62553] 99aa4b3dd522a8d8"
            ],
        );
    }

    #[test]
    fn zeros_are_cut_at_the_longest_piece() {
        check_golden(&vec![0; 1 << 20], expect!["4 [262144, 262144, 262144, 262144] 9d6f6b02d9994e95"]);
    }

    #[test]
    fn cuts_of_text_are_those_of_version_1() {
        check_golden(
            &made::text(2, 4 << 20),
            expect![
                "66 [62557, 57846, 55381, 103375, 54055, 63135, 78255, 67049, 53606, 65904, 41382, 63826] b094f030fb4f1cdb"
            ],
        );
    }

    #[test]
    fn a_short_file_is_one_piece_and_an_empty_one_has_none() {
        assert_eq!(pieces(&[b"short"]), [5]);
        assert_eq!(pieces(&[b""]), [0; 0]);
    }

    #[test]
    fn the_table_is_the_start_of_the_splitmix_stream() {
        assert_eq!(GEAR[..2], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn random_pieces_are_64_kib_on_average() {
        let lens = pieces(&[&made::random(3, 64 << 20)]);
        let average = (64 << 20) / lens.len() as u32;
        assert!(average.abs_diff(PIECE_LEN_AVERAGE) < 4 << 10, "{average}");
    }

    #[test]
    fn the_state_machine_follows_the_rule() {
        for bytes in [made::random(4, 3 << 20), made::text(5, 1 << 20), vec![7; 600_000]] {
            assert_eq!(pieces(&[&bytes]), pieces_by_the_rule(&bytes));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn cuts_do_not_depend_on_how_bytes_are_handed_over(seed: u64, at in prop::collection::vec(0_usize..600_000, 0..12)) {
            let bytes = made::random(seed, 600_000);
            let mut at = at;
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let parts = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect::<Vec<_>>();
            prop_assert_eq!(pieces(&parts), pieces(&[&bytes]));
        }
    }
}
