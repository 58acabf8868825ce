//! Edits that the daemon and its commands make: one entry found by its name, one key set. All else in the file stays.

use std::io;

use swarm_core::base::NodeId;

use crate::error::EditError;
use crate::files_local::{self, LocalFile};
use crate::json::{Json, quoted};
use crate::library_change::LibraryChange;
use crate::{DaemonFolder, FileName, Fingerprint, Guid, OriginUrl, Reloaded, Role, Secret};

/// A peer to add.
#[derive(Clone, Debug, Default)]
pub struct NewPeer {
    /// `host:port`, `NODEID@host:port`, a NodeId for a peer that is to be found, or `https://host:port` for an origin.
    pub address: String,
    /// Whether its versions and votes count.
    pub trusted: bool,
    /// What this node shows to it in place of what `config.json` says; empty for that.
    pub username: String,
    /// The password that goes with it.
    pub password: Secret,
    /// Whether it only carries contents onward.
    pub is_mirror: bool,
    /// What people call it.
    pub name: Option<String>,
}

/// A mount to add.
#[derive(Clone, Debug)]
pub struct NewMount {
    /// The folder, absolute or relative to the daemon's.
    pub dir: String,
    /// Where it stands in the library.
    pub libpath: String,
    /// Whether it is the sync target; otherwise it is read-only.
    pub is_sync: bool,
}

/// A subscription to add.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// Which library.
    pub guid: Guid,
    /// Where its files go, absolute or relative to the daemon's folder.
    pub local_sync_dir: String,
    /// Peers to fetch from; empty for all.
    pub from: Vec<String>,
    /// Patterns of paths to fetch; empty for all.
    pub include: Vec<String>,
    /// Patterns of paths to leave out.
    pub exclude: Vec<String>,
    /// The peer whose version is followed.
    pub version_of: Option<String>,
}

/// What becomes of a rate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RateChange {
    /// What it was.
    #[default]
    Stays,
    /// Another one, as text: "20MB/s".
    To(String),
    /// There is none any more.
    NoLimit,
}

/// A change of the rates of a library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsChange {
    /// To others.
    pub up: RateChange,
    /// From others.
    pub down: RateChange,
}

/// What is to change in the approvals of a library; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApprovalsChange {
    /// Peers that must agree to a deletion.
    pub delete: Option<u32>,
    /// The same for a move.
    pub moves: Option<u32>,
    /// Changes in one commit from which on it is a bulk change; `Some(None)` for no such number.
    pub bulk: Option<Option<u32>>,
    /// Peers that must agree to a bulk change.
    pub bulk_approvals: Option<u32>,
    /// Days after which a proposal expires.
    pub expiry_days: Option<u32>,
    /// Whether one no refuses a proposal.
    pub refuse_by_one: Option<bool>,
}

