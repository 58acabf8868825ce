//! What needs me, what goes on now, and the libraries with their percent at each peer.

import { inLibrary, patch, post, remove } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { attempt, confirm, notice } from "../parts/dialog.js";
import { bytes, duration, name, percent, plainName, rate } from "../parts/format.js";
import { said, t, tx } from "../parts/i18n.js";
import { bar, empty, menu, need, pageHead, skeleton, statePill, tellLeft } from "../parts/pieces.js";
import { can, fileHash, filesHash, state } from "../parts/state.js";
import { approveHere } from "./held.js";
import { addLibrary, editLibrary, offeredByPeers, subscribe } from "./library-forms.js";
import { addPeer, thisMachine } from "./peers.js";
import { spanSeconds } from "../parts/spark.js";
import { tell } from "../parts/told.js";

const ERRORS_SHOWN = 6;
const NEEDS_SHOWN = 8;
const PEERS_SHOWN = 8;

/** @returns {import("../app.js").View} */
export function open() {
  /** Whether all that needs the reader is shown. */
  let isWhole = false;
  const showAll = () => {
    isWhole = true;
    state.redraw();
  };
  return { draw: () => (state.status ? page(state.status, isWhole ? null : showAll) : [pageHead({ title: t("nav.overview") }), skeleton(4, "tall")]) };
}

/** @param {Status} status @param {(() => void) | null} showAll shows the needs that are left out */
function page(status, showAll) {
  const known = status.peers.filter((peer) => peer.trust !== "unknown");
  const linked = known.filter((peer) => peer.connected).length;
  return [
    pageHead({
      title: t("nav.overview"),
      text: [t("overview.libraries", { n: status.libraries.length }), known.length > 0 && ` · ${t("overview.linked", { n: known.length, linked })}`],
      actions: can("libraries.manage") && status.libraries.length > 0 && [
        subscribeButton(),
        h("button.button.primary", { type: "button", onClick: addLibrary }, icon("plus"), t("overview.add")),
      ],
    }),
    needs(status, showAll),
    status.libraries.length > 0 && traffic(status),
    status.libraries.length > 0 && h("h2.section", null, t("overview.libraries_title")),
    status.libraries.length > 0 ? h("div.library-grid", null, status.libraries.map((each) => card(each, status))) : firstSteps(),
  ];
}

function firstSteps() {
  return [empty({
    icon: "library", title: t("overview.empty.title"), text: t("overview.empty.text"),
    action: can("libraries.manage") && h("div.actions", null,
      h("button.button.primary", { type: "button", onClick: addLibrary }, icon("plus"), t("overview.add")),
      subscribeButton(),
      h("button.button", { type: "button", onClick: () => addPeer(), ...need("peers.manage") }, icon("peers"), t("peers.add"))),
  }), can("peers.manage") && thisMachine()];
}

/** With the number of libraries that peers have and this machine has not. */
function subscribeButton() {
  const offered = offeredByPeers().length;
  return h("button.button.subscribe", { type: "button", onClick: subscribe }, icon("down"), t("overview.subscribe"), offered > 0 && h("span.count", null, String(offered)));
}

/** @typedef {{key: string, icon: string, tone: string, text: Child, detail?: Child, action?: Child}} Need */

/** @param {Status} status @param {(() => void) | null} showAll */
function needs(status, showAll) {
  const list = [...status.libraries.flatMap(needsOf), ...usersNeeds(), ...errorNeeds(status), ...lineNeeds(status)];
  // What is only to be known comes last.
  list.sort((a, b) => Number(a.tone === "quiet") - Number(b.tone === "quiet"));
  if (list.length === 0) {
    return status.libraries.length > 0 && h("p.all-well", null, icon("check"), h("span", null, t("overview.all_well")));
  }
  // One or two more are not worth a press.
  const shown = showAll && list.length > NEEDS_SHOWN + 2 ? list.slice(0, NEEDS_SHOWN) : list;
  return h("section.needs", { "aria-label": t("overview.needs") },
    h("h2.section", null, t("overview.needs"), h("span.count", null, String(list.length))),
    h("ul.card.need-list", null, shown.map((need) => h("li.need", { key: need.key, class: need.tone },
      icon(need.icon), h("div.need-text", null, h("p", null, need.text), need.detail && h("p.hint", null, need.detail)), need.action))),
    shown.length < list.length && h("button.button.small", { type: "button", onClick: showAll }, t("approvals.show_more", { n: list.length - shown.length })));
}

