//! The log of all libraries, newest first, and what takes back the changes of one machine.

import { get, inLibrary, post } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { attempt, notice, openDialog, words } from "../parts/dialog.js";
import { ago, bytes, clock, dateTime, dayName, name, plainName } from "../parts/format.js";
import { t, tx } from "../parts/i18n.js";
import { choice, empty, field, libraryChoices, need, pageHead, searchField, skeleton, tellLeft, troubleLine, who } from "../parts/pieces.js";
import { fileHash, state, whoIs } from "../parts/state.js";

const LOG_LEN = 200;
const PATHS_SHOWN = 5;
const LINES_SHOWN = 150;

/** @typedef {Commit & {guid: string, library: string}} Line */

/** @returns {import("../app.js").View} */
export function open() {
  return new Changes();
}

class Changes {
  constructor() {
    /** @type {Line[] | null} */
    this.lines = null;
    this.trouble = "";
    this.library = "";
    this.author = "";
    this.search = "";
    this.seen = "";
    this.shown = LINES_SHOWN;
    void this.load();
  }

  onStatus() {
    if (this.seen !== fingerprint()) void this.load();
  }

  async load() {
    this.seen = fingerprint();
    try {
      const logs = await Promise.all((state.status?.libraries ?? []).map(async (library) => {
        const { commits } = await get(inLibrary(library.guid, `log?limit=${LOG_LEN}`));
        return commits.map((/** @type {Commit} */ commit) => ({ ...commit, guid: library.guid, library: library.name }));
      }));
      this.lines = logs.flat().sort((a, b) => b.seen_at_ms - a.seen_at_ms);
      this.trouble = "";
    } catch (error) {
      this.trouble = words(error);
    }
    state.redraw();
  }

  draw() {
    return [
      pageHead({
        title: t("nav.changes"), text: t("changes.text"),
        actions: h("button.button", { type: "button", onClick: undoAuthor, disabled: !state.status?.libraries.length, ...need("undo") }, icon("undo"), t("changes.undo")),
      }),
      (this.lines?.length ?? 0) > 0 && this.filters(),
      troubleLine(this.trouble),
      this.lines ? this.days() : !this.trouble && skeleton(6),
    ];
  }

  filters() {
    const authors = [...new Set((this.lines ?? []).map((line) => line.author))];
    const set = (/** @type {"library" | "author"} */ key) => (/** @type {Event} */ event) => {
      this[key] = /** @type {HTMLSelectElement} */ (event.target).value;
      state.redraw();
    };
    return h("div.toolbar", null,
      searchField(t("changes.search"), (text) => { this.search = text; }),
      h("select", { "aria-label": t("files.library"), value: this.library, onChange: set("library") },
        h("option", { value: "" }, t("changes.all_libraries")), libraryChoices().map(([value, label]) => h("option", { key: value, value }, plainName(label)))),
      h("select", { "aria-label": t("files.column.author"), value: this.author, onChange: set("author") },
        h("option", { value: "" }, t("changes.all_authors")), authors.map((node) => h("option", { key: node, value: node }, plainName(whoIs(node).label)))));
  }

  days() {
    const lines = (this.lines ?? []).filter((line) => (!this.library || line.guid === this.library) && (!this.author || line.author === this.author)
      && (!this.search || line.paths.some((path) => path.toLowerCase().includes(this.search))));
    if (lines.length === 0) {
      const isFiltered = this.library || this.author || this.search;
      return empty({ icon: "changes", title: t(isFiltered ? "files.nothing.title" : "changes.empty.title"), text: t(isFiltered ? "changes.nothing.text" : "changes.empty.text"), action: !isFiltered && h("a.button", { href: "#/files" }, t("nav.files")) });
    }
    /** @type {Map<string, Line[]>} */
    const days = new Map();
    for (const line of lines.slice(0, this.shown)) days.set(dayName(line.seen_at_ms), [...(days.get(dayName(line.seen_at_ms)) ?? []), line]);
    return [...days].map(([title, own]) => h("section.day", { key: title }, h("h2.section", null, title), h("ol.card.log", null, own.map(commit)))).concat(lines.length > this.shown
      ? [h("button.button", { key: "more", type: "button", onClick: () => { this.shown += LINES_SHOWN; state.redraw(); } }, t("approvals.show_more", { n: lines.length - this.shown }))] : []);
  }
}

function fingerprint() {
  return (state.status?.libraries ?? []).map((each) => `${each.guid}:${each.commits}`).join();
}

/** @param {Line} line */
function commit(line) {
  const rest = line.records - Math.min(PATHS_SHOWN, line.paths.length);
  return h("li.log-line", { key: `${line.guid}-${line.id}`, class: line.counts ? "" : "carried" },
    h("time", { title: dateTime(line.seen_at_ms) }, clock(line.seen_at_ms)),
    h("div.log-text", null,
      h("p", null, tx("changes.line", { n: line.records, who: h("strong", null, who(line.author)), library: h("strong", null, name(line.library)) }),
        !line.counts && h("span.tag", { title: t("changes.carried.hint") }, t("changes.carried"))),
      h("ul.log-paths", null, line.paths.slice(0, PATHS_SHOWN).map((path, index) => h("li", { key: index, class: path.startsWith("-") ? "gone" : "came" },
        h("span", { "aria-label": t(path.startsWith("-") ? "changes.gone" : "changes.came") }, path.startsWith("-") ? "−" : "+"),
        h("a", { href: fileHash(line.guid, path.slice(2)) }, name(path.slice(2))))),
      rest > 0 && h("li.hint", { key: "rest" }, t("changes.more", { n: rest })))));
}

