//! Browses a library: a list of any length, search, filters, uploads; what is known of one file stands beside it.

import { BASE, inLibrary } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { ago, bytes, dateTime, name, plainName } from "../parts/format.js";
import { t } from "../parts/i18n.js";
import { iconOf } from "../parts/kinds.js";
import { Listing } from "../parts/listing.js";
import { empty, need, pageHead, segmented, skeleton } from "../parts/pieces.js";
import { can, filesHash, library, state, whoIs } from "../parts/state.js";
import { Details } from "./file-details.js";
import { Uploads } from "./uploads.js";
import "../parts/list.js";

const ROWS_AHEAD = 400;
const SEARCH_DELAY_MS = 250;

/** @type {import("../app.js").Open} */
export function open([guid = "", ...place], query) {
  const only = guid || state.status?.libraries[0]?.guid;
  return only ? new Files(only, place.join("/"), query.get("open") ?? "") : { draw: noLibraries };
}

function noLibraries() {
  return [
    pageHead({ title: t("nav.files") }),
    empty({ icon: "files", title: t("files.none.title"), text: t("files.none.text"), action: h("a.button.primary", { href: "#/" }, t("nav.overview")) }),
  ];
}

class Files {
  /** @param {string} guid @param {string} place @param {string} toOpen path whose details are shown */
  constructor(guid, place, toOpen) {
    this.guid = guid;
    this.place = place;
    this.search = "";
    this.kind = "";
    this.picked = -1;
    this.version = 0;
    this.isOver = false;
    /** @type {Details | null} */
    this.details = toOpen ? new Details(guid, toOpen, null) : null;
    /** Whether the file that a link named is still to be brought into sight. */
    this.isArriving = toOpen !== "";
    this.uploads = new Uploads(guid, place, () => this.reload());
    /** @type {import("../parts/list.js").SwarmList | null} */
    this.list = null;
    this.listing = this.makeListing();
    this.timer = 0;
    this.commits = library(guid)?.commits;
  }

  makeListing() {
    const listing = new Listing({
      guid: this.guid, place: this.place, search: this.search, kind: this.kind,
      onChange: () => {
        this.version += 1;
        state.redraw();
      },
    });
    void listing.want(1);
    return listing;
  }

  close() {
    this.listing.close();
  }

  /** Shows a folder anew when the library got commits, without moving what is in sight. */
  onStatus() {
    const commits = library(this.guid)?.commits;
    if (commits === this.commits || this.listing.loading) return;
    this.commits = commits;
    if (this.listing.fetched.length <= 1000) this.reload();
  }

  reload() {
    const old = this.listing;
    old.close();
    this.listing = this.makeListing();
    this.listing.entries = old.entries;
    this.listing.sort = old.sort;
    state.redraw();
  }

  restart() {
    this.listing.close();
    this.listing = this.makeListing();
    this.picked = -1;
    this.list?.toTop();
    state.redraw();
  }

  /** Where rows are still to come, all are fetched first. */
  async toEnd() {
    if (!this.listing.isWhole) await this.listing.want(Infinity);
    if (!this.list) return;
    this.list.count = this.listing.count;
    this.list.activate(Infinity);
  }

  /** The row of the file whose details are shown, or -1. It moves when the list is sorted or filtered. */
  mark() {
    const { details, listing } = this;
    if (!details) this.picked = -1;
    else if (listing.entries[this.picked]?.path !== details.path) this.picked = listing.entries.findIndex((each) => each.path === details.path);
    if (this.isArriving && this.picked >= 0 && this.list) {
      this.isArriving = false;
      this.list.count = listing.count;
      this.list.activate(this.picked);
    }
    return this.picked;
  }

  /** A press on a folder opens it; on a file it shows what is known of it. @param {number} index */
  press(index) {
    if (this.listing.entries[index]?.kind === "folder") this.openRow(index);
    else this.pick(index);
  }

  /** @param {number} index */
  pick(index) {
    const entry = this.listing.entries[index];
    if (!entry) return;
    this.picked = index;
    this.details = new Details(this.guid, entry.path, entry);
    this.version += 1;
    state.redraw();
  }

  /** @param {number} index */
  openRow(index) {
    const entry = this.listing.entries[index];
    if (entry?.kind === "folder") state.go(filesHash(this.guid, entry.path));
    else this.pick(index);
  }

