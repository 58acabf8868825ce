//! What handlers take from a request. Invariant: what cannot be read is a problem as any other; no handler waits for a body without end, nor does what
//! a body asks for whose sender may not do it any more when it has come.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::app::App;
use crate::auth::Caller;
use crate::limits::BODY_TIMEOUT;
use crate::problem::Problem;

/// A body in JSON, which came in time, and whose sender may do now what it might before.
pub(crate) struct Given<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = request.extensions().get::<Caller>().cloned();
        let read = axum::Json::<T>::from_request(request, app);
        match tokio::time::timeout(BODY_TIMEOUT, read).await {
            Ok(Ok(axum::Json(value))) => {
                caller.map_or(Ok(()), |caller| caller.check_as_before(&app.files))?;
                Ok(Self(value))
            }
            Ok(Err(rejection)) => Err(Problem::from(rejection)),
            Err(_) => {
                let message = "the body of the request did not come in time: send it at once";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, message))
            }
        }
    }
}

/// The query of an address.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Asked<T>(pub(crate) T);

/// Parts of a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct At<T>(pub(crate) T);

/// A key that says `null`, told from one that is left out.
pub(crate) fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let text = rejection.body_text();
        let message = match &rejection {
            JsonRejection::JsonDataError(_) => other_than_taken("body", &text),
            JsonRejection::JsonSyntaxError(_) => format!("the body is no JSON: {}", why(&text)),
            JsonRejection::MissingJsonContentType(_) => {
                "the body has to be JSON: send it with `Content-Type: application/json`".to_owned()
            }
            // It is too long, or broke off.
            _ => text,
        };
        Self::new(rejection.status(), message)
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), other_than_taken("query", &rejection.body_text()))
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

fn other_than_taken(part: &str, text: &str) -> String {
    format!("the {part} is not what this request takes: {}; /api shows it", why(text))
}

/// What follows the words of the library.
fn why(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(_, why)| why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_not_taken_says_why_in_plain_words() {
        #[derive(Debug, Deserialize)]
        struct Body {
            #[expect(dead_code)]
            sync_id: String,
        }
        let check = |body: &[u8], message: &str| {
            let rejection = axum::Json::<Body>::from_bytes(body).expect_err("it is none");
            assert_eq!(Problem::from(rejection).detail(), message);
        };
        check(
            b"{}",
            "the body is not what this request takes: missing field `sync_id` at line 1 column 2; /api shows it",
        );
        check(b"{", "the body is no JSON: EOF while parsing an object at line 1 column 1");
    }
}
