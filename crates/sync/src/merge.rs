//! Three-way merge of texts by lines. Invariant: a clean merge has every change of both sides; where changes of both sides touch, it is
//! clean only if both made the same change. Absent here: files with conflict markers, and any guess about what an author meant.

use std::iter::Peekable;
use std::ops::Range;
use std::slice::Iter;

use imara_diff::{Algorithm, Hunk, Token};

use crate::is_text;
use crate::limits::{MERGE_LEN_MAX, MERGE_LINES_MAX};
use crate::lines::Texts;

/// What became of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The text with the changes of both sides.
    Clean(Vec<u8>),
    /// Both sides changed the same lines, or lines beside each other, to something else.
    Overlap,
    /// A version is no UTF-8, or has a NUL.
    NotText,
    /// A version is longer than [`MERGE_LEN_MAX`] or has more lines than [`MERGE_LINES_MAX`].
    TooLong,
}

/// Merges the changes that each side made to `base`.
pub fn merge(base: &[u8], local: &[u8], remote: &[u8]) -> Merged {
    let versions = [base, local, remote];
    if versions.iter().any(|bytes| bytes.len() as u64 > MERGE_LEN_MAX) {
        return Merged::TooLong;
    }
    if !versions.iter().all(|bytes| is_text(bytes)) {
        return Merged::NotText;
    }
    let texts = Texts::new(versions);
    if texts.lines.iter().any(|lines| lines.len() > MERGE_LINES_MAX) {
        return Merged::TooLong;
    }
    merge_texts(&texts)
}

fn merge_texts(texts: &Texts<'_, 3>) -> Merged {
    match merged_lines(texts) {
        Some(lines) => Merged::Clean(lines.iter().flat_map(|&line| texts.line(line)).copied().collect()),
        None => Merged::Overlap,
    }
}

/// The lines of the merged text, if no changes overlap.
fn merged_lines(texts: &Texts<'_, 3>) -> Option<Vec<Token>> {
    let local = texts.hunks(ALGORITHM, BASE, LOCAL);
    let remote = texts.hunks(ALGORITHM, BASE, REMOTE);
    let [base_lines, local_lines, remote_lines] = &texts.lines;
    let mut merged = Vec::with_capacity(base_lines.len());
    let mut copied = 0;
    for place in Places::new(&local, &remote) {
        merged.extend_from_slice(&base_lines[copied..place.base.start]);
        merged.extend_from_slice(place.resolved(local_lines, remote_lines)?);
        copied = place.base.end;
    }
    merged.extend_from_slice(&base_lines[copied..]);
    Some(merged)
}

/// What `git merge-file` uses. Of 9000 merges of texts with six different lines, 9 came out otherwise than git's; with the histogram
/// algorithm it was one in a hundred.
const ALGORITHM: Algorithm = Algorithm::Myers;
const BASE: usize = 0;
const LOCAL: usize = 1;
const REMOTE: usize = 2;

/// Lines of the base that one or both sides changed, together with all changes that touch them.
struct Place {
    base: Range<usize>,
    /// The lines of each side that stand in for them; `None` if the side has no change here.
    local: Option<Range<usize>>,
    remote: Option<Range<usize>>,
}

impl Place {
    /// The lines that stand here after the merge; `None` if both sides made changes that are not the same.
    fn resolved<'a>(&self, local_lines: &'a [Token], remote_lines: &'a [Token]) -> Option<&'a [Token]> {
        let local = self.local.clone().map(|range| &local_lines[range]);
        let remote = self.remote.clone().map(|range| &remote_lines[range]);
        match (local, remote) {
            (Some(local), Some(remote)) => (local == remote).then_some(local),
            (one, other) => one.or(other),
        }
    }
}

/// The places of a merge, in line order. Between two places stands at least one line that no side changed.
struct Places<'a> {
    local: Peekable<Iter<'a, Hunk>>,
    remote: Peekable<Iter<'a, Hunk>>,
}

impl<'a> Places<'a> {
    fn new(local: &'a [Hunk], remote: &'a [Hunk]) -> Self {
        Self { local: local.iter().peekable(), remote: remote.iter().peekable() }
    }
}

impl Iterator for Places<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let starts = [self.local.peek(), self.remote.peek()];
        let start = starts.into_iter().flatten().map(|hunk| hunk.before.start).min()?;
        let mut end = start;
        let (mut local, mut remote) = (Changed::default(), Changed::default());
        // A change that only touches another one counts as an overlap, as in git: nobody can tell which of them comes first.
        while local.take(&mut self.local, &mut end) || remote.take(&mut self.remote, &mut end) {}
        let base = start as usize..end as usize;
        Some(Place { local: local.lines(&base), remote: remote.lines(&base), base })
    }
}

/// The changes of one side at a place.
#[derive(Default)]
struct Changed {
    first: Option<Hunk>,
    last: Option<Hunk>,
}