/** @param {Library} library @returns {Need[]} */
function needsOf(library) {
  // A description belongs to one place of the document: each sentence gets its own.
  const where = () => h("strong", null, name(library.name));
  /** @type {Need[]} */
  const list = [];
  const add = (/** @type {string} */ kind, /** @type {Omit<Need, "key">} */ need) => list.push({ key: `${library.guid}-${kind}`, ...need });
  const conflicts = library.conflicts + library.conflicts_elsewhere;
  if (conflicts > 0) {
    add("conflicts", { icon: "conflicts", tone: "warn", text: tx("need.conflicts", { n: conflicts, library: where() }), action: go("#/conflicts", t(can("conflicts.resolve", library.guid) ? "need.conflicts.action" : "need.look")) });
  }
  if (library.proposals > 0) {
    add("proposals", { icon: "approvals", tone: "warn", text: tx("need.proposals", { n: library.proposals, library: where() }), action: go("#/approvals", t(can("approvals.vote", library.guid) && !library.waiting ? "need.proposals.action" : "need.look")) });
  }
  if (library.held_here) {
    add("held", {
      icon: "hand", tone: "warn", text: tx("need.held", { n: library.held_here, library: where() }), detail: t("need.held.detail"),
      action: can("approvals.vote", library.guid) && h("button.button.small", { type: "button", onClick: () => approveHere(library) }, t("need.held.action")),
    });
  }
  if (library.state === "stopped") add("stopped", { icon: "warning", tone: "bad", text: tx("need.stopped", { library: where() }), detail: tell(library.activity_told, library.activity) });
  library.policy_differences.forEach((text, index) => add(`policy-${index}`, { icon: "info", tone: "quiet", text: tx("need.policy", { library: where() }), detail: text }));
  return list;
}

/** @returns {Need[]} */
function usersNeeds() {
  const n = state.proposedUsers.length;
  return n === 0 ? [] : [{ key: "users", icon: "users", tone: "warn", text: t("need.users", { n }), action: go("#/users", t("need.look")) }];
}

/** @param {Status} status @returns {Need[]} */
function errorNeeds(status) {
  const shown = status.errors.slice(0, ERRORS_SHOWN).map((error, index) => ({
    key: `error-${error.guid}-${error.file}-${error.issue}-${index}`,
    icon: "warning", tone: "bad",
    text: [h("strong", null, name(error.file || libraryName(status, error.guid))), " ", h("span.tag.bad", null, said("issue", error.issue))],
    detail: tell(error.told, error.detail),
    action: error.file && status.libraries.some((each) => each.guid === error.guid) && go(fileHash(error.guid, error.file), t("need.error.action")),
  }));
  const rest = status.errors.length - shown.length;
  return rest > 0 ? [...shown, { key: "error-rest", icon: "warning", tone: "bad", text: t("need.errors_more", { n: rest }) }] : shown;
}

/** @param {Status} status @returns {Need[]} */
function lineNeeds(status) {
  return [
    ...status.file_errors.map((text, index) => ({ key: `line-${index}`, icon: "warning", tone: "bad", text: t("need.file_error"), detail: h("code", null, text) })),
    ...status.file_warnings.map((text, index) => ({ key: `warning-${index}`, icon: "info", tone: "quiet", text: t("need.file_warning"), detail: h("code", null, text) })),
  ];
}

/** @param {Status} status @param {string} guid */
function libraryName(status, guid) {
  return status.libraries.find((each) => each.guid === guid)?.name ?? guid;
}

/** @param {string} href @param {string} label */
function go(href, label) {
  return h("a.button.small", { href }, label);
}

/** @param {Status} status */
function traffic(status) {
  return h("section.card.traffic", { "aria-label": t("overview.traffic") },
    flow("down", t("overview.receiving"), status.rate_down, state.rates.map((each) => ({ at: each.at, value: each.down }))),
    flow("up", t("overview.sending"), status.rate_up, state.rates.map((each) => ({ at: each.at, value: each.up }))));
}

/** @param {string} kind @param {string} label @param {number} now @param {{at: number, value: number}[]} samples */
function flow(kind, label, now, samples) {
  return h("div.flow", { class: kind },
    h("div.flow-head", null, h("span.flow-label", null, icon(`arrow-${kind}`), label), h("span.flow-span", null, t("overview.span", { time: duration(spanSeconds(samples)) }))),
    h("p.flow-rate", null, rate(now)),
    h("swarm-spark", { own: true, ".samples": samples, role: "presentation" }));
}

/** @param {Library} library @param {Status} status */
function card(library, status) {
  const tone = library.state === "stopped" ? "bad" : library.state === "paused" ? "quiet" : "";
  const missing = library.files - library.files_here;
  return h("article.card.library-card", { key: library.guid },
    h("header", null,
      h("div.card-title", null, h("h3", null, h("a", { href: filesHash(library.guid) }, name(library.name))),
        statePill(library.conflicts > 0 && ["up to date", "syncing"].includes(library.state) ? "conflict" : library.state)),
      libraryMenu(library)),
    h("div.library-percent", null, h("span.big-number", null, percent(library.percent)),
      h("span.library-size", null, h("span", null, t("library.files", { n: library.files })), h("span", null, bytes(library.bytes)))),
    bar(library.percent, { label: plainName(library.name), tone }),
    h("p.activity", null, tell(library.activity_told, library.activity) || (missing > 0 ? t("library.missing", { n: missing }) : t("library.level")),
      library.eta_seconds !== null && h("span.eta", null, t("library.eta", { time: duration(library.eta_seconds) }))),
    library.deletions_to_do > 0 && h("p.hint", null, t("library.deletions", { n: library.deletions_to_do })),
    peersOf(library, status));
}

