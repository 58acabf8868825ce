//! A swarm node in Node.js: the engine room of `@swarm/web` in this process, files in a folder, links by WebSocket.

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import * as wasm from "@swarm/web/wasm/swarm_web.js";
import { SwarmError } from "@swarm/web/src/error.js";
import { SwarmNode } from "@swarm/web/src/node.js";
import { MemoryStorage } from "@swarm/web/src/storage/memory.js";
import { Fetching, Swarm as Base } from "@swarm/web/src/swarm.js";
import { WebSocketTransport } from "@swarm/web/src/transports/web-socket.js";
import { MESSAGE_LEN_MAX } from "@swarm/web/src/tunnel.js";
import { listen } from "./listener.js";
import { FsStorage, fileSource } from "./storage/fs.js";

export { Fetching, FsStorage, MemoryStorage, SwarmError };

/** @import { SeedFile, SeedSource, StartOptions, Storage } from "../index.d.ts" */

/** @type {Promise<void> | null} */
let loading = null;

export class Swarm extends Base {
  /** Where peers reach this node. @type {string | null} */
  address = null;

  /** @param {StartOptions} [options] */
  static async start({ folder = ".", storage, secret, transports = [webSocket()], listen: listenAt, origins } = {}) {
    loading ??= load();
    await loading;
    /** @type {Storage} */
    const kept = storage === "memory" ? new MemoryStorage() : (storage ?? (await FsStorage.create(folder)));
    /** @type {Swarm | null} */
    let swarm = null;
    /** @type {SwarmNode | null} */
    let node = null;
    try {
      const key = secret ?? crypto.getRandomValues(new Uint8Array(32));
      node = new SwarmNode({ wasm, secret: key, storage: kept, transports, emit: (event) => swarm?.onEvent(event) });
      const room = node;
      /** @type {{address: string, close: () => Promise<void>} | null} */
      const listener = listenAt ? await listen(listenAt, { id: node.id, version: wasm.version(), origins }, (channel) => room.accept(channel)) : null;
      /** @param {string} method @param {unknown[]} args */
      const ask = async (method, ...args) => {
        const value = await /** @type {any} */ (room)[method](...args);
        if (method === "close") await listener?.close();
        return value;
      };
      swarm = new Swarm({ ask, end() {} }, node.id);
      swarm.address = listener?.address ?? null;
      return swarm;
    } catch (error) {
      await (node ? node.close() : kept.end?.());
      throw SwarmError.from(error, "usage");
    }
  }

  /**
   * Serves files until they are left or the node is closed.
   * @param {Iterable<SeedFile>} files @param {{addresses?: string[]}} [options] where this node can be dialed; by default where it listens
   * @returns {Promise<{content: string, ticket: string}>}
   */
  async seed(files, { addresses = this.address ? [this.address] : [] } = {}) {
    return this.ask("seed", await Promise.all(Array.from(files, source)), { addresses });
  }
}

/** A WebSocket transport by `ws`: Node.js 20 has none of its own, and that of 22 cannot pause. */
export function webSocket() {
  /** @param {string} url */
  const open = (url) => /** @type {any} */ (new WebSocket(url, { maxPayload: MESSAGE_LEN_MAX, perMessageDeflate: false }));
  return new WebSocketTransport({ open, canTellSent: true });
}

async function load() {
  const module = await readFile(fileURLToPath(import.meta.resolve("@swarm/web/wasm/swarm_web_bg.wasm")));
  wasm.initSync({ module });
}

/** @param {SeedFile} file @returns {Promise<SeedSource>} */
async function source(file) {
  if (typeof file === "string" || file instanceof URL) {
    const location = pathOf(file);
    return fileSource(basename(location), location);
  }
  if ("file" in file) return fileSource(file.path, pathOf(file.file));
  if ("read" in file) return file;
  const { path, bytes } = file;
  return { path, len: bytes.length, read: async (offset, len) => bytes.subarray(offset, offset + len) };
}

/** @param {string | URL} file */
function pathOf(file) {
  return file instanceof URL ? fileURLToPath(file) : file;
}
