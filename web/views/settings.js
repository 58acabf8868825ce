//! The settings of the daemon with the file they stand in, and those of this browser.

import { Problem, get, patch, post } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { askForm, fieldsOf, notice, words } from "../parts/dialog.js";
import { name, rate } from "../parts/format.js";
import { LANGUAGES, language, speak, t, tx } from "../parts/i18n.js";
import { field, lacking, pageHead, segmented, skeleton, troubleLine } from "../parts/pieces.js";
import { can, state } from "../parts/state.js";
import { setTheme, theme } from "../parts/theme.js";
import { KeptLibraries } from "./kept.js";
import { Schedule } from "./schedule.js";

/** @typedef {{key: string, kind: "text" | "bool" | "number" | "lines", example?: string}} Key `key` as in config.json, a dot before an inner one */

/** @type {[string, Key[]][]} */
const GROUPS = [
  ["limits", [{ key: "limits.down", kind: "text", example: "20MB/s" }, { key: "limits.up", kind: "text", example: "5MB/s" }]],
  ["storage", [{ key: "minFree", kind: "text", example: "1GB" }, { key: "defaultSyncRoot", kind: "text", example: "./libraries" }]],
  ["network", [{ key: "port", kind: "number", example: "8000" }, { key: "listen", kind: "text", example: "127.0.0.1" }, { key: "lan", kind: "bool" }, { key: "dht", kind: "bool" },
    { key: "coordinators", kind: "lines", example: "NODEID@host:port" }, { key: "zone", kind: "text" }]],
  ["identity", [{ key: "username", kind: "text" }]],
  ["pages", [{ key: "allowPlainHttp", kind: "bool" }, { key: "tls.cert", kind: "text", example: "/etc/ssl/swarm.pem" }, { key: "tls.key", kind: "text", example: "/etc/ssl/swarm.key" },
    { key: "metrics", kind: "text", example: "127.0.0.1:9433" }]],
];

/** @returns {import("../app.js").View} */
export function open() {
  return new SettingsView();
}

class SettingsView {
  constructor() {
    /** @type {Settings | null} */
    this.settings = null;
    this.schedule = new Schedule([], () => {});
    this.kept = new KeptLibraries();
    this.trouble = "";
    this.isBusy = false;
    this.round = 0;
    this.isChanged = false;
    /** @type {string[]} keys that were saved and act at the next start */
    this.pending = [];
    if (can("settings.manage")) void this.load();
  }

  async load() {
    try {
      this.take(await get("settings"));
      this.trouble = "";
    } catch (error) {
      this.trouble = words(error);
    }
    state.redraw();
  }

  /** @param {Settings} settings */
  take(settings) {
    this.settings = settings;
    this.schedule = new Schedule(settings.config.limits?.schedule ?? [], () => { this.isChanged = true; state.redraw(); });
  }

  draw() {
    return [
      pageHead({ title: t("nav.settings"), text: t("settings.text") }),
      appearance(),
      ownPassword(),
      lacking("settings.manage"),
      this.pending.length > 0 && h("p.trouble.warn", { role: "status" }, icon("refresh"), h("span", null, t("settings.restart_now", { keys: this.pending.join(", ") }))),
      troubleLine(this.trouble),
      this.settings ? this.form(this.settings) : !this.trouble && can("settings.manage") && skeleton(5, "tall"),
      this.kept.draw(),
      about(),
    ];
  }

  /** @param {Settings} settings */
  form(settings) {
    return h("form.settings-form", { key: `settings ${this.round}`, onSubmit: (/** @type {SubmitEvent} */ event) => this.save(event, settings), onInput: () => this.touched(), onChange: () => this.touched() },
      h("fieldset", { disabled: !can("settings.manage") },
        h("legend.visually-hidden", null, t("settings.node")),
        GROUPS.map(([group, keys]) => h("section.card.settings-group", { key: group },
          h("header", null, h("h2", null, t(`settings.${group}`)), h("p.hint", null, t(`settings.${group}.text`))),
          keys.map((key) => setting(key, valueOf(settings.config, key.key), settings.needs_restart.includes(key.key.split(".")[0]) || settings.needs_restart.includes(key.key))),
          group === "limits" && [holdsNow(), this.schedule.draw()]))),
      h("p.hint.config-file", null, tx("settings.file", { file: h("code", null, name(settings.file)) })),
      can("settings.manage") && h("div.save-bar", { class: this.isChanged ? "is-shown" : "" },
        h("span", null, t("settings.unsaved")),
        h("button.button", { type: "button", onClick: () => this.discard(settings) }, t("settings.reset")),
        h("button.button.primary", { type: "submit", disabled: this.isBusy || !this.isChanged }, t("action.save"))));
  }

  /** The form is made anew: a reset of the browser's would empty it, as what stands in it was set and not written. @param {Settings} settings */
  discard(settings) {
    this.round += 1;
    this.isChanged = false;
    this.take(settings);
    state.redraw();
  }

  touched() {
    if (this.isChanged) return;
    this.isChanged = true;
    state.redraw();
  }

  /** @param {SubmitEvent} event @param {Settings} settings */
  async save(event, settings) {
    event.preventDefault();
    const fields = fieldsOf(/** @type {HTMLFormElement} */ (event.target));
    const changed = changesOf(fields, settings.config, this.schedule.change());
    this.isBusy = true;
    try {
      await patch("settings", changed);
      this.pending = [...new Set([...this.pending, ...Object.keys(changed).filter((key) => settings.needs_restart.includes(key))])];
      this.isChanged = false;
      notice(t("settings.saved"));
      await this.load();
    } catch (error) {
      this.trouble = words(error);
    }
    this.isBusy = false;
    state.redraw();
  }
}

