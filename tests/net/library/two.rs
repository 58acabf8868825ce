//! A library of two machines that are far from each other, and a line between them that fails.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::{PATIENCE, is_long, try_ask, until};
use crate::support::{
    Lab, Line, MIB, Node, Outcome, Process, Signal, Stopwatch, World, assert_same_file, report,
};

/// A machine that has a folder of the library, and the folder of its daemon.
struct End {
    node: Node,
    process: RefCell<Process>,
    daemon: PathBuf,
    library: String,
}

impl End {
    /// Runs a command for its daemon.
    fn run(&self, words: &[&str]) -> Outcome {
        let mut args: Vec<std::ffi::OsString> = words.iter().map(Into::into).collect();
        args.extend(["--dir".into(), self.daemon.clone().into()]);
        self.node.run(&args).end()
    }

    fn conflicts(&self) -> u64 {
        let status = try_ask(&self.daemon, &json!({"request": "status"})).unwrap_or_default();
        status["libraries"][0]["conflicts"].as_u64().unwrap_or(0)
    }

    fn at(&self, path: &str) -> String {
        format!("{}:/{path}", self.library)
    }

    fn end(self) {
        let mut process = self.process.into_inner();
        process.signal(Signal::Terminate);
        process.end().expect_code(130);
    }
}

fn reads(path: &PathBuf, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found == text)
}

#[test]
fn a_library_of_two_goes_on_after_a_cut_with_its_conflicts_and_undo() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let cut = if is_long() { Duration::from_mins(1) } else { Duration::from_secs(10) };
    // A frame needs 50 ms from one to the other.
    let line = Line::mbit(MBIT, MBIT).delay(Duration::from_millis(25));
    let [one, other] = [(); 2].map(|()| world.node(&lab.host(line)));
    let (photos, copy) = (one.path("photos"), other.path("copy"));
    fs::create_dir(&photos).expect("a folder");
    fs::write(photos.join("text"), "base\n").expect("a place");
    fs::write(photos.join("gone"), "it was here").expect("a place");
    let daemon = one.path("daemon");
    let mut share =
        one.run(&["share".into(), "photos".into(), "photos".into(), "--dir".into(), daemon.clone().into()]);
    let address = share.wait_line(|line| line.starts_with("swarm://").then(|| line.to_owned()));
    let sync = other.run(&["sync".into(), "copy".into(), address.into(), "--watch".into()]);
    let joined = other.path("state").join("joined");
    until(PATIENCE, "the first files came", || reads(&copy.join("text"), "base\n"));
    let folder =
        fs::read_dir(&joined).expect("it is made").next().expect("one").expect("it can be read").path();
    let one = End { node: one, process: share.into(), daemon, library: "photos".to_owned() };
    let other = End { node: other, process: sync.into(), daemon: folder, library: "copy".to_owned() };

    world.file("film.bin", LEN);
    fs::rename(world.path("film.bin"), photos.join("film.bin")).expect("one file system");
    let here = || {
        let status = try_ask(&other.daemon, &json!({"request": "status"})).unwrap_or_default();
        status["peers"][0]["received"].as_u64().unwrap_or(0)
    };
    until(PATIENCE, "a quarter of the film came", || here() >= LEN / 4);
    other.node.host.cut();
    let clock = Stopwatch::start();
    fs::write(photos.join("text"), "base\nchanged here\n").expect("a place");
    fs::write(copy.join("text"), "base\nchanged there\n").expect("a place");
    fs::write(copy.join("new"), "made while the line was cut").expect("a place");
    until(PATIENCE * 2, "the cut is over", || clock.elapsed() >= cut);
    assert!(!copy.join("film.bin").exists());
    other.node.host.mend();
    let clock = Stopwatch::start();
    until(PATIENCE, "the film came", || copy.join("film.bin").exists());
    let film = clock.elapsed().as_secs_f64();
    assert_same_file(&photos.join("film.bin"), &copy.join("film.bin"));
    until(PATIENCE, "what was made meanwhile came", || {
        reads(&photos.join("new"), "made while the line was cut")
    });
    let asked = || [&one, &other].into_iter().find(|end| end.conflicts() == 1);
    until(PATIENCE, "the conflict is told", || asked().is_some());
    report(
        "a library of two, 100 ms",
        &format!(
            "the film came {film:.1} s after a cut of {cut:?}; the conflict, {:.1} s",
            clock.elapsed().as_secs_f64()
        ),
    );
    let asked = asked().expect("it was just asked");
    asked.run(&["resolve", &asked.at("text"), "remote"]).expect_code(0);
    let texts = || [&photos, &copy].map(|folder| fs::read_to_string(folder.join("text")).unwrap_or_default());
    until(PATIENCE, "both have one text", || {
        texts()[0] == texts()[1] && one.conflicts() + other.conflicts() == 0
    });

    fs::remove_file(photos.join("gone")).expect("it is there");
    until(PATIENCE, "the deletion came", || !copy.join("gone").exists());
    other.run(&["undo", &other.library]).expect_code(0);
    until(PATIENCE, "it is undone at both", || {
        [&photos, &copy].iter().all(|folder| reads(&folder.join("gone"), "it was here"))
    });
    [one, other].into_iter().for_each(End::end);
}

const MBIT: u32 = 20;
const LEN: u64 = 16 * MIB;
