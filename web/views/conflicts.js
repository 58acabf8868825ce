//! Two changes that one path cannot both have: both sides, their difference, and what each choice does.

import { fileUrl, get, inLibrary, post } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { attempt, confirm, notice, words } from "../parts/dialog.js";
import { diffLines } from "../parts/diff.js";
import { ago, bytes, dateTime, name, number, plainName, textOf } from "../parts/format.js";
import { said, t, tx } from "../parts/i18n.js";
import { iconOf, kindOf } from "../parts/kinds.js";
import { empty, lacking, need, pageHead, segmented, skeleton, troubleLine, who } from "../parts/pieces.js";
import { fileHash, state, whoIs } from "../parts/state.js";

const CHOICES = /** @type {const} */ (["keep-local", "keep-remote", "keep-both", "merge"]);
const OPEN_AT_FIRST = 2;
const TEXT_TRIES = 8;
const TEXT_RETRY_MS = 1500;
// A picture is compared with its hash before it is shown, so it is held in memory.
const PICTURE_LEN_MAX = 40_000_000;

/** @typedef {{library: Library, conflict: Conflict, isOpen: boolean, texts: Texts | null | undefined, compared: string}} Case `texts` is undefined until asked */

/** @returns {import("../app.js").View} */
export function open() {
  return new Conflicts();
}

class Conflicts {
  constructor() {
    /** @type {Case[] | null} */
    this.cases = null;
    /** @type {{library: Library, dispute: Dispute}[]} conflicts that this machine takes no part in */
    this.elsewhere = [];
    this.trouble = "";
    this.seen = "";
    void this.load();
  }

  onStatus() {
    if (this.seen !== fingerprint()) void this.load();
  }

  close() {
    for (const address of pictures.values()) if (address.startsWith("blob:")) URL.revokeObjectURL(address);
    pictures.clear();
  }

  async load() {
    this.seen = fingerprint();
    /** @type {{library: Library, dispute: Dispute}[]} */
    const elsewhere = [];
    const old = new Map((this.cases ?? []).map((each) => [each.conflict.id, each]));
    try {
      const lists = await Promise.all((state.status?.libraries ?? []).map(async (library) => {
        if (library.conflicts === 0 && !library.conflicts_elsewhere) return [];
        const { conflicts, elsewhere: disputes = [] } = await get(inLibrary(library.guid, "conflicts"));
        elsewhere.push(...disputes.map((/** @type {Dispute} */ dispute) => ({ library, dispute })));
        return conflicts.map((/** @type {Conflict} */ conflict) => old.get(conflict.id) ?? { library, conflict, isOpen: false, texts: undefined, compared: "sides" });
      }));
      const cases = lists.flat();
      if (!this.cases) cases.slice(0, OPEN_AT_FIRST).forEach((each) => this.openCase(each));
      this.cases = cases;
      this.elsewhere = elsewhere;
      this.trouble = "";
    } catch (error) {
      this.trouble = words(error);
    }
    state.redraw();
  }

  /** @param {Case} each */
  async openCase(each) {
    each.isOpen = true;
    state.redraw();
    if (each.texts !== undefined || kindOf(each.conflict.path) !== "text") return;
    await this.loadTexts(each, TEXT_TRIES);
  }

  /** Texts that peers have are fetched by the daemon first, and come with a later request. @param {Case} each @param {number} tries */
  async loadTexts(each, tries) {
    const { conflict, library } = each;
    /** @type {Texts | null} */
    const texts = await get(inLibrary(library.guid, `texts?path=${encodeURIComponent(conflict.path)}`)).catch(() => null);
    const isComing = texts !== null && ((texts.local === null && conflict.local !== null) || (texts.remote === null && conflict.remote !== null));
    if (isComing && tries > 0 && this.cases?.includes(each)) {
      setTimeout(() => void this.loadTexts(each, tries - 1), TEXT_RETRY_MS);
    } else {
      each.texts = texts;
      state.redraw();
    }
  }

