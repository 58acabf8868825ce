//! The commands about a pair of folders, for a library of a daemon: conflicts, kept versions, runs and what is known of a path. What only
//! reads opens the memory of the library; what changes something is asked of the daemon.

use std::path::{Path, PathBuf};

use super::super::args::{
    ChangesArgs, ConflictsArgs, DaemonDir, ExplainArgs, Global, ResolveArgs, RestoreArgs, UndoArgs,
    VersionsArgs,
};
use super::super::changes;
use super::super::daemon;
use super::super::failure::{Exit, Failure};
use super::super::output::{self, Comparison, ConflictJson, Names, Paint, VersionJson};
use super::{answer, known, locks, odd, place};
use swarm_core::base::{Category, Shown};
use swarm_daemon::{Answer, DeedsView, DisputeView, KeptView, Request, TextsView};
use swarm_daemon_files::DaemonFolder;
use swarm_pair::{ConflictView, VersionView, changes_in, conflicts_in, deeds_in};
use swarm_sync::{
    ChangeLog, Conflict, DiffNames, FoundKind, KeptId, PerSide, RunId, Side, TreePath, merged, unified_diff,
};

/// A library of a daemon that a command names in the place of a path, and a path in it.
#[derive(Debug)]
pub(in super::super) struct Named {
    name: String,
    path: Option<String>,
    folder: DaemonDir,
    index: PathBuf,
}

impl Named {
    /// Only if a daemon is named, too: otherwise every argument is a path.
    pub(in super::super) fn of(
        argument: &Path,
        folder: &DaemonDir,
        global: &Global,
    ) -> Result<Option<Self>, Failure> {
        let (Some(_), Some(text)) = (&folder.dir, argument.to_str()) else { return Ok(None) };
        let dir = daemon::folder(folder, global)?;
        let (library, path) = place(text);
        if !dir.join("libraries.json").exists() {
            return Ok(None);
        }
        let Ok(known) = known(&DaemonFolder::open(&dir)?, library) else { return Ok(None) };
        let index = swarm_daemon::index_path(&dir, known.guid.as_str());
        let path = path.map(str::to_owned);
        Ok(Some(Self { name: known.name, path, folder: folder.clone(), index }))
    }

    fn path(&self) -> Result<String, Failure> {
        self.path.clone().ok_or_else(|| {
            let message =
                format!("`{}` is the whole library: name a path in it, as in LIBRARY:/PATH", self.name);
            Failure::new(Category::Usage, message)
        })
    }

    fn tree_path(&self) -> Result<Option<TreePath>, Failure> {
        let Some(path) = &self.path else { return Ok(None) };
        let path = path.trim_matches('/');
        let bad =
            |fault| Failure::new(Category::Usage, format_args!("`{path}` is no path in a library: {fault}"));
        TreePath::new(path).map(Some).map_err(bad)
    }

    fn names(&self) -> Names {
        Names::of_library(&self.name)
    }

    /// The memory of the library, which the first start of the daemon makes.
    fn index(&self) -> Result<&Path, Failure> {
        if self.index.exists() {
            return Ok(&self.index);
        }
        let message = format!("library `{}` was never at work here: start the daemon first", self.name);
        Err(Failure::new(Category::NoNode, message))
    }

    fn open_conflicts(&self) -> Result<Vec<ConflictView>, Failure> {
        let place = self.tree_path()?;
        let mut open = conflicts_in(self.index()?)?;
        open.retain(|view| place.as_ref().is_none_or(|place| view.conflict.path.is_at_or_below(place)));
        Ok(open)
    }

