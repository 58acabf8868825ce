//! A unified diff of two texts, as `diff -u` prints it. Its lines are what the texts hold: escape them before they are shown. Absent here:
//! colours, and texts too long to be read.

use std::ops::Range;

use imara_diff::{Algorithm, Hunk};

use crate::is_text;
use crate::limits::{MERGE_LEN_MAX, MERGE_LINES_MAX};
use crate::lines::Texts;

/// The names in the first two lines of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffNames<'a> {
    /// After `---`.
    pub old: &'a str,
    /// After `+++`.
    pub new: &'a str,
}

/// What turns `old` into `new`; empty if they are the same, `None` if one is no text or too long to be compared.
pub fn unified_diff(old: &[u8], new: &[u8], names: DiffNames<'_>) -> Option<String> {
    let is_fit = |bytes: &[u8]| bytes.len() as u64 <= MERGE_LEN_MAX && is_text(bytes);
    if !is_fit(old) || !is_fit(new) {
        return None;
    }
    let texts = Texts::new([old, new]);
    if texts.lines.iter().any(|lines| lines.len() > MERGE_LINES_MAX) {
        return None;
    }
    let hunks = texts.hunks(Algorithm::Histogram, OLD, NEW);
    if hunks.is_empty() {
        return Some(String::new());
    }
    let mut shown = format!("--- {}\n+++ {}\n", names.old, names.new);
    for group in hunks.chunk_by(|one, next| next.before.start - one.before.end <= 2 * CONTEXT_LINES) {
        write_group(&mut shown, &texts, group);
    }
    Some(shown)
}

const OLD: usize = 0;
const NEW: usize = 1;
/// Unchanged lines shown before and after a change, as in `diff -u`.
const CONTEXT_LINES: u32 = 3;

fn write_group(shown: &mut String, texts: &Texts<'_, 2>, group: &[Hunk]) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    let lead = first.before.start.min(CONTEXT_LINES);
    let old_len = texts.lines[OLD].len() as u32;
    let tail = (old_len - last.before.end).min(CONTEXT_LINES);
    let old = first.before.start - lead..last.before.end + tail;
    let new = first.after.start - lead..last.after.end + tail;
    shown.push_str(&format!("@@ -{} +{} @@\n", position(&old), position(&new)));
    let mut written = old.start;
    for hunk in group {
        write_lines(shown, texts, OLD, ' ', written..hunk.before.start);
        write_lines(shown, texts, OLD, '-', hunk.before.clone());
        write_lines(shown, texts, NEW, '+', hunk.after.clone());
        written = hunk.before.end;
    }
    write_lines(shown, texts, OLD, ' ', written..old.end);
}

/// First line and number of lines. An empty range is named by the line before it, and a single line has no number of lines.
fn position(lines: &Range<u32>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        count => format!("{},{count}", lines.start + 1),
    }
}

fn write_lines(shown: &mut String, texts: &Texts<'_, 2>, text: usize, mark: char, lines: Range<u32>) {
    for &number in &texts.lines[text][lines.start as usize..lines.end as usize] {
        let line = String::from_utf8_lossy(texts.line(number));
        shown.push(mark);
        shown.push_str(&line);
        if !line.ends_with('\n') {
            shown.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(old: &str, new: &str, expected: Expect) {
        let names = DiffNames { old: "A", new: "B" };
        let shown = unified_diff(old.as_bytes(), new.as_bytes(), names).expect("texts");
        expected.assert_eq(&shown);
    }

    #[test]
    fn equal_texts_have_an_empty_diff() {
        check("a\n", "a\n", expect![""]);
        check("", "", expect![""]);
    }

    #[test]
    fn a_changed_line_stands_among_three_lines_before_and_after() {
        check(
            "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
            "1\n2\n3\n4\nFIVE\n6\n7\n8\n9\n",
            expect![[r"
                --- A
                +++ B
                @@ -2,7 +2,7 @@
                 2
                 3
                 4
                -5
                +FIVE
                 6
                 7
                 8
            "]],
        );
    }

    #[test]
    fn changes_far_apart_stand_in_groups_of_their_own() {
        check(
            "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
            "0\n1\n2\n3\n4\n5\n6\n7\n8\n",
            expect![[r"
                --- A
                +++ B
                @@ -1,3 +1,4 @@
                +0
                 1
                 2
                 3
                @@ -6,4 +7,3 @@
                 6
                 7
                 8
                -9
            "]],
        );
    }

    #[test]
    fn a_missing_last_newline_is_said() {
        check(
            "a\nb",
            "a\nb\n",
            expect![[r"
                --- A
                +++ B
                @@ -1,2 +1,2 @@
                 a
                -b
                \ No newline at end of file
                +b
            "]],
        );
    }

    #[test]
    fn a_text_from_nothing_starts_at_line_zero() {
        check(
            "",
            "a\n",
            expect![[r"
                --- A
                +++ B
                @@ -0,0 +1 @@
                +a
            "]],
        );
    }

    #[test]
    fn what_is_no_text_has_no_diff() {
        let names = DiffNames { old: "A", new: "B" };
        assert_eq!(unified_diff(b"\0", b"a", names), None);
        assert_eq!(unified_diff(b"", &b"\n".repeat(MERGE_LINES_MAX + 1), names), None);
    }
}
