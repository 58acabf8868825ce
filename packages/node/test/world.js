//! Nodes of one process, linked by channels in memory: what a network does to messages is done here by hand.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as wasm from "@swarm/web/wasm/swarm_web.js";
import { SwarmNode } from "@swarm/web/src/node.js";
import { MemoryStorage } from "@swarm/web/src/storage/memory.js";
import { Swarm } from "@swarm/web/src/swarm.js";

/** @import { Channel, Storage, Transport } from "../index.d.ts" */

wasm.initSync({ module: readFileSync(fileURLToPath(import.meta.resolve("@swarm/web/wasm/swarm_web_bg.wasm"))) });

/** Two ends of a channel. Messages arrive in order, each in a turn of its own. @returns {[MemoryChannel, MemoryChannel]} */
export function channelPair({ certificateHash = /** @type {Uint8Array | null} */ (null) } = {}) {
  const [one, other] = [new MemoryChannel(certificateHash), new MemoryChannel(certificateHash)];
  [one.peer, other.peer] = [other, one];
  return [one, other];
}

/** @implements {Channel} */
export class MemoryChannel {
  /** @type {(message: Uint8Array<ArrayBuffer>) => void} */
  onmessage = () => {};
  /** @type {(reason: string) => void} */
  onclose = () => {};
  /** @type {MemoryChannel | null} */
  peer = null;
  /** Every message that was sent. @type {Uint8Array<ArrayBuffer>[]} */
  sent = [];
  isClosed = false;

  /** @param {Uint8Array | null} certificateHash */
  constructor(certificateHash) {
    this.certificateHash = certificateHash;
  }

  /** @param {Uint8Array} message @param {() => void} onSent */
  send(message, onSent) {
    const copied = new Uint8Array(message);
    this.sent.push(copied);
    setImmediate(() => {
      if (!this.peer?.isClosed) this.peer?.onmessage(copied.slice());
      onSent();
    });
  }

  /** @param {string} reason */
  close(reason) {
    this.isClosed = true;
    setImmediate(() => this.peer?.isClosed || this.peer?.onclose(reason));
  }

  /** The network fails. */
  cut() {
    for (const end of [this, this.peer]) end?.onclose("the network failed");
    this.isClosed = true;
    if (this.peer) this.peer.isClosed = true;
  }
}

export class World {
  /** @type {Map<string, SwarmNode>} */
  #nodes = new Map();
  /** The dialer's end of each channel. @type {MemoryChannel[]} */
  channels = [];

  /** @param {{storage?: Storage}} [options] */
  node({ storage = new MemoryStorage() } = {}) {
    /** @type {Swarm | null} */
    let swarm = null;
    const node = new SwarmNode({ wasm, secret: crypto.getRandomValues(new Uint8Array(32)), storage, transports: [this.#transport()], emit: (event) => swarm?.onEvent(event) });
    this.#nodes.set(node.id, node);
    swarm = new Swarm({ ask: async (method, ...args) => /** @type {any} */ (node)[method](...args), end() {} }, node.id);
    return { swarm, node, storage };
  }

  async close() {
    await Promise.all([...this.#nodes.values()].map((node) => node.close()));
  }

  /** @returns {Transport} */
  #transport() {
    return {
      name: "memory",
      canDial: () => true,
      dial: async ({ node }) => {
        const peer = this.#nodes.get(node);
        if (!peer) throw new Error("nobody is there");
        const [own, theirs] = channelPair();
        this.channels.push(own);
        peer.accept(theirs);
        return own;
      },
    };
  }
}

/** Answers `GET /node` of every address for the node that the address names: `N.invalid:1`. @param {Record<string, string>} nodes id by host */
export function answerForNodes(nodes) {
  const real = globalThis.fetch;
  globalThis.fetch = async (url) => {
    const node = nodes[new URL(/** @type {URL} */ (url)).hostname];
    if (!node) throw new TypeError("nobody is there");
    return new Response(JSON.stringify({ node, agent: "test", certificateHashes: [] }));
  };
  return () => void (globalThis.fetch = real);
}

/** Bytes that look random and are the same each time. @param {number} len @param {number} seed */
export function noise(len, seed = 1) {
  const words = new Uint32Array(Math.ceil(len / 4));
  let state = seed;
  for (let at = 0; at < words.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[at] = state ^ (state >>> 15);
  }
  return new Uint8Array(words.buffer, 0, len);
}

/** @param {Uint8Array} bytes */
export function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/** @param {string} path @param {Uint8Array} bytes */
export function bytesSource(path, bytes) {
  return { path, len: bytes.length, read: async (/** @type {number} */ offset, /** @type {number} */ len) => bytes.subarray(offset, offset + len) };
}
