//! Frames on a control stream, and the certificate that names a node.

use std::iter::once;

use bytes::Bytes;
use swarm_core::base::limits::FRAME_LEN_MAX;
use swarm_link::fuzzing;

use super::{SLACK_LEN, Samples, assert_told, bounded};

/// The first byte selects how the stream is cut; the frames are always the same, and encode to the stream again.
pub(super) fn frames(bytes: &[u8]) {
    let [cut, stream @ ..] = bytes else { return };
    let (frames, end) = fuzzing::frames(once(stream));
    let in_pieces = fuzzing::frames(stream.chunks(1 + usize::from(*cut)));
    assert_eq!((&frames, &end), (&in_pieces.0, &in_pieces.1));
    // The list of frames belongs to this function: 32 bytes for each frame, which has at least one.
    let again = bounded(stream.len(), (FRAMES_TIMES, SLACK_LEN), || fuzzing::frames(once(stream)));
    assert_eq!(again.0, frames);
    assert!(frames.iter().all(|frame| frame.len() <= FRAME_LEN_MAX));
    if let Err(error) = end {
        assert_told(&error);
    }
    let written = fuzzing::stream_of(&frames).expect("each came as a frame");
    assert!(written.len() <= stream.len());
    assert_eq!(fuzzing::frames(once(written.as_ref())), (frames, Ok(true)));
}

pub(super) fn frame_samples() -> Samples {
    let stream = |frames: &[&[u8]]| {
        let frames: Vec<Bytes> = frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect();
        fuzzing::stream_of(&frames).expect("short").to_vec()
    };
    let cut = |cut: u8, stream: Vec<u8>| [vec![cut], stream].concat();
    vec![
        ("several", cut(2, stream(&[b"one", b"", &[7; 200]]))),
        ("byte_by_byte", cut(0, stream(&[&[1; 130], b"end"]))),
        ("padded_len", vec![9, 0x83, 0x80, 0x00, 1, 2, 3]),
        ("at_the_cap", vec![9, 0x80, 0x80, 0x08, 1]),
        ("above_the_cap", vec![9, 0x81, 0x80, 0x08, 1]),
        ("endless", vec![1, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("cut_short", vec![1, 5, 1, 2]),
    ]
}

/// The node of a certificate is the key that it holds.
pub(super) fn certificate(bytes: &[u8]) {
    let node = bounded(bytes.len(), (CERTIFICATE_TIMES, SLACK_LEN), || fuzzing::node_of_certificate(bytes));
    if let Some(node) = node {
        assert!(bytes.windows(32).any(|window| window == node.as_bytes()));
    }
}

pub(super) fn certificates() -> Samples {
    let good = fuzzing::certificate([7; 32]);
    let mut other_kind = good.clone();
    // The last byte of Ed25519's object identifier, at any place.
    let at = other_kind.windows(3).position(|bytes| bytes == [0x2b, 0x65, 0x70]).expect("it is Ed25519");
    other_kind[at + 2] = 0x6e;
    let cut = good[..good.len() / 2].to_vec();
    vec![("good", good), ("other_kind", other_kind), ("cut", cut), ("nothing", vec![0x30, 0])]
}

const FRAMES_TIMES: u64 = 128;
const CERTIFICATE_TIMES: u64 = 8;
