//! Whole nodes in one process, linked by memory: the WebAssembly, the engine room and the API together.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SwarmError } from "@swarm/web/src/error.js";
import { MemoryStorage } from "@swarm/web/src/storage/memory.js";
import { World, answerForNodes, bytesSource, noise, sha256 } from "./world.js";

/** @import { Progress, SavedFile, SwarmEvent } from "../index.d.ts" */

/** @type {Record<string, string>} */
const hosts = {};
/** @type {() => void} */
let restore;
before(() => (restore = answerForNodes(hosts)));
after(() => restore());

/** @param {string} id */
function source(id) {
  const host = `n${id.slice(0, 12)}.invalid`;
  hosts[host] = id;
  return `${id}@${host}:1`;
}

/** @param {SavedFile[]} saved */
async function digests(saved) {
  return Promise.all(saved.map(async ({ path, file }) => [path, sha256(new Uint8Array(await /** @type {File} */ (file).arrayBuffer()))]));
}

test("a node fetches what another seeds, and a third from the second alone", async () => {
  const world = new World();
  const [seed, second, third] = [world.node(), world.node(), world.node()];
  // U+FF21 sorts before U+1F600 as UTF-8 and after it as UTF-16: files are numbered as the manifest has them.
  const files = [["b/film.bin", noise(5_000_000, 1)], ["a.txt", noise(10, 2)], ["\u{1f600}.bin", noise(3_000, 3)], ["\uff21.bin", noise(4_000, 4)], ["empty", new Uint8Array()]];
  const { content, ticket } = await seed.node.seed(files.map(([path, bytes]) => bytesSource(/** @type {string} */ (path), /** @type {Uint8Array} */ (bytes))));
  /** @type {Progress[]} */
  const progress = [];
  const fetching = await second.swarm.fetch(ticket, { sources: [source(seed.node.id)], onProgress: (now) => void progress.push(now) });
  assert.equal(fetching.content, content);
  const done = await fetching.done;
  assert.equal(done.files.length, 5);
  const expected = files.map(([path, bytes]) => [path, sha256(/** @type {Uint8Array} */ (bytes))]).sort();
  assert.deepEqual((await digests(await second.swarm.save(content))).sort(), expected);
  await seed.swarm.close();
  const from = await third.swarm.fetch(ticket, { sources: [source(second.node.id)] });
  await from.done;
  assert.deepEqual((await digests(await third.swarm.save(content))).sort(), expected);
  const { contents, peers } = await third.swarm.status();
  assert.deepEqual([contents[0].phase, contents[0].verifiedLen, contents[0].totalLen], ["complete", 5_007_010, 5_007_010]);
  assert.ok(peers.some(({ node, receivedLen }) => node === second.node.id && receivedLen >= 5_000_000));
  await world.close();
});

test("a fetch goes on after the network failed, and after it was paused", async () => {
  const world = new World();
  const [seed, leech] = [world.node(), world.node()];
  const bytes = noise(24_000_000, 5);
  const { content, ticket } = await seed.node.seed([bytesSource("film.bin", bytes)]);
  /** @type {SwarmEvent[]} */
  const events = [];
  leech.swarm.on("event", (event) => void events.push(event));
  const fetching = await leech.swarm.fetch(ticket, { sources: [source(seed.node.id)] });
  await some(() => verified(leech) > 2_000_000);
  world.channels[0].cut();
  await some(() => world.channels.length > 1 && verified(leech) > 6_000_000);
  await fetching.pause();
  const { contents } = await leech.swarm.status();
  assert.equal(contents[0].phase, "paused");
  assert.ok(contents[0].verifiedLen > 6_000_000 && contents[0].verifiedLen < bytes.length, String(contents[0].verifiedLen));
  await fetching.resume();
  await fetching.done;
  const [saved] = await leech.swarm.save(content);
  assert.equal(sha256(new Uint8Array(await /** @type {File} */ (saved.file).arrayBuffer())), sha256(bytes));
  assert.ok(!events.some(({ kind }) => kind === "left" || kind === "failed"));
  assert.ok(received(leech) < 1.5 * bytes.length, `${received(leech)} came for ${bytes.length}`);
  await leech.swarm.leave(content);
  assert.deepEqual(await leech.swarm.stored(), []);
  await world.close();
});

