//! Asks the network stack of this machine about the path to an address: no route, forbidden, no listener. QUIC's socket is not
//! connected, so the system reports none of this to it. An error found here never ends a dial that may still succeed: a NAT
//! refuses packets until the other side has dialed too.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::dial::AttemptError;

/// A socket connected to the address of a peer that does not answer; it has sent one empty datagram.
pub(super) struct Probe {
    socket: UdpSocket,
    sent: Result<(), AttemptError>,
}

/// Whether the routes of this machine let packets leave for an address. Sends nothing.
pub(super) fn check(bound: IpAddr, address: SocketAddr) -> Result<(), AttemptError> {
    connected(bound, address).map(drop)
}

/// Asks an address that did not answer whether a process listens there. `None` if this machine has no free socket.
pub(super) fn probe(bound: IpAddr, address: SocketAddr) -> Option<Probe> {
    let socket = connected(bound, address).ok()??;
    let sent = socket.send(&[]);
    let sent = sent.map(drop).or_else(|error| known(&error).map_or(Ok(()), Err));
    Some(Probe { socket, sent })
}

impl Probe {
    /// The error reported so far.
    pub(super) fn outcome(self) -> Option<AttemptError> {
        self.sent.err().or_else(|| match self.socket.recv(&mut [0]) {
            Err(error) => known(&error),
            // An answer to an empty datagram means nothing.
            Ok(_) => None,
        })
    }
}

/// `Ok(None)` if this machine has no free socket.
fn connected(bound: IpAddr, address: SocketAddr) -> Result<Option<UdpSocket>, AttemptError> {
    if bound.is_ipv4() && address.is_ipv6() {
        // The error then shows on the node's own socket.
        return Ok(None);
    }
    let any =
        if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let is_bound = !bound.is_unspecified() && bound.is_ipv4() == address.is_ipv4();
    let from = if is_bound { bound } else { any };
    let Ok(socket) = UdpSocket::bind((from, 0)) else { return Ok(None) };
    if socket.set_nonblocking(true).is_err() {
        return Ok(None);
    }
    match socket.connect(address) {
        Ok(()) => Ok(Some(socket)),
        Err(error) => known(&error).map_or(Ok(None), Err),
    }
}

fn known(error: &std::io::Error) -> Option<AttemptError> {
    match error.kind() {
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
            Some(AttemptError::NoRoute)
        }
        ErrorKind::PermissionDenied => Some(AttemptError::Blocked),
        ErrorKind::ConnectionRefused => Some(AttemptError::NotListening),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_listener_is_told_from_one_that_does_not_answer() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let dead = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let dead_address = dead.local_addr().expect("it is bound");
        drop(dead);
        let ask = |address| {
            check(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address).expect("loopback has a route");
            probe(IpAddr::V4(Ipv4Addr::LOCALHOST), address).expect("a socket").outcome()
        };
        assert_eq!(ask(silent.local_addr().expect("it is bound")), None);
        assert_eq!(ask(dead_address), Some(AttemptError::NotListening));
    }
}
