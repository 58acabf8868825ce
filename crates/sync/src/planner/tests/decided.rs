//! All small pairs: what decides, leaves no conflict where it decides; a strategy makes both sides the same in one run.

use super::{pair, with};
use crate::model::{Pair, describe};
use crate::{Choice, Conflict, Kind, Policy, Strategy, StrategyRules, TreePath};

/// What stands in a tree of these pairs.
const STATES: &[&str] = &[
    "",
    "a=1#1",
    "a->x",
    "a/#2 a/x=1#1",
    "a/#2 a/x=2#3 a/y=3#4",
    "a/#2 a/s/#5 a/s/x=1#1",
    "a->x b/#2 b/x=1#1",
    "b=1#1",
    "c=1#1",
    "b/#2 b/x=4#1 b/y=3#4",
    "c/#6 c/a/#2 c/a/x=1#1",
    "b->x c/#2 c/x=4#1",
];

fn without_numbers(text: &str) -> String {
    let bare = |word: &str| word.split('#').next().unwrap_or(word).to_owned();
    text.split(' ').map(bare).collect::<Vec<_>>().join(" ")
}

/// Each pair of these states, with or without numbers of files, and lines that show it.
fn pairs(is_numbered: bool) -> impl Iterator<Item = (Pair, String)> {
    let triples = STATES.iter().flat_map(|base| {
        STATES.iter().flat_map(move |local| STATES.iter().map(move |remote| [base, local, remote]))
    });
    let texts = triples.map(move |texts| {
        texts.map(|text| if is_numbered { (*text).to_owned() } else { without_numbers(text) })
    });
    texts.map(|[base, local, remote]| {
        let mut pair = pair(&base, &local, &remote);
        pair.trees.local.entries.values_mut().for_each(|entry| entry.modified_ns = 7);
        (pair, format!("base: {base}\nlocal: {local}\nremote: {remote}"))
    })
}

/// What is wrong with the run of a pair, if anything.
fn fault(start: &Pair, strategy: Strategy) -> Option<String> {
    let mut pair = start.clone();
    let policy = labelled(with(strategy));
    let before: Vec<Kind> = pair.contents().into_iter().cloned().collect();
    let plan = match pair.run(&policy) {
        Ok(plan) => plan,
        Err(fault) => return Some(fault.to_string()),
    };
    let trees = [&pair.trees.local, &pair.trees.remote];
    let kept: Vec<&Kind> = trees.into_iter().flat_map(|tree| &tree.kept).chain(pair.contents()).collect();
    let is_lost = before.iter().any(|kind| !kept.contains(&kind));
    let again = crate::plan(&pair.differences(), &policy);
    let what = [
        (!plan.conflicts.is_empty(), "a conflict is left"),
        (!pair.unequal().is_empty(), "the sides differ"),
        (is_lost, "something is lost"),
        (!again.is_empty(), "a second run has something to do"),
    ];
    let what = what.into_iter().find(|(is_so, _)| *is_so)?.1;
    Some(format!("{what}\n{}", describe(&plan)))
}

/// What is left to decide where every conflict was decided once, if anything is.
fn left_by_choices(start: &Pair, choice: Choice) -> Option<String> {
    let mut pair = start.clone();
    let mut policy = labelled(Policy::default());
    let first = crate::plan(&pair.differences(), &policy).conflicts;
    policy.choices = first.iter().map(|conflict| (conflict.id, choice)).collect();
    let plan = match pair.run(&policy) {
        Ok(plan) => plan,
        Err(fault) => return Some(fault.to_string()),
    };
    let decided: Vec<&TreePath> = first.iter().flat_map(places).collect();
    let is_decided = |place: &TreePath| decided.iter().any(|path| place.is_at_or_below(path));
    let left = plan.conflicts.iter().find(|conflict| places(conflict).any(is_decided));
    left.map(|_| format!("a conflict is left\n{}", describe(&plan)))
}

/// The paths that a conflict is about.
fn places(conflict: &Conflict) -> impl Iterator<Item = &TreePath> {
    let versions = [&conflict.versions.local, &conflict.versions.remote].into_iter().flatten();
    std::iter::once(&conflict.path).chain(versions.map(|version| &version.path))
}

/// What is left at or below a path that a pattern decides, if anything is.
fn left_by_pattern(start: &Pair, strategy: Strategy) -> Option<String> {
    let mut pair = start.clone();
    let mut policy = labelled(Policy::default());
    let rules = StrategyRules::parse([format!("a={strategy}")]).expect("a rule");
    let paths = pair.differences().into_iter().map(|one| one.path);
    policy.strategies = paths.filter_map(|path| Some((path.clone(), rules.strategy_of(&path)?))).collect();
    let plan = match pair.run(&policy) {
        Ok(plan) => plan,
        Err(fault) => return Some(fault.to_string()),
    };
    let folder = TreePath::new("a").expect("a path");
    let (inside, outside): (Vec<&Conflict>, Vec<&Conflict>) =
        plan.conflicts.iter().partition(|conflict| conflict.path.is_at_or_below(&folder));
    // What goes into a folder that waits for somebody waits with it.
    let waits = |conflict: &&&Conflict| {
        conflict.holds.iter().any(|path| outside.iter().any(|other| path.is_below(&other.path)))
    };
    let left = inside.iter().find(|conflict| !waits(conflict));
    left.map(|_| format!("a conflict is left\n{}", describe(&plan)))
}

fn labelled(policy: Policy) -> Policy {
    Policy { copy_label: "L".to_owned(), ..policy }
}

fn check(is_numbered: bool, fault: impl Fn(&Pair) -> Option<String>) {
    let faults: Vec<String> = pairs(is_numbered)
        .filter_map(|(pair, text)| fault(&pair).map(|fault| format!("{text}\n{fault}\n")))
        .collect();
    let shown = faults.iter().take(4).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} pairs\n{shown}", faults.len());
}

#[test]
fn a_strategy_that_decides_leaves_nothing_to_decide() {
    for strategy in [Strategy::KeepLocal, Strategy::KeepRemote, Strategy::KeepBoth, Strategy::Newer] {
        check(true, |pair| fault(pair, strategy));
        check(false, |pair| fault(pair, strategy));
    }
}

#[test]
fn a_choice_leaves_nothing_to_decide_where_it_was_made() {
    for choice in [Choice::KeepLocal, Choice::KeepRemote, Choice::KeepBoth] {
        check(true, |pair| left_by_choices(pair, choice));
    }
}

#[test]
fn a_strategy_of_a_pattern_leaves_nothing_to_decide_below_it() {
    for strategy in [Strategy::KeepLocal, Strategy::KeepRemote, Strategy::KeepBoth, Strategy::Newer] {
        check(true, |pair| left_by_pattern(pair, strategy));
    }
}
