// The Peers view: how near peers are, and machines of the local network.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SHOTS, axe, control, go, mock, open, rawKeys } from "./harness.mjs";
import { login } from "./shots.mjs";

test("a peer tells how near it is, what it runs, and when it was there last", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/peers");
  const card = (who) => page.locator(".peer-card", { hasText: who });
  const factOf = (who, label) => card(who).locator(`dt:text-is("${label}") + dd`);
  assert.equal(await factOf("bob", "Round trip").innerText(), "0.8\u00a0ms");
  assert.equal(await factOf("datacentre", "Round trip").innerText(), "18\u00a0ms");
  assert.equal(await factOf("bob", "Program").innerText(), "swarm/0.1.0");
  assert.equal(await factOf("eve", "Program").innerText(), "swarmU+202E/9.9 <i>", "what a stranger says is shown as text");
  assert.equal(await factOf("carla-studio", "Last connected").innerText(), "yesterday");
  assert.equal(await factOf("carla-studio", "Round trip").count(), 0);
  await card("carla-studio").getByText("is known once it is connected").waitFor();
  await card("bob").locator(".library-peers").getByText("91.4\u00a0%").waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

test("a machine of the local network is added once its key was shown, and is not trusted for that", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/peers");
  const line = page.locator(".lan li", { hasText: "192.168.1.44:8000, [fd00::44]:8000" });
  await line.waitFor();
  assert.equal(await page.locator(".lan li").count(), 3);
  assert.equal(await page.locator(".lan li", { hasText: "bob" }).getByRole("button").count(), 0, "who is a peer is not added again");
  await line.getByRole("button").click();
  const dialog = page.locator("dialog");
  const key = (await dialog.locator("input[name=address]").inputValue()).split("@")[0];
  assert.match(key, /^[0-9a-f]{64}$/);
  assert.equal((await dialog.locator(".key-digits").innerText()).replaceAll(" ", ""), key);
  assert.equal(await dialog.locator("input[name=trusted]").isChecked(), false);
  assert.deepEqual(await axe(page), []);
  await page.screenshot({ path: `${SHOTS}/lan-add.png` });
  const asked = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/peers"));
  await dialog.getByRole("button", { name: "Add peer" }).click();
  assert.deepEqual((await asked).postDataJSON(), { address: `${key}@192.168.1.44:8000`, trusted: false });
  await page.locator(".peer-card", { hasText: "192.168.1.44:8000" }).getByText("Not trusted").waitFor();
  await line.locator(".tag").waitFor();
  assert.deepEqual(await rawKeys(page), []);
  assert.deepEqual(wrong, []);
  await close();
  await control("full");
});

test("who may not manage peers sees none of the network, and a node that does not look says so", async () => {
  const viewer = await open();
  await login(viewer.page, mock.address, "#/peers", "viewer");
  await viewer.page.locator(".peer-card").first().waitFor();
  assert.equal(await viewer.page.locator(".lan").count(), 0);
  await viewer.close();
  await control("empty");
  const { page, wrong, close } = await open({ locale: "de-DE" });
  await login(page, mock.address);
  await go(page, "#/peers");
  await page.getByText("sucht im lokalen Netz nicht nach anderen").waitFor();
  assert.deepEqual(await rawKeys(page), []);
  assert.deepEqual(wrong, []);
  await close();
  await control("full");
});
