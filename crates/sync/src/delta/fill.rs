//! Which bytes of a new file local files hold already.
//!
//! Invariant: the steps of a plan stand in the order of the new file and cover each of its bytes once; two steps that could be one are
//! one. Absent here: the order in which steps may be carried out over the old file itself (`in_place`).

use super::gap::{Gap, Place, windows};
use super::recipe::{Piece, Recipe};

/// One of the local files that a plan may copy from, by the caller's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileIndex(pub u32);

/// How a range of the new file comes to be. All offsets and lengths are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The file that is replaced has it at the same place.
    Keep {
        /// Offset in both.
        at: u64,
        /// At least 1.
        len: u64,
    },
    /// A local file has it.
    Copy {
        /// Which one.
        file: FileIndex,
        /// Offset there.
        from: u64,
        /// Offset in the new file.
        to: u64,
        /// At least 1.
        len: u64,
    },
    /// No local file is known to have it.
    Fetch {
        /// Offset in the new file.
        to: u64,
        /// At least 1.
        len: u64,
    },
}

/// How a new file comes to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FillPlan {
    steps: Vec<Step>,
}

/// Finds the pieces of a new file in files at hand. Bytes that are kept are preferred to bytes that are copied, and a copy that
/// continues the one before to any other.
pub fn fill_plan(new: &Recipe, have: &[(FileIndex, &Recipe)]) -> FillPlan {
    HeldPieces::new(have).plan(new)
}

impl FileIndex {
    /// The file that the new one replaces.
    pub const REPLACED: Self = Self(0);
}

impl Step {
    /// A range that is at this place, or nowhere.
    pub(super) fn of(place: Option<Place>, to: u64, len: u64) -> Self {
        match place {
            Some(Place { file: FileIndex::REPLACED, at }) if at == to => Self::Keep { at, len },
            Some(Place { file, at }) => Self::Copy { file, from: at, to, len },
            None => Self::Fetch { to, len },
        }
    }

    /// Offset in the new file.
    pub fn to(self) -> u64 {
        match self {
            Self::Keep { at: to, .. } | Self::Copy { to, .. } | Self::Fetch { to, .. } => to,
        }
    }

    /// In bytes.
    pub fn len(self) -> u64 {
        match self {
            Self::Keep { len, .. } | Self::Copy { len, .. } | Self::Fetch { len, .. } => len,
        }
    }

    /// Never: a step has at least one byte.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The first byte after it in the new file.
    pub fn end(self) -> u64 {
        self.to() + self.len()
    }

    /// Where its bytes are now; `None` if they have to be fetched.
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Keep { at, .. } => Some(Place { file: FileIndex::REPLACED, at }),
            Self::Copy { file, from, .. } => Some(Place { file, at: from }),
            Self::Fetch { .. } => None,
        }
    }

    /// What of it is between two offsets in the new file. Some of it has to be.
    pub fn part(self, start: u64, end: u64) -> Self {
        let to = self.to().max(start);
        let place = self.place().map(|place| Place { at: place.at + (to - self.to()), ..place });
        Self::of(place, to, self.end().min(end) - to)
    }

    /// Where the bytes after it are, if they follow there as well.
    fn place_after(self) -> Option<Place> {
        self.place().map(|place| Place { at: place.at + self.len(), ..place })
    }
}

impl FillPlan {
    /// A plan for a file of `new_len` bytes of which these ranges are held and the others are fetched. Where ranges overlap, the
    /// one that begins first counts.
    fn of_held(new_len: u64, mut held: Vec<Step>) -> Self {
        held.sort_by_key(|step| step.to());
        let mut plan = Self::default();
        for step in held {
            if step.to() >= plan.new_len() {
                plan.fetch_up_to(step.to());
                plan.push(step);
            }
        }
        plan.fetch_up_to(new_len);
        plan
    }

    /// The same plan, after these ranges of its gaps were found.
    pub fn refined(&self, found: impl IntoIterator<Item = Step>) -> Self {
        let held = self.steps.iter().copied().filter(|step| step.place().is_some());
        Self::of_held(self.new_len(), held.chain(found).collect())
    }

