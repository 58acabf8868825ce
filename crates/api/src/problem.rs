//! What a client is told when something is not done: RFC 9457, or the shape that the sync endpoints have. Invariant: no answer of this crate holds a
//! password, a token or a path outside of what the caller may see: where things stand on the disks of this machine is for admins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use swarm_core::base::Category;
use swarm_daemon::{Reply, Told};
use swarm_daemon_files::EditError;
use utoipa::ToSchema;

use crate::code::Code;

/// Something is not done: a problem of RFC 9457.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the status.
    title: &'static str,
    /// The HTTP status.
    #[schema(value_type = u16)]
    status: u16,
    /// For people, with the way out.
    detail: String,
    /// What kind of cause it is: as the exit codes of the commands have it.
    category: &'static str,
    /// What kind of problem it is, for programs that tell it in a language of their own: it stays the same when the words change.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    /// What is named in it, by the parameters of its code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    params: BTreeMap<&'static str, String>,
    /// Seconds to wait before the next try.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// Whether its text came from below this crate, and may name a place on the disks of this machine.
    #[serde(skip)]
    is_of_daemon: bool,
}

pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            category: category_of(status).name(),
            code: None,
            params: BTreeMap::new(),
            retry_after: None,
            is_of_daemon: false,
        }
    }

    pub(crate) fn of(category: Category, detail: impl Into<String>) -> Self {
        Self { category: category.name(), is_of_daemon: true, ..Self::new(status_of(category), detail) }
    }

    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same, of this kind.
    pub(crate) fn code(self, code: Code) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The same, with a parameter of its kind.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        debug_assert!(
            Code::ALL.iter().any(|(code, params)| self.code == Some(*code) && params.contains(&name))
        );
        self.params.insert(name, value.to_string());
        self
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn category(&self) -> &'static str {
        self.category
    }

    /// What is wrong with an answer of the daemon that is of another kind than was asked for.
    pub(crate) fn odd() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the daemon answered something else: this is a bug, please report it",
        )
        .code(Code::Bug)
    }

    /// A thread that failed.
    pub(crate) fn broken() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "a thread of the daemon failed: this is a bug, please report it",
        )
        .code(Code::Bug)
    }
}

/// Who asks, as far as a problem has to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asker(Arc<AtomicBool>);

impl Asker {
    pub(crate) fn is_admin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// What this client may be told of the problem that a response is, if it is one that is not for everybody.
    pub(crate) fn told(&self, response: &mut Response) -> Option<Problem> {
        let problem = response.extensions_mut().remove::<Problem>()?;
        let is_hidden = !self.0.load(Ordering::Relaxed) && names_disk(&problem.detail);
        let hidden = |problem: Problem| Problem {
            detail: FOR_ADMINS.to_owned(),
            code: Some(Code::ForAdmins),
            params: BTreeMap::new(),
            ..problem
        };
        is_hidden.then(|| hidden(problem))
    }
}

/// A text without a place on the disks of this machine, for those who are no admins.
pub(crate) fn without_disk(text: &mut String) {
    if names_disk(text) {
        FOR_ADMINS.clone_into(text);
    }
}

/// The same of a text of the daemon that has a code: what is hidden has another one.
pub(crate) fn without_disk_told(text: &mut String, told: &mut Option<Told>) {
    if names_disk(text) {
        FOR_ADMINS.clone_into(text);
        let code = Code::ForAdmins.name().to_owned();
        *told = Some(Told { code, params: BTreeMap::new(), because: None });
    }
}

/// The same of reasons why paths stay as they are.
pub(crate) fn without_disks(reasons: &mut [(String, String)]) {
    reasons.iter_mut().for_each(|(_, why)| without_disk(why));
}

/// Whether a text of the daemon names an absolute path. A path in a library never begins with a slash there.
fn names_disk(text: &str) -> bool {
    let is_outside = |before: char| before.is_whitespace() || "`\"'(:=[<".contains(before);
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_name = letters.peek().is_some_and(|next| !next.is_whitespace() && *next != '/');
        if letter == '/' && is_outside(before) && is_name {
            return true;
        }
        before = letter;
    }
    false
}

const FOR_ADMINS: &str = "it does not work on this machine: an admin of this node sees why";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = self.clone();
        let (status, wait) = (self.status(), self.retry_after);
        let is_unproven = status == StatusCode::UNAUTHORIZED;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        if is_unproven {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"swarm\", charset=\"UTF-8\""),
            );
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if problem.is_of_daemon {
            response.extensions_mut().insert(problem);
        }
        response
    }
}

/// A reply that says that something was not done.
impl From<Reply> for Problem {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Failed { category, message } => {
                Self::of(Category::from_name(&category).unwrap_or(Category::Other), message)
            }
            _ => Self::odd(),
        }
    }
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        let detail = error.to_string();
        let conflict = |detail: String| Self::new(StatusCode::CONFLICT, detail);
        let problem = match error {
            EditError::Missing { what, .. } => Self::not_found(detail).code(Code::NoEntry).with("what", what),
            EditError::Refused(_) => Self::bad(detail),
            EditError::Exists { what, .. } => conflict(detail).code(Code::EntryExists).with("what", what),
            EditError::Invalid(_) => conflict(detail).code(Code::FileInvalid),
            EditError::Busy(_) => conflict(detail).code(Code::FileBusy),
            EditError::Io { .. } => Self::of(Category::Disk, detail),
        };
        Self { is_of_daemon: true, ..problem }
    }
}

fn status_of(category: Category) -> StatusCode {
    match category {
        Category::Usage => StatusCode::BAD_REQUEST,
        Category::NoSource => StatusCode::NOT_FOUND,
        Category::Denied => StatusCode::FORBIDDEN,
        Category::Held | Category::TargetDiffers | Category::Undecided => StatusCode::CONFLICT,
        Category::NoNode | Category::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn category_of(status: StatusCode) -> Category {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Category::Denied,
        StatusCode::NOT_FOUND => Category::NoSource,
        StatusCode::CONFLICT => Category::Held,
        StatusCode::SERVICE_UNAVAILABLE => Category::NoNode,
        status if status.is_client_error() => Category::Usage,
        _ => Category::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_the_disk_if_it_has_an_absolute_path() {
        let check = |text: &str, expected: bool| assert_eq!(names_disk(text), expected, "{text}");
        check("cannot read `/home/anna/films/a.mov`: no such file", true);
        check("/srv/lib is gone", true);
        check("the folder of the library (/srv/lib) lost its marker", true);
        check("cannot write:/srv/lib/x", true);
        check("the library has no file `films/a.mov`", false);
        check("no library `Films` here: see `swarm library ls`", false);
        check("use https://host:8000/x instead", false);
        check("10 files / 3 folders", false);
    }
}
