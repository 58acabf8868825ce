//! An overlay and a plain folder that are kept the same by the planner.

use std::path::{Path, PathBuf};

use swarm_files::{FolderOptions, FolderReplica};
use swarm_mounts::MountKind;
use swarm_sync::{
    Beside, Guard, Index as _, MemoryIndex, Pass, PerSide, Policy, Replica, Rules, Run, RunError, RunEvent,
    RunId, Strategy, TreePath, pass, undo,
};

use crate::layers::{World, disk_state, make, parse_nodes, read_folder, show};

/// Both sides, and what is known of them.
struct Pair {
    world: World,
    other: PathBuf,
    index: MemoryIndex,
    runs: u64,
}

struct InTurn;

impl Beside for InTurn {
    fn both(&self, one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send)) {
        one();
        other();
    }
}

impl Pair {
    fn new(layers: &str, other: &str) -> Self {
        let world = World::new(layers);
        let folder = world.root.path().join("other");
        make(&folder, &parse_nodes(other));
        let mut pair = Self { world, other: folder, index: MemoryIndex::default(), runs: 0 };
        pair.sync();
        pair
    }

    fn run<T>(&mut self, perform: impl FnOnce(&mut Run<'_, MemoryIndex>) -> T) -> T {
        self.runs += 1;
        let other = FolderReplica::open(&self.other, FolderOptions::default()).unwrap();
        let mut on_event = |event: RunEvent| assert!(!matches!(event, RunEvent::Refused { .. }), "{event:?}");
        let local: &dyn Replica = &self.world.overlay;
        perform(&mut Run {
            id: RunId::at_ms(1_795_947_300_000 + self.runs),
            sides: PerSide { local, remote: &other },
            index: &mut self.index,
            on_event: &mut on_event,
            carried: &|_, _| {},
            beside: &InTurn,
            group_ops_max: PerSide { local: 1000, remote: 1000 },
        })
    }

    fn sync(&mut self) -> Pass {
        let guard = Guard { approved: true, ..Guard::default() };
        let policy = Policy { strategy: Strategy::KeepRemote, guard, ..Policy::default() };
        let rules = Rules { policy, strategy_of: &|_: &TreePath| None, is_ignored: &|_: &TreePath, _| false };
        self.run(|run| pass(run, &rules, false)).unwrap()
    }

    fn shown(&self) -> (String, String) {
        (show(&self.world.nodes(None)), show(&read_folder(&self.other)))
    }
}

/// Both sides are the same after a run that follows a change, and the next run finds nothing to do. Read-only mounts stay as they are.
fn check(layers: &str, change: impl FnOnce(&Path), shown: &str) {
    let mut pair = Pair::new(layers, "");
    let read_only = pair.world.specs.iter().filter(|spec| spec.kind == MountKind::ReadOnly);
    let read_only: Vec<PathBuf> = read_only.map(|spec| spec.dir.clone()).collect();
    let before = disk_state(&read_only);
    let (local, remote) = pair.shown();
    assert_eq!(local, remote, "after the first run");
    change(&pair.other);
    pair.sync();
    assert_eq!(pair.shown(), (shown.to_owned(), shown.to_owned()));
    let again = pair.sync();
    let ops = again.proposal.plan.ops;
    assert!(ops.local.is_empty() && ops.remote.is_empty(), "{ops:?}");
    assert_eq!(disk_state(&read_only), before);
}

#[test]
fn what_others_change_is_shown_and_stays() {
    let layers = "ro /v: a=1 d/b=2 d/c=3 | target: x=4 v/a=9";
    check(layers, |_| {}, "v/ v/a=9 v/d/ v/d/b=2 v/d/c=3 x=4");
    check(
        layers,
        |dir| std::fs::write(dir.join("v/d/b"), "new").unwrap(),
        "v/ v/a=9 v/d/ v/d/b=new v/d/c=3 x=4",
    );
    check(layers, |dir| std::fs::remove_dir_all(dir.join("v/d")).unwrap(), "v/ v/a=9 x=4");
    check(layers, |dir| std::fs::remove_dir_all(dir.join("v")).unwrap(), "x=4");
    check(
        layers,
        |dir| std::fs::rename(dir.join("v/d"), dir.join("v/n")).unwrap(),
        "v/ v/a=9 v/n/ v/n/b=2 v/n/c=3 x=4",
    );
    check(
        layers,
        |dir| {
            std::fs::remove_dir_all(dir.join("v/d")).unwrap();
            std::fs::write(dir.join("v/d"), "file").unwrap();
        },
        "v/ v/a=9 v/d=file x=4",
    );
    check(
        layers,
        |dir| {
            std::fs::rename(dir.join("v/d/b"), dir.join("t")).unwrap();
            std::fs::rename(dir.join("v/d/c"), dir.join("v/d/b")).unwrap();
            std::fs::rename(dir.join("t"), dir.join("v/d/c")).unwrap();
        },
        "v/ v/a=9 v/d/ v/d/b=3 v/d/c=2 x=4",
    );
}

#[test]
fn a_run_that_hid_a_file_of_a_read_only_mount_is_undone() {
    let mut pair = Pair::new("ro /v: a=1 b=2 | target:", "");
    std::fs::remove_file(pair.other.join("v/a")).unwrap();
    std::fs::write(pair.other.join("v/b"), "new").unwrap();
    pair.sync();
    assert_eq!(pair.shown().0, "v/ v/b=new");
    let run = RunId::at_ms(1_795_947_300_000 + pair.runs);
    let way_back = undo(&pair.index.deeds(run).unwrap());
    assert!(way_back.unknown.is_empty(), "{way_back:?}");
    let plan = swarm_sync::Plan { ops: way_back.ops, ..swarm_sync::Plan::default() };
    let done: Result<(), RunError<_>> = pair.run(|run| run.carry_out(&plan, &[]));
    done.unwrap();
    assert_eq!(pair.shown().0, "v/ v/a=1 v/b=2");
}

#[test]
fn what_did_not_change_is_read_once() {
    let mut pair = Pair::new("ro /v: a=1 | target: x=4", "");
    // A file that changed just now is read again until its time of change tells.
    let rests = (0..1000).any(|_| pair.sync().tallies.local.hashed == 0);
    assert!(rests, "it is read each time");
}
