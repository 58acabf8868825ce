//! The end of a world: everything is mended, all members hear of everything, vote about all that waits and decide every conflict; then the
//! checkers look at what is left.

use std::collections::{BTreeMap, BTreeSet};

use swarm_library::limits::{HEADS_MAX, VOTES_PER_PROPOSAL_MAX};
use swarm_library::{CommitId, Heads, Verdict};
use swarm_sync::{Kind, Side, Strategy, TreePath};

use super::super::disk::{Body, Disk, Node};
use super::super::edit::Edit;
use super::super::hub::Director;
use super::super::quiet::first_unlike;
use super::super::script::Event;
use super::book::Ended;
use super::daemon::{Daemon, open};
use super::ledger::Ledger;
use super::pass::{Passed, Refused};
use super::setup::{Part, Script, policy};
use super::view::available;
use super::world::{End, Mode, World};

impl World {
    /// Mends everything, lets everything spread, and looks.
    pub(super) fn end(mut self, mode: Mode) -> End {
        let is_cut = self.hub.lock().ticks >= mode.until.unwrap_or(u64::MAX);
        if self.hub.lock().oracle.findings.is_empty() && !is_cut {
            self.hub.lock().tell(format_args!("the end: everything is mended"));
            self.mend();
            self.finish();
        }
        let hub = self.hub.lock();
        End {
            script: Script { setup: self.setup.clone(), steps: std::mem::take(&mut self.steps) },
            findings: hub.oracle.findings.clone(),
            trace: hub.trace,
            ticks: hub.ticks,
            counts: hub.counts.clone(),
            lines: hub.lines.clone().unwrap_or_default(),
        }
    }

    fn mend(&mut self) {
        self.cut.clear();
        self.mail.clear();
        self.agree_on_trust();
        let mut hub = self.hub.lock();
        hub.ticks += 20;
        hub.mend();
        for at in 0..hub.disks.len() {
            let broken = |(path, node): (&TreePath, &Node)| match node.body {
                Body::Special => Some(Edit::Remove(path.clone())),
                _ if node.locked => Some(Edit::Unlock(path.clone())),
                _ => None,
            };
            let edits: Vec<Edit> = hub.disks[at].live().iter().filter_map(broken).collect();
            for edit in edits {
                hub.happen(&Event::Edit(at, edit));
            }
        }
    }

    /// What one member thinks of a daemon, all think at the end.
    fn agree_on_trust(&mut self) {
        for whom in 0..self.daemons.len() {
            let id = self.daemons[whom].id;
            let part = self.setup.parts[whom];
            let all: Vec<usize> = (0..self.daemons.len()).filter(|at| *at != whom).collect();
            let thinks = |world: &Self, at: usize| world.daemons[at].trusted.contains(&id);
            let is_odd = |world: &Self, at: usize| {
                thinks(world, at) != (part == Part::Member || part == Part::Traitor)
            };
            if all.iter().any(|at| is_odd(self, *at)) {
                let is_so = matches!(part, Part::Stranger | Part::Mirror);
                for at in all {
                    self.act(super::setup::Act::Trust { at, whom, is_so });
                }
            }
        }
    }

    fn finish(&mut self) {
        if !self.settle_all() || self.is_over() {
            return;
        }
        self.check_live();
        self.decide_all();
        if self.is_over() {
            return;
        }
        self.check_frontiers();
        self.check_votes();
        self.check_equal();
        self.check_books();
        self.check_forks();
        self.check_thorough();
        self.check_wanted();
    }

    /// Everything spreads, and all that waits is voted about, until nothing is left. Tells whether it came to that.
    fn settle_all(&mut self) -> bool {
        for turn in 0..TURNS_MAX {
            if !self.round_up() {
                return false;
            }
            if !self.vote_all(turn) {
                return true;
            }
        }
        if matches!(self.setup.strategy, Strategy::Manual | Strategy::AutoMerge) {
            self.find("votes do not end the proposals".to_owned());
        }
        // A strategy proposes again what was refused, as often as it is.
        self.count("a strategy proposes the same without end");
        false
    }