/// What has settings of its own: a library that is kept, or one that is subscribed to.
#[derive(Clone, Copy, Debug)]
pub enum Followed<'a> {
    /// By its name in `libraries.json`.
    Library(&'a str),
    /// By its GUID in `subscriptions.json`.
    Subscription(&'a Guid),
}

impl DaemonFolder {
    /// Adds a peer.
    pub fn add_peer(&mut self, peer: &NewPeer) -> Result<Reloaded, EditError> {
        self.edit(FileName::Peers, |json| {
            let what = format!("peer {}", quoted(&peer.address));
            absent(json, |entry| is_peer(entry, &peer.address), FileName::Peers, &what)?;
            push(json, peer.entry());
            Ok(())
        })
    }

    /// Takes a peer out, named by its address, NodeId or name.
    pub fn remove_peer(&mut self, which: &str) -> Result<Reloaded, EditError> {
        self.edit(FileName::Peers, |json| {
            remove(json, |entry| is_peer(entry, which), FileName::Peers, &format!("peer {}", quoted(which)))
        })
    }

    /// Trusts a peer, or no longer. A mirror that is trusted is no mirror any more.
    pub fn set_peer_trusted(&mut self, which: &str, trusted: bool) -> Result<Reloaded, EditError> {
        self.edit(FileName::Peers, |json| {
            let peer = peer_in(json, which)?;
            peer.set("trusted", trusted.into());
            if trusted {
                peer.remove("role");
            }
            Ok(())
        })
    }

    /// Pins the key of a peer that has none yet. A peer that has another one stays as it is, and is an error.
    pub fn pin_peer(&mut self, which: &str, node: NodeId) -> Result<Reloaded, EditError> {
        self.edit(FileName::Peers, |json| {
            let peer = peer_in(json, which)?;
            let pinned = peer.get("node").and_then(Json::as_str).map(str::to_owned);
            match pinned {
                Some(pinned) if pinned.parse::<NodeId>() != Ok(node) => {
                    let what = format!("node {pinned} for peer {}", quoted(which));
                    Err(EditError::Exists { file: FileName::Peers, what })
                }
                Some(_) => Ok(()),
                None => {
                    peer.set("node", node.to_string().as_str().into());
                    Ok(())
                }
            }
        })
    }

    /// Pins the certificate of an origin that has none yet. An origin that has another one stays as it is, and is an error.
    pub fn pin_origin(
        &mut self,
        origin: &OriginUrl,
        fingerprint: Fingerprint,
    ) -> Result<Reloaded, EditError> {
        self.edit(FileName::Peers, |json| {
            let peer = peer_in(json, origin.as_str())?;
            match peer.get("fingerprint").and_then(Json::as_str).map(str::to_owned) {
                Some(pinned) if pinned.parse() != Ok(fingerprint) => {
                    let what = format!("fingerprint {pinned} for peer {}", quoted(origin.as_str()));
                    Err(EditError::Exists { file: FileName::Peers, what })
                }
                Some(_) => Ok(()),
                None => {
                    peer.set("fingerprint", fingerprint.to_string().as_str().into());
                    Ok(())
                }
            }
        })
    }

    /// Adds a user with the argon2 hash of a password.
    pub fn add_user(&mut self, user: &str, hash: &str, role: Option<Role>) -> Result<Reloaded, EditError> {
        self.edit(FileName::Users, |json| {
            absent(json, |entry| has(entry, "user", user), FileName::Users, &user_named(user))?;
            let mut entry = Json::object([("user", user.into()), ("hash", hash.into())]);
            set_or_remove(&mut entry, "role", role.map(|role| role.as_str().into()));
            push(json, entry);
            Ok(())
        })
    }

    /// Takes a user out.
    pub fn remove_user(&mut self, user: &str) -> Result<Reloaded, EditError> {
        self.edit(FileName::Users, |json| {
            remove(json, |entry| has(entry, "user", user), FileName::Users, &user_named(user))
        })
    }

    /// Sets what a user may do; `None` takes the key out.
    pub fn set_user_role(&mut self, user: &str, role: Option<Role>) -> Result<Reloaded, EditError> {
        self.edit(FileName::Users, |json| {
            let role = role.map(|role| role.as_str().into());
            set_or_remove(user_in(json, user)?, "role", role);
            Ok(())
        })
    }

    /// Sets what a user may do in one library, by name or GUID; `None` takes the entry out. It is written by the GUID: a library may be called
    /// something else tomorrow.
    ///
    /// # Errors
    /// [`EditError::Missing`] if this node has no such library.
    pub fn set_user_role_in(
        &mut self,
        user: &str,
        library: &str,
        role: Option<Role>,
    ) -> Result<Reloaded, EditError> {
        let names = self.library_names();
        let found = names.get_key_value(library).or_else(|| names.iter().find(|(_, name)| *name == library));
        self.edit(FileName::Users, |json| {
            let user = user_in(json, user)?;
            let mut roles = user.get("libraries").cloned().unwrap_or_else(|| Json::object::<&str>([]));
            match (found, role) {
                (Some((guid, name)), role) => {
                    roles.remove(name);
                    set_or_remove(&mut roles, guid, role.map(|role| role.as_str().into()));
                }
                // That of a library which is here no more.
                (None, None) => drop(roles.remove(library)),
                (None, Some(_)) => {
                    let what = format!("library {library:?}");
                    return Err(EditError::Missing { file: FileName::Libraries, what });
                }
            }
            user.set("libraries", roles);
            Ok(())
        })
    }

    /// Sets the argon2 hash of another password.
    pub fn set_user_hash(&mut self, user: &str, hash: &str) -> Result<Reloaded, EditError> {
        self.edit(FileName::Users, |json| {
            let user = user_in(json, user)?;
            user.remove("pass");
            user.set("hash", hash.into());
            Ok(())
        })
    }

    /// Puts a hash in the place of the password that it was made from. If the password is another one by now, nothing changes.
    pub fn replace_pass(&mut self, user: &str, pass: &Secret, hash: &str) -> Result<Reloaded, EditError> {
        self.edit(FileName::Users, |json| {
            let user = user_in(json, user)?;
            if has(user, "pass", pass.expose()) {
                user.replace("pass", "hash", hash.into());
            }
            Ok(())
        })
    }

    /// Adds a library.
    pub fn add_library(
        &mut self,
        name: &str,
        guid: &Guid,
        mounts: &[NewMount],
    ) -> Result<Reloaded, EditError> {
        self.edit(FileName::Libraries, |json| {
            if json.get(name).is_some() {
                return Err(EditError::Exists { file: FileName::Libraries, what: library_named(name) });
            }
            let mounts = Json::list(mounts.iter().map(NewMount::entry));
            json.set(name, Json::object([("guid", guid.as_str().into()), ("mounts", mounts)]));
            Ok(())
        })
    }

    /// Takes a library out. Its folders stay.
    pub fn remove_library(&mut self, name: &str) -> Result<Reloaded, EditError> {
        self.edit(FileName::Libraries, |json| {
            let missing = || EditError::Missing { file: FileName::Libraries, what: library_named(name) };
            json.remove(name).map(drop).ok_or_else(missing)
        })
    }

    /// Changes how many must agree to what in a library.
    pub fn set_approvals(
        &mut self,
        which: Followed<'_>,
        change: &ApprovalsChange,
    ) -> Result<Reloaded, EditError> {
        self.change_library(which, &LibraryChange { approvals: Some(*change), ..LibraryChange::default() })
    }

    /// Adds a mount to a library, as its last.
    pub fn add_mount(&mut self, library: &str, mount: &NewMount) -> Result<Reloaded, EditError> {
        self.edit(FileName::Libraries, |json| {
            let library = Followed::Library(library).entry_in(json)?;
            if library.get("mounts").is_none() {
                library.set("mounts", Json::list([]));
            }
            if let Some(mounts) = library.get_mut("mounts") {
                push(mounts, mount.entry());
            }
            Ok(())
        })
    }

    /// Adds a subscription.
    pub fn add_subscription(&mut self, new: &NewSubscription) -> Result<Reloaded, EditError> {
        self.edit(FileName::Subscriptions, |json| {
            let what = format!("subscription {}", new.guid);
            absent(json, |entry| has(entry, "guid", new.guid.as_str()), FileName::Subscriptions, &what)?;
            push(json, new.entry());
            Ok(())
        })
    }

    /// Changes how a library is followed; its folder stays the same.
    pub fn change_subscription(&mut self, new: &NewSubscription) -> Result<Reloaded, EditError> {
        self.edit(FileName::Subscriptions, |json| {
            let entry = Followed::Subscription(&new.guid).entry_in(json)?;
            new.set_in(entry);
            Ok(())
        })
    }

    /// Takes a subscription out. Its folder stays.
    pub fn remove_subscription(&mut self, guid: &Guid) -> Result<Reloaded, EditError> {
        self.edit(FileName::Subscriptions, |json| {
            let what = format!("subscription {guid}");
            remove(json, |entry| has(entry, "guid", guid.as_str()), FileName::Subscriptions, &what)
        })
    }

    /// Pauses or resumes a library.
    pub fn set_paused(&mut self, which: Followed<'_>, paused: bool) -> Result<Reloaded, EditError> {
        self.change_library(which, &LibraryChange { paused: Some(paused), ..LibraryChange::default() })
    }

    /// Sets a library's priority, from -100 to 100.
    pub fn set_priority(&mut self, which: Followed<'_>, priority: i8) -> Result<Reloaded, EditError> {
        self.change_library(which, &LibraryChange { priority: Some(priority), ..LibraryChange::default() })
    }

    /// Changes a library's rates.
    pub fn set_limits(&mut self, which: Followed<'_>, change: &LimitsChange) -> Result<Reloaded, EditError> {
        self.edit(which.file(), |json| {
            let library = which.entry_in(json)?;
            let mut limits = library.get("limits").cloned().unwrap_or_else(|| Json::object::<&str>([]));
            for (key, rate) in [("up", &change.up), ("down", &change.down)] {
                match rate {
                    RateChange::Stays => {}
                    RateChange::To(rate) => limits.set(key, rate.as_str().into()),
                    RateChange::NoLimit => drop(limits.remove(key)),
                }
            }
            set_or_remove(library, "limits", (!limits.members().is_empty()).then_some(limits));
            Ok(())
        })
    }

    /// Sets which paths of a subscription are fetched; a list that is not given stays.
    pub fn set_patterns(
        &mut self,
        guid: &Guid,
        include: Option<&[String]>,
        exclude: Option<&[String]>,
    ) -> Result<Reloaded, EditError> {
        let [include, exclude] = [include, exclude].map(|list| list.map(<[String]>::to_vec));
        let change = LibraryChange { include, exclude, ..LibraryChange::default() };
        self.change_library(Followed::Subscription(guid), &change)
    }

    /// Writes `files-local.json` from libraries and their files, in one pass. If an entry is an error, the old file stays.
    pub fn write_files_local<'a, F>(
        &self,
        libraries: impl IntoIterator<Item = (impl AsRef<str>, F)>,
    ) -> io::Result<()>
    where
        F: IntoIterator<Item = io::Result<LocalFile<'a>>>,
    {
        files_local::write(&self.path(FileName::FilesLocal), libraries)
    }
}

