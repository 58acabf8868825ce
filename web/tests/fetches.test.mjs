// The page in a real browser, against a daemon that is faked: a ticket or a manifest is given to be fetched. `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SHOTS, axe, control, mock, open, rawKeys } from "./harness.mjs";
import { login } from "./shots.mjs";

const TICKET = "swarm1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/** Lets go of a file or a text over the view, as a mouse would. */
const drop = (page, { file, text }) => page.evaluate(([name, data]) => {
  const given = new DataTransfer();
  if (name) given.items.add(new File([data], name));
  else given.setData("text/plain", data);
  const place = document.querySelector(".drop-place");
  for (const kind of ["dragenter", "dragover", "drop"]) place.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: given }));
}, file ?? [null, text]);

const job = (page, name) => page.locator(".job", { hasText: name });

test("a manifest that is dropped shows what will come, and becomes a transfer of its library and folder", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/transfers");
  await page.locator(".job").first().waitFor();
  await drop(page, { file: ["dailies.swarm", "SWRM"] });
  const dialog = page.locator("dialog[open]");
  await dialog.getByText("dailies.swarm").waitFor();
  await dialog.getByText(/Dailies · 2 files · 7\.00\u00a0GB/).waitFor();
  await dialog.getByText("Dailies/reel-2.mov").waitFor();
  assert.deepEqual(await axe(page), []);
  assert.deepEqual(await rawKeys(page), []);
  await page.screenshot({ path: `${SHOTS}/dialog-fetch.png` });
  await dialog.getByLabel("Library", { exact: true }).selectOption("frames");
  await dialog.getByLabel("Folder in the library").fill("/new");
  await dialog.getByRole("button", { name: "Fetch", exact: true }).click();
  await page.getByText("Fetching Dailies.").waitFor();
  await job(page, "reel-1.mov").getByText("By ticket · Film frames").waitFor();
  await control("full");
  assert.deepEqual(wrong, []);
  await close();
});

test("a ticket is pasted or typed with the keyboard alone, on a phone, and what is none is told at once", async () => {
  const { page, wrong, close } = await open({ width: 360, height: 780 });
  await login(page, mock.address, "#/transfers");
  await page.getByRole("button", { name: "Add ticket or manifest" }).focus();
  await page.keyboard.press("Enter");
  const field = page.locator("dialog[open] textarea");
  await field.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "TEXTAREA");
  await page.keyboard.type("hello");
  await page.locator("dialog[open]").getByText("paste the whole ticket").waitFor();
  assert.ok(await page.getByRole("button", { name: "Fetch", exact: true }).isDisabled());
  await field.fill(TICKET);
  await page.locator("dialog[open]").getByText(/known once one of the 2 machines/).waitFor();
  assert.deepEqual(await axe(page), []);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${over} px too wide`);
  await page.screenshot({ path: `${SHOTS}/dialog-fetch-phone.png` });
  await page.getByLabel("Folder in the library").focus();
  await page.keyboard.press("Enter");
  await page.getByText("Fetching the content of the ticket.").waitFor();
  await page.locator("dialog").waitFor({ state: "detached" });

  // Pasted over the view, it is in the dialog at once.
  await page.evaluate((text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", `take this: ${text}`);
    document.body.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, clipboardData }));
  }, TICKET);
  assert.equal(await page.locator("dialog[open] textarea").inputValue(), `take this: ${TICKET}`);
  await page.keyboard.press("Escape");
  await drop(page, { text: "nothing of the kind" });
  await page.getByText("That holds no ticket and no manifest.").waitFor();
  await control("full");
  assert.deepEqual(wrong, []);
  await close();
});

test("a fetch that is done says where it is and goes off the list, and one that is refused says by whom", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/transfers");
  const done = job(page, "Poster (2).tif");
  await done.getByText("1 file took another name").waitFor();
  assert.match(await done.getByRole("link").first().getAttribute("href"), /#\/files\/frames\/new\?open=new%2FPoster/);
  await job(page, "whose name is not known yet").getByText("A machine that has it refuses this one").waitFor();
  await done.getByRole("button", { name: "Take Poster (2).tif off the list" }).click();
  await done.waitFor({ state: "detached" });
  const coming = job(page, "Trailer");
  await coming.getByRole("button", { name: /^Cancel/ }).click();
  await page.getByText("what came of it is removed from this machine").waitFor();
  await page.getByRole("button", { name: "Cancel transfer" }).click();
  await coming.waitFor({ state: "detached" });
  await control("full");
  assert.deepEqual(wrong, []);
  await close();
});

test("who may only look cannot add a ticket, and is told why", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/transfers", "viewer");
  const button = page.getByRole("button", { name: "Add ticket or manifest" });
  await button.waitFor();
  assert.ok(await button.isDisabled());
  assert.match(await button.getAttribute("title"), /role/);
  await drop(page, { text: TICKET });
  assert.equal(await page.locator("dialog").count(), 0);
  assert.deepEqual(wrong, []);
  await close();
});
