//! What of a missing range is held after all: a piece in which one byte changed is missing whole, though most of it stands in the old
//! file next to what was found.
//!
//! Slices of 4 KiB are compared at the two places where they would be if bytes were only replaced (counted from the start of the gap)
//! or inserted or removed before them (counted from its end). Between two local files [`equal_slices`] compares the bytes; over a
//! network the sender gives [`GapSlices`], 4 bytes in a thousand, for the gaps that are asked for. Absent here: reading.

use super::fill::{FileIndex, Step};
use super::recipe::leading;

/// Of a slice, in bytes: what disks write at once, and with two partial slices at the ends of a change 4 % of one of 100 KB.
pub const SLICE_LEN: usize = 4 << 10;

/// An offset in a local file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: FileIndex,
    /// In bytes.
    pub at: u64,
}

/// A range of the new file that no piece at hand fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Offset in the new file.
    pub to: u64,
    /// In bytes, 1 to 16 MiB.
    pub len: u64,
    /// Where the bytes of the gap would begin, had none been inserted or removed since the match before it. It may be the end of its file.
    pub before: Option<Place>,
    /// Where the bytes of the gap would end, counted back from the match after it. Fewer than `len` bytes may stand before it.
    pub after: Option<Place>,
}

/// The first 8 bytes of the BLAKE3 of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceHash(pub [u8; 8]);

/// The slices of a gap, or of what may be the same in an old file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GapSlices {
    /// The first slice first; the last may be short.
    pub from_start: Vec<SliceHash>,
    /// The last slice first; the one at the start of the gap may be short.
    pub from_end: Vec<SliceHash>,
}

impl Gap {
    /// Whether both places are one range of one file: then slices from the end can find nothing that those from the start do not.
    pub fn is_in_place(&self) -> bool {
        let before = self.before.map(|place| Place { at: place.at + self.len, ..place });
        before.is_some() && before == self.after
    }
}

impl GapSlices {
    /// Of a gap of the new file (`from_start` and `from_end` are the same bytes), or of the bytes of old files from [`Gap::before`] on
    /// and up to [`Gap::after`], no more than the gap has.
    pub fn new(from_start: &[u8], from_end: &[u8]) -> Self {
        let hash = |slice: &[u8]| SliceHash(leading(blake3::hash(slice)));
        Self {
            from_start: from_start.chunks(SLICE_LEN).map(hash).collect(),
            from_end: from_end.rchunks(SLICE_LEN).map(hash).collect(),
        }
    }

    /// Which slices from the start, and which from the end, are the same in both.
    pub fn equal(&self, other: &Self) -> (Vec<bool>, Vec<bool>) {
        let equal = |a: &[SliceHash], b: &[SliceHash]| a.iter().zip(b).map(|(a, b)| a == b).collect();
        (equal(&self.from_start, &other.from_start), equal(&self.from_end, &other.from_end))
    }
}

/// The same as [`GapSlices::equal`] where the bytes of the gap and of the old files are at hand.
pub fn equal_slices(new: &[u8], before: &[u8], after: &[u8]) -> (Vec<bool>, Vec<bool>) {
    let from_start = new.chunks(SLICE_LEN).zip(before.chunks(SLICE_LEN)).map(|(new, old)| new == old);
    let from_end = new.rchunks(SLICE_LEN).zip(after.rchunks(SLICE_LEN)).map(|(new, old)| new == old);
    (from_start.collect(), from_end.collect())
}

/// The ranges of a gap that old files hold, given which slices are the same counted from its start and from its end.
pub fn refine(gap: &Gap, (from_start, from_end): (&[bool], &[bool])) -> Vec<Step> {
    let starts = gap.before.map_or(Vec::new(), |_| runs(from_start, gap.len));
    let ends = gap.after.map_or(Vec::new(), |_| mirrored(&runs(from_end, gap.len), gap.len));
    let mut found = Vec::new();
    let mut next = 0;
    for run in starts.iter().chain([&Run { start: gap.len, end: gap.len }]) {
        found.extend(within(&ends, Run { start: next, end: run.start }).map(|run| gap.held_before_end(run)));
        found.extend((run.start < run.end).then(|| gap.held_after_start(*run)));
        next = run.end;
    }
    found.into_iter().flatten().collect()
}

/// A range of a gap, counted from its start, in bytes.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: u64,
    end: u64,
}

impl Gap {
    fn held_after_start(&self, run: Run) -> Option<Step> {
        let place = self.before.map(|place| Place { at: place.at + run.start, ..place });
        place.map(|place| Step::of(Some(place), self.to + run.start, run.end - run.start))
    }

    fn held_before_end(&self, run: Run) -> Option<Step> {
        let place = self
            .after
            .and_then(|place| Some(Place { at: place.at.checked_sub(self.len - run.start)?, ..place }));
        place.map(|place| Step::of(Some(place), self.to + run.start, run.end - run.start))
    }
}

/// Adjoining slices that are the same, as runs.
fn runs(equal: &[bool], len: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, _) in equal.iter().enumerate().filter(|&(_, &equal)| equal) {
        let start = (index * SLICE_LEN) as u64;
        let end = (start + SLICE_LEN as u64).min(len);
        match runs.last_mut() {
            Some(last) if last.end == start => last.end = end,
            Some(_) | None => runs.push(Run { start, end }),
        }
    }
    runs
}

