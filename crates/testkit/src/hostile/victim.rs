//! The victims: a fetch with one honest seed beside the hostile peer, and a seed with an honest leech beside it. Both are
//! the real binary. Invariant of every case: the victim ends with the right bytes, within twice the memory of an honest run.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use swarm_core::base::NodeId;
use swarm_core::manifest::{ManifestFile, Ticket};

use super::film::Film;
use super::gate::Gate;
use super::peer::Hostile;
use super::report::{Spent, report};
use crate::{Done, MIB, Outcome, Process, Seed, Signal, World, args, assert_same_file};

/// A fetch, and the honest seed that it names beside hostile peers.
pub struct FetchVictim {
    pub world: World,
    pub film: Film,
    honest: Seed,
}

/// A seed.
pub struct SeedVictim {
    pub world: World,
    pub film: Film,
    seed: Seed,
    leeches: u32,
}

/// A victim that survived: its output, and the resources it used.
pub struct Settled {
    case: &'static str,
    outcome: Outcome,
    spent: Spent,
    honest: Spent,
}

impl FetchVictim {
    /// An honest seed is up, slow enough that the hostile peer is asked too.
    pub fn new() -> Self {
        let world = World::new();
        let film = Film::new(&world, FILM_LEN);
        std::fs::write(world.path("film.swarm"), ManifestFile::new(film.manifest().clone()).encode())
            .expect("room");
        let honest = world.seed(args![film.path(), "--limit-up", HONEST_RATE]);
        Self { world, film, honest }
    }

    /// Fetches with the manifest from the honest seed and these peers; returns when the film is complete.
    pub fn fetch(&self, case: &'static str, hostile: &[&Hostile]) -> Settled {
        self.settle(case, self.start("film.swarm".into(), hostile), honest_fetch())
    }

    /// Fetches with the ticket, so that peers send the manifest too.
    pub fn fetch_by_ticket(&self, case: &'static str, hostile: &[&Hostile]) -> Settled {
        self.settle(case, self.start(self.honest.ticket().into(), hostile), honest_fetch())
    }

    /// Fetches with a ticket; the hostile peer is the only source until it is banned, then the honest seed starts.
    pub fn fetch_when_banned(&self, case: &'static str, hostile: &Hostile) -> Settled {
        let ticket: Ticket = self.honest.ticket().parse().expect("a ticket");
        let seed = ticket.sources[0].addresses[0].as_str().parse().expect("loopback");
        let gate = Gate::before(seed, hostile);
        let ticket = Ticket { sources: Vec::new(), ..ticket }.to_string();
        let peers = [hostile.peer(), format!("{}@{}", self.honest.node(), gate.address())];
        let mut fetch = self.start_with(ticket.into(), &peers);
        let node = hostile.node().to_string();
        fetch.wait_json(|line| (line["state"] == "banned" && line["node"] == node).then_some(()));
        gate.open();
        self.settle(case, fetch, honest_fetch())
    }

    fn start(&self, what: OsString, hostile: &[&Hostile]) -> Process {
        let peers: Vec<String> = hostile.iter().map(|hostile| hostile.peer()).collect();
        self.start_with(what, &[peers, vec![self.honest.ticket().to_owned()]].concat())
    }

    fn start_with(&self, what: OsString, peers: &[String]) -> Process {
        let mut args =
            args!["fetch", "--json", "--keep-seeding", "--listen", "127.0.0.1:0", "-o", "out", what];
        args.extend(peers.iter().flat_map(|peer| args!["--peer", peer]));
        start_logging(&self.world, &args)
    }

    fn settle(&self, case: &'static str, mut fetch: Process, honest: Spent) -> Settled {
        fetch.wait_json(|line| (line["phase"] == "complete").then_some(()));
        let (spent, outcome) = end(fetch);
        outcome.done();
        assert_same_file(self.film.path(), &self.world.path("out/film.bin"));
        Settled { case, outcome, spent, honest }
    }
}

impl SeedVictim {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// A seed with more arguments.
    pub fn with(more: &[&str]) -> Self {
        let world = World::new();
        let film = Film::new(&world, FILM_LEN);
        let mut args = args!["seed", "--json", "--listen", "127.0.0.1:0", film.path()];
        args.extend(more.iter().map(OsString::from));
        let mut process = start_logging(&world, &args);
        let ready = process.wait_json(|line| (line["event"] == "ready").then(|| line.clone()));
        Self { world, film, seed: Seed { process, ready }, leeches: 0 }
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        let ticket: swarm_core::manifest::Ticket = self.seed.ticket().parse().expect("a ticket");
        ticket.sources[0].addresses[0].as_str().parse().expect("loopback")
    }

    /// Checks that an honest leech can fetch the whole film now.
    pub fn serves_well(&mut self) -> Done {
        self.leeches += 1;
        let out = format!("leech-{}", self.leeches);
        let outcome = self.world.fetch(args!["-o", out, self.seed.ticket()]).end();
        let done = outcome.done();
        assert_same_file(self.film.path(), &self.world.path(&format!("{out}/film.bin")));
        done
    }

    /// Ends the victim, and checks that it is still up.
    pub fn settle(self, case: &'static str) -> Settled {
        self.settle_against(case, honest_seed())
    }

