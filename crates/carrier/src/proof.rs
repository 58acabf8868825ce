//! Proof of both nodes' keys, bound to the channel that they speak on. Three messages: the dialer names itself, the acceptor names
//! itself and signs, the dialer signs. Both sign the same transcript: what the channel is, both keys, and a fresh number of each side.
//!
//! Invariant: a peer is known only after its signature over this channel was checked. A signature cannot be used again: the other
//! side's number is new each time; nor passed on: [`Binding`] names the channel, and a node in between has another one. This is the
//! use of channel bindings that the Noise specification describes (section 11.2), and TLS (RFC 9266).

use bytes::Bytes;

use swarm_core::base::NodeId;
use swarm_core::manifest::{SigningKey, verify};

/// What names a channel: no other channel has the same, and both ends see the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The hash of a Noise handshake.
    Noise([u8; 32]),
    /// The SHA-256 of the certificate that the acceptor of a WebTransport session showed, which the dialer's TLS has checked.
    Certificate([u8; 32]),
}

/// Why a peer has proved no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A message of another length or version.
    #[error("its handshake does not follow the format: it may be of another version")]
    Malformed,
    /// Another node answered, which shows this key.
    #[error("shows key {}", .0.short())]
    WrongKey(NodeId),
    /// The signature is not of that key, or not over this channel.
    #[error("its signature is not valid for this channel: someone may be in between")]
    Forged,
    /// It shows the key of this node.
    #[error("shows the key of this node itself")]
    Myself,
}

/// The side that dialed, between its first message and the answer.
pub struct Dialer {
    binding: Binding,
    node: NodeId,
    peer: NodeId,
    nonce: [u8; 32],
}

/// The side that was dialed, before the first message.
pub struct Acceptor {
    binding: Binding,
    node: NodeId,
    nonce: [u8; 32],
}

/// A dialer that named itself to the acceptor and is still to sign.
#[derive(Debug)]
pub struct Unproven {
    peer: NodeId,
    transcript: Vec<u8>,
}

impl Dialer {
    /// Begins towards `peer`. The number must be new and random. Also returns the first message.
    pub fn start(binding: Binding, node: NodeId, peer: NodeId, nonce: [u8; 32]) -> (Self, Bytes) {
        let greeting = greeting(node, &nonce);
        (Self { binding, node, peer, nonce }, greeting.into())
    }

    /// Checks the acceptor's answer. Returns the last message.
    ///
    /// # Errors
    /// If the acceptor is not the node that was dialed, or has not proved it.
    pub fn finish(self, key: &SigningKey, answer: &[u8]) -> Result<Bytes, ProofError> {
        let (greeting, signature) = answer.split_last_chunk::<64>().ok_or(ProofError::Malformed)?;
        let (found, nonce) = read_greeting(greeting)?;
        if found != self.peer {
            return Err(ProofError::WrongKey(found));
        }
        let transcript = transcript(self.binding, (self.node, &self.nonce), (found, &nonce));
        if !verify(found, ACCEPTOR_CONTEXT, &transcript, signature) {
            return Err(ProofError::Forged);
        }
        Ok(Bytes::copy_from_slice(&key.sign_bytes(DIALER_CONTEXT, &transcript)))
    }
}

impl Acceptor {
    /// Waits for a dialer on a channel. The number must be new and random.
    pub fn new(binding: Binding, node: NodeId, nonce: [u8; 32]) -> Self {
        Self { binding, node, nonce }
    }

    /// Answers the dialer's first message.
    ///
    /// # Errors
    /// If it does not follow the format, or names this node itself.
    pub fn answer(self, key: &SigningKey, first: &[u8]) -> Result<(Unproven, Bytes), ProofError> {
        let (peer, nonce) = read_greeting(first)?;
        if peer == self.node {
            return Err(ProofError::Myself);
        }
        let transcript = transcript(self.binding, (peer, &nonce), (self.node, &self.nonce));
        let mut answer = greeting(self.node, &self.nonce);
        answer.extend(key.sign_bytes(ACCEPTOR_CONTEXT, &transcript));
        Ok((Unproven { peer, transcript }, answer.into()))
    }
}

impl Unproven {
    /// Checks the dialer's last message. Returns who it is.
    ///
    /// # Errors
    /// If the signature is not the dialer's over this channel.
    pub fn finish(self, last: &[u8]) -> Result<NodeId, ProofError> {
        let signature = last.try_into().map_err(|_| ProofError::Malformed)?;
        let is_proven = verify(self.peer, DIALER_CONTEXT, &self.transcript, signature);
        is_proven.then_some(self.peer).ok_or(ProofError::Forged)
    }
}

fn greeting(node: NodeId, nonce: &[u8; 32]) -> Vec<u8> {
    [&[VERSION][..], node.as_bytes(), nonce].concat()
}

fn read_greeting(message: &[u8]) -> Result<(NodeId, [u8; 32]), ProofError> {
    let rest =
        message.strip_prefix(&[VERSION]).filter(|rest| rest.len() == 64).ok_or(ProofError::Malformed)?;
    let (node, nonce) = rest.split_at(32);
    let node = NodeId::from_slice(node).ok_or(ProofError::Malformed)?;
    Ok((node, nonce.try_into().map_err(|_| ProofError::Malformed)?))
}

