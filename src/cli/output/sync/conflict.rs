//! A conflict as text: what each side has, how they differ, and what each choice would do.

use std::fmt::Write as _;
use std::path::Path;

use swarm_core::base::Shown;
use swarm_pair::NoMerge;
use swarm_sync::{Conflict, ConflictKind, Side, SideVersion};

use super::super::text::count;
use super::paint::Paint;
use super::plan;
use super::words::{self, Names};

/// What comparing both versions gave.
#[derive(Debug)]
pub(in crate::cli) struct Comparison {
    /// A unified diff, if both are texts.
    pub(in crate::cli) diff: Option<String>,
    /// Whether they can be merged.
    pub(in crate::cli) merge: Result<(), NoMerge>,
}

/// All of it, and how it is decided.
pub(in crate::cli) fn conflict_text(
    conflict: &Conflict,
    compared: &Comparison,
    names: &Names,
    paint: Paint,
) -> String {
    let mut text = head(conflict, names, paint);
    if let Some(diff) = &compared.diff {
        text += &diff_text(diff, paint);
    }
    let _ = writeln!(text, "  swarm resolve {} CHOICE, where CHOICE is", names.target(conflict));
    for (choice, effect) in choices(conflict, compared.merge, names) {
        let _ = writeln!(text, "    {choice:<12}{effect}");
    }
    text
}

/// The same for somebody who is asked: what each answer would do.
pub(in crate::cli) fn conflict_question(
    conflict: &Conflict,
    compared: &Comparison,
    names: &Names,
    paint: Paint,
) -> String {
    let mut text = head(conflict, names, paint);
    for (choice, effect) in choices(conflict, compared.merge, names) {
        if choice != FILE {
            let _ = writeln!(text, "    {choice:<12}{effect}");
        }
    }
    text
}

/// A diff, indented and no longer than a person reads.
pub(in crate::cli) fn diff_text(diff: &str, paint: Paint) -> String {
    let mut text = String::new();
    for line in diff.lines().take(DIFF_LINES_MAX) {
        let _ = writeln!(text, "    {}", paint.diff_line(&Shown(line).to_string()));
    }
    let more = diff.lines().count().saturating_sub(DIFF_LINES_MAX);
    if more > 0 {
        let _ = writeln!(text, "    and {}", count(more, "more line"));
    }
    text
}

fn head(conflict: &Conflict, names: &Names, paint: Paint) -> String {
    let (id, path) = (paint.faint(&conflict.id.to_string()), paint.bold(&conflict.path.to_string()));
    let mut text = format!("{id}  {path}\n  {}", plan::cause(conflict.kind));
    if !conflict.detail.is_empty() {
        let _ = write!(text, ": {}", Shown(&conflict.detail));
    }
    text.push('\n');
    for side in Side::BOTH {
        let _ = writeln!(text, "  {}", version_line(conflict, side, names));
    }
    text
}

fn version_line(conflict: &Conflict, side: Side, names: &Names) -> String {
    let word = match side {
        Side::Local => "local",
        Side::Remote => "remote",
    };
    let Some(version) = conflict.versions.of(side) else {
        return format!("{word:<7} {}: deleted", place(names.of(side), conflict.path.as_str()));
    };
    let place = place(names.of(side), version.path.as_str());
    let newer = if is_newer(version, conflict.versions.of(side.other()).as_ref()) { ", newer" } else { "" };
    let (size, time) = (words::kind(&version.kind), words::time_of_ns(version.modified_ns));
    format!("{word:<7} {place}: {size}, modified {time}{newer}")
}

fn is_newer(version: &SideVersion, other: Option<&SideVersion>) -> bool {
    other.is_some_and(|other| version.modified_ns > other.modified_ns)
}

fn place(root: &str, path: &str) -> String {
    Shown(Path::new(root).join(path)).to_string()
}

