//! One link of a page: from an open channel by the proof of keys to a control stream and chunk streams.

use bytes::Bytes;

use crate::receiving::Receiving;
use crate::uploading::Uploading;
use swarm_carrier::{
    Acceptor, Binding, Carrier, Dialer, NoiseDialer, NoiseError, ProofError, Unproven, accept_noise,
};
use swarm_core::base::{Instant, NodeId};
use swarm_core::manifest::SigningKey;

#[derive(Debug)]
pub(crate) struct Link {
    /// Who is at the other end, or is to be: proven once the stage is [`Stage::Up`].
    pub(crate) node: Option<NodeId>,
    pub(crate) is_dialed: bool,
    pub(crate) stage: Stage,
    /// When something was heard last, or the channel was asked for.
    pub(crate) heard_at: Instant,
    /// Bytes given to the channel that have not left.
    pub(crate) unsent_len: usize,
}

pub(crate) enum Stage {
    /// The channel is being opened.
    Opening,
    /// This side has said the first message of a Noise handshake.
    NoiseDialed(Box<NoiseDialer>),
    /// The other side is to say it.
    NoiseAwaited,
    /// This side has named itself.
    Named(Dialer),
    /// The other side is to name itself.
    NameAwaited(Acceptor),
    /// The other side is to sign.
    ProofAwaited(Unproven),
    /// The peer has proved its key.
    Up(Box<Up>),
}

/// A link that stands.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) carrier: Carrier,
    pub(crate) receiving: Receiving,
    pub(crate) uploading: Uploading,
    pub(crate) pinged_at: Instant,
    pub(crate) ping: u32,
}

/// What a message of a handshake comes to.
pub(crate) struct Step {
    /// To be sent before the keys are used.
    pub(crate) say_plain: Option<Bytes>,
    /// Encrypt from here on: what is sent, what is received.
    pub(crate) keys: Option<([u8; 32], [u8; 32])>,
    /// To be sent after that.
    pub(crate) say: Option<Bytes>,
    /// The peer has proved its key.
    pub(crate) proven: Option<NodeId>,
}

impl Step {
    fn say(message: Bytes) -> Self {
        Self { say_plain: None, keys: None, say: Some(message), proven: None }
    }
}

/// This node, and what it takes for a handshake.
pub(crate) struct Own<'a> {
    pub(crate) key: &'a SigningKey,
    pub(crate) node: NodeId,
    /// New and random.
    pub(crate) seed: [u8; 32],
}

impl Link {
    pub(crate) fn new(node: Option<NodeId>, is_dialed: bool, now: Instant) -> Self {
        Self { node, is_dialed, stage: Stage::Opening, heard_at: now, unsent_len: 0 }
    }

    pub(crate) fn up(&mut self) -> Option<&mut Up> {
        match &mut self.stage {
            Stage::Up(up) => Some(up),
            _ => None,
        }
    }

    /// The channel is open. Without a binding it is not encrypted. Returns the first message, if this side speaks first.
    pub(crate) fn on_opened(&mut self, binding: Option<Binding>, own: &Own<'_>) -> Option<Bytes> {
        let (stage, first) = match (self.is_dialed, self.node, binding) {
            (true, Some(peer), Some(binding)) => {
                let (dialer, first) = Dialer::start(binding, own.node, peer, own.seed);
                (Stage::Named(dialer), Some(first))
            }
            (true, _, _) => {
                let (noise, first) = NoiseDialer::start(&own.seed);
                (Stage::NoiseDialed(Box::new(noise)), Some(first))
            }
            (false, _, Some(binding)) => {
                (Stage::NameAwaited(Acceptor::new(binding, own.node, own.seed)), None)
            }
            (false, _, None) => (Stage::NoiseAwaited, None),
        };
        self.stage = stage;
        first
    }

    /// Takes a message of the handshake.
    pub(crate) fn on_message(&mut self, message: &[u8], own: &Own<'_>) -> Result<Step, HandshakeFault> {
        match std::mem::replace(&mut self.stage, Stage::Opening) {
            Stage::NoiseDialed(noise) => {
                let keys = noise.finish(message)?;
                let peer = self.node.ok_or(HandshakeFault::untimely())?;
                let (dialer, first) = Dialer::start(Binding::Noise(keys.hash), own.node, peer, own.seed);
                self.stage = Stage::Named(dialer);
                Ok(Step { keys: Some((keys.sending, keys.receiving)), ..Step::say(first) })
            }
            Stage::NoiseAwaited => {
                let (answer, keys) = accept_noise(message, &own.seed)?;
                self.stage = Stage::NameAwaited(Acceptor::new(Binding::Noise(keys.hash), own.node, own.seed));
                let keys = Some((keys.sending, keys.receiving));
                Ok(Step { say_plain: Some(answer), keys, say: None, proven: None })
            }
            Stage::Named(dialer) => {
                let last = dialer.finish(own.key, message)?;
                Ok(Step { proven: self.node, ..Step::say(last) })
            }
            Stage::NameAwaited(acceptor) => {
                let (unproven, answer) = acceptor.answer(own.key, message)?;
                self.stage = Stage::ProofAwaited(unproven);
                Ok(Step::say(answer))
            }
            Stage::ProofAwaited(unproven) => {
                let peer = unproven.finish(message)?;
                self.node = Some(peer);
                Ok(Step { say_plain: None, keys: None, say: None, proven: Some(peer) })
            }
            Stage::Opening | Stage::Up(_) => Err(HandshakeFault::untimely()),
        }
    }

    pub(crate) fn stand(&mut self, now: Instant) {
        self.stage = Stage::Up(Box::new(Up {
            carrier: Carrier::new(),
            receiving: Receiving::default(),
            uploading: Uploading::default(),
            pinged_at: now,
            ping: 0,
        }));
    }
}

/// Why a handshake failed.
#[derive(Debug)]
pub(crate) struct HandshakeFault {
    /// For people.
    pub(crate) words: String,
    /// Another node is there, so that there is no use in trying again.
    pub(crate) is_final: bool,
}

impl HandshakeFault {
    fn untimely() -> Self {
        Self { words: "a message came that is none of the handshake".to_owned(), is_final: false }
    }
}

impl From<NoiseError> for HandshakeFault {
    fn from(error: NoiseError) -> Self {
        Self { words: error.to_string(), is_final: false }
    }
}

impl From<ProofError> for HandshakeFault {
    fn from(error: ProofError) -> Self {
        let is_final = matches!(error, ProofError::WrongKey(_) | ProofError::Myself);
        Self { words: format!("the peer {error}"), is_final }
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening => "Opening",
            Self::NoiseDialed(_) => "NoiseDialed",
            Self::NoiseAwaited => "NoiseAwaited",
            Self::Named(_) => "Named",
            Self::NameAwaited(_) => "NameAwaited",
            Self::ProofAwaited(_) => "ProofAwaited",
            Self::Up(_) => "Up",
        })
    }
}
