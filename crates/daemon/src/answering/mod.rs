//! What commands ask of a daemon, answered: orders go to the worker of their library. Invariant: what takes long is done in a task of its own, and
//! does not delay the loop. Absent here: how everything stands (`standing`).

mod fetching;
mod transferring;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use swarm_core::base::{Category, NodeId};
use swarm_library::{LibraryKey, Lock, SignedLock, Verdict};
use swarm_sync::{ContentHash, RunId, TreePath};
use tokio::sync::{mpsc, oneshot};

use crate::asking::Call;
use crate::clock;
use crate::contents::{self, Supply};
use crate::daemon::Desk;
use crate::daemon::libraries::Running;
use crate::exchange;
use crate::library::{
    self, Answer, Deciding, Input, LibraryFiles, LibrarySettings, Past, PastFile, PathView, Question,
};
use crate::protocol::{Reply, Request};
use crate::standing::{duration_words, lan, status};

/// Answers one call. Libraries are asked in a task of their own: one that is busy holds nobody up.
pub(crate) async fn answer(desk: &mut Desk, call: Call) {
    let (request, reply) = match call {
        Call::Request { request, reply } => (request, reply),
        Call::Files { library, reply } => {
            let _ = reply.send(files(desk, &library));
            return;
        }
        Call::Fetch { order, reply } => return fetching::answer(desk, order, reply),
        Call::Past { library, path, past, reply } => return open_past(desk, (&library, path), past, reply),
    };
    let now = match request {
        Request::Status => {
            desk.look_at_traffic().await;
            Some(Reply::Status(Box::new(status(desk))))
        }
        Request::Lan => Some(Reply::Lan(lan(desk))),
        Request::ProposedUsers => Some(Reply::ProposedUsers { users: desk.proposed_users() }),
        Request::RejectUser { name } => Some(match desk.reject_user(&name) {
            Ok(()) => Reply::Done,
            Err(error) => Reply::failed(Category::Disk, format!("cannot remember that: {error}")),
        }),
        Request::Lock { library, path, seconds, why } => {
            Some(lock(desk, &library, &path, seconds, why).await)
        }
        Request::Verify { library } => match find(desk, &library) {
            Ok(key) => return verify(desk, &key, reply),
            Err(reply) => Some(reply),
        },
        Request::Transfers | Request::Transfer { .. } | Request::Steer { .. } => {
            return transferring::answer(desk, request, reply);
        }
        request => match questions(desk, request) {
            Ok(questions) => return ask(desk, questions, reply),
            Err(reply) => Some(reply),
        },
    };
    if let Some(now) = now {
        // Who asked may be gone.
        let _ = reply.send(now);
    }
}

/// The files of a library.
fn files(desk: &Desk, library: &str) -> Result<LibraryFiles, Reply> {
    let key = find(desk, library)?;
    match desk.libraries.get(&key) {
        Some(Running::Works { handle, settings, .. }) => Ok(LibraryFiles::new(settings, handle)),
        Some(Running::Stands { why, .. }) => Err(Reply::failed(Category::Held, why.to_string())),
        None => Err(Reply::failed(Category::Usage, format!("no library `{library}` here"))),
    }
}

/// Which libraries are asked what, and whether one answer is enough.
struct Questions {
    of: Vec<(LibraryKey, Question)>,
    is_one: bool,
}

