//! Libraries of this node: made, changed, forgotten.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use swarm_core::base::Shown;
use swarm_daemon::{Answer as LibraryAnswer, Request, VerifyView};
use swarm_daemon_files::{
    Approvals, ApprovalsChange, DaemonFolder, FileName, Followed, Guid, LibraryChange, NewMount, Public,
    Retention, RetentionChange,
};
use utoipa::ToSchema;

use super::following::until_known;
use super::{From, ask_library, blocking, ip};
use crate::app::App;
use crate::auth::{Caller, LibraryName, Permission, no_such_library};
use crate::code::Code;
use crate::extract::{At, Given, or_null};
use crate::made_folder::MadeFolder;
use crate::problem::{Answer, Problem, without_disks};

/// The libraries of this node.
#[derive(Serialize, ToSchema)]
pub(crate) struct Libraries {
    libraries: Vec<swarm_daemon::LibraryStatus>,
}

/// List libraries
///
/// Those that the caller may see, with how they stand.
#[utoipa::path(get, path = "/api/v1/libraries", tag = "libraries", responses((status = 200, description = "The libraries", body = Libraries), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Answer<Json<Libraries>> {
    let status = app.status().await?;
    let libraries = super::seen_by(&status, &caller).into_owned().libraries;
    Ok(Json(Libraries { libraries }))
}

/// A library to make.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewLibrary {
    /// What this node calls it.
    name: String,
    /// The folder that changes of others are written to, on the daemon's machine. Without it one is made when files arrive.
    dir: Option<String>,
    /// Folders that are never written.
    #[serde(default)]
    mounts: Vec<NewReadOnly>,
}

/// A folder that is a part of a library, and never written.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewReadOnly {
    dir: String,
    /// Where it stands in the library.
    #[serde(default = "top")]
    libpath: String,
}

fn top() -> String {
    "/".to_owned()
}

/// What all nodes call a library.
#[derive(Serialize, ToSchema)]
pub(crate) struct GuidView {
    pub(super) guid: String,
}

/// Make a library
#[utoipa::path(post, path = "/api/v1/libraries", tag = "libraries", request_body = NewLibrary, responses((status = 201, description = "It is there", body = GuidView), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    Given(new): Given<NewLibrary>,
) -> Answer<(StatusCode, Json<GuidView>)> {
    caller.needs(Permission::LibrariesManage)?;
    let NewLibrary { name, dir, mounts } = new;
    let guid: Guid = swarm_daemon::new_guid()
        .and_then(|guid| guid.as_str().parse().ok())
        .ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random bytes"))?;
    let read_only =
        mounts.into_iter().map(|mount| NewMount { dir: mount.dir, libpath: mount.libpath, is_sync: false });
    let target = dir.map(|dir| NewMount { dir, libpath: top(), is_sync: true });
    let mounts: Vec<NewMount> = read_only.chain(target).collect();
    let act = app.audit.begin(&caller.user, ip(&from), "library create", &name);
    act.over(async {
        let mut made = Vec::new();
        for mount in mounts.iter().filter(|mount| mount.is_sync) {
            made.push(make_folder(&app, &mount.dir).await?);
        }
        let known = guid.clone();
        app.edit_files(&caller, move |folder| {
            let added = folder.add_library(&name, &known, &mounts);
            if added.is_err() {
                made.into_iter().for_each(MadeFolder::undo);
            }
            added
        })
        .await?;
        until_known(&app, guid.as_str()).await;
        Ok((StatusCode::CREATED, Json(GuidView { guid: guid.to_string() })))
    })
    .await
}

/// As `swarm library create --sync` does.
async fn make_folder(app: &App, dir: &str) -> Answer<MadeFolder> {
    let path = app.facts.folder.join(dir);
    let shown = swarm_core::base::Shown(&path).to_string();
    let made = blocking(move || MadeFolder::make(&path)).await?;
    made.map_err(|error| {
        let problem = Problem::bad(format!("cannot make the folder `{shown}`: {error}"));
        problem.code(Code::NoFolder).with("dir", &shown)
    })
}

