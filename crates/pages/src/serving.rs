//! Clients of the pages, a request each. Decides nothing but what is a page: what it tells it asks the process for.

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
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::{CLIENTS_MAX, HEAD_LEN_MAX, HEAD_TIMEOUT, TIMEOUT, TROUBLES_MAX};

/// What a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/metrics`: figures, for Prometheus.
    Metrics,
    /// `/health` and `/healthz`: whether all is well.
    Health,
}

/// What a process tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its figures, as OpenMetrics text.
    Metrics(String),
    /// All is well.
    Healthy,
    /// Something is not, a line each.
    Troubles(Vec<String>),
}

/// A process that has pages.
pub trait Tells: Clone + Send + Sync + 'static {
    /// How it stands now; `None` if it is ending. That it answers is a part of its health.
    fn tell(&self, page: Page) -> impl Future<Output = Option<Answer>> + Send;
}

/// Answers until the process ends. Each client has a task in `tasks`.
pub async fn serve(
    listener: TcpListener,
    process: impl Tells,
    ending: CancellationToken,
    tasks: TaskTracker,
) {
    let slots = Arc::new(Semaphore::new(CLIENTS_MAX));
    while let Some(Ok(slot)) = ending.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
        match ending.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok((stream, _))) => {
                let (process, ending) = (process.clone(), ending.clone());
                tasks.spawn(async move {
                    let client = timeout(TIMEOUT, client(stream, process));
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
pub async fn client(stream: impl AsyncRead + AsyncWrite + Unpin, process: impl Tells) {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, &process).await));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_LEN_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client of the metrics page");
    }
}

async fn answer(request: &Request<Incoming>, process: &impl Tells) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
    }
    let asked = match request.uri().path() {
        "/metrics" => Page::Metrics,
        "/health" | "/healthz" => Page::Health,
        _ => return page(StatusCode::NOT_FOUND, TEXT, "there are /metrics and /health\n"),
    };
    match timeout(HEAD_TIMEOUT, process.tell(asked)).await {
        Ok(Some(Answer::Metrics(text))) => page(StatusCode::OK, OPENMETRICS, text),
        Ok(Some(Answer::Healthy)) => page(StatusCode::OK, TEXT, "ok\n"),
        Ok(Some(Answer::Troubles(lines))) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, bounded(lines)),
        Ok(None) | Err(_) => {
            page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the node is stopping, or does not get on\n")
        }
    }
}

fn bounded(mut lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(TROUBLES_MAX);
    lines.truncate(TROUBLES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n") + "\n"
}

fn page(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The content type of figures.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
/// After an error that says nothing of a single client, as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A process that tells the same at any time.
    #[derive(Clone)]
    struct Told(Option<Answer>);

    impl Tells for Told {
        async fn tell(&self, _: Page) -> Option<Answer> {
            self.0.clone()
        }
    }

    async fn check(request: &str, told: Option<Answer>, expected: (&str, &str)) {
        let (mut theirs, ours) = tokio::io::duplex(64 << 10);
        theirs.write_all(format!("{request} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.expect("room");
        client(ours, Told(told)).await;
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.expect("it ends");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(expected.0) && body.ends_with(expected.1), "{request}: {text}");
    }

    #[tokio::test]
    async fn each_page_has_its_answer() {
        let troubles = |count: usize| Some(Answer::Troubles(vec!["bad".to_owned(); count]));
        let figures = Some(Answer::Metrics("figures".to_owned()));
        check("GET /metrics", figures.clone(), ("openmetrics", "figures")).await;
        check("GET /health", Some(Answer::Healthy), (" 200 ", "ok\n")).await;
        check("GET /healthz", Some(Answer::Healthy), (" 200 ", "ok\n")).await;
        check("GET /health", troubles(2), (" 503 ", "bad\nbad\n")).await;
        check("GET /health", troubles(TROUBLES_MAX + 3), (" 503 ", "bad\nand 3 more\n")).await;
        check("GET /health", None, (" 503 ", "does not get on\n")).await;
        check("GET /", figures.clone(), (" 404 ", "/metrics and /health\n")).await;
        check("POST /metrics", figures, (" 405 ", "only GET\n")).await;
    }
}
