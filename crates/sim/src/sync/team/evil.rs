//! What a traitor does whom all members trust: it deletes, signs two histories, sends old votes, votes for everything, counts into the future,
//! calls deletions moves. What it signs goes into the ledger as what anybody signs does.

use swarm_core::base::{NodeId, Rng};
use swarm_library::limits::AHEAD_MAX_S;
use swarm_library::{Commit, Draft, Live, Record, State, Vector, Verdict};
use swarm_sync::{ContentHash, FileContent, Kind, TreePath};

use super::super::edit::any_path;
use super::book::Book;
use super::daemon::{library, open};
use super::setup::Part;
use super::story::is_file;
use super::view::{now_ms, words};
use super::world::{Letter, What, World};

impl World {
    /// One act of the traitor.
    pub(super) fn evil(&mut self, what: u64, luck: u64) {
        let Some(at) = self.setup.parts.iter().position(|part| *part == Part::Traitor) else { return };
        let mut rng = Rng::seeded(luck);
        match what % 16 {
            0..=2 => self.sign_evil("traitor deletes everything", at, |world, _| world.deletions(at)),
            3 => self.fork(at, &mut rng),
            4 => self.send_old_votes(at),
            5..=6 => self.vote_for_all(at),
            7 => self.forge(at, &mut rng),
            8 if rng.below(4) == 0 => self.hide_future(at, &mut rng),
            8 => self.sign_evil("traitor counts into the future", at, |world, now| {
                world.future(at, now, &mut rng)
            }),
            9..=11 => self.sign_evil("traitor calls a deletion a move", at, |world, now| {
                world.disguised(at, now, &mut rng)
            }),
            12 => self.sign_evil("traitor signs bytes that nobody has", at, |world, now| {
                world.nothing(at, now, &mut rng)
            }),
            13 => self.sign_evil("traitor signs a file without its folder", at, |world, now| {
                world.orphan(at, now, &mut rng)
            }),
            14 => self.sign_evil("traitor signs versions that exclude each other", at, |world, now| {
                world.many(at, now, &mut rng)
            }),
            _ => self.sign_evil("traitor deletes a file", at, |world, _| {
                let all = world.deletions(at);
                let len = all.len() as u64;
                all.into_iter().skip(rng.below(len.max(1)) as usize).take(1).collect()
            }),
        }
    }

    fn sign_evil(&self, word: &'static str, at: usize, records: impl FnOnce(&Self, u64) -> Vec<Record>) {
        let now_s = now_ms(&self.hub, at) / 1000;
        let records = records(self, now_s);
        if records.is_empty() {
            return;
        }
        self.count(word);
        let commit = self.sign(at, &records);
        self.daemons[at].book.lock().take_peer(&commit, &records, &[], now_s * 1000);
    }

    fn sign(&self, at: usize, records: &[Record]) -> Commit {
        let daemon = &self.daemons[at];
        let after = daemon.book.lock().last_of(&daemon.id);
        let draft = Draft { library: library(), after, content: None, made_at_ms: 0, covers: 0, records };
        let commit = Commit::sign(&daemon.key, &draft).unwrap_or_else(|error| unreachable!("{error}"));
        self.ledger.lock().note(&commit, records);
        self.hub.lock().tell(format_args!("  traitor signs {}: {}", commit.header().seq, words(records)));
        commit
    }

    fn deletions(&self, at: usize) -> Vec<Record> {
        let book = self.daemons[at].book.lock();
        let now_s = now_ms(&self.hub, at) / 1000;
        let live: Vec<&TreePath> = book.heads.keys().filter(|path| book.standing(path).is_some()).collect();
        live.into_iter().map(|path| record(&book, path, State::Deleted, now_s)).collect()
    }