    /// All members vote about what waits: whatever is still open after that is withdrawn. Tells whether anything was.
    fn vote_all(&mut self, turn: u32) -> bool {
        let mut has_voted = false;
        for at in self.members() {
            let ids = open(&self.daemons[at].book.lock());
            for id in ids {
                let author = self.ledger.lock().commits.get(&id).map(|signed| signed.author);
                let is_own = author == Some(self.daemons[at].id);
                // A no alone ends nothing, unless the policy says so.
                let verdict = match turn {
                    0 if self.setup.refuses_at_end => Verdict::No,
                    0 | 1 => Verdict::Yes,
                    _ if is_own => Verdict::Withdrawn,
                    _ => continue,
                };
                self.sign_vote(at, &id, verdict);
                has_voted = true;
            }
        }
        has_voted
    }

    /// Members that take part, and strangers that all members trust by now.
    pub(super) fn members(&self) -> Vec<usize> {
        let is_trusted = |at: usize| {
            let id = self.daemons[at].id;
            let members = self.daemons.iter().filter(|one| one.part == Part::Member);
            members.into_iter().all(|one| one.trusted.contains(&id))
        };
        let is_member = |at: &usize| match self.setup.parts[*at] {
            Part::Member => true,
            Part::Stranger => is_trusted(*at),
            Part::Mirror | Part::Traitor => false,
        };
        (0..self.daemons.len()).filter(|at| is_member(at) && self.daemons[*at].is_here).collect()
    }

    /// Exchanges, tallies and passes in turn until nothing changes. Tells whether it came to that.
    fn round_up(&mut self) -> bool {
        for round in 0..ROUNDS_MAX {
            let mut is_idle = !self.exchange_all();
            for turn in 0..self.daemons.len() {
                let at = if round % 2 == 0 { turn } else { self.daemons.len() - 1 - turn };
                if !self.daemons[at].is_here {
                    continue;
                }
                is_idle &= self.daemons[at].tally(&self.hub, u32::MAX) == 0;
                let frontier = self.daemons[at].book.lock().frontier();
                is_idle &= self.quiet_pass(at, false).is_idle();
                is_idle &= frontier == self.daemons[at].book.lock().frontier();
                if self.is_over() {
                    return false;
                }
            }
            if is_idle {
                return true;
            }
        }
        self.find(format!("after {ROUNDS_MAX} rounds without an edit there is still something to do"));
        false
    }

    /// All that reach each other tell each other everything. Tells whether anything was new.
    fn exchange_all(&mut self) -> bool {
        let count = self.daemons.len();
        let mut is_new = false;
        for from in 0..count {
            for to in (0..count).filter(|to| self.reaches(from, *to)) {
                for letter in self.letters(from, to) {
                    is_new |= self.on_letter(letter);
                }
            }
        }
        is_new
    }

    /// A pass during which nothing happens.
    fn quiet_pass(&mut self, at: usize, thorough: bool) -> Passed {
        let mut before = Director::Script(Vec::new());
        std::mem::swap(&mut self.hub.lock().director, &mut before);
        self.hub.lock().refusals.clear();
        let mut passed = Passed::default();
        self.watched(at, |world| passed = world.pass(at, thorough));
        self.hub.lock().director = before;
        self.check_quiet(at, &passed);
        passed
    }

    /// A plan that is performed on a disk that nobody touches is performed as a whole.
    fn check_quiet(&self, at: usize, passed: &Passed) {
        let hub = self.hub.lock();
        let disk = &hub.disks[at];
        let is_odd = |node: &Node| node.locked || node.body == Body::Special;
        let is_well = !disk.away && !disk.full && !disk.read_only && !disk.live().values().any(is_odd);
        drop(hub);
        if !is_well || passed.blind_count > 0 || self.setup.parts[at] == Part::Traitor {
            return;
        }
        // What its author took away before anybody had it cannot come back with its folder.
        let is_odd = |refused: &&Refused| refused.side == Side::Local && !refused.lacks_bytes;
        if let Some(refused) = passed.refused.iter().find(is_odd) {
            self.find(format!(
                "daemon {at}: nothing happened, and an operation was refused: {}",
                refused.what
            ));
        }
        if let Some(error) = &passed.error {
            self.find(format!("daemon {at}: nothing happened, and a pass ended early: {error}"));
        }
    }