/// How a library is kept here.
#[derive(Serialize, ToSchema)]
pub(crate) struct Kept {
    name: String,
    guid: String,
    /// Whether it is followed, and not this node's own.
    subscribed: bool,
    paused: bool,
    /// -100 to 100: higher goes first.
    priority: i8,
    /// How many must agree to what, where the files say so.
    policy: Option<PolicyView>,
    /// How long what was replaced or deleted is kept on this disk, where the files say so.
    retention: RetentionView,
    /// Who sees its files without a name here.
    public: PublicView,
    /// Whether names and contents are sealed: such a library is seen by nobody, whatever `public` says.
    sealed: bool,
    include: Vec<String>,
    exclude: Vec<String>,
    /// The file that says all this; empty for who may not see the disks of this node.
    file: String,
}

/// Who sees the files of a library without a name here, at `/public/{guid}/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PublicView {
    /// Nobody.
    No,
    /// Everybody who can reach this node.
    Yes,
    /// Search engines, too.
    Indexed,
}

impl PublicView {
    fn of(public: Public) -> Self {
        match public {
            Public::No => Self::No,
            Public::Yes => Self::Yes,
            Public::Indexed => Self::Indexed,
        }
    }

    fn setting(self) -> Public {
        match self {
            Self::No => Public::No,
            Self::Yes => Public::Yes,
            Self::Indexed => Public::Indexed,
        }
    }
}

/// How long what was replaced or deleted is kept: a version goes once one of the limits is passed.
///
/// In a change, a limit that is left out stays, and `null` takes it away.
#[expect(clippy::option_option, reason = "a key that says null is told from one that is left out")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct RetentionView {
    /// Days; without it, 30, of which the first one keeps all.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<u32>)]
    days: Option<Option<u32>>,
    /// Versions of one path.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<u32>)]
    count: Option<Option<u32>>,
    /// Bytes of all kept versions of the library.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<u64>)]
    bytes: Option<Option<u64>>,
}

impl RetentionView {
    fn of(Retention { days, count, bytes }: Retention) -> Self {
        Self { days: Some(days), count: Some(count), bytes: Some(bytes) }
    }

    fn change(self) -> RetentionChange {
        let Self { days, count, bytes } = self;
        RetentionChange { days, count, bytes }
    }
}

/// How many trusted peers must agree to what.
#[expect(clippy::option_option, reason = "a key that says null is told from one that is left out")]
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct PolicyView {
    /// To a deletion.
    #[serde(default)]
    delete: Option<u32>,
    /// To a move.
    #[serde(default)]
    moves: Option<u32>,
    /// Changes in one commit from which on it is a bulk change.
    ///
    /// In a change, `null` takes the number away.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<u32>)]
    bulk: Option<Option<u32>>,
    /// To a bulk change.
    #[serde(default)]
    bulk_approvals: Option<u32>,
    /// Days after which a proposal expires.
    #[serde(default)]
    expiry_days: Option<u32>,
    /// Whether one no refuses a proposal.
    #[serde(default)]
    refuse_by_one: Option<bool>,
}

impl PolicyView {
    fn change(self) -> ApprovalsChange {
        let Self { delete, moves, bulk, bulk_approvals, expiry_days, refuse_by_one } = self;
        ApprovalsChange { delete, moves, bulk, bulk_approvals, expiry_days, refuse_by_one }
    }

    fn of(approvals: &Approvals) -> Self {
        Self {
            delete: Some(approvals.delete),
            moves: Some(approvals.moves),
            bulk: Some(approvals.bulk),
            bulk_approvals: Some(approvals.bulk_approvals),
            expiry_days: Some(approvals.expiry_days),
            refuse_by_one: Some(approvals.refuse_by_one),
        }
    }
}

/// A library in the files of the daemon.
pub(super) enum Found {
    Own(String),
    Followed(Guid),
}

