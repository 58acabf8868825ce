//! What is known of one file: how it looks, who made it, which versions are kept, and why it is as it is.

import { BASE, fileUrl, get, inLibrary, post } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { askForm, confirm, notice, words } from "../parts/dialog.js";
import { bytes, dateTime, duration, name, plainName, textOf } from "../parts/format.js";
import { t, tx } from "../parts/i18n.js";
import { iconOf, kindOf } from "../parts/kinds.js";
import { field, fact, need, skeleton, tellLeft, troubleLine, who } from "../parts/pieces.js";
import { library, state, whoIs } from "../parts/state.js";
import { share } from "./share.js";

const TEXT_SHOWN_LEN = 64 * 1024;

export class Details {
  /** @param {string} guid @param {string} path @param {Omit<Entry, "name"> | null} entry */
  constructor(guid, path, entry) {
    this.guid = guid;
    this.path = path.replace(/^\//, "");
    this.entry = entry;
    /** @type {Explanation | null} */
    this.why = null;
    /** @type {KeptVersion[] | null} */
    this.versions = null;
    this.trouble = "";
    /** @type {string | null} */
    this.text = null;
    void this.load();
  }

  get title() {
    return this.path.slice(this.path.lastIndexOf("/") + 1);
  }

  async load() {
    const query = `path=${encodeURIComponent(this.path)}`;
    try {
      const [why, kept] = await Promise.all([get(inLibrary(this.guid, `explain?${query}`)), get(inLibrary(this.guid, `versions?${query}`))]);
      this.why = why;
      this.versions = kept.versions;
      this.entry ??= why.here;
    } catch (error) {
      this.trouble = words(error);
    }
    state.redraw();
    await this.loadText();
  }

  async loadText() {
    const { entry } = this;
    if (entry?.kind !== "file" || kindOf(this.path) !== "text" || !(entry.is_here || entry.len <= TEXT_SHOWN_LEN)) return;
    try {
      const answer = await fetch(fileUrl(this.guid, this.path), { headers: { Range: `bytes=0-${TEXT_SHOWN_LEN - 1}` } });
      if (answer.ok) this.text = (await answer.text()).slice(0, TEXT_SHOWN_LEN);
    } catch {
      // Without a preview the file can still be downloaded.
    }
    state.redraw();
  }

  /** @param {() => void} close */
  draw(close) {
    const { entry } = this;
    return h("div.details-frame", { key: this.path },
      h("header", null, entry && icon(iconOf(entry), `kind-${iconOf(entry)}`), h("h2", null, name(this.title)),
        h("button.icon-button", { type: "button", "aria-label": t("action.close"), onClick: close }, icon("close"))),
      troubleLine(this.trouble),
      entry?.kind === "file" && this.preview(entry),
      entry && this.actions(),
      !entry && this.why && h("p.lacking", null, icon("trash"), h("span", null, t(this.versions?.length ? "files.gone_kept" : "files.gone_here"))),
      entry && this.facts(entry),
      this.why ? this.reasons(this.why) : !this.trouble && skeleton(3),
      this.why && this.why.versions.length > 1 && this.contenders(this.why.versions),
      this.keptVersions());
  }

  /** @param {Omit<Entry, "name">} entry */
  preview(entry) {
    const url = fileUrl(this.guid, this.path);
    const kind = kindOf(this.path);
    const alt = t("files.preview_of", { name: plainName(this.title) });
    if (kind === "image") return h("div.preview", null, h("img", { src: url, alt, loading: "lazy", decoding: "async", onError: hide }));
    // A player of what no peer has would wait for ever.
    const isReachable = entry.is_here || (this.why !== null && !(typeof this.why.supply === "object" && this.why.supply?.state === "nobody"));
    if (!isReachable && (kind === "video" || kind === "audio")) return null;
    if (kind === "video") return h("div.preview", null, h("video", { src: url, controls: true, preload: "metadata", "aria-label": alt, playsinline: true }));
    if (kind === "audio") return h("div.preview.sound", null, h("audio", { src: url, controls: true, preload: "metadata", "aria-label": alt }));
    if (kind === "text" && this.text !== null) {
      return h("div.preview", null, h("pre", { tabindex: "0", "aria-label": alt }, textOf(this.text)),
        entry.len > TEXT_SHOWN_LEN && h("p.hint", null, t("files.preview_cut", { size: bytes(TEXT_SHOWN_LEN) })));
    }
    return null;
  }

  actions() {
    const isFolder = this.entry?.kind === "folder";
    const url = isFolder ? `${BASE}/${inLibrary(this.guid, `zip?path=${encodeURIComponent(this.path)}`)}` : fileUrl(this.guid, this.path, "download");
    // A lock belongs to the machine that took it: no other one can end it.
    const isLockedHere = this.locks().some((each) => whoIs(each.holder).isSelf);
    return h("div.actions", null,
      h("a.button", { href: url, download: true }, icon("down"), t(isFolder ? "files.zip" : "files.download")),
      this.entry?.kind !== "symlink" && h("button.button", { type: "button", onClick: () => share(this.guid, this.path), ...need("library.write", this.guid) }, icon("symlink"), t("share")),
      isLockedHere
        ? h("button.button", { type: "button", onClick: () => this.unlock(), ...need("library.write", this.guid) }, icon("lock"), t("files.unlock"))
        : h("button.button", { type: "button", onClick: () => this.lock(), ...need("library.write", this.guid), title: t("files.lock.hint") }, icon("lock"), t("files.lock")));
  }

  locks() {
    return (library(this.guid)?.locks ?? []).filter((each) => each.path.replace(/^\//, "") === this.path);
  }

  async lock() {
    const done = await askForm({
      title: t("files.lock"), action: t("files.lock"),
      fields: () => [h("p", null, t("files.lock.text")),
        field({ label: t("files.lock.hours"), name: "hours", type: "number", value: "2", required: true, focus: true }),
        field({ label: t("files.lock.why"), name: "why" })],
      submit: ({ hours, why }) => post(inLibrary(this.guid, "locks"), { path: this.path, seconds: Math.round(Number(hours) * 3600), why }),
    });
    if (done) notice(t("files.lock.done"));
  }

  async unlock() {
    try {
      await post(inLibrary(this.guid, "locks"), { path: this.path, seconds: 0, why: "" });
      notice(t("files.unlock.done"));
    } catch (error) {
      notice(words(error), { kind: "bad" });
    }
  }

  /** @param {Omit<Entry, "name">} entry */
  facts(entry) {
    return h("dl.facts", null,
      entry.kind === "file" && fact(t("files.column.len"), h("span", { title: `${entry.len} B` }, bytes(entry.len)), "num"),
      entry.modified_ns > 0 && fact(t("files.column.modified_ns"), dateTime(entry.modified_ns / 1e6)),
      fact(t("files.made_by"), who(entry.author || this.why?.versions.find((each) => each.wins)?.author || "")),
      fact(t("files.path"), name(this.path), "wide"),
      entry.blake3 && fact("BLAKE3", h("code.hash", null, entry.blake3), "wide"),
      entry.sha256 && fact("SHA-256", h("code.hash", null, entry.sha256), "wide"));
  }

  /** Why the path is as it is, in sentences. @param {Explanation} why */
  reasons(why) {
    const winner = why.versions.find((each) => each.wins);
    /** @type {Child[][]} */
    const lines = [];
    const say = (/** @type {string} */ key, /** @type {Record<string, Child>} */ values = {}) => lines.push(tx(key, values));
    if (winner) say(winner.kind === "deleted" ? "why.deleted" : "why.made", { who: who(winner.author), seq: winner.seq });
    if (why.place) say("why.here", { place: h("code", null, name(why.place)) });
    else if (!why.is_waiting && !why.is_left_out && this.entry) say("why.not_here");
    if (why.is_left_out) say("why.left_out");
    if (why.is_waiting) lines.push([t("why.waiting"), " ", supplyText(why.supply)]);
    if (why.conflict) say(why.conflict === "here" ? "why.conflict" : "why.conflict_elsewhere", { link: h("a", { href: "#/conflicts" }, t("nav.conflicts")) });
    if (why.replaced_by) say("why.replaced_by", { who: who(why.replaced_by) });
    if (why.own_held) say("why.own_held", { n: why.own_held.needed, link: h("a", { href: "#/approvals" }, t("nav.approvals")) });
    else if (why.held_by.length > 0) say("why.held", { who: why.held_by.flatMap((each, index) => [index ? ", " : "", name(whoIs(each).label)]) });
    for (const lock of this.locks()) say(lock.why ? "why.locked" : "why.locked_only", { who: name(whoIs(lock.holder).label), time: duration(lock.seconds_left), why: name(lock.why) });
    return h("section", null, h("h3", null, t("files.why")), h("ul.points", null, lines.map((line) => h("li", null, line))));
  }

  /** @param {VersionLine[]} versions */
  contenders(versions) {
    return h("section", null, h("h3", null, t("files.contenders")), h("ul.line-list.plain", null, versions.map((each, index) => h("li", { key: index },
      h("div.line-text", null, h("span", null, who(each.author), " ", each.wins && h("span.tag.good", null, t("files.wins"))),
        h("span.hint", null, each.kind === "deleted" ? t("files.deleted") : bytes(each.len)))))));
  }

  keptVersions() {
    if (!this.versions) return null;
    return h("section", null, h("h3", null, t("files.versions")),
      this.versions.length === 0 && h("p.hint", null, t("files.versions.none")),
      h("ul.line-list.plain", null, this.versions.map((each) => h("li", { key: `${each.run}-${each.number}` },
        h("div.line-text", null, h("span", null, dateTime(each.modified_ns / 1e6)), h("span.hint", { title: plainName(each.run) }, bytes(each.len))),
        h("a.icon-button", { href: fileUrl(this.guid, this.path, `version=${encodeURIComponent(each.run)}&download`), download: true, "aria-label": t("files.version.download", { when: dateTime(each.modified_ns / 1e6) }), title: t("files.download") }, icon("down")),
        h("button.button.small", { type: "button", onClick: () => this.restore(each), ...need("library.write", this.guid) }, t("files.restore"))))));
  }

  /** @param {KeptVersion} version */
  async restore(version) {
    /** @type {Done | undefined} */
    let result;
    const done = await confirm({
      title: t("restore.title", { name: plainName(this.title) }),
      text: t("restore.text", { when: dateTime(version.modified_ns / 1e6), size: bytes(version.len) }),
      undo: t("restore.undo"), action: t("files.restore"),
      work: async () => { result = await post(inLibrary(this.guid, "restore"), { path: this.path, run: version.run }); },
    });
    if (!done || !result) return;
    if (result.performed > 0) notice(t("restore.done"));
    void tellLeft(result);
    this.entry = null;
    void this.load();
  }
}

/** @param {Supply | string | null} supply @returns {string} */
function supplyText(supply) {
  if (supply === null) return "";
  if (typeof supply === "string") return supply;
  if (supply.state === "queued") return t("why.supply.queued", { n: supply.ahead });
  if ("seconds" in supply) return t(`why.supply.${supply.state}`, { time: duration(supply.seconds) });
  return t(`why.supply.${supply.state}`);
}

/** @param {Event} event */
function hide(event) {
  /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.target).parentElement).hidden = true;
}
