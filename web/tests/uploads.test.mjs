// Long files on their way into a library, over cuts, pauses and reloads, in a real browser against a daemon that is faked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SHOTS, axe, control, mock, open } from "./harness.mjs";
import { login } from "./shots.mjs";

/** More than goes in one request; long enough that a slow daemon is still taking it when it is paused. */
const LEN = 24 * 2 ** 20;

/** Drops the same file: its bytes, name and time. */
function drop(page, name = "long.mov") {
  return page.evaluate(([len, called]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(len)], called, { lastModified: 1_700_000_000_000 }));
    const target = document.querySelector(".files");
    target.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  }, [LEN, name]);
}

/** What the page sent of uploads: method, and from which byte on. */
function listen(page) {
  const asked = [];
  page.on("request", (request) => request.url().includes("/uploads/") && asked.push([request.method(), request.headers()["upload-offset"] ?? ""].join(" ").trim()));
  return asked;
}

async function files(page) {
  await page.waitForSelector(".row .file-name");
}

test("a long upload goes on after its connection is lost", async () => {
  const { page, close } = await open();
  await login(page, mock.address, "#/files/scans");
  await files(page);
  const asked = listen(page);
  await control("cut-uploads");
  await drop(page, "cut.mov");
  await page.getByText("It goes on by itself.").waitFor();
  await page.screenshot({ path: `${SHOTS}/upload-lost.png` });
  assert.deepEqual(await axe(page), []);
  await page.getByText("1 file uploaded").waitFor();
  await page.locator(".row", { hasText: "cut.mov" }).waitFor();
  const parts = asked.filter((each) => each.startsWith("PATCH"));
  assert.deepEqual([parts.length, parts[0]], [2, "PATCH 0"]);
  assert.ok(Number(parts[1].split(" ")[1]) > 4_000_000, "what came is not sent again");
  await close();
});

test("a long upload is paused, resumed, cancelled, and goes on after a reload with the same file", async () => {
  const { page, wrong, close } = await open();
  await login(page, mock.address, "#/files/scans");
  await files(page);
  const asked = listen(page);
  await control("slow-uploads");
  await drop(page);
  const pause = page.getByRole("button", { name: "Pause long.mov" });
  await page.locator(".uploads [role=progressbar]").waitFor();
  await page.waitForFunction(() => Number(document.querySelector(".uploads [role=progressbar]")?.getAttribute("aria-valuenow")) > 2);
  await pause.click();
  await page.getByText(/^Paused at \d+ %/).waitFor();
  await page.screenshot({ path: `${SHOTS}/upload-paused.png` });
  assert.deepEqual(await axe(page), []);
  await page.getByRole("button", { name: "Resume long.mov" }).click();
  await pause.waitFor();
  assert.ok(asked.includes("HEAD"), "it is asked how far it is");
  await page.reload();
  await files(page);
  asked.length = 0;
  await drop(page);
  await page.waitForFunction(() => Number(document.querySelector(".uploads [role=progressbar]")?.getAttribute("aria-valuenow")) > 2);
  assert.ok(!asked.includes("POST"), "it is the same upload");
  assert.ok(Number(asked.find((each) => each.startsWith("PATCH")).split(" ")[1]) > 0, asked.join());
  await page.getByRole("button", { name: "Cancel long.mov" }).click();
  await page.getByText("The upload was stopped.").waitFor();
  await page.waitForFunction(async () => (await (await fetch("/api/v1/uploads/scans")).json()).length === 0);
  await control("fast-uploads");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("1 file uploaded").waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

test("what a long upload would replace is asked for, and its bytes are not sent again", async () => {
  const { page, close } = await open();
  await login(page, mock.address, "#/files/scans");
  await files(page);
  const asked = listen(page);
  await drop(page, "notes.md");
  await page.getByText("There is a file of that name.").waitFor();
  await page.getByRole("button", { name: "Replace" }).click();
  await page.getByText("1 file uploaded").waitFor();
  assert.deepEqual(asked.filter((each) => each.startsWith("PATCH")), ["PATCH 0", `PATCH ${LEN}`]);
  await close();
});
