//! Nodes of Node.js linked by real WebSockets, and the command `swarm-fetch`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { Swarm } from "../src/index.js";
import { noise } from "./world.js";

const COMMAND = fileURLToPath(new URL("../bin/swarm-fetch.js", import.meta.url));

/** @type {string} */
let folder;
before(() => (folder = mkdtempSync(join(tmpdir(), "swarm-socket-"))));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A node that seeds a file of these bytes. @param {Uint8Array} bytes @param {import("../index.d.ts").StartOptions} [options] */
async function seed(bytes, options) {
  const film = join(folder, "film.bin");
  writeFileSync(film, bytes);
  const node = await Swarm.start({ storage: "memory", listen: "127.0.0.1:0", ...options });
  return { node, ...(await node.seed([film, { path: "more/note.txt", bytes: new TextEncoder().encode("hello") }])) };
}

/** @param {string[]} args @param {(child: import("node:child_process").ChildProcess) => void} [act] @returns {Promise<{code: number | null, out: string, err: string}>} */
function run(args, act) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [COMMAND, ...args]);
    let [out, err] = ["", ""];
    child.stdout.on("data", (text) => (out += text));
    child.stderr.on("data", (text) => (err += text));
    child.on("close", (code) => resolve({ code, out, err }));
    act?.(child);
  });
}

test("a ticket of a node that listens is all that another one needs", async () => {
  const bytes = noise(20_000_000);
  const { node: one, content, ticket } = await seed(bytes);
  const node = await Swarm.start({ folder: join(folder, "api") });
  /** @type {string[]} */
  const ways = [];
  node.on("transport", ({ transport, outcome }) => void ways.push(`${transport} ${outcome}`));
  const fetching = await node.fetch(ticket);
  await fetching.done;
  assert.deepEqual(ways, ["websocket open"]);
  assert.ok(readFileSync(join(folder, "api/film.bin")).equals(bytes));
  assert.equal(readFileSync(join(folder, "api/more/note.txt"), "utf8"), "hello");
  assert.deepEqual((await node.save(content)).map(({ path }) => path), ["film.bin", "more/note.txt"]);
  await assert.rejects(Swarm.start({ folder: join(folder, "api") }), { category: "held" });
  await node.close();
  await one.close();
});

test("swarm-fetch fetches, goes on where it was killed, and is quick when everything is there", async () => {
  const bytes = noise(60_000_000, 2);
  const node = await Swarm.start({ storage: "memory", listen: "127.0.0.1:0" });
  // Slow enough for a part to be durable before all has come.
  let pauseMs = 0;
  const read = async (/** @type {number} */ offset, /** @type {number} */ len) => {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    return bytes.subarray(offset, offset + len);
  };
  const { ticket } = await node.seed([{ path: "film.bin", len: bytes.length, read }]);
  pauseMs = 150;
  const out = join(folder, "command");
  const film = join(out, "film.bin");
  let durableLen = 0;
  const killed = await run([ticket, "-o", out, "--json"], (child) => {
    child.stdout?.on("data", (text) => {
      durableLen = Number(/"durable_bytes":([1-9][0-9]*)/.exec(text)?.[1] ?? 0);
      if (durableLen > 0) child.kill("SIGKILL");
    });
  });
  assert.equal(killed.code, null, killed.out);
  pauseMs = 0;
  const receivedBefore = await sent(node);
  const done = await run([ticket, "-o", out, "--json"]);
  assert.equal(done.code, 0, done.err);
  const events = done.out.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual([events[0].event, events[0].node.length], ["ready", 64]);
  const { event, files } = events[events.length - 1];
  assert.deepEqual([event, files[0].location], ["done", film]);
  assert.ok((await sent(node)) - receivedBefore <= bytes.length - durableLen + 1_000_000);
  assert.ok(readFileSync(film).equals(bytes));
  const again = await run([ticket, "-o", out]);
  assert.deepEqual([again.code, again.out], [0, `${film}\n`]);
  await node.close();
});

test("swarm-fetch ends with the exit code of the category, and words that say what to do", async () => {
  const { node, ticket } = await seed(noise(1000));
  const out = join(folder, "codes");
  assert.equal((await run([])).code, 2);
  assert.equal((await run(["--nonsense"])).code, 2);
  const help = await run(["--help"]);
  assert.deepEqual([help.code, help.out.startsWith("Fetches")], [0, true]);
  const typo = await run([`${ticket}x`, "-o", out]);
  assert.deepEqual([typo.code, typo.err.split("\n").length], [2, 2]);
  writeFileSync(join(folder, "file"), "");
  assert.equal((await run([ticket, "-o", join(folder, "file")])).code, 6);
  const { address, id } = node;
  await node.close();
  const nobody = await run([ticket, "-o", out, "--patience", "0.5", "--json", "--source", `${id}@${address}`]);
  const error = JSON.parse(nobody.out.trim().split("\n").at(-1) ?? "");
  assert.deepEqual([nobody.code, error.event, error.category, error.code], [3, "error", "no_source", 3]);
  assert.match(error.message, /127\.0\.0\.1/);
  const interrupted = await run([ticket, "-o", out, "--json"], (child) => child.stdout?.once("data", () => child.kill("SIGINT")));
  assert.equal(interrupted.code, 130, interrupted.err);
});

test("a listener admits pages of listed sites alone, and what is no node gets nothing", async () => {
  const { node } = await seed(noise(1000), { origins: ["https://example.org"] });
  const { address } = node;
  /** @param {string} path @param {string} [origin] @returns {Promise<string>} */
  const opens = (path, origin) =>
    new Promise((resolve) => {
      const socket = new WebSocket(`ws://${address}${path}`, { origin });
      socket.on("open", () => (socket.close(), resolve("open")));
      socket.on("error", (error) => resolve(error.message));
    });
  assert.equal(await opens("/swarm"), "open");
  assert.equal(await opens("/swarm", "https://example.org"), "open");
  assert.match(await opens("/swarm", "https://evil.example"), /403/);
  assert.match(await opens("/other"), /404/);
  const told = async (/** @type {string} */ origin) => (await (await fetch(`http://${address}/node`, { headers: { origin } })).json()).admitsOrigin;
  assert.deepEqual([await told("https://example.org"), await told("https://evil.example")], [true, false]);
  assert.equal((await fetch(`http://${address}/`)).status, 404);
  const odd = new WebSocket(`ws://${address}/swarm`);
  odd.on("open", () => odd.send(new Uint8Array(100)));
  assert.match(await new Promise((resolve) => odd.on("close", (_, reason) => resolve(String(reason)))), /encryption/);
  await node.close();
});

/** Bytes of chunks that a node sent. @param {Swarm} node */
async function sent(node) {
  return (await node.status()).peers.reduce((sum, { sentLen }) => sum + sentLen, 0);
}
