//! Protobuf to messages and back. Every cap on a message is checked here or, where the check needs the geometry, in the engine.

use bytes::Bytes;
use prost::Message as _;

use super::message::{ChunkRuns, DeclineReason, Handle, Hello, Message, RejectReason, RequestId};
use crate::base::limits::{
    FEATURES_MAX, FRAME_LEN_MAX, MANIFEST_BODY_LEN_MAX, MANIFEST_PAGE_LEN, NAME_LEN_MAX, PEX_ADDRESSES_MAX,
    PEX_SOURCES_MAX,
};
use crate::base::{ContentId, NodeId};
use crate::manifest::Source;
use crate::proto;
use crate::proto::frame::Message as Proto;

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than a frame may be.
    #[error("a frame of {0} bytes is over the limit of {FRAME_LEN_MAX}")]
    FrameTooLong(usize),
    /// Not the schema.
    #[error("a frame does not follow the schema")]
    Schema,
    /// A field outside its cap.
    #[error("a message has a field out of range: {0}")]
    Field(&'static str),
}

impl Message {
    /// The frame, without its length.
    pub fn encode(&self) -> Bytes {
        proto::Frame { message: Some(to_proto(self)) }.encode_to_vec().into()
    }

    /// Bytes of the frame, without its length.
    pub fn encoded_len(&self) -> usize {
        proto::Frame { message: Some(to_proto(self)) }.encoded_len()
    }

    /// Reads a frame. `Ok(None)` is a message of a later minor version: to be passed over.
    pub fn decode(frame: Bytes) -> Result<Option<Self>, WireError> {
        if frame.len() > FRAME_LEN_MAX {
            return Err(WireError::FrameTooLong(frame.len()));
        }
        let frame = proto::Frame::decode(frame).map_err(|_| WireError::Schema)?;
        frame.message.map(from_proto).transpose()
    }
}

fn to_proto(message: &Message) -> Proto {
    match message {
        Message::Hello(hello) => Proto::Hello(hello_to_proto(hello)),
        Message::Open { handle, content, knows_manifest, is_offer } => Proto::Open(proto::Open {
            handle: handle.0,
            content: content.as_bytes().to_vec().into(),
            knows_manifest: *knows_manifest,
            is_offer: *is_offer,
        }),
        Message::Decline { content, reason } => Proto::Decline(proto::Decline {
            content: content.as_bytes().to_vec().into(),
            reason: decline_to_number(*reason),
        }),
        Message::ManifestRequest { handle, page } => {
            Proto::ManifestRequest(proto::ManifestRequest { handle: handle.0, page: *page })
        }
        Message::ManifestPage { handle, page, body_len, data } => Proto::ManifestPage(proto::ManifestPage {
            handle: handle.0,
            page: *page,
            body_len: *body_len,
            data: data.clone(),
        }),
        Message::Have { handle, chunks } => {
            Proto::Have(proto::Have { handle: handle.0, runs: chunks.numbers().to_vec() })
        }
        Message::Lost { handle, chunks } => {
            Proto::Lost(proto::Lost { handle: handle.0, runs: chunks.numbers().to_vec() })
        }
        Message::Request { request, handle, chunk, offset, len } => Proto::Request(proto::Request {
            request: request.0,
            handle: handle.0,
            chunk: *chunk,
            offset: *offset,
            len: *len,
        }),
        Message::Cancel { request } => Proto::Cancel(proto::Cancel { request: request.0 }),
        Message::Reject { request, reason } => {
            Proto::Reject(proto::Reject { request: request.0, reason: reason_to_number(*reason) })
        }
        Message::Choke { choked } => Proto::Choke(proto::Choke { choked: *choked }),
        Message::Durable { handle } => Proto::Durable(proto::Durable { handle: handle.0 }),
        Message::BadChunk { handle, chunk } => {
            Proto::BadChunk(proto::BadChunk { handle: handle.0, chunk: *chunk })
        }
        Message::BadPeer { handle, node } => {
            Proto::BadPeer(proto::BadPeer { handle: handle.0, node: node.as_bytes().to_vec().into() })
        }
        Message::Peers { handle, sources } => Proto::Peers(proto::Peers {
            handle: handle.0,
            sources: sources.iter().map(Source::to_proto).collect(),
        }),
    }
}

