//! The times at which other limits hold, as `limits.schedule` of config.json has them.

import { h, icon } from "../parts/dom.js";
import { locale, t } from "../parts/i18n.js";

/** @typedef {{days?: string[], from: string, to: string, up?: string, down?: string}} Window */

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** What is edited, until it is saved. */
export class Schedule {
  /** @param {Window[]} windows as in the file @param {() => void} touched */
  constructor(windows, touched) {
    this.before = JSON.stringify(windows.map(plain));
    /** @type {Window[]} */
    this.windows = JSON.parse(this.before);
    this.touched = touched;
  }

  /** What is to be saved: nothing if that is what the file has, and `null` for no times. @returns {Window[] | null | undefined} */
  change() {
    const windows = this.windows.map(plain);
    if (JSON.stringify(windows) === this.before) return undefined;
    return windows.length > 0 ? windows : null;
  }

  draw() {
    return h("div.setting.schedule", { key: "schedule", role: "group", "aria-labelledby": "schedule-label" },
      h("div.setting-text", null, h("span.setting-label", { id: "schedule-label" }, t("times.title")), h("p.hint", null, t("times.text")), h("p.setting-key", null, h("code", null, "limits.schedule"))),
      h("div.windows", null,
        this.windows.map((each, index) => this.window(each, index)),
        h("button.button.small", { type: "button", onClick: () => this.edit(() => { this.windows.push({ from: "08:00", to: "18:00", days: DAYS.slice(0, 5) }); }) }, icon("plus"), t("times.add"))));
  }

  /** @param {Window} window @param {number} index */
  window(window, index) {
    const which = t("times.which", { n: index + 1 });
    /** @param {"from" | "to" | "up" | "down"} key @param {Record<string, any>} props */
    const input = (key, props) => h("label.window-field", null, h("span", null, t(`times.${key}`)),
      h("input", { ...props, value: window[key] ?? "", autocomplete: "off", spellcheck: "false", "aria-label": `${which}: ${t(`times.${key}`)}`, onInput: (/** @type {InputEvent} */ event) => this.edit(() => { window[key] = /** @type {HTMLInputElement} */ (event.target).value; }) }));
    return h("fieldset.window", null,
      h("legend.visually-hidden", null, which),
      h("div.days", { role: "group", "aria-label": `${which}: ${t("times.days")}` }, DAYS.map((day, at) => {
        const isOn = window.days?.includes(day) ?? true;
        return h("button", { type: "button", "aria-pressed": String(isOn), "aria-label": weekday(at, "long"), onClick: () => this.edit(() => { window.days = DAYS.filter((each) => (each === day ? !isOn : window.days?.includes(each) ?? true)); }) }, weekday(at, "short"));
      })),
      input("from", { type: "time", required: true }), input("to", { type: "time", required: true }),
      input("down", { placeholder: t("times.usual") }), input("up", { placeholder: t("times.usual") }),
      h("button.icon-button", { type: "button", "aria-label": t("times.remove", { which }), title: t("times.remove", { which }), onClick: () => this.edit(() => { this.windows.splice(index, 1); }) }, icon("trash")));
  }

  /** @param {() => void} change */
  edit(change) {
    change();
    this.touched();
  }
}

/** As it is written: what is as usual is left out. @param {Window} window @returns {Window} */
function plain({ days, from, to, up, down }) {
  const rate = (/** @type {string | undefined} */ text) => text?.trim() || undefined;
  return { days: days && days.length < DAYS.length ? days : undefined, from, to, up: rate(up), down: rate(down) };
}

/** @param {number} day 0 is Monday @param {"long" | "short"} style */
function weekday(day, style) {
  // 5 January 1970 was a Monday.
  return new Date(Date.UTC(1970, 0, 5 + day)).toLocaleDateString(locale, { weekday: style, timeZone: "UTC" });
}
