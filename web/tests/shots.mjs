// Pictures of every view, for people to look at: `node shots.mjs FOLDER [view…]`.

import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { startMock } from "./mock.js";

export const VIEWS = [
  ["overview", "#/"], ["files", "#/files/scans"], ["file", "#/files/scans?open=notes.md"], ["picture", "#/files/scans?open=harbour-at-dawn.jpg"], ["frames", "#/files/frames"], ["peers", "#/peers"], ["transfers", "#/transfers"],
  ["conflicts", "#/conflicts"], ["approvals", "#/approvals"], ["changes", "#/changes"], ["users", "#/users"], ["settings", "#/settings"],
];
const SIZES = [["desk", 1440, 900], ["phone", 360, 780]];

/** CHROMIUM names the browser, by its path or by a name that PATH finds. */
export function browserPath() {
  const wanted = process.env.CHROMIUM || "chromium";
  if (wanted.includes("/")) return wanted;
  const found = (process.env.PATH ?? "").split(":").map((folder) => join(folder, wanted)).find((path) => existsSync(path));
  if (!found) throw new Error(`${wanted} is not in PATH: install chromium, or let CHROMIUM name a browser`);
  return found;
}

export async function launch() {
  return chromium.launch({ executablePath: browserPath(), args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"] });
}

export async function login(page, address, hash = "#/", user = "anna") {
  await page.goto(`${address}/${hash}`);
  await page.fill("input[name=username]", user);
  await page.fill("input[name=password]", user);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".shell h1");
}

async function main(folder, only) {
  mkdirSync(folder, { recursive: true });
  const mock = await startMock();
  const browser = await launch();
  for (const [size, width, height] of SIZES) {
    for (const scheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale: scheme === "dark" ? "de-DE" : "en-GB", deviceScaleFactor: size === "phone" ? 2 : 1 });
      const page = await context.newPage();
      page.on("console", (message) => message.type() === "error" && !/40[14]/.test(message.text()) && console.log(size, scheme, message.text()));
      page.on("pageerror", (error) => console.log(size, scheme, "page error", error.message));
      await page.goto(mock.address);
      await page.waitForSelector("form");
      if (!only.length || only.includes("login")) await page.screenshot({ path: `${folder}/login-${size}-${scheme}.png` });
      await login(page, mock.address);
      await page.waitForTimeout(size === "desk" && scheme === "light" ? 9000 : 2500);
      for (const [name, hash] of VIEWS) {
        if (only.length && !only.includes(name)) continue;
        await page.evaluate((to) => { location.hash = to; }, hash);
        await page.waitForTimeout(700);
        await page.screenshot({ path: `${folder}/${name}-${size}-${scheme}.png`, fullPage: !["files", "file", "picture", "frames"].includes(name) });
      }
      await context.close();
    }
  }
  await browser.close();
  mock.close();
}

if (process.argv[1]?.endsWith("shots.mjs")) await main(process.argv[2] ?? join(tmpdir(), "swarm-page-shots"), process.argv.slice(3));
