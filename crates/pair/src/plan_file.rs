//! A plan in a file: written by one run, read by a person, performed by a later run. Each operation says what it expects, so one whose place
//! has changed since is refused, and nothing is lost.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use swarm_sync::{PerSide, Plan};

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
    Ok(file.plan)
}

const VERSION: u32 = 1;
/// A plan of a million operations has some 500 MB.
const LEN_MAX: u64 = 4 << 30;
