// From the first start to the first synced file between two real daemons, by the page alone. `SWARM=path/to/swarm node daemons.mjs [FOLDER for pictures]`.
// The page's files are taken from this folder, not from the binary, so that a change can be tried without a build.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CSP } from "./mock.js";
import { launch } from "./shots.mjs";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "..");
const SWARM = process.env.SWARM ?? "swarm";
const SHOTS = process.argv[2] ?? tmpdir();
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml" };
const PASSWORD = "a long password";
const folder = mkdtempSync(join(tmpdir(), "swarm-page-"));
const children = [];
const wrong = [];
let clicks = 0;

try {
  const [anna, bob] = [await daemon("anna"), await daemon("bob")];
  const browser = await launch();
  const [a, b] = [await open(browser, anna), await open(browser, bob)];
  const began = Date.now();
  for (const [page, link] of [[a, anna.link], [b, bob.link]]) await firstAdmin(page, link);
  await click(a.getByRole("button", { name: "Add library" }).first());
  await a.fill("input[name=name]", "Scans");
  await a.fill("input[name=dir]", join(folder, "scans"));
  await click(a.locator("dialog").getByRole("button", { name: "Add library" }));
  await a.locator(".library-card", { hasText: "Scans" }).waitFor();
  await addPeer(a, await address(b));
  await addPeer(b, await address(a));
  await a.locator(".peer-card", { hasText: "connected" }).waitFor({ timeout: 30_000 });
  await go(b, "#/");
  await b.waitForFunction(() => document.querySelector("main h1"));
  await b.waitForTimeout(1500);
  await click(b.getByRole("button", { name: "Subscribe" }).first());
  await b.fill("input[name=dir]", join(folder, "copy"));
  await b.screenshot({ path: `${SHOTS}/real-subscribe.png` });
  await click(b.locator("dialog").getByRole("button", { name: "Subscribe" }));
  await b.locator(".library-card").waitFor({ timeout: 30_000 });
  writeFileSync(join(folder, "scans", "notes.txt"), "the first scan\n");
  await untilText("copy/notes.txt", "the first scan\n");
  console.log(`first synced file after ${((Date.now() - began) / 1000).toFixed(1)} s and ${clicks} clicks on both sides`);
  await views(a, b);
  await playing(b);
  await replacing(a);
  await settling(a, b, bob);
  await browser.close();
  assert.deepEqual(wrong, []);
} finally {
  for (const child of children) child.kill();
  setTimeout(() => rmSync(folder, { recursive: true, force: true }), 1500);
}

