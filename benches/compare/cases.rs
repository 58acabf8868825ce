//! The cases: contenders, data, number of senders.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::contenders::{Contender, Scene, Senders, program, swarm};
use crate::data::{Data, World};
use crate::measure::{self, Sample};
use crate::report::Report;
use crate::{Options, idle, now, pause};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// One film from one sender.
    One,
    /// As `One`, with datagrams of at most the length that the internet carries.
    OneInternet,
    /// One film from four senders.
    Four,
    /// 10 GB, for memory that does not grow with the length.
    Ten,
    /// A hundred thousand files of 4 KiB.
    Small,
    /// 10 GB of which 99 % are there.
    Resume,
    /// Hashing 10 GB.
    Index,
    /// A seed with a hundred idle leeches.
    Idle,
}

impl Case {
    pub(crate) const ALL: [Self; 8] = [
        Self::One,
        Self::OneInternet,
        Self::Four,
        Self::Ten,
        Self::Small,
        Self::Resume,
        Self::Index,
        Self::Idle,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::OneInternet => "one-1452",
            Self::Four => "four",
            Self::Ten => "ten",
            Self::Small => "small",
            Self::Resume => "resume",
            Self::Index => "index",
            Self::Idle => "idle",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|case| case.name() == name)
            .ok_or(format!("no case {name}: there are {known}"))
    }

    pub(crate) fn run(self, world: &World, options: &Options, report: &mut Report) {
        use Contender as C;
        let fetches = |data: Data, senders, datagram_len_max, contenders: &[C], report: &mut Report| {
            let race = Race { name: self.name(), world, data, senders, datagram_len_max };
            race.run(contenders, options, report);
        };
        match self {
            Self::One => {
                let all = [
                    C::SWARM,
                    C::CURL,
                    C::RSYNC_SSH,
                    C::RSYNC_DAEMON,
                    C::LIBTORRENT,
                    C::SENDME,
                    C::RQBIT,
                    C::QUINN,
                ];
                fetches(world.film(options.len), 1, None, &all, report);
            }
            Self::OneInternet => {
                fetches(
                    world.film(options.len),
                    1,
                    Some(INTERNET_DATAGRAM_LEN),
                    &[C::SWARM, C::QUINN],
                    report,
                );
            }
            Self::Four => {
                let all = [C::SWARM, C::ARIA2, C::LIBTORRENT, C::RQBIT, C::QUINN];
                fetches(world.film(options.len), 4, None, &all, report);
            }
            Self::Ten => fetches(world.film(LONG_LEN), 4, None, &[C::SWARM, C::ARIA2], report),
            Self::Small => {
                fetches(world.small_files(SMALL_COUNT), 1, None, &[C::SWARM, C::RSYNC_DAEMON], report);
            }
            Self::Resume => resume(world, options, report),
            Self::Index => index(world, options, report),
            Self::Idle => idle::run(world, report),
        }
    }
}

/// Fetches of the same data by several contenders in turn.
struct Race<'a> {
    name: &'static str,
    world: &'a World,
    data: Data,
    senders: usize,
    datagram_len_max: Option<u16>,
}

impl Race<'_> {
    fn run(&self, contenders: &[Contender], options: &Options, report: &mut Report) {
        let mut lanes = Vec::new();
        for contender in contenders.iter().filter(|contender| options.takes(contender.name)) {
            if !contender.is_there() {
                eprintln!("{}: {} is not installed, and takes no part", self.name, contender.name);
                continue;
            }
            let scene = Scene::new(*contender, self.world, &self.data, self.senders, self.datagram_len_max);
            let senders = contender.start(&scene);
            lanes.push((*contender, scene, senders, Vec::new()));
        }
        for round in 1..=options.rounds {
            // Each round starts with another contender, because a fetch after a heavy writer is slower.
            let count = lanes.len().max(1);
            lanes.rotate_left(usize::from(round > 1).min(count - 1));
            for (contender, scene, senders, samples) in &mut lanes {
                let result = self.fetch(*contender, scene, senders);
                match &result {
                    Ok(sample) => {
                        eprintln!("{} round {round}: {} {:.2} s", self.name, contender.name, sample.wall);
                    }
                    Err(error) => {
                        eprintln!("{} round {round}: {} failed: {error}", self.name, contender.name)
                    }
                }
                samples.push(result);
            }
        }
        lanes.sort_by_key(|(contender, ..)| contenders.iter().position(|named| named.name == contender.name));
        let rows = lanes.into_iter().map(|(contender, _, _, samples)| (contender.name, samples)).collect();
        report.table(self.name, self.data.len, rows);
    }

    fn fetch(&self, contender: Contender, scene: &Scene<'_>, senders: &Senders) -> Result<Sample, String> {
        let out = self.world.fresh_out();
        self.data.warm();
        let sample = measure::run(contender.fetch(scene, senders), &senders.processes)?;
        if contender.is_to_file {
            self.data.check(&out)?;
        }
        Ok(sample)
    }
}

