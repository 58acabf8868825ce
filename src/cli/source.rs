//! What a person named to be fetched: a manifest file, a ticket, a URL or stdin.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use bytes::Bytes;

use super::args::{FetchArgs, Peer};
use super::download::{download, is_url};
use super::failure::Failure;
use super::steps::Progress;
use swarm_core::base::limits::{MANIFEST_FILE_LEN_MAX, TICKET_LEN_MAX};
use swarm_core::base::text::{TextError, text_of};
use swarm_core::base::{Category, ContentId, NodeId, Shown};
use swarm_core::manifest::{
    ContentKey, Manifest, ManifestFile, ManifestFileError, Signature, Source, Ticket, TicketError, WrappedKey,
};

/// A content, its manifest if that is known, and where to start looking.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) content: ContentId,
    pub(super) manifest: Option<Manifest>,
    pub(super) sources: Vec<Source>,
    pub(super) coordinators: Vec<Source>,
    pub(super) signatures: Vec<Signature>,
    /// Of a sealed content, for every holder of the ticket.
    pub(super) key: Option<ContentKey>,
    /// The same for some nodes.
    pub(super) wrapped_keys: Vec<WrappedKey>,
}

impl Wanted {
    /// Reads what the arguments name, and adds `--peer`s.
    pub(super) fn find(args: &FetchArgs, progress: &Progress) -> Result<Self, Failure> {
        let mut wanted = Self::named(&args.what, progress)?;
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
                    return Err(Failure::new(Category::Usage, message));
                }
            }
        }
        if let Some(publisher) = args.publisher {
            wanted.check_publisher(publisher)?;
        }
        Ok(wanted)
    }

    /// Refuses what the publisher did not sign.
    pub(super) fn check_publisher(&self, publisher: NodeId) -> Result<(), Failure> {
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
        Err(Failure::new(Category::Denied, message))
    }

    /// What reading it is called in messages. A ticket is not repeated: it may hold a key.
    pub(super) fn reading(what: &str) -> String {
        match what {
            "-" => "reading stdin".to_owned(),
            url if is_url(url) => format!("reading {}", url.escape_debug()),
            ticket if Ticket::in_text(ticket).is_ok() => "reading the ticket".to_owned(),
            path => format!("reading `{}`", path.escape_debug()),
        }
    }

    /// What one argument names. Blocks as long as what it reads from does.
    pub(super) fn named(what: &str, progress: &Progress) -> Result<Self, Failure> {
        if what == "-" {
            let bytes = read(std::io::stdin().lock(), progress)
                .map_err(|error| Failure::new(Category::Other, format_args!("cannot read stdin: {error}")))?;
            return Self::read("stdin", &bytes);
        }
        if is_url(what) {
            return Self::read(&what.escape_debug().to_string(), &download(what, progress)?);
        }
        let path = Path::new(what);
        match Ticket::in_text(what) {
            _ if path.exists() => {}
            Ok(ticket) => return Ok(ticket.into()),
            Err(TicketError::Prefix) => {
                let message = format!(
                    "there is no file `{}`, and it is not a ticket or an http(s) URL",
                    what.escape_debug()
                );
                return Err(Failure::new(Category::Usage, message));
            }
            Err(error) => return Err(Failure::new(Category::Usage, error)),
        }
        let bytes = File::open(path).and_then(|file| read(file, progress));
        let bytes = bytes.map_err(|error| Failure::file("read", path, &error))?;
        Self::read(&Shown(&path).to_string(), &bytes)
    }

    /// What bytes are: a manifest, or a text with a ticket.
    fn read(name: &str, bytes: &Bytes) -> Result<Self, Failure> {
        let usage =
            |error: &dyn std::fmt::Display| Failure::new(Category::Usage, format_args!("{name}: {error}"));
        let not_manifest = match ManifestFile::decode(bytes) {
            Ok(file) => return Ok(file.into()),
            Err(error @ ManifestFileError::Magic) => error,
            Err(error) => return Err(usage(&error)),
        };
        match text_of(bytes).map(Ticket::in_text) {
            Ok(Ok(ticket)) => Ok(ticket.into()),
            Ok(Err(TicketError::Prefix)) | Err(TextError::NotUtf8(_)) => {
                Err(usage(&format_args!("{not_manifest}, and holds no ticket")))
            }
            Ok(Err(error)) => Err(usage(&error)),
            Err(error @ TextError::Utf16) => Err(usage(&error)),
        }
    }
}

impl From<Ticket> for Wanted {
    fn from(ticket: Ticket) -> Self {
        let Ticket { content, sources, coordinators, signatures, key, wrapped_keys } = ticket;
        Self { content, manifest: None, sources, coordinators, signatures, key, wrapped_keys }
    }
}

impl From<ManifestFile> for Wanted {
    fn from(file: ManifestFile) -> Self {
        let ManifestFile { manifest, sources, coordinators, signatures, comment: _ } = file;
        let (content, manifest) = (manifest.id(), Some(manifest));
        Self { content, manifest, sources, coordinators, signatures, key: None, wrapped_keys: Vec::new() }
    }
}

/// Reads a `.swarm` file; `-` is stdin.
pub(super) fn manifest_file(path: &Path) -> Result<ManifestFile, Failure> {
    let nobody_waits = Progress::default();
    let (name, bytes) = if path == Path::new("-") {
        ("stdin".to_owned(), read(std::io::stdin().lock(), &nobody_waits))
    } else {
        (Shown(&path).to_string(), File::open(path).and_then(|file| read(file, &nobody_waits)))
    };
    let bytes = bytes.map_err(|error| Failure::file("read", path, &error))?;
    ManifestFile::decode(&bytes).map_err(|error| {
        let hint = if holds_ticket(&bytes) { "; it holds a ticket: give that to swarm fetch" } else { "" };
        Failure::new(Category::Usage, format_args!("{name}: {error}{hint}"))
    })
}

/// All bytes, up to one more than a manifest may have; or those up to the line that ends a ticket, for a seed prints its ticket and
/// keeps its stdout open.
fn read(reader: impl Read, progress: &Progress) -> std::io::Result<Bytes> {
    let mut reader = progress.of(reader).take(MANIFEST_FILE_LEN_MAX as u64 + 1);
    let (mut bytes, mut block) = (Vec::new(), vec![0; BLOCK_LEN]);
    loop {
        match reader.read(&mut block) {
            Ok(0) => break,
            Ok(len) => bytes.extend_from_slice(&block[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if bytes.ends_with(b"\n") && bytes.len() <= BLOCK_LEN && holds_ticket(&bytes) {
            break;
        }
    }
    Ok(bytes.into())
}

fn holds_ticket(bytes: &[u8]) -> bool {
    text_of(bytes).is_ok_and(|text| Ticket::in_text(text).is_ok())
}

/// Longer than the longest ticket with what people write around it.
const BLOCK_LEN: usize = 2 * TICKET_LEN_MAX;
