//! Users that somebody does not want, however often peers propose them: a list of names in the daemon's state.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Names of rejected users. A list that cannot be read is one without names: they are proposed again.
pub(crate) fn read(state: &Path) -> BTreeSet<String> {
    let text = std::fs::read(state.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Remembers one more.
pub(crate) fn add(state: &Path, name: &str) -> io::Result<()> {
    let mut names = read(state);
    if names.len() < NAMES_MAX {
        names.insert(name.to_owned());
    }
    let (path, new) = (state.join(FILE), state.join(format!("{FILE}.new")));
    std::fs::write(&new, serde_json::to_vec_pretty(&names)?)?;
    std::fs::rename(new, path)
}

const FILE: &str = "rejected-users.json";
const NAMES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_user_stays_rejected() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read(folder.path()).is_empty());
        for name in ["anna", "bob", "anna"] {
            add(folder.path(), name).expect("it is written");
        }
        let names: Vec<String> = read(folder.path()).into_iter().collect();
        assert_eq!(names, ["anna", "bob"]);
    }
}
