// The page in a real browser, against a daemon that is faked. `npm test`; CHROMIUM names the browser, SHOTS the folder for pictures.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { diffLines } from "../parts/diff.js";
import { startMock } from "./mock.js";
import { VIEWS, launch, login } from "./shots.mjs";
import { BIDI, HOSTILE } from "./world.js";

const HERE = dirname(fileURLToPath(import.meta.url));
const WEB = join(HERE, "..");
const SHOTS = process.env.SHOTS ?? "/tmp/swarm-page-shots";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const EN = JSON.parse(readFileSync(join(WEB, "i18n/en.json"), "utf8"));
const LIMIT_LEN = 150_000;

let mock;
let browser;

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  mock = await startMock();
  browser = await launch();
});

after(async () => {
  await browser.close();
  mock.close();
});

/** A page that remembers what went wrong in it. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: options.width ?? 1440, height: options.height ?? 900 }, colorScheme: options.scheme ?? "light", locale: options.locale ?? "en-GB" });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("console", (message) => message.type() === "error" && !/Failed to load resource/.test(message.text()) && wrong.push(message.text()));
  page.on("dialog", (dialog) => {
    wrong.push(`a script of a stranger ran: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`)));
  return { page, wrong, close: () => context.close() };
}

/** What each view is there for. */
const SHOWN = {
  overview: ".library-card", files: ".row .file-name", file: ".preview pre", picture: ".preview img", frames: ".row .file-name", peers: ".peer-card", transfers: ".transfer", conflicts: ".conflict", approvals: ".proposal",
  changes: ".log-line", users: ".line-list li", settings: ".setting",
};

async function go(page, hash) {
  await page.evaluate((to) => { location.hash = to; }, hash);
  await page.waitForTimeout(350);
}

async function axe(page) {
  await page.evaluate((source) => { if (!window.axe) { const run = new Function(source); run(); } }, AXE).catch(() => {});
  return page.evaluate(async () => {
    // Colours are looked at once everything has come to rest.
    await Promise.all(document.getAnimations().filter((each) => each.effect?.getComputedTiming().iterations !== Infinity).map((each) => each.finished.catch(() => {})));
    const found = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return found.violations.map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  });
}

/** Words of the page that are keys of texts: those texts are lacking. */
async function rawKeys(page) {
  const areas = new Set(Object.keys(EN).map((key) => key.split(".")[0]));
  const text = await page.evaluate(() => document.body.innerText);
  return text.split(/\s+/).filter((word) => /^[a-z_]+(\.[a-z_-]+)+$/.test(word) && areas.has(word.split(".")[0]));
}

const control = (what) => fetch(`${mock.address}/mock/${what}`, { method: "POST" });

test("types hold", () => {
  execFileSync(join(HERE, "node_modules/.bin/tsc"), ["-p", HERE], { stdio: "pipe" });
});

test("all that is served stays small", () => {
  const files = readdirSync(WEB, { recursive: true, withFileTypes: true }).filter((each) => each.isFile() && !each.parentPath.includes("/tests"));
  const sum = files.reduce((total, each) => total + gzipSync(readFileSync(join(each.parentPath, each.name)), { level: 9 }).length, 0);
  assert.ok(sum <= LIMIT_LEN, `${sum} bytes`);
});

test("both languages have the same keys, plurals and places for values", () => {
  const [en, de] = ["en", "de"].map((each) => JSON.parse(readFileSync(join(WEB, `i18n/${each}.json`), "utf8")));
  assert.deepEqual(Object.keys(en).sort(), Object.keys(de).sort());
  const holes = (text) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g) ?? [])].sort();
  for (const key of Object.keys(en)) assert.deepEqual(holes(en[key]), holes(de[key]), key);
});

test("every text that the page asks for is there", () => {
  const en = JSON.parse(readFileSync(join(WEB, "i18n/en.json"), "utf8"));
  for (const folder of [".", "parts", "views"]) {
    for (const file of readdirSync(join(WEB, folder)).filter((each) => each.endsWith(".js"))) {
      const source = readFileSync(join(WEB, folder, file), "utf8");
      for (const [, key] of source.matchAll(/\b(?:tx?|say)\(\s*"([\w.-]+)"/g)) assert.ok(key in en, `${file}: ${key}`);
      assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, file);
    }
  }
});