fn questions(desk: &Desk, request: Request) -> Result<Questions, Reply> {
    let one = |library: &str, question: Question| {
        Ok(Questions { of: vec![(find(desk, library)?, question)], is_one: true })
    };
    match request {
        Request::Sync { library } => one(&library, Question::Sync),
        Request::ApproveHere { library } => one(&library, Question::ApproveHere),
        Request::Log { library, limit } => one(&library, Question::Log { limit: limit.min(LIMIT_MAX) }),
        Request::Tree { library, place, start, limit } => {
            let (place, start) = (path_of(place)?, path_of(start)?);
            one(&library, Question::Tree { place, start, limit: limit.min(LIMIT_MAX) })
        }
        Request::Explain { library, path } => one(&library, Question::Explain { path: named(path)? }),
        Request::Approvals { library, all } => {
            let keys = match library {
                Some(library) => vec![find(desk, &library)?],
                None => desk.libraries.keys().copied().collect(),
            };
            let question = |key| (key, Question::Proposals { with_ended: all });
            Ok(Questions { of: keys.into_iter().map(question).collect(), is_one: false })
        }
        Request::Vote { id, verdict, why } => {
            let verdict = match verdict.as_str() {
                "yes" => Verdict::Yes,
                "no" => Verdict::No,
                "withdraw" => Verdict::Withdrawn,
                _ => return Err(Reply::failed(Category::Usage, "a vote is yes, no or withdraw")),
            };
            let id = id.trim().to_ascii_lowercase();
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Reply::failed(
                    Category::Usage,
                    "name a proposal by the first digits of its id: see `swarm approvals`",
                ));
            }
            let question =
                |key: &LibraryKey| (*key, Question::Vote { id: id.clone(), verdict, why: why.clone() });
            Ok(Questions { of: desk.libraries.keys().map(question).collect(), is_one: false })
        }
        Request::Texts { library, path } => one(&library, Question::Texts { path: named(path)? }),
        Request::Disputes { library } => one(&library, Question::Disputes),
        Request::Decide { library, path, choice, file, all } => {
            let bytes = file.map(|file| read(&file)).transpose()?;
            one(&library, Question::Decide(Deciding { place: path_of(path)?, choice, bytes, all }))
        }
        Request::Versions { library, path } => one(&library, Question::Versions { path: named(path)? }),
        Request::Restore { library, path, run, out } => {
            one(&library, Question::Restore { path: named(path)?, run: run_of(run)?, out })
        }
        Request::Undo { library, run } => one(&library, Question::Undo { run: run_of(run)? }),
        Request::Authors { library } => one(&library, Question::Authors),
        Request::TakeBack { library, author, since_ms, is_rehearsal } => {
            let keys = match library {
                Some(library) => vec![find(desk, &library)?],
                None => desk.libraries.keys().copied().collect(),
            };
            let question = |key| {
                let author = author.clone();
                (key, Question::TakeBack { author, since_ms, is_rehearsal })
            };
            Ok(Questions { of: keys.into_iter().map(question).collect(), is_one: false })
        }
        Request::Status
        | Request::Lan
        | Request::ProposedUsers
        | Request::RejectUser { .. }
        | Request::Verify { .. }
        | Request::Transfers
        | Request::Transfer { .. }
        | Request::Steer { .. }
        | Request::Lock { .. } => Err(Reply::Done),
    }
}

fn ask(desk: &Desk, questions: Questions, reply: oneshot::Sender<Reply>) {
    let Questions { of, is_one } = questions;
    let mut asked = Vec::new();
    for (key, question) in of {
        let Some(running) = desk.libraries.get(&key) else { continue };
        let name = running.settings().name.clone();
        match running {
            Running::Works { handle, .. } => asked.push((name, Ok((handle.inputs.clone(), question)))),
            Running::Stands { why, .. } => asked.push((name, Err(why.to_string()))),
        }
    }
    let contents = desk.contents().clone();
    desk.tasks().spawn(async move {
        let mut answers = BTreeMap::new();
        for (name, asked) in asked {
            let answer = match asked {
                Ok((inputs, question)) => {
                    let (sender, answered) = oneshot::channel();
                    let asking = async {
                        let _ = inputs.send(Input::Ask(question, sender)).await;
                        answered.await.ok()
                    };
                    let answer = tokio::time::timeout(ANSWER_TIMEOUT, asking).await.ok().flatten();
                    let mut answer = answer.unwrap_or_else(|| failed(BUSY));
                    if let Answer::Explain(view) = &mut answer {
                        view.supply = supply(view, &contents).await;
                    }
                    answer
                }
                Err(why) => failed(&why),
            };
            answers.insert(name, answer);
        }
        let said = match answers.len() {
            1 if is_one => answers.pop_first().map(|(name, answer)| Reply::Library { name, answer }),
            _ => Some(Reply::Libraries { answers }),
        };
        let _ = reply.send(said.unwrap_or(Reply::Done));
    });
}

