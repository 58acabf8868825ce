//! Encryption of a channel that has none of its own: `Noise_NN_25519_AESGCM_SHA256` (the Noise specification, revision 34). NN
//! proves nobody; the proof of keys that follows within it does, bound to the hash of this handshake.
//!
//! The two keys go to whoever encrypts records: a native node by ring, a page by its browser, both in hardware. Message number n of
//! a direction is AES-256-GCM with no associated data and the nonce `00000000 ‖ n` (8 bytes, big-endian), as Noise has it.

use bytes::Bytes;
use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};

use crate::limits::HANDSHAKE_MESSAGE_LEN_MAX;

/// Keys of a channel, one a direction.
pub struct TunnelKeys {
    /// Encrypts what this side sends.
    pub sending: [u8; 32],
    /// Decrypts what this side receives.
    pub receiving: [u8; 32],
    /// The hash of the handshake: it names the channel.
    pub hash: [u8; 32],
}

/// A message of the other side that is not of this handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encryption of the channel could not be set up: the other side does not speak it")]
pub struct NoiseError;

/// The dialer, between its message and the answer.
pub struct NoiseDialer {
    state: HandshakeState,
}

impl NoiseDialer {
    /// Begins. The seed must be new and random. Also returns the first message.
    pub fn start(seed: &[u8; 32]) -> (Self, Bytes) {
        let mut state = builder(seed).build_initiator().expect("NN needs no key");
        let message = written(&mut state).expect("it is the dialer's turn");
        (Self { state }, message)
    }

    /// Takes the answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn finish(mut self, answer: &[u8]) -> Result<TunnelKeys, NoiseError> {
        read(&mut self.state, answer)?;
        let (sending, receiving) = self.state.dangerously_get_raw_split();
        Ok(TunnelKeys { sending, receiving, hash: hash_of(&self.state) })
    }
}

/// Answers a dialer's first message. The seed must be new and random.
///
/// # Errors
/// If the message is no first message.
pub fn accept_noise(first: &[u8], seed: &[u8; 32]) -> Result<(Bytes, TunnelKeys), NoiseError> {
    let mut state = builder(seed).build_responder().map_err(|_| NoiseError)?;
    read(&mut state, first)?;
    let answer = written(&mut state)?;
    let (receiving, sending) = state.dangerously_get_raw_split();
    Ok((answer, TunnelKeys { sending, receiving, hash: hash_of(&state) }))
}

fn builder(seed: &[u8; 32]) -> Builder<'static> {
    let params: NoiseParams = NAME.parse().expect("it is a name of the specification");
    Builder::with_resolver(params, Box::new(Seeded { seed: *seed, default: DefaultResolver }))
}

fn written(state: &mut HandshakeState) -> Result<Bytes, NoiseError> {
    let mut message = [0; HANDSHAKE_MESSAGE_LEN_MAX];
    let len = state.write_message(&[], &mut message).map_err(|_| NoiseError)?;
    Ok(Bytes::copy_from_slice(&message[..len]))
}

/// Messages of the handshake carry no payload.
fn read(state: &mut HandshakeState, message: &[u8]) -> Result<(), NoiseError> {
    let mut payload = [0; HANDSHAKE_MESSAGE_LEN_MAX];
    if message.len() > HANDSHAKE_MESSAGE_LEN_MAX {
        return Err(NoiseError);
    }
    match state.read_message(message, &mut payload) {
        Ok(0) => Ok(()),
        Ok(_) | Err(_) => Err(NoiseError),
    }
}

fn hash_of(state: &HandshakeState) -> [u8; 32] {
    state.get_handshake_hash().try_into().expect("SHA-256 has 32 bytes")
}

/// The usual cryptography, with random numbers from a seed: chance is an argument of this crate.
struct Seeded {
    seed: [u8; 32],
    default: DefaultResolver,
}

impl CryptoResolver for Seeded {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        let mut hasher = blake3::Hasher::new_derive_key("swarm noise handshake v1");
        hasher.update(&self.seed);
        Some(Box::new(Expanded(hasher.finalize_xof())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        self.default.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        self.default.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        self.default.resolve_cipher(choice)
    }
}

/// Bytes that nobody can tell from random ones who does not know the seed.
struct Expanded(blake3::OutputReader);

impl Random for Expanded {
    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill(into);
        Ok(())
    }
}

const NAME: &str = "Noise_NN_25519_AESGCM_SHA256";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_the_same_keys_and_no_other_handshake_has() {
        let (dialer, first) = NoiseDialer::start(&[1; 32]);
        let (answer, theirs) = accept_noise(&first, &[2; 32]).expect("a first message");
        let ours = dialer.finish(&answer).expect("an answer");
        assert_eq!((ours.sending, ours.receiving), (theirs.receiving, theirs.sending));
        assert_ne!(ours.sending, ours.receiving);
        assert_eq!(ours.hash, theirs.hash);
        let (_, others) = accept_noise(&first, &[3; 32]).expect("a first message");
        assert_ne!(others.hash, theirs.hash);
        assert_ne!(others.sending, theirs.sending);
    }

    #[test]
    fn an_answer_that_was_changed_is_refused() {
        for at in 0..48 {
            let (dialer, first) = NoiseDialer::start(&[1; 32]);
            let (answer, _) = accept_noise(&first, &[2; 32]).expect("a first message");
            let mut answer = answer.to_vec();
            answer[at] ^= 1;
            // The highest bit of an X25519 key means nothing (RFC 7748, section 5), but Noise hashes all of it.
            assert!(dialer.finish(&answer).is_err(), "byte {at}");
        }
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        for len in [0, 31, 33, 48, 300] {
            assert!(accept_noise(&vec![9; len], &[2; 32]).is_err(), "{len} bytes");
        }
    }
}
