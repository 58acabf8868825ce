//! All small pairs: a strategy that decides leaves no conflict, and makes both sides the same in one run.

use super::{pair, with};
use crate::model::{Pair, describe};
use crate::{Kind, Policy, Strategy};

/// What stands in a tree of these pairs.
const STATES: &[&str] = &[
    "",
    "a=1#1",
    "a=2#9",
    "a->x",
    "a/#2",
    "a/#2 a/x=1#1",
    "a/#2 a/x=2#3",
    "a/#2 a/x=2#3 a/y=3#4",
    "a/#2 a/s/#5 a/s/x=1#1",
    "a->x b/#2 b/x=1#1",
    "b=1#1",
    "c=1#1",
    "b/#2 b/x=1#1",
    "b/#2 b/x=4#1 b/y=3#4",
    "c/#2 c/x=1#1",
    "a=5#8 b/#2 b/x=2#3",
    "c/#6 c/a/#2 c/a/x=1#1",
    "b->x c/#2 c/x=4#1",
];

fn without_numbers(text: &str) -> String {
    let bare = |word: &str| word.split('#').next().unwrap_or(word).to_owned();
    text.split(' ').map(bare).collect::<Vec<_>>().join(" ")
}

/// What is wrong with the run of a pair, if anything.
fn fault(start: &Pair, strategy: Strategy) -> Option<String> {
    let mut pair = start.clone();
    let policy = Policy { copy_label: "L".to_owned(), ..with(strategy) };
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

fn check(strategy: Strategy) {
    let mut faults = Vec::new();
    for base in STATES {
        for local in STATES {
            for remote in STATES {
                for is_numbered in [true, false] {
                    let text = |text: &str| if is_numbered { text.to_owned() } else { without_numbers(text) };
                    let (base, local, remote) = (text(base), text(local), text(remote));
                    let found = fault(&pair(&base, &local, &remote), strategy);
                    faults.extend(
                        found.map(|fault| {
                            format!("base: {base}\nlocal: {local}\nremote: {remote}\n{fault}\n")
                        }),
                    );
                }
            }
        }
    }
    let shown = faults.iter().take(4).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} pairs\n{shown}", faults.len());
}

#[test]
fn keep_local_leaves_nothing_to_decide() {
    check(Strategy::KeepLocal);
}

#[test]
fn keep_remote_leaves_nothing_to_decide() {
    check(Strategy::KeepRemote);
}

#[test]
fn keep_both_leaves_nothing_to_decide() {
    check(Strategy::KeepBoth);
}
