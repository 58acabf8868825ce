//! Storage in a folder: names, records, and what stands in the way.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { FsStorage } from "../src/storage/fs.js";
import { World, answerForNodes, bytesSource, noise } from "./world.js";

const CONTENT = "ab".repeat(32);
const FILES = [{ path: "a/film.bin", len: 1000 }, { path: "empty", len: 0 }];
const RECORD = new Uint8Array([1, 2, 3]);
const NOTHING = new Uint8Array();

/** @type {string} */
let folder;
before(() => (folder = mkdtempSync(join(tmpdir(), "swarm-fs-"))));
after(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
function fresh() {
  return join(folder, String(count++));
}

test("a content is resumed from its record, gets its names at the end, and is known afterwards", async () => {
  const path = fresh();
  const bytes = noise(1000);
  let storage = await FsStorage.create(path);
  assert.deepEqual(await storage.open(CONTENT, "film", FILES), { record: NOTHING });
  const view = bytes.slice(0, 600);
  const written = storage.write(CONTENT, 0, 0, view);
  view.fill(0);
  await written;
  await storage.flush(CONTENT, RECORD);
  assert.deepEqual(readdirSync(path), [".swarm"]);
  await storage.end();

  storage = await FsStorage.create(path);
  assert.deepEqual(await storage.list(), [{ content: CONTENT, name: "film", files: FILES, isFinished: false }]);
  await assert.rejects(storage.files(CONTENT), { category: "undecided" });
  assert.deepEqual((await storage.open(CONTENT, "film", FILES)).record, RECORD);
  assert.deepEqual(await storage.read(CONTENT, 0, 0, 600), bytes.slice(0, 600));
  assert.equal(await storage.read(CONTENT, 0, 600, 600), null);
  await storage.write(CONTENT, 0, 600, bytes.subarray(600));
  await storage.flush(CONTENT, new Uint8Array([4]));
  await storage.finish(CONTENT);
  assert.deepEqual(new Uint8Array(readFileSync(join(path, "a/film.bin"))), bytes);
  assert.equal(readFileSync(join(path, "empty")).length, 0);
  assert.deepEqual(await storage.read(CONTENT, 0, 0, 1000), bytes);
  await storage.close(CONTENT);
  assert.deepEqual((await storage.open(CONTENT, "film", FILES)).record, new Uint8Array([4]));
  assert.deepEqual((await storage.files(CONTENT)).map(({ location }) => location), [join(path, "a/film.bin"), join(path, "empty")]);
  await storage.close(CONTENT);
  await storage.forget(CONTENT);
  assert.deepEqual(new Uint8Array(readFileSync(join(path, "a/film.bin"))), bytes);
  await storage.end();
});

test("a part that lost bytes is fetched anew, whatever the record says", async () => {
  const path = fresh();
  const storage = await FsStorage.create(path);
  await storage.open(CONTENT, "film", FILES);
  await storage.flush(CONTENT, RECORD);
  await storage.close(CONTENT);
  truncateSync(join(path, ".swarm", CONTENT, "0.part"), 10);
  assert.deepEqual((await storage.open(CONTENT, "film", FILES)).record, NOTHING);
  await storage.end();
});

test("nothing is overwritten: not what stood there before, and not what was changed since", async () => {
  const path = fresh();
  mkdirSync(join(path, "a"), { recursive: true });
  writeFileSync(join(path, "a/film.bin"), "of the user");
  const storage = await FsStorage.create(path);
  await assert.rejects(storage.open(CONTENT, "film", FILES), { category: "target_differs", code: 4 });
  await storage.close(CONTENT);
  rmSync(join(path, "a/film.bin"));
  await storage.open(CONTENT, "film", FILES);
  writeFileSync(join(path, "a/film.bin"), "came meanwhile");
  await assert.rejects(storage.finish(CONTENT), { category: "target_differs" });
  assert.equal(readFileSync(join(path, "a/film.bin"), "utf8"), "came meanwhile");
  rmSync(join(path, "a/film.bin"));
  await storage.finish(CONTENT);
  await storage.close(CONTENT);
  writeFileSync(join(path, "a/film.bin"), "changed");
  await assert.rejects(storage.open(CONTENT, "film", FILES), { category: "target_differs" });
  assert.equal(readFileSync(join(path, "a/film.bin"), "utf8"), "changed");
  await storage.end();
});

test("no path leads out of the folder, or into what is kept there", async () => {
  const path = fresh();
  const outside = fresh();
  mkdirSync(outside);
  const storage = await FsStorage.create(path);
  for (const unsafe of ["/etc/x", "../x", "a/../../x", "a//x", "./x", "", "a\\x", "C:x", "a\0x", ".swarm/lock", ".SWARM/lock"]) {
    await assert.rejects(storage.open(CONTENT, "film", [{ path: unsafe, len: 0 }]), { category: "usage" }, unsafe);
  }
  symlinkSync(outside, join(path, "a"));
  await storage.open(CONTENT, "film", FILES);
  await assert.rejects(storage.finish(CONTENT), { category: "target_differs" });
  assert.deepEqual(readdirSync(outside), []);
  await storage.end();
});

test("one process has a folder at a time, and a lock of a killed one does not count", async () => {
  const path = fresh();
  const storage = await FsStorage.create(path);
  await assert.rejects(FsStorage.create(path), { category: "held", code: 1 });
  await storage.end();
  writeFileSync(join(path, ".swarm/lock"), "1");
  await assert.rejects(FsStorage.create(path), { category: "held" });
  // Numbers of processes end at 2^22.
  writeFileSync(join(path, ".swarm/lock"), "99999999");
  await (await FsStorage.create(path)).end();
});

test("more files than may be open are written, flushed and read", async () => {
  const path = fresh();
  const storage = await FsStorage.create(path);
  const files = Array.from({ length: 250 }, (_, at) => ({ path: `files/${at}`, len: 4 }));
  await storage.open(CONTENT, "files", files);
  for (let at = 0; at < files.length; at++) await storage.write(CONTENT, at, 0, new Uint8Array([at, 1, 2, 3]));
  await storage.flush(CONTENT, RECORD);
  for (let at = 0; at < files.length; at++) assert.deepEqual(await storage.read(CONTENT, at, 0, 4), new Uint8Array([at, 1, 2, 3]));
  await storage.finish(CONTENT);
  assert.equal(readFileSync(join(path, "files/249"))[0], 249);
  await storage.end();
});

test("a node that was killed goes on where its folder says", async () => {
  const path = fresh();
  const world = new World();
  const seed = world.node();
  const bytes = noise(40_000_000, 3);
  const restore = answerForNodes({ "seed.invalid": seed.node.id });
  const { content, ticket } = await seed.node.seed([bytesSource("film.bin", bytes)]);
  const sources = [`${seed.node.id}@seed.invalid:1`];
  /** What a kill leaves: nothing of the node runs any more. */
  class Killed extends FsStorage {
    isKilled = false;
    /** @param {string} content @param {number} file @param {number} offset @param {Uint8Array} bytes */
    async write(content, file, offset, bytes) {
      if (!this.isKilled) return super.write(content, file, offset, bytes);
    }
    /** @param {string} content @param {Uint8Array} record */
    async flush(content, record) {
      if (!this.isKilled) return super.flush(content, record);
    }
    async finish() {}
  }
  const first = await FsStorage.create(path);
  const storage = new Killed(path);
  const leech = world.node({ storage });
  await leech.swarm.fetch(ticket, { sources });
  while ((leech.node.status().contents[0]?.durableLen ?? 0) === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  const { durableLen } = leech.node.status().contents[0];
  storage.isKilled = true;
  world.channels.forEach((channel) => channel.cut());
  await first.end();
  const again = world.node({ storage: await FsStorage.create(path) });
  const fetching = await again.swarm.fetch(ticket, { sources });
  await fetching.done;
  const came = again.node.status().peers.reduce((sum, { receivedLen }) => sum + receivedLen, 0);
  assert.ok(durableLen > 0 && came <= bytes.length - durableLen + 4_000_000, `${came} came again, ${durableLen} were durable`);
  assert.ok(readFileSync(join(path, "film.bin")).equals(bytes));
  assert.equal((await again.swarm.save(content))[0].location, join(path, "film.bin"));
  restore();
  await world.close();
});