test("a diff of random texts gives both back", () => {
  let seed = 1;
  const random = (n) => (seed = (seed * 16807) % 2147483647) % n;
  for (let round = 0; round < 2000; round += 1) {
    const make = () => Array.from({ length: 1 + random(12) }, () => "abc"[random(3)]);
    const [a, b] = [make(), make()];
    const [left, right] = [[], []];
    for (const row of diffLines(a.join("\n"), b.join("\n")).rows) {
      if (row.kind === "skipped") {
        left.push(...a.slice(row.leftAt - 1, row.leftAt - 1 + row.count));
        right.push(...b.slice(row.rightAt - 1, row.rightAt - 1 + row.count));
        continue;
      }
      if (row.left !== null) left.push(row.left);
      if (row.right !== null) right.push(row.right);
      if (row.kind === "same") assert.equal(row.left, row.right);
    }
    assert.deepEqual([left, right], [a, b]);
  }
});

for (const [size, width, height] of [["small", 320, 640], ["phone", 360, 780], ["desk", 1440, 900], ["wide", 3840, 2160]]) {
  for (const [scheme, locale] of [["light", "en-GB"], ["dark", "de-DE"]]) {
    test(`every view is accessible and fits: ${size}, ${scheme}, ${locale}`, async () => {
      const { page, wrong, close } = await open({ width, height, scheme, locale });
      const found = [];
      const look = async (name) => {
        found.push(...(await axe(page)).map((each) => `${name}: ${each}`));
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (over > 0) found.push(`${name} is ${over} px too wide`);
        found.push(...(await rawKeys(page)).map((key) => `${name} shows the key ${key}`));
        await page.screenshot({ path: `${SHOTS}/${name}-${size}-${scheme}.png` });
      };
      await page.goto(mock.address);
      await page.waitForSelector("form");
      await look("login");
      await login(page, mock.address);
      for (const [name, hash] of VIEWS) {
        await go(page, hash);
        await page.locator(SHOWN[name]).first().waitFor();
        await look(name);
      }
      await close();
      assert.deepEqual([...found, ...wrong], []);
    });
  }
}

test("dialogs are accessible, say what happens and whether it can be undone", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address);
  const found = [];
  const cases = [
    ["#/", "Add library", "add"], ["#/", "Subscribe", "subscribe"], ["#/", "Confirm deletions…", "held"], ["#/peers", "Add peer", "add-peer"], ["#/approvals", "Approve", "approve"], ["#/approvals", "Refuse", "refuse"],
    ["#/changes", "Undo a machine’s changes…", "undo"], ["#/users", "Add user", "add-user"], ["#/users", "Remove bob", "remove-user"], ["#/conflicts", "Keep both", "resolve-all"],
  ];
  for (const [hash, button, name] of cases) {
    await go(page, hash);
    await page.getByRole("button", { name: button, exact: true }).first().click();
    await page.waitForSelector("dialog[open]");
    await page.waitForTimeout(250);
    found.push(...(await axe(page)).map((each) => `${name}: ${each}`));
    await page.screenshot({ path: `${SHOTS}/dialog-${name}.png` });
    if (["held", "approve", "remove-user", "resolve-all"].includes(name)) assert.ok(await page.locator("dialog .undo-note").innerText(), name);
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog", { state: "detached" });
    assert.equal(await page.evaluate(() => document.activeElement?.tagName), "BUTTON", `${name}: the focus is back`);
  }
  await close();
  assert.deepEqual([...found, ...wrong], []);
});

test("names of strangers stand as text, and what is invisible in them is shown", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address);
  for (const [name, hash] of VIEWS) {
    await go(page, hash);
    await page.locator(SHOWN[name]).first().waitFor();
    const stranger = { overview: HOSTILE, files: HOSTILE, approvals: HOSTILE, changes: HOSTILE, peers: "<b>x</b>" }[name];
    if (stranger) await page.locator(`.view-${name}`).getByText(stranger).first().waitFor();
    assert.equal(await page.locator("img[src='x'], bdi b").count(), 0, hash);
  }
  await go(page, "#/files/scans");
  await page.getByText(HOSTILE, { exact: true }).first().waitFor();
  assert.equal(await page.getByText(HOSTILE, { exact: true }).count(), 1);
  assert.equal(await page.locator(".row", { hasText: "gpj.exe" }).locator(".code-point").first().innerText(), "U+202E");
  assert.ok(!(await page.locator("body").innerText()).includes("\u202E"), "no mark of direction is in the text of the page");
  await page.getByText(HOSTILE, { exact: true }).click();
  await page.waitForTimeout(400);
  await go(page, `#/files/scans?open=${encodeURIComponent(BIDI)}`);
  await page.locator(".details h2 .code-point").waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

