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
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}
