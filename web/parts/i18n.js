//! Words of the page in the reader's language: one JSON file for each, with the same keys.

import { pluralOf } from "./format.js";

export const LANGUAGES = /** @type {const} */ (["en", "de"]);
const STORED = "swarm.language";

/** @type {Record<string, string | Record<string, string>>} */
let words = {};
export let language = "en";
/** As `language`, with the reader's country: it decides how dates are written. */
export let locale = "en";

/** @returns {string} */
export function preferred() {
  const stored = localStorage.getItem(STORED);
  const wanted = [stored ?? "", ...navigator.languages].map((name) => name.slice(0, 2).toLowerCase());
  return wanted.find((name) => LANGUAGES.some((known) => known === name)) ?? "en";
}

/** @param {string} name @param {{keep?: boolean}} [options] */
export async function speak(name, options = {}) {
  const answer = await fetch(`i18n/${name}.json`);
  words = await answer.json();
  language = name;
  locale = navigator.languages.find((each) => each.toLowerCase().startsWith(name)) ?? name;
  document.documentElement.lang = name;
  if (options.keep) localStorage.setItem(STORED, name);
}

/** The text of `key` with `{names}` filled in; `n` chooses the plural and is shown with the language's separators.
 * @param {string} key @param {Record<string, string | number>} [values] @returns {string} */
export function t(key, values = {}) {
  return /** @type {string[]} */ (tx(key, values)).join("");
}

/** As `t`, where a value may be an element. @param {string} key @param {Record<string, Child>} values @returns {Child[]} */
export function tx(key, values) {
  let text = words[key] ?? key;
  if (typeof text === "object") text = text[pluralOf(Number(values.n), language)] ?? text.other;
  return text.split(/\{(\w+)\}/).map((part, index) => {
    if (index % 2 === 0) return part;
    const value = values[part];
    return typeof value === "number" ? value.toLocaleString(locale) : value ?? "";
  });
}

/** The text of a word that the daemon said, or the word itself: a newer daemon may know more of them.
 * @param {string} prefix of the key @param {string} word @returns {string} */
export function said(prefix, word) {
  const key = `${prefix}.${word.replaceAll(" ", "_")}`;
  return has(key) ? t(key) : word;
}

/** Whether there is a text of that key. @param {string} key */
export function has(key) {
  return key in words;
}