  draw() {
    const { cases } = this;
    return [
      pageHead({ title: t("nav.conflicts"), text: t("conflicts.text") }),
      troubleLine(this.trouble),
      lacking("conflicts.resolve"),
      !cases ? skeleton(3, "tall") : cases.length === 0 && this.elsewhere.length === 0
        ? empty({ icon: "check", title: t("conflicts.empty.title"), text: t("conflicts.empty.text"), action: h("a.button", { href: "#/changes" }, t("conflicts.empty.action")) })
        : byLibrary(cases).map((group) => h("section", { key: group[0].library.guid }, this.groupHead(group), group.map((each) => this.card(each)))),
      this.elsewhere.length > 0 && h("section", { key: "elsewhere" },
        h("h2.section", null, t("conflicts.elsewhere"), h("span.count", null, String(this.elsewhere.length))),
        h("p.lede", null, t("conflicts.elsewhere.text")),
        this.elsewhere.map((each) => this.disputeCard(each))),
    ];
  }

  /** @param {Case[]} group */
  groupHead(group) {
    const { library } = group[0];
    return h("div.section-head", null,
      h("h2.section", null, name(library.name), h("span.count", null, String(group.length))),
      group.length > 1 && h("div.actions", null,
        h("span.hint", null, t("conflicts.all")),
        CHOICES.slice(0, 3).map((choice) => h("button.button.small", { type: "button", onClick: () => this.resolveAll(library, group, choice), ...need("conflicts.resolve", library.guid) }, t(`choice.${choice}`)))));
  }

  /** @param {Case} each */
  card(each) {
    const { conflict } = each;
    const slash = conflict.path.lastIndexOf("/") + 1;
    return h("article.card.conflict", { key: conflict.id },
      h("button.conflict-head", {
        type: "button", "aria-expanded": each.isOpen,
        onClick: () => {
          if (each.isOpen) each.isOpen = false;
          else void this.openCase(each);
          state.redraw();
        },
      }, icon(iconOf({ kind: "file", path: conflict.path }), `kind-${kindOf(conflict.path)}`),
      h("span.conflict-title", null, h("strong", null, name(conflict.path.slice(slash))), h("span.hint", null, slash > 0 && name(conflict.path.slice(0, slash - 1)), slash > 0 && " · ",
        said("conflict.kind", conflict.kind), conflict.first_seen_ms !== null && ` · ${ago(conflict.first_seen_ms)}`)),
      conflict.decided && h("span.pill.live", null, t("conflict.decided", { choice: said("choice", conflict.decided) })),
      icon("chevron", each.isOpen ? "turned" : "")),
      each.isOpen && this.inside(each));
  }

  /** @param {Case} each */
  inside(each) {
    const { conflict, library } = each;
    return h("div.conflict-body", null,
      conflict.detail && h("p.hint", null, conflict.detail),
      h("div.sides", null, side("local", conflict.local, library, conflict), side("remote", conflict.remote, library, conflict)),
      each.texts && comparison(each, each.texts),
      each.texts === undefined && kindOf(conflict.path) === "text" && skeleton(4),
      h("div.choosing", { role: "group", "aria-label": t("conflict.choose") }, h("h3", null, t("conflict.choose")), h("div.choices", null,
        CHOICES.filter((choice) => choice !== "merge" || kindOf(conflict.path) === "text").map((choice) => h("button.choice", { key: choice, type: "button", onClick: () => this.resolve(each, choice), ...need("conflicts.resolve", library.guid) },
          h("strong", null, t(`choice.${choice}`)), h("span.hint", null, t(`choice.${choice}.text`)))))),
      h("p.undo-note", null, icon("undo"), h("span", null, tx("conflict.undo", { link: h("a", { href: fileHash(library.guid, conflict.path) }, t("files.versions")) }))));
  }

  /** @param {Case} each @param {string} choice */
  async resolve(each, choice) {
    const done = await attempt(() => post(inLibrary(each.library.guid, "resolve"), { path: each.conflict.path, choice }));
    if (!done) return;
    this.cases = this.cases?.filter((other) => other !== each) ?? null;
    notice(t("conflict.done", { name: plainName(each.conflict.path), choice: t(`choice.${choice}`) }));
    state.redraw();
  }

