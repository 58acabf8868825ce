//! A swarm node on a page: `Swarm.start()` runs it in a dedicated worker.

import { SwarmError } from "./error.js";
import { Fetching, Swarm as Base } from "./swarm.js";

export { Fetching, SwarmError };

/** @import { SeedFile, StartOptions } from "../index.d.ts" */

export class Swarm extends Base {
  /** Starts a node. A site has one with the storage `opfs` at a time: a second tab gets an error of the category `held`. @param {StartOptions} [options] */
  static async start({ storage = "opfs", transports = ["webtransport", "websocket"], wasmUrl, folder = "swarm", workerUrl, persist = false } = {}) {
    // Where the browser asks the visitor, this needs the page; the worker cannot.
    if (persist) await navigator.storage?.persist?.();
    const worker = workerUrl ? new Worker(workerUrl, { type: "module", name: "swarm" }) : new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "swarm" });
    const room = new WorkerRoom(worker);
    try {
      const absolute = (/** @type {string | URL} */ url) => new URL(url, document.baseURI).href;
      const plugged = (/** @type {string | URL} */ name) => (["opfs", "memory", "webtransport", "websocket"].includes(String(name)) ? String(name) : absolute(name));
      const options = { wasmUrl: wasmUrl && absolute(wasmUrl), storage: plugged(storage), transports: transports.map(plugged), folder, pageProtocol: location.protocol };
      const node = new Swarm(room, await room.ask("start", options));
      room.attach(node);
      return node;
    } catch (error) {
      room.end();
      throw error;
    }
  }

  /**
   * Serves files that the visitor picked, for as long as the page is open.
   * @param {Iterable<SeedFile>} files of an `<input type="file">`, a drop, or `{path, file}` @param {{addresses?: string[]}} [options]
   * @returns {Promise<{content: string, ticket: string}>}
   */
  async seed(files, options) {
    const named = Array.from(files, (file) => (file instanceof File ? { path: file.webkitRelativePath || file.name, file } : { path: file.path, file: file.file }));
    return this.ask("seed", named, options);
  }
}

/** Questions to the worker and its answers. */
class WorkerRoom {
  #worker;
  #nextId = 1;
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: SwarmError) => void}>} */
  #asked = new Map();
  /** @type {Base | null} */
  #swarm = null;
  /** @type {any[]} */
  #early = [];
  /** @type {SwarmError | null} */
  #broken = null;

  /** @param {Worker} worker */
  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#onMessage(data);
    // Its script was not found, or is not a module that this browser reads.
    worker.onerror = (event) => this.#break(new SwarmError("other", `the worker of swarm failed${event.message ? ` (${event.message})` : ""}: check that worker.js and what it imports are served`));
  }

  /** @param {string} method @param {unknown[]} args */
  ask(method, ...args) {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      const id = this.#nextId++;
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ id, method, args });
    });
  }

  /** @param {Base} swarm */
  attach(swarm) {
    this.#swarm = swarm;
    this.#early.splice(0).forEach((event) => swarm.onEvent(event));
  }

  end() {
    this.#worker.terminate();
    this.#broken = new SwarmError("usage", "the node was closed: start another one");
  }

  /** @param {any} message */
  #onMessage({ id, value, error, event }) {
    if (event) return this.#swarm ? this.#swarm.onEvent(event) : void this.#early.push(event);
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (error) asked?.reject(new SwarmError(error.category, error.message));
    else asked?.resolve(value);
  }

  /** @param {SwarmError} error */
  #break(error) {
    this.#broken ??= error;
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
    this.#swarm?.end(error);
  }
}
