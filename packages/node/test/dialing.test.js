//! Which way is taken to a node, what is told of the others, and what has left a socket. Nothing here touches a network.

import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { Dialing } from "@swarm/web/src/dialing.js";
import { WebSocketChannel, WebSocketTransport } from "@swarm/web/src/transports/web-socket.js";
import { WebTransportTransport } from "@swarm/web/src/transports/web-transport.js";
import { MemoryChannel } from "./world.js";

/** @import { DialTarget, Transport, TransportEvent } from "../index.d.ts" */

const NODE = "1a".repeat(32);
const OTHER = "2b".repeat(32);
const realFetch = globalThis.fetch;
afterEach(() => void (globalThis.fetch = realFetch));
after(() => Reflect.deleteProperty(globalThis, "WebTransport"));

/** @param {(url: URL) => unknown} answer an object, or an error to be thrown; a promise that stays pending is a host that is silent */
function answerWith(answer) {
  /** @type {string[]} */
  const asked = [];
  globalThis.fetch = async (url) => {
    asked.push(String(url));
    const body = await answer(/** @type {URL} */ (url));
    if (body instanceof Error) throw body;
    return new Response(JSON.stringify(body));
  };
  return asked;
}

/** @param {Partial<Transport>} [parts] @returns {Transport} */
function transport(parts) {
  return { name: "memory", canDial: () => true, dial: async () => new MemoryChannel(null), ...parts };
}

/** @param {Transport[]} transports @param {string} [pageProtocol] */
function dialing(transports, pageProtocol) {
  /** @type {TransportEvent[]} */
  const events = [];
  const dialing = new Dialing(transports, (event) => void events.push(event), pageProtocol);
  return { dial: (/** @type {string[]} */ ...addresses) => dialing.dial(NODE, addresses, new AbortController().signal), events };
}

test("transports are tried in their order, and each failure is told with its reason", async () => {
  const asked = answerWith(() => ({ node: NODE, certificateHashes: ["short", OTHER] }));
  /** @type {DialTarget[]} */
  const targets = [];
  const no = transport({ name: "no", canDial: () => "it is not for this address" });
  const broken = transport({ name: "broken", dial: async () => Promise.reject(new Error("refused")) });
  const good = transport({ name: "good", dial: async (target) => (targets.push(target), new MemoryChannel(null)) });
  const { dial, events } = dialing([no, broken, good]);
  await dial("one.invalid:1");
  assert.deepEqual(events.map(({ transport, outcome, reason }) => [transport, outcome, reason]), [["no", "skipped", "it is not for this address"], ["broken", "failed", "refused"], ["good", "open", ""]]);
  assert.deepEqual([targets[0].certificateHashes, targets[0].isSecure], [[OTHER], false]);
  await dial("one.invalid:1");
  assert.deepEqual(asked, ["http://one.invalid:1/node"]);
});

test("an address where another node answers, or a site that is not admitted, is told", async () => {
  answerWith(({ hostname }) => (hostname === "other.invalid" ? { node: OTHER } : hostname === "odd.invalid" ? { node: "x" } : { node: NODE, admitsOrigin: false }));
  const { dial, events } = dialing([transport()]);
  await assert.rejects(dial("other.invalid:1", "strict.invalid:1", "odd.invalid:1"), /another node answers there \(2b2b2b2b\).*does not admit pages of.*is no node/s);
  assert.deepEqual(events.map(({ outcome }) => outcome), ["failed", "failed", "failed"]);
});

test("a silent address does not hold up the next one", async () => {
  answerWith(({ hostname }) => (hostname === "silent.invalid" ? new Promise(() => {}) : { node: NODE }));
  const { dial, events } = dialing([transport()]);
  const began = performance.now();
  await dial("silent.invalid:1", "good.invalid:1");
  assert.ok(performance.now() - began < 1000);
  assert.deepEqual(events.map(({ address, outcome }) => [address, outcome]), [["good.invalid:1", "open"]]);
});

test("a page over https asks by https, and takes a plain WebSocket to this machine alone", async () => {
  const asked = answerWith(({ protocol, hostname }) => (protocol === "https:" && hostname !== "trusted.invalid" ? new TypeError("certificate") : { node: NODE }));
  const socket = new WebSocketTransport({ pageProtocol: "https:" });
  const { dial } = dialing([transport({ canDial: (target) => socket.canDial(target) })], "https:");
  await dial("localhost:1");
  await dial("trusted.invalid:1");
  await assert.rejects(dial("plain.invalid:1"), /came by https/);
  assert.deepEqual(asked, ["http://localhost:1/node", "https://trusted.invalid:1/node", "https://plain.invalid:1/node"]);
  const target = { node: NODE, address: "plain.invalid:1", isSecure: false, certificateHashes: [], refresh: async () => [] };
  assert.match(String(socket.canDial(target)), /https/);
});

test("a certificate that was just replaced is asked for again", async () => {
  /** @type {string[]} */
  const dialed = [];
  class FakeWebTransport {
    closed = new Promise(() => {});
    /** @param {string} url @param {{serverCertificateHashes: {value: Uint8Array}[]}} options */
    constructor(url, { serverCertificateHashes: [{ value }] }) {
      dialed.push(`${url} ${value[0].toString(16)}`);
      this.ready = value[0] === 0x2b ? Promise.resolve() : Promise.reject(new Error("Opening handshake failed."));
      this.ready.catch(() => {});
    }
    async createBidirectionalStream() {
      return { readable: new ReadableStream(), writable: new WritableStream() };
    }
    close() {}
  }
  Object.assign(globalThis, { WebTransport: FakeWebTransport });
  const target = { node: NODE, address: "one.invalid:1", isSecure: false, certificateHashes: [NODE], refresh: async () => [OTHER, NODE] };
  const transport = new WebTransportTransport();
  assert.equal(transport.canDial(target), true);
  const channel = await transport.dial(target, new AbortController().signal);
  assert.deepEqual(dialed, ["https://one.invalid:1/swarm 1a", "https://one.invalid:1/swarm 2b"]);
  assert.equal(channel.certificateHash?.[0], 0x2b);
  await assert.rejects(transport.dial({ ...target, refresh: async () => [NODE] }, new AbortController().signal), /Opening handshake failed/);
  assert.match(String(transport.canDial({ ...target, certificateHashes: [] })), /no WebTransport/);
});

test("what waits in a browser's socket counts as sent when it has left", async () => {
  const socket = /** @type {any} */ ({ bufferedAmount: 0, send() {}, close() {} });
  const channel = new WebSocketChannel(socket, false);
  /** @type {number[]} */
  const sent = [];
  const send = (/** @type {number} */ len) => channel.send(new Uint8Array(len), () => void sent.push(len));
  send(1);
  assert.deepEqual(sent, [1]);
  socket.bufferedAmount = 400_000;
  send(200_000);
  send(300_000);
  // Of 500 kB that were sent 400 kB wait.
  assert.deepEqual(sent, [1]);
  socket.bufferedAmount = 299_000;
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(sent, [1, 200_000]);
  socket.bufferedAmount = 0;
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(sent, [1, 200_000, 300_000]);
});
