//! A peer that speaks HTTP(S) alone: where it is, and what proves it. Invariant: an address names one server and holds no user; without TLS it is
//! one of this machine.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::str::FromStr;

use crate::read::shortened;

/// Where a server lists files and gives their bytes: `https://host:port`, with a path if it is not at the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OriginUrl(String);

/// What a server's certificate is checked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// It is this certificate and no other: SHA-256 of it.
    Sha256([u8; 32]),
    /// An authority that this machine trusts vouches for its name; it may be renewed.
    Authority,
}

impl OriginUrl {
    /// Whether a text is meant as one.
    pub fn is_meant(text: &str) -> bool {
        text.contains("://")
    }

    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OriginUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = shortened(text);
        let expected = || format!("expected https://host:port, found \"{shown}\"");
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(expected()),
        };
        let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_odd = |byte: u8| !byte.is_ascii_graphic() || b"?#\\\"<>^`{|}".contains(&byte);
        if place.contains('@') {
            return Err("expected an address without a user: write \"username\" and \"password\"".to_owned());
        }
        if rest.bytes().any(is_odd) || path.split('/').any(|part| part == "..") {
            return Err(expected());
        }
        let host = host_of(place).ok_or_else(expected)?;
        if !is_tls && !is_of_this_machine(host) {
            return Err(format!("expected https, found \"{shown}\": http is for this machine alone"));
        }
        Ok(Self(format!("{scheme}://{}{}", place.to_ascii_lowercase(), path.trim_end_matches('/'))))
    }
}

impl Display for OriginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host of `host`, `host:port` or `[ipv6]:port`.
fn host_of(place: &str) -> Option<&str> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest.strip_prefix(':').or(Some(rest).filter(|rest| rest.is_empty()).map(|_| "443"))?)
        }
        None => place.split_once(':').unwrap_or((place, "443")),
    };
    let is_right = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0);
    is_right.then_some(host)
}

fn is_of_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == AUTHORITY {
            return Ok(Self::Authority);
        }
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pairs = digits.chunks(2).map(|pair| match pair {
            [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
            _ => None,
        });
        let bytes: Option<Vec<u8>> = pairs.collect();
        let hash = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        hash.map(Self::Sha256).ok_or_else(|| {
            format!(
                "expected the SHA-256 of a certificate, 64 hex digits, or \"{AUTHORITY}\", found \"{}\"",
                shortened(text)
            )
        })
    }
}

/// As browsers show it.
impl Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority => f.write_str(AUTHORITY),
            Self::Sha256(hash) => {
                let pairs: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
                f.write_str(&pairs.join(":"))
            }
        }
    }
}

const AUTHORITY: &str = "authority";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let found = text.parse::<OriginUrl>();
        match expected {
            Ok(shown) => assert_eq!(found.as_ref().map(OriginUrl::as_str), Ok(shown), "{text}"),
            Err(part) => {
                assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{text}: {found:?}")
            }
        }
    }

    #[test]
    fn an_address_names_a_server_and_is_encrypted_unless_it_is_of_this_machine() {
        check("https://Nas.Example:8443/", Ok("https://nas.example:8443"));
        check("https://nas.example/share/", Ok("https://nas.example/share"));
        check("https://[2001:db8::1]:8443", Ok("https://[2001:db8::1]:8443"));
        check("http://127.0.0.1:8000", Ok("http://127.0.0.1:8000"));
        check("http://localhost:8000", Ok("http://localhost:8000"));
        check("http://[::1]:8000", Ok("http://[::1]:8000"));
        check("http://nas.example:8000", Err("this machine alone"));
        check("ftp://nas.example", Err("expected https"));
        check("https://user:pass@nas.example", Err("without a user"));
        for bad in
            ["https://", "https://:1", "https://a:0", "https://a:x", "https://a/../b", "https://a?b", "a:1"]
        {
            check(bad, Err("expected"));
        }
    }

    #[test]
    fn a_fingerprint_is_read_with_colons_and_without() {
        let plain = "ab".repeat(32);
        let read = plain.parse::<Fingerprint>().expect("it is one");
        assert_eq!(read, Fingerprint::Sha256([0xab; 32]));
        assert_eq!(read.to_string().parse(), Ok(read));
        assert_eq!("authority".parse(), Ok(Fingerprint::Authority));
        for bad in ["", "ab", &"ab".repeat(33), &"xy".repeat(32), &"a".repeat(63)] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