/** @param {Library} library @param {Status} status */
function peersOf(library, status) {
  const rows = status.peers.flatMap((peer) => peer.libraries.filter((each) => each.guid === library.guid).map((each) => ({ peer, each })));
  if (rows.length === 0) return h("p.hint.library-peers", null, t("library.alone"));
  // One or two more are not worth a line of their own.
  const shown = rows.length > PEERS_SHOWN + 2 ? rows.slice(0, PEERS_SHOWN) : rows;
  return h("ul.library-peers", null, shown.map(({ peer, each }) => h("li", { key: peer.address },
    h("span.peer-name", null, h("i.dot", { class: peer.connected ? "good" : "quiet" }), name(peer.name || peer.address),
      !peer.connected && h("span.tag", null, t("peer.away"))),
    bar(each.percent, { label: plainName(peer.name || peer.address), slim: true, tone: peer.connected ? "" : "quiet" }),
    h("span.num", null, each.percent === "" ? "–" : percent(each.percent)))),
  shown.length < rows.length && h("li", { key: "rest" }, h("a", { href: "#/peers" }, t("changes.more", { n: rows.length - shown.length }))));
}

/** @param {Library} library */
function libraryMenu(library) {
  const isPaused = library.state === "paused";
  const isForbidden = !can("library.manage", library.guid);
  const title = isForbidden ? t("need.library.manage") : undefined;
  return menu(t("library.menu", { library: plainName(library.name) }), [
    { icon: "refresh", label: t("library.sync"), run: () => attempt(() => post(inLibrary(library.guid, "sync")), t("library.sync.done")), disabled: !can("library.write", library.guid), title: can("library.write", library.guid) ? undefined : t("need.library.write") },
    {
      icon: isPaused ? "play" : "pause", label: t(isPaused ? "library.resume" : "library.pause"), disabled: isForbidden, title,
      run: () => attempt(() => patch(inLibrary(library.guid), { paused: !isPaused }), t(isPaused ? "library.resume.done" : "library.pause.done")),
    },
    { icon: "approvals", label: t("library.verify"), run: () => verify(library), disabled: isForbidden, title },
    { icon: "settings", label: t("library.edit"), run: () => editLibrary(library), disabled: isForbidden, title },
    { icon: "undo", label: t("library.undo"), run: () => undoRun(library), disabled: !can("undo", library.guid), title: can("undo", library.guid) ? undefined : t("need.undo") },
    { icon: "trash", label: t("library.forget"), run: () => forget(library), isDanger: true, disabled: isForbidden, title },
  ]);
}

/** @param {Library} library */
function verify(library) {
  return confirm({
    title: t("verify.title", { library: plainName(library.name) }), text: t("verify.text", { n: library.files_here, size: bytes(library.bytes_here) }),
    undo: t("verify.undo"), action: t("verify.action"),
    work: async () => {
      /** @type {Verified} */
      const found = await post(inLibrary(library.guid, "verify"));
      const bad = found.bad.length + found.unreadable.length;
      notice(bad ? t("verify.bad", { n: bad }) : t("verify.good"), { kind: bad ? "bad" : "good" });
    },
  });
}

/** @param {Library} library */
async function undoRun(library) {
  /** @type {Done | undefined} */
  let result;
  await confirm({
    title: t("undo_run.title", { library: plainName(library.name) }), text: t("undo_run.text"), undo: t("undo_run.undo"), action: t("undo_run.action"), isDanger: true,
    work: async () => { result = await post(inLibrary(library.guid, "undo"), {}); },
  });
  if (!result) return;
  notice(t("undo_run.done", { n: result.performed }));
  await tellLeft(result);
}

/** @param {Library} library */
function forget(library) {
  return confirm({
    title: t("forget.title", { library: plainName(library.name) }),
    text: t("forget.text"),
    points: [t("forget.files", { n: library.files_here, size: bytes(library.bytes_here) }), ...library.mounts.map((mount) => h("code", null, name(mount.dir))), t("forget.peers")],
    undo: t("forget.undo"), action: t("forget.action"), isDanger: true,
    work: () => remove(inLibrary(library.guid)),
  }).then((done) => done && notice(t("forget.done", { library: plainName(library.name) })));
}

