//! A pair of real folders, as a product uses it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use swarm_pair::{Decision, Options, PairError, PairStore, Report, Session, Summary};
use swarm_sync::{PerSide, Side, Strategy};

/// Two folders and a state folder.
struct World {
    folder: tempfile::TempDir,
    options: Options,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, options: Options::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn store(&self) -> PairStore {
        PairStore::open(&self.path("state"))
    }

    fn begin(&self) -> Result<Session, PairError> {
        let pair = self.store().pair(&self.path("a"), &self.path("b"))?;
        pair.begin(self.options.clone(), &Arc::new(AtomicBool::new(false)), &|_| {})
    }

    fn sync(&self) -> Result<Report, PairError> {
        let mut session = self.begin()?;
        session.scan(&|_| {})?;
        let proposal = session.propose()?;
        if proposal.plan.held.is_some() {
            return Ok(Report { planned: Summary::of(&proposal.plan), ..Report::default() });
        }
        let events = std::sync::Mutex::new(Vec::new());
        let report =
            session.carry_out(&proposal, &|event| events.lock().unwrap().push(format!("{event:?}")))?;
        assert_eq!(report.refused, 0, "{:?}", events.lock().unwrap());
        Ok(report)
    }

    /// What stands in a folder, without the state of sync.
    fn tree(&self, name: &str) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        read(&self.path(name), &self.path(name), &mut tree);
        tree
    }

    fn assert_same(&self, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        assert_eq!(self.tree("a"), expected, "a");
        assert_eq!(self.tree("b"), expected, "b");
    }
}