impl Found {
    pub(super) fn in_files(folder: &DaemonFolder, guid: &str) -> Option<Self> {
        let own = folder.libraries().iter().find(|own| own.guid.as_str() == guid);
        let own = own.map(|own| Self::Own(own.name.clone()));
        let followed = || {
            let found = folder.subscriptions().iter().find(|followed| followed.guid.as_str() == guid);
            found.map(|followed| Self::Followed(followed.guid.clone()))
        };
        own.or_else(followed)
    }

    fn followed(&self) -> Followed<'_> {
        match self {
            Self::Own(name) => Followed::Library(name),
            Self::Followed(guid) => Followed::Subscription(guid),
        }
    }
}

/// Goes on only if the caller may do this in the library.
pub(super) async fn allowed(
    app: &App,
    caller: &Caller,
    which: &str,
    permission: Permission,
) -> Answer<String> {
    let status = app.status().await?;
    let libraries = || status.libraries.iter();
    // As the daemon finds them: a GUID is one, whatever another library is called, and no two have one name.
    let by_guid = libraries().find(|library| library.guid == which);
    let library = by_guid.or_else(|| libraries().find(|library| library.name == which));
    let library = library.ok_or_else(no_such_library)?;
    caller.needs_in(permission, &LibraryName { name: &library.name, guid: &library.guid })?;
    Ok(library.guid.clone())
}

/// Show how a library is kept
#[utoipa::path(get, path = "/api/v1/libraries/{guid}", tag = "libraries", params(("guid" = String, Path, description = "GUID or name")), responses((status = 200, description = "The library", body = Kept), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
) -> Answer<Json<Kept>> {
    let guid = allowed(&app, &caller, &which, Permission::LibraryRead).await?;
    let status = app.status().await?;
    let name =
        status.libraries.iter().find(|library| library.guid == guid).map(|library| library.name.clone());
    let name = name.unwrap_or_default();
    let mut kept =
        app.read_files(move |folder| kept_in(folder, name, &guid)).await?.ok_or_else(no_such_library)?;
    if !caller.roles.may(Permission::SettingsManage) {
        kept.file.clear();
    }
    Ok(Json(kept))
}

fn kept_in(folder: &DaemonFolder, name: String, guid: &str) -> Option<Kept> {
    match Found::in_files(folder, guid)? {
        Found::Own(..) => {
            let own = folder.libraries().iter().find(|own| own.guid.as_str() == guid)?;
            Some(Kept {
                name,
                guid: guid.to_owned(),
                subscribed: false,
                paused: own.is_paused,
                priority: own.priority,
                policy: Some(PolicyView::of(&own.approvals)),
                retention: RetentionView::of(own.retention),
                public: PublicView::of(own.public),
                sealed: own.is_sealed,
                include: Vec::new(),
                exclude: Vec::new(),
                file: Shown(&folder.path(FileName::Libraries)).to_string(),
            })
        }
        Found::Followed(_) => {
            let followed = folder.subscriptions().iter().find(|known| known.guid.as_str() == guid)?;
            Some(Kept {
                name,
                guid: guid.to_owned(),
                subscribed: true,
                paused: followed.is_paused,
                priority: followed.priority,
                policy: followed.approvals.as_ref().map(PolicyView::of),
                retention: RetentionView::of(followed.retention),
                public: PublicView::of(followed.public),
                sealed: false,
                include: followed.include.clone(),
                exclude: followed.exclude.clone(),
                file: Shown(&folder.path(FileName::Subscriptions)).to_string(),
            })
        }
    }
}

/// What is to change in how a library is kept; what is left out stays.
#[derive(Deserialize, ToSchema)]
pub(crate) struct KeptChange {
    paused: Option<bool>,
    priority: Option<i8>,
    policy: Option<PolicyView>,
    #[serde(default)]
    retention: Option<RetentionView>,
    public: Option<PublicView>,
    /// Patterns of paths to fetch, of a subscription; an empty list means all.
    include: Option<Vec<String>>,
    /// Patterns of paths to leave out, of a subscription.
    exclude: Option<Vec<String>>,
}