test("a second fetch of one content joins the first, and a cancelled one keeps what it has", async () => {
  const world = new World();
  const [seed, leech] = [world.node(), world.node()];
  const { ticket } = await seed.node.seed([bytesSource("film.bin", noise(9_000_000, 6))]);
  const sources = [source(seed.node.id)];
  const abort = new AbortController();
  const first = await leech.swarm.fetch(ticket, { sources, signal: abort.signal });
  const joined = await leech.swarm.fetch(ticket, { sources });
  assert.equal(joined.content, first.content);
  await some(() => verified(leech) > 2_000_000);
  abort.abort();
  await assert.rejects(first.done, { category: "interrupted", code: 130 });
  await assert.rejects(joined.done, { category: "interrupted" });
  assert.equal((await leech.swarm.stored()).length, 1);
  const before = received(leech);
  const again = await leech.swarm.fetch(ticket, { sources });
  await again.done;
  assert.ok(received(leech) - before < 8_000_000);
  await assert.rejects(leech.swarm.fetch(ticket, { signal: abort.signal }), { category: "interrupted" });
  await world.close();
});

test("errors have the categories and codes of the command, and a failed fetch may be begun again", async () => {
  const world = new World();
  const [seed, leech] = [world.node(), world.node()];
  await assert.rejects(leech.swarm.fetch("swarm1nonsense"), (error) => error instanceof SwarmError && error.category === "usage" && error.code === 2);
  await assert.rejects(seed.node.seed([]), { category: "usage" });
  await assert.rejects(seed.node.seed([bytesSource("../film", noise(10))]), { category: "usage" });
  await assert.rejects(leech.swarm.pause("0".repeat(64)), { category: "usage" });
  const { ticket } = await seed.node.seed([bytesSource("film.bin", noise(2_000_000, 7))]);
  /** @type {SwarmEvent[]} */
  const events = [];
  leech.swarm.on("event", (event) => void events.push(event));
  const gone = `${"0".repeat(63)}1@gone.invalid:1`;
  const failing = await leech.swarm.fetch(ticket, { sources: [gone], patienceMs: 300 });
  await assert.rejects(failing.done, { category: "no_source", code: 3 });
  const attempt = events.find((event) => event.kind === "transport");
  assert.match(attempt?.kind === "transport" ? attempt.reason : "", /no answer from http:\/\/gone\.invalid:1\/node/);
  const again = await leech.swarm.fetch(ticket, { sources: [source(seed.node.id)] });
  await again.done;
  await world.close();
  await assert.rejects(leech.swarm.fetch(ticket), { category: "usage" });
});

test("a storage that is full ends the fetch with its own words, and a later fetch goes on", async () => {
  const world = new World();
  let isFull = true;
  const storage = new (class extends MemoryStorage {
    /** @param {string} content @param {number} file @param {number} offset @param {Uint8Array} bytes */
    write(content, file, offset, bytes) {
      if (isFull && offset > 1_000_000) throw new SwarmError("disk", "there is no room: make some");
      super.write(content, file, offset, bytes);
    }
  })();
  const [seed, leech] = [world.node(), world.node({ storage })];
  const { ticket } = await seed.node.seed([bytesSource("film.bin", noise(6_000_000, 8))]);
  const sources = [source(seed.node.id)];
  const full = await leech.swarm.fetch(ticket, { sources });
  await assert.rejects(full.done, { category: "disk", code: 6, message: "there is no room: make some" });
  isFull = false;
  await (await leech.swarm.fetch(ticket, { sources })).done;
  await world.close();
});

test("slow storage holds the peer back instead of filling memory", async () => {
  const world = new World();
  let [waiting, most] = [0, 0];
  const storage = new (class extends MemoryStorage {
    /** @param {string} content @param {number} file @param {number} offset @param {Uint8Array} bytes @returns {Promise<void>} */
    async write(content, file, offset, bytes) {
      const copied = bytes.slice();
      waiting += copied.length;
      await new Promise((resolve) => setTimeout(resolve, 5));
      super.write(content, file, offset, copied);
      waiting -= copied.length;
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
  })();
  const [seed, leech] = [world.node(), world.node({ storage })];
  const bytes = noise(100_000_000, 9);
  const { content, ticket } = await seed.node.seed([bytesSource("film.bin", bytes)]);
  const before = process.memoryUsage().arrayBuffers;
  await (await leech.swarm.fetch(ticket, { sources: [source(seed.node.id)] })).done;
  const [saved] = await leech.swarm.save(content);
  assert.equal(sha256(new Uint8Array(await /** @type {File} */ (saved.file).arrayBuffer())), sha256(bytes));
  assert.ok(waiting === 0 && most - before < 100_000_000 + (150 << 20), `${(most - before) >> 20} MiB`);
  await world.close();
});

/** @param {{node: import("@swarm/web/src/node.js").SwarmNode}} of */
function verified({ node }) {
  return node.status().contents[0]?.verifiedLen ?? 0;
}

/** @param {{node: import("@swarm/web/src/node.js").SwarmNode}} of */
function received({ node }) {
  return node.status().peers.reduce((sum, { receivedLen }) => sum + receivedLen, 0);
}

/** @param {() => boolean} isTrue */
async function some(isTrue) {
  for (let turn = 0; turn < 10_000; turn++) {
    if (isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.fail("it did not happen within 20 s");
}
