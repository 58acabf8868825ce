//! Data from the local network and from the DHT.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use swarm_core::base::Instant;
use swarm_discovery::fuzzing::{DhtAddresses, LanRecord, is_asked};
use swarm_discovery::limits::LAN_CONTENTS_MAX;

use super::pieces::{content, node};
use super::{SLACK_LEN, Samples, bounded};

/// A TXT record names a node and no more contents than allowed, and survives being written.
pub(super) fn record(bytes: &[u8]) {
    if let Some(record) = bounded(bytes.len(), (RECORD_TIMES, SLACK_LEN), || LanRecord::decode(bytes)) {
        assert!(record.contents.len() <= LAN_CONTENTS_MAX);
        let written = record.encode();
        assert!(written.len() <= RECORD_LEN_MAX);
        assert_eq!(LanRecord::decode(&written), Some(record));
    }
}

pub(super) fn record_samples() -> Samples {
    let record = |count: u8| {
        let contents: BTreeSet<[u8; 8]> = (0..count).map(|number| [number; 8]).collect();
        LanRecord { node: node(7), contents }.encode()
    };
    let mut odd = record(3);
    odd.pop();
    vec![
        ("nothing", record(0)),
        ("several", record(20)),
        ("full", record(64)),
        ("odd", odd),
        ("keys", [5, b'a', b'=', b'b', b'=', b'c'].repeat(20)),
    ]
}

/// The packet parser of the responder, an external crate: no panic, and no more entries than the packet has. The number of
/// questions is set to zero: the parser skips questions of unknown kinds, but its own check counts them.
pub(super) fn packet(bytes: &[u8]) {
    let mut packet = bytes.to_vec();
    if let Some(questions) = packet.get_mut(4..6) {
        questions.fill(0);
    }
    bounded(bytes.len(), (PACKET_TIMES, PACKET_SLACK_LEN), || mdns_sd::fuzz_api::parse_packet(&packet));
}

pub(super) fn packet_samples() -> Samples {
    let name = |labels: &[&str]| {
        let labels = labels.iter().flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
        labels.chain([0]).collect::<Vec<u8>>()
    };
    let head = |questions: u8, answers: u8| vec![0, 0, 0x84, 0, 0, questions, 0, answers, 0, 0, 0, 0];
    let service = name(&["_swarm", "_udp", "local"]);
    let answer = |owner: &[u8], kind: u8, data: &[u8]| {
        [owner, &[0, kind, 0, 1, 0, 0, 0, 120, 0, data.len() as u8], data].concat()
    };
    let instance = name(&["aa", "_swarm", "_udp", "local"]);
    let srv = [vec![0, 0, 0, 0, 0x11, 0x51], name(&["aa", "local"])].concat();
    let answers = [
        answer(&service, 12, &instance),
        answer(&instance, 33, &srv),
        answer(&instance, 16, b"\x05a=b=c\x03x=y"),
        answer(&name(&["aa", "local"]), 1, &[192, 0, 2, 1]),
        answer(&name(&["aa", "local"]), 28, &[1; 16]),
    ];
    vec![
        ("question", [head(1, 0), service, vec![0, 12, 0, 1]].concat()),
        ("answers", [head(0, 5), answers.concat()].concat()),
        ("loop", [head(1, 0), vec![0xc0, 12, 0, 12, 0, 1]].concat()),
        ("many", head(255, 255)),
        ("cut", head(1, 1)[..9].to_vec()),
    ]
}

/// Any answers of the DHT: an address is asked rarely and only if a node may be there, and every report was heard before.
pub(super) fn dht(bytes: &[u8]) {
    let start = Instant::ZERO;
    let (mut known, mut now, mut heard) = (DhtAddresses::default(), start, BTreeSet::new());
    bounded(bytes.len(), (DHT_TIMES, SLACK_LEN), || {
        for word in bytes.chunks_exact(8) {
            let ip = Ipv4Addr::new(word[1], word[2], word[3], word[4]);
            let address = SocketAddrV4::new(ip, u16::from_be_bytes([word[5], word[6]]));
            let is_private = word[0] & 0x80 != 0;
            if is_asked(address, is_private) {
                assert!(
                    address.port() > 0 && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast()
                );
                assert!(is_private || !(ip.is_private() || ip.is_loopback() || ip.is_link_local()));
            }
            now = now + Duration::from_secs(u64::from(word[7]));
            match word[0] % 3 {
                0 => {
                    known.hear(now, address, content(word[7] % 4));
                    heard.insert((address, content(word[7] % 4)));
                    assert!(!known.hear(now, address, content(word[7] % 4)), "it is asked once");
                }
                1 => known.on_probed(address, (word[7] > 9).then(|| node(word[7]))),
                _ => {
                    let told = known.report(address);
                    assert!(told.iter().all(|(content, _)| heard.contains(&(address, *content))));
                    assert_eq!(known.report(address), [], "each is told once");
                }
            }
        }
    });
}

pub(super) fn dht_samples() -> Samples {
    let word = |op: u8, ip: [u8; 4], value: u8| [&[op][..], &ip, &[0x11, 0x51, value]].concat();
    let found = [word(0, [8, 8, 8, 8], 1), word(1, [8, 8, 8, 8], 10), word(2, [8, 8, 8, 8], 0)].concat();
    vec![
        ("again", found.repeat(8)),
        ("found", found),
        ("private", [word(0x80, [10, 0, 0, 1], 2), word(0, [127, 0, 0, 1], 255)].concat()),
        ("no_host", [word(0, [0, 0, 0, 0], 0), word(0, [224, 0, 0, 1], 0), word(0, [255; 4], 0)].concat()),
    ]
}

/// The strings of a record, with keys in lower case to find doubles, and the ids twice.
const RECORD_TIMES: u64 = 64;
/// Longest record that fits in one datagram, bytes.
const RECORD_LEN_MAX: usize = 1200;
/// A name of two bytes may stand for 255, and the parser's own checks print all of them several times.
const PACKET_TIMES: u64 = 4096;
const PACKET_SLACK_LEN: u64 = 64 << 10;
/// A word of eight bytes is an address with its time, its contents and a place in two trees.
const DHT_TIMES: u64 = 512;