/** Asks whose changes since when, shows what would come of it, and does it. */
async function undoAuthor() {
  const first = state.status?.libraries[0];
  if (!first) return;
  let guid = first.guid;
  /** @type {Author[]} */
  let authors = [];
  /** @type {{result: TakenBack, author: string, since: number} | null} */
  let rehearsal = null;
  /** @type {TakenBack | undefined} */
  let result;
  const loadAuthors = async () => {
    authors = (await attempt(() => get(inLibrary(guid, "authors"))))?.authors ?? [];
  };
  await loadAuthors();
  const done = await openDialog({
    title: t("changes.undo.title"), wide: true,
    content: (dialog) => {
      const rehearse = (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        const fields = new FormData(/** @type {HTMLFormElement} */ (event.target));
        const author = String(fields.get("author"));
        const since = new Date(String(fields.get("since"))).getTime();
        void dialog.run(async () => {
          rehearsal = { result: await post(`authors/${author}/undo`, { guid, since_ms: since, rehearsal: true }), author, since };
          return undefined;
        });
      };
      const perform = () => dialog.run(async () => {
        if (!rehearsal) return undefined;
        result = await post(`authors/${rehearsal.author}/undo`, { guid, since_ms: rehearsal.since, rehearsal: false });
        return true;
      });
      return rehearsal ? rehearsed(rehearsal, dialog.isBusy, perform, () => { rehearsal = null; dialog.redraw(); }) : h("form", { onSubmit: rehearse },
        h("div.dialog-body", null,
          h("p.lede", null, t("changes.undo.text")),
          choice({ label: t("files.library"), name: "guid", value: guid, choices: libraryChoices().map(([value, label]) => [value, plainName(label)]), onChange: (value) => { guid = value; void loadAuthors().then(dialog.redraw); } }),
          choice({ label: t("changes.undo.author"), name: "author", value: authors[0]?.node ?? "", choices: authors.map((each) => [each.node, authorLine(each)]) }),
          field({ label: t("changes.undo.since"), name: "since", type: "datetime-local", value: localTime(Date.now() - 3600_000), required: true, hint: t("changes.undo.since.hint") })),
        h("footer.dialog-foot", null,
          h("button.button", { type: "button", onClick: () => dialog.close() }, t("action.cancel")),
          h("button.button.primary", { type: "submit", disabled: dialog.isBusy || authors.length === 0 }, t("changes.undo.rehearse"))));
    },
  });
  if (!done || !result) return;
  notice(t("changes.undo.done"));
  await tellLeft({ refused: /** @type {TakenBack} */ (result).libraries.flatMap((each) => each.refused), unknown: [] });
}

/** @param {Author} author */
function authorLine(author) {
  return t("changes.undo.author_line", { who: plainName(whoIs(author.node).label), n: author.commits, ago: ago(author.last_seen_at_ms) });
}

/** @param {{result: TakenBack, author: string, since: number}} rehearsal @param {boolean} isBusy @param {() => void} perform @param {() => void} back */
function rehearsed({ result, author, since }, isBusy, perform, back) {
  const total = result.libraries.reduce((sum, each) => sum + each.back + each.gone, 0);
  const wanted = result.libraries.reduce((sum, each) => sum + each.wanted_len, 0);
  return h("div", { key: "rehearsed" },
    h("div.dialog-body", null,
      h("p", null, t(total ? "changes.undo.would" : "changes.undo.nothing", { n: total, who: plainName(whoIs(author).label), since: dateTime(since) })),
      wanted > 0 && h("p.hint", null, t("changes.undo.wanted", { size: bytes(wanted) })),
      result.libraries.filter((each) => each.paths.length + each.refused.length > 0).map((each) => h("div.path-list", { key: each.library, tabindex: "0", role: "group", "aria-label": plainName(each.library) },
        h("ul", null,
          each.paths.map((path, index) => h("li", { key: index }, icon(path.to === "nothing" ? "trash" : "undo"), h("span", null, name(path.path)), h("span.hint", null, t(becomes(path))))),
          each.refused.map(([path, why]) => h("li", { key: `refused ${path}` }, icon("lock"), h("span", null, name(path)), h("span.hint", null, why)))))),
      total > 0 && h("p.undo-note", null, icon("undo"), h("span", null, t("changes.undo.undo")))),
    h("footer.dialog-foot", null,
      h("button.button", { type: "button", onClick: back }, t("action.back")),
      h("button.button.danger", { type: "button", disabled: isBusy || total === 0, onClick: perform }, t("changes.undo.action", { n: total }))));
}

/** @param {{from: string, to: string}} path @returns {string} key of a text */
function becomes({ from, to }) {
  if (to === "nothing") return "changes.undo.goes";
  return from === "nothing" ? "changes.undo.is_back" : "changes.undo.before";
}

/** @param {number} at_ms @returns {string} as a `datetime-local` field takes it */
function localTime(at_ms) {
  return new Date(at_ms - new Date(at_ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
