//! Frames that are sent compressed where both ends name it: parts of commits, packs of small files, parts of recipes. Invariant: what comes out has
//! the length that was said before, which is that of a frame at most; hashes are those of the plain bytes. Nothing secret is compressed beside
//! something that a stranger chose: a Hello, votes and keys go as they are.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use swarm_core::base::limits::FRAME_LEN_MAX;
use swarm_library::wire::{Compressed, Message, WireError};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::DParameter;

/// Shared by all links: a frame takes a third of a millisecond.
pub(super) struct Squeezer {
    compressor: Mutex<Compressor<'static>>,
    decompressor: Mutex<Decompressor<'static>>,
}

/// Why a compressed frame is none. The sender is at fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum SqueezeError {
    /// Not the format, or longer than it says.
    #[error("a frame does not decompress")]
    Format,
    /// Another length than it says.
    #[error("a frame of {said} bytes has {found} when it is decompressed")]
    Length {
        /// As the frame says.
        said: u32,
        /// As it is.
        found: usize,
    },
    /// A frame in it that may not be there.
    #[error("a compressed frame holds one that is not sent so")]
    Nested,
    /// What is in it.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl Squeezer {
    /// Allocates what both directions need.
    pub(super) fn new() -> io::Result<Self> {
        let (compressor, mut decompressor) = (Compressor::new(LEVEL)?, Decompressor::new()?);
        decompressor.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self { compressor: compressor.into(), decompressor: decompressor.into() })
    }

    /// A frame of this message, compressed if it may be and that makes it shorter.
    pub(super) fn frame_of(&self, message: &Message) -> Bytes {
        let plain = message.encode();
        let squeezed = if may_be_squeezed(message) { self.squeeze(&plain) } else { None };
        squeezed.unwrap_or(plain)
    }

    /// The message in a compressed frame; `None` if it is of a later version.
    pub(super) fn open(&self, frame: &Compressed) -> Result<Option<Message>, SqueezeError> {
        let mut decompressor = self.decompressor.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = decompressor.decompress(&frame.data, frame.len as usize);
        drop(decompressor);
        let plain = plain.map_err(|_| SqueezeError::Format)?;
        if plain.len() != frame.len as usize {
            return Err(SqueezeError::Length { said: frame.len, found: plain.len() });
        }
        let message = Message::decode(plain.into())?;
        match message {
            Some(message) if !may_be_squeezed(&message) => Err(SqueezeError::Nested),
            message => Ok(message),
        }
    }

    /// Films and pictures do not shrink: a sample tells, and costs little.
    fn squeeze(&self, plain: &Bytes) -> Option<Bytes> {
        if plain.len() < SQUEEZED_LEN_MIN {
            return None;
        }
        let middle = (plain.len() - SAMPLE_LEN.min(plain.len())) / 2;
        let sample = &plain[middle..plain.len().min(middle + SAMPLE_LEN)];
        let mut compressor = self.compressor.lock().unwrap_or_else(PoisonError::into_inner);
        let is_worth_it = |squeezed: &[u8], plain: &[u8]| squeezed.len() * 10 < plain.len() * 9;
        compressor.compress(sample).ok().filter(|squeezed| is_worth_it(squeezed, sample))?;
        let data = compressor.compress(plain).ok().filter(|squeezed| is_worth_it(squeezed, plain))?;
        drop(compressor);
        Some(Message::Compressed(Compressed { len: plain.len() as u32, data: data.into() }).encode())
    }
}

fn may_be_squeezed(message: &Message) -> bool {
    matches!(message, Message::CommitPiece(_) | Message::Pack { .. } | Message::RecipePiece(_))
}

/// Faster than most lines, on one core.
const LEVEL: i32 = 1;
/// No frame is longer than that: 128 KiB.
const WINDOW_LOG_MAX: u32 = 17;
const _: () = assert!(FRAME_LEN_MAX <= 1 << WINDOW_LOG_MAX);
/// Shorter ones fill no packet.
const SQUEEZED_LEN_MIN: usize = 512;
const SAMPLE_LEN: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use swarm_library::Guid;

    use super::*;

    fn pack(file: &[u8]) -> Message {
        let library = Guid::new("a").expect("a GUID").key();
        Message::Pack { library, files: vec![Bytes::copy_from_slice(file)] }
    }

    fn squeezer() -> Squeezer {
        Squeezer::new().expect("there is memory")
    }

    /// Bytes that do not shrink.
    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn compressed(frame: Bytes) -> Compressed {
        match Message::decode(frame) {
            Ok(Some(Message::Compressed(compressed))) => compressed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_comes_out_as_it_was() {
        let message = pack("all work and no play ".repeat(4000).as_bytes());
        let frame = squeezer().frame_of(&message);
        assert!(frame.len() * 20 < message.encode().len(), "{} bytes", frame.len());
        assert_eq!(squeezer().open(&compressed(frame)).ok().flatten(), Some(message));
    }

    #[test]
    fn what_does_not_shrink_or_is_short_or_secret_goes_as_it_is() {
        for message in
            [pack(&noise(90_000)), pack(b"short"), Message::PeerList { peers: vec![], users: vec![] }]
        {
            assert_eq!(squeezer().frame_of(&message), message.encode());
        }
    }

    #[test]
    fn frames_that_are_none_are_refused() {
        let good = compressed(squeezer().frame_of(&pack(&[7; 50_000])));
        let check = |frame: Compressed, expected: &str| {
            let error = squeezer().open(&frame).expect_err("it is none");
            assert_eq!(error.to_string(), expected);
        };
        check(Compressed { len: good.len - 1, ..good.clone() }, "a frame does not decompress");
        let longer = format!("a frame of {} bytes has {} when it is decompressed", good.len + 1, good.len);
        check(Compressed { len: good.len + 1, ..good.clone() }, &longer);
        check(
            Compressed { data: good.data.slice(..good.data.len() / 2), ..good },
            "a frame does not decompress",
        );
        let of = |plain: &[u8]| {
            let data = zstd::bulk::compress(plain, LEVEL).expect("there is memory").into();
            Compressed { len: plain.len() as u32, data }
        };
        check(of(&[0xff; 600]), "a frame does not follow the schema of libraries");
        let nested = Message::Compressed(of(&[0; 600])).encode();
        check(of(&nested), "a compressed frame holds one that is not sent so");
        // A bomb says its length, or is cut off there.
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], LEVEL).expect("there is memory");
        check(Compressed { len: FRAME_LEN_MAX as u32, data: bomb.into() }, "a frame does not decompress");
    }
}
