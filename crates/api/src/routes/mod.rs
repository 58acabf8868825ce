//! What can be asked, by path. Invariant: each handler that is about this node takes a [`Caller`], and asks the table of roles before it does
//! anything; a request that names another host, or comes from another site, is refused before any handler.

mod approvals;
mod browsing;
mod conflicts;
mod described;
mod fetches;
mod following;
mod libraries;
mod links;
mod node;
mod peers;
mod qr;
mod readable;
mod remote;
mod sessions;
mod settings;
mod syncing;
mod team;
mod transfers;
mod users;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Json, Router};
use swarm_daemon::limits::GIVEN_LEN_MAX;
use swarm_daemon::{Answer as LibraryAnswer, LibraryStatus, Reply, Status};
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, LibraryName, Permission};
use crate::code::Code;
use crate::limits::{BODY_LEN_MAX, LONG_BODY_LEN_MAX};
use crate::problem::{Answer, Asker, Problem, without_disk_told};
use crate::server::{IsTls, is_own_host, is_own_origin};
use crate::{events, file, html, page};

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (api, _) = api().split_for_parts();
    let document = Arc::new(document());
    let readable = Arc::new(readable::page_of(&document));
    let described = Router::new()
        .route("/api/openapi.json", axum::routing::get(move || async move { Json((*document).clone()) }))
        .route(
            "/api",
            axum::routing::get(move || async move { html::page(&readable.0, &readable.1, "noindex") }),
        );
    let answers = api.fallback(page::file).merge(described).layer(CompressionLayer::new().gzip(true));
    let told = OpenApiRouter::<Arc<App>>::new()
        .routes(routes!(events::events))
        // Their bodies are read as they come.
        .routes(routes!(file::uploads, file::begin_upload))
        .routes(routes!(file::upload_state, file::append_to_upload, file::cancel_upload));
    let bytes = Router::new()
        .route("/file/{guid}/{*path}", axum::routing::get(file::get))
        .route("/robots.txt", axum::routing::get(file::robots))
        .route("/public/{guid}/", axum::routing::get(file::listing))
        .route("/public/{guid}/file/{*path}", axum::routing::get(file::public_file))
        .route("/link/{token}/{name}", axum::routing::get(file::linked))
        .route("/api/v1/libraries/{guid}/zip", axum::routing::get(file::zip))
        // Its body is read as it comes.
        .route("/api/v1/libraries/{guid}/files/{*path}", axum::routing::put(file::put));
    // Of all that asks for a body as a value; a route that takes more says so itself.
    answers
        .merge(told.split_for_parts().0)
        .merge(bytes)
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "swarm",
    description = "The API of a swarm daemon: libraries, files, peers, users. Prove a user by a session cookie, Basic, or Bearer."
))]
struct Described;

/// What is described, and answered otherwise. A path of `/file` has slashes, which the document cannot say of a parameter.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    events::events,
    file::get,
    file::put,
    file::uploads,
    file::begin_upload,
    file::upload_state,
    file::append_to_upload,
    file::cancel_upload,
    file::zip,
    file::linked,
    file::robots,
    file::listing,
    file::public_file
))]
struct DescribedBytes;

/// What is described, and answered in JSON.
fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(sessions::login))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::me))
        .routes(routes!(sessions::change_password))
        .routes(routes!(sessions::setup_state, sessions::setup))
        .routes(routes!(sessions::token))
        .routes(routes!(sessions::refresh))
        .routes(routes!(sessions::revoke))
        .routes(routes!(team::status))
        .routes(routes!(team::libraries))
        .routes(routes!(team::files))
        .routes(routes!(team::subscribe))
        .routes(routes!(team::peers))
        .routes(routes!(syncing::start))
        .routes(routes!(syncing::status))
        .routes(routes!(syncing::resolve))
        .routes(routes!(syncing::changes))
        .routes(routes!(node::node))
        .routes(routes!(node::status))
        .routes(routes!(qr::qr))
        .routes(routes!(libraries::look))
        .routes(routes!(libraries::verify))
        .routes(routes!(browsing::tree))
        .routes(routes!(browsing::explain))
        .routes(routes!(browsing::log))
        .routes(routes!(browsing::versions))
        .routes(routes!(browsing::restore))
        .routes(routes!(browsing::undo))
        .routes(routes!(browsing::lock))
        .routes(routes!(links::list, links::create))
        .routes(routes!(links::revoke))
        .routes(routes!(conflicts::list))
        .routes(routes!(conflicts::texts))
        .routes(routes!(conflicts::resolve))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::vote))
        .routes(routes!(approvals::approve_here))
        .routes(routes!(approvals::authors))
        .routes(routes!(approvals::undo_author))
        .routes(routes!(transfers::list))
        .routes(routes!(transfers::show, transfers::steer))
        .routes(routes!(peers::list, peers::add))
        .routes(routes!(peers::change, peers::remove))
        .routes(routes!(peers::lan))
        .routes(routes!(users::proposed))
        .routes(routes!(users::decide))
        .merge(long())
        .merge(given())
}