fn from_proto(message: Proto) -> Result<Message, WireError> {
    Ok(match message {
        Proto::Hello(hello) => Message::Hello(hello_from_proto(hello)?),
        Proto::Open(open) => Message::Open {
            handle: Handle(open.handle),
            content: content(&open.content)?,
            knows_manifest: open.knows_manifest,
            is_offer: open.is_offer,
        },
        Proto::Decline(decline) => Message::Decline {
            content: content(&decline.content)?,
            reason: decline_from_number(decline.reason),
        },
        Proto::ManifestRequest(request) => {
            Message::ManifestRequest { handle: Handle(request.handle), page: request.page }
        }
        Proto::ManifestPage(page) => page_from_proto(page)?,
        Proto::Have(have) => Message::Have { handle: Handle(have.handle), chunks: runs(have.runs)? },
        Proto::Lost(lost) => Message::Lost { handle: Handle(lost.handle), chunks: runs(lost.runs)? },
        Proto::Request(request) => Message::Request {
            request: RequestId(request.request),
            handle: Handle(request.handle),
            chunk: request.chunk,
            offset: request.offset,
            len: request.len,
        },
        Proto::Cancel(cancel) => Message::Cancel { request: RequestId(cancel.request) },
        Proto::Reject(reject) => {
            Message::Reject { request: RequestId(reject.request), reason: reason_from_number(reject.reason)? }
        }
        Proto::Choke(choke) => Message::Choke { choked: choke.choked },
        Proto::Durable(durable) => Message::Durable { handle: Handle(durable.handle) },
        Proto::BadChunk(bad) => Message::BadChunk { handle: Handle(bad.handle), chunk: bad.chunk },
        Proto::BadPeer(bad) => Message::BadPeer {
            handle: Handle(bad.handle),
            node: NodeId::from_slice(&bad.node).ok_or(WireError::Field("node"))?,
        },
        Proto::Peers(peers) => {
            Message::Peers { handle: Handle(peers.handle), sources: sources(&peers.sources)? }
        }
    })
}

pub(super) fn hello_to_proto(hello: &Hello) -> proto::Hello {
    proto::Hello {
        major: hello.major,
        minor: hello.minor,
        features: hello.features.clone(),
        agent: hello.agent.clone(),
    }
}

pub(super) fn hello_from_proto(hello: proto::Hello) -> Result<Hello, WireError> {
    let is_name = |name: &String| name.len() <= NAME_LEN_MAX && !name.chars().any(char::is_control);
    if hello.features.len() > FEATURES_MAX || !hello.features.iter().all(is_name) {
        return Err(WireError::Field("features"));
    }
    if !is_name(&hello.agent) {
        return Err(WireError::Field("agent"));
    }
    Ok(Hello { major: hello.major, minor: hello.minor, features: hello.features, agent: hello.agent })
}

fn page_from_proto(page: proto::ManifestPage) -> Result<Message, WireError> {
    if page.body_len == 0 || page.body_len > MANIFEST_BODY_LEN_MAX as u64 {
        return Err(WireError::Field("length of the manifest"));
    }
    if page.data.is_empty() || page.data.len() > MANIFEST_PAGE_LEN {
        return Err(WireError::Field("manifest page"));
    }
    Ok(Message::ManifestPage {
        handle: Handle(page.handle),
        page: page.page,
        body_len: page.body_len,
        data: page.data,
    })
}

fn content(bytes: &[u8]) -> Result<ContentId, WireError> {
    ContentId::from_slice(bytes).ok_or(WireError::Field("content"))
}

