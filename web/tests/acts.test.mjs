// The page in a real browser, against a daemon that is faked: what its readers do, and what happens to their connection. `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SHOTS, axe, control, go, mock, open, rawKeys } from "./harness.mjs";
import { login } from "./shots.mjs";

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
  await page.getByText("The user name or the password is wrong.").waitFor();
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

test("a file on its way shows its chunks and sources, and is paused, resumed, cancelled and put first", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/transfers");
  const job = (name) => page.locator(".job", { hasText: name });
  const first = job("Harbour at dawn");
  await first.getByText("As fast as the limit of this machine allows").waitFor();
  assert.match(await first.innerText(), /5\.30\u00a0GB of 8\.60\u00a0GB · 41\.2\u00a0MB\/s · 1 minute left/);
  await page.getByText("2 further transfers are not shown.").waitFor();
  // By the keyboard alone.
  await page.getByRole("button", { name: "Chunks and sources of Harbour" }).focus();
  await page.keyboard.press("Enter");
  await first.locator(".strip").first().waitFor();
  assert.deepEqual(await first.locator(".heat-name").evaluateAll((all) => all.map((each) => each.textContent.slice(0, 10))), ["this machi", "bob", "datacentre", "eveU+202E<"]);
  assert.match(await first.locator(".strip").nth(2).getAttribute("aria-label"), /^datacentre has \d+ of 513 chunks and is asked for 16\.0\u00a0MB$/);
  assert.ok((await first.locator(".strip rect").count()) < 60, "cells of one shade are one rectangle");
  assert.deepEqual(await axe(page), []);
  await page.screenshot({ path: `${SHOTS}/transfer-open.png`, fullPage: true });
  await first.getByLabel("Priority").selectOption("low");
  await page.getByRole("button", { name: "Pause Harbour" }).click();
  await first.getByText("Paused until you resume it.").waitFor();
  assert.equal(await first.getByLabel("Priority").inputValue(), "low");
  await page.getByRole("button", { name: "Resume Harbour" }).click();
  await first.getByText("Receiving").waitFor();
  await page.getByRole("button", { name: "Cancel Pier" }).click();
  await page.getByText("It is not fetched to this machine.").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.getByRole("button", { name: "Cancel transfer" }).click();
  await job("Pier").getByText("Not fetched to this machine until you resume it.").waitFor();
  assert.equal(await page.locator(".job", { hasText: "gpj.mov" }).locator(".code-point").first().innerText(), "U+202E");
  await control("full");
  assert.deepEqual(wrong, []);
  await close();
});

test("who may only look sees transfers and steers none", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/transfers", "viewer");
  const pause = page.getByRole("button", { name: "Pause Harbour" });
  await pause.waitFor();
  assert.ok(await pause.isDisabled());
  assert.match(await pause.getAttribute("title"), /role|administrators/);
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
  const marks = await changing.locator(".path-list li").evaluateAll((lines) => lines.map((line) => line.querySelector("use").getAttribute("href").split("#icon-")[1]));
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
  const rates = async () => ({ ...(await settings()).limits, schedule: undefined });
  assert.deepEqual(await rates(), { up: "1MB/s", down: "50MB/s", schedule: undefined });
  await save({ "limits.up": "", "tls.cert": "", "tls.key": "" });
  assert.deepEqual([await rates(), (await settings()).tls], [{ down: "50MB/s", schedule: undefined }, undefined]);
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
  await page.getByText("The present password is another one.").waitFor();
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