    /// Two commits with one number: one peer gets the other one.
    fn fork(&mut self, at: usize, rng: &mut Rng) {
        let peers: Vec<usize> = (0..self.daemons.len()).filter(|to| self.reaches(at, *to)).collect();
        if peers.is_empty() {
            return;
        }
        self.count("traitor signs two histories");
        let to = peers[rng.below(peers.len() as u64) as usize];
        let now_s = now_ms(&self.hub, at) / 1000;
        let path = any_path(rng);
        let [one, other] = [1, 2].map(|token| {
            let book = self.daemons[at].book.lock();
            let records = vec![record(&book, &path, State::Live(live(&format!("fork {token}"))), now_s)];
            drop(book);
            (self.sign(at, &records), records)
        });
        self.daemons[at].book.lock().take_peer(&one.0, &one.1, &[], now_s * 1000);
        // It gets all that comes before first.
        for letter in self.letters(at, to) {
            let is_it = matches!(&letter.what, What::Commit(commit) if commit.id() == one.0.id());
            if !is_it {
                self.on_letter(letter);
            }
        }
        self.on_letter(Letter { from: at, to, what: What::Commit(Box::new(other.0)) });
    }

    fn send_old_votes(&mut self, at: usize) {
        let votes = self.ledger.lock().votes.clone();
        self.count("traitor sends old votes");
        for to in (0..self.daemons.len()).filter(|to| self.reaches(at, *to)) {
            self.daemons[to].on_votes(&votes);
        }
    }

    fn vote_for_all(&mut self, at: usize) {
        self.count("traitor votes for everything");
        let ids = open(&self.daemons[at].book.lock());
        ids.iter().for_each(|id| self.sign_vote(at, id, Verdict::Yes));
        let known: Vec<_> = self.ledger.lock().commits.keys().copied().collect();
        for id in known {
            let commit = self.daemons[at].book.lock().commit_by_id(&id);
            if let Some(commit) = commit {
                let now = now_ms(&self.hub, at);
                let subject = swarm_library::Subject::of(&commit);
                let vote =
                    swarm_library::SignedVote::sign(&self.daemons[at].key, subject, Verdict::Yes, "", now);
                self.ledger.lock().note_vote(&vote);
                self.daemons[at].on_votes(&[vote]);
            }
        }
    }

    /// Bytes of another author's commit with one bit changed: no commit, or a signature is worth nothing.
    fn forge(&self, at: usize, rng: &mut Rng) {
        let id = self.daemons[at].id;
        let book = self.daemons[at].book.lock();
        let others: Vec<Commit> =
            book.all_commits().filter(|commit| commit.header().author != id).cloned().collect();
        drop(book);
        if others.is_empty() {
            return;
        }
        self.count("traitor forges a commit");
        let commit = &others[rng.below(others.len() as u64) as usize];
        let mut bytes = commit.encode().to_vec();
        let place = rng.below(bytes.len() as u64) as usize;
        bytes[place] ^= 1 << rng.below(8);
        if let Ok(forged) = Commit::decode(bytes.into())
            && forged != *commit
        {
            self.find("a forged commit was taken for one that its author signed".to_owned());
        }
    }

    fn future(&self, at: usize, now_s: u64, rng: &mut Rng) -> Vec<Record> {
        let book = self.daemons[at].book.lock();
        let path = any_path(rng);
        let mut made = record(&book, &path, State::Live(live("future")), now_s);
        let whose = self.daemons[rng.below(self.daemons.len() as u64) as usize].id;
        // As far as others take it, though their clocks may be years behind.
        let farthest = now_s + 2 * AHEAD_MAX_S - TEN_YEARS_S;
        let most = if rng.below(2) == 0 { farthest } else { now_s + 400_000_000 };
        made.vector = counting(&made.vector, whose, most);
        vec![made]
    }

    /// Signs that somebody has counted to the end, and a time that does not tell of it.
    fn hide_future(&self, at: usize, rng: &mut Rng) {
        self.count("traitor hides that it counts to the end");
        let now_s = now_ms(&self.hub, at) / 1000;
        let whose = self.daemons[rng.below(self.daemons.len() as u64) as usize].id;
        let daemon = &self.daemons[at];
        let book = daemon.book.lock();
        let said = record(&book, &any_path(rng), State::Live(live("end")), now_s);
        let meant = Record { vector: counting(&said.vector, whose, u64::MAX), ..said.clone() };
        let after = book.last_of(&daemon.id);
        drop(book);
        let records = [said];
        let draft =
            Draft { library: library(), after, content: None, made_at_ms: 0, covers: 0, records: &records };
        let encoded = swarm_library::record_codec::encode(&[meant]).into();
        let commit = Commit::sign_encoded(&daemon.key, &draft, encoded, 0)
            .unwrap_or_else(|error| unreachable!("{error}"));
        self.ledger.lock().note(&commit, &[]);
        daemon.book.lock().carry(&commit);
    }

