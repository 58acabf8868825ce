// The page /get against real nodes: several sources at once, a tab that is killed, UDP that is blocked, a page of another site, axe.
// `SWARM=path/to/swarm node get.mjs [FOLDER for pictures]`. Needs the WebAssembly in the binary (`cargo xtask web` before it is built).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";

const SWARM = process.env.SWARM ?? "swarm";
const SHOTS = process.argv[2] ?? tmpdir();
const MIB = 1 << 20;
const LEN = 48 * MIB;
const ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const folder = mkdtempSync(join(tmpdir(), "swarm-get-"));
const children = [];
const contexts = [];

try {
  const film = join(folder, "film.bin");
  writeFileSync(film, randomBytes(LEN));
  const hash = createHash("sha256").update(readFileSync(film)).digest("hex");
  const only = process.env.ONLY;
  if (!only || only === "several") await severalSources(film, hash);
  if (!only || only === "killed") await killedTabs(film, hash);
  if (!only || only === "blocked") await blockedUdp(film, hash);
  if (!only || only === "site") await otherSite(film);
  if (!only || only === "nothing") await nothingToReceive();
} finally {
  await Promise.all(contexts.map((context) => context.close().catch(() => {})));
  for (const child of children) child.kill();
  setTimeout(() => rmSync(folder, { recursive: true, force: true }), 1500);
}

/** Two nodes that each send slowly: a page takes from both, by WebTransport, and saves what has the right hash. */
async function severalSources(film, hash) {
  const [one, other] = [await seed(film, "--limit-up", "15MB/s"), await seed(film, "--limit-up", "15MB/s")];
  const page = await open("several");
  await page.goto(`${one.page}#${one.ticket}&source=${other.node}@127.0.0.1:${other.port}`);
  await page.getByText("Receiving.").waitFor();
  await page.locator("details summary").click();
  await page.waitForFunction(() => document.querySelectorAll("#peers tr").length === 2);
  await page.screenshot({ path: join(SHOTS, "get-receiving.png") });
  await page.getByText("Everything is here.").waitFor({ timeout: 60_000 });
  const peers = await page.evaluate(() => [...document.querySelectorAll("#peers tr")].map((row) => [...row.children].map((cell) => cell.textContent)));
  assert.equal(peers.length, 2, JSON.stringify(peers));
  for (const [, way, came] of peers) {
    assert.equal(way, "WebTransport");
    assert.ok(megabytes(came) > LEN / 1e6 / 4, `each gives a good part: ${JSON.stringify(peers)}`);
  }
  assert.equal(await savedHash(page), hash);
  await page.screenshot({ path: join(SHOTS, "get-done.png") });
  await page.context().close();
  stop(one, other);
  console.log("a page receives from two nodes at once, and saves the right bytes");
}

/** A page that is closed again and again goes on: each time what came in the last two seconds, which was not durable, comes again. */
async function killedTabs(film, hash) {
  const one = await seed(film, "--limit-up", "12MB/s");
  const profile = join(folder, "killed");
  let received = 0;
  for (let round = 0; round < 3; round += 1) {
    const page = await open("killed", profile);
    await page.goto(`${one.page}#${one.ticket}`);
    await page.locator("details summary").click();
    const want = 6 + 10 * round;
    await page.waitForFunction((want) => parseFloat(document.getElementById("received").textContent) > want, want, { timeout: 60_000 });
    received += await came(page);
    // The process, not the tab: nothing of the page can run any more.
    await page.context().browser()?.close();
    await page.context().close();
  }
  const page = await open("killed", profile);
  await page.goto(`${one.page}#${one.ticket}`);
  await page.getByText("Everything is here.").waitFor({ timeout: 60_000 });
  received += await came(page);
  assert.equal(await savedHash(page), hash);
  assert.ok(received < LEN / 1e6 + 3 * 2.5 * 12, `${received} MB came for ${LEN / 1e6}`);
  await page.context().close();
  stop(one);
  console.log(`a page that was closed three times goes on: ${received.toFixed(0)} MB came for ${(LEN / 1e6).toFixed(0)}`);
}

/** Without UDP the page takes the WebSocket, and says so. */
async function blockedUdp(film, hash) {
  const one = await seed(film);
  const page = await open("blocked");
  // What a firewall does to UDP, as a page sees it: no session ever opens.
  await page.route("**/swarm/src/transports/web-transport.js", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text()).replace(/new WebTransport\([^,]+,/, 'new WebTransport("https://127.0.0.1:9/swarm",');
    await route.fulfill({ response: answer, body, headers: { ...answer.headers(), "content-encoding": "identity" } });
  });
  const began = Date.now();
  await page.goto(`${one.page}#${one.ticket}`);
  await page.getByText("Receiving.").waitFor({ timeout: 30_000 });
  const secs = (Date.now() - began) / 1000;
  await page.locator("details summary").click();
  await page.getByText("Everything is here.").waitFor({ timeout: 60_000 });
  assert.match(await page.locator("#peers").innerText(), /WebSocket/);
  assert.equal(await savedHash(page), hash);
  await page.context().close();
  stop(one);
  console.log(`without WebTransport a page receives by WebSocket, ${secs.toFixed(1)} s after it was opened`);
}

