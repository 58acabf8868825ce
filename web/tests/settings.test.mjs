// The Settings view: limits at certain times, and how each library is kept.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SHOTS, axe, control, mock, open, rawKeys } from "./harness.mjs";
import { login } from "./shots.mjs";

const settingsOf = (page) => page.evaluate(async () => (await (await fetch("/api/v1/settings")).json()).config);
const keptOf = (page, guid) => page.evaluate(async (id) => (await fetch(`/api/v1/libraries/${id}`)).json(), guid);

async function patched(page, act) {
  const asked = page.waitForRequest((request) => request.method() === "PATCH");
  await act();
  return (await asked).postDataJSON();
}

test("limits at certain times are added, changed and removed", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/settings");
  const windows = page.locator(".window");
  await windows.first().waitFor();
  assert.equal(await windows.count(), 1);
  await page.getByText("What holds now: download 50.0\u00a0MB/s, upload 20.0\u00a0MB/s.").waitFor();
  assert.equal(await windows.first().getByRole("button", { pressed: true }).count(), 5, "Monday to Friday");
  await page.getByRole("button", { name: "Add times" }).click();
  const added = windows.nth(1);
  for (const day of ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]) {
    const button = added.getByRole("button", { name: day });
    if ((await button.getAttribute("aria-pressed")) === "false") await button.click();
  }
  await added.getByLabel("Times 2: From").fill("22:00");
  await added.getByLabel("Times 2: To").fill("06:00");
  await added.getByLabel("Times 2: Upload").fill("0");
  assert.deepEqual(await axe(page), []);
  await page.locator(".schedule").screenshot({ path: `${SHOTS}/schedule.png` });
  const save = () => page.getByRole("button", { name: "Save" }).click();
  const usual = { days: ["mon", "tue", "wed", "thu", "fri"], from: "08:00", to: "18:00", up: "2MB/s", down: "0" };
  assert.deepEqual(await patched(page, save), { limits: { schedule: [usual, { from: "22:00", to: "06:00", up: "0" }] } });
  await page.waitForSelector(".save-bar button[type=submit]:disabled", { state: "attached" });
  await page.getByRole("button", { name: "Remove: Times 1" }).click();
  await page.fill("input[name=port]", "9");
  await page.getByRole("button", { name: "Discard" }).click();
  // What was discarded is as the file has it, and nothing is gone that was not saved.
  await page.waitForFunction(() => document.querySelector("input[name=port]")?.value === "8000");
  await windows.nth(1).waitFor();
  assert.equal(await windows.count(), 2);
  await page.getByRole("button", { name: "Remove: Times 2" }).click();
  await page.getByRole("button", { name: "Remove: Times 1" }).click();
  assert.deepEqual(await patched(page, save), { limits: { schedule: null } });
  await page.waitForSelector(".save-bar button[type=submit]:disabled", { state: "attached" });
  assert.equal((await settingsOf(page)).limits.schedule, undefined);
  assert.deepEqual(wrong, []);
  await close();
  await control("full");
});

test("a library is shown to everybody once it was said what that does, and hidden again", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/settings");
  const line = (name) => page.locator(".setting", { hasText: name });
  await line("Scans").getByText("Deletions with 2 votes · moves at once · 100 changes and more with 2 votes").waitFor();
  await line("Scans").getByText("Old versions stay 30 days, fewer the older they are").waitFor();
  await line("Music").getByText("No policy of its own").waitFor();
  await page.getByText("/home/anna/swarm/subscriptions.json").waitFor();
  assert.ok(await line("Contracts").locator("input[role=switch]").isDisabled(), "it is sealed");
  await line("Scans").locator(".toggle").click();
  await page.locator("dialog").getByText("without a name and a password").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.screenshot({ path: `${SHOTS}/public.png` });
  assert.equal((await keptOf(page, "scans")).public, "no", "not before it was confirmed");
  assert.deepEqual(await patched(page, () => page.locator("dialog").getByRole("button", { name: "Show to everybody" }).click()), { public: "yes" });
  await page.getByText("Scans is public now.").waitFor();
  await line("Scans").getByRole("link", { name: "/public/scans/" }).waitFor();
  await line("Scans").locator(".toggle").click();
  await page.locator("dialog").getByRole("button", { name: "End public access" }).click();
  await line("Scans").getByText("Only users of this machine").waitFor();
  assert.deepEqual(await rawKeys(page), []);
  assert.deepEqual(wrong, []);
  await close();
  await control("full");
});

test("policy and old versions of a library are one change, and the file that has them is named", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/settings");
  await page.getByRole("button", { name: "Change how Scans is kept" }).click();
  const dialog = page.locator("dialog");
  await dialog.getByText("/home/anna/swarm/libraries.json").waitFor();
  await dialog.locator("input[name=days]").fill("90");
  await dialog.locator("input[name=bytes]").fill("a lot");
  await dialog.locator("input[name=delete]").fill("3");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText("Write gigabytes as a number").waitFor();
  await dialog.locator("input[name=bytes]").fill("2.5");
  const change = await patched(page, () => dialog.getByRole("button", { name: "Save" }).click());
  assert.deepEqual(change.retention, { days: 90, bytes: 2_500_000_000 });
  assert.deepEqual([change.policy.delete, change.priority], [3, 0]);
  const line = page.locator(".setting", { hasText: "Scans" });
  await line.getByText("Old versions stay 90 days · at most 2.50\u00a0GB together").waitFor();
  await line.getByText("Deletions with 3 votes").waitFor();
  assert.deepEqual(wrong, []);
  await close();
  await control("full");
});