test("a folder of 100 000 files scrolls to its end with few rows in the document", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/files/frames");
  await page.waitForSelector(".row .file-name");
  const slow = await page.evaluate(async () => {
    const list = document.querySelector("swarm-list");
    const gaps = [];
    let last = performance.now();
    for (let step = 0; step < 120; step += 1) {
      list.scrollTop += 3000;
      await new Promise(requestAnimationFrame);
      gaps.push(performance.now() - last);
      last = performance.now();
    }
    return gaps.sort((a, b) => a - b)[Math.floor(gaps.length / 2)];
  });
  assert.ok(slow < 100, `half of the frames take at most 100 ms, not ${slow.toFixed(0)}`);
  await page.locator("swarm-list").focus();
  await page.keyboard.press("End");
  await page.getByText("frame-099999.exr").waitFor({ timeout: 20_000 });
  assert.ok((await page.locator(".row").count()) < 120);
  await page.screenshot({ path: `${SHOTS}/frames-end.png` });
  await page.getByRole("button", { name: "Size" }).click();
  await page.locator("swarm-list").focus();
  await page.keyboard.press("Home");
  // The mock gives the file of this number the greatest length.
  const longest = Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 4_000_000).reduce((best, len, index, all) => (len > all[best] ? index : best), 0);
  await page.locator(".row[data-index='0']", { hasText: `frame-${String(longest).padStart(6, "0")}.exr` }).waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

test("a lost connection is told with its age, and caught up without a reload", async () => {
  const { page, close } = await open();
  await login(page, mock.address);
  await page.evaluate(() => { window.stayed = true; });
  await control("offline");
  await page.waitForSelector(".banner");
  await page.waitForTimeout(2500);
  const text = await page.locator(".banner").innerText();
  assert.match(text, /What you see is \d+ seconds? old/);
  assert.match(text, /Next try in \d+ second|Trying now/);
  assert.deepEqual(await axe(page), []);
  await page.screenshot({ path: `${SHOTS}/banner.png` });
  await control("online");
  await page.getByRole("button", { name: "Try now" }).click();
  await page.waitForSelector(".banner", { state: "detached" });
  assert.ok(await page.evaluate(() => window.stayed));
  await close();
});

test("a session that ended asks for the login and comes back to the same view", async () => {
  const { page, close } = await open();
  await login(page, mock.address, "#/files/scans/Interviews");
  await page.getByText("clip-001.mp4").waitFor();
  await control("end-sessions");
  await control("offline");
  await control("online");
  await page.waitForSelector("input[name=password]", { timeout: 10_000 });
  await page.fill("input[name=username]", "anna");
  await page.fill("input[name=password]", "wrong");
  await page.keyboard.press("Enter");
  await page.getByText("user name or password is wrong").waitFor();
  await page.fill("input[name=password]", "anna");
  await page.keyboard.press("Enter");
  await page.getByText("clip-001.mp4").waitFor();
  assert.equal(await page.evaluate(() => location.hash), "#/files/scans/Interviews");
  await close();
});

