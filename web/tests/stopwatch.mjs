// From a fresh install of two machines to the first synced file, by the page alone, with a stopwatch and a count of clicks: each machine is a network
// namespace with a daemon and a browser of its own. `SWARM=path/to/swarm node stopwatch.mjs [FOLDER for pictures]`, as root.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { browserPath } from "./shots.mjs";

const SWARM = process.env.SWARM ?? "swarm";
const SHOTS = process.argv[2] ?? tmpdir();
const PASSWORD = "a long password";
const CLICKS_MAX = 6;
const SECONDS_MAX = 60;
const SETUP_LINK = /https:\/\/[\w.:[\]-]+\/#setup=[\w-]+/;

// Root of a container may not make namespaces, either.
const probe = spawnSync("sh", ["-c", `ip netns add swarm-page-${process.pid} && ip netns delete swarm-page-${process.pid}`], { encoding: "utf8" });
if (probe.status !== 0) {
  console.error(`NOT RUN: two machines with a stopwatch: it needs root, and ip of iproute2 that may make namespaces: ${probe.stderr.trim()}`);
  process.exit(0);
}
const folder = mkdtempSync(join(tmpdir(), "swarm-stopwatch-"));
const machines = [];
try {
  const [anna, bob] = [["a", 1], ["b", 2]].map(([letter, number]) => machine(letter, number));
  ip("link", "add", "eth0", "netns", anna.space, "type", "veth", "peer", "name", "eth0", "netns", bob.space);
  for (const each of [anna, bob]) {
    ip("-n", each.space, "link", "set", "lo", "up");
    ip("-n", each.space, "address", "add", `${each.host}/24`, "dev", "eth0");
    ip("-n", each.space, "link", "set", "eth0", "up");
  }
  // A browser drops what it loads when an address comes: those of IPv6 take a second or two.
  for (const each of [anna, bob]) await hasAddresses(each);
  const [a, b] = [await started(anna), await started(bob)];
  const began = Date.now();
  const seconds = () => (Date.now() - began) / 1000;
  for (const each of [a, b]) await firstAdmin(each);
  const [addressOfA, addressOfB] = [await address(a), await address(b)];
  // Anna makes a library, and is offered to add a peer.
  await click(a, a.page.getByRole("button", { name: "Add library" }).first());
  await a.page.fill("input[name=name]", "Scans");
  await a.page.fill("input[name=dir]", join(folder, "scans"));
  await click(a, a.page.locator("dialog").getByRole("button", { name: "Add library" }));
  await click(a, a.page.getByRole("button", { name: "Add a peer" }));
  await trustPeer(a, addressOfB);
  await click(b, b.page.getByRole("button", { name: "Add peer" }).first());
  await trustPeer(b, addressOfA);
  await b.page.locator(".subscribe .count").waitFor({ timeout: 30_000 });
  await click(b, b.page.getByRole("button", { name: "Subscribe" }).first());
  await b.page.fill("input[name=dir]", join(folder, "copy"));
  await b.page.screenshot({ path: `${SHOTS}/stopwatch-subscribe.png` });
  await click(b, b.page.locator("dialog").getByRole("button", { name: "Subscribe" }));
  await b.page.locator(".library-card").waitFor({ timeout: 30_000 });
  writeFileSync(join(folder, "scans", "notes.txt"), "the first scan\n");
  const read = () => (existsSync(join(folder, "copy/notes.txt")) ? readFileSync(join(folder, "copy/notes.txt"), "utf8") : null);
  while (read() !== "the first scan\n") {
    assert.ok(seconds() < SECONDS_MAX * 2, `not synced after ${seconds()} s`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  const took = seconds();
  console.log(`two fresh machines: first synced file after ${took.toFixed(1)} s, with ${a.clicks} and ${b.clicks} clicks`);
  await a.page.screenshot({ path: `${SHOTS}/stopwatch-a.png` });
  await b.page.screenshot({ path: `${SHOTS}/stopwatch-b.png` });
  assert.ok(a.clicks <= CLICKS_MAX && b.clicks <= CLICKS_MAX, `${a.clicks} and ${b.clicks} clicks`);
  assert.ok(took <= SECONDS_MAX, `${took} s`);
  for (const each of [a, b]) await each.browser.close();
} catch (error) {
  // What a failure looked like.
  for (const each of machines) {
    await each.page?.screenshot({ path: `${SHOTS}/stopwatch-failed-${each.space.at(-1)}.png` });
    console.error(`${each.space}: requests that failed: ${each.failed.join("; ") || "none"}`);
  }
  throw error;
} finally {
  for (const each of machines) {
    each.child?.kill();
    execFileSync("ip", ["netns", "delete", each.space]);
  }
  setTimeout(() => rmSync(folder, { recursive: true, force: true }), 1500);
}

/** A machine: its namespace, named by this process so that two runs do not meet. */
function machine(letter, number) {
  const made = { space: `swarm-page-${process.pid}-${letter}`, host: `10.217.33.${number}`, dir: join(folder, letter), clicks: 0, failed: [] };
  ip("netns", "add", made.space);
  machines.push(made);
  return made;
}

function ip(...args) {
  execFileSync("ip", args, { stdio: ["ignore", "inherit", "inherit"] });
}

/** Waits until the system has checked the addresses of a machine. One without IPv6 costs five seconds. */
async function hasAddresses(each) {
  const until = Date.now() + 5000;
  const shown = () => execFileSync("ip", ["-n", each.space, "-6", "-o", "address", "show", "dev", "eth0"], { encoding: "utf8" });
  for (let found = shown(); (found === "" || found.includes("tentative")) && Date.now() < until; found = shown()) {
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

/** Starts a daemon without any settings, and a browser beside it. */
async function started(each) {
  mkdirSync(each.dir);
  each.child = spawn("ip", ["netns", "exec", each.space, SWARM, "daemon", "--dir", each.dir], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  each.link = await new Promise((resolve, reject) => {
    const listen = (text) => {
      said += text;
      const found = SETUP_LINK.exec(said);
      if (found) resolve(found[0]);
    };
    each.child.stdout.on("data", listen);
    each.child.stderr.on("data", listen);
    each.child.on("exit", () => reject(new Error(said)));
    setTimeout(() => reject(new Error(`no link: ${said}`)), 20_000).unref();
  });
  // A program that starts the browser within the namespace: playwright talks to it over pipes.
  const starter = join(folder, `browser-${each.space}`);
  writeFileSync(starter, `#!/bin/sh\nexec ip netns exec ${each.space} ${browserPath()} "$@"\n`, { mode: 0o700 });
  each.browser = await chromium.launch({ executablePath: starter, args: ["--no-sandbox", "--disable-gpu"] });
  const context = await each.browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", ignoreHTTPSErrors: true });
  each.page = await context.newPage();
  each.page.on("requestfailed", (request) => { each.failed.push(`${request.method()} ${new URL(request.url()).pathname}: ${request.failure()?.errorText}`); });
  return each;
}

async function click(each, locator) {
  each.clicks += 1;
  await locator.click();
}

async function firstAdmin(each) {
  await each.page.goto(each.link);
  await each.page.fill("input[name=username]", "anna");
  await each.page.fill("input[name=password]", PASSWORD);
  await each.page.fill("input[name=again]", PASSWORD);
  await click(each, each.page.getByRole("button", { name: /Make administrator/ }));
  await each.page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** The address that the page shows, for the other one to type. */
async function address(each) {
  return each.page.locator(".copy-row code").first().innerText();
}

async function trustPeer(each, peer) {
  await each.page.fill("input[name=address]", peer);
  await click(each, each.page.locator("dialog .toggle").first());
  await click(each, each.page.locator("dialog").getByRole("button", { name: "Add peer" }));
  await each.page.locator("dialog").waitFor({ state: "detached" });
}