/// Measures from the start of the command to the first new byte, and to the end.
fn resume(world: &World, options: &Options, report: &mut Report) {
    let film = world.film(LONG_LEN);
    let scene = Scene::new(Contender::SWARM, world, &film, 1, None);
    let senders = Contender::SWARM.start(&scene);
    let fetch = || {
        let mut fetch = swarm(&scene.state("fetch"), None);
        fetch.args(["fetch", "--json", &senders.places()[0], "-o", "."]).current_dir(world.out());
        fetch.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        fetch
    };
    let durable_to = |fetch: Command, percent: u64| {
        until(fetch, |line| {
            let durable = line["durable_bytes"].as_u64();
            durable.filter(|&durable| durable >= film.len / 100 * percent).map(|durable| durable as f64)
        })
    };
    for round in 1..=options.rounds {
        // Fast for most of the content, then slow enough to be killed at the right moment; it may still be missed.
        let prepare = |_| {
            world.fresh_out();
            let mut slow = fetch();
            slow.args(["--limit-down", "40MB/s"]);
            durable_to(fetch(), 70).and_then(|_| durable_to(slow, 99))
        };
        let present = (0..PREPARATIONS_MAX).find_map(prepare);
        let Some(present) = present else {
            report.failed("resume", "it was done before it could be killed");
            continue;
        };
        // The resumed fetch reports the bytes that it found: the killed one may have stored more than it reported.
        let (start, known) = (now(), std::cell::Cell::new(None));
        let first = until(fetch(), |line| {
            known.set(known.get().or(line["present_bytes"].as_u64()));
            let moved = known.get().is_some() && line["verified_bytes"].as_u64() > known.get();
            let done = line["event"] == "done";
            (moved || done).then(|| start.elapsed().as_secs_f64())
        });
        match first {
            Some(seconds) => report.say(
                "resume",
                "seconds-to-first-byte",
                seconds,
                &format!(
                    "resume round {round}: new bytes {seconds:.2} s after the start, {:.1} % were there",
                    present / film.len as f64 * 100.0
                ),
            ),
            None => report.failed("resume", "no new byte came"),
        }
    }
}

/// Reads JSON lines until one yields a figure, and then kills the process.
fn until(mut command: Command, figure: impl Fn(&serde_json::Value) -> Option<f64>) -> Option<f64> {
    use std::io::BufRead as _;
    let mut child = command.spawn().expect("the binary starts");
    let stdout = std::io::BufReader::new(child.stdout.take().expect("it is piped"));
    let mut lines = stdout.lines().map_while(Result::ok);
    let found = lines.find_map(|line| figure(&serde_json::from_str(&line).expect("a JSON line")));
    let _ = child.kill();
    let _ = child.wait();
    found
}

/// `swarm manifest create` beside `b3sum`, which hashes and does nothing else.
fn index(world: &World, options: &Options, report: &mut Report) {
    let film = world.film(LONG_LEN);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let b3sum = program("b3sum");
    if b3sum.is_none() {
        eprintln!("index: b3sum is not installed, and takes no part");
    }
    for _ in 0..options.rounds {
        let state = world.state("index");
        let mut create = swarm(&state, None);
        create.args(["manifest", "create"]).arg(film.path()).arg("-o").arg(state.join("film.swarm"));
        create.stderr(Stdio::null());
        ours.push(measure::run(create, &[]));
        if let Some(b3sum) = &b3sum {
            let mut sum = Command::new(b3sum);
            sum.arg(film.path());
            theirs.push(measure::run(sum, &[]));
        }
        pause(Duration::from_millis(100));
    }
    let rows = vec![("swarm", ours), ("b3sum", theirs)];
    report.table("index", film.len, rows.into_iter().filter(|(_, samples)| !samples.is_empty()).collect());
}

/// Ethernet's 1500 less the headers of IPv6 and UDP.
const INTERNET_DATAGRAM_LEN: u16 = 1452;
const LONG_LEN: u64 = 10_000_000_000;
const SMALL_COUNT: u64 = 100_000;
const PREPARATIONS_MAX: usize = 5;
