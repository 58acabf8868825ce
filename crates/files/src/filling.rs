//! Fills the chunks of a wanted file with what older versions on this disk have of it, so that the rest alone is fetched.
//!
//! Invariant: a chunk counts as here only if its hash proves it; what is filled of other chunks is named as unproven. What another node tells
//! of the new version says where to look, and nothing else: if it lies, that costs time. Absent here: which files are older versions, and how
//! the other node is asked.

mod version;

use std::collections::BTreeMap;
use std::ops::Range;

use super::gathered::GatheredStore;
use super::{Store as _, StoreError, Verdict};
use swarm_core::base::{Bitfield, RangeSet};
use swarm_core::manifest::{ChunkIndex, FileIndex, content_chunk_len_log2};
use swarm_sync::ContentHash;
use swarm_sync::delta::{self, FillPlan, Gap, GapSlices, HeldPieces, Place, Recipe, Step};

pub use version::VersionFile;

/// What another node tells of the new version. `None` if nobody tells: what is not found by then is fetched.
pub trait Told {
    /// The pieces of each range, cut as if it was a file of its own.
    fn recipes(&mut self, ranges: &[Range<u64>]) -> Option<Vec<Recipe>>;

    /// The slices of each range, counted from its start, or from both ends.
    fn slices(&mut self, ranges: &[Range<u64>], from_both: bool) -> Option<Vec<GapSlices>>;
}

/// A file that is to be filled.
pub struct Filling<'a> {
    /// Wants the file.
    pub store: &'a GatheredStore,
    /// Which file.
    pub hash: ContentHash,
    /// Older versions of it, the likeliest first.
    pub old: &'a [VersionFile],
    /// Whether to end early.
    pub is_over: &'a dyn Fn() -> bool,
}

/// What filling came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Chunks that are proven and written, though not durable before the store is flushed.
    pub whole: u32,
    /// What the store has, unproven, of other chunks.
    pub kept: BTreeMap<u32, RangeSet>,
    /// Bytes of the file that no older version is known to have.
    pub missing_len: u64,
}