impl LimitsChange {
    /// Whether it changes anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl NewPeer {
    fn entry(&self) -> Json {
        let key = if self.address.parse::<NodeId>().is_ok() { "node" } else { "address" };
        let mut entry = Json::object([
            (key, self.address.as_str().into()),
            ("trusted", self.trusted.into()),
            ("username", self.username.as_str().into()),
            ("password", self.password.expose().into()),
        ]);
        set_or_remove(&mut entry, "role", self.is_mirror.then(|| "mirror".into()));
        set_or_remove(&mut entry, "name", self.name.as_deref().map(Json::from));
        entry
    }
}

impl NewMount {
    fn entry(&self) -> Json {
        let kind = if self.is_sync { "sync" } else { "readonly" };
        let (dir, libpath) = (self.dir.as_str(), self.libpath.as_str());
        Json::object([("dir", dir.into()), ("libpath", libpath.into()), (kind, true.into())])
    }
}

impl NewSubscription {
    fn entry(&self) -> Json {
        let dir = self.local_sync_dir.as_str();
        let mut entry = Json::object([("guid", self.guid.as_str().into()), ("localSyncDir", dir.into())]);
        self.set_in(&mut entry);
        entry
    }

    fn set_in(&self, entry: &mut Json) {
        for (key, list) in [("from", &self.from), ("include", &self.include), ("exclude", &self.exclude)] {
            set_or_remove(entry, key, texts(list));
        }
        set_or_remove(entry, "versionOf", self.version_of.as_deref().map(Json::from));
    }
}

