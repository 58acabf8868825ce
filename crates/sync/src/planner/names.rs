//! Names: which ones a side takes for one, which it cannot hold, and names for conflict copies.

use std::collections::BTreeSet;

use caseless::Caseless as _;
use swarm_core::manifest::EntryPath;
use unicode_normalization::UnicodeNormalization as _;

use super::merge::Merge;
use super::nodes::{Forest, NodeId, Place, ROOT};
use crate::limits::NAME_LEN_MAX;
use crate::{NameRules, Policy, Side, TreePath};

/// A key that is equal for names which a side takes for one.
pub(crate) fn key(name: &str, rules: NameRules) -> String {
    match (rules.ignores_case, rules.ignores_form) {
        (false, false) => name.to_owned(),
        (false, true) => name.nfc().collect(),
        (true, false) => name.chars().default_case_fold().collect(),
        (true, true) => name.nfd().default_case_fold().nfc().collect(),
    }
}

/// Why a side cannot hold a name.
pub(super) fn unfit(name: &str, rules: NameRules) -> Option<String> {
    let len_max = rules.name_len_max.map_or(NAME_LEN_MAX, usize::from);
    if name.len() > len_max {
        return Some(format!("the name has {} bytes, and {len_max} is the most there", name.len()));
    }
    let is_unfit = |name: &str| match EntryPath::new(name) {
        Ok(path) => path.unfit_for_windows().is_some(),
        // Control characters, mostly.
        Err(_) => true,
    };
    (rules.refuses_windows_names && is_unfit(name)).then(|| "Windows refuses the name".to_owned())
}

/// A free place beside another one, for the version that does not get the name. Both sides can hold its name, if that is long enough.
pub(super) fn copy_place(merge: &mut Merge<'_>, place: &Place, is_folder: bool) -> Place {
    let label = &merge.policy.copy_label;
    let forest = &merge.forest;
    let taken =
        merge.taken.entry(place.parent).or_insert_with(|| names_in(forest, merge.policy, place.parent));
    let sides = [merge.policy.names.local, merge.policy.names.remote];
    let name = if sides.iter().any(|rules| rules.refuses_windows_names) {
        without_forbidden(&place.name)
    } else {
        (*place.name).to_owned()
    };
    let len_max = sides.iter().filter_map(|rules| rules.name_len_max).map(usize::from).min();
    let len_max = len_max.unwrap_or(NAME_LEN_MAX);
    let mut names = (1..).map(|number| copy_name(&name, label, number, is_folder, len_max));
    let is_free = |name: &String| taken.insert(key(name, STRICT));
    let name = names.find(is_free).expect("numbers do not end before entries do");
    Place { parent: place.parent, name: name.into() }
}

/// A copy is to have a name that is free wherever it may be carried later.
const STRICT: NameRules =
    NameRules { ignores_case: true, ignores_form: true, refuses_windows_names: false, name_len_max: None };

/// The names in a folder on both sides, and those of what could not be looked at.
fn names_in(forest: &Forest, policy: &Policy, parent: NodeId) -> BTreeSet<String> {
    let on = |side: Side| {
        let now = forest.children(parent, side).iter().filter_map(move |child| forest.now(*child, side));
        now.map(|standing| key(&standing.place.name, STRICT))
    };
    let is_here = |path: &&TreePath| match path.parent() {
        Some(above) => forest.all_now_at(&above).contains(&parent),
        None => parent == ROOT,
    };
    let blind = Side::BOTH.into_iter().flat_map(|side| policy.blind.of(side));
    let blind = blind.filter(is_here).map(|path| key(path.name(), STRICT));
    on(Side::Local).chain(on(Side::Remote)).chain(blind).collect()
}

/// A name with `_` for each character that Windows forbids.
fn without_forbidden(name: &str) -> String {
    let is_forbidden = |letter: char| letter.is_control() || "<>:\"|?*\\".contains(letter);
    name.chars().map(|letter| if is_forbidden(letter) { '_' } else { letter }).collect()
}

/// `film (conflict LABEL).mp4`, `film (conflict LABEL) 2.mp4`.
fn copy_name(name: &str, label: &str, number: u32, is_folder: bool, len_max: usize) -> String {
    let split = if is_folder { None } else { name.rfind('.').filter(|at| *at > 0) };
    let (stem, extension) = name.split_at(split.unwrap_or(name.len()));
    let space = if label.is_empty() { "" } else { " " };
    let number = if number == 1 { String::new() } else { format!(" {number}") };
    let suffix = format!(" (conflict{space}{label}){number}{extension}");
    let room = len_max.saturating_sub(suffix.len());
    let end = (0..=stem.len().min(room)).rev().find(|end| stem.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{suffix}", &stem[..end])
}
