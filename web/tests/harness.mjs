// What the tests of the page share: one faked daemon and one browser for each file of tests. CHROMIUM names the browser, SHOTS the folder for pictures.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { startMock } from "./mock.js";
import { launch } from "./shots.mjs";

export const HERE = dirname(fileURLToPath(import.meta.url));
export const WEB = join(HERE, "..");
export const SHOTS = process.env.SHOTS ?? join(tmpdir(), "swarm-page-shots");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const EN = JSON.parse(readFileSync(join(WEB, "i18n/en.json"), "utf8"));

export let mock;
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
export async function open(options = {}) {
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
export const SHOWN = {
  overview: ".library-card", files: ".row .file-name", file: ".preview pre", picture: ".preview img", frames: ".row .file-name", peers: ".peer-card", transfers: ".transfer", conflicts: ".conflict", approvals: ".proposal",
  changes: ".log-line", users: ".line-list li", settings: ".setting",
};

export async function go(page, hash) {
  await page.evaluate((to) => { location.hash = to; }, hash);
  await page.waitForTimeout(350);
}

export async function axe(page) {
  await page.evaluate((source) => { if (!window.axe) { const run = new Function(source); run(); } }, AXE).catch(() => {});
  return page.evaluate(async () => {
    // Colours are looked at once everything has come to rest.
    await Promise.all(document.getAnimations().filter((each) => each.effect?.getComputedTiming().iterations !== Infinity).map((each) => each.finished.catch(() => {})));
    const found = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return found.violations.map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  });
}

/** Words of the page that are keys of texts: those texts are lacking. */
export async function rawKeys(page) {
  const areas = new Set(Object.keys(EN).map((key) => key.split(".")[0]));
  const text = await page.evaluate(() => document.body.innerText);
  return text.split(/\s+/).filter((word) => /^[a-z_]+(\.[a-z_-]+)+$/.test(word) && areas.has(word.split(".")[0]));
}

export const control = (what) => fetch(`${mock.address}/mock/${what}`, { method: "POST" });
