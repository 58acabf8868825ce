//! A folder of a library, or what a search found in it, as far as it was fetched. Pages come in order, because the daemon continues by name.

import { get, inLibrary } from "./api.js";
import { words } from "./dialog.js";

const PAGE = 1000;

/** @typedef {"name" | "len" | "modified_ns"} SortKey */

export class Listing {
  /** @param {{guid: string, place: string, search: string, kind: string, onChange: () => void}} what */
  constructor(what) {
    this.what = what;
    /** @type {Entry[]} in the order shown */
    this.entries = [];
    /** @type {Entry[]} as they came */
    this.fetched = [];
    /** @type {string | null} */
    this.next = "";
    /** @type {number | null} */
    this.total = null;
    this.trouble = "";
    /** @type {{key: SortKey, isDown: boolean}} */
    this.sort = { key: "name", isDown: false };
    this.wanted = 1;
    /** @type {Promise<void> | null} while pages are fetched */
    this.loading = null;
    this.isClosed = false;
  }

  /** Rows to make room for: those to come count as far as they are known. */
  get count() {
    if (this.next === null) return this.entries.length;
    return Math.max(this.total ?? 0, this.entries.length + 1);
  }

  get isWhole() {
    return this.next === null;
  }

  /** Fetches until there are so many rows. @param {number} rows @returns {Promise<void>} */
  want(rows) {
    this.wanted = Math.max(this.wanted, rows);
    if (!this.#lacks()) return Promise.resolve();
    this.loading ??= this.#load();
    return this.loading;
  }

  #lacks() {
    return !this.isClosed && this.next !== null && this.fetched.length < this.wanted && !this.trouble;
  }

  async #load() {
    while (this.#lacks()) await this.#fetchPage();
    this.loading = null;
    if (!this.isClosed) this.what.onChange();
  }

  async #fetchPage() {
    const { guid, place, search, kind } = this.what;
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (place) query.set("place", place);
    if (search) query.set("search", search);
    if (kind) query.set("kind", kind);
    if (this.next) query.set("start", this.next);
    try {
      /** @type {TreePage} */
      const page = await get(inLibrary(guid, `tree?${query}`));
      if (this.isClosed) return;
      for (const entry of page.entries) this.fetched.push(entry);
      this.next = page.next;
      this.total = page.total ?? this.total;
      this.#arrange();
    } catch (error) {
      this.trouble = words(error);
    }
    this.what.onChange();
  }

  /** Another order needs all rows. @param {SortKey} key */
  async sortBy(key) {
    this.sort = { key, isDown: this.sort.key === key ? !this.sort.isDown : key !== "name" };
    if (!this.isWhole) await this.want(Infinity);
    this.#arrange();
    this.what.onChange();
  }

  #arrange() {
    const { key, isDown } = this.sort;
    const isAsItCame = key === "name" && !isDown;
    // Folders stand first where the whole folder is one page; in longer ones rows must not move while pages come.
    if (isAsItCame && !(this.isWhole && this.fetched.length <= PAGE)) this.entries = this.fetched;
    else if (this.isWhole) this.entries = [...this.fetched].sort((a, b) => order(a, b, key, isDown));
  }

  close() {
    this.isClosed = true;
  }
}

/** @param {Entry} a @param {Entry} b @param {SortKey} key @param {boolean} isDown */
function order(a, b, key, isDown) {
  if ((a.kind === "folder") !== (b.kind === "folder")) return a.kind === "folder" ? -1 : 1;
  const direction = isDown ? -1 : 1;
  if (key === "name") return direction * NAMES.compare(a.name, b.name);
  return direction * (a[key] - b[key]) || NAMES.compare(a.name, b.name);
}

const NAMES = new Intl.Collator(undefined, { numeric: true });
