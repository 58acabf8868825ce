//! The pages /metrics and /healthz. Bounded: so many clients, one request each, heads of a limited length and time. Decides
//! nothing: what it tells it asks the node for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::Call;
use super::metrics;
use super::protocol::{Answer, Request as NodeRequest, Status};
use crate::limits::{METRICS_CLIENTS_MAX, METRICS_HEAD_LEN_MAX, METRICS_HEAD_TIMEOUT, METRICS_TIMEOUT};
use swarm_files::HashProgress;

/// Answers until the node ends. Each client has a task in `tasks`.
pub(super) async fn serve(
    listener: TcpListener,
    calls: mpsc::Sender<Call>,
    ending: CancellationToken,
    tasks: TaskTracker,
) {
    let slots = Arc::new(Semaphore::new(METRICS_CLIENTS_MAX));
    while let Some(Ok(slot)) = ending.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
        match ending.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok((stream, _))) => {
                let (calls, ending) = (calls.clone(), ending.clone());
                tasks.spawn(async move {
                    let client = timeout(METRICS_TIMEOUT, client(stream, calls));
                    // A client that is slow, or gone, is its own affair.
                    let _ = ending.run_until_cancelled(client).await;
                    drop(slot);
                });
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot take a client of the metrics page");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Reads one request and answers it.
pub(super) async fn client(stream: impl AsyncRead + AsyncWrite + Unpin, calls: mpsc::Sender<Call>) {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, &calls).await));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(METRICS_HEAD_TIMEOUT)
        .max_buf_size(METRICS_HEAD_LEN_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client of the metrics page");
    }
}

async fn answer(request: &Request<Incoming>, calls: &mpsc::Sender<Call>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
    }
    if !matches!(path, "/metrics" | "/healthz") {
        return page(StatusCode::NOT_FOUND, TEXT, "there are /metrics and /healthz\n");
    }
    let Ok(Some(status)) = timeout(METRICS_HEAD_TIMEOUT, ask(calls)).await else {
        return page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the node is stopping, or does not get on\n");
    };
    match path {
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, metrics::encode(&status)),
        _ if status.is_healthy => page(StatusCode::OK, TEXT, "ok\n"),
        _ => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, status.troubles.join("\n") + "\n"),
    }
}

/// How the node stands now. That it answers is a part of its health.
async fn ask(calls: &mpsc::Sender<Call>) -> Option<Box<Status>> {
    let (answer, answered) = oneshot::channel();
    let progress = watch::Sender::new(HashProgress { hashed_len: 0, total_len: 0 });
    calls.send(Call { request: NodeRequest::Status, progress, answer }).await.ok()?;
    match answered.await.ok()? {
        Answer::Status(status) => Some(status),
        _ => None,
    }
}

fn page(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
/// After an error that says nothing of a single client, as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