/** Files, an upload and what the views say of it. */
async function views(a, b) {
  const library = await libraryOf(a);
  await go(a, `#/files/${library}`);
  await a.getByText("notes.txt").waitFor();
  const choosing = a.waitForEvent("filechooser");
  await a.getByRole("button", { name: "Upload" }).click();
  await (await choosing).setFiles([{ name: "picture.svg", mimeType: "image/svg+xml", buffer: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40" fill="teal"/></svg>') }]);
  await a.locator(".row", { hasText: "picture.svg" }).waitFor({ timeout: 20_000 }).catch(async (error) => {
    throw new Error(`${error.message}; the page says: ${await a.locator(".uploads").innerText()}`);
  });
  await a.locator(".row", { hasText: "picture.svg" }).click();
  await a.waitForSelector(".details .points li");
  await a.waitForTimeout(800);
  await a.screenshot({ path: `${SHOTS}/real-file.png` });
  writeFileSync(join(folder, "scans", "notes.txt"), "the second scan\n");
  await untilText("copy/notes.txt", "the second scan\n");
  await go(a, `#/files/${library}?open=notes.txt`);
  await a.waitForSelector(".preview pre");
  await a.waitForTimeout(500);
  await a.screenshot({ path: `${SHOTS}/real-versions.png` });
  for (const name of ["", "peers", "transfers", "conflicts", "approvals", "changes", "users", "settings"]) {
    await go(a, `#/${name}`);
    await a.waitForTimeout(900);
    await a.screenshot({ path: `${SHOTS}/real-${name || "overview"}.png`, fullPage: true });
  }
  await go(a, "#/settings");
  await a.waitForSelector("input[name='limits.up']");
  await a.fill("input[name='limits.up']", "20MB/s");
  await a.getByRole("button", { name: "Save" }).click();
  await a.getByText("Saved.").waitFor();
  assert.match(readFileSync(join(folder, "anna", "config.json"), "utf8"), /20MB\/s/);
  const kept = JSON.parse(readFileSync(join(folder, "anna", "config.json"), "utf8"));
  assert.deepEqual([kept.limits, kept.tls], [{ up: "20MB/s", down: "50MB/s" }, undefined], "what was not changed stays");
  await b.screenshot({ path: `${SHOTS}/real-bob.png` });
}

/** A film that another machine has is played, and from another place, by ranges: twelve seconds of ffmpeg's `testsrc`, 64 by 48, VP8. */
async function playing(b) {
  copyFileSync(join(WEB, "tests", "clip.webm"), join(folder, "scans", "clip.webm"));
  const answered = b.waitForResponse((response) => response.url().includes("/file/") && response.url().includes("clip.webm"), { timeout: 60_000 });
  await untilSame("copy/clip.webm", "scans/clip.webm");
  await go(b, `#/files/${await libraryOf(b)}?open=clip.webm`);
  assert.equal((await answered).status(), 206);
  const film = b.locator("video");
  await film.waitFor({ timeout: 20_000 });
  const played = await film.evaluate(async (video) => {
    const heard = (event) => new Promise((resolve) => { video.addEventListener(event, resolve, { once: true }); });
    video.muted = true;
    const going = heard("timeupdate");
    await video.play();
    await going;
    const there = heard("seeked");
    video.currentTime = 10;
    await there;
    return { width: video.videoWidth, from: video.currentTime, length: Math.round(video.duration) };
  });
  assert.deepEqual([played.width, played.length], [64, 12]);
  assert.ok(played.from >= 10, `it plays from ${played.from}`);
  await b.screenshot({ path: `${SHOTS}/real-film.png` });
}

/** A file that is uploaded again replaces what stands there once the reader says so. */
async function replacing(a) {
  await go(a, `#/files/${await libraryOf(a)}`);
  await a.locator(".row", { hasText: "notes.txt" }).waitFor();
  const choosing = a.waitForEvent("filechooser");
  await a.getByRole("button", { name: "Upload" }).click();
  // The daemon refuses with 412 first, which the browser's console tells as an error.
  const before = wrong.length;
  await (await choosing).setFiles([{ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("the third scan\n") }]);
  await a.getByText("There is a file of that name.").waitFor();
  assert.equal(readFileSync(join(folder, "scans", "notes.txt"), "utf8"), "the second scan\n");
  await a.getByRole("button", { name: "Replace" }).click();
  await a.getByText("1 file uploaded").waitFor();
  assert.ok(wrong.splice(before).every((each) => each.includes("412")));
  await untilText("scans/notes.txt", "the third scan\n");
  await untilText("copy/notes.txt", "the third scan\n");
}

/** Two versions that were made without knowing of each other: one is chosen in the page of the machine whose version lost for now. */
async function settling(a, b, bob) {
  const ended = new Promise((resolve) => { bob.child.on("exit", resolve); });
  bob.child.kill();
  await ended;
  const texts = new Map([[a, "what anna made of it\n"], [b, "what bob made of it\n"]]);
  writeFileSync(join(folder, "scans", "notes.txt"), texts.get(a));
  writeFileSync(join(folder, "copy", "notes.txt"), texts.get(b));
  const before = wrong.length;
  children.push(spawn(SWARM, ["daemon", "--dir", bob.dir], { stdio: "ignore" }));
  // The page of bob finds its daemon again, which knows no session of before.
  await b.locator("input[name=password]").waitFor({ timeout: 60_000 });
  assert.ok(wrong.splice(before).every((each) => /ERR_|401/.test(each)), "it tells of the lost connection alone");
  await b.fill("input[name=username]", "anna");
  await b.fill("input[name=password]", PASSWORD);
  await b.keyboard.press("Enter");
  await b.locator(".shell").waitFor();
  for (const page of [a, b]) await go(page, "#/conflicts");
  const loser = await Promise.any([a, b].map((page) => page.locator(".conflict-head", { hasText: "notes.txt" }).waitFor({ timeout: 60_000 }).then(() => page)));
  const winner = loser === a ? b : a;
  await winner.locator(".dispute", { hasText: "notes.txt" }).waitFor({ timeout: 30_000 });
  const head = loser.locator(".conflict-head");
  if ((await head.getAttribute("aria-expanded")) !== "true") await head.click();
  for (const text of texts.values()) await loser.locator(".diff").getByText(text.trim()).waitFor({ timeout: 30_000 });
  await loser.screenshot({ path: `${SHOTS}/real-conflict.png` });
  await loser.locator(".choice", { hasText: "Keep this machine’s" }).click();
  for (const file of ["scans/notes.txt", "copy/notes.txt"]) await untilText(file, texts.get(loser));
  for (const page of [a, b]) await page.locator(".conflict").waitFor({ state: "detached", timeout: 30_000 });
}

async function libraryOf(page) {
  return page.evaluate(async () => (await (await fetch("/api/v1/status")).json()).libraries[0].guid);
}

/** Waits until a file has that text. */
/** Until a file has the bytes of another one. */
async function untilSame(path, other) {
  await untilText(path, readFileSync(join(folder, other), "latin1"), "latin1");
}

async function untilText(path, text, encoding = "utf8") {
  const read = () => (existsSync(join(folder, path)) ? readFileSync(join(folder, path), encoding) : null);
  for (let tries = 0; tries < 300 && read() !== text; tries += 1) await new Promise((resolve) => { setTimeout(resolve, 100); });
  assert.equal(read(), text);
}

async function daemon(name) {
  const dir = join(folder, name);
  mkdirSync(dir);
  mkdirSync(join(folder, "scans"), { recursive: true });
  // A port of its own: it is found again there after a restart.
  writeFileSync(join(dir, "config.json"), JSON.stringify({ port: await freePort(), listen: "127.0.0.1", lan: false, limits: { down: "50MB/s" } }), { mode: 0o600 });
  const child = spawn(SWARM, ["daemon", "--dir", dir], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let said = "";
  const link = await new Promise((resolve, reject) => {
    const listen = (text) => {
      said += text;
      const found = /https:\/\/([\w.:-]+\/#setup=[\w-]+)/.exec(said);
      if (found) resolve(`http://${found[1]}`);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.on("exit", () => reject(new Error(said)));
    setTimeout(() => reject(new Error(`no link: ${said}`)), 20_000).unref();
  });
  return { link, origin: new URL(link).origin, child, dir };
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function open(browser, { origin }) {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB" })).newPage();
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("console", (message) => message.type() === "error" && !/401 .*\/api\/v1\/me$/.test(`${message.text()} ${message.location().url}`) && wrong.push(`${message.text()} ${message.location().url}`));
  await page.route((url) => url.origin === origin && !/^\/(api|file|files|login|logout|auth)\b/.test(url.pathname), (route) => {
    const path = new URL(route.request().url()).pathname;
    const file = join(WEB, path === "/" ? "index.html" : path);
    return existsSync(file) ? route.fulfill({ body: readFileSync(file), headers: { "Content-Type": TYPES[extname(file)], "Content-Security-Policy": CSP } }) : route.fulfill({ status: 404 });
  });
  return page;
}

async function click(locator) {
  clicks += 1;
  await locator.click();
}

async function firstAdmin(page, link) {
  await page.goto(link);
  await page.fill("input[name=username]", "anna");
  await page.fill("input[name=password]", PASSWORD);
  await page.fill("input[name=again]", PASSWORD);
  await click(page.getByRole("button", { name: /Make administrator/ }));
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

async function address(page) {
  await go(page, "#/peers");
  return page.locator(".copy-row code").first().innerText();
}

async function addPeer(page, peer) {
  await go(page, "#/peers");
  await click(page.getByRole("button", { name: "Add peer" }).first());
  await page.fill("input[name=address]", peer);
  await click(page.locator("dialog .toggle").first());
  await click(page.locator("dialog").getByRole("button", { name: "Add peer" }));
  await page.locator("dialog").waitFor({ state: "detached" });
}

async function go(page, hash) {
  await page.evaluate((to) => { location.hash = to; }, hash);
  await page.waitForTimeout(300);
}
