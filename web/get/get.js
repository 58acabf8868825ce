//! The page that receives what a ticket names: `/get#TICKET`, with more nodes that have it as `&source=NODEID@HOST:PORT` each, and `&by=websocket` where
//! only that way is to be tried. All that is behind the `#`, so that no server sees it, and nothing is taken by a preview of the link.

import { Swarm } from "/swarm/src/index.js";

/** @param {string} id @returns {HTMLElement} */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {Swarm | null} */
let node = null;
/** @type {string | null} */
let content = null;
let isPaused = false;
/** By which transport a node is reached. @type {Map<string, string>} */
const ways = new Map();
/** The names of transports for people. @type {Record<string, string>} */
const WAYS = { webtransport: "WebTransport", websocket: "WebSocket" };
/** The last attempt that failed, by node. @type {Map<string, string>} */
const failures = new Map();

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = /** @type {HTMLTextAreaElement} */ ($("ticket")).value.trim();
});
$("again").addEventListener("click", () => void receive());
$("pause").addEventListener("click", () => void pauseOrGoOn());
$("remove").addEventListener("click", () => void remove());
addEventListener("hashchange", () => location.reload());
void receive();

async function receive() {
  $("again").hidden = true;
  try {
    const { ticket, sources, ways } = asked();
    $("ask").hidden = ticket !== "";
    if (!ticket) return tell("A ticket names what is to be received, and who has it.");
    tell("Starting…");
    node ??= await start(ways);
    const fetching = await node.fetch(ticket, { onProgress: show, sources });
    content = fetching.content;
    $("about").hidden = false;
    tell("Looking for the files…");
    await fetching.done;
    await offer();
  } catch (error) {
    $("ask").hidden = false;
    fail(/** @type {Error} */ (error).message);
  }
}

/** What the address of the page says. */
function asked() {
  const [ticket, ...rest] = location.hash.slice(1).split("&");
  const more = new URLSearchParams(rest.join("&"));
  const ways = more.getAll("by").filter((way) => way in WAYS);
  return { ticket: decodeURIComponent(ticket), sources: more.getAll("source"), ways: ways.length > 0 ? ways : undefined };
}

/** @param {string[] | undefined} transports */
async function start(transports) {
  const started = await Swarm.start({ persist: true, transports });
  started.on("transport", ({ node, transport, outcome, reason }) => {
    if (outcome === "open") ways.set(node, WAYS[transport] ?? transport);
    else failures.set(node, `${WAYS[transport] ?? "the address"}: ${reason}`);
  });
  started.on("progress", ({ peers }) => showPeers(peers));
  return started;
}

/** @param {import("/swarm/src/index.js").Progress} progress */
function show({ name, phase, totalLen, verifiedLen, bytesPerSec, files }) {
  if (name) {
    $("name").textContent = name;
    document.title = totalLen ? `${Math.floor((100 * verifiedLen) / totalLen)} % ${name}` : name;
  }
  const isFetching = phase === "fetching" || phase === "paused";
  $("bar").hidden = totalLen === 0;
  $("figures").hidden = !isFetching;
  $("pause").hidden = !isFetching;
  if (totalLen > 0) {
    const percent = (100 * verifiedLen) / totalLen;
    $("fill").style.width = `${percent}%`;
    $("bar").setAttribute("aria-valuenow", percent.toFixed(0));
    $("received").textContent = `${bytes(verifiedLen)} of ${bytes(totalLen)}`;
    $("rate").textContent = bytesPerSec > 0 ? `${bytes(bytesPerSec)}/s` : "–";
    $("left").textContent = bytesPerSec > 0 ? duration((totalLen - verifiedLen) / bytesPerSec) : "–";
    if ($("list").childElementCount !== files.length) $("list").replaceChildren(...files.map(({ path, len }) => row(text(path), len)));
  }
  const words = /** @type {Record<string, string>} */ ({ connecting: "Looking for the files…", manifest: "Reading the list of files…", opening: "Making room…", fetching: "Receiving. You may close this page and go on later.", finishing: "Finishing…", paused: "Paused." });
  if (words[phase]) tell(words[phase]);
}

/** @param {{node: string, isLinked: boolean, receivedLen: number, sentLen: number}[]} peers */
function showPeers(peers) {
  const rows = peers.filter((peer) => peer.isLinked || peer.receivedLen > 0 || peer.sentLen > 0).slice(0, 50).map((peer) => {
    const row = document.createElement("tr");
    const cells = [peer.node.slice(0, 8), peer.isLinked ? (ways.get(peer.node) ?? "came by itself") : "gone", bytes(peer.receivedLen), bytes(peer.sentLen)];
    row.append(...cells.map((words, at) => cell(words, at > 1)));
    return row;
  });
  $("peers").replaceChildren(...rows);
  const unreached = peers.filter((peer) => !peer.isLinked && failures.has(peer.node)).slice(0, 5);
  $("attempts").textContent = unreached.map((peer) => `${peer.node.slice(0, 8)} was not reached by ${failures.get(peer.node)}.`).join(" ");
}

/** Everything is there: links that save the files. */
async function offer() {
  const saved = await /** @type {Swarm} */ (node).save(/** @type {string} */ (content));
  $("bar").hidden = $("figures").hidden = $("pause").hidden = true;
  $("files").replaceChildren(...saved.map(({ path, len, file }) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(/** @type {File} */ (file));
    link.download = path.split("/").pop() ?? path;
    link.textContent = path;
    return row(link, len);
  }));
  $("done").hidden = false;
  tell("Everything is here.");
}

async function pauseOrGoOn() {
  if (!node || !content) return;
  isPaused = !isPaused;
  await (isPaused ? node.pause(content) : node.resume(content));
  $("pause").textContent = isPaused ? "Go on" : "Pause";
}

async function remove() {
  if (!node || !content) return;
  await node.leave(content);
  $("done").hidden = $("about").hidden = true;
  $("again").hidden = false;
  tell("Removed from this browser.");
}

/** @param {string} words */
function tell(words) {
  $("state").textContent = words;
  $("state").className = "";
}

/** @param {string} reason */
function fail(reason) {
  const last = [...failures.values()].pop();
  $("state").textContent = `${capital(reason)}.${last ? ` Last attempt by ${last}.` : ""}`;
  $("state").className = "bad";
  $("again").hidden = false;
  $("pause").hidden = true;
}

/** @param {HTMLElement} name @param {number} len */
function row(name, len) {
  const item = document.createElement("li");
  const size = text(bytes(len));
  size.className = "num";
  item.append(name, size);
  return item;
}

/** @param {string} words */
function text(words) {
  const span = document.createElement("span");
  span.textContent = words;
  return span;
}

/** @param {string} words @param {boolean} isNumber */
function cell(words, isNumber) {
  const data = document.createElement("td");
  data.textContent = words;
  if (isNumber) data.className = "num";
  return data;
}

/** @param {number} len */
function bytes(len) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (len >= 1000 && at < units.length - 1) {
    len /= 1000;
    at += 1;
  }
  return `${at === 0 ? len.toFixed(0) : len.toPrecision(3)} ${units[at]}`;
}

/** @param {number} secs */
function duration(secs) {
  if (secs < 90) return `${Math.ceil(secs)} s`;
  if (secs < 5400) return `${Math.round(secs / 60)} min`;
  return `${(secs / 3600).toFixed(1)} h`;
}

/** @param {string} words */
function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