/// Every part has a fixed length: no two channels have one transcript.
fn transcript(binding: Binding, dialer: (NodeId, &[u8; 32]), acceptor: (NodeId, &[u8; 32])) -> Vec<u8> {
    let (kind, hash) = match binding {
        Binding::Noise(hash) => (0, hash),
        Binding::Certificate(hash) => (1, hash),
    };
    let [dialer_key, acceptor_key] = [dialer.0.as_bytes(), acceptor.0.as_bytes()];
    [&[VERSION, kind][..], &hash, dialer_key, dialer.1, acceptor_key, acceptor.1].concat()
}

const VERSION: u8 = 1;
const DIALER_CONTEXT: &[u8] = b"swarm carried link, dialer, v1";
const ACCEPTOR_CONTEXT: &[u8] = b"swarm carried link, acceptor, v1";

#[cfg(test)]
mod tests {
    use super::*;

    const BINDING: Binding = Binding::Certificate([7; 32]);

    fn keys() -> [SigningKey; 3] {
        [1, 2, 3].map(|seed| SigningKey::from_seed(&[seed; 32]))
    }

    /// What both sides end with, each on its own channel.
    fn check(
        dialer_binding: Binding,
        acceptor_binding: Binding,
        tamper: impl Fn(usize, &mut Vec<u8>),
    ) -> (Option<ProofError>, Option<Result<NodeId, ProofError>>) {
        let [ours, theirs, _] = keys();
        let through = |step, message: Bytes| {
            let mut message = message.to_vec();
            tamper(step, &mut message);
            message
        };
        let (dialer, first) = Dialer::start(dialer_binding, ours.public(), theirs.public(), [8; 32]);
        let acceptor = Acceptor::new(acceptor_binding, theirs.public(), [9; 32]);
        let (unproven, answer) = match acceptor.answer(&theirs, &through(0, first)) {
            Ok(answered) => answered,
            Err(error) => return (None, Some(Err(error))),
        };
        match dialer.finish(&ours, &through(1, answer)) {
            Ok(last) => (None, Some(unproven.finish(&through(2, last)))),
            Err(error) => (Some(error), None),
        }
    }

    #[test]
    fn both_sides_know_each_other_on_one_channel() {
        let [ours, ..] = keys();
        assert_eq!(check(BINDING, BINDING, |_, _| {}), (None, Some(Ok(ours.public()))));
    }

    #[test]
    fn two_channels_with_someone_in_between_are_noticed() {
        for other in [Binding::Certificate([6; 32]), Binding::Noise([7; 32])] {
            assert_eq!(check(BINDING, other, |_, _| {}), (Some(ProofError::Forged), None));
        }
    }

    #[test]
    fn any_bit_that_is_flipped_is_noticed() {
        for (step, len) in [(0, 65), (1, 129), (2, 64)] {
            for at in 0..len {
                let (dialer, acceptor) = check(BINDING, BINDING, |here, message| {
                    if here == step {
                        message[at] ^= 1;
                    }
                });
                let is_noticed = dialer.is_some() || matches!(acceptor, Some(Err(_)));
                assert!(is_noticed, "message {step}, byte {at}");
            }
        }
    }

    #[test]
    fn a_message_of_another_length_is_refused() {
        for step in 0..3 {
            let (dialer, acceptor) = check(BINDING, BINDING, |here, message| {
                if here == step {
                    message.push(0);
                }
            });
            assert!(dialer.is_some() || matches!(acceptor, Some(Err(_))), "message {step}");
        }
    }

    #[test]
    fn another_node_that_answers_is_named() {
        let [ours, theirs, other] = keys();
        let (dialer, first) = Dialer::start(BINDING, ours.public(), theirs.public(), [8; 32]);
        let acceptor = Acceptor::new(BINDING, other.public(), [9; 32]);
        let (_, answer) = acceptor.answer(&other, &first).expect("it follows the format");
        assert_eq!(dialer.finish(&ours, &answer), Err(ProofError::WrongKey(other.public())));
    }

    #[test]
    fn what_was_signed_for_one_handshake_is_no_proof_in_the_next() {
        let [ours, theirs, _] = keys();
        let (dialer, first) = Dialer::start(BINDING, ours.public(), theirs.public(), [8; 32]);
        let (_, answer) =
            Acceptor::new(BINDING, theirs.public(), [9; 32]).answer(&theirs, &first).expect("well formed");
        let last = dialer.finish(&ours, &answer).expect("proven");
        let (again, _) =
            Acceptor::new(BINDING, theirs.public(), [10; 32]).answer(&theirs, &first).expect("well formed");
        assert_eq!(again.finish(&last), Err(ProofError::Forged));
    }

    #[test]
    fn a_node_that_shows_this_node_its_own_key_is_refused() {
        let [ours, ..] = keys();
        let (_, first) = Dialer::start(BINDING, ours.public(), ours.public(), [8; 32]);
        let answered = Acceptor::new(BINDING, ours.public(), [9; 32]).answer(&ours, &first);
        assert_eq!(answered.err(), Some(ProofError::Myself));
    }
}