fn sources(sources: &[proto::Source]) -> Result<Vec<Source>, WireError> {
    let is_short = |source: &proto::Source| source.addresses.len() <= PEX_ADDRESSES_MAX;
    if sources.len() > PEX_SOURCES_MAX || !sources.iter().all(is_short) {
        return Err(WireError::Field("peers"));
    }
    sources.iter().map(Source::from_proto).collect::<Option<_>>().ok_or(WireError::Field("peers"))
}

fn runs(numbers: Vec<u32>) -> Result<ChunkRuns, WireError> {
    ChunkRuns::checked(numbers).ok_or(WireError::Field("chunk runs"))
}

fn reason_to_number(reason: RejectReason) -> u32 {
    match reason {
        RejectReason::Choked => 1,
        RejectReason::NotHeld => 2,
        RejectReason::TooMany => 3,
        RejectReason::Unreadable => 4,
    }
}

fn reason_from_number(number: u32) -> Result<RejectReason, WireError> {
    Ok(match number {
        1 => RejectReason::Choked,
        2 => RejectReason::NotHeld,
        3 => RejectReason::TooMany,
        4 => RejectReason::Unreadable,
        _ => return Err(WireError::Field("reason")),
    })
}

fn decline_to_number(reason: DeclineReason) -> u32 {
    match reason {
        DeclineReason::NotHere => 0,
        DeclineReason::NotAccepted => 1,
        DeclineReason::NoRoom => 2,
        DeclineReason::NotAuthorised => 3,
    }
}

