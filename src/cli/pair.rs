//! What the commands about a pair share: how it is found, and how work on it ends.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::Global;
use super::failure::Failure;
use super::output::{self, Names, SyncView};
use super::setup;
use swarm_core::base::{Category, Shown};
use swarm_pair::{Found, Options, PairError, PairStore, Session};
use swarm_sync::{PerSide, Side, TreePath};

/// The pairs that are known here.
pub(super) fn store(global: &Global) -> Result<PairStore, Failure> {
    Ok(PairStore::open(&setup::state_dir(global)?))
}

/// A pair that was found by a path in it.
pub(super) struct Place {
    pub(super) found: Found,
    pub(super) names: Names,
}

impl Place {
    /// The pair that a path is in.
    pub(super) fn of(path: &Path, global: &Global) -> Result<Self, Failure> {
        let found = store(global)?.find(path).map_err(|error| match error {
            PairError::NoPair(_) => {
                let path = Shown(path);
                let message = format!(
                    "`{path}` is in no folder that is kept the same: name a path in one, `swarm sync --list` lists them"
                );
                Failure::new(Category::Usage, message)
            }
            error => error.into(),
        })?;
        let names = Names::near(found.pair.root(Side::Local), found.pair.root(Side::Remote));
        Ok(Self { found, names })
    }

    /// Begins to work on it as the last run did; nobody else does meanwhile.
    pub(super) fn begin(&self, stop: &Arc<AtomicBool>, view: &SyncView) -> Result<Session, Failure> {
        let pair = self.found.pair.clone();
        // A folder whose last file was deleted is what somebody restores from.
        let options = Options { accept_empty: true, ..pair.last_options().clone() };
        pair.begin(options, stop, &|event| view.on_event(event)).map_err(ended)
    }

    /// The path in the pair, which has to be one below its folder.
    pub(super) fn path(&self) -> Result<&TreePath, Failure> {
        self.found.path.as_ref().ok_or_else(|| {
            let root = Shown(self.found.pair.root(self.found.side)).to_string();
            Failure::new(Category::Usage, format_args!("`{root}` is the whole folder: name a path in it"))
        })
    }

    /// A view of work on it.
    pub(super) fn view(&self, is_json: bool) -> SyncView {
        SyncView::new(self.names.clone(), PerSide::default(), is_json)
    }
}

/// Why work on a pair ended early.
pub(super) fn ended(error: PairError) -> Failure {
    match error.category() {
        Category::Interrupted => interrupted(),
        _ => error.into(),
    }
}

/// A signal asked for the end.
pub(super) fn interrupted() -> Failure {
    Failure::new(Category::Interrupted, "interrupted at a safe point; run the same command again to go on")
}

/// How a run ends of which this was seen: with what matters most of what is left.
pub(super) fn verdict(view: &SyncView, conflicts: u64, names: &Names) -> Result<(), Failure> {
    verdict_on_asked(view)?;
    if conflicts > 0 {
        return Err(undecided(conflicts, ", all else is done:", names));
    }
    match view.unseen() {
        0 => Ok(()),
        unseen => {
            let count = output::count(unseen as usize, "path");
            Err(Failure::new(
                Category::Partial,
                format_args!("all is done but for {count} that cannot be synced"),
            ))
        }
    }
}

/// How a command ends that was asked for something alone: other paths that cannot be synced were told of, and are no failure of it.
pub(super) fn verdict_on_asked(view: &SyncView) -> Result<(), Failure> {
    let Some(refused) = view.refused() else { return Ok(()) };
    let others = match refused.count {
        1 => String::new(),
        2 => " (and 1 other)".to_owned(),
        count => format!(" (and {} others)", count - 1),
    };
    let message = format!(
        "{}{others}; the rest is done: run the same command again when that is mended",
        refused.worst
    );
    Err(Failure::new(refused.category, message))
}

/// Conflicts that are open; `rest` says what became of all else, or what to do first.
pub(super) fn undecided(conflicts: u64, rest: &str, names: &Names) -> Failure {
    let count = output::count(conflicts as usize, "conflict");
    let verb = if conflicts == 1 { "needs" } else { "need" };
    let name = names.word(Side::Local);
    let message = format!("{count} {verb} a decision{rest} `swarm conflicts {name}` shows what there is");
    Failure::new(Category::Undecided, message)
}
