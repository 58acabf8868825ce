//! The machines that this one knows: whom it trusts, how far they are, and how others reach it.

import { get, patch, post, remove } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { askForm, confirm, notice, openDialog, words } from "../parts/dialog.js";
import { ago, bytes, dateTime, name, percent, plainName, roundTrip } from "../parts/format.js";
import { t, tx } from "../parts/i18n.js";
import { bar, copyField, empty, fact, field, lacking, menu, need, pageHead, searchField, skeleton, toggle, troubleLine } from "../parts/pieces.js";
import { can, state } from "../parts/state.js";
import { tell } from "../parts/told.js";
import { qrCode } from "./share.js";

/** Fewer peers than these are found at a glance. */
const SEARCHED_FROM = 9;

/** @returns {import("../app.js").View} */
export function open() {
  const lan = new LanList();
  const search = { text: "" };
  return { draw: () => (state.status ? page(state.status, lan, search) : [pageHead({ title: t("nav.peers") }), skeleton(3, "tall")]) };
}

/** @param {Status} status @param {LanList} lan @param {{text: string}} search */
function page(status, lan, search) {
  const known = status.peers.filter((peer) => peer.trust !== "unknown");
  const told = status.peers.filter((peer) => peer.trust === "unknown");
  return [
    pageHead({
      title: t("nav.peers"), text: t("peers.text"),
      actions: h("button.button.primary", { type: "button", onClick: () => addPeer(), ...need("peers.manage") }, icon("plus"), t("peers.add")),
    }),
    lacking("peers.manage"),
    thisMachine(),
    known.length >= SEARCHED_FROM && h("div.toolbar", { key: "search" }, searchField(t("peers.search"), (text) => { search.text = text; })),
    known.length > 0
      ? peerGrid(known, search.text)
      : empty({ icon: "peers", title: t("peers.empty.title"), text: t("peers.empty.text"), action: can("peers.manage") && h("button.button.primary", { type: "button", onClick: () => addPeer() }, icon("plus"), t("peers.add")) }),
    told.length > 0 && [
      h("h2.section", null, t("peers.told.title")),
      h("p.lede", null, t("peers.told.text")),
      h("ul.card.line-list.machines", null, told.map(toldPeer)),
    ],
    can("peers.manage") && lan.draw(),
  ];
}

/** @param {Peer[]} known @param {string} text that their names or addresses have */
function peerGrid(known, text) {
  const found = known.filter((peer) => [peer.name, peer.address, peer.node ?? ""].some((each) => each.toLowerCase().includes(text)));
  return found.length > 0 ? h("div.peer-grid", null, found.map(card)) : empty({ icon: "search", title: t("files.nothing.title"), text: t("changes.nothing.text") });
}

/** Machines on the local network. What they say of themselves is a key and addresses: either may be another's, so the key is compared by people. */
class LanList {
  constructor() {
    /** @type {Lan | null} */
    this.lan = null;
    this.trouble = "";
    if (can("peers.manage")) void this.load();
  }

  async load() {
    try {
      this.lan = await get("lan");
      this.trouble = "";
    } catch (error) {
      this.trouble = words(error);
    }
    state.redraw();
  }

  draw() {
    const nodes = this.lan?.nodes ?? [];
    return h("section.lan", { key: "lan", "aria-label": t("lan.title") },
      h("div.section-head", null, h("h2.section", null, t("lan.title")), h("button.button.small", { type: "button", onClick: () => void this.load() }, icon("refresh"), t("lan.again"))),
      h("p.lede", null, t(this.lan && !this.lan.is_looking ? "lan.off" : "lan.text")),
      troubleLine(this.trouble),
      nodes.length > 0 ? h("ul.card.line-list.machines", null, nodes.map((each) => this.line(each))) : this.lan?.is_looking && h("p.hint", null, t("lan.nobody")));
  }

  /** @param {Lan["nodes"][number]} found */
  line(found) {
    const known = state.status?.peers.find((peer) => peer.node === found.node && peer.trust !== "unknown");
    return h("li", { key: found.node },
      h("div.line-text", null, h("strong", null, found.addresses.join(", ")), h("code.hint", { title: found.node }, digits(found.node.slice(0, 16)), "…")),
      known ? h("span.tag", null, known.name ? name(known.name) : t("lan.known"))
        : h("button.button.small", { type: "button", "aria-label": t("lan.add_what", { address: found.addresses[0] }), onClick: () => void this.add(found) }, t("peers.told.add")));
  }