  draw() {
    const own = library(this.guid);
    if (state.status && !own) return [pageHead({ title: t("nav.files") }), empty({ icon: "files", title: t("files.gone.title"), text: t("files.gone.text"), action: h("a.button.primary", { href: "#/" }, t("nav.overview")) })];
    return h("div.files", { key: `${this.guid}/${this.place}`, class: `${this.details ? "has-details" : ""} ${this.isOver ? "is-over" : ""}`, ...this.dropHandlers() },
      h("div.files-main", null, this.head(own), this.toolbar(), this.uploads.draw(), this.body()),
      this.details && h("aside.details", { "aria-label": t("files.details"), onKeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.closeDetails() }, this.details.draw(() => this.closeDetails())),
      this.isOver && h("div.drop-veil", null, icon("up"), h("p", null, t(can("library.write", this.guid) ? "files.drop" : "need.library.write"))));
  }

  closeDetails() {
    this.details = null;
    this.picked = -1;
    this.version += 1;
    if (location.hash.includes("?open=")) history.replaceState(null, "", filesHash(this.guid, this.place));
    state.redraw();
    this.list?.focus();
  }

  /** @param {Library | undefined} own */
  head(own) {
    const zip = `${BASE}/${inLibrary(this.guid, `zip?path=${encodeURIComponent(this.place)}`)}`;
    return h("header.page-head", null,
      h("div", null, h("h1", { tabindex: "-1", class: "crumb-title" }, name(this.place.split("/").pop() || this.rootTitle(own))), this.crumbs(own)),
      h("div.actions", null,
        h("a.button", { href: zip, download: true, title: t("files.zip.hint") }, icon("down"), t("files.zip")),
        h("button.button.primary", { type: "button", onClick: () => this.uploads.choose(), ...need("library.write", this.guid) }, icon("up"), t("files.upload"))));
  }

  /** Where several libraries can be chosen, the choice beside the title names the library. @param {Library | undefined} own */
  rootTitle(own) {
    return (state.status?.libraries.length ?? 0) > 1 ? t("nav.files") : own?.name ?? t("nav.files");
  }

  /** @param {Library | undefined} own */
  crumbs(own) {
    const parts = this.place.split("/").filter(Boolean);
    const libraries = state.status?.libraries ?? [];
    return h("nav.crumbs", { "aria-label": t("files.path") },
      libraries.length > 1
        ? h("select.crumb-select", { "aria-label": t("files.library"), value: this.guid, onChange: (/** @type {Event} */ event) => state.go(filesHash(/** @type {HTMLSelectElement} */ (event.target).value)) },
          libraries.map((each) => h("option", { value: each.guid }, plainName(each.name))))
        : null,
      parts.length > 0 && h("ol", null,
        h("li", null, h("a", { href: filesHash(this.guid) }, libraries.length > 1 ? t("files.root") : name(own?.name ?? ""))),
        parts.map((part, index) => h("li", { key: index }, icon("chevron"),
          h("a", { href: filesHash(this.guid, parts.slice(0, index + 1).join("/")), "aria-current": index === parts.length - 1 ? "page" : null }, name(part))))));
  }

  toolbar() {
    return h("div.toolbar", null,
      h("label.search", null, icon("search"),
        h("input", { type: "search", placeholder: t("files.search"), "aria-label": t("files.search"), onInput: (/** @type {Event} */ event) => this.onSearch(/** @type {HTMLInputElement} */ (event.target).value) })),
      segmented({
        label: t("files.filter"), value: this.kind,
        choices: [["", t("files.kind.all")], ["image", t("files.kind.image"), "image"], ["text", t("files.kind.text"), "text"], ["audio", t("files.kind.audio"), "audio"], ["video", t("files.kind.video"), "video"]],
        onChange: (kind) => {
          this.kind = kind;
          this.restart();
        },
      }));
  }