    /// All become what this one is: nobody else changed anything since the last time.
    pub(super) fn spread(&mut self, writer: usize) {
        let wanted = self.tree(writer);
        let is_alone = self.editors.iter().all(|editor| *editor == writer);
        if !self.settle_all() {
            return;
        }
        let members = self.members();
        let trees: Vec<_> = members.iter().map(|at| self.tree(*at)).collect();
        let is_equal = trees.iter().all(|tree| *tree == trees[0]);
        if is_equal {
            self.editors.clear();
        }
        if !is_alone || !self.setup.is_calm {
            return;
        }
        self.count("spread from one member");
        if !self.excused().is_empty() {
            return;
        }
        if let Some(at) = members.iter().zip(&trees).find(|(_, tree)| **tree != trees[0]) {
            self.find(format!("only member {writer} was edited, and member {} differs from others", at.0));
        }
        if self.has_ended(|end| end != Ended::Approved) {
            return;
        }
        for at in members {
            if let Some(path) = first_unlike(&self.tree(at), &wanted, |_| false) {
                self.find(format!(
                    "only member {writer} was edited, and member {at} has something else at {path}"
                ));
            }
            if !self.daemons[at].book.lock().index.conflicts().is_empty() {
                self.find(format!("only member {writer} was edited, and member {at} has a conflict"));
            }
        }
    }

    fn has_ended(&self, is_so: impl Fn(Ended) -> bool) -> bool {
        let ends = self.daemons.iter().flat_map(|one| {
            let book = one.book.lock();
            book.proposals.values().filter_map(|waiting| waiting.ended).collect::<Vec<_>>()
        });
        ends.into_iter().any(is_so)
    }

    /// Decides conflicts until none is left.
    fn decide_all(&mut self) {
        for turn in 0..DECISIONS_MAX {
            let count = |at: &usize| self.daemons[*at].book.lock().index.conflicts().len();
            let open: Vec<(usize, usize)> = (0..self.daemons.len())
                .filter(|at| self.daemons[*at].is_here)
                .map(|at| (at, count(&at)))
                .filter(|(_, count)| *count > 0)
                .collect();
            let Some((at, count)) = open.first().copied() else { return };
            if turn + 1 == DECISIONS_MAX {
                self.find("decisions do not end the conflicts".to_owned());
            }
            (0..count).for_each(|conflict| self.decide(at, conflict, turn));
            if self.is_over() || !self.settle_all() {
                return;
            }
        }
    }

    /// Members with one policy have the same folders and the same versions.
    fn check_equal(&self) {
        let members = self.members();
        let Some(first) = members.first() else { return };
        // A file that a user moves to where a traitor put bytes that nobody has stays apart.
        if !self.is_honest() && !self.nowhere().is_empty() {
            return;
        }
        let excused = self.excused();
        let is_excused = |path: &TreePath| is_near(&excused, path);
        for at in &members[1..] {
            if let Some(path) = first_unlike(&self.tree(*first), &self.tree(*at), is_excused) {
                self.find(format!("nothing is left to do, and members {first} and {at} differ at {path}"));
            }
            if let Some(path) = first_unlike(&self.winners(*first), &self.winners(*at), is_excused) {
                self.find(format!(
                    "nothing is left to do, and the views of members {first} and {at} differ at {path}"
                ));
            }
        }
        self.count("members compared");
    }

    /// All members know all commits, but for those of authors with two histories.
    fn check_frontiers(&self) {
        let forked: BTreeSet<_> =
            self.daemons.iter().flat_map(|one| one.book.lock().forked.clone()).collect();
        let known = |at: usize| -> Vec<_> {
            let frontier = self.daemons[at].book.lock().frontier();
            frontier.positions().filter(|position| !forked.contains(&position.author)).collect()
        };
        let all: BTreeSet<_> = self.members().into_iter().map(known).collect();
        if all.len() > 1 {
            self.find("all reach each other, and a member does not know all commits".to_owned());
        }
    }

