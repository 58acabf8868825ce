//! Lets the fuzz targets and their replay reach the decoders of this crate. No other code uses it.

use bytes::{Bytes, BytesMut};
use rustls::pki_types::CertificateDer;

use super::identity::Identity;
use super::key_store::Claim;
use super::{key_file, tls};
use swarm_core::base::NodeId;
use swarm_core::wire::{FrameBuffer, FramingError, put_frame};

/// Splits a stream that arrives in these pieces into frames, and tells its end: an error, or whether it is clean.
pub fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, Result<bool, FramingError>) {
    let (mut buffer, mut frames) = (FrameBuffer::default(), Vec::new());
    for piece in pieces {
        buffer.push(piece);
        loop {
            match buffer.take() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(buffer.is_empty()))
}

/// The bytes of a stream of these frames; `None` if one is too long.
pub fn stream_of(frames: &[Bytes]) -> Option<Bytes> {
    let mut stream = BytesMut::new();
    frames.iter().try_for_each(|body| put_frame(&mut stream, body)).ok()?;
    Some(stream.freeze())
}

/// The node whose key a certificate (DER) holds.
pub fn node_of_certificate(bytes: &[u8]) -> Option<NodeId> {
    tls::node_of(&CertificateDer::from(bytes)).ok()
}

/// The certificate (DER) of a node with this secret.
pub fn certificate(seed: [u8; 32]) -> Vec<u8> {
    Identity::from_seed(seed).certificate().to_vec()
}

/// The secret in a key file.
pub fn key(text: &str) -> Option<[u8; 32]> {
    key_file::parse(text).map(|seed| *seed)
}

/// Parses a claim on a key and writes it again.
pub fn claim(text: &str) -> Option<String> {
    Claim::parse(text).map(Claim::to_text)
}
