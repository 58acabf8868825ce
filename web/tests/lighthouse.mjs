// Lighthouse of every view, before and after the login, against a faked daemon: accessibility 100, best practices 95 or more. In dark, too, with
// SWARM_LONG_TESTS: what colours alone can make wrong, axe looks for in both.
// `node lighthouse.mjs [VIEW…]`; CHROMIUM names the browser.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch as launchChrome } from "chrome-launcher";
import lighthouse from "lighthouse";
import { chromium } from "playwright-core";
import { SHOWN } from "./shown.mjs";
import { startMock } from "./mock.js";
import { VIEWS, browserPath, login } from "./shots.mjs";

/** The stream of events never ends: Lighthouse would wait for it as long as it may. */
const LOAD_MAX = 5_000;
const SCHEMES = process.env.SWARM_LONG_TESTS ? ["light", "dark"] : ["light"];
const WANTED = { accessibility: 100, "best-practices": 95 };

/** What the browser of that port, with its session and colours, says of one address. */
async function measured(port, url) {
  const result = await lighthouse(url, {
    port, output: "json", logLevel: "error", onlyCategories: Object.keys(WANTED), disableStorageReset: true, formFactor: "desktop",
    screenEmulation: { disabled: true }, throttlingMethod: "simulate", maxWaitForLoad: LOAD_MAX,
  });
  const { categories, audits, runtimeError } = result.lhr;
  if (runtimeError) throw new Error(`${url}: ${runtimeError.message}`);
  const faults = [];
  for (const [name, least] of Object.entries(WANTED)) {
    const score = Math.round(categories[name].score * 100);
    if (score >= least) continue;
    const failed = categories[name].auditRefs.map(({ id }) => audits[id]).filter((audit) => audit.score !== null && audit.score < 1);
    faults.push(`${name} ${score}: ${failed.map((audit) => `${audit.id} ${JSON.stringify((audit.details?.items ?? []).slice(0, 3)).slice(0, 600)}`).join("; ")}`);
  }
  return { faults, scores: Object.keys(WANTED).map((name) => Math.round(categories[name].score * 100)) };
}

/** Whether the address shows what its view is for: a redirect to the login would be measured in vain. */
async function shows(context, url, selector) {
  const page = await context.newPage();
  await page.goto(url);
  await page.locator(selector).first().waitFor();
  await page.close();
}

async function ofScheme({ context, port, mock }, scheme, only) {
  const wrong = [];
  const look = async (name, hash, selector) => {
    if (only.length && !only.includes(name)) return;
    const url = `${mock.address}/${hash}`;
    await shows(context, url, selector);
    const { faults, scores } = await measured(port, url);
    console.log(`${name}, ${scheme}: ${scores.join(", ")}`);
    wrong.push(...faults.map((fault) => `${name}, ${scheme}: ${fault}`));
  };
  await context.clearCookies();
  const page = await context.newPage();
  await page.goto(mock.address);
  await page.evaluate((theme) => localStorage.setItem("swarm.theme", theme), scheme);
  await page.reload();
  await look("login", "", "form");
  await login(page, mock.address);
  if ((await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)) !== scheme) throw new Error(`the page is not ${scheme}`);
  await page.close();
  for (const [name, hash] of VIEWS) await look(name, hash, SHOWN[name]);
  return wrong;
}

const mock = await startMock();
const profile = mkdtempSync(join(tmpdir(), "swarm-lighthouse-"));
const chrome = await launchChrome({ chromePath: browserPath(), chromeFlags: ["--headless=new", "--no-sandbox", "--disable-gpu", "--force-color-profile=srgb", "--window-size=1440,900"], userDataDir: profile, logLevel: "error" });
const wrong = [];
try {
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${chrome.port}`);
  const [context] = browser.contexts();
  for (const scheme of SCHEMES) wrong.push(...(await ofScheme({ context, port: chrome.port, mock }, scheme, process.argv.slice(2))));
  await browser.close();
} finally {
  await chrome.kill();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  mock.close();
}
for (const each of wrong) console.error(each);
process.exitCode = wrong.length > 0 ? 1 : 0;
