//! The change log: what happened to a path, when, on which side, and by whom. Absent here: where the log is kept.

use serde::{Deserialize, Serialize};

use crate::{Op, OpKind, RunId, Side, Timestamp, TreePath};

/// One line of the log. In JSON its kind is called `type` and its moment `timestamp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: ChangeKind,
    /// To what; of a move, where it stands now.
    pub path: TreePath,
    /// Of a move, where it stood.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<TreePath>,
    /// When it was done.
    #[serde(rename = "timestamp")]
    pub at: Timestamp,
    /// Who made the change, as the side that it came from names them.
    pub author: String,
    /// The side that it was done on.
    pub side: Side,
    /// The run that did it.
    pub run: RunId,
    /// What the run was for.
    #[serde(default)]
    pub cause: ChangeCause,
    /// Of an undo, the run that it took back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub undone_run: Option<RunId>,
}

/// What a run was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeCause {
    /// To carry changes of one side to the other.
    #[default]
    Sync,
    /// To take back what another run did.
    Undo,
    /// To bring back a kept version.
    Restore,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Something stands where nothing stood.
    Created,
    /// Other bytes, another target, another executable bit, or another kind of entry.
    Modified,
    /// Nothing stands there any more.
    Deleted,
    /// It stood at another path before.
    Moved,
}

/// The log as JSON: `{"changes":[..]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLog {
    /// The oldest first.
    pub changes: Vec<Change>,
}

/// What all changes of a run on one side have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunInfo<'a> {
    /// Its name.
    pub run: RunId,
    /// The side that it was done on.
    pub side: Side,
    /// When.
    pub at: Timestamp,
    /// Who made the changes.
    pub author: &'a str,
    /// What the run was for.
    pub cause: ChangeCause,
    /// Of an undo, the run that it took back.
    pub undone_run: Option<RunId>,
}

/// The changes that these operations made, in their order.
pub fn changes_of(performed: &[Op], info: RunInfo<'_>) -> Vec<Change> {
    performed.iter().map(|op| change_of(op, info)).collect()
}

fn change_of(op: &Op, info: RunInfo<'_>) -> Change {
    let (kind, from) = match &op.kind {
        OpKind::MakeFolder => (ChangeKind::Created, None),
        OpKind::Move { from } => (ChangeKind::Moved, Some(from.clone())),
        OpKind::Put { .. } if op.expected.is_none() => (ChangeKind::Created, None),
        OpKind::Put { .. } | OpKind::SetExecutable { .. } => (ChangeKind::Modified, None),
        OpKind::Remove => (ChangeKind::Deleted, None),
    };
    let (path, author) = (op.path.clone(), info.author.to_owned());
    let RunInfo { run, side, at, author: _, cause, undone_run } = info;
    Change { kind, path, from, at, author, side, run, cause, undone_run }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::{Entry, Kind, Source, Stamp};

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a path")
    }

    fn link() -> Kind {
        Kind::Symlink { target: "x".into() }
    }

    fn op(place: &str, kind: OpKind, is_there: bool) -> Op {
        let entry = Entry { kind: link(), modified_ns: 0, stamp: Stamp::default() };
        Op { path: path(place), kind, expected: is_there.then(|| Box::new(entry)) }
    }

    fn put() -> OpKind {
        OpKind::Put { content: link(), modified_ns: 0, source: Source::Other { path: path("x") } }
    }

    fn info() -> RunInfo<'static> {
        RunInfo {
            run: RunId::at_ms(7),
            side: Side::Remote,
            at: Timestamp(1_795_946_400_000_000_000),
            author: "ann",
            cause: ChangeCause::Undo,
            undone_run: Some(RunId::at_ms(6)),
        }
    }

    fn check(op: Op, expected: Expect) {
        let change = &changes_of(&[op], info())[0];
        let from = change.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
        expected.assert_eq(&format!("{:?} {}{from}", change.kind, change.path));
    }

    #[test]
    fn an_operation_is_logged_as_what_it_did() {
        check(op("a", OpKind::MakeFolder, false), expect!["Created a"]);
        check(op("a", put(), false), expect!["Created a"]);
        check(op("a", put(), true), expect!["Modified a"]);
        check(op("a", OpKind::SetExecutable { executable: true }, true), expect!["Modified a"]);
        check(op("a", OpKind::Remove, true), expect!["Deleted a"]);
        check(op("b", OpKind::Move { from: path("a") }, true), expect!["Moved b from a"]);
    }

    #[test]
    fn the_log_is_json_of_a_known_shape_and_read_again() {
        let ops = [op("docs/page.md", put(), true), op("b", OpKind::Move { from: path("a") }, true)];
        let log = ChangeLog { changes: changes_of(&ops, info()) };
        let json = serde_json::to_string_pretty(&log).expect("JSON");
        expect![[r#"
            {
              "changes": [
                {
                  "type": "modified",
                  "path": "docs/page.md",
                  "timestamp": "2026-11-29T10:00:00Z",
                  "author": "ann",
                  "side": "remote",
                  "run": "19700101T000000.007Z",
                  "cause": "undo",
                  "undone_run": "19700101T000000.006Z"
                },
                {
                  "type": "moved",
                  "path": "b",
                  "from": "a",
                  "timestamp": "2026-11-29T10:00:00Z",
                  "author": "ann",
                  "side": "remote",
                  "run": "19700101T000000.007Z",
                  "cause": "undo",
                  "undone_run": "19700101T000000.006Z"
                }
              ]
            }"#]]
        .assert_eq(&json);
        assert_eq!(serde_json::from_str::<ChangeLog>(&json).expect("a log"), log);
    }
}
