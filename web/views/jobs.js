//! The files that are fetched now, one line each: how far each is, from whom, why it is slow. An opened one shows which chunks are here and which each
//! peer has. Invariant: what was answered to an earlier question replaces nothing newer.

import { get, post } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { confirm, notice, words } from "../parts/dialog.js";
import { bytes, duration, name, number, percent, plainName, rate } from "../parts/format.js";
import { t } from "../parts/i18n.js";
import { bar, need, troubleLine, who } from "../parts/pieces.js";
import { fileHash, filesHash, library, state, whoIs } from "../parts/state.js";

const LOOK_MS = 1500;
/** @type {Record<TransferState, string>} */
const TONES = { fetching: "live", opening: "live", queued: "quiet", failing: "bad", paused: "quiet", cancelled: "quiet", done: "good" };

export class Jobs {
  constructor() {
    /** @type {TransferList | null} */
    this.list = null;
    /** @type {TransferDetail | null} */
    this.detail = null;
    /** The id of the one that is open. */
    this.openId = "";
    this.trouble = "";
    this.isOver = false;
    this.asked = 0;
    this.timer = 0;
    void this.look();
  }

  close() {
    this.isOver = true;
    clearTimeout(this.timer);
  }

  get count() {
    return (this.list?.transfers.length ?? 0) + (this.list?.further ?? 0);
  }

  async look() {
    clearTimeout(this.timer);
    this.asked += 1;
    const { asked, openId } = this;
    try {
      const [list, detail] = await Promise.all([get("transfers"), openId ? get(at(openId)).catch(() => null) : null]);
      if (asked !== this.asked || this.isOver) return;
      this.list = list;
      this.detail = detail;
      this.trouble = "";
    } catch (error) {
      if (asked !== this.asked || this.isOver) return;
      this.trouble = words(error);
    }
    this.timer = setTimeout(() => void this.look(), LOOK_MS);
    state.redraw();
  }

  draw() {
    const { list } = this;
    if (!list || this.count === 0) return troubleLine(this.trouble);
    return h("section", { key: "jobs" },
      h("h2.section", null, t("jobs.title"), h("span.count", null, number(this.count))),
      troubleLine(this.trouble),
      h("ul.card.line-list.jobs", null, list.transfers.map((job) => this.line(job))),
      list.further > 0 && h("p.hint", null, t("jobs.further", { n: list.further })));
  }

  /** @param {Transfer} job */
  line(job) {
    const isOpen = job.id === this.openId;
    const label = title(job);
    const shown = job.state === "fetching" && ["asked", "nobody"].includes(job.why?.reason ?? "") ? "queued" : job.state;
    const share = job.bytes > 0 ? String(((job.bytes_here + job.bytes_coming) / job.bytes) * 100) : "0";
    return h("li.job", { key: job.id },
      h("div.job-head", null,
        h("button.icon-button.job-open", { type: "button", "aria-expanded": String(isOpen), "aria-label": t("jobs.open", { name: label }), title: t("jobs.open", { name: label }), onClick: () => this.toggle(job) }, icon("chevron", isOpen ? "is-open" : "")),
        h("div.line-text", null,
          h("strong", null, h("a", { href: job.path && (job.kind === "library" || job.state === "done") ? fileHash(job.library, job.path) : filesHash(job.library) }, titleOf(job))),
          h("span.hint", null, job.kind === "ticket" && `${t("jobs.kind.ticket")} · `, name(job.library_name), " · ", t("jobs.bytes", { here: bytes(job.bytes_here), all: bytes(job.bytes) }), job.state === "fetching" && ` · ${rate(job.rate)}`,
            job.eta_seconds !== null && ` · ${t("library.eta", { time: duration(job.eta_seconds) })}`),
          job.renamed > 0 && h("span.hint.job-why", null, t("jobs.renamed", { n: job.renamed })),
          job.why && h("span.hint.job-why", null, whyText(job.why))),
        h("div.job-share", null, bar(share, { label, tone: TONES[job.state] === "live" ? "" : TONES[job.state] }), h("span.num", null, percent(job.bytes > 0 ? String((job.bytes_here / job.bytes) * 100) : ""))),
        h("span.pill", { class: TONES[shown] }, h("i.dot"), t(`jobs.state.${shown}`)),
        this.actions(job, label)),
      isOpen && this.opened(job));
  }

  /** @param {Transfer} job @param {string} label */
  actions(job, label) {
    const isHeld = job.state === "cancelled" || (job.state === "paused" && !["library_paused", "no_rate"].includes(job.why?.reason ?? ""));
    const may = need(rightOf(job), job.library);
    if (job.kind === "ticket" && job.state === "done") {
      return h("div.actions", null, h("button.icon-button", { type: "button", "aria-label": t("jobs.clear", { name: label }), title: t("jobs.clear", { name: label }), onClick: () => this.steer(job, { action: "cancel" }), ...may }, icon("close")));
    }
    return h("div.actions", null,
      isHeld || (job.kind === "ticket" && job.state === "failing")
        ? h("button.icon-button", { type: "button", "aria-label": t("jobs.resume", { name: label }), title: t("library.resume"), onClick: () => this.steer(job, { action: "resume" }), ...may }, icon("play"))
        : h("button.icon-button", { type: "button", "aria-label": t("jobs.pause", { name: label }), title: t("library.pause"), onClick: () => this.steer(job, { action: "pause" }), ...may }, icon("pause")),
      job.state !== "cancelled" && h("button.icon-button", { type: "button", "aria-label": t("jobs.cancel", { name: label }), title: t("action.cancel"), onClick: () => this.cancel(job), ...may }, icon("close")));
  }