    /// In the order of the new file.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Of the new file, in bytes.
    pub fn new_len(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.end())
    }

    /// Bytes that stand where they have to.
    pub fn kept_len(&self) -> u64 {
        self.sum(|step| matches!(step, Step::Keep { .. }))
    }

    /// Bytes that local files have elsewhere.
    pub fn copied_len(&self) -> u64 {
        self.sum(|step| matches!(step, Step::Copy { .. }))
    }

    /// Bytes that have to be fetched.
    pub fn missing_len(&self) -> u64 {
        self.sum(|step| matches!(step, Step::Fetch { .. }))
    }

    /// The ranges that have to be fetched, in windows that can be looked at in memory, each with the places in old files where its
    /// bytes would be if nothing but a few of them had changed. `replaced_len` is the length of the replaced file, in bytes.
    pub fn gaps(&self, replaced_len: u64) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            if let Step::Fetch { to, len } = *step {
                let before = match index.checked_sub(1) {
                    Some(before) => self.steps[before].place_after(),
                    None => Some(Place { file: FileIndex::REPLACED, at: 0 }),
                };
                let after = match self.steps.get(index + 1) {
                    Some(after) => after.place(),
                    None => Some(Place { file: FileIndex::REPLACED, at: replaced_len }),
                };
                gaps.extend(windows(Gap { to, len, before, after }));
            }
        }
        gaps
    }

    fn sum(&self, counts: impl Fn(&Step) -> bool) -> u64 {
        self.steps.iter().filter(|step| counts(step)).map(|step| step.len()).sum()
    }

    /// Where the next byte of the new file is, if the last step goes on.
    fn next_place(&self) -> Option<Place> {
        self.steps.last().and_then(|step| step.place_after())
    }

    fn fetch_up_to(&mut self, end: u64) {
        let to = self.new_len();
        if to < end {
            self.push(Step::Fetch { to, len: end - to });
        }
    }

    /// Adds the step that follows, as a part of the last one where both are one.
    fn push(&mut self, step: Step) {
        match self.steps.last_mut() {
            Some(last) if last.place_after() == step.place() => {
                *last = Step::of(last.place(), last.to(), last.len() + step.len())
            }
            Some(_) | None => self.steps.push(step),
        }
    }
}

/// All pieces at hand, in an order in which a piece is found by halving.
#[derive(Clone, Debug, Default)]
pub struct HeldPieces(Vec<(Piece, Place)>);

impl HeldPieces {
    /// Those of these files.
    pub fn new(have: &[(FileIndex, &Recipe)]) -> Self {
        let mut held = Vec::with_capacity(have.iter().map(|(_, recipe)| recipe.pieces().len()).sum());
        for &(file, recipe) in have {
            held.extend(recipe.placed().map(|(at, piece)| (piece, Place { file, at })));
        }
        held.sort_unstable();
        Self(held)
    }

    /// As [`fill_plan`], for several new files, or ranges of one.
    pub fn plan(&self, new: &Recipe) -> FillPlan {
        let mut plan = FillPlan::default();
        for (to, piece) in new.placed() {
            let place = self.find(piece, to, plan.next_place());
            plan.push(Step::of(place, to, u64::from(piece.len)));
        }
        plan
    }

    fn find(&self, piece: Piece, to: u64, next: Option<Place>) -> Option<Place> {
        let kept = Place { file: FileIndex::REPLACED, at: to };
        let wanted = [Some(kept), next].into_iter().flatten().find(|&place| self.has(piece, place));
        wanted.or_else(|| self.first(piece))
    }

    fn has(&self, piece: Piece, place: Place) -> bool {
        self.0.binary_search(&(piece, place)).is_ok()
    }

