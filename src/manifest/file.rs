//! A `.swarm` file: the body, and what may stand around it without changing the content: sources, a comment, signatures.
//!
//! Layout: 16 bytes of magic, a protobuf `ManifestFile`, 32 bytes of BLAKE3 over all before it. The checksum tells a damaged
//! file from a forged one; the ContentId is what others are held to.

use bytes::Bytes;
use prost::Message as _;

use super::body::{Manifest, ManifestError};
use super::sign::Signature;
use super::source::Source;
use crate::base::limits::{
    COMMENT_LEN_MAX, COORDINATORS_MAX, MANIFEST_FILE_LEN_MAX, SIGNATURES_MAX, SOURCES_MAX,
};
use crate::proto;

/// A manifest and what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// The content.
    pub manifest: Manifest,
    /// Where to start looking for it.
    pub sources: Vec<Source>,
    /// Who knows more of them.
    pub coordinators: Vec<Source>,
    /// For people.
    pub comment: String,
    /// Publishers that signed it; each was checked.
    pub signatures: Vec<Signature>,
}

/// Why bytes are not a `.swarm` file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFileError {
    /// Another kind of file.
    #[error("not a swarm manifest")]
    Magic,
    /// Longer than a manifest may be.
    #[error("longer than a manifest may be ({MANIFEST_FILE_LEN_MAX} bytes)")]
    TooLong,
    /// A flipped bit, or an end that is missing.
    #[error("the manifest is damaged or cut short: get it again")]
    Checksum,
    /// The checksum holds, the schema does not.
    #[error("the manifest is malformed: {0}")]
    Malformed(&'static str),
    /// A signature that its key did not make over this content.
    #[error("a signature on the manifest is not valid: do not trust it")]
    Signature,
    /// The body is not one.
    #[error(transparent)]
    Body(#[from] ManifestError),
}

impl ManifestFile {
    /// A manifest with nothing around it.
    pub fn new(manifest: Manifest) -> Self {
        Self {
            manifest,
            sources: Vec::new(),
            coordinators: Vec::new(),
            comment: String::new(),
            signatures: Vec::new(),
        }
    }

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(Signature::to_proto);
        let file = proto::ManifestFile {
            body: self.manifest.body().clone(),
            sources: self.sources.iter().map(Source::to_proto).collect(),
            comment: self.comment.clone(),
            signatures: signatures.collect(),
            coordinators: self.coordinators.iter().map(Source::to_proto).collect(),
        };
        let mut bytes = MAGIC.to_vec();
        file.encode(&mut bytes).expect("a vector grows as needed");
        let sum = blake3::hash(&bytes);
        bytes.extend(sum.as_bytes());
        bytes
    }

    /// Reads the bytes of a file.
    pub fn decode(bytes: &Bytes) -> Result<Self, ManifestFileError> {
        if !bytes.starts_with(MAGIC) {
            let is_cut_in_magic = !bytes.is_empty() && MAGIC.starts_with(bytes);
            return Err(if is_cut_in_magic { ManifestFileError::Checksum } else { ManifestFileError::Magic });
        }
        if bytes.len() > MANIFEST_FILE_LEN_MAX {
            return Err(ManifestFileError::TooLong);
        }
        let end = bytes
            .len()
            .checked_sub(32)
            .filter(|&end| end >= MAGIC.len())
            .ok_or(ManifestFileError::Checksum)?;
        if blake3::hash(&bytes[..end]).as_bytes().as_slice() != &bytes[end..] {
            return Err(ManifestFileError::Checksum);
        }
        let file = proto::ManifestFile::decode(bytes.slice(MAGIC.len()..end))
            .map_err(|_| ManifestFileError::Malformed("it does not follow the schema"))?;
        Self::from_proto(file)
    }

    fn from_proto(file: proto::ManifestFile) -> Result<Self, ManifestFileError> {
        if file.sources.len() > SOURCES_MAX
            || file.coordinators.len() > COORDINATORS_MAX
            || file.signatures.len() > SIGNATURES_MAX
        {
            return Err(ManifestFileError::Malformed("too many sources or signatures"));
        }
        if file.comment.len() > COMMENT_LEN_MAX {
            return Err(ManifestFileError::Malformed("its comment is too long"));
        }
        let manifest = Manifest::decode(file.body)?;
        let sources = file.sources.iter().map(Source::from_proto).collect::<Option<_>>();
        let coordinators = file.coordinators.iter().map(Source::from_proto).collect::<Option<_>>();
        let signatures = file
            .signatures
            .iter()
            .map(|signed| Signature::from_proto(manifest.id(), signed))
            .collect::<Option<_>>();
        Ok(Self {
            sources: sources.ok_or(ManifestFileError::Malformed("a source in it is not one"))?,
            coordinators: coordinators
                .ok_or(ManifestFileError::Malformed("a coordinator in it is not one"))?,
            comment: file.comment,
            signatures: signatures.ok_or(ManifestFileError::Signature)?,
            manifest,
        })
    }
}

const MAGIC: &[u8; 16] = b"swarm manifest\n\x01";

#[cfg(test)]
mod tests {
    use super::super::body::tests::file_of;
    use super::super::sign::SigningKey;
    use super::*;
    use crate::base::NodeId;

    fn file() -> ManifestFile {
        let manifest = Manifest::new(vec![file_of("a", b"hello", 14)], vec![]).expect("a good manifest");
        let address = "192.0.2.1:4433".parse().expect("an address");
        ManifestFile {
            signatures: vec![SigningKey::from_seed(&[5; 32]).sign(manifest.id())],
            sources: vec![Source { node: NodeId::from_bytes([1; 32]), addresses: vec![address] }],
            coordinators: vec![Source { node: NodeId::from_bytes([2; 32]), addresses: Vec::new() }],
            comment: "a film".to_owned(),
            manifest,
        }
    }

    #[test]
    fn a_file_survives_being_written_and_read() {
        assert_eq!(ManifestFile::decode(&file().encode().into()), Ok(file()));
    }

    #[test]
    fn every_cut_and_every_flip_is_told_from_a_good_file() {
        let good = file().encode();
        for at in 0..good.len() {
            let cut = ManifestFile::decode(&good[..at].to_vec().into());
            assert!(
                matches!(cut, Err(ManifestFileError::Checksum | ManifestFileError::Magic)),
                "cut at {at}"
            );
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            let flipped = ManifestFile::decode(&flipped.into());
            assert!(
                matches!(flipped, Err(ManifestFileError::Checksum | ManifestFileError::Magic)),
                "flip at {at}"
            );
        }
    }

    #[test]
    fn a_signature_of_another_content_is_refused() {
        let mut forged = file();
        forged.manifest = Manifest::new(vec![file_of("a", b"other", 14)], vec![]).expect("a good manifest");
        assert_eq!(ManifestFile::decode(&forged.encode().into()), Err(ManifestFileError::Signature));
    }
}
