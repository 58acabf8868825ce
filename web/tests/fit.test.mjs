// The page in a real browser, against a daemon that is faked: that what it shows fits, whatever it is and however narrow the screen. `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { control, go, misfits, mock, open } from "./harness.mjs";
import { VIEWS, login } from "./shots.mjs";

const GERMAN = [[320, "de-DE"], [1440, "de-DE"]];
/** @type {[string, [number, string][]][]} */
const WORLDS = [["full", [[320, "en-GB"], ...GERMAN]], ["ugly", [[320, "en-GB"], [820, "de-DE"], ...GERMAN]], ["one", GERMAN], ["empty", GERMAN]];

for (const [world, sizes] of WORLDS) {
  for (const [width, locale] of sizes) {
    test(`every view fits: ${world}, ${width}, ${locale}`, async () => {
      await control(world);
      const { page, wrong, close } = await open({ width, height: 740, locale });
      const found = [];
      const look = async (name) => found.push(...(await misfits(page, { forFingers: width < 500 })).map((each) => `${name}: ${each}`));
      await page.goto(mock.address);
      await page.waitForSelector("form");
      await look("login");
      await login(page, mock.address);
      for (const [name, hash] of VIEWS) {
        if (["file", "picture", "frames"].includes(name) && ["one", "empty"].includes(world)) continue;
        await go(page, name === "files" && world === "one" ? "#/files/contracts" : hash);
        if (name === "transfers" && (await page.locator(".job-open").count()) > 0) {
          await page.locator(".job-open").first().click();
          await page.locator(".heat").waitFor();
        }
        await look(name);
      }
      await close();
      assert.deepEqual([...found, ...wrong], []);
    });
  }
}

/** A press on each of these opens a dialog: the view, and what is pressed one after the other. */
const DIALOGS = [
  ["#/", ".page-head .primary"], ["#/", ".subscribe"], ["#/", ".library-card .menu summary", ".menu-list button:nth-child(3)"], ["#/", ".library-card .menu summary", ".menu-list button:nth-child(4)"],
  ["#/", ".library-card .menu summary", ".menu-list button:nth-child(6)"], ["#/peers", ".page-head .primary"], ["#/peers", ".lan li .button"], ["#/peers", ".self-card .actions .button"], ["#/peers", ".peer-card .toggle .track"],
  ["#/conflicts", ".section-head .button"], ["#/approvals", ".proposal .primary"], ["#/approvals", ".proposal .danger-quiet"], ["#/changes", ".page-head .button"], ["#/changes", ".page-head .button", "dialog .primary"],
  ["#/users", ".page-head .primary"], ["#/users", ".line-list:not(.asks *) .button"], ["#/settings", ".setting-control .button"], ["#/settings", "[aria-label='Libraries'] .button, [aria-label='Bibliotheken'] .button"],
  ["#/files/scans?open=notes.md", ".details .actions button"], ["#/files/scans?open=notes.md", ".details .actions button", "dialog .primary"], ["#/files/scans?open=notes.md", ".details .line-list .button"],
];

for (const [world, locale] of [["full", "de-DE"], ["ugly", "en-GB"], ["ugly", "de-DE"]]) {
  test(`every dialog fits: ${world}, ${locale}`, async () => {
    await control(world);
    const { page, wrong, close } = await open({ width: 320, height: 740, locale });
    await login(page, mock.address);
    const found = [];
    for (const [hash, ...presses] of DIALOGS) {
      await go(page, hash);
      for (const press of presses) {
        await page.locator(press).first().click();
        await page.waitForTimeout(250);
      }
      if ((await page.locator("dialog[open]").count()) === 0) found.push(`${hash} ${presses.join(", ")}: no dialog`);
      found.push(...(await misfits(page, { forFingers: true })).map((each) => `${hash} ${presses.join(", ")}: ${each}`));
      await page.keyboard.press("Escape");
      await page.waitForSelector("dialog", { state: "detached" });
    }
    await close();
    assert.deepEqual([...found, ...wrong], []);
  });
}

test("login and setup fit", async () => {
  for (const locale of ["en-GB", "de-DE"]) {
    const { page, close } = await open({ width: 320, height: 640, locale });
    await page.goto(mock.address);
    await page.waitForSelector("form");
    assert.deepEqual(await misfits(page, { forFingers: true }), []);
    await control("setup");
    for (const address of [mock.address, `${mock.address}/#setup=secret-token`]) {
      await page.goto("about:blank");
      await page.goto(address);
      await page.waitForSelector(".outside-card h1");
      assert.deepEqual(await misfits(page, { forFingers: true }), []);
    }
    await page.fill("input[name=username]", "anna");
    for (const name of ["password", "again"]) await page.fill(`input[name=${name}]`, "a long password");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".shell h1");
    await close();
  }
});

