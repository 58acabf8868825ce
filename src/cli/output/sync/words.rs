//! Words about a pair: its sides, counts, times, and tables of runs and versions.

use std::fmt::Write as _;
use std::path::Path;

use swarm_core::base::{ByteLen, Shown};
use swarm_pair::{ChangeView, Explanation, PairInfo, SideSummary, Summary, VersionView};
use swarm_sync::{
    Change, ChangeCause, ChangeKind, Conflict, DeedEnd, FoundKind, Kind, PerSide, RuleRef, RuleSource, Side,
};

use super::super::text::count;
use super::plan;

/// The two folders as the user named or would name them, escaped.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Names {
    sides: PerSide<String>,
    /// The library that they are of, if they are no pair.
    library: Option<String>,
}

impl Names {
    /// The names of folders at these paths.
    pub(in crate::cli) fn new(local: &Path, remote: &Path) -> Self {
        let sides = PerSide { local: Shown(local).to_string(), remote: Shown(remote).to_string() };
        Self { sides, library: None }
    }

    /// Those of a library: this disk, and what all nodes have.
    pub(in crate::cli) fn of_library(name: &str) -> Self {
        let named = Self::new(Path::new("this disk"), Path::new("the library"));
        Self { library: Some(name.to_owned()), ..named }
    }

    /// How a command names a conflict.
    pub(super) fn target(&self, conflict: &Conflict) -> String {
        match &self.library {
            Some(library) => quoted(&format!("{}:/{}", Shown(library), conflict.path)),
            None => conflict.id.to_string(),
        }
    }

    /// The same of absolute paths: below the current folder, they are named from there.
    pub(in crate::cli) fn near(local: &Path, remote: &Path) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        Self::new(near(local, &here), near(remote, &here))
    }

    pub(in crate::cli) fn of(&self, side: Side) -> &str {
        self.sides.of(side)
    }

    /// As a word of a command line.
    pub(in crate::cli) fn word(&self, side: Side) -> String {
        quoted(self.of(side))
    }
}

/// As a shell takes it.
pub(in super::super) fn quoted(name: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "_-./+,:@%=".contains(char);
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', "'\\''"))
}

fn near<'a>(path: &'a Path, here: &Path) -> &'a Path {
    match path.strip_prefix(here) {
        Ok(rest) if rest.as_os_str().is_empty() => Path::new("."),
        Ok(rest) => rest,
        Err(_) => path,
    }
}

/// `12 new, 3 changed, 1 moved, 2 deleted -> B; 1 conflict`.
pub(super) fn summary(summary: &Summary, names: &Names) -> String {
    let side = |side: Side| {
        let words = counts(summary.sides.of(side));
        (!words.is_empty()).then(|| format!("{words} -> {}", names.of(side)))
    };
    let mut parts: Vec<String> = [Side::Remote, Side::Local].into_iter().filter_map(side).collect();
    if summary.conflicts > 0 {
        parts.push(count(summary.conflicts as usize, "conflict"));
    }
    if parts.is_empty() {
        return format!("{} and {} are the same", names.of(Side::Local), names.of(Side::Remote));
    }
    parts.join("; ")
}

/// `12 new, 2 deleted`; empty if there are none. New folders count as new, as deleted ones count as deleted.
fn counts(summary: &SideSummary) -> String {
    let SideSummary { created, changed, moved, deleted, folders, copied_len: _ } = *summary;
    let words = [(created + folders, "new"), (changed, "changed"), (moved, "moved"), (deleted, "deleted")];
    let some = words.iter().filter(|(number, _)| *number > 0);
    some.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}

