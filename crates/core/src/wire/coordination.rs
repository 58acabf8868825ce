//! Messages between a node and a coordinator. Decoding validates: ids are ids, addresses are addresses, signatures hold.

use bytes::Bytes;
use prost::Message as _;

use super::codec::{WireError, hello_from_proto, hello_to_proto};
use super::message::Hello;
use crate::base::limits::{
    ANNOUNCE_LEN_MAX, ANNOUNCE_LINKS_MAX, FRAME_LEN_MAX, NEIGHBOUR_ADDRESSES_MAX, NEIGHBOURS_TARGET,
    SOURCE_ADDRESSES_MAX,
};
use crate::base::{ContentId, NodeId, Rate, Zone};
use crate::manifest::{Address, SigningKey, verify};
use crate::proto;
use crate::proto::coordinator_frame::Message as Proto;

/// One message on the control stream of a link to a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coordination {
    /// The first message of the node.
    Hello(Hello),
    /// The coordinator's answer.
    Welcome(Welcome),
    /// The node takes part in a content.
    Announce {
        /// The claims of the node, signed.
        announce: SignedAnnounce,
        /// Number of neighbours that the node wants in all; 0 asks for none.
        wanted: u32,
        /// Linked peers that take part in the content; not signed.
        links: Vec<NodeId>,
    },
    /// The node no longer takes part in a content.
    Withdraw {
        /// The content that the node leaves.
        content: ContentId,
    },
    /// Other nodes that take part in a content.
    Neighbours {
        /// The content that they take part in.
        content: ContentId,
        /// Their signed announcements, and their addresses.
        neighbours: Vec<Neighbour>,
    },
    /// The coordinator refuses an announcement.
    Refused {
        /// The content of the announcement.
        content: ContentId,
        /// Text for people.
        reason: String,
    },
    /// The named node dials the receiver now, which must dial back: the packets of both sides open both NATs.
    Meet {
        /// The content that both take part in.
        content: ContentId,
        /// The node to dial.
        neighbour: Neighbour,
    },
}

/// The coordinator's answer to Hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Version and features of the coordinator.
    pub hello: Hello,
    /// The node's address as the coordinator sees it.
    pub observed: Address,
    /// Seconds until the next announcement is expected.
    pub interval_s: u32,
    /// Seconds after which an announcement expires unless it is repeated.
    pub time_to_live_s: u32,
}

/// The claims of a node about itself and one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceBody {
    /// The content that the node has or wants.
    pub content: ContentId,
    /// The node that signs.
    pub node: NodeId,
    /// Addresses at which the node claims to be reachable.
    pub addresses: Vec<Address>,
    /// Number of verified chunks.
    pub have_count: u32,
    /// Number of chunks; zero while the node lacks the manifest.
    pub chunk_count: u32,
    /// Upload capacity; zero if unknown.
    pub up: Rate,
    /// A label that operators choose; nodes of one zone are near each other.
    pub zone: Option<Zone>,
}

/// An announcement and the bytes that its node signed. Exists only if the signature is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAnnounce {
    body: AnnounceBody,
    bytes: Bytes,
    signature: [u8; 64],
}

/// An announced node, and the addresses to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The claims of the node, signed.
    pub announce: SignedAnnounce,
    /// Addresses that the coordinator passes on; at most [`NEIGHBOUR_ADDRESSES_MAX`].
    pub addresses: Vec<Address>,
}

impl SignedAnnounce {
    /// Signs a body.
    ///
    /// # Panics
    /// If the key is not that of the body's node, or the body is outside its caps.
    pub fn sign(key: &SigningKey, body: AnnounceBody) -> Self {
        assert_eq!(key.public(), body.node, "a node speaks for itself alone");
        assert!(body.is_within_caps(), "an announcement that every coordinator would refuse");
        let bytes: Bytes = body.to_proto().encode_to_vec().into();
        let signature = key.sign_bytes(CONTEXT, &bytes);
        Self { body, bytes, signature }
    }

    /// The verified claims.
    pub fn body(&self) -> &AnnounceBody {
        &self.body
    }

