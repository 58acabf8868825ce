//! Changes that wait until enough trusted peers agree, and deletions of this disk that wait for a word.

import { get, post } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { askForm, attempt, confirm, notice, words } from "../parts/dialog.js";
import { ago, dateTime, name, plainName } from "../parts/format.js";
import { said, t, tx } from "../parts/i18n.js";
import { empty, field, lacking, need, pageHead, segmented, skeleton, troubleLine, who } from "../parts/pieces.js";
import { state, whoIs } from "../parts/state.js";
import { approveHere } from "./held.js";

const PATHS_SHOWN = 8;

/** @returns {import("../app.js").View} */
export function open() {
  return new Approvals();
}

class Approvals {
  constructor() {
    /** @type {Proposal[] | null} */
    this.proposals = null;
    this.trouble = "";
    this.shown = "open";
    this.seen = "";
    /** @type {Set<string>} proposals whose paths are all shown */
    this.whole = new Set();
    void this.load();
  }

  onStatus() {
    if (this.seen !== fingerprint()) void this.load();
  }

  async load() {
    this.seen = fingerprint();
    try {
      this.proposals = (await get("approvals?all=true")).proposals;
      this.trouble = "";
    } catch (error) {
      this.trouble = words(error);
    }
    state.redraw();
  }

  draw() {
    const waiting = (this.proposals ?? []).filter((each) => each.ended === null);
    const ended = (this.proposals ?? []).filter((each) => each.ended !== null);
    const held = (state.status?.libraries ?? []).filter((each) => each.held_here);
    const isOpen = this.shown === "open";
    const list = isOpen ? waiting : ended;
    return [
      pageHead({
        title: t("nav.approvals"), text: t("approvals.text"),
        actions: segmented({
          label: t("approvals.shown"), value: this.shown, choices: [["open", t("approvals.open", { n: waiting.length + held.length })], ["ended", t("approvals.ended", { n: ended.length })]],
          onChange: (value) => { this.shown = value; state.redraw(); },
        }),
      }),
      troubleLine(this.trouble),
      lacking("approvals.vote"),
      !this.proposals && !this.trouble && skeleton(2, "tall"),
      isOpen && held.map(heldHere),
      list.map((each) => this.card(each)),
      this.proposals && list.length === 0 && (!isOpen || held.length === 0) && (isOpen
        ? empty({ icon: "check", title: t("approvals.empty.title"), text: t("approvals.empty.text"), action: h("a.button", { href: "#/" }, t("nav.overview")) })
        : empty({ icon: "approvals", title: t("approvals.none_ended.title"), text: t("approvals.none_ended.text") })),
    ];
  }

  /** @param {Proposal} proposal */
  card(proposal) {
    const hasVoted = proposal.yes.some((node) => whoIs(node).isSelf);
    const isOwn = whoIs(proposal.author).isSelf;
    return h("article.card.proposal", { key: `${proposal.guid}-${proposal.id}` },
      h("header", null,
        h("div", null, h("h2", null, headline(proposal)), h("p.hint", null, tx("approvals.by", { who: who(proposal.author), library: h("strong", null, name(proposal.library)) }), " · ",
          h("time", { title: dateTime(proposal.seen_at_ms) }, ago(proposal.seen_at_ms)))),
        proposal.ended ? h("span.pill", { class: proposal.ended === "approved" ? "good" : "quiet" }, said("approvals.end", proposal.ended)) : votes(proposal)),
      this.paths(proposal),
      proposal.no.length > 0 && h("ul.said-no", null, proposal.no.map(([node, why]) => h("li", { key: node }, icon("close"), h("span", null, tx("approvals.no", { who: who(node) }), why && [": ", h("q", null, name(why))])))),
      !proposal.ended && h("footer", null,
        h("p.hint", null, t(hasVoted ? "approvals.you_agreed" : "approvals.what", { n: proposal.needed - proposal.yes.length })),
        h("div.actions", null,
          isOwn && h("button.button", { type: "button", onClick: () => this.withdraw(proposal), ...need("approvals.vote", proposal.guid) }, t("approvals.withdraw")),
          !isOwn && h("button.button.danger-quiet", { type: "button", onClick: () => this.refuse(proposal), ...need("approvals.vote", proposal.guid) }, t("approvals.refuse")),
          !hasVoted && h("button.button.primary", { type: "button", onClick: () => this.approve(proposal), ...need("approvals.vote", proposal.guid) }, t("approvals.approve")))));
  }

