//! `swarm user` and `swarm users`: who may use a node.

use serde::Serialize;

use super::super::args::{DaemonDir, Global, UserAddArgs, UserArgs, UserCommand, UsersArgs};
use super::super::daemon;
use super::super::failure::Failure;
use super::super::output;
use super::super::password;
use super::{files, odd};
use std::collections::BTreeMap;
use std::path::Path;
use swarm_core::base::{Category, Shown};
use swarm_daemon::{ProposedUser, Reply, Request};
use swarm_daemon_files::{Role, User};

pub(in super::super) fn run(command: &UserCommand, global: &Global) -> Result<(), Failure> {
    match command {
        UserCommand::Add(args) => add(args, global),
        UserCommand::Ls(args) => ls(args, global),
        UserCommand::Remove(args) => {
            files(&args.folder, global)?.remove_user(&args.name)?;
            Ok(())
        }
        UserCommand::Accept { of, password_file } => accept(of, password_file.as_deref(), global),
        UserCommand::Reject(of) => {
            let request = Request::RejectUser { name: of.name.clone() };
            daemon::ask(&of.folder, global, &request).map(drop)
        }
    }
}

fn add(args: &UserAddArgs, global: &Global) -> Result<(), Failure> {
    let UserAddArgs { of, role, library, password_file } = args;
    let hash = hash(password_file.as_deref())?;
    let mut folder = files(&of.folder, global)?;
    folder.add_user(&of.name, &hash, *role)?;
    for (library, role) in library {
        folder.set_user_role_in(&of.name, library, Some(*role))?;
    }
    Ok(())
}

fn hash(password_file: Option<&Path>) -> Result<String, Failure> {
    let password = password::read(password_file)?;
    swarm_daemon::hash_password(password.expose()).ok_or_else(|| {
        Failure::new(Category::Other, "the password cannot be hashed: the system gives no random bytes")
    })
}

fn accept(of: &UserArgs, password_file: Option<&Path>, global: &Global) -> Result<(), Failure> {
    let proposed = proposed(&of.folder, global)?;
    let Some(user) = proposed.iter().find(|user| user.name == of.name) else {
        let message = format!("nobody proposes `{}`: `swarm users --proposed` lists who is", of.name);
        return Err(Failure::new(Category::Usage, message));
    };
    let roles = [Role::Admin, Role::Editor, Role::Viewer, Role::Mirror];
    let role = roles.into_iter().find(|role| role.as_str() == user.role);
    if role == Some(Role::Admin) {
        let message = format!(
            "{} proposes `{}` as an admin, who could do everything here: `swarm user add {} --role admin` if that is right",
            Shown(&user.by),
            of.name,
            of.name
        );
        return Err(Failure::new(Category::Usage, message));
    }
    let hash = hash(password_file)?;
    files(&of.folder, global)?.add_user(&of.name, &hash, role)?;
    Ok(())
}

fn proposed(folder: &DaemonDir, global: &Global) -> Result<Vec<ProposedUser>, Failure> {
    match daemon::ask(folder, global, &Request::ProposedUsers)? {
        Reply::ProposedUsers { users } => Ok(users),
        _ => Err(odd()),
    }
}

/// A user, as a program is told of it.
#[derive(Debug, Serialize)]
struct UserJson {
    user: String,
    role: Option<&'static str>,
    libraries: BTreeMap<String, &'static str>,
}

pub(in super::super) fn ls(args: &UsersArgs, global: &Global) -> Result<(), Failure> {
    let UsersArgs { proposed: is_proposed, list } = args;
    if *is_proposed {
        let users = proposed(&list.folder, global)?;
        if list.json {
            return users.iter().try_for_each(output::json);
        }
        if users.is_empty() {
            output::note("no trusted peer proposes a user");
            return Ok(());
        }
        return output::text(&output::proposed_users_table(&users));
    }
    let folder = files(&list.folder, global)?;
    if list.json {
        let shown = folder.users().iter().map(|user| UserJson {
            user: user.user.clone(),
            role: user.role.map(Role::as_str),
            libraries: user.libraries.iter().map(|(name, role)| (name.clone(), role.as_str())).collect(),
        });
        return shown.into_iter().try_for_each(|user| output::json(&user));
    }
    if folder.users().is_empty() {
        output::note("no users yet: `swarm user add` adds one");
        return Ok(());
    }
    // People know libraries by their names.
    let names = folder.library_names();
    let named = |user: &User| {
        let libraries = user.libraries.iter();
        let libraries =
            libraries.map(|(library, role)| (names.get(library).unwrap_or(library).clone(), *role));
        User { libraries: libraries.collect(), ..user.clone() }
    };
    let users: Vec<User> = folder.users().iter().map(named).collect();
    output::text(&output::users_table(&users))
}