    /// The bytes to keep or pass on: a protobuf `SignedAnnounce`.
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads what [`SignedAnnounce::encode`] wrote.
    ///
    /// # Errors
    /// If the bytes are not an announcement, or the node it speaks for did not sign it.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_proto(proto::SignedAnnounce::decode(bytes).map_err(|_| WireError::Schema)?)
    }

    fn to_proto(&self) -> proto::SignedAnnounce {
        proto::SignedAnnounce { body: self.bytes.clone(), signature: self.signature.to_vec().into() }
    }

    fn from_proto(signed: proto::SignedAnnounce) -> Result<Self, WireError> {
        if signed.body.len() > ANNOUNCE_LEN_MAX {
            return Err(WireError::Field("announcement"));
        }
        let signature = signed.signature.as_ref().try_into().map_err(|_| WireError::Field("signature"))?;
        let body = proto::AnnounceBody::decode(signed.body.clone()).map_err(|_| WireError::Schema)?;
        let body = AnnounceBody::from_proto(body)?;
        if !verify(body.node, CONTEXT, &signed.body, &signature) {
            return Err(WireError::Field("signature"));
        }
        Ok(Self { body, bytes: signed.body, signature })
    }
}

impl AnnounceBody {
    fn is_within_caps(&self) -> bool {
        self.addresses.len() <= SOURCE_ADDRESSES_MAX && self.have_count <= self.chunk_count
    }

