//! `swarm sync --interactive`: asks a person about each conflict. Decides nothing alone: what is not answered stays a conflict.

use std::io::BufRead as _;

use super::failure::Failure;
use super::output::{self, Comparison, Names, Paint};
use swarm_core::base::Category;
use swarm_pair::{Decision, Pair};
use swarm_sync::Conflict;

/// An answer that a person gave.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Decide(Decision),
    Skip,
    Diff,
}

/// Asks about every one, and notes the decisions.
pub(super) fn about_all(pair: &Pair, conflicts: &[Conflict], names: &Names) -> Result<(), Failure> {
    conflicts.iter().try_for_each(|conflict| about(pair, conflict, names))
}

fn about(pair: &Pair, conflict: &Conflict, names: &Names) -> Result<(), Failure> {
    let compared = Comparison { diff: None, merge: pair.merged(conflict)?.map(drop) };
    let paint = Paint::stderr();
    output::painted(&format!("\n{}", output::conflict_question(conflict, &compared, names, paint)));
    loop {
        match read(compared.merge.is_ok())? {
            Answer::Skip => return Ok(()),
            Answer::Diff => {
                let diff = super::conflicts::diff(pair, conflict, names)?;
                match diff {
                    Some(diff) => output::painted(&output::diff_text(&diff, paint)),
                    None => output::note(NO_DIFF),
                }
            }
            Answer::Decide(decision) => match pair.decide(conflict, &decision) {
                Ok(()) => return Ok(()),
                // Texts that overlap, for example: there are other answers.
                Err(error) => output::note(error),
            },
        }
    }
}

/// Asks until one of the letters is typed.
fn read(can_merge: bool) -> Result<Answer, Failure> {
    let merge = if can_merge { "[m]erge, " } else { "" };
    loop {
        output::prompt(&format!("keep [l]ocal, keep [r]emote, keep [b]oth, {merge}[s]kip, [d]iff? "));
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) => return Ok(Answer::Skip),
            Ok(_) => output::answered(),
            Err(error) => {
                let message = format!("cannot read the answer: {error}; nothing was changed");
                return Err(Failure::new(Category::Other, message));
            }
        }
        if let Some(answer) = parse(&line) {
            return Ok(answer);
        }
    }
}

fn parse(line: &str) -> Option<Answer> {
    Some(match line.trim().to_lowercase().as_str() {
        "l" | "local" | "keep-local" => Answer::Decide(Decision::KeepLocal),
        "r" | "remote" | "keep-remote" => Answer::Decide(Decision::KeepRemote),
        "b" | "both" | "keep-both" => Answer::Decide(Decision::KeepBoth),
        "m" | "merge" => Answer::Decide(Decision::Merge),
        "s" | "skip" => Answer::Skip,
        "d" | "diff" => Answer::Diff,
        _ => return None,
    })
}

const NO_DIFF: &str = "there is nothing to compare line by line: not both are texts";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_letter_or_its_word() {
        let check = |line: &str, answer: Option<Answer>| assert_eq!(parse(line), answer, "{line:?}");
        check("l\n", Some(Answer::Decide(Decision::KeepLocal)));
        check(" Remote \n", Some(Answer::Decide(Decision::KeepRemote)));
        check("keep-both\n", Some(Answer::Decide(Decision::KeepBoth)));
        check("\n", None);
        check("yes\n", None);
    }
}
