//! WebSocket to a node: one binary message each. The engine encrypts within (see tunnel.js), so plain `ws:` is as safe as `wss:`.

import { isLoopback } from "../dialing.js";

/** @import { Channel, DialTarget, Transport } from "../../index.d.ts" */

/** Below this, what waits in the socket counts as sent: a browser tells only when asked, and must not run dry between two questions. */
const WAITING_LEN = 256 << 10;
const ASK_MS = 5;
/** Longest reason of a close frame, bytes (RFC 6455). */
const REASON_LEN_MAX = 123;

/** @typedef {WebSocket & {pause?: () => void, resume?: () => void}} Socket `ws` of npm can pause */
/** @typedef {{open?: (url: string) => Socket, canTellSent?: boolean, pageProtocol?: string}} Options `canTellSent`: `send` takes a callback, as that of `ws` does */

/** @implements {Transport} */
export class WebSocketTransport {
  name = "websocket";
  #open;
  #canTellSent;
  #pageProtocol;

  /** @param {Options} [options] */
  constructor({ open = (url) => new WebSocket(url), canTellSent = false, pageProtocol = globalThis.location?.protocol ?? "" } = {}) {
    this.#open = open;
    this.#canTellSent = canTellSent;
    this.#pageProtocol = pageProtocol;
  }

  /** @param {DialTarget} target */
  canDial(target) {
    if (this.#pageProtocol === "https:" && !target.isSecure && !isLoopback(target.address)) {
      return "a page that came by https may not use a plain WebSocket: the node needs https with a certificate that browsers trust";
    }
    return /** @type {const} */ (true);
  }

  /** @param {DialTarget} target @param {AbortSignal} signal @returns {Promise<Channel>} */
  dial(target, signal) {
    return new Promise((resolve, reject) => {
      const socket = this.#open(`${target.isSecure ? "wss" : "ws"}://${target.address}/swarm`);
      socket.binaryType = "arraybuffer";
      /** @param {string} reason */
      const fail = (reason) => {
        socket.onopen = socket.onclose = null;
        reject(new Error(reason));
        socket.close();
      };
      signal.addEventListener("abort", () => fail("it was given up"), { once: true });
      // The event names no reason in browsers, on purpose; that of `ws` does.
      socket.onerror = (event) => fail(/** @type {{message?: string}} */ (/** @type {unknown} */ (event)).message || "the connection failed");
      socket.onclose = (event) => fail(event.reason || "the connection was closed");
      socket.onopen = () => resolve(new WebSocketChannel(socket, this.#canTellSent));
    });
  }
}

/** @implements {Channel} */
export class WebSocketChannel {
  certificateHash = null;
  /** @type {(message: Uint8Array<ArrayBuffer>) => void} */
  onmessage = () => {};
  /** @type {(reason: string) => void} */
  onclose = () => {};
  #socket;
  #canTellSent;
  /** What was given to the socket and has not left: where each message ends in all that was sent. @type {{end: number, onSent: () => void}[]} */
  #waiting = [];
  #sentLen = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {Socket} socket that is open @param {boolean} canTellSent */
  constructor(socket, canTellSent) {
    this.#socket = socket;
    this.#canTellSent = canTellSent;
    socket.binaryType = "arraybuffer";
    let reason = "";
    socket.onerror = (event) => (reason = /** @type {{message?: string}} */ (/** @type {unknown} */ (event)).message ?? "");
    socket.onmessage = (event) => {
      if (event.data instanceof ArrayBuffer) this.onmessage(new Uint8Array(event.data));
      else this.#end("the peer sent text");
    };
    socket.onclose = (event) => this.#end(event.reason || reason || `the connection was closed (${event.code})`);
  }

  /** @param {Uint8Array} message @param {() => void} onSent */
  send(message, onSent) {
    if (this.#canTellSent) {
      // Unlike a browser, `ws` keeps the bytes until they have left.
      const send = /** @type {(bytes: Uint8Array, onSent: (error?: Error) => void) => void} */ (/** @type {unknown} */ (this.#socket.send));
      return send.call(this.#socket, message.slice(), (error) => error || onSent());
    }
    this.#socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (message));
    this.#sentLen += message.length;
    this.#waiting.push({ end: this.#sentLen, onSent });
    this.#ask();
  }

  pause() {
    this.#socket.pause?.();
  }

  resume() {
    this.#socket.resume?.();
  }

  /** @param {string} reason */
  close(reason) {
    clearInterval(this.#timer);
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.onerror = () => {};
    let cut = reason;
    while (new TextEncoder().encode(cut).length > REASON_LEN_MAX) cut = cut.slice(0, -1);
    this.#socket.close(1000, cut);
  }

  #ask() {
    const { bufferedAmount } = this.#socket;
    const isLow = bufferedAmount <= WAITING_LEN;
    const leftLen = isLow ? this.#sentLen : this.#sentLen - bufferedAmount;
    const kept = this.#waiting.findIndex(({ end }) => end > leftLen);
    const left = this.#waiting.splice(0, kept < 0 ? this.#waiting.length : kept);
    if (isLow) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setInterval(() => this.#ask(), ASK_MS);
    }
    for (const { onSent } of left) onSent();
  }

  /** @param {string} reason */
  #end(reason) {
    this.close(reason);
    this.onclose(reason);
  }
}