test("the first administrator is made by the link, whose token leaves the address bar", async () => {
  const { page, wrong, close } = await open();
  await control("setup");
  await page.goto(mock.address);
  await page.getByText("This daemon has no users yet").waitFor();
  await page.screenshot({ path: `${SHOTS}/setup-needed.png` });
  await page.goto(`${mock.address}/#setup=secret-token`);
  await page.reload();
  await page.goto("about:blank");
  await page.goto(`${mock.address}/#setup=secret-token`);
  await page.getByRole("heading", { name: "Welcome" }).waitFor();
  assert.ok(!page.url().includes("secret-token"));
  assert.deepEqual(await axe(page), []);
  await page.screenshot({ path: `${SHOTS}/setup.png` });
  await page.fill("input[name=username]", "anna");
  await page.fill("input[name=password]", "a long password");
  await page.fill("input[name=again]", "another password");
  await page.getByRole("button", { name: /Make administrator/ }).click();
  await page.getByText("The two passwords differ").waitFor();
  await page.fill("input[name=again]", "a long password");
  await page.getByRole("button", { name: /Make administrator/ }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

test("the keyboard alone reaches a file, its details and back", async () => {
  const { page, close } = await open();
  await login(page, mock.address);
  await page.reload();
  await page.waitForSelector(".library-card");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.className), "skip");
  await page.getByRole("link", { name: "Files" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector(".row .file-name");
  for (let tabs = 0; tabs < 20 && !(await page.evaluate(() => document.activeElement?.tagName === "SWARM-LIST")); tabs += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.screenshot({ path: `${SHOTS}/keyboard.png` });
  await page.keyboard.press("Enter");
  await page.getByText("clip-001.mp4").waitFor();
  assert.match(await page.evaluate(() => location.hash), /Interviews$/);
  await page.locator("swarm-list").focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector(".details h2");
  await page.getByRole("button", { name: "Close" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "SWARM-LIST");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("type")), "search", "the slash goes to the search");
  await page.keyboard.type("clip-002");
  await page.getByText("clip-001.mp4").waitFor({ state: "detached" });
  await page.getByText("clip-002.jpg").waitFor();
  await close();
});

test("who may only look is told why the rest is not for them", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/", "viewer");
  for (const [name, hash] of VIEWS) {
    await go(page, hash);
    if (["files", "peers"].includes(name)) {
      const button = page.getByRole("button", { name: name === "files" ? "Upload" : "Add peer" });
      assert.ok(await button.isDisabled());
      assert.match(await button.getAttribute("title"), /role|administrators/);
    }
    if (["peers", "conflicts", "approvals", "users", "settings"].includes(name)) assert.ok(await page.locator(".lacking").first().isVisible(), name);
    await page.screenshot({ path: `${SHOTS}/viewer-${name}.png` });
  }
  assert.deepEqual(wrong, []);
  await close();
});

test("a user without a role sees libraries as soon as there is one", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/", "newcomer");
  await page.getByText("No libraries yet").waitFor();
  assert.equal(await page.locator(".banner").count(), 0, "nothing is wrong with the connection");
  await control("give-role");
  await page.locator(".library-card").first().waitFor({ timeout: 15_000 });
  assert.deepEqual(wrong, []);
  await close();
});

test("what moves now is told by library and by peer, and a paused library does not move", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/transfers");
  const coming = page.locator(".transfer", { hasText: "from bob, datacentre" });
  await coming.getByText("Film frames").waitFor();
  assert.match(await coming.locator(".num").innerText(), /^7\d(\.\d)?\u00a0%$/);
  assert.match(await coming.innerText(), /files \(.*GB\) to come · .* left/);
  await page.locator(".transfer", { hasText: "to bob" }).getByText("sends to this machine").waitFor();
  assert.equal(await page.locator(".transfer", { hasText: "carla-studio" }).count(), 0, "who is away gets nothing");
  // The rate is the difference of two totals.
  await page.waitForFunction(() => [...document.querySelectorAll(".transfer-peer")].some((line) => line.textContent.includes("bob") && /[1-9][\d.]*\u00a0MB\/s/.test(line.textContent)));
  await page.screenshot({ path: `${SHOTS}/transfers.png` });
  const csrf = await page.evaluate(async () => (await (await fetch("/api/v1/me")).json()).csrf);
  const pause = (paused) => page.evaluate(([token, is]) => fetch("/api/v1/libraries/frames", { method: "PATCH", headers: { "X-CSRF-Token": token, "Content-Type": "application/json" }, body: JSON.stringify({ paused: is }) }).then((answer) => answer.status), [csrf, paused]);
  assert.equal(await pause(true), 204);
  await coming.waitFor({ state: "detached" });
  await control("full");
  assert.deepEqual(wrong, []);
  await close();
});

