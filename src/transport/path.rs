//! What this machine's own network stack says of a way to an address: no route, forbidden, nobody listens. QUIC's socket is
//! connected to nobody, so the system tells it none of that. Nothing here ends a dial that may still come through: a NAT
//! refuses until the other side has dialed, too.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::dial::AttemptError;

/// A socket connected to the address of a peer that does not answer; one empty datagram went out on it.
pub(super) struct Probe {
    socket: UdpSocket,
    sent: Result<(), AttemptError>,
}

/// Whether packets may leave for an address at all, by the routes of this machine. Sends nothing.
pub(super) fn check(bound: IpAddr, address: SocketAddr) -> Result<(), AttemptError> {
    connected(bound, address).map(drop)
}

/// Asks an address that did not answer whether anybody listens. `None` if this machine has no socket to spare.
pub(super) fn probe(bound: IpAddr, address: SocketAddr) -> Option<Probe> {
    let socket = connected(bound, address).ok()??;
    let sent = socket.send(&[]);
    let sent = sent.map(drop).or_else(|error| known(&error).map_or(Ok(()), Err));
    Some(Probe { socket, sent })
}

impl Probe {
    /// What is known of the address by now.
    pub(super) fn outcome(self) -> Option<AttemptError> {
        self.sent.err().or_else(|| match self.socket.recv(&mut [0]) {
            Err(error) => known(&error),
            // Nobody answers what is empty.
            Ok(_) => None,
        })
    }
}

/// `Ok(None)` if this machine has no socket to spare.
fn connected(bound: IpAddr, address: SocketAddr) -> Result<Option<UdpSocket>, AttemptError> {
    if bound.is_ipv4() && address.is_ipv6() {
        // The node's own socket says what there is to say.
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
    fn an_address_where_nobody_listens_is_told_from_one_that_is_silent() {
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