impl ApprovalsChange {
    pub(crate) fn make(&self, library: &mut Json) {
        let mut approvals = library.get("approvals").cloned().unwrap_or_else(|| Json::object::<&str>([]));
        for (key, value) in self.values() {
            approvals.set(key, value);
        }
        if self.bulk == Some(None) {
            approvals.remove("bulk");
        }
        library.set("approvals", approvals);
    }

    fn values(&self) -> impl Iterator<Item = (&'static str, Json)> {
        let numbers = [
            ("delete", self.delete),
            ("move", self.moves),
            ("bulk", self.bulk.flatten()),
            ("bulkApprovals", self.bulk_approvals),
            ("expiryDays", self.expiry_days),
        ];
        let numbers = numbers.into_iter();
        let numbers = numbers.filter_map(|(key, number)| Some((key, i64::from(number?).into())));
        numbers.chain(self.refuse_by_one.map(|refuse| ("refuseByOne", refuse.into())))
    }
}

impl Followed<'_> {
    pub(crate) fn file(self) -> FileName {
        match self {
            Self::Library(_) => FileName::Libraries,
            Self::Subscription(_) => FileName::Subscriptions,
        }
    }

    pub(crate) fn entry_in(self, json: &mut Json) -> Result<&mut Json, EditError> {
        match self {
            Self::Library(name) => {
                let what = library_named(name);
                json.get_mut(name).ok_or(EditError::Missing { file: FileName::Libraries, what })
            }
            Self::Subscription(guid) => {
                let is_it = |entry: &Json| has(entry, "guid", guid.as_str());
                entry_in(json, is_it, FileName::Subscriptions, &format!("subscription {guid}"))
            }
        }
    }
}

