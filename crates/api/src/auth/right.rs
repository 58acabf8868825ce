//! What a body that goes on rests on: the right of a user, a link, or that a library is everybody's. Invariant: a body that asks here ends within
//! [`RIGHT_AGE`] of what it rests on, whoever took that away. A link that expires lets what was begun by it come to its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use swarm_daemon::LibraryFiles;

use super::caller::{Caller, ended, no_such_library};
use super::roles::{LibraryName, Permission};
use crate::clock;
use crate::known::Files;
use crate::limits::RIGHT_AGE;
use crate::links::{Link, no_link};
use crate::problem::Answer;

/// What a body rests on.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// A user may do this in a library.
    User { caller: Box<Caller>, needs: Permission, library: Named },
    /// A link was not revoked, and its maker may still write in the library.
    Link { id: String, link: Link, library: Named },
    /// A library is everybody's.
    Public { guid: String },
}

/// A library.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    name: String,
    guid: String,
}

/// A right that is looked at again and again.
pub(crate) struct Lasting {
    right: Right,
    files: Arc<Files>,
    looked_at: Mutex<Instant>,
    /// How old a look may be.
    age: Duration,
}

impl Right {
    /// That of a user in a library, which was just looked at.
    pub(crate) fn of_user(caller: &Caller, needs: Permission, files: &LibraryFiles) -> Self {
        Self::User { caller: Box::new(caller.clone()), needs, library: Named::of(files) }
    }

    /// That of whoever has a link, which was just looked at.
    pub(crate) fn of_link(id: &str, link: &Link, files: &LibraryFiles) -> Self {
        Self::Link { id: id.to_owned(), link: link.clone(), library: Named::of(files) }
    }

    /// Whose share of what is bounded it takes: all links that one user made have one, and so has a library that is everybody's.
    pub(crate) fn holder(&self) -> String {
        match self {
            Self::User { caller, .. } => format!("user {}", caller.user),
            Self::Link { link, .. } => format!("links of {}", link.user),
            Self::Public { guid } => format!("library {guid}"),
        }
    }

    /// Goes on only while it holds.
    fn check(&self, files: &Files) -> Answer<()> {
        match self {
            Self::User { caller, needs, library } => {
                caller.again(files).ok_or_else(ended)?.needs_in(*needs, &library.as_name())
            }
            Self::Link { id, link, library } => {
                let is_revoked = clock::now_ms() < link.expires_at_ms && !files.links.has(id);
                let maker = files.user(&link.user).filter(|_| !is_revoked).ok_or_else(no_link)?;
                let may = maker.roles.may_in(Permission::LibraryWrite, &library.as_name());
                if may { Ok(()) } else { Err(no_link()) }
            }
            Self::Public { guid } => {
                if files.known().public.contains_key(guid) {
                    Ok(())
                } else {
                    Err(no_such_library())
                }
            }
        }
    }
}

impl Named {
    fn of(files: &LibraryFiles) -> Self {
        Self { name: files.name().to_owned(), guid: files.guid().to_owned() }
    }

    fn as_name(&self) -> LibraryName<'_> {
        LibraryName { name: &self.name, guid: &self.guid }
    }
}

impl Lasting {
    /// A right that was looked at a moment ago.
    pub(crate) fn new(right: Right, files: Arc<Files>) -> Self {
        Self { right, files, looked_at: Mutex::new(clock::moment()), age: RIGHT_AGE }
    }

    /// Goes on only while it holds. Looks again only where the last look is old, so that it may be asked for each block.
    pub(crate) fn check(&self) -> Answer<()> {
        let now = clock::moment();
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(*looked_at) < self.age {
            return Ok(());
        }
        *looked_at = now;
        drop(looked_at);
        self.check_now()
    }

    /// The same, and looks in any case: before something that cannot be undone.
    pub(crate) fn check_now(&self) -> Answer<()> {
        self.right.check(&self.files)
    }

    /// Does something that may wait for the client for long, as long as the right holds.
    pub(crate) async fn while_it_holds<T>(&self, work: impl Future<Output = T>) -> Answer<T> {
        tokio::pin!(work);
        self.check()?;
        loop {
            match tokio::time::timeout(self.age, work.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_) => self.check_now()?,
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use swarm_daemon_files::Role;

    use super::*;
    use crate::auth::Roles;
    use crate::known::tests::{files, link, write};

    /// A right that holds for as long as ben is an editor, by what the files of this folder say.
    pub(crate) fn of_ben(folder: &Path) -> Lasting {
        let roles = Roles { node: Some(Role::Editor), ..Roles::default() };
        let caller = Box::new(Caller::by_basic("ben", roles, "$argon2id$x"));
        let right = Right::User { caller, needs: Permission::LibraryWrite, library: library() };
        let files = Arc::new(files(folder, &["anna", "ben"]));
        Lasting { age: Duration::from_millis(1), ..Lasting::new(right, files) }
    }

    /// Takes ben out of the files of this folder.
    pub(crate) fn remove_ben(folder: &Path, right: &Lasting) {
        write(folder, &["anna"]);
        right.files.read(|_| ());
    }

    fn library() -> Named {
        Named { name: "Lib".to_owned(), guid: "g".to_owned() }
    }

    #[test]
    fn a_right_ends_with_its_user_or_role() {
        let folder = tempfile::tempdir().expect("a folder");
        let lasting = of_ben(folder.path());
        assert!(lasting.check_now().is_ok());
        let role = |role| {
            lasting.files.edit(|| Ok(()), |folder| folder.set_user_role("ben", Some(role))).expect("a place");
        };
        role(Role::Viewer);
        assert!(lasting.check_now().is_err(), "a viewer does not write");
        role(Role::Editor);
        assert!(lasting.check_now().is_ok());
        remove_ben(folder.path(), &lasting);
        assert!(lasting.check_now().is_err());
    }

    #[test]
    fn what_a_link_began_ends_with_the_link_or_its_maker_and_not_with_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Arc::new(files(folder.path(), &["anna", "ben"]));
        let right = |made_at_ms: u64| {
            let (id, _, link) = files.links.add(link("ben"), made_at_ms).expect("a place");
            (id.clone(), Lasting::new(Right::Link { id, link, library: library() }, Arc::clone(&files)))
        };
        let ((_, expired), (id, revoked), (_, kept)) =
            (right(0), right(clock::now_ms()), right(clock::now_ms()));
        assert!([&expired, &revoked, &kept].iter().all(|right| right.check_now().is_ok()));
        assert_eq!(files.links.revoke("g", &id), Ok(true));
        assert!(expired.check_now().is_ok() && revoked.check_now().is_err() && kept.check_now().is_ok());
        write(folder.path(), &["anna"]);
        files.read(|_| ());
        assert!(expired.check_now().is_err() && kept.check_now().is_err());
    }

    #[tokio::test]
    async fn what_waits_for_long_ends_with_its_right() {
        let folder = tempfile::tempdir().expect("a folder");
        let lasting = of_ben(folder.path());
        let waits = lasting.while_it_holds(tokio::time::sleep(lasting.age * 3)).await;
        assert!(waits.is_ok());
        remove_ben(folder.path(), &lasting);
        let waits = lasting.while_it_holds(std::future::pending::<()>()).await;
        assert!(waits.is_err());
    }
}