fn read(root: &Path, folder: &Path, tree: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) =
            (entry.path(), entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        if name == ".swarm" {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            tree.insert(format!("{name}/"), String::new());
            read(root, &path, tree);
        } else if kind.is_symlink() {
            tree.insert(name, format!("-> {}", fs::read_link(&path).unwrap().to_str().unwrap()));
        } else {
            tree.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn two_folders_become_the_same_both_ways() {
    let world = World::new();
    world.write("a/docs/one.txt", "1");
    world.write("b/two.txt", "2");
    std::os::unix::fs::symlink("docs/one.txt", world.path("a/link")).unwrap();
    world.sync().unwrap();
    let both = [("docs/", ""), ("docs/one.txt", "1"), ("two.txt", "2"), ("link", "-> docs/one.txt")];
    world.assert_same(&both);
    let again = world.sync().unwrap();
    assert!(again.planned.is_empty(), "{again:?}");

    world.write("a/two.txt", "two");
    fs::remove_file(world.path("b/docs/one.txt")).unwrap();
    fs::rename(world.path("b/link"), world.path("b/docs/link")).unwrap();
    world.sync().unwrap();
    world.assert_same(&[("docs/", ""), ("two.txt", "two"), ("docs/link", "-> docs/one.txt")]);
}

#[test]
fn a_renamed_folder_is_moved_and_not_copied() {
    let world = World::new();
    for number in 0..50 {
        world.write(&format!("a/old/{number}"), &format!("content {number}"));
    }
    world.sync().unwrap();
    fs::rename(world.path("a/old"), world.path("a/new")).unwrap();
    let report = world.sync().unwrap();
    assert_eq!(report.planned.sides.remote.moved, 1, "{report:?}");
    assert_eq!(report.performed, 1, "{report:?}");
    assert_eq!(world.tree("a"), world.tree("b"));
    assert!(world.sync().unwrap().planned.is_empty());
}

#[test]
fn a_conflict_waits_for_a_decision_and_what_loses_is_kept() {
    let world = World::new();
    world.write("a/f", "base");
    world.sync().unwrap();
    world.write("a/f", "local");
    world.write("b/f", "remote");
    assert_eq!(world.sync().unwrap().conflicts, 1);
    let pair = world.store().find(&world.path("a/f")).unwrap().pair;
    let conflict = pair.conflicts().unwrap().remove(0).conflict;
    pair.decide(&conflict, &Decision::KeepRemote).unwrap();
    assert_eq!(world.sync().unwrap().conflicts, 0);
    world.assert_same(&[("f", "remote")]);
    let versions = pair.versions(conflict.path.parent().as_ref()).unwrap();
    assert_eq!(versions.len(), 1, "{versions:?}");

    let mut session = world.begin().unwrap();
    session.restore(&versions[0], Side::Local, &|_| {}).unwrap();
    drop(session);
    world.sync().unwrap();
    world.assert_same(&[("f", "local")]);
}

#[test]
fn texts_are_merged_where_that_is_asked_for() {
    let mut world = World::new();
    world.options.strategy = Strategy::AutoMerge;
    world.write("a/f", "1\n2\n3\n4\n5\n");
    world.sync().unwrap();
    world.write("a/f", "one\n2\n3\n4\n5\n");
    world.write("b/f", "1\n2\n3\n4\nfive\n");
    let report = world.sync().unwrap();
    assert_eq!(report.conflicts, 0, "{report:?}");
    world.assert_same(&[("f", "one\n2\n3\n4\nfive\n")]);
}

#[test]
fn many_deletions_are_held_and_undone() {
    let world = World::new();
    let names: Vec<String> = (0..10).map(|number| format!("f{number}")).collect();
    names.iter().for_each(|name| world.write(&format!("a/{name}"), name));
    world.sync().unwrap();
    names.iter().take(6).for_each(|name| fs::remove_file(world.path(&format!("a/{name}"))).unwrap());
    let held = world.sync().unwrap();
    assert!(held.planned.held.is_some() && held.performed == 0, "{held:?}");
    assert_eq!(world.tree("b").len(), 10);

    let mut session = world.begin().unwrap();
    session.scan(&|_| {}).unwrap();
    let proposal = session.propose().unwrap();
    let run = session.run_id();
    session.carry_out(&proposal, &|_| {}).unwrap();
    assert_eq!(world.tree("b").len(), 4);
    session.undo(run, &|_| {}).unwrap();
    drop(session);
    world.sync().unwrap();
    let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    world.assert_same(&all);
}

#[test]
fn roots_that_make_no_sense_are_refused() {
    let world = World::new();
    world.write("a/in/f", "x");
    let pair = |a: &str, b: &str| world.store().pair(&world.path(a), &world.path(b)).map(drop);
    assert!(matches!(pair("a", "a"), Err(PairError::SameFolder(_))));
    assert!(matches!(pair("a", "a/in"), Err(PairError::Nested { .. })));
    assert!(matches!(pair("a", "missing"), Err(PairError::Missing(_))));
    assert!(matches!(pair("a", "a/in/f"), Err(PairError::NotAFolder(_))));
    world.sync().unwrap();
    assert!(matches!(pair("b", "a"), Err(PairError::Swapped { .. })));
}

#[test]
fn an_emptied_root_deletes_nothing() {
    let world = World::new();
    world.write("a/f", "x");
    world.sync().unwrap();
    fs::remove_file(world.path("a/f")).unwrap();
    fs::remove_dir_all(world.path("a/.swarm")).ok();
    assert!(matches!(world.sync(), Err(PairError::Emptied { .. })));
    assert_eq!(world.tree("b").len(), 1);
}

#[test]
fn a_side_alone_is_mirrored() {
    let mut world = World::new();
    world.options.direction = swarm_sync::Direction::ToRemote;
    world.write("a/f", "1");
    world.write("b/other", "2");
    world.sync().unwrap();
    world.assert_same(&[("f", "1")]);
    let PerSide { local, remote } =
        PerSide::each(|side| world.store().list().unwrap().pairs[0].root(side).to_owned());
    assert!(local.ends_with("a") && remote.ends_with("b"));
    let versions = world.store().list().unwrap().pairs[0].versions(None).unwrap();
    assert_eq!(versions.iter().map(|version| version.side).collect::<Vec<_>>(), [Side::Remote]);
}

#[test]
fn what_is_left_out_for_one_run_is_no_deletion_in_the_next() {
    let mut world = World::new();
    world.write("a/raw/1", "1");
    world.write("a/raw/2", "2");
    world.write("a/kept", "k");
    world.sync().unwrap();
    world.options.excludes = vec!["raw/".to_owned()];
    world.sync().unwrap();
    world.options.excludes.clear();
    fs::remove_file(world.path("a/raw/1")).unwrap();
    world.write("a/raw/2", "two");
    assert_eq!(world.sync().unwrap().conflicts, 0);
    world.assert_same(&[("kept", "k"), ("raw/", ""), ("raw/2", "two")]);
}

#[test]
fn what_was_undone_is_asked_about_and_reverses_nobodys_change() {
    let world = World::new();
    world.write("a/f", "1");
    world.sync().unwrap();
    world.write("a/f", "2");
    world.write("b/new", "n");
    let run = {
        let mut session = world.begin().unwrap();
        session.scan(&|_| {}).unwrap();
        let proposal = session.propose().unwrap();
        let run = session.run_id();
        session.carry_out(&proposal, &|_| {}).unwrap();
        run
    };
    let mut session = world.begin().unwrap();
    session.undo(run, &|_| {}).unwrap();
    drop(session);
    assert_eq!(world.tree("b")["f"], "1");
    // The edit of one side is neither lost nor turned back, and the new file is where it was made.
    assert_eq!(world.sync().unwrap().conflicts, 1);
    assert_eq!((world.tree("a")["f"].as_str(), world.tree("b")["f"].as_str()), ("2", "1"));
    assert_eq!(world.tree("b")["new"], "n");
}

#[test]
fn a_move_that_was_undone_moves_nothing_on_the_other_side() {
    let world = World::new();
    world.write("a/d/f", "1");
    world.write("a/d/s/g", "2");
    world.sync().unwrap();
    std::fs::rename(world.path("a/d"), world.path("a/e")).unwrap();
    let run = {
        let mut session = world.begin().unwrap();
        session.scan(&|_| {}).unwrap();
        let proposal = session.propose().unwrap();
        let run = session.run_id();
        session.carry_out(&proposal, &|_| {}).unwrap();
        run
    };
    world.begin().unwrap().undo(run, &|_| {}).unwrap();
    assert!(world.tree("b").contains_key("d/f"));
    // What was renamed keeps its new name, and what was moved back its old one.
    assert_eq!(world.sync().unwrap().conflicts, 0);
    let both = |folder: &str| {
        [("/", ""), ("/f", "1"), ("/s/", ""), ("/s/g", "2")].map(|(n, t)| (format!("{folder}{n}"), t))
    };
    let expected: Vec<(String, &str)> = both("d").into_iter().chain(both("e")).collect();
    let expected: Vec<(&str, &str)> = expected.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    world.assert_same(&expected);
    assert_eq!(world.sync().unwrap().performed, 0);
}

/// Random files of rules in all folders of one side: what comes to the other side is what git would take.
#[test]
fn rules_in_folders_leave_out_what_git_would() {
    if std::process::Command::new("git").arg("--version").output().is_err() {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"NOT RUN: no git here, so nothing is known about rules in folders\n",
        );
        return;
    }
    let mut rng = fastrand::Rng::with_seed(11);
    let mut left_out = 0;
    for _ in 0..20 {
        let world = World::new();
        for folder in ["", "x/", "y/", "x/y/", "x/y/z/", "build/", "y/build/"] {
            for name in ["a.o", "b.o", "keep.o", "build", "x", "c.txt"] {
                let path = format!("a/{folder}{name}");
                if !world.path(&path).is_dir() && !["", "y/"].contains(&folder) || name.contains('.') {
                    world.write(&path, &path);
                }
            }
            if rng.bool() {
                let lines =
                    ["*.o", "!keep.o", "/build", "build/", "!*.o", "x/", "y/z", "c.*", "!c.txt", "**/z/a.*"];
                let text: Vec<&str> = (0..rng.usize(1..4)).filter_map(|_| rng.choice(lines)).collect();
                world.write(&format!("a/{folder}.swarmignore"), &text.join("\n"));
            }
        }
        world.sync().unwrap();
        let mut git = std::process::Command::new("git");
        git.args(["ls-files", "-o", "-z", "--exclude-per-directory=.swarmignore"])
            .current_dir(world.path("a"));
        let init = ["init", "--quiet", "--template="];
        assert!(
            std::process::Command::new("git")
                .args(init)
                .current_dir(world.path("a"))
                .status()
                .unwrap()
                .success()
        );
        let output = String::from_utf8(git.output().unwrap().stdout).unwrap();
        let expected: std::collections::BTreeSet<&str> =
            output.split_terminator('\0').filter(|path| !path.starts_with(".swarm/")).collect();
        let there = world.tree("b");
        let there: std::collections::BTreeSet<&str> =
            there.keys().map(String::as_str).filter(|path| !path.ends_with('/')).collect();
        assert_eq!(there, expected);
        left_out += 42 - there.len().min(42);
    }
    assert!(left_out > 100, "rules that leave out hardly anything test hardly anything: {left_out}");
}

#[test]
fn a_link_in_place_of_a_folder_brings_no_rules() {
    for target in ["../out", "d"] {
        let world = World::new();
        world.write("out/.swarmignore", "*");
        world.write("a/d/f", "1");
        world.write("a/e", "1");
        world.sync().unwrap();
        std::fs::remove_dir_all(world.path("b/d")).unwrap();
        std::os::unix::fs::symlink(target, world.path("b/d")).unwrap();
        world.write("a/d/g", "2");
        world.write("a/e", "12");
        assert_eq!(world.sync().unwrap().conflicts, 1, "{target}");
        assert_eq!(world.tree("b")["e"], "12", "{target}");
    }
}

#[test]
fn two_folders_are_one_pair_whichever_is_named_first() {
    let world = World::new();
    let pair = |one: &str, other: &str| world.store().pair(&world.path(one), &world.path(other));
    let (first, second) = (pair("a", "b").unwrap(), pair("b", "a").unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let session = first.begin(Options::default(), &stop, &|_| {}).unwrap();
    let refused = second.begin(Options::default(), &stop, &|_| {}).map(drop).unwrap_err();
    assert!(matches!(refused, PairError::Swapped { .. }), "{refused}");
    drop(session);
    assert!(matches!(pair("b", "a"), Err(PairError::Swapped { .. })));
    world.sync().unwrap();
}

#[test]
fn what_a_user_should_know_is_told() {
    let world = World::new();
    world.write("a/.swarmignore", "[a\n*.tmp");
    world.write("a/d/.swarmignore", "[b");
    world.write("a/f", "1");
    world.sync().unwrap();
    let warnings = || {
        let warnings = std::sync::Mutex::new(Vec::new());
        let note = |event| {
            if let swarm_pair::SyncEvent::Warning { message } = event {
                warnings.lock().unwrap().push(message);
            }
        };
        let pair = world.store().pair(&world.path("a"), &world.path("b")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        pair.begin(Options::default(), &stop, &note).unwrap().scan(&note).unwrap();
        warnings.into_inner().unwrap()
    };
    let told = warnings();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with(".swarmignore: ") && told[1].starts_with("d/.swarmignore: "), "{told:?}");
    for pair in fs::read_dir(world.path("state/sync")).unwrap().map(|entry| entry.unwrap().path()) {
        let _ = fs::remove_file(pair.join("index.db"));
    }
    let told = warnings();
    assert!(told[0].ends_with("is gone: both folders are merged, and nothing is deleted"), "{told:?}");
}