/** @param {Record<string, any>} config @param {string} key */
function valueOf(config, key) {
  return key.split(".").reduce((value, part) => value?.[part], /** @type {any} */ (config));
}

/** @param {Key} key @param {any} value @param {boolean} isAtRestart */
function setting({ key, kind, example }, value, isAtRestart) {
  const id = `setting-${key}`;
  const common = { id, name: key, "aria-describedby": `${id}-hint` };
  const shown = kind === "lines" ? (value ?? []).join("\n") : value === null || value === undefined ? "" : String(value);
  const control = kind === "bool" ? h("label.toggle", null, h("input", { ...common, type: "checkbox", role: "switch", checked: defaultsTrue(key) ? value !== false : value === true }), h("span.track", { "aria-hidden": "true" }))
    : kind === "lines" ? h("textarea.mono", { ...common, rows: "3", placeholder: example, value: shown })
      : h("input", { ...common, type: kind, value: shown, placeholder: example, autocomplete: "off", spellcheck: "false" });
  return h("div.setting", { key },
    h("div.setting-text", null, h("label", { for: id }, t(`setting.${key}`)), h("p.hint", { id: `${id}-hint` }, t(`setting.${key}.text`)),
      h("p.setting-key", null, h("code", null, key), isAtRestart && h("span.tag", null, t("settings.at_restart")))),
    h("div.setting-control", null, control));
}

/** The limits of this moment, where the schedule says others than usual. */
function holdsNow() {
  const { status } = state;
  if (!status || (status.limit_down === null && status.limit_up === null)) return null;
  const shown = (/** @type {number | null} */ limit) => (limit === null ? t("times.no_limit") : limit === 0 ? t("times.paused") : rate(limit));
  return h("p.hint.holds-now", { role: "status" }, t("times.now", { down: shown(status.limit_down), up: shown(status.limit_up) }));
}

/** @param {string} key */
function defaultsTrue(key) {
  return key === "lan";
}

/** What the form says otherwise than the file, as `PATCH` takes it. @param {Record<string, string>} fields @param {Record<string, any>} config
 * @param {object | null | undefined} schedule */
function changesOf(fields, config, schedule) {
  /** @type {Record<string, any>} */
  const changed = {};
  for (const { key, kind } of GROUPS.flatMap(([, keys]) => keys)) {
    const before = valueOf(config, key);
    const after = kind === "bool" ? fields[key] === "on" : kind === "lines" ? fields[key].split("\n").map((line) => line.trim()).filter(Boolean)
      : fields[key].trim() === "" ? null : kind === "number" ? Number(fields[key]) : fields[key].trim();
    const usual = kind === "bool" ? defaultsTrue(key) : kind === "lines" ? [] : null;
    if (JSON.stringify(after) === JSON.stringify(before === undefined || before === "" ? usual : before) || String(after) === String(before)) continue;
    const [outer, inner] = key.split(".");
    if (inner) changed[outer] = { ...changed[outer], [inner]: after };
    else changed[outer] = after;
  }
  if (schedule !== undefined) changed.limits = { ...changed.limits, schedule };
  // An object of which nothing is left goes as a whole: half of it may be refused, as a certificate without a key is.
  for (const outer of Object.keys(changed)) {
    const inner = changed[outer];
    if (inner === null || typeof inner !== "object" || Array.isArray(inner)) continue;
    if (Object.values({ ...config[outer], ...inner }).every((value) => value === null)) changed[outer] = null;
  }
  return changed;
}

function appearance() {
  return h("section.card.settings-group", null,
    h("header", null, h("h2", null, t("settings.appearance")), h("p.hint", null, t("settings.appearance.text"))),
    h("div.setting", null, h("div.setting-text", null, h("span.setting-label", null, t("language.label"))),
      h("div.setting-control", null, segmented({ label: t("language.label"), value: language, choices: LANGUAGES.map((each) => [each, t(`language.${each}`)]), onChange: (each) => void speak(each, { keep: true }).then(state.redraw) }))),
    h("div.setting", null, h("div.setting-text", null, h("span.setting-label", null, t("theme.label"))),
      h("div.setting-control", null, segmented({
        label: t("theme.label"), value: theme(), choices: [["auto", t("theme.auto")], ["light", t("theme.light")], ["dark", t("theme.dark")]],
        onChange: (value) => { setTheme(value); state.redraw(); },
      }))));
}

function ownPassword() {
  return h("section.card.settings-group", null,
    h("header", null, h("h2", null, t("password.title")), h("p.hint", null, t("password.text"))),
    h("div.setting", null, h("div.setting-text", null, h("span.setting-label", null, name(state.me?.user ?? ""))),
      h("div.setting-control", null, h("button.button", { type: "button", onClick: changePassword }, icon("key"), t("password.change")))));
}

/** The session of this page goes on; the daemon ends the others. */
async function changePassword() {
  const done = await askForm({
    title: t("password.title"), action: t("action.save"),
    fields: () => [
      field({ label: t("password.old"), name: "old", type: "password", autocomplete: "current-password", required: true, focus: true }),
      field({ label: t("setup.password"), name: "password", type: "password", autocomplete: "new-password", required: true, minlength: "8", hint: t("setup.password.hint") }),
      field({ label: t("setup.again"), name: "again", type: "password", autocomplete: "new-password", required: true }),
    ],
    submit: async ({ old, password, again }) => {
      if (password !== again) throw new Problem(0, t("setup.differ"), "usage");
      await post("me/password", { old, new: password });
    },
  });
  if (done) notice(t("password.done"));
}

function about() {
  const { node } = state;
  return node && h("p.about", null, h("span", null, `swarm ${node.version}`), h("span", null, name(node.name)), h("code", { title: node.node }, node.node.slice(0, 16)));
}
