//! Encryption of a channel's messages by the keys of a Noise handshake, in hardware: `swarm_carrier::TunnelKeys` says how. Invariant:
//! no key encrypts two messages with one number.

use bytes::{Bytes, BytesMut};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::channel::{ChannelFault, ChannelReceive, ChannelSend};
use swarm_carrier::limits::TAG_LEN;

/// Encrypts what it sends.
pub(super) struct SealedSender<S> {
    channel: S,
    cipher: Cipher,
}

/// Decrypts what it receives.
pub(super) struct SealedReceiver<R> {
    channel: R,
    cipher: Cipher,
}

/// A key and the number of its next message.
struct Cipher {
    key: LessSafeKey,
    number: u64,
}

impl<S> SealedSender<S> {
    pub(super) fn new(channel: S, key: &[u8; 32]) -> Self {
        Self { channel, cipher: Cipher::new(key) }
    }
}

impl<R> SealedReceiver<R> {
    pub(super) fn new(channel: R, key: &[u8; 32]) -> Self {
        Self { channel, cipher: Cipher::new(key) }
    }
}

impl<S: ChannelSend> ChannelSend for SealedSender<S> {
    async fn send(&mut self, message: Bytes) -> Result<(), ChannelFault> {
        // Records are built in a buffer of their own with room for the tag, so that this copies nothing.
        let mut message = BytesMut::from(message);
        let (nonce, key) = (self.cipher.next_nonce()?, &self.cipher.key);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut message);
        let tag = tag.map_err(|_| ChannelFault("a message is too long to be encrypted".to_owned()))?;
        message.extend_from_slice(tag.as_ref());
        self.channel.send(message.freeze()).await
    }

    async fn flush(&mut self) -> Result<(), ChannelFault> {
        self.channel.flush().await
    }

    async fn close(&mut self) {
        self.channel.close().await;
    }
}

impl<R: ChannelReceive> ChannelReceive for SealedReceiver<R> {
    async fn next(&mut self) -> Result<Option<Bytes>, ChannelFault> {
        let Some(message) = self.channel.next().await? else { return Ok(None) };
        let mut message = BytesMut::from(message);
        let (nonce, key) = (self.cipher.next_nonce()?, &self.cipher.key);
        let opened = key.open_in_place(nonce, Aad::empty(), &mut message);
        let len = opened.map_err(|_| ChannelFault("a message was changed on its way".to_owned()))?.len();
        debug_assert_eq!(len + TAG_LEN, message.len());
        message.truncate(len);
        Ok(Some(message.freeze()))
    }
}

impl Cipher {
    fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("it has the length of the algorithm's keys");
        Self { key: LessSafeKey::new(key), number: 0 }
    }

    fn next_nonce(&mut self) -> Result<Nonce, ChannelFault> {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.number.to_be_bytes());
        // Noise keeps the last number for other uses.
        let next = self.number.checked_add(1).filter(|next| *next < u64::MAX);
        self.number = next.ok_or_else(|| ChannelFault("the link is too old: link again".to_owned()))?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}
