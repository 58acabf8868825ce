#!/usr/bin/env node
//! `swarm-fetch TICKET`: fetches what a ticket names into a folder, with progress. Exit codes are those of the command `swarm`.

import { parseArgs } from "node:util";
import { Swarm, SwarmError } from "../src/index.js";

/** @import { Progress, SwarmEvent } from "../index.d.ts" */

const HELP = `Fetches what a ticket names, from peers that serve it by WebSocket (\`swarm seed --web\`), and checks every byte.

usage: swarm-fetch TICKET [options]

  -o, --output DIR               the folder that receives the files (default: the current one)
      --source NODEID@HOST:PORT  one more node that has the content; may be repeated
      --patience SECS            how long to wait for a source that makes progress (default: 60)
      --json                     print one JSON object a line: ready, progress, peer, done, error
  -h, --help                     print this

Run the same command again to go on with a fetch that ended. Exit codes: 0 done, 1 something else, 2 wrong usage, 3 no source,
4 the target differs, 5 data is not what the ticket says, 6 the disk, 7 not authorised, 130 interrupted.
`;
const LINE_MS = 1000;

/** @param {number} code @param {string} text @returns {never} */
function exit(code, text) {
  (code === 0 ? process.stdout : process.stderr).write(text);
  process.exit(code);
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        output: { type: "string", short: "o", default: "." },
        source: { type: "string", multiple: true, default: [] },
        patience: { type: "string", default: "60" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    return exit(2, `swarm-fetch: ${/** @type {Error} */ (error).message}\n`);
  }
}

const { values, positionals } = parse();
if (values.help) exit(0, HELP);
if (positionals.length !== 1) exit(2, HELP);
const patienceMs = Number(values.patience) * 1000;
if (!(patienceMs >= 0)) exit(2, `swarm-fetch: --patience ${values.patience}: give a number of seconds\n`);

const isTerminal = process.stderr.isTTY === true;
/** The exit code that the first signal asks for. */
const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort();
  });
}
// A reader that has enough is no news.
process.stdout.on("error", () => process.exit(141));

let shownAt = 0;
/** The last reason why an address was not reached, which says more than that no source was found. */
let lastAttempt = "";

process.exitCode = await run(positionals[0]);

/** @param {string} ticket @returns {Promise<number>} */
async function run(ticket) {
  /** @type {Swarm | null} */
  let node = null;
  try {
    node = await Swarm.start({ folder: values.output });
    node.on("event", tell);
    const fetching = await node.fetch(ticket, { sources: values.source, patienceMs, onProgress: show, signal: interruption.signal });
    say({ event: "ready", node: node.id, content: fetching.content });
    const { content, name } = await fetching.done;
    const files = await node.save(content);
    clearLine();
    const bytes = files.reduce((sum, { len }) => sum + len, 0);
    if (values.json) say({ event: "done", content, name, bytes, files: files.map(({ path, len, location }) => ({ path, bytes: len, location })) });
    else for (const { location } of files) process.stdout.write(`${location}\n`);
    return 0;
  } catch (thrown) {
    clearLine();
    const error = SwarmError.from(thrown);
    const message = error.category === "no_source" && lastAttempt ? `${error.message}; the last attempt: ${lastAttempt}` : error.message;
    if (values.json) say({ event: "error", category: error.category, code: error.code, message });
    else process.stderr.write(`swarm-fetch: ${message}\n`);
    return error.code;
  } finally {
    await node?.close().catch(() => {});
  }
}

/** @param {SwarmEvent} event */
function tell(event) {
  if (event.kind === "transport" && event.outcome !== "open") lastAttempt = `${event.address}: ${event.reason}`;
  if (event.kind === "peerJoined") say({ event: "peer", state: "joined", node: event.node, detail: event.agent });
  if (event.kind === "peerLost") say({ event: "peer", state: "lost", node: event.node, detail: event.reason });
  if (event.kind === "peerBanned") say({ event: "peer", state: "banned", node: event.node, detail: event.reason });
}

/** @param {Progress} progress */
function show({ name, phase, totalLen, verifiedLen, durableLen, bytesPerSec }) {
  const isDue = performance.now() - shownAt >= LINE_MS;
  if (!isTerminal && !isDue) return;
  if (values.json && !isDue) return;
  shownAt = performance.now();
  if (values.json) return say({ event: "progress", phase, bytes: totalLen, verified_bytes: verifiedLen, durable_bytes: durableLen, bytes_per_sec: bytesPerSec });
  if (!isTerminal) return;
  const percent = totalLen > 0 ? Math.floor((100 * verifiedLen) / totalLen) : 0;
  const left = bytesPerSec > 0 && totalLen > verifiedLen ? `  ${duration((totalLen - verifiedLen) / bytesPerSec)} left` : "";
  const line = totalLen === 0 ? `${phase}…` : `${printable(name)}  ${percent} %  ${bytes(verifiedLen)} of ${bytes(totalLen)}  ${bytes(bytesPerSec)}/s${left}`;
  process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
}

function clearLine() {
  if (isTerminal && !values.json) process.stderr.write("\r\x1b[K");
}

/** @param {object} event */
function say(event) {
  if (values.json) process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** A name of a peer's choosing cannot control the terminal. @param {string} text */
function printable(text) {
  return text.replace(/[\0-\x1f\x7f-\x9f]/g, "?");
}

/** @param {number} len */
function bytes(len) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; len >= 1000 && at < units.length - 1; at++) len /= 1000;
  return `${at === 0 ? len.toFixed(0) : len.toFixed(1)} ${units[at]}`;
}

/** @param {number} secs */
function duration(secs) {
  const [minutes, seconds] = [Math.floor(secs / 60), Math.round(secs % 60)];
  return minutes > 0 ? `${minutes} min` : `${seconds} s`;
}