fn user_named(user: &str) -> String {
    format!("user {}", quoted(user))
}

fn library_named(name: &str) -> String {
    format!("library {}", quoted(name))
}

fn peer_in<'a>(json: &'a mut Json, which: &str) -> Result<&'a mut Json, EditError> {
    entry_in(json, |entry| is_peer(entry, which), FileName::Peers, &format!("peer {}", quoted(which)))
}

fn user_in<'a>(json: &'a mut Json, user: &str) -> Result<&'a mut Json, EditError> {
    entry_in(json, |entry| has(entry, "user", user), FileName::Users, &user_named(user))
}

/// Whether an entry is the peer with this address, NodeId or name.
fn is_peer(entry: &Json, which: &str) -> bool {
    let address = entry.get("address").and_then(Json::as_str).unwrap_or_default();
    if let (Ok(origin), Ok(wanted)) = (address.parse::<OriginUrl>(), which.parse::<OriginUrl>()) {
        return origin == wanted;
    }
    let (node, place) = address.split_once('@').unwrap_or(("", address));
    let wanted_place = which.rsplit_once('@').map_or(which, |(_, place)| place);
    place == wanted_place || node == which || has(entry, "node", which) || has(entry, "name", which)
}

fn has(entry: &Json, key: &str, text: &str) -> bool {
    entry.get(key).and_then(Json::as_str) == Some(text)
}

fn entry_in<'a>(
    json: &'a mut Json,
    is_it: impl Fn(&Json) -> bool,
    file: FileName,
    what: &str,
) -> Result<&'a mut Json, EditError> {
    let found = json.items_mut().and_then(|items| items.iter_mut().find(|entry| is_it(entry)));
    found.ok_or_else(|| EditError::Missing { file, what: what.to_owned() })
}

fn absent(json: &Json, is_it: impl Fn(&Json) -> bool, file: FileName, what: &str) -> Result<(), EditError> {
    let exists = json.items().iter().any(is_it);
    if exists { Err(EditError::Exists { file, what: what.to_owned() }) } else { Ok(()) }
}

fn remove(
    json: &mut Json,
    is_it: impl Fn(&Json) -> bool,
    file: FileName,
    what: &str,
) -> Result<(), EditError> {
    let missing = || EditError::Missing { file, what: what.to_owned() };
    let at = json.items().iter().position(is_it).ok_or_else(missing)?;
    json.items_mut().ok_or_else(missing)?.remove(at);
    Ok(())
}

fn push(json: &mut Json, entry: Json) {
    if let Some(items) = json.items_mut() {
        items.push(entry);
    }
}

pub(crate) fn set_or_remove(entry: &mut Json, key: &str, value: Option<Json>) {
    match value {
        Some(value) => entry.set(key, value),
        None => drop(entry.remove(key)),
    }
}

/// A list of strings; `None` if it is empty.
pub(crate) fn texts(list: &[String]) -> Option<Json> {
    (!list.is_empty()).then(|| Json::list(list.iter().map(|text| text.as_str().into())))
}
