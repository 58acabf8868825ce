// The package in Chromium against a node of Node.js: storage over a reload, a second tab, a private window, what goes wrong at the start.
// `node --test packages/web/test`. Needs `cargo xtask web`, `npm install` in packages and in web/tests, and chromium (or CHROMIUM).

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Swarm } from "../../node/src/index.js";

const PACKAGES = fileURLToPath(new URL("../..", import.meta.url));
const { chromium } = createRequire(join(PACKAGES, "../web/tests/package.json"))("playwright-core");
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
const LAUNCH = { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: ARGS };
const LEN = 120_000_000;
/** More than the private window of Chromium really stores, and less than it says. */
const HUGE_LEN = 9 * 2 ** 30;

let site, home, context, profile;

before(async () => {
  site = createServer((request, response) => {
    const path = new URL(request.url, "http://site").pathname;
    if (path === "/") return response.setHeader("content-type", "text/html").end("<!doctype html><title>a page</title><link rel=icon href=data:,>");
    try {
      const bytes = readFileSync(join(PACKAGES, path));
      response.setHeader("content-type", TYPES[extname(path)] ?? "text/plain").end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  home = `http://localhost:${site.address().port}/`;
  profile = mkdtempSync(join(tmpdir(), "swarm-opfs-"));
  context = await chromium.launchPersistentContext(profile, LAUNCH);
});

after(async () => {
  await context.close();
  site.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});

async function open(from = context) {
  const page = await from.newPage();
  page.on("pageerror", (error) => console.error(error.message));
  await page.goto(home);
  return page;
}

/** Fetches on a page and returns path, name and SHA-256 of each file, or the error. With `isBegun` it does not wait. */
function fetchOn(page, ticket, { isBegun = false } = {}) {
  return page.evaluate(
    async ({ ticket, isBegun }) => {
      const { Swarm } = await import("/web/src/index.js");
      try {
        window.node ??= await Swarm.start();
        window.fetching = await node.fetch(ticket, { onProgress: (progress) => (window.last = progress) });
        if (isBegun) return "begun";
        await fetching.done;
        const digest = async (file) => Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer())), (byte) => byte.toString(16).padStart(2, "0")).join("");
        return Promise.all((await node.save(fetching.content)).map(async ({ path, file }) => [path, file.name, await digest(file)]));
      } catch ({ name, category, code, message }) {
        return { name, category, code, message };
      }
    },
    { ticket, isBegun },
  );
}

function noise(len, seed) {
  const bytes = Buffer.alloc(len);
  for (let at = 0; at + 4 <= len; at += 4) bytes.writeUInt32LE(Math.imul(at + seed, 2654435761) >>> 0, at);
  return new Uint8Array(bytes);
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

test("a page goes on after a reload with more files than it opens at once, and a second tab is told that it is one too many", async () => {
  const bytes = noise(LEN, 1);
  let pauseMs = 30;
  const read = async (offset, len) => {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    return bytes.subarray(offset, offset + len);
  };
  const small = Array.from({ length: 300 }, (_, at) => ({ path: `many/${at}.bin`, bytes: noise(5000, at) }));
  const node = await Swarm.start({ storage: "memory", listen: "127.0.0.1:0" });
  const { ticket } = await node.seed([{ path: "film.bin", len: LEN, read }, ...small]);
  const expected = [["film.bin", "film.bin", sha256(bytes)], ...small.map(({ path, bytes }) => [path, path.slice(5), sha256(bytes)])].sort(([one], [other]) => (one < other ? -1 : 1));

  const page = await open();
  assert.equal(await fetchOn(page, ticket, { isBegun: true }), "begun");
  await page.waitForFunction(() => window.last?.durableLen > 10e6, null, { timeout: 60_000 });
  const second = await open();
  const held = await fetchOn(second, ticket);
  assert.deepEqual([held.name, held.category, held.code], ["SwarmError", "held", 1]);
  const id = await page.evaluate(() => node.id);
  await page.reload();
  pauseMs = 0;
  assert.deepEqual(await fetchOn(page, ticket), expected);
  assert.equal(await page.evaluate(() => node.id), id);
  const { peers } = await page.evaluate(() => node.status());
  assert.ok(peers[0].receivedLen < LEN - 5e6, `${peers[0].receivedLen} bytes came after the reload`);

  assert.deepEqual(await page.evaluate(async () => (await node.stored()).map(({ isFinished }) => isFinished)), [true]);
  await page.evaluate(() => node.leave(fetching.content));
  assert.deepEqual(await page.evaluate(() => node.stored()), []);
  await page.evaluate(() => node.close());
  assert.equal((await fetchOn(page, ticket)).category, "usage");
  assert.equal(await fetchOn(second, ticket, { isBegun: true }), "begun");
  await second.evaluate(() => node.close());
  await Promise.all([page.close(), second.close()]);
  await node.close();
});

test("a page hashes what its visitor picked, and seeds it", async () => {
  const page = await open();
  const { content, ticket, status } = await page.evaluate(async () => {
    const { Swarm } = await import("/web/src/index.js");
    const node = await Swarm.start({ storage: "memory" });
    return { ...(await node.seed([new File([new Uint8Array(20e6)], "zeros.bin")])), status: await node.status() };
  });
  assert.match(content, /^[0-9a-f]{64}$/);
  assert.match(ticket, /^swarm1/);
  const [{ name, phase, totalLen }] = status.contents;
  assert.deepEqual([name, phase, totalLen], ["zeros.bin", "seeding", 20e6]);
  await page.close();
});

test("a private window that has no room says so instead of losing bytes", async () => {
  const node = await Swarm.start({ storage: "memory", listen: "127.0.0.1:0" });
  const { ticket } = await node.seed([{ path: "huge.bin", len: HUGE_LEN, read: async (_, len) => new Uint8Array(len) }]);
  const browser = await chromium.launch(LAUNCH);
  const page = await open(await browser.newContext());
  const { category, code, message } = await fetchOn(page, ticket);
  assert.deepEqual([category, code], ["disk", 6]);
  assert.match(message, /no more room for `huge\.bin`.*leave private browsing/);
  await browser.close();
  await node.close();
});

test("what goes wrong at the start is told", async () => {
  const page = await open();
  const start = (options) =>
    page.evaluate(async (options) => {
      const { Swarm } = await import("/web/src/index.js");
      return Swarm.start(options).then(
        () => "started",
        (error) => error.message,
      );
    }, options);
  assert.match(await start({ wasmUrl: "/nowhere.wasm", storage: "memory" }), /check `wasmUrl`/);
  assert.match(await start({ workerUrl: "/nowhere.js" }), /check that worker\.js/);
  assert.match(await start({ storage: "/nowhere.js" }), /nowhere\.js/);
  assert.equal(await start({}), "started");
  await page.close();
});
