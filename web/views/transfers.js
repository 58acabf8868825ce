//! What moves now: each file that comes, libraries that are not whole, peers that are behind, and the rate of each peer.

import { notice } from "../parts/dialog.js";
import { h, icon } from "../parts/dom.js";
import { bytes, duration, name, percent, plainName, rate } from "../parts/format.js";
import { t, tx } from "../parts/i18n.js";
import { bar, empty, pageHead, skeleton } from "../parts/pieces.js";
import { filesHash, peerRates, state } from "../parts/state.js";
import { addFetch, givenIn, needTarget, targets } from "./fetches.js";
import { Jobs } from "./jobs.js";

const GOING_SHOWN = 20;

/** @returns {import("../app.js").View} */
export function open() {
  const jobs = new Jobs();
  const drop = { isOver: false };
  const add = (/** @type {File | string | null} */ given) => {
    if (targets().length > 0 && !document.querySelector("dialog[open]")) void addFetch(given, () => void jobs.look());
  };
  const onPaste = (/** @type {ClipboardEvent} */ event) => {
    const isField = event.target instanceof Element && event.target.closest("input, textarea, select");
    const given = isField ? null : givenIn(event.clipboardData);
    if (given !== null) add(given);
  };
  document.addEventListener("paste", onPaste);
  return {
    draw: () => (state.status
      ? h("div.drop-place", { key: "drop", ...dropHandlers(drop, add) }, page(state.status, jobs, () => add(null)), drop.isOver && h("div.drop-veil", null, icon("down"), h("p", null, needTarget().title ?? t("fetch.drop"))))
      : [pageHead({ title: t("nav.transfers") }), skeleton(3, "tall")]),
    close: () => {
      document.removeEventListener("paste", onPaste);
      jobs.close();
    },
  };
}

/** @param {{isOver: boolean}} drop @param {(given: File | string) => void} add */
function dropHandlers(drop, add) {
  const over = (/** @type {boolean} */ isOver) => (/** @type {DragEvent} */ event) => {
    const types = event.dataTransfer?.types ?? [];
    if (!types.includes("Files") && !types.includes("text/plain")) return;
    event.preventDefault();
    if (drop.isOver === isOver) return;
    if (!isOver && event.relatedTarget instanceof Node && /** @type {Element} */ (event.currentTarget).contains(event.relatedTarget)) return;
    drop.isOver = isOver;
    state.redraw();
  };
  return {
    onDragenter: over(true), onDragover: over(true), onDragleave: over(false),
    onDrop: (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      drop.isOver = false;
      const given = givenIn(event.dataTransfer);
      if (given !== null) add(given);
      else notice(t("fetch.no_ticket"), { kind: "bad" });
      state.redraw();
    },
  };
}

/** @param {Status} status @param {Jobs} jobs @param {() => void} add */
function page(status, jobs, add) {
  const coming = status.libraries.filter((library) => library.files_here < library.files && !isStill(library));
  const going = status.peers.filter((peer) => peer.connected).flatMap((peer) => peer.libraries.filter((each) => isBehind(each, status)).map((each) => ({ peer, each })));
  const linked = status.peers.filter((peer) => peer.connected);
  return [
    pageHead({ title: t("nav.transfers"), text: t("transfers.text", { down: rate(status.rate_down), up: rate(status.rate_up) }),
      actions: status.libraries.length > 0 && h("button.button", { type: "button", onClick: add, ...needTarget() }, icon("plus"), t("fetch.open")) }),
    jobs.draw(),
    coming.length + going.length + jobs.count === 0 && (status.libraries.length > 0 ? empty({ icon: "check", title: t("transfers.none.title"), text: t("transfers.none.text") })
      : empty({ icon: "transfers", title: t("transfers.none.title"), text: t("transfers.none.no_library"), action: h("a.button", { href: "#/" }, t("nav.overview")) })),
    coming.length > 0 && h("section", { key: "coming" }, h("h2.section", null, t("transfers.coming"), h("span.count", null, String(coming.length))),
      h("ul.card.line-list", null, coming.map((library) => incoming(library, status)))),
    going.length > 0 && h("section", { key: "going" }, h("h2.section", null, t("transfers.going"), h("span.count", null, String(going.length))),
      h("ul.card.line-list", null, going.slice(0, GOING_SHOWN).map(({ peer, each }) => outgoing(peer, each))),
      going.length > GOING_SHOWN && h("p.hint", null, t("jobs.further", { n: going.length - GOING_SHOWN }))),
    linked.length > 0 && h("section", { key: "peers" }, h("h2.section", null, t("transfers.peers")), h("p.lede", null, t("transfers.peers.text")),
      h("ul.card.line-list", null, linked.map(peerLine))),
  ];
}

/** Whether nothing moves in a library, whatever is lacking. @param {Library} library */
function isStill(library) {
  return ["paused", "stopped"].includes(library.state);
}

/** Whether a peer lacks files of a library that this machine could send. @param {PeerLibrary} each @param {Status} status */
function isBehind(each, status) {
  const own = status.libraries.find((library) => library.guid === each.guid);
  return own !== undefined && !isStill(own) && own.files_here > 0 && each.percent !== "" && Number(each.percent) < 100;
}

/** @param {Library} library @param {Status} status */
function incoming(library, status) {
  const sources = status.peers.filter((peer) => peer.connected && peer.libraries.some((each) => each.guid === library.guid && each.is_shared && Number(each.percent) > 0));
  return h("li.transfer", { key: library.guid },
    icon("arrow-down"),
    h("div.line-text", null,
      h("strong", null, h("a", { href: filesHash(library.guid) }, name(library.name))),
      h("span.hint", null, t("transfers.left", { n: library.files - library.files_here, size: bytes(library.bytes - library.bytes_here) }),
        library.eta_seconds !== null && ` · ${t("library.eta", { time: duration(library.eta_seconds) })}`),
      h("span.hint", null, sources.length > 0 ? tx("transfers.from", { who: sources.flatMap((peer, index) => [index ? ", " : "", name(peer.name || peer.address)]) }) : t("transfers.from_nobody"))),
    bar(library.percent, { label: plainName(library.name) }),
    h("span.num", null, percent(library.percent)));
}

/** @param {Peer} peer @param {PeerLibrary} each */
function outgoing(peer, each) {
  const title = peer.name || peer.address;
  return h("li.transfer", { key: `${peer.node ?? peer.address} ${each.guid}` },
    icon("arrow-up"),
    h("div.line-text", null,
      h("strong", null, h("a", { href: filesHash(each.guid) }, name(each.name))),
      h("span.hint", null, tx("transfers.to", { who: name(title) }), each.activity && [" · ", each.activity])),
    bar(each.percent, { label: `${plainName(each.name)}, ${plainName(title)}` }),
    h("span.num", null, percent(each.percent)));
}

/** @param {Peer} peer */
function peerLine(peer) {
  const { down, up } = peerRates(peer);
  return h("li.transfer-peer", { key: peer.node ?? peer.address },
    icon("peers"),
    h("div.line-text", null, h("strong", null, name(peer.name || peer.address)),
      h("span.hint", null, t("transfers.totals", { received: bytes(peer.received), sent: bytes(peer.sent) }))),
    h("span.num", { title: t("overview.receiving") }, icon("arrow-down"), h("span.visually-hidden", null, t("overview.receiving")), " ", rate(down)),
    h("span.num", { title: t("overview.sending") }, icon("arrow-up"), h("span.visually-hidden", null, t("overview.sending")), " ", rate(up)));
}
