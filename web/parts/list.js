//! `<swarm-list>`: a list of any length of which only the rows in sight are in the document. One stop of the Tab key; arrows, Home, End and Page keys
//! move the active row, Enter opens it. Invariant: the active row is always in the document, because assistive technology follows it there.

import { render, h } from "./dom.js";

const SPARE_ROWS = 8;

class List extends HTMLElement {
  /** Number of rows. */
  count = 0;
  /** Height of a row in CSS pixels. */
  rowHeight = 44;
  /** Describes a row's content. @type {(index: number) => Child} */
  row = () => null;
  /** @type {(index: number) => string | number} */
  keyOf = (index) => index;
  /** Rows that came into sight. @type {(first: number, last: number) => void} */
  onSeen = () => {};
  /** A click. @type {(index: number) => void} */
  onPress = () => {};
  /** The space bar. @type {(index: number) => void} */
  onPick = () => {};
  /** Enter. @type {(index: number) => void} */
  onOpen = () => {};
  /** The End key: the last rows may be unknown yet. */
  onEnd = () => {};
  /** Backspace: one level up. */
  onUp = () => {};
  /** The chosen row, or -1. */
  picked = -1;
  #active = 0;
  #body = document.createElement("div");
  #isQueued = false;

  connectedCallback() {
    if (this.firstChild) return;
    this.tabIndex = 0;
    this.setAttribute("role", "listbox");
    this.#body.className = "rows";
    this.#body.setAttribute("role", "presentation");
    this.append(this.#body);
    this.addEventListener("scroll", () => this.#queue(), { passive: true });
    this.addEventListener("keydown", (event) => this.#onKey(event));
    this.addEventListener("click", (event) => this.#onClick(event));
    new ResizeObserver(() => this.#queue()).observe(this);
  }

  /** Draws anew; set by the view with every change. @param {unknown} _change */
  set version(_change) {
    this.#queue();
  }

  toTop() {
    this.scrollTop = 0;
    this.#active = 0;
    this.#queue();
  }

  /** @param {number} index */
  activate(index) {
    this.#active = Math.max(0, Math.min(this.count - 1, index));
    const top = this.#active * this.rowHeight;
    // The room for new rows must be there before the list is scrolled to them.
    this.#body.style.height = `${this.count * this.rowHeight}px`;
    if (top < this.scrollTop) this.scrollTop = top;
    else if (top + this.rowHeight > this.scrollTop + this.clientHeight) this.scrollTop = top + this.rowHeight - this.clientHeight;
    this.#queue();
  }

  #queue() {
    if (this.#isQueued) return;
    this.#isQueued = true;
    requestAnimationFrame(() => {
      this.#isQueued = false;
      this.#draw();
    });
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.scrollTop / this.rowHeight) - SPARE_ROWS);
    const last = Math.min(this.count, Math.ceil((this.scrollTop + this.clientHeight) / this.rowHeight) + SPARE_ROWS);
    this.#body.style.height = `${this.count * this.rowHeight}px`;
    const shown = new Set();
    for (let index = first; index < last; index += 1) shown.add(index);
    if (this.count > 0) shown.add(Math.min(this.#active, this.count - 1));
    render(this.#body, [...shown].sort((a, b) => a - b).map((index) => this.#describe(index)));
    if (this.count > 0) this.setAttribute("aria-activedescendant", `${this.id}-${Math.min(this.#active, this.count - 1)}`);
    else this.removeAttribute("aria-activedescendant");
    if (last > first) this.onSeen(first, last);
  }

  /** @param {number} index */
  #describe(index) {
    return h("div.row", {
      key: this.keyOf(index), id: `${this.id}-${index}`, role: "option", "data-index": String(index),
      "aria-selected": index === this.picked, "aria-setsize": String(this.count), "aria-posinset": String(index + 1),
      class: index === this.#active ? "active" : "",
      style: { transform: `translateY(${index * this.rowHeight}px)`, height: `${this.rowHeight}px` },
    }, this.row(index));
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-index]"));
    if (!row) return;
    this.#active = Number(row.dataset.index);
    this.onPress(this.#active);
    this.#queue();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const page = Math.max(1, Math.floor(this.clientHeight / this.rowHeight) - 1);
    /** @type {Record<string, number>} */
    const moves = {
      ArrowDown: this.#active + 1, ArrowUp: this.#active - 1, PageDown: this.#active + page, PageUp: this.#active - page, Home: 0,
    };
    if (event.key in moves) this.activate(moves[event.key]);
    else if (event.key === "Enter") this.onOpen(this.#active);
    else if (event.key === "End") this.onEnd();
    else if (event.key === "Backspace") this.onUp();
    else if (event.key === " ") this.onPick(this.#active);
    else return;
    event.preventDefault();
  }
}

customElements.define("swarm-list", List);

/** @typedef {List} SwarmList */