/// Each choice that makes sense, and what it would do.
fn choices(conflict: &Conflict, merge: Result<(), NoMerge>, names: &Names) -> Vec<(&'static str, String)> {
    let kept = |side: Side| format!("what {} has is kept as a version", names.of(side));
    let keep = |side: Side| match conflict.versions.of(side) {
        Some(_) => format!("both get what {} has; {}", names.of(side), kept(side.other())),
        None => format!("it is deleted in both; {}", kept(side.other())),
    };
    let mut choices = vec![("keep-local", keep(Side::Local)), ("keep-remote", keep(Side::Remote))];
    match conflict.kind {
        ConflictKind::SimultaneousEdit => {
            choices.push((
                "keep-both",
                format!("both get both, that of {} under a name of its own", names.of(Side::Remote)),
            ));
            match merge {
                Ok(()) => {
                    choices.push(("merge", "both get one text with the changes of both".to_owned()));
                }
                Err(why @ (NoMerge::NoBase | NoMerge::Overlap)) => {
                    choices.push(("merge", format!("not possible: {why}")));
                }
                Err(NoMerge::NeverAgreed | NoMerge::NoText | NoMerge::NotMergeable) => {}
            }
            choices
                .push((FILE, "both get the bytes of a file; what they have is kept as versions".to_owned()));
        }
        ConflictKind::Deletion => {
            choices
                .push((FILE, "both get the bytes of a file; what is there is kept as a version".to_owned()));
        }
        ConflictKind::Structure | ConflictKind::Name => {
            choices.push(("keep-both", "both stand, one of them under a name of its own".to_owned()));
        }
    }
    choices
}

/// The choice that is the name of a file.
const FILE: &str = "FILE";
/// A longer diff is better read in an editor.
const DIFF_LINES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::is_hidden;
    use swarm_sync::{ConflictId, ContentHash, FileContent, Kind, PerSide, TreePath};

    fn version(path: &str, len: u64, modified_ns: i64) -> SideVersion {
        let content = FileContent { len, hash: ContentHash([0; 32]), executable: false };
        let path = TreePath::new(path).expect("a path");
        SideVersion { path, kind: Kind::File(content), modified_ns }
    }

    fn conflict(kind: ConflictKind, path: &str, versions: PerSide<Option<SideVersion>>) -> Conflict {
        let path = TreePath::new(path).expect("a path");
        Conflict {
            id: ConflictId([7; 8]),
            path,
            kind,
            versions,
            base: None,
            detail: String::new(),
            holds: Vec::new(),
        }
    }

    #[test]
    fn both_versions_the_diff_and_the_choices_are_shown() {
        let versions =
            PerSide { local: Some(version("page.md", 12, 0)), remote: Some(version("page.md", 1300, 1)) };
        let mut edited = conflict(ConflictKind::SimultaneousEdit, "page.md", versions);
        edited.base = Some(version("page.md", 11, 0).kind);
        let compared = Comparison { diff: Some("-one\n+two\n".to_owned()), merge: Ok(()) };
        let text =
            conflict_text(&edited, &compared, &Names::new(Path::new("A"), Path::new("B")), Paint::NONE);
        for part in [
            "0707070707070707  page.md",
            "A/page.md: 12 B",
            "B/page.md: 1.3 kB",
            ", newer",
            "    +two",
            "merge",
        ] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
    }

    #[test]
    fn a_deletion_is_not_merged() {
        let versions = PerSide { local: None, remote: Some(version("page.md", 12, 0)) };
        let deleted = conflict(ConflictKind::Deletion, "page.md", versions);
        let compared = Comparison { diff: None, merge: Err(NoMerge::NoText) };
        let text =
            conflict_text(&deleted, &compared, &Names::new(Path::new("A"), Path::new("B")), Paint::NONE);
        assert!(text.contains("A/page.md: deleted") && text.contains("it is deleted in both"), "{text}");
        assert!(!text.contains("merge"), "{text}");
    }

    #[test]
    fn no_name_and_no_line_of_a_file_acts_on_a_terminal() {
        let evil = "\u{1b}[2J\u{202e}";
        let versions = PerSide { local: Some(version(evil, 1, 0)), remote: Some(version(evil, 1, 0)) };
        let mut edited = conflict(ConflictKind::SimultaneousEdit, evil, versions);
        edited.detail = evil.to_owned();
        let compared = Comparison { diff: Some(evil.to_owned()), merge: Err(NoMerge::NoBase) };
        let text =
            conflict_text(&edited, &compared, &Names::new(Path::new(evil), Path::new("B")), Paint::NONE);
        assert!(!text.contains(|char| char != '\n' && is_hidden(char)), "{text:?}");
    }
}