    /// No deletion holds anywhere without the votes that the mildest policy of the daemon asked for.
    fn check_votes(&self) {
        let ledger = self.ledger.lock();
        for daemon in self.daemons.iter().filter(|one| one.part != Part::Traitor) {
            let needed = daemon.policies.iter().map(|which| policy(*which).delete_votes).min().unwrap_or(0);
            let book = daemon.book.lock();
            for (id, signed) in ledger.commits.iter().filter(|_| needed >= 2) {
                let Some(commit) = book.commit_by_id(id) else { continue };
                let yes = ledger.yes_of(id, |node| daemon.may_count(node, 0));
                let is_low = |index: &u32| {
                    let record = &signed.records[*index as usize];
                    let mut others = signed.records.iter();
                    let is_moved = others.any(|other| other.moved_from.as_ref() == Some(&record.path));
                    !record.state.is_live() && !is_moved
                };
                if yes < needed && book.taken_of(&commit).iter().any(is_low) {
                    self.find(format!(
                        "daemon {} took a deletion that has {yes} votes of {needed}",
                        daemon.at
                    ));
                }
            }
        }
    }

    fn winners(&self, at: usize) -> BTreeMap<TreePath, Kind> {
        let book = self.daemons[at].book.lock();
        book.heads.keys().filter_map(|path| Some((path.clone(), book.standing(path)?))).collect()
    }

    /// Paths of commits that members may see differently: of an author with two histories, of one that is no longer trusted, and of proposals
    /// that ended in different ways.
    fn excused(&self) -> BTreeSet<TreePath> {
        let ledger = self.ledger.lock();
        let forked: BTreeSet<_> =
            self.daemons.iter().flat_map(|one| one.book.lock().forked.clone()).collect();
        let revoked: BTreeSet<_> =
            self.daemons.iter().flat_map(|one| one.revoked.keys().copied().collect::<Vec<_>>()).collect();
        let mut paths = BTreeSet::new();
        for (id, signed) in &ledger.commits {
            let is_odd = forked.contains(&signed.author) || revoked.contains(&signed.author);
            if is_odd || self.is_mixed(&ledger, id) {
                paths.extend(signed.records.iter().map(|record| record.path.clone()));
            }
        }
        paths.extend(self.nowhere());
        paths
    }

    /// Paths of versions whose bytes are nowhere any more: their authors changed or removed them before anybody had them.
    fn nowhere(&self) -> Vec<TreePath> {
        let all: Vec<usize> = (0..self.daemons.len()).filter(|at| self.daemons[*at].is_here).collect();
        let there = available(&self.hub, &all);
        let is_gone = |kind: &Kind| kind.file().is_some_and(|file| !there.contains(&file.hash));
        let winners = all.iter().flat_map(|at| self.winners(*at));
        winners.filter(|(_, kind)| is_gone(kind)).map(|(path, _)| path).collect()
    }

    /// Whether a commit was taken by one member, in part at least, and not by another.
    fn is_mixed(&self, ledger: &Ledger, id: &CommitId) -> bool {
        let taken = |at: usize| {
            let book = self.daemons[at].book.lock();
            let commit = book.commit_by_id(id);
            commit.map(|commit| book.taken_of(&commit)).unwrap_or_default()
        };
        let was_held = |at: usize| self.daemons[at].book.lock().proposals.contains_key(id);
        if !self.members().into_iter().any(was_held) {
            return false;
        }
        let all: BTreeSet<_> = self.members().into_iter().map(taken).collect();
        if all.len() > 1 {
            self.count("commit taken by one member and not by another");
        }
        all.len() > 1 && self.may_end_apart(ledger, id)
    }

