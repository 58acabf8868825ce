//! The one UDP socket of a node: IPv4 and IPv6 at once, with large kernel buffers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::UDP_BUFFER_LEN;
use swarm_core::base::Category;

/// All addresses, any port.
pub(super) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens on the port.
    #[error("UDP port {} is taken on {}: stop what listens there, or take another port, or 0 for any", .0.port(), .0.ip())]
    PortTaken(SocketAddr),
    /// The address is not one of this machine's.
    #[error("{} is no address of this machine: take one that is, or [::] for all", .0.ip())]
    NotOurs(SocketAddr),
    /// Ports below 1024 need a privilege.
    #[error("no permission for UDP port {}: take one above 1023", .0.port())]
    Forbidden(SocketAddr),
    /// The system refused for another reason.
    #[error("cannot open a UDP socket on {address}: {source}")]
    Socket {
        /// The requested address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
}

impl BindError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::PortTaken(_) => Category::Held,
            Self::NotOurs(_) | Self::Forbidden(_) | Self::Socket { .. } => Category::Other,
        }
    }
}

/// A UDP socket with the settings of a node, bound to `listen`, or to any port on all addresses.
///
/// # Errors
/// If the port is taken or forbidden, or the address is not this machine's.
pub fn bind_socket(listen: Option<SocketAddr>) -> Result<UdpSocket, BindError> {
    bind(listen, None).map(|(socket, _)| socket)
}

/// Binds to `listen`, or to all addresses. If it leaves the port open, `last_port` is tried first; if that cannot be had, it is
/// returned beside the socket.
pub(super) fn bind(
    listen: Option<SocketAddr>,
    last_port: Option<u16>,
) -> Result<(UdpSocket, Option<u16>), BindError> {
    let wanted = listen.unwrap_or(ANY);
    let again = last_port.filter(|_| wanted.port() == 0);
    match again.map(|port| bind_either(SocketAddr::new(wanted.ip(), port))) {
        Some(Ok(socket)) => Ok((socket, None)),
        Some(Err(_)) | None => Ok((bind_either(wanted)?, again)),
    }
}

/// Falls back to IPv4 alone where all addresses are requested and the machine has no IPv6.
fn bind_either(wanted: SocketAddr) -> Result<UdpSocket, BindError> {
    match bind_exactly(wanted) {
        Err(BindError::Socket { .. } | BindError::NotOurs(_)) if wanted.ip() == Ipv6Addr::UNSPECIFIED => {
            bind_exactly(SocketAddr::from((Ipv4Addr::UNSPECIFIED, wanted.port())))
        }
        bound => bound,
    }
}

fn bind_exactly(address: SocketAddr) -> Result<UdpSocket, BindError> {
    let error = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::PortTaken(address),
        io::ErrorKind::AddrNotAvailable => BindError::NotOurs(address),
        io::ErrorKind::PermissionDenied => BindError::Forbidden(address),
        _ => BindError::Socket { address, source },
    };
    let socket =
        Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)).map_err(error)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false).map_err(error)?;
    }
    enlarge_buffers(&socket);
    socket.bind(&address.into()).map_err(error)?;
    Ok(socket.into())
}

/// A small buffer costs speed, not correctness: every size that the system grants is accepted.
fn enlarge_buffers(socket: &Socket) {
    if force_buffers(socket).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(socket, UDP_BUFFER_LEN);
        let _ = sockopt::set_socket_send_buffer_size(socket, UDP_BUFFER_LEN);
    }
    tracing::debug!(
        receive_len = sockopt::socket_recv_buffer_size(socket).unwrap_or(0),
        send_len = sockopt::socket_send_buffer_size(socket).unwrap_or(0),
        "UDP buffers"
    );
}

/// Exceeds the system-wide maximum, which takes a privilege.
#[cfg(target_os = "linux")]
fn force_buffers(socket: &Socket) -> rustix::io::Result<()> {
    sockopt::set_socket_recv_buffer_size_force(socket, UDP_BUFFER_LEN)?;
    sockopt::set_socket_send_buffer_size_force(socket, UDP_BUFFER_LEN)
}

#[cfg(not(target_os = "linux"))]
fn force_buffers(_socket: &Socket) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::PERM)
}
