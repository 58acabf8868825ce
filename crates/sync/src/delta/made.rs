//! Bytes for tests: the same for the same seed, for ever.

pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub(super) fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut stream = SplitMix(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&stream.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Lines of words, as in a book or a program.
pub(super) fn text(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "the ",
        "piece ",
        "of ",
        "a ",
        "file ",
        "is ",
        "let ",
        "cut = ",
        "where ",
        "bytes ",
        "say ",
        "so;\n",
        "and ",
        "no ",
        "other ",
        "(moves)\n    ",
    ];
    let mut stream = SplitMix(seed);
    let mut bytes = Vec::with_capacity(len + 16);
    while bytes.len() < len {
        bytes.extend_from_slice(WORDS[stream.below(16) as usize].as_bytes());
    }
    bytes.truncate(len);
    bytes
}