    /// A deletion beside a record that names its path as the old place of other bytes.
    fn disguised(&self, at: usize, now_s: u64, rng: &mut Rng) -> Vec<Record> {
        let book = self.daemons[at].book.lock();
        let files: Vec<TreePath> = book
            .heads
            .keys()
            .filter(|path| book.standing(path).as_ref().is_some_and(is_file))
            .cloned()
            .collect();
        if files.is_empty() {
            return Vec::new();
        }
        let from = files[rng.below(files.len() as u64) as usize].clone();
        let mut gone = record(&book, &from, State::Deleted, now_s);
        let made = live("disguise");
        if rng.below(2) == 0 {
            gone.parent = made.kind.file().map(|file| file.hash);
        }
        let mut moved = record(&book, &any_path(rng), State::Live(made), now_s);
        moved.moved_from = Some(from.clone());
        if moved.path == from { Vec::new() } else { vec![gone, moved] }
    }

    fn nothing(&self, at: usize, now_s: u64, rng: &mut Rng) -> Vec<Record> {
        let book = self.daemons[at].book.lock();
        vec![record(&book, &any_path(rng), State::Live(live("nothing")), now_s)]
    }

    fn orphan(&self, at: usize, now_s: u64, rng: &mut Rng) -> Vec<Record> {
        let book = self.daemons[at].book.lock();
        let path = TreePath::new(["z/y/x", "a/q", "d/q/q", "b/a"][rng.below(4) as usize]);
        let path = path.unwrap_or_else(|fault| unreachable!("{fault}"));
        let state = if rng.below(2) == 0 {
            State::Live(live("orphan"))
        } else {
            State::Live(Live { kind: Kind::Folder, modified_ns: 0, sha256: None })
        };
        vec![record(&book, &path, state, now_s)]
    }

    /// More versions of one path than are taken, each counted for an author that nobody knows.
    fn many(&self, at: usize, now_s: u64, rng: &mut Rng) -> Vec<Record> {
        let (path, me) = (any_path(rng), self.daemons[at].id);
        let version = |number: u8| Record {
            path: path.clone(),
            state: State::Live(live(&format!("version {number}"))),
            vector: counting(&Vector::of(me, now_s), NodeId::from_bytes([200 + number; 32]), 1),
            parent: None,
            moved_from: None,
        };
        (0..20).map(version).collect()
    }
}

/// The vector with another counter of an author.
fn counting(vector: &Vector, whose: NodeId, counter: u64) -> Vector {
    let others = vector.iter().map(|(node, n)| (*node, n)).filter(|(node, _)| *node != whose);
    Vector::from_counters(others.chain([(whose, counter)])).unwrap_or_default()
}

/// For clocks that are behind.
const TEN_YEARS_S: u64 = 10 * 365 * 24 * 3600;

fn live(text: &str) -> Live {
    let content =
        FileContent { len: text.len() as u64, hash: ContentHash::of(text.as_bytes()), executable: false };
    Live { kind: Kind::File(content), modified_ns: 0, sha256: None }
}

/// A version that includes all that holds.
fn record(book: &Book, path: &TreePath, state: State, now_s: u64) -> Record {
    let heads = book.heads.get(path).cloned().unwrap_or_default();
    let all = heads.all().iter().fold(Vector::default(), |all, head| all.joined(&head.vector));
    let parent = book.standing(path).as_ref().and_then(Kind::file).map(|file| file.hash);
    Record { path: path.clone(), state, vector: all.next(book.me, now_s), parent, moved_from: None }
}
