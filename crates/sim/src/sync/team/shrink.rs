//! Shortens a failing script: steps, and what happens during them, are left out while it still fails in the same manner.

use super::super::Shrunken;
use super::setup::Script;
use super::world::{End, Mode, generate, replay};

pub(super) fn shrink(seed: u64, mode: Mode) -> Option<Shrunken> {
    let end = generate(seed, mode);
    let kind = |end: &End| end.findings.first().map(|what| kind_of(what));
    let (first, mut script) = (kind(&end), end.script);
    let fails = |script: &Script| first.is_some() && kind(&replay(script, mode)) == first;
    if !fails(&script) {
        return None;
    }
    while shorten_once(&mut script, &fails) {}
    let end = replay(&script, Mode { is_told: true, ..mode });
    let mut lines = vec![format!("{:?}", script.setup)];
    lines.extend(script.steps.iter().map(|step| match step.during.as_slice() {
        [] => format!("{:?}", step.act),
        during => format!("{:?} during {during:?}", step.act),
    }));
    Some(Shrunken { script: lines, findings: end.findings, lines: end.lines })
}

/// The beginning of a finding without its numbers and paths: what fails in the same manner begins the same.
fn kind_of(what: &str) -> String {
    what.split(|letter: char| !letter.is_ascii_lowercase()).filter(|word| word.len() > 2).take(6).collect()
}

/// Leaves out whatever can be left out, in pieces of halving length. Tells whether anything could.
fn shorten_once(script: &mut Script, fails: &impl Fn(&Script) -> bool) -> bool {
    let mut has_changed = false;
    let mut len = script.steps.len().div_ceil(2);
    while len > 0 {
        let mut at = 0;
        while at < script.steps.len() {
            let mut shorter = script.clone();
            shorter.steps.drain(at..(at + len).min(script.steps.len()));
            if fails(&shorter) {
                *script = shorter;
                has_changed = true;
            } else {
                at += len;
            }
        }
        len /= 2;
    }
    for step in 0..script.steps.len() {
        let mut at = 0;
        while at < script.steps[step].during.len() {
            let mut shorter = script.clone();
            shorter.steps[step].during.remove(at);
            if fails(&shorter) {
                *script = shorter;
                has_changed = true;
            } else {
                at += 1;
            }
        }
    }
    has_changed
}
