//! What a person named to be fetched: a manifest file, a ticket, a URL or stdin.

use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;

use super::args::{FetchArgs, Peer};
use super::failure::{Exit, Failure};
use crate::base::limits::MANIFEST_FILE_LEN_MAX;
use crate::base::{ContentId, NodeId, Shown};
use crate::manifest::{ContentKey, Manifest, ManifestFile, Signature, Source, Ticket, WrappedKey};

/// A content, its manifest if that is known, and where to start looking.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) content: ContentId,
    pub(super) manifest: Option<Manifest>,
    pub(super) sources: Vec<Source>,
    pub(super) coordinators: Vec<Source>,
    pub(super) signatures: Vec<Signature>,
    /// Of a sealed content, for whoever has the ticket.
    pub(super) key: Option<ContentKey>,
    /// The same for some nodes.
    pub(super) wrapped_keys: Vec<WrappedKey>,
}

impl Wanted {
    /// Reads what the arguments name, and adds `--peer`s.
    pub(super) fn find(args: &FetchArgs) -> Result<Self, Failure> {
        let mut wanted = Self::named(&args.what)?;
        for peer in &args.peer {
            match peer {
                Peer::Source(source) => wanted.sources.push(source.clone()),
                Peer::Ticket(ticket) if ticket.content == wanted.content => {
                    wanted.sources.extend(ticket.sources.clone());
                    wanted.coordinators.extend(ticket.coordinators.clone());
                    wanted.signatures.extend(ticket.signatures.clone());
                    wanted.wrapped_keys.extend(ticket.wrapped_keys.clone());
                    wanted.key = wanted.key.or_else(|| ticket.key.clone());
                }
                Peer::Ticket(ticket) => {
                    let (other, this) = (ticket.content.short(), wanted.content.short());
                    let message = format!(
                        "the ticket given by --peer is for content {other}, not for {this}: take one for the same content"
                    );
                    return Err(Failure::new(Exit::Usage, message));
                }
            }
        }
        if let Some(publisher) = args.publisher {
            wanted.check_publisher(publisher)?;
        }
        Ok(wanted)
    }

    /// Refuses what the publisher did not sign.
    fn check_publisher(&self, publisher: NodeId) -> Result<(), Failure> {
        let signers: Vec<NodeId> = self.signatures.iter().map(Signature::key).collect();
        if signers.contains(&publisher) {
            return Ok(());
        }
        let signed: Vec<String> = signers.iter().map(NodeId::to_string).collect();
        let by = if signed.is_empty() { "nobody".to_owned() } else { signed.join(" and ") };
        let message = format!(
            "content {} is signed by {by}, not by {publisher}: ask that publisher for a ticket or manifest, made with --sign",
            self.content.short()
        );
        Err(Failure::new(Exit::NotAuthorised, message))
    }

    /// What one argument names.
    pub(super) fn named(what: &str) -> Result<Self, Failure> {
        // Mail programs wrap long words.
        let unwrapped: String = what.split_whitespace().collect();
        if unwrapped != what && Ticket::is_like(&unwrapped) {
            return Self::ticket(&unwrapped);
        }
        if what == "-" {
            let mut bytes = Vec::new();
            let limit = MANIFEST_FILE_LEN_MAX as u64 + 1;
            std::io::stdin()
                .lock()
                .take(limit)
                .read_to_end(&mut bytes)
                .map_err(|error| Failure::new(Exit::Other, format_args!("cannot read stdin: {error}")))?;
            return match std::str::from_utf8(&bytes) {
                Ok(text) if Ticket::is_like(&text.split_whitespace().collect::<String>()) => {
                    Self::ticket(&text.split_whitespace().collect::<String>())
                }
                _ => Self::manifest("the manifest on stdin", bytes.into()),
            };
        }
        if what.starts_with("http://") || what.starts_with("https://") {
            return Self::manifest(what, download(what)?);
        }
        if Ticket::is_like(what) && !Path::new(what).exists() {
            return Self::ticket(what);
        }
        let file = manifest_file(Path::new(what)).map_err(|failure| {
            let is_missing = !Path::new(what).exists();
            let hint = format!(
                "there is no file `{}`, and it is not a ticket or an http(s) URL",
                what.escape_debug()
            );
            if is_missing { Failure::new(Exit::Usage, hint) } else { failure }
        })?;
        Ok(file.into())
    }

    fn ticket(text: &str) -> Result<Self, Failure> {
        let ticket: Ticket = text.parse().map_err(|error| Failure::new(Exit::Usage, error))?;
        let Ticket { content, sources, coordinators, signatures, key, wrapped_keys } = ticket;
        Ok(Self { content, manifest: None, sources, coordinators, signatures, key, wrapped_keys })
    }

    fn manifest(name: &str, bytes: Bytes) -> Result<Self, Failure> {
        Ok(decode(name, &bytes)?.into())
    }
}

impl From<ManifestFile> for Wanted {
    fn from(file: ManifestFile) -> Self {
        let ManifestFile { manifest, sources, coordinators, signatures, comment: _ } = file;
        let (content, manifest) = (manifest.id(), Some(manifest));
        Self { content, manifest, sources, coordinators, signatures, key: None, wrapped_keys: Vec::new() }
    }
}

/// Reads a `.swarm` file.
pub(super) fn manifest_file(path: &Path) -> Result<ManifestFile, Failure> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MANIFEST_FILE_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| Failure::file("read", path, &error))?;
    decode(&Shown(path).to_string(), &bytes.into())
}

fn decode(name: &str, bytes: &Bytes) -> Result<ManifestFile, Failure> {
    ManifestFile::decode(bytes).map_err(|error| Failure::new(Exit::Usage, format_args!("{name}: {error}")))
}

fn download(url: &str) -> Result<Bytes, Failure> {
    let failed = |error: ureq::Error| Failure::new(Exit::NoSource, format_args!("cannot get {url}: {error}"));
    let mut answer = ureq::get(url).call().map_err(failed)?;
    let body = answer.body_mut().with_config().limit(MANIFEST_FILE_LEN_MAX as u64 + 1).read_to_vec();
    Ok(body.map_err(failed)?.into())
}