test("files are uploaded by the button and by drop, and nothing is replaced unasked", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/files/scans");
  await page.waitForSelector(".row .file-name");
  const choosing = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Upload" }).click();
  await (await choosing).setFiles([{ name: "new-plan.txt", mimeType: "text/plain", buffer: Buffer.from("plan") }, { name: "notes.md", mimeType: "text/plain", buffer: Buffer.from("other notes") }]);
  await page.getByText("There is a file of that name.").waitFor();
  await page.locator(".row", { hasText: "new-plan.txt" }).waitFor();
  await page.screenshot({ path: `${SHOTS}/upload.png` });
  assert.deepEqual(await axe(page), []);
  await page.getByRole("button", { name: "Replace" }).click();
  await page.getByText("2 files uploaded").waitFor();
  await page.locator(".uploads").getByRole("button", { name: "Close" }).click();
  // What changed after the reader was asked is not replaced: the reader is asked again.
  for (const text of ["one", "the second"]) {
    const again = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Upload" }).click();
    await (await again).setFiles([{ name: "notes.md", mimeType: "text/plain", buffer: Buffer.from(text) }]);
  }
  await page.getByRole("button", { name: "Replace" }).nth(1).waitFor();
  await page.getByRole("button", { name: "Replace" }).first().click();
  await page.getByText("1 file uploaded").waitFor();
  await page.getByRole("button", { name: "Replace" }).click();
  await page.getByText("The file there has changed meanwhile.").waitFor();
  await page.getByRole("button", { name: "Replace" }).click();
  await page.getByText("2 files uploaded").waitFor();
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(["dropped"], "dropped.txt"));
    const target = document.querySelector(".files");
    target.dispatchEvent(new DragEvent("dragenter", { dataTransfer: data, bubbles: true, cancelable: true }));
    target.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await page.locator(".row", { hasText: "dropped.txt" }).waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

test("conflicts, votes, trust, versions and undo are done as the dialogs say", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/files/scans?open=schedule.txt");
  await page.locator(".details").getByText("Two versions exclude each other").getByRole("link", { name: "Conflicts" }).click();
  await page.getByText("Shooting schedule").first().waitFor();
  await page.locator(".choice", { hasText: "Keep both" }).first().click();
  await page.getByText("Keep both: schedule.txt").waitFor();
  await page.getByRole("button", { name: "Keep this version" }).click();
  await page.locator("dialog").getByText("All machines take the version of datacentre (8.41 MB).").waitFor();
  await page.locator("dialog").getByRole("button", { name: "Keep this version" }).click();
  await page.getByRole("button", { name: "Keep it deleted" }).click();
  await page.locator("dialog").getByText("bob deleted it: it is deleted on all machines.").waitFor();
  await page.locator("dialog").getByRole("button", { name: "Keep it deleted" }).click();
  await page.getByText("At other machines").waitFor({ state: "detached" });
  await go(page, "#/approvals");
  const changing = page.locator(".proposal", { hasText: "Change 3 entries, 1 of them by deletion" });
  const marks = await changing.locator(".path-list li").evaluateAll((lines) => lines.map((line) => line.querySelector("use").getAttribute("href").split("#")[1]));
  assert.deepEqual(marks, ["trash", "changes", "changes"]);
  await page.locator(".proposal", { hasText: "Delete 214 entries" }).getByText("Show 92 more").click();
  await page.locator(".proposal", { hasText: "Delete 214 entries" }).getByText("and 114 more").waitFor();
  await page.getByRole("button", { name: /^Ended/ }).click();
  for (const end of ["Approved", "Refused", "Superseded", "a word of a newer daemon"]) await page.locator(".proposal .pill", { hasText: end }).waitFor();
  assert.deepEqual(await rawKeys(page), []);
  await page.getByRole("button", { name: /^Open/ }).click();
  await page.getByRole("button", { name: "Refuse" }).first().click();
  await page.fill("input[name=why]", "we need them");
  await page.locator("dialog").getByRole("button", { name: "Refuse" }).click();
  await page.getByText("The others see your reason").waitFor();
  await go(page, "#/peers");
  await page.locator(".peer-card", { hasText: "bob" }).locator(".toggle").click();
  await page.getByRole("button", { name: "End trust" }).click();
  await page.getByText("bob is no longer trusted").waitFor();
  await go(page, "#/files/scans?open=notes.md");
  await page.getByRole("button", { name: "Restore" }).first().click();
  await page.locator("dialog").getByRole("button", { name: "Restore" }).click();
  await page.getByText("Restored, for all peers.").waitFor();
  await go(page, "#/changes");
  await page.getByRole("button", { name: "Undo a machine’s changes…" }).click();
  await page.getByRole("button", { name: "Show what would happen" }).click();
  await page.locator("dialog").getByText("old/plan.txt").waitFor();
  await page.screenshot({ path: `${SHOTS}/rehearsal.png` });
  await page.getByRole("button", { name: "Undo 4 changes" }).click();
  await page.getByText("Undone. All peers are told.").waitFor();
  await go(page, "#/settings");
  await page.fill("input[name=port]", "8100");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Restart the daemon for these settings to take effect: port.").waitFor();
  const settings = () => page.evaluate(async () => (await (await fetch("/api/v1/settings")).json()).config);
  const save = async (values) => {
    for (const [key, value] of Object.entries(values)) await page.fill(`input[name='${key}']`, value);
    const answered = page.waitForResponse((answer) => answer.request().method() === "PATCH");
    await page.getByRole("button", { name: "Save" }).click();
    assert.equal((await answered).status(), 204);
    await page.waitForSelector(".save-bar button[type=submit]:disabled", { state: "attached" });
  };
  await save({ "limits.up": "1MB/s", "tls.cert": "a.pem", "tls.key": "a.key" });
  assert.deepEqual((await settings()).limits, { up: "1MB/s", down: "50MB/s" });
  await save({ "limits.up": "", "tls.cert": "", "tls.key": "" });
  assert.deepEqual([(await settings()).limits, (await settings()).tls], [{ down: "50MB/s" }, undefined]);
  assert.deepEqual(wrong, []);
  await close();
});