    /// Whether members may end a proposal in different ways: policies or trust are not the same, another file stood there when it came, so that
    /// it needs other votes, or somebody stopped it, which may reach a member after it approved. Votes alone come to the same everywhere, in
    /// whatever order they come.
    fn may_end_apart(&self, ledger: &Ledger, id: &CommitId) -> bool {
        let policies: BTreeSet<usize> = self.daemons.iter().flat_map(|one| one.policies.clone()).collect();
        let is_mixed = policies.len() > 1 || self.has_revoked || self.setup.parts.contains(&Part::Stranger);
        let one_refuses = policies.iter().any(|which| policy(*which).refused_by_one);
        let mut votes = ledger.votes.iter().map(swarm_library::SignedVote::vote);
        let is_stop = |verdict| match verdict {
            Verdict::Yes => false,
            Verdict::No => one_refuses,
            Verdict::Withdrawn => true,
        };
        let is_stopped = votes.any(|vote| vote.subject.commit == *id && is_stop(vote.verdict));
        let ended = |one: &Daemon| one.book.lock().proposals.get(id).and_then(|waiting| waiting.ended);
        let needed = |at: usize| self.daemons[at].book.lock().proposals.get(id).map(|waiting| waiting.votes);
        let needs: BTreeSet<Option<u32>> = self.members().into_iter().map(needed).collect();
        is_mixed
            || needs.len() > 1
            || is_stopped
            || self.daemons.iter().any(|one| ended(one) == Some(Ended::Expired))
    }

    /// What nobody removed and nobody decided against stands under a name.
    fn check_live(&self) {
        let keeps_all = matches!(self.setup.strategy, Strategy::Manual | Strategy::KeepBoth);
        // What a proposal put there is taken back when it comes to nothing.
        let is_taken_back = self.has_ended(|end| end != Ended::Approved);
        if self.has_decided || !keeps_all || !self.is_honest() || is_taken_back {
            return;
        }
        let hub = self.hub.lock();
        let live: BTreeSet<_> = hub.disks.iter().flat_map(Disk::live_contents).collect();
        let missing = hub.oracle.missing(&live);
        drop(hub);
        self.count("live contents checked");
        if let Some(missing) = missing.first() {
            self.find(format!("nobody removed {missing:?}, and it stands nowhere"));
        }
    }

    fn is_honest(&self) -> bool {
        self.setup.parts.iter().all(|part| *part != Part::Traitor)
    }

    /// What nobody removed stands under a name or is a kept version.
    fn check_wanted(&self) {
        let hub = self.hub.lock();
        let there: BTreeSet<_> = hub.disks.iter().flat_map(Disk::contents).collect();
        let missing = hub.oracle.missing(&there);
        drop(hub);
        if let Some(missing) = missing.first() {
            self.find(format!("nobody removed {missing:?}, and it is nowhere, not even a kept version"));
        }
    }

    /// What holds for each book.
    fn check_books(&self) {
        let excused = self.excused();
        for daemon in self.daemons.iter().filter(|one| one.part != Part::Traitor && one.is_here) {
            let book = daemon.book.lock();
            let at = daemon.at;
            if let Some(((_, seq), _)) = book.applied.iter().find(|(_, times)| **times > 1) {
                self.find(format!("daemon {at} took commit {seq} of an author more than once"));
            }
            if !book.is_marked() {
                self.find(format!("daemon {at} would take a commit once more that it took"));
            }
            if book.heads.values().any(|heads| heads.all().len() > HEADS_MAX)
                || book.votes.values().any(|votes| votes.voters() > VOTES_PER_PROPOSAL_MAX)
            {
                self.find(format!("daemon {at} keeps more versions or votes than it may"));
            }
            let rows = book.index.side(Side::Remote);
            let row = |path: &TreePath| rows.get(path).map(|entry| entry.kind.clone());
            let is_wrong = |path: &&TreePath| row(path) != book.expected_row(path) && !book.is_held(path);
            if let Some(path) = book.heads.keys().chain(rows.keys()).find(is_wrong) {
                self.find(format!("the row of daemon {at} at {path} is not what the view has there"));
            }
            let has_conflict = |path: &TreePath| book.index.conflicts().iter().any(|one| one.path == *path);
            // A folder in which something stands is shown, whatever wins among the versions.
            let is_lost = |path: &TreePath, heads: &Heads| heads.is_given_up(&daemon.id, row(path).as_ref());
            let lost = book.heads.iter().filter(|(path, heads)| is_lost(path, heads));
            if let Some((path, _)) = lost
                .into_iter()
                .find(|(path, _)| !has_conflict(path) && !book.is_held(path) && !is_near(&excused, path))
            {
                self.find(format!("a version of daemon {at} at {path} lost, and no conflict tells of it"));
            }
        }
    }