/// Local time, to the second.
pub(in super::super) fn time_of_ns(ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(ns));
    time.map_or_else(
        |_| "?".to_owned(),
        |time| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Local time of milliseconds.
pub(in super::super) fn time_of_ms(ms: u64) -> String {
    time_of_ns(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// What stands somewhere: its length, or what else it is.
pub(super) fn kind(kind: &Kind) -> String {
    match kind {
        Kind::File(content) => ByteLen(content.len).to_string(),
        Kind::Folder => "folder".to_owned(),
        Kind::Symlink { target } => format!("link to {}", Shown(&**target)),
    }
}

/// One row a pair.
pub(in crate::cli) fn pairs_table(pairs: &[PairInfo]) -> String {
    let mut table = format!("{:<20}{:>10}  FOLDERS\n", "LAST RUN", "CONFLICTS");
    for pair in pairs {
        let last = pair.last_run.map_or_else(|| "never".to_owned(), |run| time_of_ms(run.ms()));
        let (local, remote) = (Shown(&pair.roots.local), Shown(&pair.roots.remote));
        let _ = writeln!(table, "{last:<20}{:>10}  {local}\n{:<32}{remote}", pair.conflicts, "");
    }
    table
}

/// One row a kept version.
pub(in crate::cli) fn versions_table(versions: &[VersionView], names: &Names) -> String {
    let mut table = format!("{:<22}{:<21}{:>10}  STOOD AT\n", "VERSION", "MODIFIED", "SIZE");
    for version in versions {
        let size = match version.kind {
            FoundKind::File { .. } => ByteLen(version.len).to_string(),
            FoundKind::Folder => "folder".to_owned(),
            FoundKind::Symlink { .. } => "link".to_owned(),
        };
        let (run, modified) = (version.id.run.to_string(), time_of_ns(version.modified_ns));
        let _ = writeln!(
            table,
            "{run:<22}{modified:<21}{size:>10}  {}/{}",
            names.of(version.side),
            version.id.path
        );
    }
    table
}

/// What is known of a path: what stands there, what both sides had last, and what was done there.
pub(in crate::cli) fn explanation_text(explanation: &Explanation, names: &Names) -> String {
    let mut text = format!("{}\n", explanation.path);
    if let Some(rule) = explanation.ignored_by.as_ref().filter(|rule| rule.ignores) {
        let _ = writeln!(text, "  left out: {}", rule_line(rule));
    }
    for side in Side::BOTH {
        let entry = explanation.sides.of(side).as_ref();
        let what = entry.map_or_else(
            || "nothing".to_owned(),
            |entry| format!("{}, modified {}", kind(&entry.kind), time_of_ns(entry.modified_ns)),
        );
        let _ = writeln!(text, "  in {}, when it was last looked at: {what}", names.of(side));
    }
    match &explanation.base {
        Some(base) => {
            let _ = writeln!(text, "  both had last: {}", kind(&base.kind));
        }
        None => text += "  both never had the same there\n",
    }
    if let Some(conflict) = &explanation.conflict {
        let _ =
            writeln!(text, "  conflict {} at {}: {}", conflict.id, conflict.path, plan::cause(conflict.kind));
    }
    for view in &explanation.deeds {
        let _ = writeln!(text, "  {}", run_line(view, names));
    }
    text
}

/// What a run did at a path.
pub(in super::super) fn run_line(view: &ChangeView, names: &Names) -> String {
    let how = match view.deed.end {
        DeedEnd::Done { .. } => "",
        DeedEnd::Intended => ", cut off",
        DeedEnd::Refused => ", refused",
    };
    let mark = match view.purpose.cause {
        ChangeCause::Sync => "",
        ChangeCause::Undo => " by undo",
        ChangeCause::Restore => " by restore",
    };
    let (word, name) = (plan::kind(&view.deed.op).1, names.of(view.deed.side));
    format!("run {}: {word} in {name}{mark}{how}", view.run)
}

/// Why a path is left out.
fn rule_line(rule: &RuleRef) -> String {
    let text = Shown(&rule.text);
    match &rule.source {
        RuleSource::StateFolder => "it is swarm's own state".to_owned(),
        RuleSource::File { file, .. } => format!("`{text}` in {file} matches {}", rule.matched),
        RuleSource::Exclude => format!("--exclude `{text}` matches {}", rule.matched),
        RuleSource::NoInclude => "no --include matches it".to_owned(),
    }
}

/// One row a change, those of a run and of a folder together; the last run first.
pub(in crate::cli) fn changes_table(changes: &[Change], names: &Names) -> String {
    let mut table = String::new();
    for run in changes.chunk_by(|one, next| one.run == next.run).rev() {
        let mark = match (run[0].cause, run[0].undone_run) {
            (ChangeCause::Sync, _) => String::new(),
            (ChangeCause::Undo, Some(undone)) => format!(": undo of run {undone}"),
            (ChangeCause::Undo, None) => ": undo".to_owned(),
            (ChangeCause::Restore, _) => ": restore".to_owned(),
        };
        let _ = writeln!(table, "run {}, {}{mark}", run[0].run, time_of_ns(run[0].at.0));
        for of_side in run.chunk_by(|one, next| one.side == next.side) {
            let (side, cause) = (of_side[0].side, of_side[0].cause);
            let from = match cause {
                ChangeCause::Sync => format!(", from {}", names.of(side.other())),
                ChangeCause::Undo | ChangeCause::Restore => String::new(),
            };
            let _ = writeln!(table, "  in {}{from}:", names.of(side));
            for change in of_side {
                let from = change.from.as_ref().map(|from| format!("{from} -> ")).unwrap_or_default();
                let _ = writeln!(table, "    {:<9}{from}{}", word(change.kind), change.path);
            }
        }
    }
    table
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Created => "new",
        ChangeKind::Modified => "changed",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Moved => "moved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(created: u64, changed: u64, moved: u64, deleted: u64) -> SideSummary {
        SideSummary { created, changed, moved, deleted, ..SideSummary::default() }
    }

    #[test]
    fn a_plan_is_one_line() {
        let check = |local: SideSummary, remote: SideSummary, conflicts: u64, line: &str| {
            let planned = Summary { sides: PerSide { local, remote }, conflicts, ..Summary::default() };
            assert_eq!(summary(&planned, &Names::new(Path::new("A"), Path::new("B"))), line);
        };
        let none = SideSummary::default();
        check(none, side(12, 3, 1, 2), 1, "12 new, 3 changed, 1 moved, 2 deleted -> B; 1 conflict");
        check(side(0, 1, 0, 0), side(2, 0, 0, 0), 0, "2 new -> B; 1 changed -> A");
        check(none, none, 2, "2 conflicts");
        check(none, none, 0, "A and B are the same");
    }

    #[test]
    fn folders_below_the_current_one_are_named_from_there() {
        let check = |path: &str, name: &str| {
            assert_eq!(near(Path::new(path), Path::new("/home/ann")), Path::new(name));
        };
        check("/home/ann/photos", "photos");
        check("/home/ann", ".");
        check("/home/anna", "/home/anna");
        check("/mnt/backup", "/mnt/backup");
    }

    #[test]
    fn a_name_is_one_word_of_a_command_line() {
        let check = |name: &str, word: &str| {
            assert_eq!(Names::new(Path::new(name), Path::new("b")).word(Side::Local), word);
        };
        check("photos/2025", "photos/2025");
        check("my photos", "'my photos'");
        check("it's", "'it'\\''s'");
        check("", "''");
    }

    #[test]
    fn names_of_folders_are_escaped() {
        let names = Names::new(Path::new("a\u{1b}[2J"), Path::new("b\n"));
        assert_eq!((names.of(Side::Local), names.of(Side::Remote)), ("a\\u{1b}[2J", "b\\n"));
    }
}
