//! What somebody gave to be fetched: a ticket in a text, or a manifest. Invariant: what cannot be fetched from here is refused with the way out. Absent here:
//! where it goes (`wanted`).

use bytes::Bytes;
use swarm_core::base::text::{TextError, text_of};
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{
    ContentKey, Manifest, ManifestFile, ManifestFileError, Signature, SigningKey, Source, Ticket, TicketError,
};

use crate::limits::{GIVEN_LEN_MAX, TICKET_CONTENT_LEN_MAX};

/// A content, its manifest if that is known, and where to start looking.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) content: ContentId,
    pub(crate) manifest: Option<Manifest>,
    pub(crate) sources: Vec<Source>,
    pub(crate) coordinators: Vec<Source>,
    /// Publishers that signed it.
    pub(crate) signers: Vec<NodeId>,
    /// Of a sealed content, if this node can have it.
    pub(crate) key: Option<ContentKey>,
}

/// Why bytes name nothing that is fetched; for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GivenFault {
    #[error(
        "it is longer than {GIVEN_LEN_MAX} bytes: fetch it with swarm fetch, and copy the files into the library"
    )]
    TooLong,
    #[error("{0}")]
    Ticket(#[from] TicketError),
    #[error(
        "this is neither a ticket nor a manifest: paste the whole ticket, which starts with `swarm1`, or give a .swarm file"
    )]
    Neither,
    #[error("{0}")]
    Manifest(ManifestFileError),
    #[error("{0}")]
    Text(#[from] TextError),
    #[error("the content is sealed, and a manifest holds no key: give the ticket of its publisher instead")]
    Sealed,
    #[error(
        "the ticket holds no key of this sealed content for this node: ask its publisher for one that is sealed for this node (swarm id), or that holds the key"
    )]
    NoKey,
    #[error("the key that the ticket holds does not open this content: ask for another ticket")]
    WrongKey,
    #[error("the content has more bytes than this node fetches by one ticket")]
    TooBig,
}

impl Given {
    /// Reads it; `me` opens keys that are wrapped for this node.
    ///
    /// # Errors
    /// Why it names nothing.
    pub(crate) fn read(bytes: &Bytes, me: &SigningKey) -> Result<Self, GivenFault> {
        if bytes.len() > GIVEN_LEN_MAX {
            return Err(GivenFault::TooLong);
        }
        match ManifestFile::decode(bytes) {
            Ok(file) => Self::of_manifest(file),
            Err(ManifestFileError::Magic) => match text_of(bytes) {
                Ok(text) => Self::of_ticket(Ticket::in_text(text), me),
                Err(TextError::Utf16) => Err(TextError::Utf16.into()),
                Err(TextError::NotUtf8(_)) => Err(GivenFault::Neither),
            },
            Err(error) => Err(GivenFault::Manifest(error)),
        }
    }

    fn of_manifest(file: ManifestFile) -> Result<Self, GivenFault> {
        let ManifestFile { manifest, sources, coordinators, signatures, comment: _ } = file;
        let signers = signatures.iter().map(Signature::key).collect();
        let given =
            Self { content: manifest.id(), manifest: None, sources, coordinators, signers, key: None };
        match given.readable(manifest) {
            Err(GivenFault::NoKey) => Err(GivenFault::Sealed),
            readable => Ok(Self { manifest: Some(readable?), ..given }),
        }
    }

    fn of_ticket(ticket: Result<Ticket, TicketError>, me: &SigningKey) -> Result<Self, GivenFault> {
        let ticket = ticket.map_err(|error| match error {
            TicketError::Prefix => GivenFault::Neither,
            error => GivenFault::Ticket(error),
        })?;
        let Ticket { content, sources, coordinators, signatures, key, wrapped_keys } = ticket;
        let unwrapped = || wrapped_keys.iter().find_map(|wrapped| wrapped.unwrap(content, me));
        let key = key.or_else(unwrapped);
        let signers = signatures.iter().map(Signature::key).collect();
        Ok(Self { content, manifest: None, sources, coordinators, signers, key })
    }

    /// A manifest of it, as this node can read it.
    ///
    /// # Errors
    /// There is no key for it, or it is more than is fetched.
    pub(crate) fn readable(&self, manifest: Manifest) -> Result<Manifest, GivenFault> {
        if manifest.geometry().content_len() > TICKET_CONTENT_LEN_MAX {
            return Err(GivenFault::TooBig);
        }
        match &self.key {
            _ if !manifest.is_sealed() => Ok(manifest),
            Some(key) => manifest.opened(key).map_err(|_| GivenFault::WrongKey),
            None => Err(GivenFault::NoKey),
        }
    }
}

#[cfg(test)]
mod tests {
    use swarm_core::manifest::{EntryPath, File};

    use super::*;

    fn me() -> SigningKey {
        SigningKey::from_seed(&[5; 32])
    }

    fn read(bytes: &[u8]) -> Result<Given, GivenFault> {
        Given::read(&Bytes::copy_from_slice(bytes), &me())
    }

    #[test]
    fn a_ticket_is_found_in_a_text_and_a_manifest_by_its_first_bytes() {
        let ticket = Ticket::new(ContentId::from_bytes([3; 32]));
        let given = read(format!("take this: {ticket}.\n").as_bytes()).expect("it is one");
        assert_eq!((given.content, given.manifest.is_none()), (ticket.content, true));
        let path = EntryPath::new("a.txt").expect("a path");
        let (blake3, chunk_hashes) = (blake3::hash(b"one").into(), Bytes::new());
        let file =
            File { path, len: 3, executable: false, blake3, sha256: None, chunk_len_log2: 0, chunk_hashes };
        let manifest = Manifest::new(vec![file], Vec::new()).expect("a manifest");
        let (sources, coordinators, signatures) = (Vec::new(), Vec::new(), Vec::new());
        let file = ManifestFile { manifest, sources, coordinators, comment: String::new(), signatures };
        let given = read(&file.encode()).expect("it is one");
        assert_eq!(given.manifest.map(|manifest| manifest.id()), Some(file.manifest.id()));
    }

    #[test]
    fn what_is_neither_says_the_way_out() {
        let check = |bytes: &[u8], part: &str| {
            let fault = read(bytes).expect_err("it is neither").to_string();
            assert!(fault.contains(part), "{fault}");
        };
        check(b"hello", "paste the whole ticket");
        check(&[0xff, 0x13, 0x88, 0x99], "give a .swarm file");
        check(&vec![b' '; GIVEN_LEN_MAX + 1], "swarm fetch");
        let ticket = Ticket::new(ContentId::from_bytes([3; 32])).to_string();
        check(&ticket.as_bytes()[..ticket.len() - 2], "copy it again, whole");
    }
}
