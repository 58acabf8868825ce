//! Messages of peers as a script of bytes: well-formed, with ids that are right now and then.

use bytes::Bytes;
use swarm_core::base::limits::MANIFEST_PAGE_LEN;
use swarm_core::base::{Bitfield, ContentId};
use swarm_core::manifest::Manifest;
use swarm_core::wire::{
    ChunkRuns, DeclineReason, Handle, Hello, Message, PROTOCOL_MAJOR, RejectReason, RequestId,
};

use super::Samples;
use super::pieces::{content, node, source};

/// A script that is consumed from the front; after its end it yields zeros.
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl Script<'_> {
    pub(super) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    pub(super) fn word(&mut self) -> u32 {
        u32::from(self.byte()) | u32::from(self.byte()) << 8
    }

    pub(super) fn take(&mut self, len: usize) -> Bytes {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(taken)
    }
}

/// The next message; `None` if it would name no chunk.
pub(super) fn message(script: &mut Script<'_>, manifests: &[Manifest; 3]) -> Option<Message> {
    let kind = script.byte();
    let handle = Handle(u32::from(script.byte() % 5));
    Some(match kind % 20 {
        0 => Message::Hello(Hello { major: u32::from(kind / 20).min(PROTOCOL_MAJOR), ..Hello::ours() }),
        1..=4 => {
            let (content, flags) = (content_of(script, manifests), script.byte());
            Message::Open { handle, content, knows_manifest: flags & 1 == 0, is_offer: flags & 2 != 0 }
        }
        5 => Message::Decline { content: content_of(script, manifests), reason: DeclineReason::NoRoom },
        6 => Message::ManifestRequest { handle, page: script.word() % 3 },
        7 | 8 => page(handle, script, &manifests[1]),
        9..=11 => Message::Have { handle, chunks: chunk_runs(script)? },
        12 => Message::Lost { handle, chunks: chunk_runs(script)? },
        13 | 14 => Message::Request {
            request: RequestId(u64::from(script.byte() % 64)),
            handle,
            chunk: u32::from(script.byte() % 16),
            offset: script.word() * u32::from(script.byte() % 2),
            len: script.word() + 1,
        },
        15 => Message::Cancel { request: RequestId(u64::from(script.byte() % 64)) },
        16 => {
            let reasons = [
                RejectReason::Choked,
                RejectReason::NotHeld,
                RejectReason::TooMany,
                RejectReason::Unreadable,
            ];
            let what = script.byte();
            Message::Reject {
                request: RequestId(u64::from(what % 32)),
                reason: reasons[usize::from(what >> 6)],
            }
        }
        17 => Message::Choke { choked: script.byte().is_multiple_of(3) },
        18 => Message::Peers { handle, sources: vec![source(script.byte() % 32)] },
        _ => match script.byte() % 3 {
            0 => Message::Durable { handle },
            1 => Message::BadPeer { handle, node: node(script.byte() % 32) },
            _ => Message::BadChunk { handle, chunk: u32::from(script.byte() % 16) },
        },
    })
}

/// The id of a known content, usually.
pub(super) fn content_of(script: &mut Script<'_>, manifests: &[Manifest; 3]) -> ContentId {
    let which = script.byte() % 8;
    manifests.get(usize::from(which)).map_or(content(which), Manifest::id)
}

/// The right page of a manifest, or one with a wrong field.
fn page(handle: Handle, script: &mut Script<'_>, manifest: &Manifest) -> Message {
    let what = script.byte();
    let mut data = manifest.body().to_vec();
    data.truncate(MANIFEST_PAGE_LEN);
    let body_len = data.len() as u64 + u64::from(what & 1) * 70_000;
    if what & 2 != 0 {
        data[usize::from(what >> 4)] ^= 1;
    }
    Message::ManifestPage { handle, page: u32::from(what >> 2 & 1), body_len, data: data.into() }
}

/// Some of sixteen chunks; a content has fewer.
fn chunk_runs(script: &mut Script<'_>) -> Option<ChunkRuns> {
    let (bits, more) = (script.word(), script.byte().is_multiple_of(4));
    let set: Bitfield = (0..if more { 16 } else { 11 }).map(|bit| bits >> bit & 1 == 1).collect();
    ChunkRuns::of(&set).pop()
}

/// Scripts for `engine_peer`.
pub(super) fn samples() -> Samples {
    // Link up, then messages: operation, link, kind, handle, what it says.
    let open = |handle: u8, content: u8| vec![3, 0, 1, handle, content, 0];
    let have = |handle: u8| vec![3, 0, 9, handle, 0xff, 0x07, 1];
    let fetch = [
        vec![0, 1],
        open(1, 0),
        have(1),
        vec![3, 0, 17, 0, 1],
        [10, 0, 0].repeat(6),
        vec![12, 255, 255, 13, 13, 12, 1, 0, 13],
    ];
    let serve = [vec![0, 2], open(1, 0), [3, 0, 13, 1, 3, 0, 0, 0, 0, 0, 60, 11, 0, 2].repeat(3)];
    let manifest =
        [vec![0, 3], open(2, 1), vec![3, 0, 7, 2, 0, 13], have(2), vec![3, 0, 17, 0, 1, 10, 0, 0, 13]];
    let raw = |message: &Message| {
        let frame = message.encode();
        [vec![2, 0, frame.len() as u8], frame.to_vec()].concat()
    };
    let spoken = [vec![0, 0x44], raw(&Message::Hello(Hello::ours())), raw(&Message::Choke { choked: false })];
    vec![
        ("fetch", fetch.concat()),
        ("serve", serve.concat()),
        ("manifest", manifest.concat()),
        ("corrupt", [vec![0, 5], open(1, 0), have(1), vec![3, 0, 17, 0, 1], vec![10, 0, 2]].concat()),
        (
            "broken_off",
            [vec![0, 5], open(1, 0), have(1), vec![3, 0, 17, 0, 1], [10, 0, 3].repeat(3)].concat(),
        ),
        ("spoken", spoken.concat()),
        ("empty_content", [vec![0, 6], open(3, 2), [3, 0, 9, 3, 0, 0, 1].repeat(4)].concat()),
        ("crowd", (0..8u8).flat_map(|peer| [vec![0, peer], open(1, 0), have(1)].concat()).collect()),
        (
            "farewell",
            [vec![0, 7], open(1, 0), vec![3, 0, 18, 1, 9, 12, 0, 64, 14, 0x1c, 0, 14, 0xde, 0]].concat(),
        ),
        (
            "met_while_dialed",
            [[14, 0x10, 0], [14, 0x11, 0], [14, 0x20, 0], [14, 0x20, 0], [0, 0x81, 15]].concat(),
        ),
        ("again_and_again", [0, 1, 1, 0].repeat(40)),
    ]
}