/// An unknown reason, as of a later build, is read as "not here": the content is declined all the same.
fn decline_from_number(number: u32) -> DeclineReason {
    match number {
        1 => DeclineReason::NotAccepted,
        2 => DeclineReason::NoRoom,
        3 => DeclineReason::NotAuthorised,
        _ => DeclineReason::NotHere,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::{Bitfield, NodeId};

    fn bitfields() -> impl Strategy<Value = Bitfield> {
        prop::collection::vec(any::<bool>(), 1..400).prop_map(|bits| bits.into_iter().collect())
    }

    fn sources() -> impl Strategy<Value = Source> {
        let address = any::<std::net::SocketAddrV6>().prop_filter_map("a port", |address| {
            (address.port() > 0).then(|| std::net::SocketAddr::from((*address.ip(), address.port())).into())
        });
        (any::<[u8; 32]>(), prop::collection::vec(address, 0..=PEX_ADDRESSES_MAX))
            .prop_map(|(node, addresses)| Source { node: NodeId::from_bytes(node), addresses })
    }

    #[test]
    fn more_peers_than_a_message_may_name_are_refused() {
        let source = |addresses: usize| Source {
            node: NodeId::from_bytes([1; 32]),
            addresses: vec!["192.0.2.1:1".parse().expect("an address"); addresses],
        };
        for (sources, is_good) in [
            (vec![source(PEX_ADDRESSES_MAX); PEX_SOURCES_MAX], true),
            (vec![source(1); PEX_SOURCES_MAX + 1], false),
            (vec![source(PEX_ADDRESSES_MAX + 1)], false),
        ] {
            let message = Message::Peers { handle: Handle(1), sources };
            assert_eq!(Message::decode(message.encode()).is_ok(), is_good);
        }
    }

    fn messages() -> impl Strategy<Value = Message> {
        let id = any::<[u8; 32]>().prop_map(ContentId::from_bytes);
        let reason = prop_oneof![
            Just(RejectReason::Choked),
            Just(RejectReason::NotHeld),
            Just(RejectReason::TooMany),
            Just(RejectReason::Unreadable)
        ];
        let decline = prop_oneof![
            Just(DeclineReason::NotHere),
            Just(DeclineReason::NotAccepted),
            Just(DeclineReason::NoRoom),
            Just(DeclineReason::NotAuthorised)
        ];
        let runs = || bitfields().prop_filter_map("not empty", |set| ChunkRuns::of(&set).pop());
        let page = prop::collection::vec(any::<u8>(), 1..2000);
        prop_oneof![
            ("[a-z]{0,8}", prop::collection::vec("[a-z]{1,8}", 0..4), any::<u32>()).prop_map(
                |(agent, features, minor)| { Message::Hello(Hello { major: 1, minor, features, agent }) }
            ),
            (any::<u32>(), id.clone(), any::<[bool; 2]>()).prop_map(
                |(h, content, [knows_manifest, is_offer])| {
                    Message::Open { handle: Handle(h), content, knows_manifest, is_offer }
                }
            ),
            (id, decline).prop_map(|(content, reason)| Message::Decline { content, reason }),
            any::<u32>().prop_map(|h| Message::Durable { handle: Handle(h) }),
            any::<[u32; 2]>().prop_map(|[h, page]| Message::ManifestRequest { handle: Handle(h), page }),
            (any::<[u32; 2]>(), 1..1_000_000u64, page).prop_map(|([h, page], body_len, data)| {
                Message::ManifestPage { handle: Handle(h), page, body_len, data: data.into() }
            }),
            (any::<u32>(), runs()).prop_map(|(h, chunks)| Message::Have { handle: Handle(h), chunks }),
            (any::<u32>(), runs()).prop_map(|(h, chunks)| Message::Lost { handle: Handle(h), chunks }),
            (any::<u64>(), any::<[u32; 4]>()).prop_map(|(r, [h, chunk, offset, len])| Message::Request {
                request: RequestId(r),
                handle: Handle(h),
                chunk,
                offset,
                len
            }),
            any::<u64>().prop_map(|r| Message::Cancel { request: RequestId(r) }),
            (any::<u64>(), reason).prop_map(|(r, reason)| Message::Reject { request: RequestId(r), reason }),
            any::<bool>().prop_map(|choked| Message::Choke { choked }),
            any::<[u32; 2]>().prop_map(|[h, chunk]| Message::BadChunk { handle: Handle(h), chunk }),
            (any::<u32>(), any::<[u8; 32]>())
                .prop_map(|(h, node)| Message::BadPeer { handle: Handle(h), node: NodeId::from_bytes(node) }),
            (any::<u32>(), prop::collection::vec(sources(), 0..PEX_SOURCES_MAX))
                .prop_map(|(h, sources)| Message::Peers { handle: Handle(h), sources }),
        ]
    }

    proptest! {
        #[test]
        fn every_message_survives_the_wire(message in messages()) {
            prop_assert_eq!(message.encode().len(), message.encoded_len());
            prop_assert_eq!(Message::decode(message.encode()), Ok(Some(message)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Message::decode(bytes.into());
        }

        #[test]
        fn runs_are_the_set_they_were_made_of(set in bitfields()) {
            let back: Vec<u32> = ChunkRuns::of(&set)
                .iter()
                .flat_map(|runs| runs.chunks(set.len()).expect("within").collect::<Vec<_>>())
                .collect();
            prop_assert!(set.iter().eq(back));
            prop_assert_eq!(ChunkRuns::of(&set).iter().map(ChunkRuns::count).sum::<u32>(), set.count());
        }
    }

    #[test]
    fn many_runs_go_in_several_messages() {
        let alternating: Bitfield = (0..100_000).map(|i| i % 2 == 0).collect();
        let messages = ChunkRuns::of(&alternating);
        assert_eq!(messages.len(), 13);
        let frame_lens = messages
            .iter()
            .map(|chunks| Message::Have { handle: Handle(1), chunks: chunks.clone() }.encode().len());
        assert!(frame_lens.max() < Some(FRAME_LEN_MAX));
        let all: usize = messages.iter().map(|m| m.chunks(100_000).expect("within").count()).sum();
        assert_eq!(all, 50_000);
    }

    #[test]
    fn runs_past_the_last_chunk_are_refused() {
        for numbers in [vec![0, 11], vec![10, 1], vec![u32::MAX, 1], vec![1, u32::MAX], vec![5, 5, 1, 1]] {
            let runs = ChunkRuns::checked(numbers.clone()).expect("well-formed pairs");
            assert!(runs.chunks(10).is_none(), "{numbers:?}");
        }
        assert!(ChunkRuns::checked(vec![1]).is_none());
        assert!(ChunkRuns::checked(vec![1, 0]).is_none());
        assert!(ChunkRuns::checked(vec![1; HAVE_RUNS_MAX_PLUS]).is_none());
    }

    /// A frame of this length with a message that this build does not know: field 100 stands for a later version.
    fn later_message(frame_len: usize) -> Bytes {
        // The tag takes two bytes; the length, of 16 KiB and more, three.
        let len = frame_len - 5;
        let varint = [(len & 0x7f) as u8 | 0x80, (len >> 7 & 0x7f) as u8 | 0x80, (len >> 14) as u8];
        let tag = [0xa2, 0x06];
        [&tag[..], &varint, &vec![0; len]].concat().into()
    }

    #[test]
    fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
        assert_eq!(Message::decode(later_message(FRAME_LEN_MAX)), Ok(None));
        for len in [FRAME_LEN_MAX + 1, 2 * FRAME_LEN_MAX] {
            assert_eq!(Message::decode(later_message(len)), Err(WireError::FrameTooLong(len)));
        }
    }

    #[test]
    fn names_in_a_greeting_are_few_short_and_printable() {
        let name = |len| "n".repeat(len);
        for (features, agent, is_good) in [
            (vec![name(NAME_LEN_MAX); FEATURES_MAX], name(NAME_LEN_MAX), true),
            (vec![name(1); FEATURES_MAX + 1], name(1), false),
            (vec![name(NAME_LEN_MAX + 1)], name(1), false),
            (vec![name(1), "a\u{1b}[2J".to_owned()], name(1), false),
            (Vec::new(), name(NAME_LEN_MAX + 1), false),
            (Vec::new(), "two\nlines".to_owned(), false),
        ] {
            let message = Message::Hello(Hello { major: 1, minor: 0, features, agent });
            assert_eq!(Message::decode(message.encode()).is_ok(), is_good, "{message:?}");
        }
    }

    #[test]
    fn a_page_has_bytes_and_belongs_to_a_manifest_of_a_possible_length() {
        let body_len_max = MANIFEST_BODY_LEN_MAX as u64;
        for (body_len, page_len, is_good) in [
            (1, 1, true),
            (body_len_max, MANIFEST_PAGE_LEN, true),
            (0, 1, false),
            (body_len_max + 1, 1, false),
            (1, 0, false),
            (body_len_max, MANIFEST_PAGE_LEN + 1, false),
        ] {
            let message = Message::ManifestPage {
                handle: Handle(1),
                page: 0,
                body_len,
                data: vec![7; page_len].into(),
            };
            assert_eq!(Message::decode(message.encode()).is_ok(), is_good, "{body_len} {page_len}");
        }
    }

    #[test]
    fn a_reason_to_decline_may_be_a_later_versions_and_one_to_reject_may_not() {
        assert_eq!(decline_from_number(4), DeclineReason::NotHere);
        for number in [0, 5] {
            assert_eq!(reason_from_number(number), Err(WireError::Field("reason")));
        }
    }

    #[test]
    fn as_many_runs_as_a_message_may_have_go_in_one() {
        let runs_max = crate::base::limits::HAVE_RUNS_MAX as u32 / 2;
        let alternating = |runs: u32| (0..2 * runs).map(|i| i % 2 == 0).collect::<Bitfield>();
        assert_eq!(ChunkRuns::of(&alternating(runs_max)).len(), 1);
        assert_eq!(ChunkRuns::of(&alternating(runs_max + 1)).len(), 2);
    }

    #[test]
    fn a_message_may_have_as_many_runs_as_the_limit() {
        let runs =
            ChunkRuns::checked(vec![1; crate::base::limits::HAVE_RUNS_MAX]).expect("no more than the limit");
        let message = Message::Have { handle: Handle(1), chunks: runs };
        assert_eq!(Message::decode(message.encode()), Ok(Some(message)));
    }

    const HAVE_RUNS_MAX_PLUS: usize = crate::base::limits::HAVE_RUNS_MAX + 2;
}