  /** @param {{library: Library, dispute: Dispute}} each */
  disputeCard({ library, dispute }) {
    return h("article.card.conflict", { key: `${library.guid}/${dispute.path}` },
      h("div.dispute", null,
        h("div.dispute-head", null,
          h("h3", null, icon(iconOf({ kind: "file", path: dispute.path }), `kind-${kindOf(dispute.path)}`), name(dispute.path)),
          h("span.hint", null, name(library.name))),
        h("ul.line-list.plain", null, dispute.versions.map((version) => h("li", { key: `${version.author}-${version.seq}` },
          h("div.line-text", null, h("span", null, who(version.author), version.wins && h("span.tag", null, t("conflicts.elsewhere.stands"))),
            h("span.hint", null, version.kind === "deleted" ? t("conflicts.elsewhere.deleted") : bytes(version.len))),
          version.wins && h("button.button.small", { type: "button", onClick: () => this.letStand(library, dispute, version), ...need("conflicts.resolve", library.guid) },
            t(version.kind === "deleted" ? "conflicts.elsewhere.gone.action" : "conflicts.elsewhere.action")))))));
  }

  /** @param {Library} library @param {Dispute} dispute @param {VersionLine} version the one that wins */
  async letStand(library, dispute, version) {
    const key = version.kind === "deleted" ? "conflicts.elsewhere.gone" : "conflicts.elsewhere";
    const done = await confirm({
      title: t(`${key}.title`, { path: plainName(dispute.path) }), text: t(`${key}.confirm`, { who: plainName(whoIs(version.author).label), size: bytes(version.len) }),
      undo: t("conflicts.elsewhere.undo", { n: dispute.versions.length - 1 }), action: t(`${key}.action`), isDanger: true, work: () => post(inLibrary(library.guid, "resolve"), { path: dispute.path, choice: "keep-remote" }),
    });
    if (!done) return;
    this.elsewhere = this.elsewhere.filter((each) => each.dispute !== dispute);
    notice(t("conflicts.all.done", { n: 1 }));
    state.redraw();
  }

  /** @param {Library} library @param {Case[]} group @param {string} choice */
  async resolveAll(library, group, choice) {
    const done = await confirm({
      title: t("conflicts.all.title", { n: group.length, choice: t(`choice.${choice}`) }), text: t(`choice.${choice}.text`),
      points: group.slice(0, 6).map((each) => name(each.conflict.path)), undo: t("conflicts.all.undo"), action: t(`choice.${choice}`), isDanger: choice !== "keep-both",
      work: () => post(inLibrary(library.guid, "resolve"), { path: null, choice, all: true }),
    });
    if (!done) return;
    this.cases = this.cases?.filter((each) => each.library.guid !== library.guid) ?? null;
    notice(t("conflicts.all.done", { n: group.length }));
    state.redraw();
  }
}

/** Tells whether conflicts came or went. */
function fingerprint() {
  return (state.status?.libraries ?? []).map((each) => `${each.guid}:${each.conflicts}:${each.conflicts_elsewhere}`).join();
}

/** @param {Case[]} cases @returns {Case[][]} */
function byLibrary(cases) {
  /** @type {Map<string, Case[]>} */
  const groups = new Map();
  for (const each of cases) groups.set(each.library.guid, [...(groups.get(each.library.guid) ?? []), each]);
  return [...groups.values()];
}

/** @param {"local" | "remote"} which @param {Side | null} version @param {Library} library @param {Conflict} conflict */
function side(which, version, library, conflict) {
  const other = which === "local" ? conflict.remote : conflict.local;
  const isNewer = version !== null && other !== null && version.modified_ns > other.modified_ns;
  return h("div.side", { class: which },
    h("h3", null, t(`conflict.${which}`), isNewer && h("span.tag", null, t("conflict.newer"))),
    version === null ? h("p.side-gone", null, icon("trash"), t("conflict.gone")) : [
      kindOf(version.path) === "image" && sidePicture(library, conflict, version, which),
      h("dl.facts", null,
        h("dt", null, t("files.column.len")), h("dd.num", null, bytes(version.len)),
        h("dt", null, t("files.column.modified_ns")), h("dd", null, dateTime(version.modified_ns / 1e6)),
        version.hash && [h("dt", null, t("conflict.hash")), h("dd", null, h("code", { title: version.hash }, version.hash.slice(0, 12)))],
        version.path !== conflict.path && [h("dt", null, t("files.path")), h("dd", null, name(version.path))]),
    ]);
}