/// Change how a library is kept
///
/// All of it, or nothing: one edit of the file that says it.
#[utoipa::path(patch, path = "/api/v1/libraries/{guid}", tag = "libraries", params(("guid" = String, Path, description = "GUID or name")), request_body = KeptChange, responses((status = 204, description = "Changed"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
    Given(change): Given<KeptChange>,
) -> Answer<StatusCode> {
    let guid = allowed(&app, &caller, &which, Permission::LibraryManage).await?;
    let KeptChange { paused, priority, policy, retention, public, include, exclude } = change;
    if priority.is_some_and(|priority| !(-100..=100).contains(&priority)) {
        return Err(Problem::bad("a priority is from -100 to 100"));
    }
    let act = app.audit.begin(&caller.user, ip(&from), "library change", &guid);
    act.over(async {
        let found = app
            .read_files(move |folder| Found::in_files(folder, &guid))
            .await?
            .ok_or_else(no_such_library)?;
        if matches!(found, Found::Own(_)) && (include.is_some() || exclude.is_some()) {
            return Err(Problem::bad(
                "this library is kept here as a whole: only subscriptions have patterns",
            ));
        }
        let change = LibraryChange {
            paused,
            priority,
            approvals: policy.map(PolicyView::change),
            retention: retention.unwrap_or_default().change(),
            public: public.map(PublicView::setting),
            include,
            exclude,
        };
        app.edit_files(&caller, move |folder| folder.change_library(found.followed(), &change)).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Forget a library
///
/// Also one that is subscribed. Its files stay where they are.
#[utoipa::path(delete, path = "/api/v1/libraries/{guid}", tag = "libraries", params(("guid" = String, Path, description = "GUID or name")), responses((status = 204, description = "Forgotten"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
) -> Answer<StatusCode> {
    let guid = allowed(&app, &caller, &which, Permission::LibraryManage).await?;
    let act = app.audit.begin(&caller.user, ip(&from), "library remove", &guid);
    act.over(async {
        let found = app
            .read_files(move |folder| Found::in_files(folder, &guid))
            .await?
            .ok_or_else(no_such_library)?;
        app.edit_files(&caller, move |folder| match &found {
            Found::Own(name) => folder.remove_library(name),
            Found::Followed(guid) => folder.remove_subscription(guid),
        })
        .await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Look at the folders of a library now
#[utoipa::path(post, path = "/api/v1/libraries/{guid}/sync", tag = "libraries", params(("guid" = String, Path, description = "GUID or name")), responses((status = 202, description = "It looks"), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn look(
    State(app): State<Arc<App>>,
    caller: Caller,
    At(which): At<String>,
) -> Answer<StatusCode> {
    let library = allowed(&app, &caller, &which, Permission::LibraryWrite).await?;
    ask_library(&app, Request::Sync { library }).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Read all files of a library again
///
/// And name those whose bytes are not what they were. Takes as long as the disk needs.
#[utoipa::path(post, path = "/api/v1/libraries/{guid}/verify", tag = "libraries", params(("guid" = String, Path, description = "GUID or name")), responses((status = 200, description = "What was found", body = VerifyView), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    from: From,
    At(which): At<String>,
) -> Answer<Json<VerifyView>> {
    let library = allowed(&app, &caller, &which, Permission::LibraryManage).await?;
    let act = app.audit.begin(&caller.user, ip(&from), "verify", &library);
    act.end(match ask_library(&app, Request::Verify { library }).await {
        Ok(LibraryAnswer::Verified(mut view)) => {
            if !caller.roles.may(Permission::SettingsManage) {
                without_disks(&mut view.unreadable);
            }
            Ok(Json(*view))
        }
        Ok(_) => Err(Problem::odd()),
        Err(problem) => Err(problem),
    })
}
