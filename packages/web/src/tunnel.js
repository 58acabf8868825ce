//! Encryption of a channel that has none, and the order of its messages. The WebAssembly node runs the Noise handshake; the two keys that come
//! of it are used here, by WebCrypto. Message n of a direction is AES-256-GCM without associated data, its nonce 4 zero bytes and n (8 bytes,
//! big-endian, from 0), its tag at the end.
//!
//! Invariant: messages leave and arrive in order, although several are encrypted or decrypted at once. The first message of each direction is
//! plain; every later one waits for the keys, because the peer may encrypt before this side has imported them.

/** @import { Channel } from "../index.d.ts" */

export const MESSAGE_LEN_MAX = 65_535;
/** Messages that may wait for the keys: the peer sends one or two before it has heard from this side. */
const MESSAGES_BEFORE_KEYS_MAX = 16;
/** Bytes that may wait while receiving is paused. A peer that keeps to the credits of its link (4 MiB) stays far below. */
const HELD_LEN_MAX = 64 << 20;

/** @typedef {{onMessage: (message: Uint8Array) => void, onSent: (len: number) => void, onClosed: (reason: string) => void}} Owner */

export class Tunnel {
  #channel;
  #owner;
  #isPlain;
  #isClosed = false;

  /** @type {Promise<CryptoKey> | null} */
  #sendingKey = null;
  #sentCount = 0;
  /** Settles when everything before has been given to the channel. @type {Promise<unknown>} */
  #sending = Promise.resolve();

  /** @type {Resolvers<CryptoKey>} */
  #receivingKey = withResolvers();
  #hasKeys = false;
  #receivedCount = 0;
  /** Settles when everything before has been given to the owner. @type {Promise<unknown>} */
  #receiving = Promise.resolve();
  /** @type {Resolvers<void> | null} */
  #pause = null;
  #heldLen = 0;

  /** @param {Channel} channel @param {Owner} owner */
  constructor(channel, owner) {
    this.#channel = channel;
    this.#owner = owner;
    this.#isPlain = channel.certificateHash !== null;
    // Nobody waits for the key of a channel that is closed first.
    this.#receivingKey.promise.catch(() => {});
    channel.onmessage = (message) => this.#receive(message);
    channel.onclose = (reason) => this.#end(reason);
  }

  /** Sends a message, which may change once this returns. @param {Uint8Array} message */
  send(message) {
    if (this.#isClosed) return;
    const len = message.length;
    const onSent = () => this.#owner.onSent(len);
    const key = this.#sendingKey;
    if (!key) return this.#channel.send(message, onSent);
    const sealed = this.#seal(key, message.slice());
    this.#sending = Promise.all([sealed, this.#sending]).then(([bytes]) => {
      if (!this.#isClosed) this.#channel.send(bytes, onSent);
    });
    this.#sending.catch(() => this.#fail("a message could not be encrypted"));
  }

  /** Encrypts from the next message on each way. @param {Uint8Array} sending @param {Uint8Array} receiving */
  encrypt(sending, receiving) {
    this.#sendingKey = importKey(sending, "encrypt");
    this.#hasKeys = true;
    this.#receivingKey.resolve(importKey(receiving, "decrypt"));
  }

  /** Delivers nothing more until {@link resume}. */
  pause() {
    this.#pause ??= withResolvers();
    this.#channel.pause?.();
  }

  resume() {
    this.#pause?.resolve();
    this.#pause = null;
    this.#channel.resume?.();
  }

  /** Closes the channel after what was sent. The owner hears nothing more. @param {string} reason */
  close(reason) {
    const close = () => {
      this.#isClosed = true;
      this.#channel.close(reason);
    };
    this.#owner = NOBODY;
    this.#receivingKey.reject(new Error("closed"));
    this.resume();
    // Without encryption under way, nothing may delay the close: a page that is going away runs no further microtask.
    if (this.#sendingKey) void this.#sending.then(close, close);
    else close();
  }

  /** @param {Promise<CryptoKey>} key @param {Uint8Array<ArrayBuffer>} message */
  async #seal(key, message) {
    const iv = nonce(this.#sentCount++);
    return new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await key, message));
  }

  /** @param {Uint8Array<ArrayBuffer>} message */
  async #open(message) {
    const iv = nonce(this.#receivedCount++);
    const key = await this.#receivingKey.promise;
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, message));
  }

  #isFirst = true;
  #beforeKeysCount = 0;

  /** @param {Uint8Array<ArrayBuffer>} message */
  #receive(message) {
    const isPlain = this.#isPlain || this.#isFirst;
    this.#isFirst = false;
    this.#heldLen += message.length;
    if (message.length > MESSAGE_LEN_MAX) return this.#fail(`the peer sent a message of ${message.length} bytes; ${MESSAGE_LEN_MAX} are allowed`);
    if (!isPlain && !this.#hasKeys && ++this.#beforeKeysCount > MESSAGES_BEFORE_KEYS_MAX) return this.#fail("the peer does not wait for the handshake");
    if (this.#heldLen > HELD_LEN_MAX) return this.#fail("the peer sends more than its credit");
    const opened = isPlain ? message : this.#open(message);
    this.#receiving = Promise.all([opened, this.#receiving]).then(async ([bytes]) => {
      while (this.#pause) await this.#pause.promise;
      this.#heldLen -= message.length;
      this.#owner.onMessage(bytes);
    });
    this.#receiving.catch(() => this.#fail("a message could not be decrypted"));
  }

  /** The other side closed, or the network did: what came before is delivered first. @param {string} reason */
  #end(reason) {
    if (!this.#hasKeys) this.#receivingKey.reject(new Error(reason));
    this.#isClosed = true;
    const tell = () => this.#owner.onClosed(reason);
    void this.#receiving.then(tell, tell);
  }

  /** @param {string} reason */
  #fail(reason) {
    if (this.#owner === NOBODY) return;
    const owner = this.#owner;
    this.#owner = NOBODY;
    this.#isClosed = true;
    this.#channel.close(reason);
    owner.onClosed(reason);
  }
}

/** @type {Owner} */
const NOBODY = { onMessage() {}, onSent() {}, onClosed() {} };

/** @param {Uint8Array} key @param {"encrypt" | "decrypt"} use */
function importKey(key, use) {
  return crypto.subtle.importKey("raw", key.slice(), "AES-GCM", false, [use]);
}

/** @param {number} number */
function nonce(number) {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setBigUint64(4, BigInt(number));
  return bytes;
}

/** @template T @typedef {{promise: Promise<T>, resolve: (value: T | PromiseLike<T>) => void, reject: (reason?: unknown) => void}} Resolvers */

/** `Promise.withResolvers`, which Node.js 20 lacks. @template T @returns {Resolvers<T>} */
export function withResolvers() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return /** @type {any} */ ({ promise, resolve, reject });
}
