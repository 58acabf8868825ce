//! Who may do what: one table of roles and permissions. Invariant: what the table does not grant is refused; a role in one library says nothing
//! of another, and nothing of the node.

use std::collections::BTreeMap;

use swarm_daemon_files::Role;

/// Something that a request may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// List and read the files of a library.
    FilesRead,
    /// See how a library stands: state, percent, log, versions.
    LibraryRead,
    /// Put files into a library, bring versions back, lock.
    LibraryWrite,
    /// Decide conflicts of a library.
    ConflictsResolve,
    /// Vote about proposals of a library.
    ApprovalsVote,
    /// Take back what a run or an author did in a library.
    Undo,
    /// Change how a library is kept here: pause, policy, remove.
    LibraryManage,
    /// See the node and its peers.
    NodeRead,
    /// Make and subscribe libraries.
    LibrariesManage,
    /// Add, trust and remove peers.
    PeersManage,
    /// Add, change and remove users.
    UsersManage,
    /// Read and change the settings of the node.
    SettingsManage,
}

use Permission as P;

/// Whether a role has a permission: mirror, viewer, editor, admin.
const TABLE: [(P, [bool; 4]); 12] = [
    (P::FilesRead, [true, true, true, true]),
    (P::LibraryRead, [false, true, true, true]),
    (P::LibraryWrite, [false, false, true, true]),
    (P::ConflictsResolve, [false, false, true, true]),
    (P::ApprovalsVote, [false, false, true, true]),
    (P::Undo, [false, false, true, true]),
    (P::LibraryManage, [false, false, false, true]),
    (P::NodeRead, [false, true, true, true]),
    (P::LibrariesManage, [false, false, false, true]),
    (P::PeersManage, [false, false, false, true]),
    (P::UsersManage, [false, false, false, true]),
    (P::SettingsManage, [false, false, false, true]),
];

impl Permission {
    /// Every permission there is.
    pub const ALL: [Self; 12] = [
        P::FilesRead,
        P::LibraryRead,
        P::LibraryWrite,
        P::ConflictsResolve,
        P::ApprovalsVote,
        P::Undo,
        P::LibraryManage,
        P::NodeRead,
        P::LibrariesManage,
        P::PeersManage,
        P::UsersManage,
        P::SettingsManage,
    ];

    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            P::FilesRead => "files.read",
            P::LibraryRead => "library.read",
            P::LibraryWrite => "library.write",
            P::ConflictsResolve => "conflicts.resolve",
            P::ApprovalsVote => "approvals.vote",
            P::Undo => "undo",
            P::LibraryManage => "library.manage",
            P::NodeRead => "node.read",
            P::LibrariesManage => "libraries.manage",
            P::PeersManage => "peers.manage",
            P::UsersManage => "users.manage",
            P::SettingsManage => "settings.manage",
        }
    }

    /// Whether it is about one library.
    pub fn is_of_library(self) -> bool {
        matches!(
            self,
            P::FilesRead
                | P::LibraryRead
                | P::LibraryWrite
                | P::ConflictsResolve
                | P::ApprovalsVote
                | P::Undo
                | P::LibraryManage
        )
    }

    /// Whether a role has it.
    pub fn is_granted_to(self, role: Role) -> bool {
        let column = match role {
            Role::Mirror => 0,
            Role::Viewer => 1,
            Role::Editor => 2,
            Role::Admin => 3,
        };
        TABLE.iter().any(|(permission, granted)| *permission == self && granted[column])
    }
}

/// What a user may do on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// With the node and all of its libraries.
    pub node: Option<Role>,
    /// In single libraries instead, by name or GUID.
    pub libraries: BTreeMap<String, Role>,
}

impl Roles {
    /// Whether a request about the node itself is allowed.
    pub fn may(&self, permission: Permission) -> bool {
        self.node.is_some_and(|role| permission.is_granted_to(role))
    }

