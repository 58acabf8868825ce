//! From a channel to a link: encryption where the channel has none, then the proof of keys. Invariant: whoever takes longer than
//! [`HANDSHAKE_TIMEOUT`] or proves no key gets no link.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::channel::{ChannelFault, ChannelReceive, ChannelSend};
use super::link::{CarriedLink, Carrying, Ends, Transport};
use super::sealing::{SealedReceiver, SealedSender};
use super::web_socket::{self, ByteStream};
use crate::Identity;
use crate::key_file::random_bytes;
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::web_channel::WebTransportChannel;
use swarm_carrier::limits::LINK_WINDOW_LEN;
use swarm_carrier::{
    Acceptor, Binding, Dialer, NoiseDialer, NoiseError, ProofError, TunnelKeys, accept_noise,
};
use swarm_core::base::NodeId;
use swarm_core::manifest::Address;
use swarm_core::trust::Denial;

/// Why a channel has become no link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarriedError {
    /// The channel failed, with these words.
    #[error("the connection failed: {0}")]
    Channel(#[from] ChannelFault),
    /// The other side ended the channel.
    #[error("the other side closed the connection")]
    Ended,
    /// It took too long.
    #[error("the other side did not prove its key in time")]
    TooLong,
    /// The channel could not be encrypted.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// The other side proved no key.
    #[error("the peer {0}")]
    Proof(#[from] ProofError),
    /// The admission rules of this node deny the peer a link.
    #[error("it may not link to this node: {0}")]
    Denied(Denial),
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Randomness,
}

impl CarriedError {
    /// There is no stream to carry a channel.
    pub(crate) fn no_stream(error: std::io::Error) -> Self {
        Self::Channel(ChannelFault(error.to_string()))
    }
}

/// A link to whoever asked for a WebSocket on this stream, whose HTTP upgrade is done. What is returned beside the link moves its bytes:
/// it is to be awaited for as long as the link lives.
///
/// # Errors
/// If the other side does not prove its key in [`HANDSHAKE_TIMEOUT`].
pub async fn accept_web_socket<S: ByteStream>(
    stream: S,
    identity: &Identity,
    address: Option<Address>,
) -> Result<(CarriedLink, Carrying), CarriedError> {
    let accepting = async {
        let (mut sender, mut receiver) = web_socket::on_upgraded(stream, Role::Server).await;
        let first = message(&mut receiver).await?;
        let (answer, keys) = accept_noise(&first, &random()?)?;
        say(&mut sender, answer).await?;
        let (mut sender, mut receiver) = sealed(sender, receiver, &keys);
        let peer = accept(&mut sender, &mut receiver, Binding::Noise(keys.hash), identity).await?;
        let ends = Ends { peer, is_dialer: false, address, transport: Transport::WebSocket };
        Ok(CarriedLink::start(ends, sender, receiver))
    };
    in_time(HANDSHAKE_TIMEOUT, accepting).await
}

/// A link to a page that opened a WebTransport session, which is encrypted by itself. As for [`accept_web_socket`], what is returned
/// beside the link is to be awaited.
///
/// # Errors
/// If the page does not prove its key in [`HANDSHAKE_TIMEOUT`].
pub async fn accept_web_transport(
    channel: WebTransportChannel,
    identity: &Identity,
) -> Result<(CarriedLink, Carrying), CarriedError> {
    let accepting = async {
        let binding = Binding::Certificate(channel.certificate_hash());
        let WebTransportChannel { mut sender, mut receiver, session } = channel;
        let peer = accept(&mut sender, &mut receiver, binding, identity).await?;
        session.set_receive_window(LINK_WINDOW_LEN + CONTROL_WINDOW_LEN);
        // A page cannot be dialed.
        let ends = Ends { peer, is_dialer: false, address: None, transport: Transport::WebTransport };
        Ok(CarriedLink::start(ends, sender, receiver))
    };
    in_time(HANDSHAKE_TIMEOUT, accepting).await
}

/// A link to `node` by a WebSocket, asked for at `url` on this stream. As for [`accept_web_socket`], what is returned beside the link is
/// to be awaited.
///
/// # Errors
/// If the other side is no WebSocket server or another node, or does not prove its key in [`HANDSHAKE_TIMEOUT`].
pub async fn dial_web_socket<S: ByteStream>(
    stream: S,
    url: &str,
    identity: &Identity,
    node: NodeId,
    address: Option<Address>,
) -> Result<(CarriedLink, Carrying), CarriedError> {
    let dialing = async {
        let (mut sender, mut receiver) = web_socket::asked_for(stream, url).await?;
        let (noise, first) = NoiseDialer::start(&random()?);
        say(&mut sender, first).await?;
        let keys = noise.finish(&message(&mut receiver).await?)?;
        let (mut sender, mut receiver) = sealed(sender, receiver, &keys);
        dial(&mut sender, &mut receiver, Binding::Noise(keys.hash), identity, node).await?;
        let ends = Ends { peer: node, is_dialer: true, address, transport: Transport::WebSocket };
        Ok(CarriedLink::start(ends, sender, receiver))
    };
    in_time(HANDSHAKE_TIMEOUT, dialing).await
}

/// The proof of keys of the side that was dialed.
async fn accept(
    sender: &mut impl ChannelSend,
    receiver: &mut impl ChannelReceive,
    binding: Binding,
    identity: &Identity,
) -> Result<NodeId, CarriedError> {
    let acceptor = Acceptor::new(binding, identity.node_id(), random()?);
    let (unproven, answer) = acceptor.answer(&identity.signing_key(), &message(receiver).await?)?;
    say(sender, answer).await?;
    Ok(unproven.finish(&message(receiver).await?)?)
}

/// The proof of keys of the side that dialed.
async fn dial(
    sender: &mut impl ChannelSend,
    receiver: &mut impl ChannelReceive,
    binding: Binding,
    identity: &Identity,
    node: NodeId,
) -> Result<(), CarriedError> {
    let (dialer, first) = Dialer::start(binding, identity.node_id(), node, random()?);
    say(sender, first).await?;
    let last = dialer.finish(&identity.signing_key(), &message(receiver).await?)?;
    say(sender, last).await
}

fn sealed<S: ChannelSend, R: ChannelReceive>(
    sender: S,
    receiver: R,
    keys: &TunnelKeys,
) -> (SealedSender<S>, SealedReceiver<R>) {
    (SealedSender::new(sender, &keys.sending), SealedReceiver::new(receiver, &keys.receiving))
}

async fn say(sender: &mut impl ChannelSend, message: Bytes) -> Result<(), CarriedError> {
    sender.send(message).await?;
    Ok(sender.flush().await?)
}

async fn message(receiver: &mut impl ChannelReceive) -> Result<Bytes, CarriedError> {
    receiver.next().await?.ok_or(CarriedError::Ended)
}

async fn in_time<T>(
    limit: Duration,
    handshake: impl Future<Output = Result<T, CarriedError>>,
) -> Result<T, CarriedError> {
    timeout(limit, handshake).await.unwrap_or(Err(CarriedError::TooLong))
}

fn random() -> Result<[u8; 32], CarriedError> {
    random_bytes().map_err(|_| CarriedError::Randomness)
}

/// Room in QUIC for what is said beside chunk bytes, which have credits of their own.
const CONTROL_WINDOW_LEN: u32 = 1 << 20;
