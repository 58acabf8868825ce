//! A world of daemons: machines, links, letters on their way, and a script that is written while it happens or replayed.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::{NodeId, Rng};
use swarm_library::{Commit, CommitId, SignedVote, Verdict};
use swarm_sync::{Choice, IndexStep, Kind, NameRules, RunId, TreePath};

use super::super::disk::Disk;
use super::super::hub::{Director, Hub, Running, Shared};
use super::super::script::Event;
use super::bug::TeamBug;
use super::daemon::{Came, Daemon, open};
use super::ledger::SharedLedger;
use super::pass::{Around, Passed, pass};
use super::setup::{Act, Part, Script, Setup, Step, policy};
use super::view::now_ms;

pub(super) struct World {
    pub(super) hub: Shared,
    pub(super) ledger: SharedLedger,
    pub(super) setup: Setup,
    pub(super) daemons: Vec<Daemon>,
    /// Pairs that do not reach each other, the lower number first.
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) mail: Vec<Letter>,
    pub(super) steps: Vec<Step>,
    /// Somebody decided a conflict: what lost is a kept version from then on, and under no name.
    pub(super) has_decided: bool,
    /// Members that were edited since all were equal last.
    pub(super) editors: BTreeSet<usize>,
    /// Trust was taken from somebody.
    pub(super) has_revoked: bool,
    next_run_ms: u64,
}

/// What one daemon sends another.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Commit(Box<Commit>),
    Votes(Vec<SignedVote>),
}

/// What came of a world.
pub(super) struct End {
    pub(super) script: Script,
    pub(super) findings: Vec<String>,
    pub(super) trace: u64,
    pub(super) ticks: u64,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) lines: Vec<String>,
}

/// How a world is run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mode {
    pub(super) bug: Option<TeamBug>,
    /// The trace is kept in words.
    pub(super) is_told: bool,
    /// Effects after which it ends without a last look.
    pub(super) until: Option<u64>,
}

/// A world of this seed, written while it happens.
pub(super) fn generate(seed: u64, mode: Mode) -> End {
    let mut rng = Rng::seeded(seed);
    let setup = Setup::any(&mut rng);
    let director = Director::Chance { rng: Rng::seeded(rng.next_u64()), one_in: 0, edits_only: false };
    let mut world = World::new(setup, director, mode);
    world.write(&mut rng);
    world.end(mode)
}

/// The world of a script.
pub(super) fn replay(script: &Script, mode: Mode) -> End {
    let mut world = World::new(script.setup.clone(), Director::Script(Vec::new()), mode);
    for step in &script.steps {
        if world.is_over() {
            break;
        }
        world.hub.lock().director = Director::Script(step.during.clone());
        world.act(step.act.clone());
    }
    world.end(mode)
}

