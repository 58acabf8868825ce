//! A `.swarm` file: the body, and parts around it that do not change the content: sources, a comment, signatures.
//!
//! Layout: 16 bytes of magic, a protobuf `ManifestFile`, 32 bytes of BLAKE3 over all before it. The checksum tells a damaged
//! file from a forged one; only the ContentId proves the content.

use bytes::{Buf as _, Bytes};
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::body::{Manifest, ManifestError};
use super::sign::Signature;
use super::source::Source;
use crate::base::limits::{
    COMMENT_LEN_MAX, COORDINATORS_MAX, MANIFEST_FILE_LEN_MAX, SIGNATURES_MAX, SOURCE_LEN_MAX, SOURCES_MAX,
};
use crate::proto;

/// A manifest and what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// The content.
    pub manifest: Manifest,
    /// Nodes that had the content when the file was made.
    pub sources: Vec<Source>,
    /// Coordinators that know more sources.
    pub coordinators: Vec<Source>,
    /// Free text for people.
    pub comment: String,
    /// Signatures of publishers over the content; each was verified.
    pub signatures: Vec<Signature>,
}

/// Why bytes are not a `.swarm` file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFileError {
    /// The first bytes are not those of a `.swarm` file.
    #[error("not a swarm manifest")]
    Magic,
    /// Longer than a manifest may be.
    #[error("longer than a manifest may be ({MANIFEST_FILE_LEN_MAX} bytes)")]
    TooLong,
    /// A flipped bit, or a missing end.
    #[error("the manifest is damaged or cut short: get it again")]
    Checksum,
    /// The checksum holds, the schema does not.
    #[error("the manifest is malformed: {0}")]
    Malformed(&'static str),
    /// A signature that its key did not make over this content.
    #[error("a signature on the manifest is not valid: do not trust it")]
    Signature,
    /// The checksum holds, the body is not a manifest.
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
        Around::read(bytes.slice(MAGIC.len()..end))?.checked()
    }
}

/// The parts of a file while it is read; each is checked against its limit as it comes.
#[derive(Default)]
struct Around {
    body: Bytes,
    sources: Vec<Source>,
    coordinators: Vec<Source>,
    comment: String,
    signatures: Vec<proto::Signature>,
}

impl Around {
    /// Decodes entry by entry, because two bytes of protobuf can stand for a large struct: an entry beyond a limit is refused
    /// before a struct is made of it.
    fn read(mut file: Bytes) -> Result<Self, ManifestFileError> {
        let malformed = |_| ManifestFileError::Malformed("it does not follow the schema");
        let mut around = Self::default();
        while file.has_remaining() {
            let (field, wire_type) = decode_key(&mut file).map_err(malformed)?;
            if !(1..=5).contains(&field) {
                // A field of a later version: skipped, so that old builds read new files.
                skip_field(wire_type, field, &mut file, DecodeContext::default()).map_err(malformed)?;
                continue;
            }
            let len = decode_varint(&mut file).map_err(malformed)?;
            let len = usize::try_from(len).ok().filter(|&len| len <= file.len());
            let len = len.filter(|_| wire_type == WireType::LengthDelimited);
            let entry =
                file.split_to(len.ok_or(ManifestFileError::Malformed("it does not follow the schema"))?);
            around.take(field, entry)?;
        }
        Ok(around)
    }

    fn take(&mut self, field: u32, entry: Bytes) -> Result<(), ManifestFileError> {
        let malformed = |_| ManifestFileError::Malformed("it does not follow the schema");
        let too_many = ManifestFileError::Malformed("too many sources or signatures");
        match field {
            1 => self.body = entry,
            2 if self.sources.len() >= SOURCES_MAX => return Err(too_many),
            2 => self.sources.push(read_source(entry, "a source in it is not one")?),
            3 if entry.len() > COMMENT_LEN_MAX => {
                return Err(ManifestFileError::Malformed("its comment is too long"));
            }
            3 => {
                let text = String::from_utf8(entry.into());
                self.comment = text.map_err(|_| ManifestFileError::Malformed("its comment is not UTF-8"))?;
            }
            4 if self.signatures.len() >= SIGNATURES_MAX => return Err(too_many),
            4 => self.signatures.push(proto::Signature::decode(entry).map_err(malformed)?),
            _ if self.coordinators.len() >= COORDINATORS_MAX => return Err(too_many),
            _ => self.coordinators.push(read_source(entry, "a coordinator in it is not one")?),
        }
        Ok(())
    }

    fn checked(self) -> Result<ManifestFile, ManifestFileError> {
        let manifest = Manifest::decode(self.body)?;
        let signature = |signed: &proto::Signature| Signature::from_proto(manifest.id(), signed);
        let signatures: Option<_> = self.signatures.iter().map(signature).collect();
        Ok(ManifestFile {
            sources: self.sources,
            coordinators: self.coordinators,
            comment: self.comment,
            signatures: signatures.ok_or(ManifestFileError::Signature)?,
            manifest,
        })
    }
}

fn read_source(entry: Bytes, what: &'static str) -> Result<Source, ManifestFileError> {
    if entry.len() > SOURCE_LEN_MAX {
        return Err(ManifestFileError::Malformed(what));
    }
    let source = proto::Source::decode(entry).ok().as_ref().and_then(Source::from_proto);
    source.ok_or(ManifestFileError::Malformed(what))
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
    fn more_entries_than_may_be_are_refused_and_fields_of_later_versions_passed_over() {
        let decoded = |more: &[u8]| {
            let mut bytes = ManifestFile::new(file().manifest).encode();
            bytes.truncate(bytes.len() - 32);
            bytes.extend(more);
            let sum = blake3::hash(&bytes);
            bytes.extend(sum.as_bytes());
            ManifestFile::decode(&bytes.into())
        };
        let too_many = Err(ManifestFileError::Malformed("too many sources or signatures"));
        let source = [vec![0x12, 34, 0x0a, 32], vec![7; 32]].concat();
        assert_eq!(decoded(&source.repeat(SOURCES_MAX)).map(|file| file.sources.len()), Ok(SOURCES_MAX));
        assert_eq!(decoded(&source.repeat(SOURCES_MAX + 1)), too_many);
        assert_eq!(decoded(&[0x22, 0].repeat(SIGNATURES_MAX + 1)), too_many);
        assert_eq!(decoded(&[0x7a, 1, 9, 0x70, 5]), Ok(ManifestFile::new(file().manifest)));
        assert!(decoded(&[0x12, 200]).is_err() && decoded(&[0x10, 1]).is_err());
    }

    #[test]
    fn a_signature_of_another_content_is_refused() {
        let mut forged = file();
        forged.manifest = Manifest::new(vec![file_of("a", b"other", 14)], vec![]).expect("a good manifest");
        assert_eq!(ManifestFile::decode(&forged.encode().into()), Err(ManifestFileError::Signature));
    }
}