/// What takes lists, and of proven users alone: it proves one before it reads a body.
fn long() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(team::merge_peers))
        .routes(routes!(libraries::list, libraries::create))
        .routes(routes!(libraries::show, libraries::change, libraries::remove))
        .routes(routes!(following::subscribe))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::change, users::remove))
        .routes(routes!(settings::show, settings::change))
        .layer(DefaultBodyLimit::max(LONG_BODY_LEN_MAX))
}

/// What takes manifests; it proves a user before it reads a body, too.
fn given() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(fetches::begin)).layer(DefaultBodyLimit::max(GIVEN_LEN_MAX))
}

/// The document of the API: OpenAPI 3.1.
pub fn document() -> OpenApi {
    let mut document = api().split_for_parts().1;
    document.merge(DescribedBytes::openapi());
    described::complete(document)
}

/// Refuses other hosts and other sites, and says to browsers what the answers may do.
async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    // A browser would ask for a password by itself, over the page that is there for it.
    let is_script = request.headers().get("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
    let mut response = match refusal(&app, &request) {
        Some(problem) => syncing::shown_at(request.uri().path(), problem),
        None => {
            let (asker, path) = (Asker::default(), request.uri().path().to_owned());
            request.extensions_mut().insert(asker.clone());
            let mut response = next.run(request).await;
            match asker.told(&mut response) {
                Some(problem) => syncing::shown_at(&path, problem),
                None => response,
            }
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if is_script {
        headers.remove(header::WWW_AUTHENTICATE);
    }
    response
}

/// Asked for a path that has other methods.
async fn other_method(method: Method, uri: axum::http::Uri) -> Response {
    let message = format!("there is no {method} of this path: GET /api lists what can be asked");
    syncing::shown_at(uri.path(), Problem::new(StatusCode::METHOD_NOT_ALLOWED, message))
}

fn refusal(app: &App, request: &Request) -> Option<Problem> {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host =
        named.or_else(|| request.uri().authority().map(|authority| authority.as_str())).unwrap_or_default();
    if !is_own_host(host, &app.facts.name, &app.known().hosts) {
        let message = "this node is not asked under that host name: use its address, or add the name to \"hosts\" in config.json";
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, message));
    }
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let is_tls = request.extensions().get::<IsTls>().copied().unwrap_or(IsTls(false));
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_other_origin = header("origin").is_some_and(|origin| !is_own_origin(origin, host, is_tls));
    let is_other_site =
        header("sec-fetch-site").is_some_and(|site| matches!(site, "cross-site" | "same-site"));
    // Ends a session, though it is a GET.
    let is_change = !is_safe || request.uri().path() == "/logout";
    let is_foreign = is_change && (is_other_origin || is_other_site);
    is_foreign.then(|| {
        Problem::new(StatusCode::FORBIDDEN, "a page of another site may change nothing here")
            .code(Code::Foreign)
    })
}

