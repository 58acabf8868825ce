//! What the files of the daemon's folder say, as requests need it. Invariant: whoever reads or changes the files publishes what they say while it holds
//! the lock, so that nothing older is ever published after something newer; with a user or a password that is gone, its sessions, tokens and links end
//! before that lock is free; who changes the own password keeps the session in which that is asked for, and the links. All of it blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use swarm_daemon_files::{DaemonFolder, Proof, Public, Reloaded};
use tokio::sync::watch;

use crate::auth::{Held, Permission, Roles, Sessions, Tokens};
use crate::clock;
use crate::error::ApiError;
use crate::links::Links;
use crate::private_file;
use crate::problem::{Answer, Problem};

/// The files, and what holds by them.
pub(crate) struct Files {
    folder: Mutex<DaemonFolder>,
    known: watch::Sender<Arc<Known>>,
    sessions: Mutex<Sessions>,
    tokens: Mutex<Tokens>,
    revocations: Revocations,
    pub(crate) links: Links,
}

/// The file with the time of the last revocation of a token: what was revoked one by one is known to this process alone.
#[derive(Debug)]
pub(crate) struct Revocations {
    path: PathBuf,
    /// What it has, in seconds since 1970.
    saved: Mutex<u64>,
}

/// What the files say, as requests need it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) users: BTreeMap<String, KnownUser>,
    /// With those whose password was written into the file a moment ago, and has no hash yet.
    names: BTreeSet<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) allows_plain: bool,
    /// Bytes that stay free on each disk.
    pub(crate) min_free: u64,
    /// Libraries that everybody may see, by GUID.
    pub(crate) public: BTreeMap<String, Public>,
}

/// Another password of a user, as that user asks for it.
#[derive(Debug)]
pub(crate) struct PasswordChange {
    pub(crate) user: String,
    /// The hash of the new password.
    pub(crate) proof: String,
    /// The session in which it was asked for, by the hash of its id.
    pub(crate) session: Option<[u8; 32]>,
}

/// A user of this node.
#[derive(Clone, Debug)]
pub(crate) struct KnownUser {
    /// The hash of the password.
    pub(crate) proof: String,
    pub(crate) roles: Roles,
}

impl Files {
    /// Links of users that the files do not have any more end here.
    pub(crate) fn new(
        folder: DaemonFolder,
        mut tokens: Tokens,
        revocations: Revocations,
        links: Links,
    ) -> Self {
        let known = Known::of(&folder);
        tokens.forget_before(*lock(&revocations.saved));
        if folder.errors().is_empty() {
            links.end_of_others(&known.makers());
        }
        Self {
            folder: Mutex::new(folder),
            known: watch::channel(Arc::new(known)).0,
            sessions: Mutex::default(),
            tokens: Mutex::new(tokens),
            revocations,
            links,
        }
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }

    /// Ends a token. Whose it was, and whether later processes know that it has ended; it has for this one.
    pub(crate) fn revoke(&self, token: &str) -> (Option<String>, Result<(), ApiError>) {
        let user = self.tokens().revoke(token, clock::since_epoch());
        (user, self.save_revocations())
    }

    /// Remembers for later processes that tokens were revoked, if that is new.
    pub(crate) fn save_revocations(&self) -> Result<(), ApiError> {
        let last = self.tokens().last_revocation();
        self.revocations.remember(last)
    }