/// Has the worker of a library open what a path had.
fn open_past(
    desk: &Desk,
    (library, path): (&str, TreePath),
    past: Past,
    reply: oneshot::Sender<Result<Option<PastFile>, Reply>>,
) {
    let inputs = match find(desk, library).map(|key| desk.libraries.get(&key)) {
        Ok(Some(Running::Works { handle, .. })) => Ok(handle.inputs.clone()),
        Ok(Some(Running::Stands { why, .. })) => Err(Reply::failed(Category::Held, why.to_string())),
        Ok(None) => Err(Reply::failed(Category::Usage, format!("no library `{library}` here"))),
        Err(reply) => Err(reply),
    };
    let inputs = match inputs {
        Ok(inputs) => inputs,
        Err(refusal) => return drop(reply.send(Err(refusal))),
    };
    desk.tasks().spawn(async move {
        let (sender, opened) = oneshot::channel();
        let asking = async {
            let _ = inputs.send(Input::Open(path, past, sender)).await;
            opened.await.ok()
        };
        let opened = tokio::time::timeout(ANSWER_TIMEOUT, asking).await.ok().flatten();
        let opened = opened.unwrap_or_else(|| Err(failed(BUSY)));
        // Who asked may be gone.
        let _ = reply.send(opened.map_err(|answer| match answer {
            Answer::Failed { category, message } => Reply::Failed { category, message },
            _ => Reply::Done,
        }));
    });
}

/// Whether the bytes that a path waits for can come.
async fn supply(view: &PathView, contents: &mpsc::Sender<contents::Input>) -> Option<Supply> {
    let wins = view.versions.iter().find(|version| version.wins).filter(|_| view.is_waiting)?;
    let file = ContentHash::from_hex(wins.blake3.as_ref()?)?;
    let (reply, answered) = oneshot::channel();
    contents.send(contents::Input::Supply { file, reply }).await.ok()?;
    answered.await.ok()?
}

/// Reads a library's files beside its worker, for as long as that takes.
fn verify(desk: &Desk, key: &LibraryKey, reply: oneshot::Sender<Reply>) {
    let Some(running) = desk.libraries.get(key) else { return };
    let settings = running.settings().clone();
    let (index, stop, inputs) = match running {
        Running::Works { handle, .. } => {
            (handle.index_path.clone(), Arc::clone(&handle.stop), handle.inputs.clone())
        }
        Running::Stands { why, .. } => {
            let _ = reply.send(Reply::failed(Category::Held, why.to_string()));
            return;
        }
    };
    desk.tasks().spawn(async move {
        let mounts = settings.mounts;
        let read = move || library::verify(&index, &mounts, &stop, &mut |_| {});
        let answer = match tokio::task::spawn_blocking(read).await {
            Ok(Ok((view, rotten))) => {
                // The worker gets good bytes for them.
                let _ = inputs.send(Input::Rotten(rotten)).await;
                Answer::Verified(Box::new(view))
            }
            Ok(Err(error)) => Answer::failed(&error),
            Err(_) => failed("reading the files failed: this is a bug, please report it"),
        };
        let _ = reply.send(Reply::Library { name: settings.name, answer });
    });
}

fn failed(message: &str) -> Answer {
    Answer::Failed { category: Category::Held.name().to_owned(), message: message.to_owned() }
}

