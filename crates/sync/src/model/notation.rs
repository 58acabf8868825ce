//! Trees and plans as text: `d/ d/x=2 run=3* link->x`, with `#7` for the number of a file and `@5` for its time of change.

use std::fmt::Write as _;

use super::tree::Tree;
use crate::{ContentHash, Entry, FileContent, FileId, Kind, Op, OpKind, Plan, Side, Source, Stamp, TreePath};

/// Reads a tree. A content is named by any word; `0` is the empty file. Entries without `#` have no number.
///
/// # Panics
/// If the text is none of a tree: it stands in a test.
pub fn read_tree(text: &str) -> Tree {
    let mut tree = Tree { has_ids: true, last_id: 1000, now_ns: 1000, ..Tree::default() };
    for word in text.split_whitespace() {
        let (path, entry) = read_entry(word);
        tree.entries.insert(path, entry);
    }
    tree
}

fn read_entry(word: &str) -> (TreePath, Entry) {
    let (word, modified_ns) = match word.split_once('@') {
        Some((word, time)) => (word, time.parse().expect("a time")),
        None => (word, 0),
    };
    let (word, id) = match word.split_once('#') {
        Some((word, id)) => (word, Some(FileId { device: 1, inode: id.parse().expect("a number") })),
        None => (word, None),
    };
    let (path, kind) = read_kind(word);
    let path = TreePath::new(path.replace('_', " ")).expect("a path");
    (path, Entry { kind, modified_ns, stamp: Stamp { id, changed_ns: 0 } })
}

fn read_kind(word: &str) -> (&str, Kind) {
    if let Some(path) = word.strip_suffix('/') {
        return (path, Kind::Folder);
    }
    if let Some((path, target)) = word.split_once("->") {
        return (path, Kind::Symlink { target: target.into() });
    }
    let (path, content) = word.split_once('=').expect("a folder, a link or a file");
    let executable = content.ends_with('*');
    (path, file(content.trim_end_matches('*'), executable))
}

/// The file of a word.
fn file(word: &str, executable: bool) -> Kind {
    let bytes = if word == "0" { "" } else { word };
    Kind::File(FileContent { len: bytes.len() as u64, hash: ContentHash::of(bytes.as_bytes()), executable })
}

/// A plan, one line for each thing.
pub fn describe(plan: &Plan) -> String {
    let mut text = String::new();
    for side in Side::BOTH {
        for op in plan.ops.of(side) {
            let _ = writeln!(text, "{}: {}", name(side), describe_op(op));
        }
    }
    if !plan.agreed.is_empty() {
        let paths: Vec<String> = plan.agreed.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "agreed: {}", paths.join(" "));
    }
    for conflict in &plan.conflicts {
        let version = |side: Side| match conflict.versions.of(side) {
            Some(version) => format!("{}{}", version.path, describe_kind(&version.kind)),
            None => "nothing".to_owned(),
        };
        let detail =
            if conflict.detail.is_empty() { String::new() } else { format!(" ({})", conflict.detail) };
        let holds: Vec<String> = conflict.holds.iter().map(ToString::to_string).collect();
        let holds = if holds.is_empty() { String::new() } else { format!(" holds {}", holds.join(" ")) };
        let (local, remote) = (version(Side::Local), version(Side::Remote));
        let _ = writeln!(text, "{:?} {}: {local} | {remote}{detail}{holds}", conflict.kind, conflict.path);
    }
    for task in &plan.merges {
        let _ = writeln!(text, "merge: {}", task.path);
    }
    if let Some(hold) = plan.held {
        let (deleted, replaced, total) = (hold.deleted, hold.replaced, hold.total);
        let _ = writeln!(text, "held: {} deletes {deleted}, replaces {replaced} of {total}", name(hold.side));
    }
    text
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Local => "local",
        Side::Remote => "remote",
    }
}

fn describe_op(op: &Op) -> String {
    let path = &op.path;
    match &op.kind {
        OpKind::MakeFolder => format!("make {path}/"),
        OpKind::Move { from } => format!("move {from} -> {path}"),
        OpKind::Put { content, source, .. } => {
            let over = if op.expected.is_some() { "replace" } else { "put" };
            let from = match source {
                Source::Other { path: other } if other == path => String::new(),
                Source::Other { path } => format!(" from {path}"),
                Source::Settled { .. } => " as settled".to_owned(),
                Source::Kept { .. } => " as kept".to_owned(),
            };
            format!("{over} {path}{}{from}", describe_kind(content))
        }
        OpKind::SetExecutable { executable } => {
            format!("{} {path}", if *executable { "chmod +x" } else { "chmod -x" })
        }
        OpKind::Remove => format!("remove {path}"),
    }
}

/// As in a tree; contents of one or two characters are named by trying them.
pub fn describe_kind(kind: &Kind) -> String {
    match kind {
        Kind::Folder => "/".to_owned(),
        Kind::Symlink { target } => format!("->{target}"),
        Kind::File(content) => {
            let words = std::iter::once("0".to_owned()).chain(('1'..='9').chain('a'..='z').map(String::from));
            let is_it = |word: &String| file(word, content.executable) == *kind;
            let word =
                words.into_iter().find(is_it).unwrap_or_else(|| content.hash.to_string()[..8].to_owned());
            format!("={word}{}", if content.executable { "*" } else { "" })
        }
    }
}