    fn settle_against(self, case: &'static str, honest: Spent) -> Settled {
        let (spent, outcome) = end(self.seed.process);
        Settled { case, outcome, spent, honest }
    }
}

impl Settled {
    /// Ends another kind of victim, which must still be up; compares it with an honest run of the same kind.
    pub fn ended(case: &'static str, victim: Process, honest: impl FnOnce() -> Spent) -> Self {
        let (spent, outcome) = end(victim);
        let is_honest = case.starts_with("an honest");
        let honest = if is_honest { spent } else { honest() };
        Self { case, outcome, spent, honest }
    }

    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// The victim banned this node for this reason.
    pub fn banned(&self, node: NodeId, why: &str) {
        self.told(node, "banned", why);
        self.passed(&format!("banned: {why}"));
    }

    /// The victim reported that this node left, or was closed, for this reason.
    pub fn told(&self, node: NodeId, state: &str, why: &str) {
        let is_it = |line: &serde_json::Value| {
            line["node"] == node.to_string()
                && line["state"] == state
                && line["detail"].as_str().is_some_and(|detail| detail.contains(why))
        };
        assert!(
            self.outcome.events("peer").iter().any(is_it),
            "{}: no `{state}` of {node} with `{why}`: {:#?}",
            self.case,
            self.outcome
        );
    }

    /// The victim banned no node.
    pub fn banned_no_node(&self) {
        let banned = self.outcome.events("peer").into_iter().find(|line| line["state"] == "banned");
        assert!(banned.is_none(), "{}: {banned:?}: {:#?}", self.case, self.outcome);
    }

    /// The victim's log has this text, about the node if one is given; the text is the reported outcome.
    pub fn logged(&self, node: Option<NodeId>, why: &str) {
        self.has_logged(node, why);
        self.passed(&format!("log: {why}"));
    }

    /// The victim's log has this text, about the node if one is given.
    pub fn has_logged(&self, node: Option<NodeId>, why: &str) {
        let short = node.map(|node| node.short()).unwrap_or_default();
        let is_it = |line: &String| line.contains(why) && line.contains(&short);
        assert!(
            self.outcome.err.iter().any(is_it),
            "{}: no `{why}` of `{short}` in the log: {:#?}",
            self.case,
            self.outcome
        );
    }

    /// The victim's log has this text about the node in one line only, however often the cause occurred.
    pub fn has_logged_once(&self, node: NodeId, why: &str) {
        let short = node.short();
        let lines =
            self.outcome.err.iter().filter(|line| line.contains(why) && line.contains(&short)).count();
        assert_eq!(lines, 1, "{}: lines with `{why}` of `{short}` in the log", self.case);
    }

    /// The output of the victim.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Prints the line of the table, and checks the victim's bounds.
    pub fn passed(&self, outcome: &str) {
        self.passed_beside(Spent { peak_len: 0, cpu: Duration::ZERO }, outcome);
    }

    /// As [`Self::passed`], where an honest run of that kind may use this much more.
    pub fn passed_beside(&self, more: Spent, outcome: &str) {
        report(self.case, self.spent, self.honest, outcome);
        assert!(
            self.spent.peak_len <= 2 * (self.honest.peak_len + more.peak_len),
            "{}: {} bytes of memory, {} in an honest run",
            self.case,
            self.spent.peak_len,
            self.honest.peak_len
        );
        assert!(
            self.spent.cpu <= self.honest.cpu + more.cpu + CPU_MORE_MAX,
            "{}: {:?} of CPU time, {:?} in an honest run",
            self.case,
            self.spent.cpu,
            self.honest.cpu
        );
    }
}

pub fn start_logging(world: &World, args: &[OsString]) -> Process {
    Process::start(world.command(args).env("RUST_LOG", "swarm=debug"), b"")
}

/// Ends a victim that must still be up.
fn end(mut victim: Process) -> (Spent, Outcome) {
    let peak_len = victim.peak_memory_len().expect("these tests need /proc");
    let spent = Spent::of(victim.pid(), peak_len);
    victim.signal(Signal::Interrupt);
    (spent, victim.end())
}

/// The resources of the same fetch among honest peers.
fn honest_fetch() -> Spent {
    static SPENT: OnceLock<Spent> = OnceLock::new();
    *SPENT.get_or_init(|| {
        let victim = FetchVictim::new();
        let nothing = Spent { peak_len: u64::MAX, cpu: Duration::ZERO };
        victim.settle("an honest fetch", victim.start("film.swarm".into(), &[]), nothing).spent
    })
}

/// The resources of a seed with one honest leech.
fn honest_seed() -> Spent {
    static SPENT: OnceLock<Spent> = OnceLock::new();
    *SPENT.get_or_init(|| {
        let mut victim = SeedVictim::new();
        victim.serves_well();
        let nothing = Spent { peak_len: u64::MAX, cpu: Duration::ZERO };
        victim.settle_against("an honest seed", nothing).spent
    })
}

const FILM_LEN: u64 = 12 * MIB;
/// At this rate a fetch from the honest seed alone takes two seconds.
const HONEST_RATE: &str = "6MiB/s";
/// Processor time that reading and refusing a flood may cost; an endless loop would exceed it.
const CPU_MORE_MAX: Duration = Duration::from_secs(8);