async fn lock(desk: &mut Desk, library: &str, path: &str, seconds: u64, why: String) -> Reply {
    let key = match find(desk, library) {
        Ok(key) => key,
        Err(reply) => return reply,
    };
    let path = match path_of(Some(path.to_owned())) {
        Ok(Some(path)) => path,
        Ok(None) => return Reply::failed(Category::Usage, "name a path in the library"),
        Err(reply) => return reply,
    };
    let holder = desk.endpoint.node_id();
    if seconds == 0
        && let Some(reply) = not_own(desk, &key, &path, holder)
    {
        return reply;
    }
    let lock = Lock {
        library: key,
        holder,
        path,
        holds_ms: seconds.saturating_mul(1000),
        made_at_ms: clock::now_ms(),
        why,
    };
    let signed = SignedLock::sign(&desk.endpoint.signing_key(), lock);
    desk.take_lock(signed.clone());
    desk.to_exchange(exchange::Input::Lock(signed)).await;
    Reply::Done
}

/// Why a lock cannot be ended: it is of others.
fn not_own(desk: &Desk, key: &LibraryKey, path: &TreePath, me: NodeId) -> Option<Reply> {
    let now_ms = clock::now_ms();
    let at_path: Vec<&SignedLock> = desk
        .locks
        .get(key)
        .into_iter()
        .flat_map(|locks| locks.holding(now_ms))
        .filter(|signed| signed.lock().path == *path)
        .collect();
    let others = at_path.iter().find(|signed| signed.lock().holder != me)?.lock();
    let is_own = at_path.iter().any(|signed| signed.lock().holder == me);
    let message = format!(
        "`{path}` is locked by {}, which alone can end that; it ends by itself in {}",
        others.holder.short(),
        duration_words(Duration::from_millis((others.made_at_ms + others.holds_ms).saturating_sub(now_ms))),
    );
    (!is_own).then(|| Reply::failed(Category::Denied, message))
}

/// The library of this GUID or name: a GUID is one, whatever another library is called, and no two have one name.
fn find(desk: &Desk, which: &str) -> Result<LibraryKey, Reply> {
    let of = |is_it: &dyn Fn(&LibrarySettings) -> bool| {
        desk.libraries.iter().find(|(_, running)| is_it(running.settings())).map(|(key, _)| *key)
    };
    let found =
        of(&|settings| settings.guid.as_str() == which).or_else(|| of(&|settings| settings.name == which));
    found.ok_or_else(|| {
        Reply::failed(Category::Usage, format!("no library `{which}` here: see `swarm library ls`"))
    })
}

fn path_of(text: Option<String>) -> Result<Option<TreePath>, Reply> {
    let Some(text) = text else { return Ok(None) };
    let text = text.trim_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |fault| Reply::failed(Category::Usage, format!("`{text}` is no path in a library: {fault}"));
    TreePath::new(text).map(Some).map_err(bad)
}

/// A path that has to be one below the library itself.
fn named(text: String) -> Result<TreePath, Reply> {
    path_of(Some(text))?.ok_or_else(|| Reply::failed(Category::Usage, "name a path in the library"))
}

fn run_of(text: Option<String>) -> Result<Option<RunId>, Reply> {
    let bad = |error: swarm_sync::NotARun| Reply::failed(Category::Usage, error.to_string());
    text.map(|text| RunId::parse(&text).map_err(bad)).transpose()
}

/// The bytes of a file that settles a conflict.
fn read(file: &std::path::Path) -> Result<Vec<u8>, Reply> {
    use std::io::Read as _;
    let shown = swarm_core::base::Shown(&file).to_string();
    let mut bytes = Vec::new();
    let opened =
        std::fs::File::open(file).and_then(|file| file.take(SETTLED_LEN_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = opened {
        return Err(Reply::failed(Category::of_io(error.kind()), format!("cannot read `{shown}`: {error}")));
    }
    if bytes.len() as u64 > SETTLED_LEN_MAX {
        let message =
            format!("`{shown}` is longer than a conflict can be settled with: put it in its place yourself");
        return Err(Reply::failed(Category::Usage, message));
    }
    Ok(bytes)
}

/// Entries of one answer.
const LIMIT_MAX: usize = 10_000;
/// A file that settles a conflict is kept in the index.
const SETTLED_LEN_MAX: u64 = 64 << 20;
const BUSY: &str = "the library is busy: try again later";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
