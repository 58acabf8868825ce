//! Texts in messages, arguments, configurations and small files. The first byte selects their kind.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use swarm_core::base::limits::{ADDRESS_LEN_MAX, SOURCE_ADDRESSES_MAX};
use swarm_core::base::{ByteLen, ContentId, NodeId, Rate};
use swarm_core::manifest::{Address, EntryPath, Source};
use swarm_discovery::fuzzing::gateway_in_routes;
use swarm_host::AnyOr;
use swarm_host::config::TimeOfDay;
use swarm_link::fuzzing::{claim, key};

use super::manifest::check_path;
use super::pieces::content;
use super::{SLACK_LEN, Samples, bounded};

/// An accepted text is within its limits, and reads the same when it is written again.
pub(super) fn any(bytes: &[u8]) {
    let [kind, text @ ..] = bytes else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    bounded(text.len(), (TEXT_TIMES, SLACK_LEN), || read(*kind, text));
}

fn read(kind: u8, text: &str) {
    match kind % 12 {
        0 => text.parse().iter().for_each(check_address),
        1 => text.parse().iter().for_each(|source: &Source| {
            assert!(source.addresses.len() <= SOURCE_ADDRESSES_MAX);
            let again = format!("{}@{}", source.node, source.addresses[0]);
            assert_eq!(again.parse().as_ref(), Ok(source));
        }),
        2 => EntryPath::new(text).iter().for_each(check_path),
        3 => check_same::<NodeId>(text),
        4 => check_same::<ContentId>(text),
        5 => text.parse().iter().for_each(|len: &ByteLen| {
            assert_eq!(len.0.to_string().parse().as_ref(), Ok(len));
            assert!(!len.to_string().is_empty());
        }),
        6 => text.parse().iter().for_each(|rate: &Rate| {
            assert!(rate.0 > 0);
            assert_eq!(rate.0.to_string().parse().as_ref(), Ok(rate));
        }),
        7 => check_same::<TimeOfDay>(text),
        8 => {
            let any = text.parse::<AnyOr<NodeId>>();
            assert_eq!(matches!(any, Ok(AnyOr::Any)), text.eq_ignore_ascii_case("any"));
            assert_eq!(matches!(any, Ok(AnyOr::One(_))), text.parse::<NodeId>().is_ok());
        }
        9 => assert_eq!(
            key(text).is_some(),
            text.trim().parse::<NodeId>().is_ok() && text == text.to_lowercase()
        ),
        10 => claim(text).iter().for_each(|written| assert_eq!(claim(written).as_ref(), Some(written))),
        _ => assert!(gateway_in_routes(text).is_none_or(|gateway| !gateway.is_unspecified())),
    }
}

fn check_same<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string(), text.to_ascii_lowercase());
        assert!(read.to_string().parse().is_ok_and(|again: T| again == read));
    }
}

/// A host, a colon, and a port in plain digits: one address has one text.
pub(super) fn check_address(address: &Address) {
    let text = address.as_str();
    assert!(text.len() <= ADDRESS_LEN_MAX && !text.chars().any(char::is_control));
    assert!(address.port() > 0 && text.ends_with(&format!(":{}", address.port())), "{text}");
    assert_eq!(text.parse().as_ref(), Ok(address));
    assert!(address.may_be_told_to(address) <= text.parse::<std::net::SocketAddr>().is_ok());
}

pub(super) fn samples() -> Samples {
    let id = "0123456789abcdef".repeat(4);
    let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                  eth0\t00000000\tFE01A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
    let of = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    vec![
        ("address_v4", of(0, "192.0.2.1:4433")),
        ("address_v6", of(0, "[2001:db8::1]:1")),
        ("address_padded_port", of(0, "192.0.2.1:0433")),
        ("address_scoped", of(0, "[fe80::1%3]:4433")),
        ("address_name", of(0, "seed.example.org:65535")),
        ("source", of(1, &format!("{id}@seed.example:4433"))),
        ("path", of(2, "films/a b/ü.mkv")),
        ("path_climbing", of(2, "films/../../x")),
        ("path_device", of(2, "a/com1.txt")),
        ("node", of(3, &id.to_uppercase())),
        ("content", of(4, &id)),
        ("len", of(5, "1.5 GiB")),
        ("len_too_long", of(5, "99999999999TB")),
        ("rate_bits", of(6, "100mbit/s")),
        ("rate_bytes", of(6, "20MB/s")),
        ("time", of(7, "23:59")),
        ("any", of(8, "Any")),
        ("one", of(8, &id)),
        ("key", of(9, &format!("{id}\n"))),
        ("claim", of(10, &format!("content {}\nport 4433\n", content(1)))),
        ("routes", of(11, routes)),
    ]
}

/// An error shows the text, and may copy it twice while it is made.
const TEXT_TIMES: u64 = 24;