/** @type {Map<string, string>} pictures by hash, as addresses of their bytes in memory; empty while they come or if there are none */
const pictures = new Map();

/** @param {Library} library @param {Conflict} conflict @param {Side} version @param {"local" | "remote"} which */
function sidePicture(library, conflict, version, which) {
  const key = `${which} ${version.hash}`;
  if (!pictures.has(key)) {
    pictures.set(key, "");
    void loadPicture(library, conflict, version, which).then((address) => {
      pictures.set(key, address);
      state.redraw();
    });
  }
  const address = pictures.get(key);
  if (address === "") return h("div.skeleton.picture", { key });
  return address === NO_PICTURE ? h("p.hint", { key }, t("conflict.no_picture")) : h("img", { key, src: address, alt: t(`conflict.${which}`) });
}

const NO_PICTURE = "none";

/** The bytes of one side, if the daemon has them: what it sends must be what the conflict names, or one side would be shown twice.
 * @param {Library} library @param {Conflict} conflict @param {Side} version @param {"local" | "remote"} which @returns {Promise<string>} */
async function loadPicture(library, conflict, version, which) {
  if (version.len > PICTURE_LEN_MAX || !version.hash) return NO_PICTURE;
  try {
    const ask = () => fetch(fileUrl(library.guid, conflict.path, `side=${which}`));
    let answer = await ask();
    // The daemon fetches what only peers have.
    for (let tries = 0; answer.status === 503 && tries < TEXT_TRIES; tries += 1) {
      await new Promise((resolve) => { setTimeout(resolve, TEXT_RETRY_MS); });
      answer = await ask();
    }
    const isMeant = answer.ok && (answer.headers.get("ETag") ?? "").includes(version.hash);
    return isMeant ? URL.createObjectURL(await answer.blob()) : NO_PICTURE;
  } catch {
    return NO_PICTURE;
  }
}

/** Both sides beside each other, or one of them beside what both had before. @param {Case} each @param {Texts} texts */
function comparison(each, { local, remote, base }) {
  if (local === null || remote === null) return null;
  /** @type {Record<string, [string, string, string, string]>} */
  const pairs = { sides: ["conflict.local", local, "conflict.remote", remote] };
  if (base !== null) {
    pairs.local = ["conflict.base", base, "conflict.local", local];
    pairs.remote = ["conflict.base", base, "conflict.remote", remote];
  }
  const [leftName, left, rightName, right] = pairs[each.compared] ?? pairs.sides;
  return h("div.choosing", null,
    h("div.diff-choice", null, h("h3", null, t("conflict.differences")), base !== null && segmented({
      label: t("conflict.compare"), value: each.compared, choices: ["sides", "local", "remote"].map((which) => [which, t(`conflict.compare.${which}`)]),
      onChange: (which) => { each.compared = which; state.redraw(); },
    })),
    differences(left, right, leftName, rightName));
}

/** @param {string} left @param {string} right @param {string} leftName @param {string} rightName */
function differences(left, right, leftName, rightName) {
  const { rows, isCut } = diffLines(left, right);
  return h("div.diff", { role: "table", "aria-label": t("conflict.diff"), tabindex: "0" },
    h("div.diff-row.diff-names", { role: "row" }, h("span", { role: "columnheader" }, t(leftName)), h("span", { role: "columnheader" }, t(rightName))),
    rows.map((row, index) => row.kind === "skipped"
      ? h("div.diff-skip", { key: index, role: "row" }, h("span", { role: "cell" }, t("conflict.same_lines", { n: row.count ?? 0 })))
      : h("div.diff-row", { key: index, role: "row", class: row.kind },
        cell(row.left, row.leftAt, row.kind === "changed" ? "gone" : ""), cell(row.right, row.rightAt, row.kind === "changed" ? "came" : ""))),
    isCut && h("div.diff-skip", { role: "row" }, h("span", { role: "cell" }, t("conflict.cut"))));
}

/** @param {string | null} text @param {number} at line number @param {string} tone */
function cell(text, at, tone) {
  if (text === null) return h("span.diff-cell.blank", { role: "cell" });
  return h("span.diff-cell", { role: "cell", class: tone }, h("i.line-number", { "aria-hidden": "true" }, number(at)), h("span", null, textOf(text)));
}

