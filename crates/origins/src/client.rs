//! Asks a server. Invariant: every wait ends, every answer is bounded; what may succeed a little later is tried again, and nothing else is.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use swarm_core::base::Shown;
use tokio::time::timeout;

use crate::certificate::{Check, Seen, Sight, tls_config};
use crate::error::OriginError;
use crate::limits::{
    AGAIN_AFTER, ANSWER_TIMEOUT, CONNECT_TIMEOUT, IDLE_TIMEOUT, KEPT_FOR, KEPT_MAX, LISTING_LEN_MAX,
    RETRY_AFTER_MAX, TAG_LEN_MAX,
};
use crate::listing::{ListedFile, Listing};
use crate::version::{Head, Version};

/// How a server is spoken to.
#[derive(Clone)]
pub struct Options {
    /// `https://host:port`, with a path if it is not at the root; http for a server of this machine.
    pub url: String,
    /// Name and password; nobody's without it.
    pub user: Option<(String, String)>,
    /// What its certificate is checked by.
    pub check: Check,
}

/// A server.
pub struct Origin {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: String,
    user: Option<HeaderValue>,
    sight: Arc<Sight>,
    received_len: Arc<AtomicU64>,
}

/// The bytes of an answer, as they come.
pub struct Body {
    incoming: Incoming,
    /// Bytes that are still to come.
    left_len: u64,
    tag: Option<String>,
    received_len: Arc<AtomicU64>,
}

impl Origin {
    /// A client; nothing is sent yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the address is none, or TLS cannot be used.
    pub fn new(options: Options) -> Result<Self, OriginError> {
        let Options { url, user, check } = options;
        url.parse::<Uri>().map_err(|_| OriginError::Address(Shown(&url.as_str()).to_string()))?;
        let sight = Arc::new(Sight::default());
        let tls = tls_config(check, Arc::clone(&sight))?;
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(KEPT_FOR)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(KEPT_MAX)
            .build(connector);
        let user = user.and_then(|(name, password)| {
            let proof = BASE64.encode(format!("{name}:{password}").as_bytes());
            let mut header = HeaderValue::from_str(&format!("Basic {proof}")).ok()?;
            header.set_sensitive(true);
            Some(header)
        });
        Ok(Self { client, url, user, sight, received_len: Arc::default() })
    }