impl World {
    fn new(setup: Setup, director: Director, mode: Mode) -> Self {
        let disks = setup.parts.iter().map(|_| Disk::new(NameRules::default())).collect();
        let mut hub = Hub::new(disks, director, None, mode.is_told);
        hub.until = mode.until.unwrap_or(u64::MAX);
        setup.words().into_iter().for_each(|word| hub.count(word));
        let parts = setup.parts.iter().zip(&setup.policies).enumerate();
        let mut daemons: Vec<Daemon> =
            parts.map(|(at, (part, policy))| Daemon::new(at, *part, *policy, mode.bug)).collect();
        let is_team = |part: Part| matches!(part, Part::Member | Part::Traitor);
        let team: Vec<NodeId> = daemons.iter().filter(|one| is_team(one.part)).map(|one| one.id).collect();
        for daemon in &mut daemons {
            daemon.trusted.extend(team.iter().copied());
        }
        Self {
            hub: Shared::new(hub),
            ledger: SharedLedger::default(),
            setup,
            daemons,
            cut: BTreeSet::new(),
            mail: Vec::new(),
            steps: Vec::new(),
            has_decided: false,
            editors: BTreeSet::new(),
            has_revoked: false,
            next_run_ms: 1000,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        let hub = self.hub.lock();
        !hub.oracle.findings.is_empty() || hub.ticks >= hub.until
    }

    pub(super) fn find(&self, what: String) {
        self.hub.lock().find(what);
    }

    pub(super) fn count(&self, what: &'static str) {
        self.hub.lock().count(what);
    }

    /// One step.
    pub(super) fn act(&mut self, act: Act) {
        {
            let mut hub = self.hub.lock();
            hub.tell(format_args!("step {}: {act:?}", self.steps.len()));
            hub.ticks += 20;
        }
        let during = match act.clone() {
            Act::Pass { at, thorough } => self.watched(at, |world| {
                world.pass(at, thorough);
            }),
            Act::Tally { at, transactions } => self.watched(at, |world| {
                world.daemons[at].tally(&world.hub, transactions);
            }),
            other => {
                self.act_at_once(other);
                Vec::new()
            }
        };
        self.steps.push(Step { act, during });
    }

    fn act_at_once(&mut self, act: Act) {
        match act {
            Act::Pass { .. } | Act::Tally { .. } => {}
            Act::Event(event) => {
                if let Event::Edit(at, _) = &event {
                    self.editors.insert(*at);
                }
                self.hub.lock().happen(&event);
            }
            Act::Ask { from, to } => self.ask(from, to),
            Act::Deliver { which, fate } => self.deliver(which, fate),
            Act::Vote { at, which, verdict } => self.vote(at, which, verdict),
            Act::Link { one, other, is_up } => self.link(one, other, is_up),
            Act::Partition(groups) => self.partition(groups),
            Act::Policy { at, which } => self.set_policy(at, which),
            Act::Trust { at, whom, is_so } => self.trust(at, whom, is_so),
            Act::Presence { at, is_here } => self.presence(at, is_here),
            Act::Decide { at, which, choice } => self.decide(at, which as usize, choice),
            Act::Evil { what, luck } => self.evil(what, luck),
            Act::Spread(writer) => self.spread(writer),
        }
    }

    /// Lets things happen during an act, and tells which did.
    pub(super) fn watched(&mut self, at: usize, act: impl FnOnce(&mut Self)) -> Vec<(u32, Event)> {
        let running =
            Running { pair: (at, at), effects: 0, is_dead: false, is_stopped: false, events: Vec::new() };
        self.hub.lock().running = Some(running);
        act(self);
        self.hub.lock().running.take().map(|running| running.events).unwrap_or_default()
    }

    /// A pass, whatever happens during it.
    pub(super) fn pass(&mut self, at: usize, thorough: bool) -> Passed {
        self.next_run_ms += 1000;
        let run = RunId::at_ms(self.next_run_ms);
        {
            let mut hub = self.hub.lock();
            hub.tell(format_args!("pass of daemon {at}"));
            hub.count("pass");
            hub.tell_disk(at, "has");
            if hub.lines.is_some() {
                let words = self.daemons[at].book.lock().words();
                hub.tell(format_args!("  daemon {at} knows {words}"));
            }
        }
        let reached =
            (0..self.daemons.len()).filter(|other| *other == at || self.reaches(at, *other)).collect();
        let (hub, ledger, daemon) = (&self.hub, &self.ledger, &self.daemons[at]);
        let passed =
            pass(&Around { hub, ledger, daemon, reached, strategy: self.setup.strategy }, run, thorough);
        self.hub.lock().tell_disk(at, "has now");
        passed
    }

    /// Whether two daemons are linked.
    pub(super) fn reaches(&self, one: usize, other: usize) -> bool {
        let is_here = self.daemons[one].is_here && self.daemons[other].is_here;
        one != other && is_here && !self.cut.contains(&(one.min(other), one.max(other)))
    }

    fn ask(&mut self, from: usize, to: usize) {
        if self.reaches(from, to) {
            let letters = self.letters(from, to);
            let room = LETTERS_MAX.saturating_sub(self.mail.len());
            self.mail.extend(letters.into_iter().take(room));
        }
    }

    /// What a daemon sends another one that asks for what it lacks.
    pub(super) fn letters(&self, from: usize, to: usize) -> Vec<Letter> {
        let (sender, receiver) = (self.daemons[from].book.lock(), self.daemons[to].book.lock());
        let (theirs, ours) = (sender.frontier(), receiver.frontier());
        let mut letters = Vec::new();
        for after in ours.lacking(&theirs) {
            let mut commits = sender.after(&after.author, after.seq);
            if sender.has(TeamBug::LastCommitNotAsked) {
                commits.pop();
            }
            letters.extend(commits.into_iter().map(|commit| What::Commit(Box::new(commit))));
        }
        let forks = ours.equivocations(&theirs, &|author, seq| receiver.id_at(author, seq));
        let forks = forks.into_iter().filter(|fork| !receiver.forked.contains(&fork.author));
        for fork in forks {
            // The commit itself is the proof: the receiver asks for it.
            let commits = sender.after(&fork.author, fork.seq - 1);
            letters.extend(commits.into_iter().take(1).map(|commit| What::Commit(Box::new(commit))));
        }
        let votes: Vec<SignedVote> = sender.votes.values().flat_map(|votes| votes.iter().cloned()).collect();
        if !votes.is_empty() {
            letters.push(What::Votes(votes));
        }
        letters.into_iter().map(|what| Letter { from, to, what }).collect()
    }

    fn deliver(&mut self, which: u64, fate: u64) {
        if self.mail.is_empty() {
            return;
        }
        let at = (which % self.mail.len() as u64) as usize;
        let letter = self.mail.swap_remove(at);
        let is_lost = fate.is_multiple_of(8) || !self.reaches(letter.from, letter.to);
        if is_lost {
            self.count("letter lost");
            return;
        }
        if fate % 8 == 1 && self.mail.len() < LETTERS_MAX {
            self.count("letter comes twice");
            self.mail.push(letter.clone());
        }
        self.on_letter(letter);
    }

    /// A letter comes. Tells whether it brought anything new.
    pub(super) fn on_letter(&self, letter: Letter) -> bool {
        let daemon = &self.daemons[letter.to];
        match letter.what {
            What::Votes(votes) => {
                let new = daemon.on_votes(&votes);
                (0..new).for_each(|_| self.count("vote came"));
                new > 0
            }
            What::Commit(commit) => self.on_commit(letter.from, daemon, &commit),
        }
    }

    fn on_commit(&self, from: usize, daemon: &Daemon, commit: &Commit) -> bool {
        if self.ledger.lock().read.insert(commit.id())
            && Commit::decode(commit.encode()).as_ref() != Ok(commit)
        {
            self.find("a commit is another one after it was read from its bytes".to_owned());
        }
        let author = commit.header().author;
        let others = self.daemons.iter().find(|one| one.id == author).map_or(0, |one| one.policy);
        let now_ms = now_ms(&self.hub, daemon.at);
        let came = daemon.on_commit(commit, &self.daemons[from].id, now_ms, &policy(others));
        self.count(match came {
            Came::Taken => "commit taken",
            Came::Carried => "commit carried",
            Came::Known => "commit known",
            Came::Gap => "commit after a gap",
            Came::Future => "commit of the far future",
            Came::Forked => "commit of an author with two histories",
            Came::Bad => "commit with bad records",
        });
        self.hub.lock().tell(format_args!(
            "  daemon {} gets commit {} of {}: {came:?}",
            daemon.at,
            commit.header().seq,
            author.as_bytes()[0]
        ));
        matches!(came, Came::Taken | Came::Carried | Came::Bad)
    }

    fn vote(&mut self, at: usize, which: u64, verdict: u64) {
        let ids = open(&self.daemons[at].book.lock());
        if !self.daemons[at].is_here || ids.is_empty() {
            return;
        }
        let id = ids[(which % ids.len() as u64) as usize];
        let is_own = self.ledger.lock().commits.get(&id).is_some_and(|one| one.author == self.daemons[at].id);
        let verdict = match verdict % 8 {
            0..=4 => Verdict::Yes,
            5..=6 => Verdict::No,
            _ if is_own => Verdict::Withdrawn,
            _ => Verdict::Yes,
        };
        self.sign_vote(at, &id, verdict);
    }

    pub(super) fn sign_vote(&self, at: usize, id: &CommitId, verdict: Verdict) {
        let now_ms = now_ms(&self.hub, at);
        if let Some(vote) = self.daemons[at].vote(id, verdict, now_ms) {
            self.count(match verdict {
                Verdict::Yes => "vote: yes",
                Verdict::No => "vote: no",
                Verdict::Withdrawn => "vote: withdrawn",
            });
            self.hub.lock().tell(format_args!("  daemon {at} votes {verdict:?}"));
            self.ledger.lock().note_vote(&vote);
        }
    }

    fn link(&mut self, one: usize, other: usize, is_up: bool) {
        let pair = (one.min(other), one.max(other));
        self.count("link up or down");
        if is_up {
            self.cut.remove(&pair)
        } else {
            self.cut.insert(pair)
        };
    }

    fn partition(&mut self, groups: u64) {
        self.count("partition, or its end");
        let group = |at: usize| groups >> at & 1;
        let all = 0..self.daemons.len();
        let pairs = all.clone().flat_map(|one| all.clone().map(move |other| (one, other)));
        self.cut = pairs.filter(|(one, other)| one < other && group(*one) != group(*other)).collect();
    }

    fn set_policy(&mut self, at: Option<usize>, which: usize) {
        self.count("policy changed");
        for daemon in self.daemons.iter_mut().filter(|one| at.is_none_or(|at| one.at == at)) {
            daemon.set_policy(which);
        }
    }

    fn trust(&mut self, at: usize, whom: usize, is_so: bool) {
        let id = self.daemons[whom].id;
        let now_ms = now_ms(&self.hub, at);
        if at == whom || self.daemons[at].trusted.contains(&id) == is_so {
            return;
        }
        if is_so {
            self.count("trust given");
            self.daemons[at].trust(id, now_ms);
        } else {
            self.count("trust taken back");
            self.has_revoked = true;
            self.daemons[at].distrust(id);
        }
    }

    fn presence(&mut self, at: usize, is_here: bool) {
        if self.daemons[at].is_here != is_here {
            self.count("member comes or goes");
        }
        self.daemons[at].is_here = is_here;
    }

    pub(super) fn decide(&mut self, at: usize, which: usize, choice: u64) {
        let mut book = self.daemons[at].book.lock();
        let Some(conflict) = book.index.conflicts().get(which).map(|conflict| conflict.id) else { return };
        let choice = [Choice::KeepLocal, Choice::KeepRemote, Choice::KeepBoth][choice as usize % 3];
        book.step(IndexStep::Choose(conflict, Some(choice)));
        drop(book);
        self.has_decided = true;
        self.count("conflict decided");
    }

    pub(super) fn tree(&self, at: usize) -> BTreeMap<TreePath, Kind> {
        let hub = self.hub.lock();
        let kinds = hub.disks[at].live().iter();
        kinds.filter_map(|(path, node)| Some((path.clone(), node.kind()?))).collect()
    }
}

/// Letters on their way.
const LETTERS_MAX: usize = 200;
