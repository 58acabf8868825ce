//! Texts as lines, and where two texts differ. Invariant: a line includes its end (`\n`, `\r\n`, or nothing at the end of the text), so
//! texts that differ only in line ends differ here. Absent here: what is done about a difference.

use imara_diff::sources::byte_lines;
use imara_diff::{Algorithm, Diff, Hunk, Interner, NoSliderHeuristic, Token};

/// Whether these bytes can be merged and compared by lines: UTF-8 without NUL.
pub fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

/// Several texts, their lines numbered so that equal lines have equal numbers in all of them.
pub(crate) struct Texts<'a, const N: usize> {
    /// Of each text, the numbers of its lines.
    pub(crate) lines: [Vec<Token>; N],
    interner: Interner<&'a [u8]>,
}

impl<'a, const N: usize> Texts<'a, N> {
    pub(crate) fn new(texts: [&'a [u8]; N]) -> Self {
        let mut interner = Interner::new(0);
        let lines = texts.map(|text| byte_lines(text).map(|line| interner.intern(line)).collect());
        Self { lines, interner }
    }

    /// The bytes of a line.
    pub(crate) fn line(&self, number: Token) -> &'a [u8] {
        self.interner[number]
    }

    /// Where the texts of these two indices differ, in line order. An unchanged line stands between any two hunks.
    pub(crate) fn hunks(&self, algorithm: Algorithm, before: usize, after: usize) -> Vec<Hunk> {
        let (before, after) = (&self.lines[before], &self.lines[after]);
        let mut diff = Diff::default();
        diff.compute_with(algorithm, before, after, self.interner.num_tokens());
        // A hunk that could stand at several places is moved down, as git moves it: both sides of a merge then agree on the place.
        diff.postprocess_with(before, after, NoSliderHeuristic);
        diff.hunks().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_utf8_without_nul() {
        assert!(is_text(b"") && is_text("naïve\r\n".as_bytes()));
        assert!(!is_text(b"a\0b") && !is_text(b"\xff"));
    }

    #[test]
    fn a_line_has_its_end() {
        let texts = Texts::new([b"a\nb\r\n", b"a\nb\n", b"a"]);
        assert_ne!(texts.lines[0], texts.lines[1]);
        assert_eq!(texts.line(texts.lines[2][0]), b"a");
        assert_ne!(texts.lines[1][0], texts.lines[2][0]);
    }
}