  /** @param {Lan["nodes"][number]} found */
  async add({ node, addresses }) {
    await addPeer({ node, address: addresses[0], name: "" }, node);
    await this.load();
  }
}

/** Hexadecimal digits, as people compare them. @param {string} key */
function digits(key) {
  return (key.match(/.{1,4}/g) ?? []).join(" ");
}

export function thisMachine() {
  const node = state.node;
  if (!node) return null;
  return h("section.card.self-card", { "aria-label": t("peer.this") },
    h("header", null, h("h2", null, name(node.name), h("span.tag", null, t("peer.this"))), h("span.hint", null, `swarm ${node.version}`)),
    h("p.hint", null, t("peers.self.text")),
    h("div.copy-grid", null, copyField(t("peers.address"), node.address), copyField(t("peers.fingerprint"), node.fingerprint)),
    h("div.actions", null, h("button.button", { type: "button", onClick: () => showAddress(node.address) }, icon("image"), t("peers.qr"))));
}

/** @param {string} address */
function showAddress(address) {
  return openDialog({
    title: t("peers.qr.title"),
    content: () => h("div.dialog-body", null, h("p", null, t("peers.qr.text")), qrCode(address, t("peers.qr")), copyField(t("peers.address"), address)),
  });
}

/** @param {Peer} peer */
function card(peer) {
  const title = peer.name || peer.address;
  return h("article.card.peer-card", { key: peer.node ?? peer.address },
    h("header", null,
      h("span.avatar", { class: peer.connected ? "good" : "quiet", "aria-hidden": "true" }, icon("peers")),
      h("div.peer-title", null, h("h3", null, name(title)),
        h("p.hint", null, h("i.dot", { class: peer.connected ? "good" : "quiet" }), " ", t(peer.connected ? "peer.linked" : "peer.away"), peer.user && [" · ", tx("peer.as_user", { user: name(peer.user) })])),
      menu(t("peer.menu", { peer: plainName(title) }), [
        { icon: "trash", label: t("peer.remove"), isDanger: true, run: () => removePeer(peer), disabled: !can("peers.manage"), title: can("peers.manage") ? undefined : t("need.peers.manage") },
      ])),
    peer.trouble && h("p.trouble", null, icon("warning"), h("span", null, tell(peer.trouble_told, peer.trouble))),
    trust(peer),
    shared(peer),
    h("dl.facts", null,
      peer.round_trip_us !== null && fact(t("peer.round_trip"), roundTrip(peer.round_trip_us), "num"),
      peer.last_seen_ms !== null && fact(t("peer.last_seen"), h("time", { title: dateTime(peer.last_seen_ms) }, ago(peer.last_seen_ms))),
      peer.protocol !== null && fact(t("peer.program"), h("span", { title: t("peer.protocol", { version: plainName(peer.protocol) }) }, name(peer.agent ?? t("peer.program.untold")))),
      fact(t("peer.address"), h("code", null, name(peer.address)), "wide"),
      fact(t("peer.received"), bytes(peer.received), "num"),
      fact(t("peer.sent"), bytes(peer.sent), "num"),
      peer.node && fact(t("peer.node"), h("code", { title: peer.node }, `${peer.node.slice(0, 16)}…`), "wide")));
}

/** @param {Peer} peer */
function trust(peer) {
  if (peer.trust === "mirror") return h("p.trust-line", null, h("span.tag", null, t("trust.mirror")), h("span.hint", null, t("trust.mirror.text")));
  const isTrusted = peer.trust === "trusted";
  return toggle({
    label: t(isTrusted ? "trust.trusted" : "trust.untrusted"), hint: t(isTrusted ? "trust.trusted.text" : "trust.untrusted.text"),
    checked: isTrusted, disabled: !can("peers.manage"), title: can("peers.manage") ? undefined : t("need.peers.manage"),
    onChange: () => changeTrust(peer, !isTrusted),
  });
}

