//! Sentences for people about what goes wrong, each with a code and parameters, so that a page tells it in its own language. Invariant: a code stays the
//! same when the words change; each code has a text of the page in each language (a test of `swarm-api` compares them). What has no code is told as it is.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use swarm_core::base::Shown;
use swarm_link::DialError;
use swarm_origins::OriginError;
use swarm_sync::{BlindWhy, ReplicaError, UnnamedWhy};
use utoipa::ToSchema;

use crate::library::LibraryError;

/// What a sentence says, without its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Told {
    /// One of [`Told::CODES`].
    pub code: String,
    /// What is named in it.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// What its parameter `why` says, where that has a code, too.
    #[serde(default)]
    #[schema(no_recursion)]
    pub because: Option<Box<Self>>,
}

/// A sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    text: String,
    told: Option<Told>,
}

impl Told {
    /// All codes, each with its parameters.
    pub const CODES: &[(&'static str, &'static [&'static str])] = &[
        // Of peers.
        ("peer-not-found", &[]),
        ("peer-not-asked", &[]),
        ("peer-itself", &[]),
        ("peer-lookup", &["address", "why"]),
        ("peer-silent", &["address", "why"]),
        ("peer-no-address", &["node"]),
        ("peer-wrong-key", &["address", "found", "expected"]),
        ("peer-unreachable", &["node", "why"]),
        ("peer-denied", &["node", "why"]),
        ("node-stops", &[]),
        // Of origins.
        ("origin-address", &["address"]),
        ("origin-tls", &["why"]),
        ("origin-unreachable", &["why"]),
        ("origin-silent", &["seconds"]),
        ("origin-slow", &["seconds"]),
        ("origin-certificate", &["expected", "found"]),
        ("origin-denied", &["status"]),
        ("origin-missing", &["status"]),
        ("origin-busy", &["status"]),
        ("origin-redirects", &["address"]),
        ("origin-odd", &["why"]),
        ("origin-changed", &[]),
        ("origin-sealed", &[]),
        ("origin-whole", &[]),
        ("origin-too-long", &["n"]),
        ("origin-unneeded", &[]),
        ("origin-surplus", &["n"]),
        // Of libraries and files of origins.
        ("from-origin", &["url", "why"]),
        ("take-over", &["url", "why"]),
        ("origin-unread", &["url", "n"]),
        ("file-from-origin", &["url", "why"]),
        ("file-take-over", &["url", "why"]),
        ("origin-wrong-bytes", &["url"]),
        ("origin-both-changed", &["url"]),
        ("origin-deleted-here", &["url"]),
        ("origin-no-path", &[]),
        ("origin-no-hash", &[]),
        ("origin-more", &["url", "n"]),
        // Of libraries and their files.
        ("wrong-bytes-told", &["node"]),
        ("wrong-bytes-of", &["node", "source"]),
        ("wrong-bytes-here", &[]),
        ("replaced-by", &["node"]),
        ("two-histories", &["node"]),
        ("not-carried", &["node"]),
        ("no-key", &[]),
        ("kept-by-other", &["dir", "other"]),
        ("history-comes", &["n"]),
        ("schedule-pauses", &[]),
        ("nobody-has", &["n", "seconds"]),
        ("looking", &[]),
        ("paused", &[]),
        // Of files on this disk.
        ("changed-meanwhile", &["path"]),
        ("no-right", &["path"]),
        ("disk-full", &["path"]),
        ("name-impossible", &["path"]),
        ("not-empty", &["path"]),
        ("not-verified", &["path"]),
        ("no-sync-target", &["path"]),
        ("disk-fails", &["path", "why"]),
        ("disk-read-only", &[]),
        ("folder-gone", &["why"]),
        ("unreadable", &["why"]),
        ("changing", &[]),
        ("no-file", &[]),
        ("other-file-system", &[]),
        ("link-target", &[]),
        ("name-not-utf8", &[]),
        ("name-too-long", &[]),
        ("path-too-long", &[]),
        ("both-covered", &[]),
        ("covered", &[]),
        ("covered-unshown", &["why"]),
    ];
}

impl Sentence {
    /// A sentence of a kind.
    pub(crate) fn new<const N: usize>(
        code: &'static str,
        params: [(&'static str, &dyn fmt::Display); N],
        text: impl Into<String>,
    ) -> Self {
        let known = Told::CODES.iter().find(|(known, _)| *known == code);
        debug_assert!(
            known.is_some_and(|(_, holes)| params.iter().all(|(name, _)| holes.contains(name))),
            "{code}"
        );
        let params = params.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
        Self { text: text.into(), told: Some(Told { code: code.to_owned(), params, because: None }) }
    }

    /// The same, with a sentence as its parameter `why`.
    pub(crate) fn because(mut self, why: Self) -> Self {
        if let Some(told) = &mut self.told {
            told.params.insert("why".to_owned(), why.text);
            told.because = why.told.map(Box::new);
        }
        self
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.told.as_ref().is_some_and(|told| told.code == code)
    }

    /// What it says; nothing if it has no code.
    pub(crate) fn told(&self) -> Option<Told> {
        self.told.clone()
    }
}

/// One without a code.
impl From<String> for Sentence {
    fn from(text: String) -> Self {
        Self { text, told: None }
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

impl From<&ReplicaError> for Sentence {
    fn from(error: &ReplicaError) -> Self {
        let text = error.to_string();
        match error {
            ReplicaError::Changed { path } => Self::new("changed-meanwhile", [("path", path)], text),
            ReplicaError::Denied { path, .. } => Self::new("no-right", [("path", path)], text),
            ReplicaError::Full { path } => Self::new("disk-full", [("path", path)], text),
            ReplicaError::Name { path } => Self::new("name-impossible", [("path", path)], text),
            ReplicaError::NotEmpty { path } => Self::new("not-empty", [("path", path)], text),
            ReplicaError::Integrity { path } => Self::new("not-verified", [("path", path)], text),
            ReplicaError::NoTarget { path } => Self::new("no-sync-target", [("path", path)], text),
            ReplicaError::Io { path, why, .. } => {
                Self::new("disk-fails", [("path", path), ("why", why)], text)
            }
            ReplicaError::Gone(why) => Self::new("folder-gone", [("why", why)], text),
            ReplicaError::ReadOnly => Self::new("disk-read-only", [], text),
            ReplicaError::Stopped => text.into(),
        }
    }
}

impl From<&LibraryError> for Sentence {
    fn from(error: &LibraryError) -> Self {
        match error {
            LibraryError::Mounts(error) => error.into(),
            LibraryError::NoKey => Self::new("no-key", [], error.to_string()),
            LibraryError::KeptByOther { dir, other } => {
                let (dir, other) = (Shown(dir), Shown(other));
                Self::new("kept-by-other", [("dir", &dir), ("other", &other)], error.to_string())
            }
            LibraryError::Index(_)
            | LibraryError::Overlay(_)
            | LibraryError::Commit(_)
            | LibraryError::Pattern(_)
            | LibraryError::State { .. } => error.to_string().into(),
        }
    }
}

impl From<&BlindWhy> for Sentence {
    fn from(why: &BlindWhy) -> Self {
        let text = why.to_string();
        match why {
            BlindWhy::Unreadable(why) => Self::new("unreadable", [("why", why)], text),
            BlindWhy::Changing => Self::new("changing", [], text),
            BlindWhy::Special => Self::new("no-file", [], text),
            BlindWhy::Mount => Self::new("other-file-system", [], text),
            BlindWhy::LinkTarget => Self::new("link-target", [], text),
        }
    }
}

impl From<UnnamedWhy> for Sentence {
    fn from(why: UnnamedWhy) -> Self {
        let code = match why {
            UnnamedWhy::NotUtf8 => "name-not-utf8",
            UnnamedWhy::LongName => "name-too-long",
            UnnamedWhy::LongPath => "path-too-long",
        };
        Self::new(code, [], why.to_string())
    }
}

impl From<&DialError> for Sentence {
    fn from(error: &DialError) -> Self {
        let text = error.to_string();
        match error {
            DialError::Myself(_) => Self::new("peer-itself", [], text),
            DialError::NoAddress(node) => Self::new("peer-no-address", [("node", &node.short())], text),
            DialError::WrongKey { address, expected, found } => {
                let (expected, found) = (expected.short(), found.short());
                let params: [(_, &dyn fmt::Display); 3] =
                    [("address", address), ("expected", &expected), ("found", &found)];
                Self::new("peer-wrong-key", params, text)
            }
            DialError::Unreachable { node, attempts } => {
                let why: Vec<String> = attempts.iter().map(ToString::to_string).collect();
                let params: [(_, &dyn fmt::Display); 2] = [("node", &node.short()), ("why", &why.join(", "))];
                Self::new("peer-unreachable", params, text)
            }
            DialError::Denied { node, denial } => {
                Self::new("peer-denied", [("node", &node.short()), ("why", denial)], text)
            }
            DialError::Closed => Self::new("node-stops", [], text),
        }
    }
}

impl From<&OriginError> for Sentence {
    fn from(error: &OriginError) -> Self {
        let text = error.to_string();
        match error {
            OriginError::Address(address) => Self::new("origin-address", [("address", address)], text),
            OriginError::Tls(why) => Self::new("origin-tls", [("why", why)], text),
            OriginError::Unreachable(why) => Self::new("origin-unreachable", [("why", why)], text),
            OriginError::Silent(time) => Self::new("origin-silent", [("seconds", &time.as_secs())], text),
            OriginError::Slow { time, .. } => Self::new("origin-slow", [("seconds", &time.as_secs())], text),
            OriginError::CertificateChanged { expected, found } => {
                Self::new("origin-certificate", [("expected", expected), ("found", found)], text)
            }
            OriginError::Denied(status) => Self::new("origin-denied", [("status", status)], text),
            OriginError::Missing(status) => Self::new("origin-missing", [("status", status)], text),
            OriginError::Busy { status, .. } => Self::new("origin-busy", [("status", status)], text),
            OriginError::Redirects(address) => Self::new("origin-redirects", [("address", address)], text),
            OriginError::Odd(why) => Self::new("origin-odd", [("why", why)], text),
            OriginError::Changed => Self::new("origin-changed", [], text),
            OriginError::Sealed => Self::new("origin-sealed", [], text),
            OriginError::NoRange => Self::new("origin-whole", [], text),
            OriginError::TooLong(count) => Self::new("origin-too-long", [("n", count)], text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_its_words_and_says_what_it_means_without_them() {
        let path = swarm_sync::TreePath::new("a/b.mov").expect("a path");
        let full = Sentence::from(&ReplicaError::Full { path });
        assert_eq!(full.text(), "no space is left for `a/b.mov`");
        let told = full.told().expect("a code");
        assert_eq!((told.code.as_str(), told.params["path"].as_str()), ("disk-full", "a/b.mov"));
        let url = "https://a:1";
        let whole =
            Sentence::new("from-origin", [("url", &url)], format!("nothing comes from {url}: {full}"));
        let told = whole.because(full).told().expect("a code");
        assert_eq!(told.params["why"], "no space is left for `a/b.mov`");
        assert_eq!(told.because.expect("it has a code, too").code, "disk-full");
        assert_eq!(Sentence::from("an old one".to_owned()).told(), None);
    }

    #[test]
    fn no_code_is_named_twice() {
        let codes: std::collections::BTreeSet<_> = Told::CODES.iter().map(|(code, _)| code).collect();
        assert_eq!(codes.len(), Told::CODES.len());
    }
}
