//! A plan in a file: written by one run, read by a person, performed by a later run. Each operation says what it expects, so one whose place
//! has changed since is refused, and nothing is lost.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use swarm_sync::limits::LINK_LEN_MAX;
use swarm_sync::{Kind, Op, OpKind, PerSide, Plan, STATE_FOLDER_NAME, Side, Source};

use crate::{PairError, bounded};

#[derive(Serialize, Deserialize)]
struct PlanFile {
    /// Of the format.
    version: u32,
    roots: PerSide<PathBuf>,
    plan: Plan,
}

/// Writes a plan; the file must not exist.
pub(crate) fn write(path: &Path, roots: &PerSide<PathBuf>, plan: &Plan) -> Result<(), PairError> {
    let file = std::fs::File::create_new(path).map_err(PairError::state(path, "make"))?;
    let content = PlanFile { version: VERSION, roots: roots.clone(), plan: plan.clone() };
    let mut out = std::io::BufWriter::new(file);
    serde_json::to_writer_pretty(&mut out, &content)
        .map_err(std::io::Error::from)
        .and_then(|()| std::io::Write::flush(&mut out))
        .map_err(PairError::state(path, "write"))
}

/// Reads a plan of this pair.
pub(crate) fn read(path: &Path, roots: &PerSide<PathBuf>) -> Result<Plan, PairError> {
    let bad = |why: String| PairError::BadFile { path: path.to_owned(), what: "plan", why };
    let text = bounded::read(path, LEN_MAX).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidData => bad(error.to_string()),
        _ => PairError::state(path, "read")(error),
    })?;
    let file: PlanFile = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    if file.version != VERSION {
        return Err(bad(format!(
            "it has version {}, this swarm reads version {VERSION}: plan again",
            file.version
        )));
    }
    if file.roots != *roots {
        return Err(bad("it was made for two other folders".to_owned()));
    }
    Side::BOTH.into_iter().flat_map(|side| file.plan.ops.of(side)).try_for_each(check).map_err(bad)?;
    Ok(file.plan)
}

/// Refuses what no plan has, however it came into the file. Paths are such below a root: reading them checked that.
fn check(op: &Op) -> Result<(), String> {
    let mut paths = vec![&op.path];
    match &op.kind {
        OpKind::Move { from } => paths.push(from),
        OpKind::Put { content, source, .. } => {
            check_content(op, content)?;
            match source {
                Source::Other { path } => paths.push(path),
                Source::Kept { kept, .. } => paths.push(&kept.path),
                Source::Settled { .. } => {}
            }
        }
        OpKind::MakeFolder | OpKind::SetExecutable { .. } | OpKind::Remove => {}
    }
    match paths.into_iter().find(|path| path.components().next() == Some(STATE_FOLDER_NAME)) {
        Some(path) => Err(format!(
            "it names `{path}`, and what is in `{STATE_FOLDER_NAME}` is not for plans: plan again"
        )),
        None => Ok(()),
    }
}

fn check_content(op: &Op, content: &Kind) -> Result<(), String> {
    match content {
        Kind::Folder => Err(format!("it puts a folder at `{}` as if it were a file: plan again", op.path)),
        Kind::Symlink { target } if target.len() > LINK_LEN_MAX || target.contains('\0') => {
            Err(format!("the target of the link `{}` is none: plan again", op.path))
        }
        Kind::File(_) | Kind::Symlink { .. } => Ok(()),
    }
}

const VERSION: u32 = 1;
/// A plan of a million operations has some 500 MB.
const LEN_MAX: u64 = 4 << 30;