test("an undo names the paths that it left as they are", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address);
  await page.locator("summary[aria-label='Actions for Scans']").click();
  await page.getByRole("button", { name: "Undo the last sync…" }).click();
  await page.getByRole("button", { name: "Undo the sync" }).click();
  await page.getByText("4 changes were taken back.").waitFor();
  const left = page.locator("dialog", { hasText: "1 path stays as it is" });
  await left.getByText("notes.md").waitFor();
  await left.getByText("it has changed since").waitFor();
  assert.deepEqual(await axe(page), []);
  assert.deepEqual(wrong, []);
  await close();
});

test("a reader changes the own password and stays logged in", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/settings", "viewer");
  const change = async (old, next, again) => {
    await page.fill("input[name=old]", old);
    await page.fill("input[name=password]", next);
    await page.fill("input[name=again]", again);
    await page.locator("dialog").getByRole("button", { name: "Save" }).click();
  };
  await page.getByRole("button", { name: "Change password…" }).click();
  assert.deepEqual(await axe(page), []);
  await change("viewer", "a new password", "another password");
  await page.getByText("The two passwords differ").waitFor();
  await change("wrong", "a new password", "a new password");
  await page.getByText("the present password is another one").waitFor();
  await change("viewer", "a new password", "a new password");
  await page.getByText("Your password is changed.").waitFor();
  assert.equal(await page.evaluate(() => location.hash), "#/settings");
  await page.reload();
  await page.getByRole("heading", { name: "Your password" }).waitFor();
  // As it was for the other tests, which log in as this user.
  await control("passwords");
  assert.deepEqual(wrong, []);
  await close();
});

