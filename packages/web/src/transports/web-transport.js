//! WebTransport to a node whose certificate is known by its hash: one bidirectional stream, on which each message has its length before it (4
//! bytes, big-endian). QUIC encrypts; the hash binds the proof of keys to the session.

import { hash } from "../bytes.js";
import { MESSAGE_LEN_MAX, withResolvers } from "../tunnel.js";

/** @import { Channel, DialTarget, Transport } from "../../index.d.ts" */

const HEAD_LEN = 4;
/** Longest wait, ms, for what was sent before the session is closed: closing one drops what has not left. */
const CLOSE_WAIT_MS = 1000;

/** @implements {Transport} */
export class WebTransportTransport {
  name = "webtransport";

  /** @param {DialTarget} target */
  canDial(target) {
    if (typeof WebTransport !== "function") return "this browser has no WebTransport";
    if (target.certificateHashes.length === 0) return "the node serves no WebTransport";
    return /** @type {const} */ (true);
  }

  /** @param {DialTarget} target @param {AbortSignal} signal @returns {Promise<Channel>} */
  async dial(target, signal) {
    // One hash at a time: with several the browser does not tell which one was used, and the proof of keys must name it. The first is the
    // certificate in use; if it has just been replaced, the node knows.
    const [current] = target.certificateHashes;
    try {
      return await dial(target.address, current, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      const [renewed] = await target.refresh();
      if (!renewed || renewed === current) throw error;
      return dial(target.address, renewed, signal);
    }
  }
}

/** @param {string} address @param {string} certificate @param {AbortSignal} signal @returns {Promise<Channel>} */
async function dial(address, certificate, signal) {
  const value = /** @type {Uint8Array<ArrayBuffer>} */ (hash(certificate));
  const session = new WebTransport(`https://${address}/swarm`, {
    serverCertificateHashes: [{ algorithm: "sha-256", value }],
    congestionControl: "throughput",
  });
  const abort = () => session.close();
  signal.addEventListener("abort", abort, { once: true });
  // The reason of a failure comes by `ready`, and of an end by the channel.
  session.closed.catch(() => {});
  try {
    await session.ready;
    const stream = await session.createBidirectionalStream();
    return new WebTransportChannel(session, stream, value);
  } catch (error) {
    session.close();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** @implements {Channel} */
class WebTransportChannel {
  /** @type {(message: Uint8Array<ArrayBuffer>) => void} */
  onmessage = () => {};
  /** @type {(reason: string) => void} */
  onclose = () => {};
  #session;
  #writer;
  #isClosed = false;
  /** @type {import("../tunnel.js").Resolvers<void> | null} */
  #pause = null;

  /** @param {WebTransport} session @param {WebTransportBidirectionalStream} stream @param {Uint8Array<ArrayBuffer>} certificateHash */
  constructor(session, stream, certificateHash) {
    this.certificateHash = certificateHash;
    this.#session = session;
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => {});
    // After the caller has set its listeners.
    queueMicrotask(() => void this.#read(stream.readable.getReader()));
  }

  /** @param {Uint8Array} message @param {() => void} onSent */
  send(message, onSent) {
    const framed = new Uint8Array(HEAD_LEN + message.length);
    new DataView(framed.buffer).setUint32(0, message.length);
    framed.set(message, HEAD_LEN);
    // A write that fails is noticed by the reader, too.
    this.#writer.write(framed).then(onSent, () => {});
  }

  pause() {
    this.#pause ??= withResolvers();
  }

  resume() {
    this.#pause?.resolve();
    this.#pause = null;
  }

  /** @param {string} reason */
  close(reason) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.resume();
    let timer = 0;
    const close = () => {
      clearTimeout(timer);
      try {
        this.#session.close({ closeCode: 0, reason: reason.slice(0, 256) });
      } catch {
        // It is closed already.
      }
    };
    timer = Number(setTimeout(close, CLOSE_WAIT_MS));
    this.#writer.close().then(close, close);
  }

  /** @param {ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>} reader */
  async #read(reader) {
    const frames = new Frames();
    let reason = "the peer closed the session";
    try {
      for (;;) {
        while (this.#pause) await this.#pause.promise;
        const { value, done } = await reader.read();
        if (done || this.#isClosed) break;
        for (const message of frames.take(value)) this.onmessage(message);
      }
    } catch (error) {
      reason = /** @type {Error} */ (error).message || "the session broke";
    }
    if (this.#isClosed) return;
    this.close(reason);
    this.onclose(reason);
  }
}

/** Cuts a stream into messages. A message that lies within one piece of the stream is not copied. */
export class Frames {
  #rest = new Uint8Array();

  /** @param {Uint8Array<ArrayBuffer>} piece @returns {Generator<Uint8Array<ArrayBuffer>>} */
  *take(piece) {
    let bytes = piece;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + piece.length);
      bytes.set(this.#rest);
      bytes.set(piece, this.#rest.length);
    }
    let at = 0;
    while (bytes.length - at >= HEAD_LEN) {
      const len = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
      if (len > MESSAGE_LEN_MAX) throw new Error(`the peer sent a message of ${len} bytes; ${MESSAGE_LEN_MAX} are allowed`);
      if (bytes.length - at - HEAD_LEN < len) break;
      yield bytes.subarray(at + HEAD_LEN, at + HEAD_LEN + len);
      at += HEAD_LEN + len;
    }
    this.#rest = bytes.subarray(at);
  }
}