  /** @param {string} text */
  onSearch(text) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.search = text.trim();
      this.restart();
    }, SEARCH_DELAY_MS);
  }

  body() {
    const { listing } = this;
    if (listing.trouble) return empty({ icon: "warning", title: t("files.trouble"), text: listing.trouble, action: h("button.button", { type: "button", onClick: () => this.restart() }, t("action.again")) });
    if (listing.entries.length === 0 && !listing.isWhole) return skeleton(10, "rows-skeleton");
    if (listing.entries.length === 0) return this.nothing();
    return h("div.file-table", { key: "table" }, this.columns(),
      h("swarm-list", {
        own: true, id: "files-list", "aria-label": t("files.list"), ref: (/** @type {any} */ el) => { this.list = el; },
        ".count": listing.count, ".picked": this.mark(), ".row": (/** @type {number} */ index) => this.row(index),
        ".onSeen": (/** @type {number} */ _first, /** @type {number} */ last) => { if (last + ROWS_AHEAD > listing.fetched.length && !listing.isWhole) void listing.want(last + ROWS_AHEAD); },
        ".onEnd": () => void this.toEnd(), ".onUp": () => this.place && state.go(filesHash(this.guid, this.place.split("/").slice(0, -1).join("/"))),
        ".onPress": (/** @type {number} */ index) => this.press(index), ".onPick": (/** @type {number} */ index) => this.pick(index), ".onOpen": (/** @type {number} */ index) => this.openRow(index),
        ".version": `${this.version} ${state.statusAt} ${document.documentElement.lang}`,
      }),
      h("p.list-foot", null, t("files.count", { n: listing.isWhole ? listing.entries.length : listing.total ?? listing.entries.length }),
        !listing.isWhole && listing.total === null ? t("files.more") : ""));
  }

  nothing() {
    if (this.search || this.kind) return empty({ icon: "search", title: t("files.nothing.title"), text: t("files.nothing.text") });
    return empty({
      icon: "up", title: t("files.empty.title"), text: t(can("library.write", this.guid) ? "files.empty.text" : "files.empty.read"),
      action: can("library.write", this.guid) && h("button.button.primary", { type: "button", onClick: () => this.uploads.choose() }, icon("up"), t("files.upload")),
    });
  }

  columns() {
    const { sort } = this.listing;
    const column = (/** @type {import("../parts/listing.js").SortKey} */ key, /** @type {string} */ className) =>
      h("button.column", { type: "button", class: className, "aria-pressed": sort.key === key, onClick: () => { void this.listing.sortBy(key); } }, t(`files.column.${key}`),
        sort.key === key && icon(sort.isDown ? "arrow-down" : "arrow-up"));
    return h("div.columns", { role: "group", "aria-label": t("files.sort") }, column("name", "col-name"), column("len", "col-len"), column("modified_ns", "col-when"), h("span.column.col-who", null, t("files.column.author")));
  }

  /** @param {number} index */
  row(index) {
    const entry = this.listing.entries[index];
    if (!entry) return h("span.skeleton.line");
    const when = entry.modified_ns / 1e6;
    const folder = this.search && entry.path.includes("/") ? entry.path.slice(0, entry.path.lastIndexOf("/")) : "";
    return [
      h("span.col-name", null, icon(iconOf(entry), `kind-${iconOf(entry)}`),
        h("span.file-name", { class: entry.kind }, name(entry.name)),
        folder && h("span.hint.in-folder", null, name(folder)),
        entry.is_disputed && h("span.tag.warn", null, t("files.disputed")),
        !entry.is_here && entry.kind === "file" && h("span.tag", null, t("files.not_here"))),
      h("span.col-len.num", null, entry.kind === "file" ? bytes(entry.len) : ""),
      h("span.col-when", { title: entry.modified_ns ? dateTime(when) : "" }, entry.modified_ns ? ago(when) : ""),
      h("span.col-who", null, name(whoIs(entry.author).label)),
    ];
  }

  dropHandlers() {
    const over = (/** @type {boolean} */ isOver) => (/** @type {DragEvent} */ event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (this.isOver === isOver) return;
      if (!isOver && event.relatedTarget instanceof Node && /** @type {Element} */ (event.currentTarget).contains(event.relatedTarget)) return;
      this.isOver = isOver;
      state.redraw();
    };
    return {
      onDragenter: over(true), onDragover: over(true), onDragleave: over(false),
      onDrop: (/** @type {DragEvent} */ event) => {
        event.preventDefault();
        this.isOver = false;
        if (can("library.write", this.guid) && event.dataTransfer) void this.uploads.take(event.dataTransfer);
        state.redraw();
      },
    };
  }
}
