//! Links over channels of messages: what a peer that means harm sends, before its key is proven and after.

use bytes::{Bytes, BytesMut};

use super::pieces::key;
use super::{SLACK_LEN, Samples, assert_told, bounded};
use swarm_carrier::limits::LINK_WINDOW_LEN;
use swarm_carrier::{
    Acceptor, Binding, Carrier, Dialer, Happened, NoiseDialer, Read, Record, StreamId, accept_noise,
};
use swarm_core::base::NodeId;

/// Messages of a peer, each after a byte with its length (0 is 1000 zero bytes of chunk data); an odd length lets this side read first.
/// Whatever comes, no more is kept than the window, and nothing that came is read twice.
pub(super) fn records(bytes: &[u8]) {
    let mut carrier = Carrier::new();
    let mut open = Vec::new();
    let (mut came_len, mut read_len) = (0u64, 0u64);
    for message in messages(bytes) {
        let is_reader = message.len() % 2 == 1;
        let chunk_len = match Record::decode(message.clone()) {
            Ok(Record::Chunk { bytes, .. }) => bytes.len() as u64,
            Ok(record) => {
                let mut again = BytesMut::new();
                record.encode(&mut again);
                assert_eq!(again.len(), record.encoded_len());
                assert_eq!(Record::decode(again.freeze()), Ok(record));
                0
            }
            Err(error) => {
                assert_told(&error);
                0
            }
        };
        let kept = bounded(message.len(), (MESSAGE_TIMES, SLACK_LEN), || carrier.receive(message));
        match kept {
            Ok(Happened::Opened(stream)) => open.push(stream),
            Ok(Happened::Control) => while let Ok(Some(_)) = carrier.next_frame() {},
            Ok(Happened::Arrived(_)) => came_len += chunk_len,
            Ok(_) => {}
            Err(violation) => {
                assert_told(&violation);
                return;
            }
        }
        assert!(came_len - read_len <= LINK_WINDOW_LEN.into(), "more is kept than the window");
        if is_reader {
            open.retain(|stream| match carrier.read(*stream, usize::MAX) {
                Ok(Read::Bytes(bytes)) => {
                    read_len += bytes.len() as u64;
                    true
                }
                Ok(Read::Pending) => true,
                Ok(Read::End | Read::Reset(_)) | Err(_) => false,
            });
            while carrier.next_record().is_some() {}
        }
        assert!(read_len <= came_len);
    }
}

fn messages(mut bytes: &[u8]) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while let [len, rest @ ..] = bytes {
        let (message, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        bytes = rest;
        messages.push(match message {
            [] => encoded(&Record::Chunk { stream: StreamId(0), bytes: Bytes::from_static(&[0; 1000]) }),
            message => Bytes::copy_from_slice(message),
        });
    }
    messages
}

fn encoded(record: &Record) -> Bytes {
    let mut message = BytesMut::new();
    record.encode(&mut message);
    message.freeze()
}

pub(super) fn record_samples() -> Samples {
    let stream = StreamId(0);
    let said = |records: &[Record]| {
        let one = |record: &Record| [&[record.encoded_len() as u8][..], &encoded(record)].concat();
        records.iter().flat_map(one).collect::<Vec<u8>>()
    };
    let chunk = |bytes: &'static [u8]| Record::Chunk { stream, bytes: Bytes::from_static(bytes) };
    vec![
        ("a_stream", said(&[Record::Open(stream), chunk(b"abc"), Record::End(stream)])),
        ("given_up", said(&[Record::Open(stream), chunk(b"abcd"), Record::Reset { stream, code: 7 }])),
        (
            "frames",
            said(&[Record::Control(Bytes::from_static(&[2, 1, 2, 3])), Record::Ping(1), Record::Pong(2)]),
        ),
        (
            "of_nobody",
            said(&[
                Record::Taken(stream),
                Record::Stop { stream, code: 1 },
                Record::Credit { stream, len: u32::MAX },
            ]),
        ),
        ("closed", said(&[Record::Close { code: 1, reason: "enough".to_owned() }])),
        ("flooded", [said(&[Record::Open(stream)]), vec![0; 200]].concat()),
        ("unopened", said(&[chunk(b"abc")])),
    ]
}

/// A message of a peer whose key is not proven, for each step of the handshake: none panics, and none is taken for a proof.
pub(super) fn handshake(bytes: &[u8]) {
    let (node, peer) = (key().public(), NodeId::from_bytes([9; 32]));
    let binding = Binding::Noise([1; 32]);
    if let Ok((answer, keys)) = accept_noise(bytes, &[2; 32]) {
        assert!(bytes.len() == 32 && answer.len() == 48 && keys.sending != keys.receiving);
    }
    assert!(NoiseDialer::start(&[3; 32]).0.finish(bytes).is_err() || bytes.len() == 48);
    let acceptor = || Acceptor::new(binding, node, [4; 32]);
    match acceptor().answer(&key(), bytes) {
        Ok((unproven, answer)) => {
            assert!(bytes.len() == 65 && answer.len() == 129);
            // The peer has no signature over numbers of this side that it has not seen.
            assert!(unproven.finish(bytes).is_err());
        }
        Err(error) => assert_told(&error),
    }
    let (dialer, _) = Dialer::start(binding, node, peer, [5; 32]);
    assert_told(&dialer.finish(&key(), bytes).expect_err("nobody has signed that"));
    let (_, first) = Dialer::start(binding, peer, node, [6; 32]);
    let (unproven, _) = acceptor().answer(&key(), &first).expect("well formed");
    assert_told(&unproven.finish(bytes).expect_err("nobody has signed that"));
}

pub(super) fn handshake_samples() -> Samples {
    let other = NodeId::from_bytes([9; 32]);
    let (_, named) = Dialer::start(Binding::Noise([1; 32]), other, key().public(), [6; 32]);
    let (_, noise) = NoiseDialer::start(&[7; 32]);
    let (answer, _) = accept_noise(&noise, &[8; 32]).expect("a first message");
    let acceptor = Acceptor::new(Binding::Certificate([2; 32]), key().public(), [4; 32]);
    let (_, signed) = acceptor.answer(&key(), &named).expect("well formed");
    vec![
        ("noise", noise.to_vec()),
        ("noise_answer", answer.to_vec()),
        ("named", named.to_vec()),
        ("signed", signed.to_vec()),
        ("signature", key().sign_bytes(b"another use", b"bytes").to_vec()),
    ]
}

/// Allocations for one message, in multiples of its length: it is kept as it came, and answers are short.
const MESSAGE_TIMES: u64 = 4;
