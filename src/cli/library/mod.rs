//! The commands around libraries: one file each for what is kept, whom it is shared with, and what is decided. Settings are edited in the
//! files of the daemon's folder, which it reads within a second, so that they can be made before it runs; the rest is asked of the daemon.

mod address;
mod authors;
mod contact;
mod joining;
mod kept;
mod locks;
mod naming;
mod paths;
mod peers;
mod sharing;
mod subscribing;
mod users;
mod votes;

pub(super) use authors::run as author;
pub(super) use joining::{is_remote, join};
pub(super) use kept::run;
pub(super) use locks::{lock, unlock};
pub(super) use paths::{Named, changes_of, conflicts, explain, resolve, restore, undo, versions};
pub(super) use peers::run as peer;
pub(super) use sharing::share;
pub(super) use subscribing::{subscribe, unsubscribe};
pub(super) use users::{ls as users, run as user};
pub(super) use votes::{approvals, approve, refuse, withdraw};

use std::path::Path;

use super::args::{DaemonDir, Global};
use super::daemon;
use super::failure::Failure;
use super::output;
use swarm_core::base::{Category, Shown};
use swarm_daemon::{Answer, Reply, Request, Status};
use swarm_daemon_files::{DaemonFolder, Followed, Guid};

/// The files of the daemon. A folder that has none is made, since settings may come before the first start.
fn files(args: &DaemonDir, global: &Global) -> Result<DaemonFolder, Failure> {
    let dir = daemon::folder(args, global)?;
    let is_new = dir.symlink_metadata().is_err();
    let folder = DaemonFolder::open(&dir)?;
    if is_new {
        output::note(format_args!("made `{}`: `swarm daemon` starts the daemon of it", Shown(&dir)));
    }
    Ok(folder)
}

/// A library in the files of a daemon.
#[derive(Clone, Debug)]
struct Known {
    name: String,
    guid: Guid,
    is_subscription: bool,
}

impl Known {
    fn followed(&self) -> Followed<'_> {
        if self.is_subscription { Followed::Subscription(&self.guid) } else { Followed::Library(&self.name) }
    }
}

/// All libraries in the files.
fn all_known(folder: &DaemonFolder) -> Vec<Known> {
    let names = folder.library_names();
    let name_of = |guid: &Guid| names.get(guid.as_str()).cloned().unwrap_or_else(|| guid.to_string());
    let kept = folder.libraries().iter().map(|library| Known {
        name: library.name.clone(),
        guid: library.guid.clone(),
        is_subscription: false,
    });
    let subscribed = folder.subscriptions().iter().map(|subscription| Known {
        name: name_of(&subscription.guid),
        guid: subscription.guid.clone(),
        is_subscription: true,
    });
    kept.chain(subscribed).collect()
}

/// The library of this name or GUID in the files.
fn known(folder: &DaemonFolder, which: &str) -> Result<Known, Failure> {
    let mut found = all_known(folder);
    found.retain(|known| known.name == which || known.guid.as_str() == which);
    let message = match found.len() {
        1 => return Ok(found.remove(0)),
        0 => format!("there is no library `{which}` here: `swarm library ls` lists those there are"),
        _ => format!("several libraries are called `{which}`: name its GUID"),
    };
    Err(Failure::new(Category::Usage, message))
}

/// How the daemon stands; nothing if none runs.
fn status_if_running(args: &DaemonDir, global: &Global) -> Result<Option<Status>, Failure> {
    match swarm_daemon::ask(&daemon::folder(args, global)?, &Request::Status) {
        Ok(Reply::Status(status)) => Ok(Some(*status)),
        Ok(_) => Err(odd()),
        Err(_) => Ok(None),
    }
}

/// Waits until a daemon that runs has taken over a library that was just written to its files: the next command may be about it.
fn until_taken_over(args: &DaemonDir, global: &Global, guid: &Guid) -> Result<(), Failure> {
    for _ in 0..TAKEN_OVER_LOOKS {
        let Some(status) = status_if_running(args, global)? else { return Ok(()) };
        if status.libraries.iter().any(|library| library.guid == guid.as_str()) {
            return Ok(());
        }
        std::thread::sleep(TAKEN_OVER_INTERVAL);
    }
    output::note("the daemon has not taken it over yet: `swarm status` says what is wrong with its files");
    Ok(())
}

/// Waits until a daemon that runs has left a library that was just taken out of its files: the next command may follow it anew.
fn until_left(args: &DaemonDir, global: &Global, guid: &Guid) -> Result<(), Failure> {
    for _ in 0..TAKEN_OVER_LOOKS {
        let Some(status) = status_if_running(args, global)? else { return Ok(()) };
        if status.libraries.iter().all(|library| library.guid != guid.as_str()) {
            return Ok(());
        }
        std::thread::sleep(TAKEN_OVER_INTERVAL);
    }
    output::note("the daemon is still at work on it: `swarm library ls` lists it until that is over");
    Ok(())
}

/// How the daemon stands.
fn status(args: &DaemonDir, global: &Global) -> Result<Status, Failure> {
    match daemon::ask(args, global, &Request::Status)? {
        Reply::Status(status) => Ok(*status),
        _ => Err(odd()),
    }
}

/// What one library answers.
fn answer(args: &DaemonDir, global: &Global, request: &Request) -> Result<Answer, Failure> {
    match daemon::ask(args, global, request)? {
        Reply::Library { answer, .. } => done(answer),
        _ => Err(odd()),
    }
}

/// An answer, unless it is that it was not done.
fn done(answer: Answer) -> Result<Answer, Failure> {
    match answer {
        Answer::Failed { category, message } => {
            Err(Failure::new(Category::from_name(&category).unwrap_or(Category::Other), message))
        }
        answer => Ok(answer),
    }
}

/// An answer of another kind than was asked for.
fn odd() -> Failure {
    let message = "the daemon answered something else: use the swarm that it was started with";
    Failure::new(Category::Other, message)
}

/// A folder as the files of a daemon have it, which may run elsewhere.
fn absolute(dir: &Path) -> Result<String, Failure> {
    let dir = std::path::absolute(dir).map_err(|error| Failure::file("find", dir, &error))?;
    dir.into_os_string().into_string().map_err(|dir| {
        let message =
            format!("the name of `{}` is no text: give the folder another one", Shown(Path::new(&dir)));
        Failure::new(Category::Usage, message)
    })
}

const TAKEN_OVER_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);
const TAKEN_OVER_LOOKS: u32 = 50;

/// A library, and a path in it: `LIBRARY`, `LIBRARY:/PATH` or `LIBRARY:PATH`.
fn place(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((library, path)) => (library, Some(path).filter(|path| !path.trim_matches('/').is_empty())),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_library_and_a_path_in_it() {
        assert_eq!(place("Lib 1"), ("Lib 1", None));
        assert_eq!(place("Lib 1:/"), ("Lib 1", None));
        assert_eq!(place("Lib 1:/a/b:c"), ("Lib 1", Some("/a/b:c")));
        assert_eq!(place("Lib 1:a"), ("Lib 1", Some("a")));
    }
}