    /// The files of a library; [`Listing::Same`] if they are as they were when `known` was given.
    ///
    /// # Errors
    /// [`OriginError::Missing`] if the server does not have the library.
    pub async fn list(&self, guid: &str, known: Option<&str>) -> Result<Listing, OriginError> {
        let target = format!("{}/files?guid={}", self.url, encoded(guid));
        let headers = known.and_then(|tag| Some((header::IF_NONE_MATCH, HeaderValue::from_str(tag).ok()?)));
        let answer = self.ask(&target, headers.into_iter().collect()).await?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(Listing::Same);
        }
        let tag = text_of(answer.headers(), header::ETAG).filter(|tag| tag.len() <= TAG_LEN_MAX);
        let tag = tag.map(str::to_owned);
        let mut body = self.body(answer, LISTING_LEN_MAX as u64, None);
        let mut bytes = Vec::new();
        while let Some(more) = body.next_up_to_end().await? {
            bytes.extend_from_slice(&more);
        }
        let read = tokio::task::spawn_blocking(move || ListedFile::list(&bytes)).await;
        let files = read.map_err(|_| OriginError::Odd("no list of files".to_owned()))??;
        Ok(Listing::Files { files, tag })
    }

    /// A range of a file, of this version alone. The body ends with the range, or fails.
    ///
    /// # Errors
    /// [`OriginError::Changed`] for another version, [`OriginError::NoRange`] if the server gives files only whole.
    pub async fn open(
        &self,
        guid: &str,
        path: &str,
        range: Range<u64>,
        version: &Version,
    ) -> Result<Body, OriginError> {
        let path = path.trim_start_matches('/').split('/').map(encoded).collect::<Vec<_>>().join("/");
        let target = format!("{}/file/{}/{path}", self.url, encoded(guid));
        let mut headers = Vec::new();
        if range != (0..version.len) {
            let asked = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
            headers.extend(HeaderValue::from_str(&asked).ok().map(|asked| (header::RANGE, asked)));
            let tag = version.tag.as_ref().and_then(|tag| HeaderValue::from_str(tag).ok());
            headers.extend(tag.map(|tag| (header::IF_RANGE, tag)));
        }
        let answer = self.ask(&target, headers).await?;
        let head = Head {
            is_partial: answer.status() == StatusCode::PARTIAL_CONTENT,
            tag: text_of(answer.headers(), header::ETAG),
            content_range: text_of(answer.headers(), header::CONTENT_RANGE),
            content_len: text_of(answer.headers(), header::CONTENT_LENGTH).and_then(|len| len.parse().ok()),
        };
        let tag = version.check(&range, &head)?;
        Ok(self.body(answer, range.end - range.start, tag))
    }

    /// All bytes of a range, and the tag of their version. For ranges that fit into memory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn range(
        &self,
        guid: &str,
        path: &str,
        range: Range<u64>,
        version: &Version,
    ) -> Result<(Vec<u8>, Option<String>), OriginError> {
        let mut pauses = AGAIN_AFTER.iter();
        loop {
            let read = self.read(guid, path, range.clone(), version).await;
            match (read, pauses.next()) {
                (Err(error), Some(pause)) if error.is_transient() => tokio::time::sleep(*pause).await,
                (read, _) => return read,
            }
        }
    }

    /// Bytes of bodies that came.
    pub fn received_len(&self) -> u64 {
        self.received_len.load(Ordering::Relaxed)
    }

    /// What its certificate was at first contact.
    pub fn seen(&self) -> Option<Seen> {
        self.sight.seen()
    }

    async fn read(
        &self,
        guid: &str,
        path: &str,
        range: Range<u64>,
        version: &Version,
    ) -> Result<(Vec<u8>, Option<String>), OriginError> {
        let mut body = self.open(guid, path, range, version).await?;
        let mut bytes = Vec::new();
        while let Some(more) = body.next().await? {
            bytes.extend_from_slice(&more);
        }
        Ok((bytes, body.tag))
    }

    fn body(&self, answer: Response<Incoming>, left_len: u64, tag: Option<String>) -> Body {
        Body { incoming: answer.into_body(), left_len, tag, received_len: Arc::clone(&self.received_len) }
    }

    /// Asks, and once more after a while if that may help. The answer has a body that is meant.
    async fn ask(
        &self,
        target: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Response<Incoming>, OriginError> {
        let mut pauses = AGAIN_AFTER.iter();
        loop {
            let asked = self.ask_once(target, &headers).await;
            let (Err(error), Some(pause)) = (&asked, pauses.next()) else { return asked };
            let after = match error {
                OriginError::Busy { after, .. } => after.unwrap_or(*pause).min(RETRY_AFTER_MAX),
                _ if error.is_transient() => *pause,
                _ => return asked,
            };
            tokio::time::sleep(after).await;
        }
    }

    async fn ask_once(
        &self,
        target: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Response<Incoming>, OriginError> {
        let mut request = Request::get(target)
            .header(header::USER_AGENT, "swarm")
            .body(Empty::new())
            .map_err(|_| OriginError::Address(Shown(&target).to_string()))?;
        request.headers_mut().extend(headers.iter().cloned());
        if let Some(user) = &self.user {
            request.headers_mut().insert(header::AUTHORIZATION, user.clone());
        }
        let sent = timeout(ANSWER_TIMEOUT, self.client.request(request)).await;
        let answer = sent.map_err(|_| OriginError::Silent(ANSWER_TIMEOUT))?.map_err(|error| {
            let changed = self.sight.take_changed();
            changed.unwrap_or_else(|| OriginError::Unreachable(cause(&error)))
        })?;
        checked(answer)
    }
}

impl Body {
    /// What comes next; `None` at the end of the range.
    ///
    /// # Errors
    /// If it does not come to its end, or is longer.
    pub async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        match self.frame().await? {
            None if self.left_len > 0 => Err(OriginError::Unreachable("it ended early".to_owned())),
            Some(bytes) if bytes.len() as u64 > self.left_len => Err(OriginError::Changed),
            bytes => {
                self.left_len -= bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                Ok(bytes)
            }
        }
    }

    /// The strong tag that the server named.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The same for a body of any length up to so many bytes.
    async fn next_up_to_end(&mut self) -> Result<Option<Bytes>, OriginError> {
        let Some(bytes) = self.frame().await? else { return Ok(None) };
        let left_len = self.left_len.checked_sub(bytes.len() as u64);
        self.left_len = left_len.ok_or(OriginError::TooLong(LISTING_LEN_MAX))?;
        Ok(Some(bytes))
    }

    async fn frame(&mut self) -> Result<Option<Bytes>, OriginError> {
        loop {
            let next = timeout(IDLE_TIMEOUT, self.incoming.frame()).await;
            let Some(frame) = next.map_err(|_| OriginError::Silent(IDLE_TIMEOUT))? else { return Ok(None) };
            let frame = frame.map_err(|error| OriginError::Unreachable(error.to_string()))?;
            if let Ok(bytes) = frame.into_data() {
                self.received_len.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                return Ok(Some(bytes));
            }
        }
    }
}

/// An answer with what was asked for.
fn checked(answer: Response<Incoming>) -> Result<Response<Incoming>, OriginError> {
    let status = answer.status();
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(OriginError::Denied(status.as_u16())),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(OriginError::Missing(status.as_u16())),
        StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PRECONDITION_FAILED => Err(OriginError::Changed),
        _ if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            let after = text_of(answer.headers(), header::RETRY_AFTER).and_then(|after| after.parse().ok());
            Err(OriginError::Busy { status: status.as_u16(), after: after.map(Duration::from_secs) })
        }
        _ if status.is_redirection() => {
            let to = text_of(answer.headers(), header::LOCATION).unwrap_or_default();
            Err(OriginError::Redirects(Shown(&to).to_string()))
        }
        _ => Err(OriginError::Odd(format!("status {}", status.as_u16()))),
    }
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The last cause is the one that people know.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A segment of a path, or a value of a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