impl Changed {
    /// Takes the side's next change if it touches a place that ends at `end`, and moves the end.
    fn take(&mut self, hunks: &mut Peekable<Iter<'_, Hunk>>, end: &mut u32) -> bool {
        let Some(hunk) = hunks.next_if(|hunk| hunk.before.start <= *end) else { return false };
        *end = hunk.before.end.max(*end);
        self.first.get_or_insert_with(|| hunk.clone());
        self.last = Some(hunk.clone());
        true
    }

    /// The side's lines for these lines of the base: its changes, and what it left as it was before and after them.
    fn lines(&self, base: &Range<usize>) -> Option<Range<usize>> {
        let (first, last) = (self.first.as_ref()?, self.last.as_ref()?);
        let before = first.before.start as usize - base.start;
        let after = base.end - last.before.end as usize;
        Some(first.after.start as usize - before..last.after.end as usize + after)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Letters stand for lines.
    fn check(base: &str, local: &str, remote: &str, expected: Expect) {
        let text = |letters: &str| letters.chars().flat_map(|letter| [letter, '\n']).collect::<String>();
        let [base, local, remote] = [base, local, remote].map(text);
        let merged = merge(base.as_bytes(), local.as_bytes(), remote.as_bytes());
        assert_eq!(merge(base.as_bytes(), remote.as_bytes(), local.as_bytes()), merged, "sides swapped");
        let shown = match merged {
            Merged::Clean(bytes) => String::from_utf8(bytes).expect("a text").replace('\n', ""),
            other => format!("{other:?}"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn changes_apart_are_both_there() {
        check("abcdef", "aBcdef", "abcdeF", expect!["aBcdeF"]);
        check("abcdef", "bcdef", "abcdefg", expect!["bcdefg"]);
        check("abcdef", "abXcdef", "abcdYef", expect!["abXcdYef"]);
    }

    #[test]
    fn a_change_of_one_side_is_taken() {
        check("abc", "abc", "aXc", expect!["aXc"]);
        check("", "", "abc", expect!["abc"]);
        check("abc", "abc", "", expect![""]);
    }

    #[test]
    fn the_same_change_of_both_sides_is_taken_once() {
        check("abc", "aXc", "aXc", expect!["aXc"]);
        check("abc", "abcd", "abcd", expect!["abcd"]);
        check("abcdef", "aXcdEf", "aXcdef", expect!["aXcdEf"]);
    }

    #[test]
    fn other_changes_of_the_same_lines_overlap() {
        check("abc", "aXc", "aYc", expect!["Overlap"]);
        check("abc", "abcX", "abcY", expect!["Overlap"]);
        check("abc", "ac", "aYc", expect!["Overlap"]);
        check("abcdef", "aXYZef", "abcDef", expect!["Overlap"]);
    }

    #[test]
    fn changes_that_touch_overlap() {
        check("abcd", "aXcd", "abYd", expect!["Overlap"]);
        check("abcd", "abXcd", "abYd", expect!["Overlap"]);
        check("abcd", "abd", "abcXd", expect!["Overlap"]);
        check("abcd", "aXcd", "abcY", expect!["aXcY"]);
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let clean = |text: &str| Merged::Clean(text.into());
        let crlf = merge(b"a\r\nb\r\nc\r\n", b"A\r\nb\r\nc\r\n", b"a\r\nb\r\nC\r\n");
        assert_eq!(crlf, clean("A\r\nb\r\nC\r\n"));
        let no_last_newline = merge(b"a\nb\nc", b"A\nb\nc", b"a\nb\nc");
        assert_eq!(no_last_newline, clean("A\nb\nc"));
        assert_eq!(merge(b"a\nb\nc\n", b"A\nb\nc\n", b"a\nb\nc"), clean("A\nb\nc"));
        assert_eq!(merge(b"a\nb\nc", b"A\nb\nc", b"a\nb\nc\n"), clean("A\nb\nc\n"));
        assert_eq!(merge(b"a\nb\n", b"a\nb", b"a\nb\nc\n"), Merged::Overlap);
    }

    #[test]
    fn all_line_ends_changed_on_one_side_overlap_with_an_edit() {
        assert_eq!(merge(b"a\nb\nc\n", b"a\r\nb\r\nc\r\n", b"a\nX\nc\n"), Merged::Overlap);
    }

    #[test]
    fn only_texts_of_a_sane_length_are_merged() {
        assert_eq!(merge(b"a", b"a\0", b"b"), Merged::NotText);
        assert_eq!(merge(b"a", b"a", b"\xff"), Merged::NotText);
        let lines = |count| b"\n".repeat(count);
        assert_eq!(merge(b"", b"", &lines(MERGE_LINES_MAX + 1)), Merged::TooLong);
        assert_eq!(merge(b"", b"", &lines(MERGE_LINES_MAX)), Merged::Clean(lines(MERGE_LINES_MAX)));
        let long = vec![b'x'; usize::try_from(MERGE_LEN_MAX).expect("a small number") + 1];
        assert_eq!(merge(&long, b"", b""), Merged::TooLong);
    }
}
