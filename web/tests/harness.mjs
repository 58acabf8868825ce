// What the tests of the page share: one faked daemon and one browser for each file of tests. CHROMIUM names the browser, SHOTS the folder for pictures.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { startMock } from "./mock.js";
import { launch } from "./shots.mjs";

export { SHOWN } from "./shown.mjs";

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

/** What does not fit in what is shown now: text that is cut or outside its box, buttons that overlap, icons without a picture, and with `forFingers` what is too small to hit. */
export function misfits(page, { forFingers = false } = {}) {
  return page.evaluate((fingers) => {
    const found = new Set();
    const say = (what, element) => found.add(`${what}: ${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""} “${(element.innerText ?? "").slice(0, 40).replaceAll("\n", " ")}”`);
    const styleOf = (element) => getComputedStyle(element);
    const over = document.documentElement.scrollWidth - innerWidth;
    if (over > 0) found.add(`the page is ${over} px too wide`);
    // Under an open dialog nothing is used.
    const root = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
    const seen = [...root.querySelectorAll("*")].filter((each) => each.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !each.closest(".visually-hidden, .skip, noscript, .sprite"));

    for (const each of seen) {
      const style = styleOf(each);
      // Where a reader scrolls on purpose, nothing is cut.
      if (each.matches("html, body, swarm-list, pre, textarea, select, input, option, .diff, .terminal, .bar, .bar *, svg, svg *, swarm-spark")) continue;
      if (style.overflowX !== "visible" && style.textOverflow !== "ellipsis" && each.scrollWidth > each.clientWidth + 1) say("is cut on its right", each);
      if (["hidden", "clip"].includes(style.overflowY) && each.scrollHeight > each.clientHeight + 1 && style.textOverflow !== "ellipsis") say("is cut at its end", each);
      if (each.matches("button, .button") && (each.scrollWidth > each.clientWidth + 1)) say("has more text than room", each);
      if (each.matches("svg.icon") && each.firstElementChild?.getBBox().width === 0) say("is an icon without a picture", each.parentElement);
    }

    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const parent = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !seen.includes(parent)) continue;
      const range = document.createRange();
      range.selectNodeContents(walker.currentNode);
      const box = parent.closest(".card, dialog, .details, .sidebar, .banner, .button, .tag, .pill, .heat-name, .peer-name, main") ?? root;
      const place = box.getBoundingClientRect();
      let clips = parent;
      while (clips && clips !== box && styleOf(clips).overflowX === "visible") clips = clips.parentElement;
      if (clips !== box) continue;
      for (const rect of range.getClientRects()) if (rect.right > place.right + 1 || rect.left < place.left - 1) say("stands outside its box", parent);
    }

    const pressed = seen.filter((each) => each.matches("button, a[href], select, summary, textarea, input") && !each.matches(".toggle input"));
    const rectOf = (each) => each.getBoundingClientRect();
    const isFixed = (each) => each.closest(".tab-bar, .save-bar, .dialog-foot, #notices, .menu-list, .columns, .list-foot, .details, .banner") !== null;
    for (const [index, each] of pressed.entries()) {
      const one = rectOf(each);
      const isInline = each.matches("a") && styleOf(each).display === "inline";
      // A link in a line of text has padding, which moves nothing.
      if (fingers && one.width > 0 && (one.height < (isInline ? 34 : 39.5) || (!isInline && one.width < 39.5))) say(`is ${Math.round(one.width)} × ${Math.round(one.height)} px, too small for a finger`, each);
      for (const other of pressed.slice(index + 1)) {
        if (each.contains(other) || other.contains(each) || isFixed(each) || isFixed(other) || isInline || styleOf(other).display === "inline" || each.closest("swarm-list") || other.closest("swarm-list")) continue;
        const two = rectOf(other);
        if (Math.min(one.right, two.right) - Math.max(one.left, two.left) > 2 && Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top) > 2) say("overlaps with another", each);
      }
    }
    return [...found];
  }, forFingers);
}
