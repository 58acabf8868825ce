//! swarm beside its relatives: the same data, the same machine, the same minutes. `make bench-compare`, or
//! `cargo bench --bench compare -- [--cases one,four] [--rounds 3] [--len 4294967296] [--dir DIR] [--only swarm,curl] [--json FILE]`.
//!
//! Senders run for a whole case; fetches are interleaved (A B C, A B C, ..), so that a machine's moods hit all of them. Every
//! fetch is a whole process into an empty folder, and what it wrote is hashed outside the clock. A contender that is not
//! installed is named as missing, and nothing is made up for it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are its work")]

use std::path::PathBuf;
use std::process::exit;
use std::time::Duration;

mod api;
mod baseline;
mod cases;
mod contenders;
mod data;
mod idle;
mod library;
mod measure;
mod named;
mod report;
mod sync;

use cases::Case;
use data::World;
use report::Report;

/// The options of a run.
struct Options {
    cases: Vec<Case>,
    rounds: usize,
    len: u64,
    dir: PathBuf,
    only: Option<Vec<String>>,
    json: Option<PathBuf>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|arg| arg == "baseline") {
        return baseline::run(&args[1..]);
    }
    if args.first().is_some_and(|arg| arg == "api") {
        return api::run(&args[1..]);
    }
    if args.first().is_some_and(|arg| arg == "library") {
        return library::run(&args[1..]);
    }
    if args.first().is_some_and(|arg| arg == "sync") {
        return sync::run(&args[1..]);
    }
    let options = match Options::parse(&args) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            exit(2);
        }
    };
    let world = World::new(&options.dir);
    let mut report = Report::default();
    for case in &options.cases {
        case.run(&world, &options, &mut report);
        world.clean();
    }
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()).expect("the JSON file can be written");
    }
    if report.has_failures() {
        exit(1);
    }
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self {
            cases: Case::ALL.to_vec(),
            rounds: 3,
            len: 4 << 30,
            dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compare"),
            only: None,
            json: None,
        };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
            match name.as_str() {
                "--cases" => {
                    options.cases = list().iter().map(|name| Case::named(name)).collect::<Result<_, _>>()?;
                }
                "--rounds" => options.rounds = value.parse().map_err(|_| format!("{value} is no number"))?,
                "--len" => {
                    options.len = value.parse().map_err(|_| format!("{value} is no number of bytes"))?
                }
                "--dir" => options.dir = value.into(),
                "--only" => options.only = Some(list()),
                "--json" => options.json = Some(value.into()),
                _ => return Err(format!("unknown option {name}: see the head of benches/compare/main.rs")),
            }
        }
        if options.rounds == 0 {
            return Err("at least one round".to_owned());
        }
        Ok(options)
    }

    /// Whether this contender takes part.
    fn takes(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == name))
    }
}

/// A benchmark may read the clock, the pure crates may not.
#[expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn pause(time: Duration) {
    std::thread::sleep(time);
}