impl Filling<'_> {
    /// Fills the chunks that are `lacking`, as far as older versions go.
    ///
    /// # Errors
    /// Of the store: what was filled before stays.
    pub fn run(&self, lacking: &Bitfield, told: &mut dyn Told) -> Result<Filled, StoreError> {
        let mut filled = Filled::default();
        let Some(file) = self.store.file_of(&self.hash) else { return Ok(filled) };
        let geometry = self.store.manifest().geometry();
        let lacking = geometry.file_chunks(file).filter(|chunk| lacking.contains(chunk.get())).collect();
        let lacking = self.fill_unchanged(file, lacking, &mut filled)?;
        filled.missing_len = lacking.iter().map(|chunk| u64::from(geometry.chunk_len(*chunk))).sum();
        if lacking.is_empty() || self.old.is_empty() || (self.is_over)() {
            return Ok(filled);
        }
        let ranges = self.ranges_of(&lacking);
        let Some(held) = self.held_pieces() else { return Ok(filled) };
        if filled.whole == 0 && !pays(&held, &ranges, told) {
            return Ok(filled);
        }
        for batch in batches(&ranges) {
            if self.fill_batch(&held, batch, told, &mut filled)?.is_none() {
                break;
            }
        }
        Ok(filled)
    }

    /// Takes over chunks that an older version has at the same place. Returns the others.
    fn fill_unchanged(
        &self,
        file: FileIndex,
        mut lacking: Vec<ChunkIndex>,
        filled: &mut Filled,
    ) -> Result<Vec<ChunkIndex>, StoreError> {
        let manifest = self.store.manifest();
        let log2 = content_chunk_len_log2(manifest.file(file).len);
        for old in self.old.iter().filter(|old| content_chunk_len_log2(old.len()) == log2) {
            let mut others = Vec::new();
            for chunk in lacking {
                let number = manifest.geometry().number_in_file(chunk);
                let is_equal = old.chunk_value(number) == Some(&manifest.chunk_hash(chunk));
                let is_taken = is_equal && !(self.is_over)() && self.take_chunk(old, chunk)?;
                filled.whole += u32::from(is_taken);
                if !is_taken {
                    others.push(chunk);
                }
            }
            lacking = others;
        }
        Ok(lacking)
    }

    /// Copies a chunk from the same place. False if it is not there any more.
    fn take_chunk(&self, old: &VersionFile, chunk: ChunkIndex) -> Result<bool, StoreError> {
        let span = self.store.manifest().geometry().span(chunk);
        let mut data = vec![0; span.len as usize];
        if !old.read(span.file_offset, &mut data) {
            return Ok(false);
        }
        Ok(self.store.write_chunk(chunk, &data)? == Verdict::Verified)
    }

    /// Where chunks stand in the file, in ranges that one request can name.
    fn ranges_of(&self, chunks: &[ChunkIndex]) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for &chunk in chunks {
            let span = self.store.manifest().geometry().span(chunk);
            let end = span.file_offset + u64::from(span.len);
            match ranges.last_mut() {
                Some(last) if last.end == span.file_offset && end - last.start <= RANGE_LEN_MAX => {
                    last.end = end;
                }
                Some(_) | None => ranges.push(span.file_offset..end),
            }
        }
        ranges
    }

    /// The pieces of all older versions; `None` if none can be read.
    fn held_pieces(&self) -> Option<HeldPieces> {
        let recipe_of = |(index, old): (usize, &VersionFile)| {
            Some((delta::FileIndex(FIRST.0 + index as u32), old.recipe(self.is_over)?))
        };
        let recipes: Vec<(delta::FileIndex, Recipe)> =
            self.old.iter().enumerate().filter_map(recipe_of).collect();
        let have: Vec<(delta::FileIndex, &Recipe)> =
            recipes.iter().map(|(file, recipe)| (*file, recipe)).collect();
        (!have.is_empty()).then(|| HeldPieces::new(&have))
    }

    /// Fills some ranges. `None` if nobody tells of them.
    fn fill_batch(
        &self,
        held: &HeldPieces,
        ranges: &[Range<u64>],
        told: &mut dyn Told,
        filled: &mut Filled,
    ) -> Result<Option<()>, StoreError> {
        let Some(recipes) = told.recipes(ranges) else { return Ok(None) };
        let mut plans: Vec<RangePlan> = Vec::new();
        for (range, recipe) in ranges.iter().zip(&recipes) {
            plans.push(RangePlan { start: range.start, plan: held.plan(recipe) });
        }
        self.refine(&mut plans, told);
        for plan in &plans {
            self.carry_out(plan, filled)?;
        }
        Ok(Some(()))
    }

    /// Looks for what is left of pieces that changed in part. Where nobody tells, they are fetched whole.
    fn refine(&self, plans: &mut [RangePlan], told: &mut dyn Told) {
        let gaps = plans.iter().enumerate().flat_map(|(index, plan)| {
            let gaps = worth_looking_at(&plan.plan.gaps(plan.plan.new_len()));
            gaps.into_iter().map(move |gap| (index, plan.with_its_ends(gap)))
        });
        let (in_place, others): (Vec<_>, Vec<_>) = gaps.partition(|(_, gap)| gap.is_in_place());
        let mut found: BTreeMap<usize, Vec<Step>> = BTreeMap::new();
        for (gaps, from_both) in [(in_place, false), (others, true)] {
            let placed: Vec<(usize, Gap, Range<u64>)> = gaps
                .into_iter()
                .map(|(index, gap)| {
                    let at = plans[index].start + gap.to;
                    (index, gap, at..at + gap.len)
                })
                .collect();
            for batch in batches_of(&placed, |(_, _, range)| range.clone()) {
                let ranges: Vec<Range<u64>> = batch.iter().map(|(_, _, range)| range.clone()).collect();
                let Some(slices) = told.slices(&ranges, from_both) else { return };
                for ((index, gap, _), slices) in batch.iter().zip(slices) {
                    let steps = self.equal_parts(gap, &slices);
                    found.entry(*index).or_default().extend(steps);
                }
            }
        }
        for (index, mut steps) in found {
            steps.sort_unstable_by_key(|step| step.to());
            plans[index].plan = std::mem::take(&mut plans[index].plan).refined(steps);
        }
    }

    /// The parts of a gap that older versions have where they would be if little had changed.
    fn equal_parts(&self, gap: &Gap, told: &GapSlices) -> Vec<Step> {
        let before = gap.before.map(|place| self.read_from(place, gap.len)).unwrap_or_default();
        let after = match gap.after {
            Some(place) if !told.from_end.is_empty() => {
                let at = place.at.saturating_sub(gap.len);
                self.read_from(Place { at, ..place }, place.at - at)
            }
            Some(_) | None => Vec::new(),
        };
        let (from_start, from_end) = told.equal(&GapSlices::new(&before, &after));
        delta::refine(gap, (&from_start, &from_end))
    }

    /// Up to so many bytes of an older version from a place on.
    fn read_from(&self, place: Place, len: u64) -> Vec<u8> {
        let old = self.old_of(place);
        let mut bytes = vec![0; len.min(old.len().saturating_sub(place.at)) as usize];
        if old.read(place.at, &mut bytes) { bytes } else { Vec::new() }
    }

    fn old_of(&self, place: Place) -> &VersionFile {
        &self.old[(place.file.0 - FIRST.0) as usize]
    }

    /// Writes what a plan found, chunk by chunk.
    fn carry_out(&self, plan: &RangePlan, filled: &mut Filled) -> Result<(), StoreError> {
        let geometry = self.store.manifest().geometry();
        let Some(file) = self.store.file_of(&self.hash) else { return Ok(()) };
        let end = plan.start + plan.plan.new_len();
        for chunk in geometry.file_chunks(file) {
            let at = geometry.span(chunk).file_offset;
            if (plan.start..end).contains(&at) && !(self.is_over)() {
                self.fill_chunk(plan, chunk, filled)?;
            }
        }
        Ok(())
    }

    fn fill_chunk(&self, plan: &RangePlan, chunk: ChunkIndex, filled: &mut Filled) -> Result<(), StoreError> {
        let span = self.store.manifest().geometry().span(chunk);
        let begin = span.file_offset - plan.start;
        let mut data = vec![0; span.len as usize];
        let mut found = RangeSet::new();
        for step in plan.steps_in(begin..begin + u64::from(span.len)) {
            let Some(place) = step.place() else { continue };
            let to = (step.to() - begin) as u32;
            let range = to..to + step.len() as u32;
            if self.old_of(place).read(place.at, &mut data[range.start as usize..range.end as usize]) {
                found.insert(range);
            }
        }
        if found.covered_len() == span.len {
            if self.store.write_chunk(chunk, &data)? == Verdict::Verified {
                filled.whole += 1;
                filled.missing_len -= u64::from(span.len);
            }
            return Ok(());
        }
        for range in found.iter() {
            self.store.keep_slice(chunk, range.start, &data[range.start as usize..range.end as usize])?;
        }
        if !found.is_empty() {
            filled.missing_len -= u64::from(found.covered_len());
            filled.kept.insert(chunk.get(), found);
        }
        Ok(())
    }
}