/** @param {Peer} peer */
function shared(peer) {
  if (peer.libraries.length === 0) return h("p.hint", null, t(peer.connected ? "peer.nothing_shared" : "peer.not_known_now"));
  return h("ul.library-peers", null, peer.libraries.map((each) => h("li", { key: each.guid },
    h("span.peer-name", null, name(each.name), !each.is_shared && h("span.tag", null, t("peer.not_shared"))),
    bar(each.percent, { label: plainName(each.name), slim: true, tone: peer.connected ? "" : "quiet" }),
    h("span.num", null, each.percent === "" ? "–" : percent(each.percent)),
    each.activity && h("span.hint.row-hint", null, each.activity))));
}

/** @param {Peer} peer */
function idOf(peer) {
  return encodeURIComponent(peer.node ?? peer.address);
}

/** @param {Peer} peer @param {boolean} trusted */
function changeTrust(peer, trusted) {
  const who = plainName(peer.name || peer.address);
  const kind = trusted ? "trust.give" : "trust.end";
  return confirm({
    title: t(`${kind}.title`, { peer: who }), text: t(`${kind}.text`, { peer: who }), points: [t(`${kind}.point1`), t(`${kind}.point2`)],
    undo: t(`${kind}.undo`), action: t(`${kind}.action`), isDanger: !trusted,
    work: () => patch(`peers/${idOf(peer)}`, { trusted }),
  }).then((done) => done && notice(t(`${kind}.done`, { peer: who })));
}

/** @param {Peer} peer */
function removePeer(peer) {
  const who = plainName(peer.name || peer.address);
  return confirm({
    title: t("peer.remove.title", { peer: who }), text: t("peer.remove.text"), points: [t("peer.remove.point")], undo: t("peer.remove.undo"),
    action: t("peer.remove.action"), isDanger: true, work: () => remove(`peers/${idOf(peer)}`),
  }).then((done) => done && notice(t("peer.remove.done", { peer: who })));
}

/** @param {Peer} peer */
function toldPeer(peer) {
  return h("li", { key: peer.node ?? peer.address },
    h("div.line-text", null, h("strong", null, name(peer.name || peer.address)),
      h("span.hint", null, tx("peers.told.by", { who: peer.told_by.flatMap((each, index) => [index ? ", " : "", name(each)]) })), peer.name && h("code.hint", null, name(peer.address))),
    h("button.button.small", { type: "button", onClick: () => addPeer(peer), ...need("peers.manage") }, t("peers.told.add")));
}

/** @param {Pick<Peer, "address" | "node" | "name">} [told] @param {string} [key] to be compared first */
export async function addPeer(told, key) {
  const address = told ? (told.node && !told.address.includes("@") ? `${told.node}@${told.address}` : told.address) : "";
  const done = await askForm({
    title: t("peers.add.title"), action: t("peers.add"),
    fields: () => [
      key ? [h("p.lede", null, t("lan.compare")), h("p.key-digits", { "aria-label": t("lan.key") }, h("code", null, digits(key)))] : h("p.lede", null, t("peers.add.text")),
      field({ label: t("peers.add.address"), name: "address", value: address, required: true, focus: !told, mono: true, placeholder: "NODEID@host:port", hint: t("peers.add.address.hint") }),
      field({ label: t("peers.add.name"), name: "name", value: told?.name ?? "", hint: t("peers.add.name.hint") }),
      toggle({ label: t("trust.trusted"), hint: t("trust.trusted.text"), name: "trusted", checked: false }),
      h("details.more-fields", null, h("summary", null, t("peers.add.more")),
        toggle({ label: t("trust.mirror"), hint: t("trust.mirror.text"), name: "mirror", checked: false }),
        field({ label: t("peers.add.user"), name: "username", hint: t("peers.add.user.hint") }),
        field({ label: t("login.password"), name: "password", type: "password", autocomplete: "new-password" })),
    ],
    submit: (fields) => post("peers", {
      address: fields.address.trim(), trusted: fields.trusted === "on", mirror: fields.mirror === "on" || undefined,
      name: fields.name || undefined, username: fields.username || undefined, password: fields.password || undefined,
    }),
  });
  if (done) notice(t("peers.add.done"));
}