    /// Conflicts that other machines decide. A daemon that does not run tells of none.
    fn disputes(&self, global: &Global) -> Result<Vec<DisputeView>, Failure> {
        let place = self.path.as_deref().map(|path| path.trim_matches('/').to_owned());
        let mut found = match self.ask(global, &Request::Disputes { library: self.name.clone() }) {
            Ok(Answer::Disputes(found)) => found,
            Ok(_) => return Err(odd()),
            Err(failure) if failure.exit == Exit::NoNode => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let is_in = |path: &str, place: &str| {
            path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        found.retain(|dispute| place.as_ref().is_none_or(|place| is_in(&dispute.path, place)));
        Ok(found)
    }

    fn ask(&self, global: &Global, request: &Request) -> Result<Answer, Failure> {
        answer(&self.folder, global, request)
    }
}

pub(in super::super) fn conflicts(of: &Named, args: &ConflictsArgs, global: &Global) -> Result<(), Failure> {
    let open = of.open_conflicts()?;
    let elsewhere = of.disputes(global)?;
    if args.json {
        open.iter().try_for_each(|view| output::json(&ConflictJson::from(view)))?;
        return elsewhere.iter().try_for_each(output::json);
    }
    if open.is_empty() && elsewhere.is_empty() {
        output::note("no conflicts");
    }
    for (index, view) in open.iter().enumerate() {
        if index > 0 {
            output::text("\n")?;
        }
        let compared = compare(of, &view.conflict, global)?;
        output::text(&output::conflict_text(&view.conflict, &compared, &of.names(), Paint::stdout()))?;
        if view.choice.is_some() {
            output::result("  decided: the daemon carries it out")?;
        }
    }
    for (index, dispute) in elsewhere.iter().enumerate() {
        if index > 0 || !open.is_empty() {
            output::text("\n")?;
        }
        output::text(&output::dispute_text(&of.name, dispute))?;
    }
    Ok(())
}

/// How both versions differ, as far as their texts are on this machine.
fn compare(of: &Named, conflict: &Conflict, global: &Global) -> Result<Comparison, Failure> {
    let request = Request::Texts { library: of.name.clone(), path: conflict.path.as_str().to_owned() };
    let Answer::Texts(texts) = of.ask(global, &request)? else { return Err(odd()) };
    let TextsView { local, remote, base } = *texts;
    let texts = PerSide { local: local.map(String::into_bytes), remote: remote.map(String::into_bytes) };
    let merge = merged(conflict, base.as_deref().map(str::as_bytes), &texts).map(drop);
    let diff = match (&texts.local, &texts.remote) {
        (Some(local), Some(remote)) => {
            let (old, new) = (format!("here/{}", conflict.path), format!("library/{}", conflict.path));
            unified_diff(local, remote, DiffNames { old: &old, new: &new })
        }
        _ => None,
    };
    Ok(Comparison { diff, merge })
}

pub(in super::super) fn resolve(of: &Named, args: &ResolveArgs, global: &Global) -> Result<(), Failure> {
    let (choice, file) = match args.choice.to_str() {
        Some("local" | "keep-local") => ("keep-local", None),
        Some("remote" | "keep-remote") => ("keep-remote", None),
        Some("both" | "keep-both") => ("keep-both", None),
        Some("merge") => ("merge", None),
        _ if args.choice.is_file() => ("file", Some(super::super::control::absolute(&args.choice)?)),
        _ => {
            let message = format!(
                "`{}` is no choice, and no file: choose local, remote, both, merge, or a file",
                Shown(&args.choice)
            );
            return Err(Failure::new(Category::Usage, message));
        }
    };
    let (library, path) = (of.name.clone(), of.path.clone());
    let request = Request::Decide { library, path, choice: choice.to_owned(), file, all: args.all };
    let Answer::Deeds(deeds) = of.ask(global, &request)? else { return Err(odd()) };
    if !args.json {
        let count = output::count(deeds.performed as usize, "conflict");
        output::note(format_args!("decided {count}: the daemon carries it out"));
        return Ok(());
    }
    let open = of.open_conflicts()?;
    open.iter()
        .filter(|view| view.choice.is_some())
        .try_for_each(|view| output::json(&ConflictJson::decided(view)))
}

pub(in super::super) fn versions(of: &Named, args: &VersionsArgs, global: &Global) -> Result<(), Failure> {
    let request = Request::Versions { library: of.name.clone(), path: of.path()? };
    let Answer::Versions(kept) = of.ask(global, &request)? else { return Err(odd()) };
    let versions: Vec<VersionView> = kept.iter().filter_map(version_view).collect();
    if args.json {
        versions.iter().try_for_each(|version| output::json(&VersionJson::from(version)))
    } else if versions.is_empty() {
        output::note(format_args!("no version of `{}` is kept", Shown(&args.path)));
        Ok(())
    } else {
        output::text(&output::versions_table(&versions, &of.names()))
    }
}

fn version_view(kept: &KeptView) -> Option<VersionView> {
    let kind = match kept.kind.as_str() {
        "file" => FoundKind::File { len: kept.len, executable: false },
        "symlink" => FoundKind::Symlink { target: String::new().into() },
        _ => FoundKind::Folder,
    };
    let id = KeptId {
        run: RunId::parse(&kept.run).ok()?,
        path: TreePath::new(kept.path.as_str()).ok()?,
        number: kept.number,
    };
    Some(VersionView { side: Side::Local, id, len: kept.len, modified_ns: kept.modified_ns, kind })
}

/// `run` stood behind the path.
pub(in super::super) fn restore(
    of: &Named,
    run: Option<RunId>,
    args: &RestoreArgs,
    global: &Global,
) -> Result<(), Failure> {
    let out = match args.out.as_deref() {
        Some(out) if out == Path::new("-") => {
            let message = "the daemon writes the version, and cannot write to this stdout: name a file";
            return Err(Failure::new(Category::Usage, message));
        }
        Some(out) if out.symlink_metadata().is_ok() => {
            let message = format!("`{}` is there already: name another file, or move it away", Shown(out));
            return Err(Failure::new(Category::TargetDiffers, message));
        }
        out => out.map(super::super::control::absolute).transpose()?,
    };
    let (library, path) = (of.name.clone(), of.path()?);
    let request = Request::Restore {
        library,
        path: path.clone(),
        run: run.map(|run| run.to_string()),
        out: out.clone(),
    };
    match (of.ask(global, &request)?, out) {
        (Answer::Deeds(deeds), None) => {
            refused(&deeds)?;
            output::note(restored(&path, &deeds));
        }
        (Answer::Done, Some(out)) => output::note(format_args!("wrote what was kept to `{}`", Shown(&out))),
        _ => return Err(odd()),
    }
    Ok(())
}

fn restored(path: &str, deeds: &DeedsView) -> String {
    let from = if deeds.run.is_empty() { String::new() } else { format!(" from version {}", deeds.run) };
    match deeds.restored {
        None => format!("restored `{path}`{from}: the others get it, too"),
        Some(count) => {
            let files = output::count(count as usize, "file");
            format!("restored {files} below `{path}`{from}: the others get them, too")
        }
    }
}

pub(in super::super) fn undo(
    of: &Named,
    run: Option<RunId>,
    args: &UndoArgs,
    global: &Global,
) -> Result<(), Failure> {
    let request = Request::Undo { library: of.name.clone(), run: run.map(|run| run.to_string()) };
    let Answer::Deeds(deeds) = of.ask(global, &request)? else { return Err(odd()) };
    if args.json {
        output::json(&deeds)?;
    } else {
        let count = output::count(deeds.performed as usize, "operation");
        output::note(format_args!(
            "run {}: took back {count} on this disk; the others hear of it",
            deeds.run
        ));
    }
    for path in &deeds.unknown {
        output::note(format_args!("cannot undo what was being done to `{path}` when the run was cut off"));
    }
    if deeds.published > 0 {
        let count = output::count(deeds.published as usize, "change");
        output::note(format_args!(
            "{count} that this node told the others of in that run stand: what was there before is in the \
             library's log, and `swarm author undo me --since {}` takes them back",
            deeds.run
        ));
    }
    refused(&deeds)
}

fn refused(deeds: &DeedsView) -> Result<(), Failure> {
    let Some((path, why)) = deeds.refused.first() else { return Ok(()) };
    let others = match deeds.refused.len() {
        1 => String::new(),
        count => format!(" (and {} others)", count - 1),
    };
    Err(Failure::new(Category::Partial, format_args!("`{path}`: {why}{others}; the rest is done")))
}

pub(in super::super) fn changes_of(of: &Named, args: &ChangesArgs) -> Result<(), Failure> {
    let deeds = changes_in(of.index()?, changes::since_ms(args.since), u32::MAX)?;
    let names = of.names();
    let changes = changes::listed(&deeds, &|side| names.of(side).to_owned());
    if args.json {
        output::json(&ChangeLog { changes })
    } else if changes.is_empty() {
        output::note("no changes");
        Ok(())
    } else {
        output::text(&output::changes_table(&changes, &names))
    }
}

pub(in super::super) fn explain(of: &Named, args: &ExplainArgs, global: &Global) -> Result<(), Failure> {
    let path = of.path()?;
    let request = Request::Explain { library: of.name.clone(), path: path.clone() };
    let Answer::Explain(view) = of.ask(global, &request)? else { return Err(odd()) };
    if args.json {
        return output::json(&view);
    }
    let deeds = match of.tree_path()? {
        Some(path) => deeds_in(of.index()?, &path)?,
        None => Vec::new(),
    };
    let locks = locks::at(&of.folder, &of.name, &path, global)?;
    output::text(&output::path_text(&of.name, &view, &deeds, &locks))
}
