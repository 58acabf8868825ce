//! The cost of an idle seed: leeches are linked to it, and all of them have finished.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::contenders::{Contender, Scene, swarm};
use crate::data::World;
use crate::measure;
use crate::pause;
use crate::report::Report;

/// One row: the seed's share of a core while `LEECHES` are linked and idle.
pub(crate) fn run(world: &World, report: &mut Report) {
    let film = world.film(FILM_LEN);
    let scene = Scene::new(Contender::SWARM, world, &film, 1, None);
    let senders = Contender::SWARM.start(&scene);
    let ticket = &senders.places()[0];
    let mut leeches = Leeches(
        (0..LEECHES)
            .map(|number| {
                let state = scene.state(&format!("leech-{number}"));
                let mut fetch = swarm(&state, None);
                fetch.args(["fetch", ticket, "--keep-seeding", "-o"]).arg(state.join("out"));
                fetch
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("the binary starts")
            })
            .collect(),
    );
    let is_done = |number: usize| scene.state(&format!("leech-{number}")).join("out/film.bin").exists();
    while !(0..LEECHES).all(is_done) {
        pause(Duration::from_secs(1));
    }
    pause(SETTLE);
    let before = measure::all(&senders.processes).sum();
    pause(WATCHED);
    let used = measure::all(&senders.processes).sum() - before;
    let share = used / WATCHED.as_secs_f64();
    leeches
        .0
        .iter_mut()
        .for_each(|leech| assert!(leech.try_wait().is_ok_and(|ended| ended.is_none()), "a leech ended"));
    report.say(
        "idle",
        "seed-core-share",
        share,
        &format!(
            "idle seed, {LEECHES} leeches linked: {:.2} % of a core over {} s",
            share * 100.0,
            WATCHED.as_secs()
        ),
    );
}

struct Leeches(Vec<Child>);

impl Drop for Leeches {
    fn drop(&mut self) {
        for leech in &mut self.0 {
            let _ = leech.kill();
            let _ = leech.wait();
        }
    }
}

const LEECHES: usize = 100;
const FILM_LEN: u64 = 1 << 20;
const SETTLE: Duration = Duration::from_secs(20);
const WATCHED: Duration = Duration::from_secs(60);