test("a lock of another machine is told, and only one's own can be ended", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/files/scans?open=notes.md");
  await page.locator(".details").getByText("bob works on it, for").waitFor();
  assert.equal(await page.getByRole("button", { name: "End lock" }).count(), 0);
  await page.getByRole("button", { name: "Lock", exact: true }).click();
  await page.locator("dialog").getByRole("button", { name: "Lock", exact: true }).click();
  await page.locator(".details").getByText("anna-laptop works on it, for").waitFor();
  await page.locator(".details").getByText("bob works on it, for").waitFor();
  await page.getByRole("button", { name: "End lock" }).click();
  await page.getByRole("button", { name: "Lock", exact: true }).waitFor();
  await page.locator(".details").getByText("bob works on it, for").waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

test("a link is made, shown once with its QR code, listed and revoked", async () => {
  for (const [width, scheme, locale, words] of [[1440, "light", "en-GB", ["Share link", "Make link", "Revoke"]], [360, "dark", "de-DE", ["Link teilen", "Link erstellen", "Widerrufen"]]]) {
    const { page, wrong, close } = await open({ width, height: 780, scheme, locale });
    await login(page, mock.address, "#/files/scans?open=notes.md");
    await page.getByRole("button", { name: words[0] }).click();
    await page.waitForSelector("dialog .toggle");
    const found = await axe(page);
    await page.screenshot({ path: `${SHOTS}/share-${width}-${scheme}.png` });
    await page.locator("dialog .toggle").click();
    await page.getByRole("button", { name: words[1] }).click();
    await page.waitForSelector("dialog img.qr");
    // The page is open at 127.0.0.1, which leads other machines nowhere.
    const addresses = await page.locator("dialog .copy-row code").allInnerTexts();
    assert.deepEqual(addresses.map((address) => address.replace(/\/link\/\w+\//, " ")), ["https://192.168.1.20:8000 notes.md", "https://[fd00::20]:8000 notes.md"]);
    assert.ok((await page.locator("dialog img.qr").getAttribute("src")).endsWith(encodeURIComponent(addresses[0])));
    await page.waitForFunction(() => document.querySelector("dialog img.qr").naturalWidth > 0);
    await page.waitForSelector("dialog .line-list .tag");
    found.push(...await axe(page));
    assert.equal(await page.evaluate(() => document.querySelector("dialog").scrollWidth > innerWidth), false);
    await page.screenshot({ path: `${SHOTS}/shared-${width}-${scheme}.png` });
    await page.locator("dialog").getByRole("button", { name: words[2] }).click();
    await page.locator("dialog").last().getByRole("button", { name: words[2] }).click();
    await page.waitForFunction(() => !document.querySelector("dialog .line-list"));
    await page.waitForSelector("dialog .toggle");
    await page.keyboard.press("Escape");
    await page.goto(`${mock.address}/#/peers`);
    await page.locator(".self-card .actions button").click();
    await page.waitForSelector("dialog img.qr");
    found.push(...await axe(page));
    await page.screenshot({ path: `${SHOTS}/address-${width}-${scheme}.png` });
    await close();
    assert.deepEqual([...found, ...wrong], []);
  }
});

test("a link that this machine alone can open says so", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/files/scans?open=notes.md");
  await control("alone");
  await page.getByRole("button", { name: "Share link" }).click();
  await page.getByRole("button", { name: "Make link" }).click();
  await page.getByText("This link works on the daemon’s machine only").waitFor();
  assert.deepEqual((await page.locator("dialog .copy-row code").allInnerTexts()).map((address) => new URL(address).origin), [mock.address]);
  assert.deepEqual(await axe(page), []);
  await control("reachable");
  assert.deepEqual(wrong, []);
  await close();
});

test("a daemon without libraries says the next step", async () => {
  await control("empty");
  const { page, wrong, close } = await open();
  await login(page, mock.address);
  await page.getByText("No libraries yet").waitFor();
  for (const [name, hash] of VIEWS.filter(([each]) => !["file", "picture", "frames"].includes(each))) {
    await go(page, name === "files" ? "#/files" : hash);
    if (["overview", "files", "peers", "transfers", "conflicts", "approvals", "changes"].includes(name)) await page.locator(".empty h2").waitFor();
    assert.deepEqual(await axe(page), [], name);
    await page.screenshot({ path: `${SHOTS}/empty-${name}.png` });
  }
  await control("full");
  assert.deepEqual(wrong, []);
  await close();
});

test("a reload shows the libraries soon", async () => {
  const { page, close } = await open();
  await login(page, mock.address);
  const times = [];
  for (let round = 0; round < 3; round += 1) {
    await page.reload();
    await page.waitForSelector(".library-card");
    times.push(await page.evaluate(() => performance.now()));
  }
  console.log(`first view after ${times.map(Math.round).join(", ")} ms`);
  assert.ok(Math.min(...times) < 1000);
  await close();
});