    fn to_proto(&self) -> proto::AnnounceBody {
        proto::AnnounceBody {
            content: self.content.as_bytes().to_vec().into(),
            node: self.node.as_bytes().to_vec().into(),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            have_count: self.have_count,
            chunk_count: self.chunk_count,
            up_per_sec: self.up.0,
            zone: self.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn from_proto(body: proto::AnnounceBody) -> Result<Self, WireError> {
        let zone = (!body.zone.is_empty()).then(|| Zone::try_from(body.zone)).transpose();
        let read = Self {
            content: content(&body.content)?,
            node: node(&body.node)?,
            addresses: addresses(&body.addresses, SOURCE_ADDRESSES_MAX)?,
            have_count: body.have_count,
            chunk_count: body.chunk_count,
            up: Rate(body.up_per_sec),
            zone: zone.map_err(|_| WireError::Field("announcement"))?,
        };
        if read.is_within_caps() { Ok(read) } else { Err(WireError::Field("announcement")) }
    }
}

impl Neighbour {
    fn to_proto(&self) -> proto::Neighbour {
        let addresses = self.addresses.iter().map(ToString::to_string).collect();
        proto::Neighbour { announce: Some(self.announce.to_proto()), addresses }
    }

    fn from_proto(neighbour: proto::Neighbour) -> Result<Self, WireError> {
        let addresses = addresses(&neighbour.addresses, NEIGHBOUR_ADDRESSES_MAX)?;
        Ok(Self { announce: SignedAnnounce::from_proto(required(neighbour.announce)?)?, addresses })
    }
}

impl Coordination {
    /// The frame, without its length.
    pub fn encode(&self) -> Bytes {
        proto::CoordinatorFrame { message: Some(self.to_proto()) }.encode_to_vec().into()
    }

    /// Reads a frame. `Ok(None)` is a message of a later minor version: to be passed over.
    ///
    /// # Errors
    /// If it is too long, does not follow the schema, or a field is outside its cap.
    pub fn decode(frame: Bytes) -> Result<Option<Self>, WireError> {
        if frame.len() > FRAME_LEN_MAX {
            return Err(WireError::FrameTooLong(frame.len()));
        }
        let frame = proto::CoordinatorFrame::decode(frame).map_err(|_| WireError::Schema)?;
        frame.message.map(Self::from_proto).transpose()
    }

    fn to_proto(&self) -> Proto {
        let bytes = |content: &ContentId| Bytes::copy_from_slice(content.as_bytes());
        match self {
            Self::Hello(hello) => Proto::Hello(hello_to_proto(hello)),
            Self::Welcome(welcome) => Proto::Welcome(proto::Welcome {
                hello: Some(hello_to_proto(&welcome.hello)),
                observed: welcome.observed.to_string(),
                interval_s: welcome.interval_s,
                time_to_live_s: welcome.time_to_live_s,
            }),
            Self::Announce { announce, wanted, links } => Proto::Announce(proto::Announce {
                announce: Some(announce.to_proto()),
                wanted: *wanted,
                links: links.iter().map(|link| Bytes::copy_from_slice(link.as_bytes())).collect(),
            }),
            Self::Withdraw { content } => Proto::Withdraw(proto::Withdraw { content: bytes(content) }),
            Self::Neighbours { content, neighbours } => Proto::Neighbours(proto::Neighbours {
                content: bytes(content),
                neighbours: neighbours.iter().map(Neighbour::to_proto).collect(),
            }),
            Self::Refused { content, reason } => {
                Proto::Refused(proto::Refused { content: bytes(content), reason: reason.clone() })
            }
            Self::Meet { content, neighbour } => {
                Proto::Meet(proto::Meet { content: bytes(content), neighbour: Some(neighbour.to_proto()) })
            }
        }
    }

    fn from_proto(message: Proto) -> Result<Self, WireError> {
        Ok(match message {
            Proto::Hello(hello) => Self::Hello(hello_from_proto(hello)?),
            Proto::Welcome(welcome) => Self::Welcome(Welcome {
                hello: hello_from_proto(required(welcome.hello)?)?,
                observed: address(&welcome.observed)?,
                interval_s: welcome.interval_s,
                time_to_live_s: welcome.time_to_live_s,
            }),
            Proto::Announce(announce) => {
                if announce.links.len() > ANNOUNCE_LINKS_MAX {
                    return Err(WireError::Field("links"));
                }
                Self::Announce {
                    links: announce.links.iter().map(|link| node(link)).collect::<Result<_, _>>()?,
                    wanted: announce.wanted,
                    announce: SignedAnnounce::from_proto(required(announce.announce)?)?,
                }
            }
            Proto::Withdraw(withdraw) => Self::Withdraw { content: content(&withdraw.content)? },
            Proto::Neighbours(peers) => {
                if peers.neighbours.len() > NEIGHBOURS_TARGET as usize {
                    return Err(WireError::Field("neighbours"));
                }
                let neighbours = peers.neighbours.into_iter().map(Neighbour::from_proto);
                Self::Neighbours {
                    content: content(&peers.content)?,
                    neighbours: neighbours.collect::<Result<_, _>>()?,
                }
            }
            Proto::Refused(refused) => {
                let reason =
                    refused.reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
                Self::Refused { content: content(&refused.content)?, reason }
            }
            Proto::Meet(meet) => Self::Meet {
                content: content(&meet.content)?,
                neighbour: Neighbour::from_proto(required(meet.neighbour)?)?,
            },
        })
    }
}

fn required<T>(field: Option<T>) -> Result<T, WireError> {
    field.ok_or(WireError::Field("a message within is missing"))
}

fn content(bytes: &[u8]) -> Result<ContentId, WireError> {
    ContentId::from_slice(bytes).ok_or(WireError::Field("content"))
}

fn node(bytes: &[u8]) -> Result<NodeId, WireError> {
    NodeId::from_slice(bytes).ok_or(WireError::Field("node"))
}

fn address(text: &str) -> Result<Address, WireError> {
    text.parse().map_err(|_| WireError::Field("address"))
}

fn addresses(texts: &[String], count_max: usize) -> Result<Vec<Address>, WireError> {
    if texts.len() > count_max {
        return Err(WireError::Field("addresses"));
    }
    texts.iter().map(|text| address(text)).collect()
}

/// Bound into the signature: a signature over a manifest cannot pass for an announcement.
const CONTEXT: &[u8] = b"swarm announce v1";
const REASON_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::limits::ZONE_LEN_MAX;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[3; 32])
    }

    fn body() -> AnnounceBody {
        AnnounceBody {
            content: ContentId::from_bytes([1; 32]),
            node: key().public(),
            addresses: vec!["192.0.2.1:4433".parse().expect("an address")],
            have_count: 3,
            chunk_count: 7,
            up: Rate(1_000_000),
            zone: Some("lab".parse().expect("a zone")),
        }
    }

    fn messages() -> Vec<Coordination> {
        let content = ContentId::from_bytes([1; 32]);
        let announce = SignedAnnounce::sign(&key(), body());
        let neighbour =
            Neighbour { announce: announce.clone(), addresses: announce.body().addresses.clone() };
        let observed = "203.0.113.7:9".parse().expect("an address");
        vec![
            Coordination::Hello(Hello::ours()),
            Coordination::Welcome(Welcome {
                hello: Hello::ours(),
                observed,
                interval_s: 1,
                time_to_live_s: 3,
            }),
            Coordination::Announce { announce, wanted: 10, links: vec![key().public()] },
            Coordination::Withdraw { content },
            Coordination::Neighbours { content, neighbours: vec![neighbour.clone()] },
            Coordination::Refused { content, reason: "full".to_owned() },
            Coordination::Meet { content, neighbour },
        ]
    }

    #[test]
    fn every_message_survives_the_wire() {
        for message in messages() {
            assert_eq!(Coordination::decode(message.encode()), Ok(Some(message)));
        }
    }

    #[test]
    fn a_changed_announcement_is_refused() {
        let signed = SignedAnnounce::sign(&key(), body()).to_proto();
        let other = AnnounceBody { have_count: 7, ..body() };
        let forged =
            proto::SignedAnnounce { body: other.to_proto().encode_to_vec().into(), ..signed.clone() };
        assert_eq!(SignedAnnounce::from_proto(forged), Err(WireError::Field("signature")));
        let stranger = AnnounceBody { node: SigningKey::from_seed(&[4; 32]).public(), ..body() };
        let forged = proto::SignedAnnounce { body: stranger.to_proto().encode_to_vec().into(), ..signed };
        assert_eq!(SignedAnnounce::from_proto(forged), Err(WireError::Field("signature")));
    }

    #[test]
    fn an_announcement_outside_its_caps_is_refused() {
        let check = |body: AnnounceBody| {
            let signed = signed_anyway(body.to_proto().encode_to_vec());
            assert!(SignedAnnounce::from_proto(signed).is_err(), "{body:?}");
        };
        check(AnnounceBody { have_count: 8, ..body() });
        for zone in ["x".repeat(ZONE_LEN_MAX + 1), "a\nb".to_owned()] {
            let signed = signed_anyway(proto::AnnounceBody { zone, ..body().to_proto() }.encode_to_vec());
            assert!(SignedAnnounce::from_proto(signed).is_err());
        }
        let many = vec!["192.0.2.1:4433".parse().expect("an address"); SOURCE_ADDRESSES_MAX + 1];
        check(AnnounceBody { addresses: many, ..body() });
    }

    /// Signed by [`key`], valid or not.
    fn signed_anyway(bytes: Vec<u8>) -> proto::SignedAnnounce {
        let signature = key().sign_bytes(CONTEXT, &bytes).to_vec().into();
        proto::SignedAnnounce { body: bytes.into(), signature }
    }

    #[test]
    fn an_announcement_at_its_caps_is_taken() {
        let body = AnnounceBody {
            have_count: 7,
            zone: Some("x".repeat(ZONE_LEN_MAX).parse().expect("as long as it may be")),
            addresses: vec!["192.0.2.1:4433".parse().expect("an address"); SOURCE_ADDRESSES_MAX],
            ..body()
        };
        let signed = SignedAnnounce::sign(&key(), body.clone());
        assert_eq!(SignedAnnounce::decode(&signed.encode()).map(|signed| signed.body().clone()), Ok(body));
    }

    #[test]
    fn an_announcement_is_no_longer_than_its_limit_whatever_else_it_says() {
        let bytes = |len: usize| {
            let mut bytes = body().to_proto().encode_to_vec();
            // Field 100, as a later version may have: a tag of two bytes, a length of two.
            let rest = len - bytes.len() - 4;
            bytes.extend([0xa2, 0x06, (rest & 0x7f) as u8 | 0x80, (rest >> 7) as u8]);
            bytes.resize(len, 0);
            bytes
        };
        let longest = SignedAnnounce::from_proto(signed_anyway(bytes(ANNOUNCE_LEN_MAX)));
        assert_eq!(longest.map(|signed| signed.body), Ok(body()));
        for len in [ANNOUNCE_LEN_MAX + 1, ANNOUNCE_LEN_MAX + 1000] {
            let longer = SignedAnnounce::from_proto(signed_anyway(bytes(len)));
            assert_eq!(longer, Err(WireError::Field("announcement")));
        }
    }

    #[test]
    #[should_panic(expected = "a node speaks for itself alone")]
    fn a_node_cannot_sign_for_another_one() {
        SignedAnnounce::sign(&SigningKey::from_seed(&[4; 32]), body());
    }

    #[test]
    #[should_panic(expected = "every coordinator would refuse")]
    fn an_announcement_that_every_coordinator_refuses_is_not_signed() {
        SignedAnnounce::sign(&key(), AnnounceBody { have_count: 8, ..body() });
    }

    #[test]
    fn lists_are_as_long_as_their_limits_and_no_longer() {
        let content = ContentId::from_bytes([1; 32]);
        let announce = SignedAnnounce::sign(&key(), body());
        let address: Address = "192.0.2.1:1".parse().expect("an address");
        let neighbour =
            |count| Neighbour { announce: announce.clone(), addresses: vec![address.clone(); count] };
        let links = |count| Coordination::Announce {
            announce: announce.clone(),
            wanted: 1,
            links: vec![key().public(); count],
        };
        let neighbours = |count| Coordination::Neighbours { content, neighbours: vec![neighbour(1); count] };
        let target = NEIGHBOURS_TARGET as usize;
        for (message, is_good) in [
            (links(ANNOUNCE_LINKS_MAX), true),
            (links(ANNOUNCE_LINKS_MAX + 1), false),
            (neighbours(target), true),
            (neighbours(target + 1), false),
            (Coordination::Meet { content, neighbour: neighbour(NEIGHBOUR_ADDRESSES_MAX) }, true),
            (Coordination::Meet { content, neighbour: neighbour(NEIGHBOUR_ADDRESSES_MAX + 1) }, false),
        ] {
            let decoded = Coordination::decode(message.encode());
            assert_eq!(decoded.is_ok(), is_good, "{message:?}");
            assert!(!is_good || decoded == Ok(Some(message)));
        }
    }

    #[test]
    fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
        // Field 100, as a later version may have.
        let frame = |len: usize| {
            let rest = len - 5;
            let varint = [(rest & 0x7f) as u8 | 0x80, (rest >> 7 & 0x7f) as u8 | 0x80, (rest >> 14) as u8];
            Bytes::from([&[0xa2, 0x06][..], &varint, &vec![0; rest]].concat())
        };
        assert_eq!(Coordination::decode(frame(FRAME_LEN_MAX)), Ok(None));
        for len in [FRAME_LEN_MAX + 1, 2 * FRAME_LEN_MAX] {
            assert_eq!(Coordination::decode(frame(len)), Err(WireError::FrameTooLong(len)));
        }
    }

    #[test]
    fn a_refusal_is_shortened_and_cannot_write_to_a_terminal() {
        let content = ContentId::from_bytes([1; 32]);
        let reason = format!("\u{1b}[31m{}", "x".repeat(500));
        let decoded = Coordination::decode(Coordination::Refused { content, reason }.encode());
        let shown = format!("[31m{}", "x".repeat(REASON_CHARS_MAX - 4));
        assert_eq!(decoded, Ok(Some(Coordination::Refused { content, reason: shown })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Coordination::decode(bytes.into());
        }

        #[test]
        fn no_flip_makes_it_panic(which in 0usize..7, at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut bytes = messages()[which].encode().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = Coordination::decode(bytes.into());
        }
    }
}
