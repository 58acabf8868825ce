//! The worker of a page: has the engine room, and answers the page's questions by messages. One worker of an origin has the storage and the key
//! at a time; a Web Lock sees to that.

import init, * as wasm from "../wasm/swarm_web.js";
import { SwarmError } from "./error.js";
import { loadIdentity } from "./identity.js";
import { SwarmNode } from "./node.js";
import { blobSource } from "./source.js";
import { MemoryStorage } from "./storage/memory.js";
import { OpfsStorage } from "./storage/opfs.js";
import { WebSocketTransport } from "./transports/web-socket.js";
import { WebTransportTransport } from "./transports/web-transport.js";

/** @import { Storage, Transport } from "../index.d.ts" */
/** @typedef {{wasmUrl?: string, storage: string, transports: string[], folder: string, pageProtocol: string}} Start */
/** @typedef {{id: number, method: string, args: any[]}} Question */

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));
/** A page that is loaded anew starts before the worker of the old one is quite gone. */
const LOCK_WAIT_MS = 2000;

/** @type {SwarmNode | null} */
let node = null;

/** @type {Record<string, (...args: any[]) => unknown>} */
const METHODS = {
  start,
  /** @param {{path: string, file: Blob}[]} files @param {object} options */
  seed: (files, options) => running().seed(files.map(({ path, file }) => blobSource(path, file)), options),
  fetch: (...args) => running().fetch(args[0], args[1]),
  status: () => running().status(),
  ticket: (...args) => running().ticket(args[0], args[1]),
  pause: (content) => running().pause(content),
  resume: (content) => running().resume(content),
  leave: (...args) => running().leave(args[0], args[1]),
  stored: () => running().stored(),
  save: (content) => running().save(content),
  close: () => running().close(),
};

scope.onmessage = async (/** @type {MessageEvent<Question>} */ event) => {
  const { id, method, args } = event.data;
  try {
    scope.postMessage({ id, value: await METHODS[method](...args) });
  } catch (thrown) {
    const { category, message } = SwarmError.from(thrown);
    scope.postMessage({ id, error: { category, message } });
  }
};

/** @param {Start} options */
async function start({ wasmUrl, storage: storageName, transports: names, folder, pageProtocol }) {
  if (!scope.isSecureContext || !crypto.subtle) {
    throw new SwarmError("usage", "browsers give a page that came by plain http no encryption and no storage: open it by https, or as http://localhost");
  }
  const isKept = storageName !== "memory";
  // A node in memory is a new one each time, and disturbs no other.
  if (isKept) await lock(`${folder} node`);
  const secret = isKept ? await loadIdentity(folder) : crypto.getRandomValues(new Uint8Array(32));
  const storage = await makeStorage(storageName, folder);
  const transports = await Promise.all(names.map(makeTransport));
  await init({ module_or_path: wasmUrl ?? new URL("../wasm/swarm_web_bg.wasm", import.meta.url) }).catch((cause) => {
    throw new SwarmError("other", `the WebAssembly of swarm could not be loaded (${cause.message}): check \`wasmUrl\`, and that the server gives it as application/wasm`, { cause });
  });
  node = new SwarmNode({ wasm, secret, storage, transports, pageProtocol, emit: (event) => scope.postMessage({ event }) });
  return node.id;
}

/** Holds a lock until this worker ends. @param {string} name */
function lock(name) {
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(name, { signal: AbortSignal.timeout(LOCK_WAIT_MS) }, () => {
      resolve(undefined);
      return new Promise(() => {});
    });
    held.catch((cause) => reject(new SwarmError("held", "another tab of this site runs the node: use that one, or close it and load this page again", { cause })));
  });
}

/** @param {string} name `opfs`, `memory`, or the URL of a module whose default export makes a storage @param {string} folder @returns {Promise<Storage>} */
async function makeStorage(name, folder) {
  if (name === "opfs") return OpfsStorage.create(folder);
  if (name === "memory") return new MemoryStorage();
  return (await import(name)).default({ folder });
}

/** @param {string} name `webtransport`, `websocket`, or the URL of a module whose default export makes a transport @returns {Promise<Transport>} */
async function makeTransport(name) {
  if (name === "webtransport") return new WebTransportTransport();
  if (name === "websocket") return new WebSocketTransport();
  return (await import(name)).default();
}

function running() {
  if (!node) throw new SwarmError("usage", "the node was not started");
  return node;
}
