// The smoke path in Firefox, by WebDriver BiDi: log in, see the overview, open a file. `node firefox.mjs [FOLDER for pictures]`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { startMock } from "./mock.js";

const SHOTS = process.argv[2] ?? tmpdir();
const profile = mkdtempSync(join(tmpdir(), "swarm-firefox-"));
const firefox = spawn(process.env.FIREFOX ?? "firefox-esr", ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
const mock = await startMock();
const wrong = [];

try {
  const address = await new Promise((resolve, reject) => {
    let said = "";
    firefox.stderr.on("data", (text) => {
      said += text;
      const found = /WebDriver BiDi listening on (ws:\S+)/.exec(said);
      if (found) resolve(found[1]);
    });
    setTimeout(() => reject(new Error(`Firefox does not listen: ${said}`)), 60_000).unref();
  });
  const bidi = await connect(`${address}/session`);
  await bidi("session.new", { capabilities: {} });
  await bidi("session.subscribe", { events: ["log.entryAdded"] });
  const { contexts } = await bidi("browsingContext.getTree", {});
  const { context } = contexts[0];
  const run = async (expression) => (await bidi("script.evaluate", { expression, target: { context }, awaitPromise: true })).result?.value;
  const until = async (expression) => {
    for (let tries = 0; tries < 100; tries += 1) {
      if (await run(expression)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`never true: ${expression}; the page: ${await run("document.body.innerText.slice(0, 400)")}`);
  };
  const shot = async (name) => writeFileSync(join(SHOTS, `firefox-${name}.png`), Buffer.from((await bidi("browsingContext.captureScreenshot", { context })).data, "base64"));

  await bidi("browsingContext.setViewport", { context, viewport: { width: 1440, height: 900 } });
  await bidi("browsingContext.navigate", { context, url: mock.address, wait: "complete" });
  await until("!!document.querySelector('input[name=password]')");
  await shot("login");
  await run("for (const each of document.querySelectorAll('input')) each.value = 'anna'; document.querySelector('form').requestSubmit()");
  await until("fetch('/api/v1/status').then((answer) => answer.json()).then(({ libraries }) => libraries.length > 0 && document.querySelectorAll('.library-card').length === libraries.length)");
  await new Promise((resolve) => setTimeout(resolve, 3000));
  await shot("overview");
  await run("location.hash = '#/files/scans?open=notes.md'");
  await until("!!document.querySelector('.preview pre')");
  await shot("file");
  await run("location.hash = '#/conflicts'");
  await until("document.querySelectorAll('.diff-row').length > 5");
  await shot("conflicts");
  assert.ok((await run("document.documentElement.scrollWidth - innerWidth")) <= 0);
  assert.deepEqual(wrong, []);
  console.log("firefox: ok");
} finally {
  firefox.kill();
  mock.close();
  setTimeout(() => rmSync(profile, { recursive: true, force: true }), 500);
}

/** A function that sends a command and waits for its result. @param {string} url */
async function connect(url) {
  const socket = new WebSocket(url, { maxPayload: 64 << 20 });
  const waiting = new Map();
  let last = 0;
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  socket.on("message", (text) => {
    const message = JSON.parse(text);
    if (message.method === "log.entryAdded" && message.params.level === "error" && !/favicon/.test(message.params.text)) wrong.push(message.params.text);
    const [resolve, reject] = waiting.get(message.id) ?? [];
    if (message.type === "success") resolve?.(message.result);
    else if (message.type === "error") reject?.(new Error(`${message.error}: ${message.message}`));
  });
  return (method, params) => new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, [resolve, reject]);
    socket.send(JSON.stringify({ id: last, method, params }));
  });
}
