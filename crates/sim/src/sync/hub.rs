//! What all replicas of a world share: their disks, what happens at each effect, the oracle, and the trace. It is behind a lock because contents
//! are read through sources that live on their own; a world runs in one thread.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_core::base::{Rng, mix};
use swarm_sync::{Done, Entry, FileContent, Kind, Op, OpKind, ReplicaError, Stamp, TreePath};

use super::bug::Bug;
use super::disk::{Body, Disk, Node};
use super::oracle::Oracle;
use super::script::{Event, Refusal, any_event, edit_at};

/// Shared by the replicas, sources and indexes of one world.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Hub>>);

impl Shared {
    pub(super) fn new(hub: Hub) -> Self {
        Self(Arc::new(Mutex::new(hub)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Hub> {
        // A panic of the product is a finding; what it leaves is looked at no more.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where events during passes come from.
pub(super) enum Director {
    /// Chance: one event in so many effects; zero for none.
    Chance { rng: Rng, one_in: u64, edits_only: bool },
    /// A script: those of the present step, each at its effect.
    Script(Vec<(u32, Event)>),
}

/// The pass that is under way.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) pair: (usize, usize),
    /// Effects so far.
    pub(super) effects: u32,
    /// The process is dead: nothing that it does has any effect.
    pub(super) is_dead: bool,
    /// The user interrupted it.
    pub(super) is_stopped: bool,
    /// Events so far.
    pub(super) events: Vec<(u32, Event)>,
}

pub(super) struct Hub {
    pub(super) disks: Vec<Disk>,
    pub(super) oracle: Oracle,
    pub(super) bug: Option<Bug>,
    pub(super) director: Director,
    pub(super) running: Option<Running>,
    /// Effects and steps since the world began. Time passes with them.
    pub(super) ticks: u64,
    pub(super) until: u64,
    /// The last number that bytes were made from.
    pub(super) token: u32,
    pub(super) refusals: BTreeMap<usize, Refusal>,
    /// What the pass looks at or changes at this moment, and where.
    focus: Option<(usize, TreePath)>,
    /// The pass changes something at this moment: more happens then.
    is_acting: bool,
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// Hash of all that happened.
    pub(super) trace: u64,
    /// The same in words, if somebody wants to read it.
    pub(super) lines: Option<Vec<String>>,
    line: String,
}

/// How an effect ends if something keeps it from being performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// To read.
    Read,
    /// To write what needs space.
    Space,
    /// To change names alone.
    Names,
    /// To make durable; an interrupted pass may still do so.
    Settle,
}

impl Hub {
    pub(super) fn new(disks: Vec<Disk>, director: Director, bug: Option<Bug>, is_told: bool) -> Self {
        Self {
            disks,
            oracle: Oracle::default(),
            bug,
            director,
            running: None,
            ticks: 0,
            until: u64::MAX,
            token: 0,
            refusals: BTreeMap::new(),
            focus: None,
            is_acting: false,
            counts: BTreeMap::new(),
            trace: 0,
            lines: is_told.then(Vec::new),
            line: String::new(),
        }
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Adds a line to the trace.
    pub(super) fn tell(&mut self, line: std::fmt::Arguments<'_>) {
        let mut text = std::mem::take(&mut self.line);
        text.clear();
        let _ = write!(text, "{:>5} {line}", self.ticks);
        for piece in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            self.trace = mix(self.trace, u64::from_le_bytes(word));
        }
        if let Some(lines) = &mut self.lines {
            lines.push(text.clone());
        }
        self.line = text;
    }

    /// The present time by the clock of a disk, as its entries get it: to a few milliseconds, as kernels count.
    pub(super) fn now_ns(&self, replica: usize) -> i64 {
        self.clock_ns(replica).div_euclid(GRAIN_NS) * GRAIN_NS
    }

    fn clock_ns(&self, replica: usize) -> i64 {
        EPOCH_NS + self.ticks.cast_signed() * TICK_NS + self.disks[replica].clock_ns
    }

    /// Whether an entry changed so lately that the next change could have the same time.
    pub(super) fn is_racy(&self, replica: usize, changed_ns: i64) -> bool {
        (self.clock_ns(replica) - changed_ns).abs() < 2 * GRAIN_NS
    }

    /// Time passes; what is to happen at this moment happens.
    pub(super) fn advance(&mut self) {
        self.ticks += 1;
        let Some(running) = &mut self.running else { return };
        running.effects += 1;
        let at = running.effects;
        let pair = running.pair;
        let events: Vec<Event> = match &mut self.director {
            Director::Chance { rng, one_in, edits_only } => {
                if *one_in > 0 && rng.below(*one_in) <= u64::from(self.is_acting) {
                    let focus = self.focus.as_ref().filter(|_| rng.below(2) == 0);
                    vec![match focus {
                        Some((at, path)) => edit_at(rng, *at, path, &mut self.token),
                        None => any_event(rng, &self.disks, Some(pair), &mut self.token, *edits_only),
                    }]
                } else {
                    Vec::new()
                }
            }
            Director::Script(events) => {
                events.iter().filter(|(tick, _)| *tick == at).map(|(_, event)| event.clone()).collect()
            }
        };
        for event in events {
            if let Some(running) = &mut self.running {
                running.events.push((at, event.clone()));
            }
            self.happen(&event);
        }
    }

    /// An event happens.
    pub(super) fn happen(&mut self, event: &Event) {
        self.tell(format_args!("  event {event:?}"));
        match event {
            Event::Edit(at, edit) => {
                let now_ns = self.now_ns(*at);
                let disk = &mut self.disks[*at];
                let before = disk.live_counts();
                if edit.perform(disk, now_ns) {
                    let after = disk.live_counts();
                    self.oracle.on_edit(&before, &after);
                    let is_amid = self.running.is_some();
                    self.count(edit.word());
                    self.count(if is_amid { "edit during a pass" } else { "edit between passes" });
                }
            }
            Event::PowerCut(at, luck) => self.power_cut(*at, *luck),
            Event::Kill => {
                if let Some(running) = &mut self.running {
                    running.is_dead = true;
                    self.count("process killed");
                }
            }
            Event::Stop => {
                if let Some(running) = &mut self.running {
                    running.is_stopped = true;
                    self.count("run stopped");
                }
            }
            Event::Refuse(at, refusal) => {
                self.refusals.insert(*at, *refusal);
            }
            Event::Full(at, is_so) => {
                self.disks[*at].full = *is_so;
                self.count("disk full or emptied");
            }
            Event::ReadOnly(at, is_so) => {
                self.disks[*at].read_only = *is_so;
                self.count("disk read-only or not");
            }
            Event::Away(at, is_so) => {
                self.disks[*at].away = *is_so;
                self.count("replica away or back");
            }
            Event::Clock(at, by_ns) => {
                self.disks[*at].clock_ns += by_ns;
                self.count("clock set");
            }
        }
    }

    fn power_cut(&mut self, at: usize, luck: u64) {
        if let Some(running) = &mut self.running
            && (running.pair.0 == at || running.pair.1 == at)
        {
            running.is_dead = true;
            self.count("power cut during a pass");
        } else {
            self.count("power cut between passes");
        }
        let before = self.disks[at].contents();
        let torn = self.disks[at].power_cut(&mut Rng::seeded(luck));
        if !torn.is_empty() {
            self.find(format!(
                "a power cut tore what was put at {torn:?}: a name led to bytes that were not durable"
            ));
        }
        let elsewhere = self.disks.iter().flat_map(Disk::live_contents).collect();
        let after = self.disks[at].contents();
        self.oracle.on_power_cut(&before, &after, &elsewhere);
    }

    /// Something is wrong.
    pub(super) fn find(&mut self, what: String) {
        self.tell(format_args!("FINDING {what}"));
        self.oracle.findings.push(what);
    }

    /// Before and after each effect: time passes, and something may keep it from being performed.
    pub(super) fn effect(
        &mut self,
        at: usize,
        need: Need,
        op: &'static str,
        path: Option<&TreePath>,
    ) -> Result<(), ReplicaError> {
        // Putting in order is about no path of the tree.
        if let Some(path) = path.filter(|_| op != "recover") {
            self.focus = Some((at, path.clone()));
        }
        self.is_acting = need != Need::Read;
        self.advance();
        let running = self.running.as_ref();
        if running.is_some_and(|running| running.is_dead || (running.is_stopped && need != Need::Settle)) {
            return Err(ReplicaError::Stopped);
        }
        if running.is_some_and(|running| running.effects > EFFECTS_MAX) {
            self.find(format!("a pass has more than {EFFECTS_MAX} effects"));
            return Err(ReplicaError::Stopped);
        }
        let disk = &self.disks[at];
        if disk.away {
            self.count("effect while away");
            return Err(ReplicaError::Gone("the folder is not there".to_owned()));
        }
        let Some(path) = path else { return Ok(()) };
        if disk.read_only && need != Need::Read {
            self.count("effect on a read-only disk");
            return Err(ReplicaError::ReadOnly);
        }
        if disk.full && need == Need::Space && !self.has(Bug::FullDiskIsShort) {
            self.count("effect on a full disk");
            return Err(ReplicaError::Full { path: path.clone() });
        }
        match self.refusals.remove(&at) {
            Some(Refusal::Denied) => {
                self.count("effect denied");
                Err(ReplicaError::Denied { path: path.clone(), op })
            }
            Some(Refusal::Io) => {
                self.count("effect failed");
                let path = path.to_string();
                Err(ReplicaError::Io { path, op, why: "input/output error".to_owned() })
            }
            None => Ok(()),
        }
    }

    /// A change of a disk by a synchronisation: nothing of what stands there may get lost, and nothing unknown may appear.
    pub(super) fn change<T>(&mut self, at: usize, changed: impl FnOnce(&mut Disk) -> T) -> T {
        let disk = &mut self.disks[at];
        let before = disk.contents();
        disk.begin();
        let done = changed(disk);
        let after = disk.contents();
        let live = self.disks[at].live_contents();
        for gone in before.difference(&after) {
            self.find(format!("replica {at} has {gone:?} neither under a name nor as a kept version"));
        }
        for part in self.oracle.unknown(&live) {
            self.find(format!("replica {at} shows {part:?}, which nobody wrote as a whole"));
        }
        done
    }

    /// What a disk tells of an entry.
    pub(super) fn stamp_of(&self, node: &Node) -> Stamp {
        let mut stamp = node.stamp();
        if self.has(Bug::StampHasNoTime) {
            stamp.changed_ns = 1;
        }
        stamp
    }

    /// What may be remembered of an entry whose bytes were just read: a time that the next change could have, too, is left out.
    pub(super) fn trusted_stamp(&self, at: usize, node: &Node) -> Stamp {
        let stamp = self.stamp_of(node);
        if self.is_racy(at, node.changed_ns)
            && !self.has(Bug::RacyStampTrusted)
            && !self.has(Bug::StampHasNoTime)
        {
            Stamp { changed_ns: 0, ..stamp }
        } else {
            stamp
        }
    }

    /// An operation was performed: what stood there has to have been what it expected.
    pub(super) fn check_looked(&mut self, at: usize, op: &Op, before: Option<&Node>) {
        let was = before.and_then(Node::kind);
        let expected = op.expected.as_ref().map(|entry| entry.kind.clone());
        if was != expected {
            self.find(format!("replica {at} performed {op:?} where {was:?} stood"));
        }
    }

    /// An operation was performed: what stands there now has to be what it says.
    pub(super) fn check_done(&mut self, at: usize, op: &Op, done: &Done) {
        let node = self.disks[at].live().get(&op.path);
        let now = node.and_then(Node::kind);
        let is_dated = match (&op.kind, node) {
            (OpKind::Put { content: Kind::File(_), modified_ns, .. }, Some(node)) => {
                node.modified_ns == *modified_ns
            }
            _ => true,
        };
        let wanted = match (&op.kind, op.expected.as_deref()) {
            (OpKind::MakeFolder, _) => Some(Kind::Folder),
            (OpKind::Put { content, .. }, _) => Some(content.clone()),
            (OpKind::Move { .. }, Some(moved)) => Some(moved.kind.clone()),
            (OpKind::SetExecutable { executable }, Some(Entry { kind: Kind::File(content), .. })) => {
                Some(Kind::File(FileContent { executable: *executable, ..*content }))
            }
            (OpKind::Move { .. } | OpKind::SetExecutable { .. } | OpKind::Remove, _) => None,
        };
        if now != wanted || done.now.as_ref().map(|entry| &entry.kind) != wanted.as_ref() || !is_dated {
            self.find(format!("replica {at} performed {op:?}, says {:?}, and shows {now:?}", done.now));
        }
    }

    /// Adds to the trace what a disk shows.
    pub(super) fn tell_disk(&mut self, at: usize, word: &str) {
        let shown: Vec<String> = self.disks[at]
            .live()
            .iter()
            .map(|(path, node)| match &node.body {
                Body::Folder => format!("{path}/"),
                Body::File { bytes, executable } => {
                    let star = if *executable { "*" } else { "" };
                    format!(
                        "{path}{star}={}",
                        String::from_utf8_lossy(bytes.as_slice()).replace('\n', " ").trim_end()
                    )
                }
                Body::Symlink(target) => format!("{path}->{target}"),
                Body::Special => format!("{path}=socket"),
            })
            .collect();
        self.tell(format_args!("  replica {at} {word}: {}", shown.join(", ")));
    }

    /// Everything that is broken is mended.
    pub(super) fn mend(&mut self) {
        self.refusals.clear();
        for disk in &mut self.disks {
            (disk.full, disk.away, disk.read_only) = (false, false, false);
        }
    }
}

/// 2026-11-29, in nanoseconds since 1970.
const EPOCH_NS: i64 = 1_795_910_400_000_000_000;
/// Time that an effect takes.
pub(super) const TICK_NS: i64 = 1_000_000;
/// The clock that entries get their times from moves in steps: 10 ms, as Linux does at 100 Hz.
const GRAIN_NS: i64 = 10_000_000;
/// Effects of one pass over a tree of a dozen entries: more means that it does not end.
const EFFECTS_MAX: u32 = 5000;