    /// Only the traitor has two histories, and all members know.
    fn check_forks(&self) {
        let honest: BTreeSet<_> =
            self.daemons.iter().filter(|one| one.part != Part::Traitor).map(|one| one.id).collect();
        let mut seqs: BTreeMap<_, BTreeSet<CommitId>> = BTreeMap::new();
        for (id, signed) in &self.ledger.lock().commits {
            seqs.entry((signed.author, signed.seq)).or_default().insert(*id);
        }
        if seqs.iter().any(|((author, _), ids)| honest.contains(author) && ids.len() > 1) {
            self.find("an honest author signed two commits with one number".to_owned());
        }
        for at in self.members() {
            let book = self.daemons[at].book.lock();
            if book.forked.iter().any(|author| honest.contains(author)) {
                self.find(format!("member {at} names an honest author for two histories"));
            }
        }
        self.check_forks_named();
    }

    /// Where two members have two histories of an author, each of them knows.
    fn check_forks_named(&self) {
        let members = self.members();
        for (one, other) in members.iter().flat_map(|one| members.iter().map(move |other| (*one, *other))) {
            if one >= other {
                continue;
            }
            let (mine, theirs) = (self.daemons[one].book.lock(), self.daemons[other].book.lock());
            let forks =
                mine.frontier().equivocations(&theirs.frontier(), &|author, seq| mine.id_at(author, seq));
            if forks.iter().any(|fork| !mine.forked.contains(&fork.author)) {
                self.find(format!("member {one} does not know of an author with two histories"));
            }
        }
    }

    /// Reading every file finds nothing that was overlooked.
    fn check_thorough(&mut self) {
        for at in self.members() {
            if self.is_over() {
                return;
            }
            let passed = self.quiet_pass(at, true);
            let excused = with_followers(self.excused(), &passed.refused);
            if let Some(stuck) = passed.refused.iter().find(|refused| !is_near(&excused, &refused.path)) {
                self.find(format!("daemon {at} cannot perform an operation: {}", stuck.what));
            }
            if !passed.is_idle() {
                self.find(format!("reading every file of member {at} found what was overlooked before"));
            }
        }
    }
}

/// Whether a path is one of these, or below or above one.
fn is_near(places: &BTreeSet<TreePath>, path: &TreePath) -> bool {
    places.iter().any(|place| path.is_at_or_below(place) || place.is_below(path))
}

/// With the places of moves that end or begin at one of these, and were refused: what was to come to the place that one leaves is refused, too.
fn with_followers(mut places: BTreeSet<TreePath>, refused: &[Refused]) -> BTreeSet<TreePath> {
    let ends = || refused.iter().filter_map(|one| Some((&one.path, one.from.as_ref()?)));
    loop {
        let is_one_near =
            |(to, from): &(&TreePath, &TreePath)| is_near(&places, to) || is_near(&places, from);
        let found: Vec<&TreePath> = ends().filter(is_one_near).flat_map(|(to, from)| [to, from]).collect();
        let before = places.len();
        places.extend(found.into_iter().cloned());
        if places.len() == before {
            return places;
        }
    }
}

/// Rounds after which nothing may be left to do.
const ROUNDS_MAX: u32 = 28;
/// Turns of votes after which nothing may wait any more.
const TURNS_MAX: u32 = 12;
/// Turns of decisions after which no conflict may be left.
const DECISIONS_MAX: u64 = 24;