test("what is not saved yet stays in sight above the tabs", async () => {
  await control("full");
  for (const width of [320, 360]) {
    const { page, close } = await open({ width, height: 640, locale: "de-DE" });
    await login(page, mock.address, "#/settings");
    await page.fill("input[name=port]", "8001");
    await page.waitForSelector(".save-bar.is-shown");
    // It rises to its place.
    await page.evaluate(() => Promise.all(document.querySelector(".save-bar").getAnimations().map((each) => each.finished)));
    assert.deepEqual(await misfits(page, { forFingers: true }), []);
    const [bar, tabs] = await page.evaluate(() => [".save-bar", ".tab-bar"].map((each) => document.querySelector(each).getBoundingClientRect().toJSON()));
    assert.ok(bar.bottom <= tabs.top && bar.right <= width, `${bar.bottom} ${tabs.top} ${bar.right}`);
    await close();
  }
});

test("without the daemon every view opens with its icons, and is filled once it is back", async () => {
  await control("full");
  const { page, wrong, close } = await open();
  await login(page, mock.address);
  await page.waitForLoadState("networkidle").catch(() => {});
  await control("offline");
  await page.waitForSelector(".banner");
  for (const [hash] of [["#/users"], ["#/settings"], ["#/transfers"], ["#/peers"]]) {
    await go(page, hash);
    await page.locator(`main.view-${hash.slice(2)}`).waitFor();
    assert.deepEqual(await misfits(page), [], hash);
    assert.equal(await page.locator("main .trouble", { hasText: "The daemon does not answer" }).count(), 0, "the banner has told it");
  }
  await go(page, "#/users");
  await control("online");
  await page.getByRole("button", { name: "Try now" }).click();
  await page.waitForSelector(".banner", { state: "detached" });
  await page.getByRole("button", { name: "Remove bob" }).waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

test("what needs the reader is shortened where it is much, and shown whole on a press", async () => {
  await control("ugly");
  const { page, close } = await open();
  await login(page, mock.address);
  await page.locator(".need").first().waitFor();
  assert.equal(await page.locator(".need").count(), 8);
  await page.locator(".needs > button").click();
  await page.waitForFunction(() => document.querySelectorAll(".need").length > 20);
  await close();
});

test("of many peers one is found by its name", async () => {
  await control("ugly");
  const { page, close } = await open();
  await login(page, mock.address, "#/peers");
  await page.locator(".peer-card").nth(20).waitFor();
  await page.getByPlaceholder("Search by name or address").fill("192.168.1.1:");
  await page.waitForFunction(() => document.querySelectorAll(".peer-card").length === 1);
  await page.getByPlaceholder("Search by name or address").fill("nobody");
  await page.getByText("Nothing found").waitFor();
  await close();
});

test("the file that a link names is marked and in sight, in whatever order", async () => {
  await control("full");
  const { page, close } = await open();
  await login(page, mock.address, "#/files/scans?open=teaser-final-v2.mp4");
  const picked = page.locator(".row[aria-selected=true]");
  await picked.getByText("teaser-final-v2.mp4").waitFor();
  // Once what comes later, such as the details beside it, has taken its room.
  await page.waitForFunction(() => {
    const row = document.querySelector(".row[aria-selected=true]");
    return row && row.getBoundingClientRect().bottom <= row.closest("swarm-list").getBoundingClientRect().bottom + 1;
  });
  await page.getByRole("button", { name: "Size" }).click();
  await picked.getByText("teaser-final-v2.mp4").waitFor();
  await close();
});

test("the focus is seen wherever the Tab key brings it", async () => {
  await control("full");
  const { page, close } = await open({ height: 1200 });
  await login(page, mock.address);
  const found = new Set();
  for (const hash of ["#/", "#/files/scans?open=notes.md", "#/peers", "#/transfers", "#/conflicts", "#/users", "#/settings"]) {
    await go(page, hash);
    await page.evaluate(() => document.querySelector("h1").focus());
    for (let tabs = 0; tabs < 40; tabs += 1) {
      await page.keyboard.press("Tab");
      const lost = await page.evaluate(() => {
        const focused = document.activeElement;
        if (!focused || focused === document.body || focused.matches("audio, video")) return "";
        // A switch shows it on its track.
        const shown = focused.matches(".toggle input") ? focused.nextElementSibling : focused;
        const style = getComputedStyle(shown);
        const reach = Number.parseFloat(style.outlineWidth) + Number.parseFloat(style.outlineOffset);
        if (style.outlineStyle === "none" || Number.parseFloat(style.outlineWidth) < 2) return `no ring: ${shown.outerHTML.slice(0, 90)}`;
        const own = shown.getBoundingClientRect();
        for (let each = shown.parentElement; each && each !== document.body; each = each.parentElement) {
          const clip = getComputedStyle(each);
          if (clip.overflowX === "visible" && clip.overflowY === "visible") continue;
          const box = each.getBoundingClientRect();
          if (own.left - reach < box.left - 0.5 || own.right + reach > box.right + 0.5) return `its ring is cut: ${shown.outerHTML.slice(0, 90)}`;
        }
        return "";
      });
      if (lost) found.add(`${hash}: ${lost}`);
    }
  }
  await close();
  assert.deepEqual([...found], []);
});
