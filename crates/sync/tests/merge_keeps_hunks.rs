//! A clean merge lacks no change of either side. Lines are unique here, so that each line of a text tells where it came from.

use std::collections::BTreeSet;

use proptest::prelude::*;
use swarm_sync::{Merged, merge};

/// In place of some lines of the base, some new ones.
#[derive(Clone, Debug)]
struct Edit {
    at: prop::sample::Index,
    removed: usize,
    inserted: usize,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = (any::<prop::sample::Index>(), 0..4_usize, 0..4_usize);
    prop::collection::vec(edit.prop_map(|(at, removed, inserted)| Edit { at, removed, inserted }), 0..5)
}

/// The lines of a version; new ones have the name of their side.
fn version(base: &[String], edits: &[Edit], side: &str) -> Vec<String> {
    let mut lines = base.to_vec();
    for (number, edit) in edits.iter().enumerate() {
        let start = edit.at.index(lines.len() + 1);
        let end = (start + edit.removed).min(lines.len());
        lines.splice(start..end, (0..edit.inserted).map(|line| format!("{side} {number}.{line}\n")));
    }
    lines
}

/// The lines of the merge, if it is clean.
fn merged_lines(base: &[String], local: &[String], remote: &[String]) -> Option<Vec<String>> {
    match merge(base.concat().as_bytes(), local.concat().as_bytes(), remote.concat().as_bytes()) {
        Merged::Clean(bytes) => {
            let text = String::from_utf8(bytes).expect("a merge of texts is a text");
            Some(text.split_inclusive('\n').map(str::to_owned).collect())
        }
        Merged::Overlap => None,
        Merged::NotText | Merged::TooLong => panic!("a short text is refused"),
    }
}

fn is_subsequence(part: &[&String], whole: &[String]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|line| whole.any(|other| other == *line))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_change_of_both_sides_is_in_a_clean_merge(len in 0..40_usize, local in edits(), remote in edits()) {
        let base: Vec<String> = (0..len).map(|line| format!("base {line}\n")).collect();
        let (local, remote) = (version(&base, &local, "local"), version(&base, &remote, "remote"));
        if let Some(merged) = merged_lines(&base, &local, &remote) {
            let [of_base, of_local, of_remote] =
                [&base, &local, &remote].map(|lines| lines.iter().collect::<BTreeSet<_>>());
            let kept = |line: &&String| of_local.contains(line) && of_remote.contains(line);
            let expected: BTreeSet<&String> = of_base
                .iter()
                .copied()
                .filter(kept)
                .chain(of_local.difference(&of_base).copied())
                .chain(of_remote.difference(&of_base).copied())
                .collect();
            prop_assert_eq!(merged.iter().collect::<BTreeSet<_>>(), expected);
            for (side, other) in [(&local, &of_remote), (&remote, &of_local)] {
                let kept: Vec<&String> =
                    side.iter().filter(|line| !of_base.contains(line) || other.contains(line)).collect();
                prop_assert!(is_subsequence(&kept, &merged), "lines of a side changed their order");
            }
        }
    }

    #[test]
    fn a_merge_of_one_changed_side_is_that_side(len in 0..40_usize, edits in edits()) {
        let base: Vec<String> = (0..len).map(|line| format!("base {line}\n")).collect();
        let changed = version(&base, &edits, "changed");
        prop_assert_eq!(merged_lines(&base, &changed, &base), Some(changed.clone()));
        prop_assert_eq!(merged_lines(&base, &changed, &changed), Some(changed));
    }
}
