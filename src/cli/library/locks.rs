//! `swarm lock` and `swarm unlock`: who edits what, told to the others.

use super::super::args::{DaemonDir, Global, LockArgs, UnlockArgs};
use super::super::daemon;
use super::super::failure::Failure;
use super::super::output;
use super::{place, status};
use swarm_core::base::{Category, Shown};
use swarm_daemon::{LockStatus, Request};

pub(in super::super) fn lock(args: &LockArgs, global: &Global) -> Result<(), Failure> {
    let (library, path) = named(&args.place)?;
    for other in at(&args.folder, library, path, global)? {
        output::note(format_args!("{}", output::lock_line(library, &other)));
    }
    let request = Request::Lock {
        library: library.to_owned(),
        path: path.to_owned(),
        seconds: args.time.as_secs().max(1),
        why: args.why.clone(),
    };
    daemon::ask(&args.folder, global, &request).map(drop)
}

pub(in super::super) fn unlock(args: &UnlockArgs, global: &Global) -> Result<(), Failure> {
    let (library, path) = named(&args.place)?;
    let place = path.trim_matches('/');
    if !at(&args.folder, library, path, global)?.iter().any(|lock| lock.path == place) {
        output::note(format_args!("nothing is locked at `{}`", Shown(place)));
    }
    let request =
        Request::Lock { library: library.to_owned(), path: path.to_owned(), seconds: 0, why: String::new() };
    daemon::ask(&args.folder, global, &request).map(drop)
}

/// Locks that hold at a path, around it or below it.
pub(super) fn at(
    folder: &DaemonDir,
    library: &str,
    path: &str,
    global: &Global,
) -> Result<Vec<LockStatus>, Failure> {
    let status = status(folder, global)?;
    let path = path.trim_matches('/');
    let is_within = |one: &str, other: &str| {
        one == other || one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
    };
    let mut of_library = status
        .libraries
        .into_iter()
        .filter(|known| known.name == library || known.guid == library)
        .flat_map(|known| known.locks)
        .collect::<Vec<_>>();
    of_library.retain(|lock| is_within(path, &lock.path) || is_within(&lock.path, path));
    Ok(of_library)
}

fn named(text: &str) -> Result<(&str, &str), Failure> {
    let (library, path) = place(text);
    let missing =
        || Failure::new(Category::Usage, format_args!("`{text}` names no path: write LIBRARY:/PATH"));
    path.map(|path| (library, path)).ok_or_else(missing)
}
