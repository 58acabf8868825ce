//! `swarm restore`: brings a kept version back, in its place or elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::{Global, RestoreArgs};
use super::failure::Failure;
use super::library::{self, Named};
use super::output;
use super::pair::{self, Place, ended};
use swarm_core::base::{Category, Shown};
use swarm_pair::VersionView;
use swarm_sync::RunId;

pub(super) fn run(args: &RestoreArgs, global: &Global, stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    let (path, run) = split(&args.path);
    if let Some(named) = Named::of(&path, &args.folder, global)? {
        return library::restore(&named, run, args, global);
    }
    let place = Place::of(&path, global)?;
    let tree_path = place.path()?;
    let mut versions = place.found.pair.versions(Some(tree_path))?;
    versions.retain(|version| version.id.path == *tree_path);
    let version = chosen(&versions, run, &path)?;
    match &args.out {
        Some(out) => write_out(version, out, &place),
        None => put_back(version, &path, &place, stop),
    }
}

/// Copies a version out of the pair.
fn write_out(version: &VersionView, out: &Path, place: &Place) -> Result<(), Failure> {
    if out == Path::new("-") {
        let copied = place.found.copy_to(version, &mut output::Stdout)?;
        return copied.map_err(|error| Failure::stdout(&error));
    }
    if out.symlink_metadata().is_ok() {
        let message = format!("`{}` is there already: name another file, or move it away", Shown(out));
        return Err(Failure::new(Category::TargetDiffers, message));
    }
    place.found.copy_out(version, out)?;
    output::note(format_args!("wrote version {} to `{}`", version.id.run, Shown(out)));
    Ok(())
}

/// Puts a version back where it stood; what stands there is kept in its turn.
fn put_back(
    version: &VersionView,
    path: &Path,
    place: &Place,
    stop: &Arc<AtomicBool>,
) -> Result<(), Failure> {
    let view = place.view(false);
    let mut session = place.begin(stop, &view)?;
    session.scan(&|event| view.on_event(event)).map_err(ended)?;
    session.restore(version, place.found.side, &|event| view.on_event(event)).map_err(ended)?;
    view.clear();
    pair::verdict_on_asked(&view)?;
    output::note(format_args!("restored `{}` from version {}", Shown(path), version.id.run));
    Ok(())
}

/// A path, and the version that stands behind its last `@`, if that names one.
fn split(argument: &Path) -> (PathBuf, Option<RunId>) {
    let named = argument.to_str().and_then(|text| {
        let (path, version) = text.rsplit_once('@')?;
        Some((PathBuf::from(path), RunId::parse(version).ok()?))
    });
    named.map_or_else(|| (argument.to_owned(), None), |(path, run)| (path, Some(run)))
}

/// The version of a run; the newest without one.
fn chosen<'a>(
    versions: &'a [VersionView],
    run: Option<RunId>,
    path: &Path,
) -> Result<&'a VersionView, Failure> {
    let chosen = match run {
        None => versions.iter().max_by_key(|version| version.id.run),
        Some(run) => versions.iter().find(|version| version.id.run == run),
    };
    chosen.ok_or_else(|| {
        let path = Shown(path);
        let message = match run {
            None => format!("no version of `{path}` is kept: check the path"),
            Some(run) => {
                format!("no version {run} of `{path}` is kept: `swarm versions` lists those that are")
            }
        };
        Failure::new(Category::Usage, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_behind_the_last_at_sign() {
        let check = |text: &str, path: &str, run: Option<&str>| {
            let run = run.map(|run| RunId::parse(run).expect("a run"));
            assert_eq!(split(Path::new(text)), (PathBuf::from(path), run), "{text}");
        };
        check("a/b", "a/b", None);
        check("a@b", "a@b", None);
        check("a/b@20261129T101500.123Z", "a/b", Some("20261129T101500.123Z"));
        check("me@home@20261129T101500.123Z", "me@home", Some("20261129T101500.123Z"));
    }
}