    fn first(&self, piece: Piece) -> Option<Place> {
        let index = self.0.partition_point(|&(other, _)| other < piece);
        self.0.get(index).filter(|&&(other, _)| other == piece).map(|&(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::delta::made;

    const BLOCK: usize = 256 << 10;

    /// Each letter is 256 KiB of bytes of its own, cut where they say so; the same letter is the same bytes.
    fn file(letters: &str) -> Vec<u8> {
        letters.bytes().flat_map(|letter| made::random(u64::from(letter), BLOCK)).collect()
    }

    /// Carries a plan out; what has to be fetched is taken from the new file itself.
    fn filled(plan: &FillPlan, new: &[u8], have: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &step in plan.steps() {
            assert_eq!(step.to(), bytes.len() as u64);
            let (source, at) = match step.place() {
                Some(place) => (have[place.file.0 as usize], place.at),
                None => (new, step.to()),
            };
            bytes.extend_from_slice(&source[at as usize..][..step.len() as usize]);
        }
        bytes
    }

    fn plan_of(new: &[u8], have: &[&[u8]]) -> FillPlan {
        let recipes = have.iter().map(|bytes| Recipe::of(bytes)).collect::<Vec<_>>();
        let have = recipes
            .iter()
            .enumerate()
            .map(|(index, recipe)| (FileIndex(index as u32), recipe))
            .collect::<Vec<_>>();
        fill_plan(&Recipe::of(new), &have)
    }

    /// The picture counts in blocks: pieces do not end with them, but nearly.
    fn check(new: &str, have: &[&str], picture: Expect) {
        let (new, have) = (file(new), have.iter().map(|letters| file(letters)).collect::<Vec<_>>());
        let have = have.iter().map(Vec::as_slice).collect::<Vec<_>>();
        let plan = plan_of(&new, &have);
        assert!(filled(&plan, &new, &have) == new);
        assert_eq!(plan.kept_len() + plan.copied_len() + plan.missing_len(), new.len() as u64);
        let blocks = |len: u64| format!("{:.1}", len as f64 / BLOCK as f64);
        let shown = plan.steps().iter().map(|step| match *step {
            Step::Keep { len, .. } => format!("keep {}", blocks(len)),
            Step::Copy { file, from, len, .. } => {
                format!("copy {} of {} at {}", blocks(len), file.0, blocks(from))
            }
            Step::Fetch { len, .. } => format!("fetch {}", blocks(len)),
        });
        picture.assert_eq(&shown.collect::<Vec<_>>().join(", "));
    }

    #[test]
    fn an_unchanged_file_is_kept_as_one_range() {
        check("abcd", &["abcd"], expect!["keep 4.0"]);
    }

    #[test]
    fn what_is_new_in_the_middle_is_fetched_and_the_rest_is_kept() {
        check("abXd", &["abcd"], expect!["keep 2.0, fetch 1.2, keep 0.8"]);
    }

    #[test]
    fn what_follows_an_insertion_is_copied_from_where_it_stood() {
        check("aXbcd", &["abcd"], expect!["keep 0.9, fetch 1.4, copy 2.7 of 0 at 1.3"]);
    }

    #[test]
    fn another_file_gives_what_the_replaced_one_lacks() {
        check(
            "abXYd",
            &["abcd", "XYZ"],
            expect!["keep 2.0, fetch 0.2, copy 1.7 of 1 at 0.2, fetch 0.3, copy 0.8 of 0 at 3.2"],
        );
    }

    #[test]
    fn without_old_files_all_is_fetched() {
        check("ab", &[], expect!["fetch 2.0"]);
        check("", &["ab"], expect![[""]]);
    }

    #[test]
    fn a_repeated_piece_is_kept_where_it_stands_and_copied_elsewhere() {
        check("aaaa", &["aab"], expect!["keep 1.9, copy 1.0 of 0 at 0.9, copy 1.0 of 0 at 0.9, fetch 0.1"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_plan_carried_out_gives_the_new_file(new in "[a-e]{0,6}", first in "[a-e]{0,5}", second in "[a-e]{0,4}") {
            let (new, first, second) = (file(&new), file(&first), file(&second));
            let plan = plan_of(&new, &[&first, &second]);
            prop_assert!(filled(&plan, &new, &[&first, &second]) == new);
            prop_assert_eq!(plan.kept_len() + plan.copied_len() + plan.missing_len(), new.len() as u64);
            let mergeable = plan.steps().windows(2).any(|pair| pair[0].place_after() == pair[1].place());
            prop_assert!(!mergeable);
        }
    }
}
