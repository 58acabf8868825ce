//! Asks a server. Invariant: every wait ends, every answer is bounded; what may succeed a little later is tried again, and nothing else is; a server
//! that rests is not asked.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use swarm_core::base::ByteLen;
use tokio::time::timeout;

use crate::certificate::{Check, Seen, Sight, tls_config};
use crate::clock;
use crate::error::{OriginError, shown};
use crate::limits::{
    AGAIN_AFTER, ANSWER_TIMEOUT, CONNECT_TIMEOUT, IDLE_TIMEOUT, KEPT_FOR, KEPT_MAX, LISTING_LEN_MAX,
    LISTING_TIMEOUT, PACE_LEN_MIN, PACE_TIME, RANGE_TIMEOUT, RETRY_AFTER_MAX, TAG_LEN_MAX,
};
use crate::listing::{Listing, ReadList};
use crate::rest::Rest;
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
    rest: Mutex<Rest>,
    received_len: Arc<AtomicU64>,
}

/// The bytes of an answer, as they come.
pub struct Body {
    incoming: Incoming,
    /// Bytes that are still to come.
    left_len: u64,
    tag: Option<String>,
    pace: Pace,
    received_len: Arc<AtomicU64>,
}

/// How fast a body comes: bytes, and the time that was waited for them, since either was enough.
#[derive(Debug, Default)]
struct Pace {
    len: u64,
    waited: Duration,
}

impl Origin {
    /// A client; nothing is sent yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the address is none, or TLS cannot be used.
    pub fn new(options: Options) -> Result<Self, OriginError> {
        let Options { url, user, check } = options;
        url.parse::<Uri>().map_err(|_| OriginError::Address(shown(&url)))?;
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
        let (rest, received_len) = (Mutex::default(), Arc::default());
        Ok(Self { client, url, user, sight, rest, received_len })
    }

    /// The files of a library; [`Listing::Same`] if they are as they were when `known` was given.
    ///
    /// # Errors
    /// [`OriginError::Missing`] if the server does not have the library, [`OriginError::Sealed`] if it is not for those who speak HTTP(S) alone.
    pub async fn list(&self, guid: &str, known: Option<&str>) -> Result<Listing, OriginError> {
        let listed = timeout(LISTING_TIMEOUT, self.list_for_long(guid, known)).await;
        listed.unwrap_or(Err(OriginError::Silent(LISTING_TIMEOUT)))
    }

    async fn list_for_long(&self, guid: &str, known: Option<&str>) -> Result<Listing, OriginError> {
        let target = format!("{}/files?guid={}", self.url, encoded(guid));
        let headers = known.and_then(|tag| Some((header::IF_NONE_MATCH, HeaderValue::from_str(tag).ok()?)));
        let answer = self.ask(&target, headers.into_iter().collect()).await?;
        if answer.headers().contains_key(SEALED) {
            return Err(OriginError::Sealed);
        }
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
        let read = tokio::task::spawn_blocking(move || ReadList::of(&bytes)).await;
        let read = read.map_err(|_| OriginError::Odd("no list of files".to_owned()))??;
        let ReadList { files, unread, is_sealed } = read;
        if is_sealed { Err(OriginError::Sealed) } else { Ok(Listing::Files { files, tag, unread }) }
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
        let read = timeout(RANGE_TIMEOUT, self.read(guid, path, range, version)).await;
        read.unwrap_or(Err(OriginError::Silent(RANGE_TIMEOUT)))
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
        let mut pauses = AGAIN_AFTER.iter();
        loop {
            // This is tried again in itself.
            let mut body = self.open(guid, path, range.clone(), version).await?;
            match (body.all().await, pauses.next()) {
                (Err(error), Some(pause)) if error.is_transient() => tokio::time::sleep(*pause).await,
                (read, _) => return Ok((read?, body.tag)),
            }
        }
    }

    fn body(&self, answer: Response<Incoming>, left_len: u64, tag: Option<String>) -> Body {
        let (pace, received_len) = (Pace::default(), Arc::clone(&self.received_len));
        Body { incoming: answer.into_body(), left_len, tag, pace, received_len }
    }

    /// Asks, and again after a while if that may help. The answer has a body that is meant.
    async fn ask(
        &self,
        target: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Response<Incoming>, OriginError> {
        self.resting().check(clock::moment())?;
        let asked = self.ask_again(target, &headers).await;
        match &asked {
            Ok(_) => self.resting().on_answer(),
            Err(error) => self.resting().on_failure(clock::moment(), error),
        }
        asked
    }

    async fn ask_again(
        &self,
        target: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Response<Incoming>, OriginError> {
        let mut pauses = AGAIN_AFTER.iter();
        loop {
            let asked = self.ask_once(target, headers).await;
            let (Err(error), Some(pause)) = (&asked, pauses.next()) else { return asked };
            match error.after() {
                Some(after) if after > RETRY_AFTER_MAX => return asked,
                Some(after) => tokio::time::sleep(after.max(*pause)).await,
                None if error.is_transient() => tokio::time::sleep(*pause).await,
                None => return asked,
            }
        }
    }

    fn resting(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_once(
        &self,
        target: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Response<Incoming>, OriginError> {
        let mut request = Request::get(target)
            .header(header::USER_AGENT, "swarm")
            .body(Empty::new())
            .map_err(|_| OriginError::Address(shown(target)))?;
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

    /// All that is still to come.
    async fn all(&mut self) -> Result<Vec<u8>, OriginError> {
        let mut bytes = Vec::new();
        while let Some(more) = self.next().await? {
            bytes.extend_from_slice(&more);
        }
        Ok(bytes)
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
            let asked_at = clock::moment();
            let next = timeout(IDLE_TIMEOUT, self.incoming.frame()).await;
            let waited = clock::moment().duration_since(asked_at);
            let Some(frame) = next.map_err(|_| OriginError::Silent(IDLE_TIMEOUT))? else { return Ok(None) };
            let frame = frame.map_err(|error| OriginError::Unreachable(shown(&error.to_string())))?;
            let bytes = frame.into_data().ok();
            self.pace.take(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64), waited)?;
            if let Some(bytes) = bytes {
                self.received_len.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                return Ok(Some(bytes));
            }
        }
    }
}

impl Pace {
    fn take(&mut self, len: u64, waited: Duration) -> Result<(), OriginError> {
        (self.len, self.waited) = (self.len + len, self.waited + waited);
        if self.len >= PACE_LEN_MIN {
            *self = Self::default();
        }
        if self.waited >= PACE_TIME {
            return Err(OriginError::Slow { len: ByteLen(self.len), time: PACE_TIME });
        }
        Ok(())
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
            Err(OriginError::Redirects(shown(to)))
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
    shown(&error.to_string())
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

/// The header of a list that says that the library is sealed.
const SEALED: HeaderName = HeaderName::from_static("swarm-sealed");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_which_next_to_nothing_comes_is_given_up() {
        let mut pace = Pace::default();
        let second = Duration::from_secs(1);
        for _ in 0..200 {
            assert_eq!(pace.take(PACE_LEN_MIN / 20, second), Ok(()), "that is fast enough");
        }
        let slow = (0..=PACE_TIME.as_secs()).find_map(|_| pace.take(1, second).err());
        assert!(matches!(slow, Some(OriginError::Slow { .. })), "{slow:?}");
    }
}
