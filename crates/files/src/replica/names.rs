//! Which names a folder's file system can hold. Found out without writing: a run that only plans leaves no trace.

use std::path::Path;

use swarm_sync::NameRules;

use super::root::Root;

/// The rules for names below this root.
pub(super) fn rules(root: &Root) -> NameRules {
    let is_of_windows = root.file_system.is_of_windows;
    let name_len_max =
        rustix::fs::fstatvfs(&root.dir).ok().and_then(|stat| u16::try_from(stat.f_namemax).ok());
    NameRules {
        ignores_case: ignores_case(root).unwrap_or(is_of_windows),
        // Only file systems of macOS do.
        ignores_form: cfg!(target_os = "macos"),
        refuses_windows_names: is_of_windows,
        name_len_max: name_len_max.filter(|len| *len < USUAL_NAME_LEN_MAX),
    }
}

/// Whether a name leads to the same entry in the other case. `None` if the folder has no name with a letter.
fn ignores_case(root: &Root) -> Option<bool> {
    let (name, other) = root.dir.name_in_both_cases()?;
    let named = root.dir.look(Path::new(&name)).ok()??;
    Some(root.dir.look(Path::new(&other)).ok()?.is_some_and(|look| look.id == named.id))
}

const USUAL_NAME_LEN_MAX: u16 = 255;