fn mirrored(runs: &[Run], len: u64) -> Vec<Run> {
    runs.iter().rev().map(|run| Run { start: len - run.end, end: len - run.start }).collect()
}

/// The parts of sorted runs that are in a range.
fn within(runs: &[Run], range: Run) -> impl Iterator<Item = Run> + '_ {
    let first = runs.partition_point(|run| run.end <= range.start);
    let inside = runs[first..].iter().take_while(move |run| run.start < range.end);
    inside.map(move |run| Run { start: run.start.max(range.start), end: run.end.min(range.end) })
}

/// A long gap in parts, each with its own two places.
pub(super) fn windows(gap: Gap) -> impl Iterator<Item = Gap> {
    (0..gap.len).step_by(WINDOW_LEN as usize).map(move |start| {
        let len = WINDOW_LEN.min(gap.len - start);
        let left = gap.len - start - len;
        Gap {
            to: gap.to + start,
            len,
            before: gap.before.map(|place| Place { at: place.at + start, ..place }),
            after: gap.after.and_then(|place| Some(Place { at: place.at.checked_sub(left)?, ..place })),
        }
    })
}

/// Bounds the memory that a gap costs, in bytes.
const WINDOW_LEN: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const FILE: FileIndex = FileIndex::REPLACED;

    /// Each letter is a slice, a digit is so many bytes. The gap stands at 100 slices of the new file, `before` begins at 100 slices of the
    /// old one, `after` ends `moved` bytes after the end of the gap.
    fn check(new: &str, before: &str, after: &str, moved: i64, picture: Expect) {
        let [new, before, after] = [new, before, after].map(bytes);
        let to = 100 * SLICE_LEN as u64;
        let len = new.len() as u64;
        let places = [to, (to + len).strict_add_signed(moved)].map(|at| Some(Place { file: FILE, at }));
        let gap = Gap { to, len, before: places[0], after: places[1] };
        let (from_start, from_end) = equal_slices(&new, &before, &after);
        let hashed = GapSlices::new(&new, &new).equal(&GapSlices::new(&before, &after));
        assert_eq!(hashed, (from_start.clone(), from_end.clone()), "hashes say what bytes say");
        let shown = refine(&gap, (&from_start, &from_end)).into_iter().map(|step| match step {
            Step::Keep { at, len } => format!("keep {}+{len}", at - to),
            Step::Copy { from, to: at, len, .. } => format!("copy {}+{len} from {}", at - to, from - to),
            Step::Fetch { .. } => unreachable!("what is found is not fetched"),
        });
        picture.assert_eq(&shown.collect::<Vec<_>>().join(", "));
    }

    fn bytes(picture: &str) -> Vec<u8> {
        let part = |letter: u8| match letter {
            b'0'..=b'9' => vec![letter; usize::from(letter - b'0')],
            _ => vec![letter; SLICE_LEN],
        };
        picture.bytes().flat_map(part).collect()
    }

    #[test]
    fn slices_in_place_are_kept() {
        check("aXcYe", "abcde", "abcde", 0, expect!["keep 0+4096, keep 8192+4096, keep 16384+4096"]);
    }

    #[test]
    fn slices_after_an_insertion_are_found_from_the_end() {
        check("ab1cd", "abcd", "abcd", -1, expect!["keep 0+8192, copy 8193+8192 from 8192"]);
    }

    #[test]
    fn slices_before_and_after_a_longer_replacement_are_found_from_both_sides() {
        check("abXYef", "abcef", "abcef", -4096, expect!["keep 0+8192, copy 16384+8192 from 12288"]);
    }

    #[test]
    fn a_slice_that_is_found_from_both_sides_is_found_once() {
        check("aaa3", "aaaa", "aaa3", 5, expect!["keep 0+12288, copy 12288+3 from 12293"]);
    }

    #[test]
    fn nothing_is_found_in_new_bytes() {
        check("XYZ", "abc", "def", 0, expect![[""]]);
        check("XYZ", "", "", 0, expect![[""]]);
    }

    #[test]
    fn a_long_gap_is_looked_at_in_windows() {
        let place = |at| Some(Place { file: FILE, at });
        let gap = Gap { to: 7, len: (16 << 20) + 5, before: place(50), after: place(3) };
        let first = Gap { to: 7, len: 16 << 20, before: place(50), after: None };
        let second = Gap { to: 7 + (16 << 20), len: 5, before: place(50 + (16 << 20)), after: place(3) };
        assert_eq!(windows(gap).collect::<Vec<_>>(), [first, second]);
    }

    #[test]
    fn a_gap_between_two_ranges_of_one_file_is_in_place() {
        let place = |at| Some(Place { file: FILE, at });
        let gap = Gap { to: 0, len: 5, before: place(50), after: place(55) };
        assert!(gap.is_in_place());
        assert!(!Gap { after: place(56), ..gap }.is_in_place());
        assert!(!Gap { before: None, after: None, ..gap }.is_in_place());
    }
}
