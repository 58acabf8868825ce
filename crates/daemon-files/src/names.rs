//! What the libraries of a node are called. Invariant: no two have one name, because roles, answers and orders are by name. One that is followed is
//! called as its folder, which may be what another is called, too, or the GUID of another: it has some of its GUID beside it then. Those of
//! `libraries.json` keep the names that they have there.

use std::collections::{BTreeMap, BTreeSet};

use crate::{DaemonFolder, Library, Role, Subscription, User};

impl DaemonFolder {
    /// The names of all libraries, by GUID.
    pub fn library_names(&self) -> BTreeMap<String, String> {
        let own = |library: &Library| (library.guid.to_string(), library.name.clone());
        let own = self.libraries().iter().map(own).collect();
        told_apart(own, self.subscriptions().iter().map(folder_name).collect())
    }

    /// What a user may do in single libraries, by GUID. An entry that names a library by a folder of which there are several now was meant for one of
    /// them: it takes rights in each, and gives none. Entries that name no library of this node stay as they are.
    pub fn roles_in_libraries(&self, user: &User) -> BTreeMap<String, Role> {
        let names = self.library_names();
        let mut roles = BTreeMap::new();
        for (library, role) in &user.libraries {
            if let Some((guid, _)) = names.iter().find(|(_, name)| *name == library) {
                roles.insert(guid.clone(), *role);
                // Another one may have had that name when the entry was written.
                let others = self.subscriptions().iter().map(folder_name);
                let others = others.filter(|(other, name)| name == library && other != guid);
                if let Some(of_node) = user.role {
                    for (other, _) in others {
                        roles.entry(other).or_insert(of_node.min(*role));
                    }
                }
                continue;
            }
            let followed = self.subscriptions().iter().map(folder_name);
            let meant: Vec<String> =
                followed.filter(|(_, name)| name == library).map(|(guid, _)| guid).collect();
            if names.contains_key(library) || meant.is_empty() {
                roles.insert(library.clone(), *role);
            } else if let Some(of_node) = user.role {
                roles.extend(meant.into_iter().map(|guid| (guid, of_node.min(*role))));
            }
        }
        // By its GUID, a library is meant whatever it is called.
        let by_guid = user.libraries.iter().filter(|(library, _)| names.contains_key(*library));
        roles.extend(by_guid.map(|(guid, role)| (guid.clone(), *role)));
        roles
    }
}

/// The GUID of a library that is followed, and the name of its folder.
fn folder_name(followed: &Subscription) -> (String, String) {
    let name = followed.local_sync_dir.file_name().map(|name| name.to_string_lossy().into_owned());
    (followed.guid.to_string(), name.unwrap_or_else(|| followed.guid.to_string()))
}

/// Names by GUID, told apart.
fn told_apart(
    own: BTreeMap<String, String>,
    mut followed: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    followed.retain(|guid, _| !own.contains_key(guid));
    let guids: BTreeSet<&String> = own.keys().chain(followed.keys()).collect();
    let mut count: BTreeMap<&String, usize> = BTreeMap::new();
    for name in own.values().chain(followed.values()) {
        *count.entry(name).or_default() += 1;
    }
    let is_clear =
        |(guid, name): &(&String, &String)| count[name] == 1 && (guid == name || !guids.contains(name));
    let (clear, unclear): (Vec<_>, Vec<_>) = followed.iter().partition(is_clear);
    let mut names: BTreeMap<String, String> = own.clone();
    names.extend(clear.into_iter().map(|(guid, name)| (guid.clone(), name.clone())));
    let mut taken: BTreeSet<String> = names.values().chain(guids).cloned().collect();
    for (guid, name) in unclear {
        let short = guid.get(..GUID_DIGITS).unwrap_or(guid);
        let longer = [format!("{name} ({short})"), format!("{name} ({guid})")];
        // Nobody else is called by its own GUID.
        let name = longer.into_iter().find(|name| !taken.contains(name)).unwrap_or_else(|| guid.clone());
        taken.insert(name.clone());
        names.insert(guid.clone(), name);
    }
    names
}

/// Digits of a GUID that tell libraries of one name apart.
const GUID_DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_libraries_have_one_name() {
        let check = |own: &[(&str, &str)], followed: &[(&str, &str)], expected: &[&str]| {
            let of = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
                all.iter().map(|(guid, name)| ((*guid).to_owned(), (*name).to_owned())).collect()
            };
            let names = told_apart(of(own), of(followed));
            let names: Vec<&str> =
                own.iter().chain(followed).map(|(guid, _)| names[*guid].as_str()).collect();
            assert_eq!(names, expected, "{own:?} {followed:?}");
        };
        let (one, two, three) = ("firstguid000", "secondguid00", "secondguid99");
        check(&[(one, "Films")], &[(two, "Tunes")], &["Films", "Tunes"]);
        check(&[(one, "Films")], &[(two, "Films")], &["Films", "Films (secondgu)"]);
        check(&[], &[(one, "Films"), (two, "Films")], &["Films (firstgui)", "Films (secondgu)"]);
        check(
            &[(one, "Films")],
            &[(two, "Films"), (three, "Films")],
            &["Films", "Films (secondgu)", "Films (secondguid99)"],
        );
        check(
            &[(one, "Films"), (three, "Films (secondgu)")],
            &[(two, "Films")],
            &["Films", "Films (secondgu)", "Films (secondguid00)"],
        );
        // A folder that is called as the GUID of another library, and one that is called as its own.
        check(&[], &[(one, two), (two, "Films")], &["secondguid00 (firstgui)", "Films"]);
        check(&[], &[(one, one)], &[one]);
        check(&[(one, "Films")], &[(one, "Followed")], &["Films", "Films"]);
    }
}