    /// What the files said last.
    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.borrow())
    }

    /// The session of an id, which is used by this, and its user. Both are of one instant: a password is changed in between by nobody.
    pub(crate) fn session(&self, id: &str, now: Instant) -> Option<(Held, KnownUser)> {
        let mut sessions = self.sessions();
        let held = sessions.touch(id, now)?;
        let user = self.user(&held.user).filter(|user| user.proof == held.proof)?;
        Some((held, user))
    }

    /// The user of a session, by the hash of its id. That is no use of it.
    pub(crate) fn user_of_session(&self, hash: &[u8; 32], now: Instant) -> Option<KnownUser> {
        let sessions = self.sessions();
        let (user, proof) = sessions.owner(hash, now)?;
        self.user(user).filter(|user| user.proof == proof)
    }

    pub(crate) fn user(&self, name: &str) -> Option<KnownUser> {
        self.known.borrow().users.get(name).cloned()
    }

    /// Takes over what the files say now, if they changed.
    pub(crate) fn look(&self) {
        let mut folder = lock(&self.folder);
        if folder.changed() {
            folder.reload();
            self.publish(&folder, None);
        }
    }

    /// Reads the files.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&DaemonFolder) -> T) -> T {
        let mut folder = lock(&self.folder);
        folder.reload();
        // A later look would find nothing that changed.
        self.publish(&folder, None);
        read(&folder)
    }

    /// Changes the files, if that is right by what they say at that moment. What came of an edit that failed halfway holds, too.
    pub(crate) fn edit<E: Into<Problem>>(
        &self,
        is_right: impl FnOnce() -> Answer<()>,
        edit: impl FnOnce(&mut DaemonFolder) -> Result<Reloaded, E>,
    ) -> Answer<()> {
        let mut folder = lock(&self.folder);
        folder.reload();
        self.publish(&folder, None);
        is_right()?;
        let edited = edit(&mut folder).map(|_| ());
        self.publish(&folder, None);
        edited.map_err(Into::into)
    }

    /// Gives a user another password, who keeps the session that this was asked in, and the links. `is_right` tells at that moment whether the
    /// user is still who asked: an admin may have set another password meanwhile, and that one stays.
    pub(crate) fn change_password(
        &self,
        change: &PasswordChange,
        is_right: impl FnOnce() -> Answer<()>,
    ) -> Answer<()> {
        let mut folder = lock(&self.folder);
        folder.reload();
        // What another edit says of the user counts before, and ends what it ends.
        self.publish(&folder, None);
        is_right()?;
        let edited = folder.set_user_hash(&change.user, &change.proof).map(|_| ());
        self.publish(&folder, Some(change));
        edited.map_err(Into::into)
    }

    /// The guard of the folder is held by the caller.
    fn publish(&self, folder: &MutexGuard<'_, DaemonFolder>, change: Option<&PasswordChange>) {
        let now = Arc::new(Known::of(folder));
        let change = change
            .filter(|change| now.users.get(&change.user).is_some_and(|known| known.proof == change.proof));
        if let (Some(change), Some(user)) = (change, change.and_then(|change| self.user(&change.user))) {
            self.links.hand_on(&change.user, &user.proof_mark(), &mark_of(&change.proof));
        }
        // Whoever looks at a session and its user sees both before this or both after it.
        let mut sessions = self.sessions();
        let before = self.known.send_replace(Arc::clone(&now));
        for (name, user) in &before.users {
            if now.users.get(name).is_some_and(|known| known.proof == user.proof) {
                continue;
            }
            match change.filter(|change| change.user == *name) {
                Some(change) => sessions.end_others_of(name, change.session.as_ref(), &change.proof),
                None => sessions.end_all_of(name),
            }
            self.tokens().end_all_of(name);
        }
        drop(sessions);
        // Somebody who is added under a name later, or whose entry has another password, is somebody else.
        self.links.end_of_others(&now.makers());
    }
}

impl Revocations {
    /// Those in this file. Of one that cannot be read, no token that was made before now holds.
    pub(crate) fn open(path: PathBuf) -> Self {
        let read = private_file::read(&path).map(|bytes| bytes.map(String::from_utf8));
        let last = match read {
            Ok(None) => 0,
            Ok(Some(Ok(text))) if text.trim().parse::<u64>().is_ok() => text.trim().parse().unwrap_or(0),
            _ => clock::since_epoch().as_secs(),
        };
        Self { path, saved: Mutex::new(last) }
    }

    fn remember(&self, time: u64) -> Result<(), ApiError> {
        let mut saved = lock(&self.saved);
        if *saved < time {
            private_file::write(&self.path, time.to_string().as_bytes())?;
            *saved = time;
        }
        Ok(())
    }
}

impl Known {
    fn of(folder: &DaemonFolder) -> Self {
        let users = folder.users().iter().filter_map(|user| {
            let Proof::Hash(proof) = &user.proof else { return None };
            let roles = Roles { node: user.role, libraries: folder.roles_in_libraries(user) };
            Some((user.user.clone(), KnownUser { proof: proof.clone(), roles }))
        });
        let own = folder.libraries().iter().filter(|library| !library.is_sealed);
        let own = own.map(|library| (&library.guid, library.public));
        let followed = folder.subscriptions().iter().map(|followed| (&followed.guid, followed.public));
        let public = own.chain(followed).filter(|(_, public)| *public != Public::No);
        let config = folder.config();
        Self {
            users: users.collect(),
            names: folder.users().iter().map(|user| user.user.clone()).collect(),
            hosts: config.hosts.clone(),
            allows_plain: config.allow_plain_http,
            min_free: config.min_free,
            public: public.map(|(guid, public)| (guid.to_string(), public)).collect(),
        }
    }
}