/// How a range of the new version comes to be.
struct RangePlan {
    /// Where it begins in the file, in bytes.
    start: u64,
    /// Counted from there.
    plan: FillPlan,
}

impl RangePlan {
    /// At the ends of the range a gap begins and ends where the first older version would, had nothing been inserted or removed.
    fn with_its_ends(&self, gap: Gap) -> Gap {
        let placed = |place: Place| match place.file {
            delta::FileIndex::REPLACED => Place { file: FIRST, at: self.start + place.at },
            delta::FileIndex(_) => place,
        };
        Gap { before: gap.before.map(placed), after: gap.after.map(placed), ..gap }
    }

    /// The parts of its steps that are within a range.
    fn steps_in(&self, range: Range<u64>) -> impl Iterator<Item = Step> + '_ {
        let steps = self.plan.steps();
        let first = steps.partition_point(|step| step.end() <= range.start);
        let inside = steps[first..].iter().take_while(move |step| step.to() < range.end);
        inside.map(move |step| step.part(range.start, range.end))
    }
}

/// Whether any of it is worth asking for: a few ranges tell. Those of a short file are all of it.
fn pays(held: &HeldPieces, ranges: &[Range<u64>], told: &mut dyn Told) -> bool {
    let len: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    if len <= SAMPLED_LEN_MIN {
        return true;
    }
    let samples: Vec<Range<u64>> =
        (0..SAMPLES).map(|sample| sample_at(ranges, len / SAMPLES * sample)).collect();
    let Some(recipes) = told.recipes(&samples) else { return false };
    let found: u64 = recipes.iter().map(|recipe| held.plan(recipe).copied_len()).sum();
    found * FOUND_ONE_IN >= SAMPLE_LEN * SAMPLES
}

