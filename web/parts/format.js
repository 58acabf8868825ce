//! Numbers, times and names as people read them.

import { h } from "./dom.js";
import { locale, t } from "./i18n.js";

/** @param {number} n @param {string} lang @returns {string} */
export function pluralOf(n, lang) {
  return new Intl.PluralRules(lang).select(n);
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** @param {number} len bytes @returns {string} */
export function bytes(len) {
  let unit = 0;
  let value = len;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2;
  return `${value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })}\u00a0${UNITS[unit]}`;
}

/** @param {number} perSecond bytes */
export function rate(perSecond) {
  return `${bytes(perSecond)}/s`;
}

/** @param {number} value */
export function number(value) {
  return value.toLocaleString(locale);
}

/** Never "100" for what is not whole: the daemon's text is cut, not rounded. @param {string} text as in "99.8" */
export function percent(text) {
  if (text === "") return "";
  const value = Math.floor(Number(text) * 10) / 10;
  // A number that grows does not jump between "74" and "74.1".
  return `${value.toLocaleString(locale, { minimumFractionDigits: value > 0 && value < 100 ? 1 : 0, maximumFractionDigits: 1 })}\u00a0%`;
}

/** @param {number} seconds @returns {string} */
export function duration(seconds) {
  const steps = /** @type {const} */ ([["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]);
  const [unit, len] = steps.find(([, size]) => seconds >= size) ?? ["second", 1];
  const amount = Math.round(seconds / len);
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(amount);
}

/** How long a way there and back takes. @param {number} micros @returns {string} */
export function roundTrip(micros) {
  const value = micros / 1000;
  const digits = value >= 9.95 ? 0 : value >= 0.095 ? 1 : 2;
  return `${value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })}\u00a0ms`;
}

/** @param {number} at_ms @param {number} [now] @returns {string} */
export function ago(at_ms, now = Date.now()) {
  const seconds = Math.round((at_ms - now) / 1000);
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const steps = /** @type {const} */ ([["day", 86400], ["hour", 3600], ["minute", 60]]);
  if (Math.abs(seconds) > 30 * 86400) return day(at_ms);
  const step = steps.find(([, size]) => Math.abs(seconds) >= size);
  return step ? relative.format(Math.round(seconds / step[1]), step[0]) : t("time.now");
}

/** @param {number} at_ms */
export function day(at_ms) {
  return new Date(at_ms).toLocaleDateString(locale, { year: "numeric", month: "short", day: "numeric" });
}

/** A day as people call it: today, yesterday, or its date. @param {number} at_ms @param {number} [now] */
export function dayName(at_ms, now = Date.now()) {
  const noon = (/** @type {number} */ at) => new Date(at).setHours(12, 0, 0, 0);
  const days = Math.round((noon(at_ms) - noon(now)) / 86_400_000);
  if (days < -1 || days > 0) return day(at_ms);
  const text = new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(days, "day");
  return text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);
}

/** @param {number} at_ms */
export function dateTime(at_ms) {
  return new Date(at_ms).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
}

/** @param {number} at_ms */
export function clock(at_ms) {
  return new Date(at_ms).toLocaleTimeString(locale, { timeStyle: "short" });
}

// Control characters, marks that turn the direction of text, invisible spaces, tags and halves of pairs: with these a name shows other than it is.
const HIDDEN =
  /([\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udfff])/u;

/** The content of a file, as `name` shows names; lines and tabs stay. @param {string} text @returns {Child[]} */
export function textOf(text) {
  return text.split(HIDDEN).map((part, index) => (index % 2 && !"\t\n\r".includes(part) ? h("span.code-point", null, code(part)) : part));
}

/** @param {string} character */
function code(character) {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A name that strangers may have chosen: what would be invisible is shown as its code, and its direction does not reach its neighbours.
 * @param {string} text @returns {VNode} */
export function name(text) {
  const parts = text.split(HIDDEN);
  return h("bdi", { class: "name" }, parts.map((part, index) => (index % 2 ? h("span.code-point", null, code(part)) : part)));
}

/** As `name`, for attributes and dialogs' titles. @param {string} text @returns {string} */
export function plainName(text) {
  return text.split(HIDDEN).map((part, index) => (index % 2 ? `‹${code(part)}›` : part)).join("");
}
