// The page in a real browser, against a daemon that is faked: what it shows, to whom, and how it is reached. `npm test`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { diffLines } from "../parts/diff.js";
import { HERE, SHOTS, SHOWN, WEB, axe, control, go, mock, open, rawKeys } from "./harness.mjs";
import { VIEWS, login } from "./shots.mjs";
import { BIDI, HOSTILE } from "./world.js";

const LIMIT_LEN = 150_000;

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
    // One of them has a number behind its name.
    await page.getByRole("button", { name: button === "Subscribe" ? /^Subscribe( \d+)?$/ : button, exact: true }).first().click();
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