/// A range some bytes into others.
fn sample_at(ranges: &[Range<u64>], mut offset: u64) -> Range<u64> {
    for range in ranges {
        let len = range.end - range.start;
        if offset < len {
            let start = range.start + offset.min(len.saturating_sub(SAMPLE_LEN));
            return start..range.end.min(start + SAMPLE_LEN);
        }
        offset -= len;
    }
    ranges.first().cloned().unwrap_or_default()
}

/// Of a gap of many windows only the ends: what lies between them is new.
fn worth_looking_at(gaps: &[Gap]) -> Vec<Gap> {
    let is_joined = |one: &Gap, next: &Gap| one.to + one.len == next.to;
    let is_inside = |index: usize| {
        let after = gaps.get(index + 1).is_some_and(|next| is_joined(&gaps[index], next));
        after && index > 0 && is_joined(&gaps[index - 1], &gaps[index])
    };
    (0..gaps.len()).filter(|index| !is_inside(*index)).map(|index| gaps[index]).collect()
}

fn batches(ranges: &[Range<u64>]) -> Vec<&[Range<u64>]> {
    batches_of(ranges, Clone::clone)
}

/// What one request can name at once: ranges that do not touch, not too many, and not too long.
fn batches_of<T>(all: &[T], range_of: impl Fn(&T) -> Range<u64>) -> Vec<&[T]> {
    let (mut batches, mut first, mut len) = (Vec::new(), 0, 0);
    for index in 0..all.len() {
        let range = range_of(&all[index]);
        let touches = index > first && range_of(&all[index - 1]).end >= range.start;
        let is_full = index - first == RANGES_MAX || len + (range.end - range.start) > RANGE_LEN_MAX;
        if index > first && (touches || is_full) {
            batches.push(&all[first..index]);
            (first, len) = (index, 0);
        }
        len += range.end - range.start;
    }
    if first < all.len() {
        batches.push(&all[first..]);
    }
    batches
}

/// The first older version. None of them is the file that a range replaces: their offsets are others than those of the range.
const FIRST: delta::FileIndex = delta::FileIndex(1);
/// Ranges of one request, at most.
const RANGES_MAX: usize = 1024;
/// Bytes of the ranges of one request, at most.
const RANGE_LEN_MAX: u64 = 1 << 30;
/// A longer file is sampled first, in bytes.
const SAMPLED_LEN_MIN: u64 = 32 << 20;
const SAMPLES: u64 = 8;
/// In bytes: some sixteen pieces.
const SAMPLE_LEN: u64 = 1 << 20;
/// Older versions that have less than this part of the samples are of no use.
const FOUND_ONE_IN: u64 = 32;

#[cfg(test)]
mod tests;