/** A page of another site is refused by both transports where sites are listed, unless it is one of them. */
async function otherSite(film) {
  const one = await seed(film, "--web-origin", "https://example.org");
  const port = await freePort();
  const site = createHttp((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html><title>another site</title>")).listen(port, "127.0.0.1");
  const page = await open("other");
  await page.goto(`http://127.0.0.1:${port}/`);
  assert.deepEqual(await page.evaluate(attempts, { port: one.port, flip: 0 }), [false, "refused", "refused"]);
  await page.context().close();
  const listed = await seed(film, "--web-origin", `http://127.0.0.1:${port}`);
  // Chromium makes pages wait that have failed before: a new one each.
  const welcome = await open("welcome");
  await welcome.goto(`http://127.0.0.1:${port}/`);
  assert.deepEqual(await welcome.evaluate(attempts, { port: listed.port, flip: 0 }), [true, "open", "open"]);
  await welcome.context().close();
  const misled = await open("misled");
  await misled.goto(`http://127.0.0.1:${port}/`);
  assert.deepEqual(await misled.evaluate(attempts, { port: listed.port, flip: 1 }), [true, "open", "refused"]);
  await misled.context().close();
  site.close();
  stop(one, listed);
  console.log("a page of another site is refused by WebTransport and WebSocket, unless its site is listed; and a wrong certificate hash");
}

/** On a page: whether a node admits its origin, what a WebSocket comes to, and a WebTransport session with a bit of the hash flipped. */
async function attempts({ port, flip }) {
  const { admitsOrigin, certificateHashes } = await (await fetch(`http://127.0.0.1:${port}/node`)).json();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/swarm`);
  const bySocket = await new Promise((resolve) => {
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("refused");
  });
  const value = Uint8Array.from(certificateHashes[0].match(/../g), (pair) => parseInt(pair, 16) ^ flip);
  const session = new WebTransport(`https://127.0.0.1:${port}/swarm`, { serverCertificateHashes: [{ algorithm: "sha-256", value }] });
  session.closed.catch(() => {});
  return [admitsOrigin, bySocket, await session.ready.then(() => "open", () => "refused")];
}

/** Without a ticket the page asks for one; a wrong one is told. */
async function nothingToReceive() {
  const film = join(folder, "small.bin");
  writeFileSync(film, randomBytes(1000));
  const one = await seed(film);
  const page = await open("nothing");
  await page.goto(one.page);
  await page.getByLabel("Paste the ticket").fill(`${one.ticket.slice(0, -3)}abc`);
  await page.getByRole("button", { name: "Receive" }).click();
  await page.locator("#state.bad").waitFor();
  assert.match(await page.locator("#state").innerText(), /typo|ticket/);
  await page.screenshot({ path: join(SHOTS, "get-wrong.png") });
  await page.context().close();
  await accessible(one);
  stop(one);
  console.log("a ticket with a typo is told, and the page is accessible, light and dark");
}

/** A node that seeds a file, and its page. */
async function seed(film, ...more) {
  const port = await freePort();
  const state = mkdtempSync(join(folder, "state-"));
  const args = ["seed", "--web", "--no-lan", "--listen", `127.0.0.1:${port}`, ...more, film];
  const child = spawn(SWARM, args, { env: { ...process.env, SWARM_STATE_DIR: state }, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const ticket = await new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (data) => {
      text += data;
      if (text.includes("\n")) resolve(text.trim());
    });
    child.on("exit", (code) => reject(new Error(`the seed ended with ${code}`)));
  });
  const { node } = await (await fetch(`http://127.0.0.1:${port}/node`)).json();
  return { child, port, ticket, node, page: `http://127.0.0.1:${port}/get` };
}

async function open(name, profile = join(folder, `profile-${name}`), options = {}) {
  mkdirSync(profile, { recursive: true });
  const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, viewport: { width: 900, height: 800 }, args: ARGS, ...options });
  contexts.push(context);
  const page = context.pages()[0] ?? (await context.newPage());
  page.on("pageerror", (error) => console.error(`${name}: ${error.message}`));
  return page;
}

/** Megabytes that came to a page since it was opened. */
async function came(page) {
  const cells = await page.evaluate(() => [...document.querySelectorAll("#peers tr")].map((row) => row.children[2].textContent));
  return cells.reduce((sum, cell) => sum + megabytes(cell), 0);
}

function megabytes(text) {
  const [value, unit] = text.split(" ");
  return parseFloat(value) * { B: 1e-6, kB: 1e-3, MB: 1, GB: 1e3 }[unit];
}

/** SHA-256 of the first file that the page offers, saved as a visitor does. */
async function savedHash(page) {
  const saving = page.waitForEvent("download");
  await page.locator("#files a").first().click();
  const download = await saving;
  const digest = createHash("sha256");
  for await (const piece of createReadStream(await download.path())) digest.update(piece);
  return digest.digest("hex");
}

/** Axe finds nothing, before a ticket and when everything is here. The page's own policy lets no other script in: it is off for this. */
async function accessible(one) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(`accessible-${colorScheme}`, undefined, { bypassCSP: true, colorScheme });
    for (const [address, words] of [[one.page, "A ticket names"], [`${one.page}#${one.ticket}`, "Everything is here."]]) {
      await page.goto(address);
      await page.reload();
      await page.getByText(words).waitFor({ timeout: 30_000 });
      await page.evaluate(() => { document.getElementById("about").open = true; });
      const found = await page.evaluate(async (source) => {
        const run = new Function(source);
        run();
        return (await window.axe.run(document)).violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.html).join(" | ")}`);
      }, AXE);
      assert.deepEqual(found, [], colorScheme);
    }
    await page.context().close();
  }
}

function stop(...nodes) {
  for (const { child } of nodes) child.kill();
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