  /** @param {Transfer} job */
  opened(job) {
    const detail = this.detail?.id === job.id ? this.detail : null;
    return h("div.job-more", null,
      h("div.field.job-priority", null,
        h("label", { for: `priority-${job.id}` }, t("jobs.priority")),
        h("select", {
          id: `priority-${job.id}`, value: job.priority, ...need(rightOf(job), job.library),
          onChange: (/** @type {Event} */ event) => this.steer(job, { priority: /** @type {HTMLSelectElement} */ (event.target).value }),
        }, ["high", "normal", "low"].map((each) => h("option", { value: each }, t(`jobs.priority.${each}`))))),
      detail && detail.here.length > 0
        ? [h("p.hint.job-key", null, ["here", "has", "asked"].map((each) => h("span", null, h("i.swatch", { class: each }), t(`jobs.key.${each}`)))),
          h("ul.heat", null,
            h("li", { key: "here" }, h("span.heat-name", null, t("peer.this")), strip(detail.here, null, t("jobs.strip.here", { here: number(detail.chunks_here), n: detail.chunks })), h("span.num", null, rate(job.rate))),
            detail.sources.map((peer) => this.source(peer, detail))),
          detail.further_sources > 0 && h("p.hint", null, t("jobs.further_peers", { n: detail.further_sources }))]
        : h("p.hint", null, t("jobs.no_map")));
  }

  /** @param {TransferSource} peer @param {TransferDetail} detail */
  source(peer, detail) {
    const label = t("jobs.strip.peer", { who: plainName(whoIs(peer.node).label), has: number(peer.chunks), n: detail.chunks, asked: bytes(peer.bytes_asked) });
    const note = peer.is_stalled ? t("jobs.peer.stalled") : peer.is_choked ? t("jobs.peer.choked") : "";
    return h("li", { key: peer.node },
      h("span.heat-name", null, who(peer.node), note && h("span.hint", null, note)),
      strip(peer.has, peer.asked, label), h("span.num", null, rate(peer.rate)));
  }

  /** @param {Transfer} job */
  toggle(job) {
    this.openId = this.openId === job.id ? "" : job.id;
    this.detail = null;
    state.redraw();
    void this.look();
  }

  /** @param {Transfer} job @param {{action?: string, priority?: string}} wanted */
  async steer(job, wanted) {
    try {
      await post(at(job.id), wanted);
    } catch (error) {
      notice(words(error), { kind: "bad" });
    }
    await this.look();
  }

  /** @param {Transfer} job */
  async cancel(job) {
    const isTicket = job.kind === "ticket";
    const done = await confirm({
      title: t("jobs.cancel.title", { name: title(job) }), text: isTicket ? t("jobs.cancel.ticket") : t("jobs.cancel.text", { library: plainName(library(job.library)?.name ?? job.library_name) }),
      undo: t(isTicket ? "jobs.cancel.ticket.undo" : "jobs.cancel.undo"), action: t("jobs.cancel.action"), work: () => post(at(job.id), { action: "cancel" }),
    });
    if (done) await this.look();
  }
}

/** @param {string} id */
function at(id) {
  return `transfers/${encodeURIComponent(id)}`;
}

/** Who may add a ticket may steer its fetch. @param {Transfer} job @returns {Permission} */
function rightOf(job) {
  return job.kind === "ticket" ? "library.write" : "library.manage";
}

/** @param {Transfer} job */
function titleOf(job) {
  if (!job.path) return job.kind === "ticket" ? t("jobs.ticket") : t("jobs.files", { n: job.files });
  return [name(job.path.slice(job.path.lastIndexOf("/") + 1)), job.files > 1 && ` ${t("jobs.more", { n: job.files - 1 })}`];
}

/** The same for attributes. @param {Transfer} job */
function title(job) {
  if (!job.path) return job.kind === "ticket" ? t("jobs.ticket") : t("jobs.files", { n: job.files });
  return plainName(job.path.slice(job.path.lastIndexOf("/") + 1)) + (job.files > 1 ? ` ${t("jobs.more", { n: job.files - 1 })}` : "");
}

/** Cells as one picture: runs of cells of one shade are one rectangle. @param {number[]} has @param {number[] | null} asked @param {string} label */
function strip(has, asked, label) {
  return h("svg.strip", { class: asked ? "of-peer" : "", viewBox: `0 0 ${has.length} 1`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    runs(has).map(([from, to, share]) => h("rect.has", { key: `has ${from}`, x: from, y: 0, width: to - from, height: 1, "fill-opacity": String(0.15 + (0.85 * share) / 100) })),
    asked && runs(asked).map(([from, to]) => h("rect.asked", { key: `asked ${from}`, x: from, y: 0, width: to - from, height: 1 })));
}

/** @param {number[]} cells @returns {[number, number, number][]} from, to and share of those that are not empty */
function runs(cells) {
  /** @type {[number, number, number][]} */
  const found = [];
  cells.forEach((share, index) => {
    const last = found.at(-1);
    if (share === 0) return;
    if (last && last[1] === index && last[2] === share) last[1] = index + 1;
    else found.push([index, index + 1, share]);
  });
  return found;
}

/** @param {SlowReason} why @returns {Child} */
function whyText(why) {
  switch (why.reason) {
    case "queued": return t("jobs.why.queued", { n: why.ahead });
    case "asked":
    case "nobody": return t(`jobs.why.${why.reason}`, { time: duration(why.seconds) });
    case "limited": return t(why.of_library ? "jobs.why.limited_library" : "jobs.why.limited", { rate: rate(why.bytes_per_sec) });
    case "refused": return [t("jobs.why.refused"), " ", who(why.node)];
    case "failing": return [t("jobs.why.failing"), why.detail && " ", why.detail && name(why.detail)];
    default: return t(`jobs.why.${why.reason}`);
  }
}