impl Known {
    /// Whether anybody may let others in.
    pub(crate) fn has_admin(&self) -> bool {
        self.users.values().any(|user| user.roles.may(Permission::UsersManage))
    }

    /// Whose links hold: users, with what stands for the password of each that has a hash.
    fn makers(&self) -> BTreeMap<String, Option<String>> {
        let mark = |name: &String| self.users.get(name).map(KnownUser::proof_mark);
        self.names.iter().map(|name| (name.clone(), mark(name))).collect()
    }
}

impl KnownUser {
    /// Stands for the password in tokens, which others read.
    pub(crate) fn proof_mark(&self) -> String {
        mark_of(&self.proof)
    }
}

/// Stands for a password where its hash is not to be seen.
pub(crate) fn mark_of(proof: &str) -> String {
    data_encoding::HEXLOWER.encode(&blake3::hash(proof.as_bytes()).as_bytes()[..16])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::auth::Caller;
    use crate::links::NewLink;

    pub(crate) fn write(folder: &Path, users: &[&str]) {
        let user = |name: &&str| serde_json::json!({"user": name, "hash": "$argon2id$x", "role": "editor"});
        let users: Vec<_> = users.iter().map(user).collect();
        let text = serde_json::to_string(&users).expect("JSON");
        std::fs::write(folder.join("users.json"), text).expect("a place");
    }

    pub(crate) fn files(folder: &Path, users: &[&str]) -> Files {
        write(folder, users);
        let tokens = Tokens::open(&folder.join("key"), "node").expect("a key");
        let links = Links::open(folder.join("links.json"));
        let revocations = Revocations::open(folder.join("token-revocation"));
        Files::new(DaemonFolder::open(folder).expect("it is valid"), tokens, revocations, links)
    }

    pub(crate) fn link(user: &str) -> NewLink {
        let (guid, path, user) = ("g".to_owned(), "a".to_owned(), user.to_owned());
        NewLink {
            guid,
            path,
            user,
            mark: mark_of("$argon2id$x"),
            age: std::time::Duration::from_secs(60),
            once: false,
        }
    }

    #[test]
    fn whoever_sees_an_edit_first_ends_what_it_revokes() {
        let check = |see: &dyn Fn(&Files)| {
            let folder = tempfile::tempdir().expect("a folder");
            let files = files(folder.path(), &["anna", "ben"]);
            let now = clock::moment();
            let begin = |user: &str| files.sessions().begin(user, "$argon2id$x", now).expect("chance").id;
            let (of_anna, of_ben) = (begin("anna"), begin("ben"));
            let refresh = files.tokens().begin("ben", "", clock::since_epoch()).expect("chance").refresh;
            let (_, token, _) = files.links.add(link("ben"), clock::now_ms()).expect("a place");
            write(folder.path(), &["anna"]);
            see(&files);
            assert!(files.user("ben").is_none() && files.user("anna").is_some());
            assert!(files.sessions().touch(&of_ben, now).is_none());
            assert!(files.sessions().touch(&of_anna, now).is_some());
            let exchanged = files.tokens().exchange(&refresh, |_, _| true, clock::since_epoch());
            assert!(exchanged.is_none() && files.links.find(&token, clock::now_ms()).is_none());
            // Nobody else's file says otherwise.
            let again = Links::open(folder.path().join("links.json"));
            assert!(again.find(&token, clock::now_ms()).is_none());
        };
        // An edit counts once it has come to rest.
        check(&|files| (0..10).for_each(|_| files.look()));
        check(&|files| files.read(|_| ()));
        check(&|files| drop(files.edit(|| Ok(()), |folder| folder.remove_user("nobody"))));
    }

    #[test]
    fn an_entry_of_the_same_name_with_another_password_is_of_somebody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(folder.path(), &["anna", "ben"]);
        let token = |user| files.links.add(link(user), clock::now_ms()).expect("a place").1;
        let (of_anna, of_ben) = (token("anna"), token("ben"));
        let holds = |token: &str| files.links.find(token, clock::now_ms()).is_some();
        let user = |name: &str, proof: &str, text: &str| serde_json::json!({"user": name, proof: text});
        let edit = |ben: serde_json::Value| {
            let users = serde_json::json!([user("anna", "hash", "$argon2id$x"), ben]);
            std::fs::write(folder.path().join("users.json"), users.to_string()).expect("a place");
            files.read(|_| ());
        };
        edit(user("ben", "pass", "not hashed yet"));
        assert!(holds(&of_ben), "it is not known yet whether it is the same");
        edit(user("ben", "hash", "$argon2id$y"));
        assert!(holds(&of_anna) && !holds(&of_ben));
    }

    #[test]
    fn who_changes_the_own_password_is_proven_at_every_moment() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(folder.path(), &["anna", "ben"]);
        let (now, begin) = (clock::moment(), || {
            let now = clock::moment();
            files.sessions().begin("ben", "$argon2id$x", now).expect("chance").id
        });
        let (kept, other) = (begin(), begin());
        let (_, token, _) = files.links.add(link("ben"), clock::now_ms()).expect("a place");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    assert!(files.session(&kept, now).is_some(), "the page would show the login");
                }
            });
            for number in 0..20 {
                let session = Some(crate::chance::hash_of(&kept));
                let (user, proof) = ("ben".to_owned(), format!("$argon2id${number}"));
                let change = PasswordChange { user, proof, session };
                files.change_password(&change, || Ok(())).expect("a place");
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            looking.join().expect("it was proven");
        });
        assert!(files.session(&other, now).is_none());
        assert!(files.links.find(&token, clock::now_ms()).is_some());
        // Somebody else's edit is no change of one's own.
        write(folder.path(), &["anna", "ben"]);
        files.read(|_| ());
        assert!(files.session(&kept, now).is_none());
    }

    #[test]
    fn a_password_that_an_admin_set_meanwhile_is_not_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(folder.path(), &["anna", "ben"]);
        let roles = files.user("ben").expect("a user").roles;
        let ben = Caller::by_basic("ben", roles, "$argon2id$x");
        let change = |proof: &str| {
            let change = PasswordChange { user: "ben".to_owned(), proof: proof.to_owned(), session: None };
            files.change_password(&change, || ben.check_as_before(&files))
        };
        files.edit(|| Ok(()), |folder| folder.set_user_hash("ben", "$argon2id$admin")).expect("a place");
        assert!(change("$argon2id$late").is_err());
        assert_eq!(files.user("ben").expect("a user").proof, "$argon2id$admin");
    }

    #[test]
    fn an_edit_that_fails_halfway_holds_as_far_as_it_came() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(folder.path(), &["anna", "ben"]);
        let edited = files.edit(
            || Ok(()),
            |folder| {
                folder.remove_user("ben")?;
                folder.remove_user("nobody")
            },
        );
        assert!(edited.is_err() && files.user("ben").is_none());
    }

    #[test]
    fn what_is_not_right_any_more_by_the_files_is_not_edited() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(folder.path(), &["anna", "ben"]);
        let roles = Roles { node: Some(swarm_daemon_files::Role::Editor), ..Roles::default() };
        let ben = Caller::by_basic("ben", roles, "$argon2id$x");
        let edit = || files.edit(|| ben.check_as_before(&files), |folder| folder.remove_user("anna"));
        // What somebody wrote by hand a moment ago counts, too.
        write(folder.path(), &["anna"]);
        assert!(edit().is_err() && files.user("anna").is_some());
        write(folder.path(), &["anna", "ben"]);
        let demoted = |folder: &mut DaemonFolder| folder.set_user_role("ben", None);
        files.edit(|| Ok(()), demoted).expect("a place");
        assert!(edit().is_err() && files.user("anna").is_some());
        write(folder.path(), &["anna", "ben"]);
        assert!(edit().is_ok() && files.user("anna").is_none());
    }

    #[test]
    fn links_of_users_who_are_gone_end_at_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let token = files(folder.path(), &["anna", "ben"]).links.add(link("ben"), clock::now_ms());
        let token = token.expect("a place").1;
        assert!(files(folder.path(), &["ben"]).links.find(&token, clock::now_ms()).is_some());
        assert!(files(folder.path(), &["anna"]).links.find(&token, clock::now_ms()).is_none());
    }

    #[test]
    fn a_token_that_was_revoked_holds_in_no_later_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = clock::since_epoch();
        let begin = |files: &Files| files.tokens().begin("anna", "", now).expect("chance").access;
        let holds = |files: &Files, token: &str| files.tokens().claims(token, now).is_some();
        let first = files(folder.path(), &["anna"]);
        let (kept, revoked) = (begin(&first), begin(&first));
        assert!(holds(&files(folder.path(), &["anna"]), &revoked));
        first.revoke("unknown").1.expect("nothing is to be written");
        assert!(holds(&files(folder.path(), &["anna"]), &revoked));
        first.revoke(&revoked).1.expect("a place");
        assert!(holds(&first, &kept) && !holds(&first, &revoked));
        assert!(!holds(&files(folder.path(), &["anna"]), &revoked));
    }
}