  /** @param {Proposal} proposal */
  paths(proposal) {
    const isWhole = this.whole.has(proposal.id);
    const shown = isWhole ? proposal.paths : proposal.paths.slice(0, PATHS_SHOWN);
    const rest = Math.max(proposal.changes, proposal.paths.length) - shown.length;
    return h("div.path-list", null,
      h("ul", null, shown.map((path, index) => h("li", { key: index }, icon(proposal.deleted.includes(path) ? "trash" : "changes"), h("span", null, name(path))))),
      rest > 0 && (isWhole || proposal.paths.length <= PATHS_SHOWN
        ? h("p.hint", null, t("approvals.more", { n: rest }))
        : h("button.link", { type: "button", onClick: () => { this.whole.add(proposal.id); state.redraw(); } }, t("approvals.show_more", { n: proposal.paths.length - shown.length }))));
  }

  /** @param {Proposal} proposal */
  async approve(proposal) {
    const isLast = proposal.needed - proposal.yes.length <= 1;
    const done = await confirm({
      title: t("approvals.approve.title", { library: plainName(proposal.library) }), text: headline(proposal),
      points: [t(isLast ? "approvals.approve.last" : "approvals.approve.counts", { n: proposal.needed - proposal.yes.length - 1 }), t("approvals.approve.kept")],
      undo: t("approvals.approve.undo"), action: t("approvals.approve"), isDanger: isLast && proposal.deletions > 0,
      work: () => post(`approvals/${encodeURIComponent(proposal.id)}`, { verdict: "yes" }),
    });
    if (done) this.voted(t("approvals.approve.done"));
  }

  /** @param {Proposal} proposal */
  async refuse(proposal) {
    const done = await askForm({
      title: t("approvals.refuse.title"), action: t("approvals.refuse"), isDanger: true,
      fields: () => [h("p", null, t("approvals.refuse.text", { who: plainName(whoIs(proposal.author).label) })),
        field({ label: t("approvals.refuse.why"), name: "why", focus: true, placeholder: t("approvals.refuse.example") })],
      submit: ({ why }) => post(`approvals/${encodeURIComponent(proposal.id)}`, { verdict: "no", why }),
    });
    if (done) this.voted(t("approvals.refuse.done"));
  }

  /** @param {Proposal} proposal */
  async withdraw(proposal) {
    const done = await confirm({
      title: t("approvals.withdraw.title"), text: t("approvals.withdraw.text"), undo: t("approvals.withdraw.undo"), action: t("approvals.withdraw"), isDanger: true,
      work: () => post(`approvals/${encodeURIComponent(proposal.id)}`, { verdict: "withdraw" }),
    });
    if (done) this.voted(t("approvals.withdraw.done"));
  }

  /** @param {string} text */
  voted(text) {
    notice(text);
    void attempt(() => this.load());
  }
}

function fingerprint() {
  return (state.status?.libraries ?? []).map((each) => `${each.guid}:${each.proposals}:${each.held_here}`).join();
}

/** @param {Proposal} proposal @returns {string} */
function headline(proposal) {
  if (proposal.deletions === proposal.changes) return t("approvals.deletions", { n: proposal.deletions });
  if (proposal.deletions === 0) return t("approvals.changes", { n: proposal.changes });
  return t("approvals.both", { n: proposal.changes, deletions: proposal.deletions });
}

/** @param {Proposal} proposal */
function votes(proposal) {
  const label = t("approvals.votes", { yes: proposal.yes.length, needed: proposal.needed });
  return h("div.votes", { title: proposal.yes.map((node) => plainName(whoIs(node).label)).join(", ") },
    h("span.vote-dots", { "aria-hidden": "true" }, Array.from({ length: Math.min(proposal.needed, 12) }, (_, index) => h("i", { class: index < proposal.yes.length ? "yes" : "" }))),
    h("span.num", null, label));
}

/** @param {Library} library */
function heldHere(library) {
  return h("article.card.proposal", { key: `held-${library.guid}` },
    h("header", null, h("div", null, h("h2", null, t("held.headline", { n: library.held_here ?? 0 })), h("p.hint", null, tx("held.where", { library: h("strong", null, name(library.name)) }))),
      h("span.pill.warn", null, h("i.dot"), t("library.state.held"))),
    h("p", null, t("need.held.detail")),
    h("ul.points", null, library.mounts.map((mount) => h("li", { key: mount.dir }, h("code", null, name(mount.dir))))),
    h("footer", null, h("p.hint", null, t("held.otherwise")),
      h("div.actions", null, h("button.button.danger-quiet", {
        type: "button", ...need("approvals.vote", library.guid),
        onClick: () => approveHere(library),
      }, t("need.held.action")))));
}