/// Said to browsers with each answer.
const HEADERS: [(header::HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
];

/// What a caller may see of a status: all of it, or the libraries that it may read, without what is about the node.
pub(crate) fn seen_by<'a>(status: &'a Status, caller: &Caller) -> Cow<'a, Status> {
    if caller.roles.may(Permission::SettingsManage) && caller.roles.libraries.is_empty() {
        return Cow::Borrowed(status);
    }
    let may_see =
        |name: &str, guid: &str| caller.roles.may_in(Permission::LibraryRead, &LibraryName { name, guid });
    let mut seen = status.clone();
    seen.libraries.retain(|library| may_see(&library.name, &library.guid));
    let guids: Vec<&str> = seen.libraries.iter().map(|library| library.guid.as_str()).collect();
    seen.errors.retain(|error| guids.contains(&error.guid.as_str()));
    for peer in &mut seen.peers {
        // What a peer calls a library that is not here is no name of one that is.
        peer.libraries.retain(|library| {
            let name = if library.is_shared { &library.name } else { &library.guid };
            may_see(name, &library.guid)
        });
    }
    for percents in seen.peer_sync.values_mut() {
        percents.retain(|name, _| seen.libraries.iter().any(|library| library.name == *name));
    }
    let may_manage = |library: &LibraryStatus| {
        let library = LibraryName { name: &library.name, guid: &library.guid };
        caller.roles.may_in(Permission::LibraryManage, &library)
    };
    for library in seen.libraries.iter_mut().filter(|library| !may_manage(library)) {
        // Where folders stand on this machine is the admin's affair.
        library.mounts.iter_mut().for_each(|mount| mount.dir.clear());
        without_disk_told(&mut library.activity, &mut library.activity_told);
        let of_library = seen.errors.iter_mut().filter(|error| error.guid == library.guid);
        of_library.for_each(|error| without_disk_told(&mut error.detail, &mut error.told));
    }
    if !caller.roles.may(Permission::NodeRead) {
        seen.metrics = None;
        (seen.rate_down, seen.rate_up) = (0, 0);
        (seen.limit_down, seen.limit_up) = (None, None);
        seen.libraries.iter_mut().for_each(|library| library.policy_differences.clear());
        seen.peers.retain(|peer| !peer.libraries.is_empty());
        seen.peer_sync.retain(|_, percents| !percents.is_empty());
        for peer in &mut seen.peers {
            (peer.user, peer.trouble, peer.trouble_told) = (None, None, None);
            (peer.round_trip_us, peer.last_seen_ms, peer.agent, peer.protocol) = (None, None, None, None);
            peer.told_by.clear();
        }
    }
    if !caller.roles.may(Permission::SettingsManage) {
        seen.file_errors.clear();
        seen.file_warnings.clear();
    }
    Cow::Owned(seen)
}

/// Asks one library; what it does not do is a problem.
pub(crate) async fn ask_library(app: &App, request: swarm_daemon::Request) -> Answer<LibraryAnswer> {
    match app.asker.ask(request).await {
        Reply::Library { answer, .. } => checked(answer),
        Reply::Done => Ok(LibraryAnswer::Done),
        reply => Err(reply.into()),
    }
}

pub(super) fn checked(answer: LibraryAnswer) -> Answer<LibraryAnswer> {
    match answer {
        LibraryAnswer::Failed { category, message } => Err(Reply::Failed { category, message }.into()),
        answer => Ok(answer),
    }
}

/// Does blocking work.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::broken())
}

/// Where a request comes from.
pub(super) type From = ConnectInfo<SocketAddr>;

pub(super) fn ip(from: &From) -> IpAddr {
    from.0.ip()
}

/// A path in a library, as it stands in a request.
pub(super) fn path_of(text: &str) -> Answer<swarm_sync::TreePath> {
    let text = text.trim_matches('/');
    let bad = |fault| {
        let problem = Problem::bad(format!("this is no path in a library: {fault}"));
        problem.code(Code::NoPath).with("path", swarm_core::base::Shown(text))
    };
    swarm_sync::TreePath::new(text).map_err(bad)
}

/// The same, where none means the whole library.
pub(super) fn place_of(text: Option<&str>) -> Answer<Option<swarm_sync::TreePath>> {
    match text.map(|text| text.trim_matches('/')) {
        None | Some("") => Ok(None),
        Some(text) => path_of(text).map(Some),
    }
}
