//! The time that the WebAssembly node is told: it stands still while the machine sleeps.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SwarmNode } from "@swarm/web/src/node.js";
import { MemoryStorage } from "@swarm/web/src/storage/memory.js";

class FakeNode {
  id = "1a".repeat(32);
  /** @type {number[]} */
  times = [];
  /** @type {number[]} */
  sleeps = [];
  /** @type {any} */
  host;
  /** @param {Uint8Array} _secret @param {Uint8Array} _seed @param {any} host */
  constructor(_secret, _seed, host) {
    this.host = host;
    nodes.push(this);
  }
  /** @param {number} now */
  onTime(now) {
    this.times.push(now);
    return now + 5000;
  }
  /** @param {number} slept */
  onWoke(slept) {
    this.sleeps.push(slept);
  }
  stop() {
    this.host.event("stopped", "", "", "");
  }
  free() {}
}

/** @type {FakeNode[]} */
const nodes = [];

test("a node is told that the machine slept, and its time goes on where it stood", async () => {
  const real = performance.now.bind(performance);
  let skipped = 0;
  performance.now = () => real() + skipped;
  /** @type {SwarmNode | null} */
  let node = null;
  try {
    node = new SwarmNode({ wasm: /** @type {any} */ ({ Node: FakeNode, version: () => "0" }), secret: new Uint8Array(32), storage: new MemoryStorage(), transports: [], emit() {} });
    const [told] = nodes;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.deepEqual(told.sleeps, []);
    // It asked to come back after 5 s, and was told the time each second all the same.
    assert.ok(told.times.length >= 1 && told.times[told.times.length - 1] >= 900, String(told.times));
    skipped = 60_000;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.equal(told.sleeps.length, 1);
    assert.ok(told.sleeps[0] >= 60_000 && told.sleeps[0] < 63_000);
    const last = told.times[told.times.length - 1];
    assert.ok(last < 10_000, `${last}`);
    assert.ok(told.times.every((time, at) => at === 0 || time >= told.times[at - 1]));
  } finally {
    await node?.close();
    performance.now = real;
  }
});