    /// Whether a request about a library is allowed.
    pub fn may_in(&self, permission: Permission, library: &LibraryName<'_>) -> bool {
        self.role_in(library).is_some_and(|role| permission.is_granted_to(role))
    }

    /// What the user is in a library.
    pub fn role_in(&self, library: &LibraryName<'_>) -> Option<Role> {
        let own = self.libraries.get(library.guid).or_else(|| self.libraries.get(library.name));
        own.copied().or(self.node)
    }
}

/// A library by both of its names.
#[derive(Clone, Copy, Debug)]
pub struct LibraryName<'a> {
    /// What this node calls it.
    pub name: &'a str,
    /// What all nodes call it.
    pub guid: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 4] = [Role::Mirror, Role::Viewer, Role::Editor, Role::Admin];

    /// The same table, written as people read it.
    const GRANTED: &str = "
        files.read        mirror viewer editor admin
        library.read             viewer editor admin
        library.write                   editor admin
        conflicts.resolve               editor admin
        approvals.vote                  editor admin
        undo                            editor admin
        library.manage                         admin
        node.read                viewer editor admin
        libraries.manage                       admin
        peers.manage                           admin
        users.manage                           admin
        settings.manage                        admin
    ";

    #[test]
    fn the_page_about_the_api_has_the_same_table() {
        let page = include_str!("../../../../docs/reference/api.md");
        for permission in Permission::ALL {
            let named = format!("`{}`", permission.name());
            let is_its_row = |line: &&str| {
                line.starts_with("| `") && line.contains(&named) && line.matches('|').count() == 6
            };
            let row = page.lines().find(is_its_row).unwrap_or_default();
            let cells: Vec<bool> = row.split('|').skip(2).take(4).map(|cell| cell.trim() == "yes").collect();
            assert_eq!(cells, ROLES.map(|role| permission.is_granted_to(role)), "{named}: {row}");
        }
    }

    #[test]
    fn every_role_has_the_permissions_of_the_table_and_no_other() {
        let granted: BTreeMap<&str, Vec<&str>> = GRANTED
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some((words.next()?, words.collect()))
            })
            .collect();
        assert_eq!(granted.len(), Permission::ALL.len());
        for permission in Permission::ALL {
            for role in ROLES {
                let expected = granted[permission.name()].contains(&role.as_str());
                assert_eq!(
                    permission.is_granted_to(role),
                    expected,
                    "{} {}",
                    role.as_str(),
                    permission.name()
                );
            }
        }
    }

    #[test]
    fn a_role_in_one_library_holds_there_alone() {
        let (one, other) = (LibraryName { name: "One", guid: "1" }, LibraryName { name: "Other", guid: "2" });
        let check = |node: Option<Role>, key: &str, role: Role, expected: [bool; 3]| {
            let libraries = BTreeMap::from([(key.to_owned(), role)]);
            let roles = Roles { node, libraries };
            for permission in Permission::ALL.into_iter().filter(|permission| permission.is_of_library()) {
                let in_one = permission.is_granted_to(role);
                assert_eq!(roles.may_in(permission, &one), in_one);
                let elsewhere = node.is_some_and(|node| permission.is_granted_to(node));
                assert_eq!(roles.may_in(permission, &other), elsewhere);
            }
            let write = P::LibraryWrite;
            let found = [roles.may_in(write, &one), roles.may_in(write, &other), roles.may(P::UsersManage)];
            assert_eq!(found, expected, "{node:?} {key} {role:?}");
        };
        check(None, "1", Role::Editor, [true, false, false]);
        check(None, "One", Role::Admin, [true, false, false]);
        check(Some(Role::Admin), "1", Role::Viewer, [false, true, true]);
        check(Some(Role::Viewer), "One", Role::Editor, [true, false, false]);
        check(Some(Role::Mirror), "1", Role::Viewer, [false, false, false]);
    }
}
