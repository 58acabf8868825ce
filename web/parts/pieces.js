//! Small pieces that several views share.

import { h, icon } from "./dom.js";
import { openDialog, notice } from "./dialog.js";
import { said, t } from "./i18n.js";
import { name } from "./format.js";
import { can, state, whoIs } from "./state.js";

/** @param {{title: Child, text?: Child, actions?: Child}} options */
export function pageHead(options) {
  return h("header.page-head", null,
    h("div", null, h("h1", { tabindex: "-1" }, options.title), options.text && h("p.lede", null, options.text)),
    options.actions && h("div.actions", null, options.actions));
}

/** Nothing here, and the next step. @param {{icon: string, title: Child, text: Child, action?: Child}} options */
export function empty(options) {
  return h("div.empty", null, h("div.empty-mark", null, icon(options.icon)), h("h2", null, options.title), h("p", null, options.text), options.action);
}

/** Grey shapes where something is about to stand. @param {number} rows @param {string} [className] */
export function skeleton(rows, className = "") {
  return h("div.skeletons", { class: className, role: "status", "aria-label": t("state.loading") },
    Array.from({ length: rows }, () => h("div.skeleton")));
}

/** @param {string} text percent as the daemon writes it @param {{label: string, tone?: string, slim?: boolean}} options */
export function bar(text, options) {
  const value = Math.max(0, Math.min(100, Number(text) || 0));
  return h("div.bar", {
    class: `${options.tone ?? ""} ${options.slim ? "slim" : ""} ${value >= 100 ? "full" : ""}`, role: "progressbar", "aria-label": options.label,
    "aria-valuenow": String(value), "aria-valuemin": "0", "aria-valuemax": "100",
  }, h("span", { style: { width: `${value < 100 ? Math.min(98, value) : 100}%` } }));
}

/** What went wrong in a view, or nothing: that the connection is lost stands at the top already. @param {string} text */
export function troubleLine(text) {
  const isTold = text === t("error.unreachable") && ["lost", "retrying"].includes(state.link.kind);
  return text && !isTold && h("p.trouble", { role: "alert" }, icon("warning"), h("span", null, text));
}

/** Tells which paths an action left as they were, and why. @param {Pick<Done, "refused" | "unknown">} done @returns {Promise<unknown>} */
export function tellLeft({ refused, unknown }) {
  if (refused.length + unknown.length === 0) return Promise.resolve();
  return openDialog({
    title: t("left.title", { n: refused.length + unknown.length }), wide: true,
    content: (dialog) => [
      h("div.dialog-body", null,
        h("p", null, t("left.text")),
        h("div.path-list", { tabindex: "0", role: "group", "aria-label": t("left.paths") }, h("ul", null,
          refused.map(([path, why]) => h("li", { key: path }, icon("lock"), h("span", null, name(path)), h("span.hint", null, why))),
          unknown.map((path) => h("li", { key: `unknown ${path}` }, icon("warning"), h("span", null, name(path)), h("span.hint", null, t("left.unknown"))))))),
      h("footer.dialog-foot", null, h("button.button", { type: "button", "data-focus": true, onClick: () => dialog.close() }, t("action.close"))),
    ],
  });
}

/** @type {Record<string, string>} */
const TONES = { "up to date": "good", syncing: "live", scanning: "live", paused: "quiet", stopped: "bad", held: "warn", conflict: "warn", waiting: "warn" };

/** @param {string} text state of a library */
export function statePill(text) {
  return h("span.pill", { class: TONES[text] ?? "quiet" }, h("i.dot"), said("library.state", text));
}

/** @param {string} node */
export function who(node) {
  const known = whoIs(node);
  return h("span.who", { title: node }, name(known.label), known.isSelf && h("span.tag", null, t("peer.this")));
}

/** @param {string} label @param {Child} value @param {string} [className] */
export function fact(label, value, className = "") {
  return [h("dt", null, label), h("dd", { class: className }, value)];
}

/** Text to copy, as an address. @param {string} label @param {string} value */
export function copyField(label, value) {
  return h("div.copy-field", null,
    h("span.label", null, label),
    h("div.copy-row", null,
      h("code", null, value),
      h("button.icon-button", { type: "button", "aria-label": t("action.copy_what", { what: label }), title: t("action.copy"), onClick: () => copy(value) }, icon("copy"))));
}

/** @param {string} value */
async function copy(value) {
  try {
    await navigator.clipboard.writeText(value);
    notice(t("copied"));
  } catch {
    // Pages over plain HTTP have no clipboard: the text is shown, selected.
    openDialog({ title: t("action.copy"), content: () => h("div.dialog-body", null,
      h("textarea.mono", { readonly: true, rows: "4", "aria-label": t("action.copy"), ref: (/** @type {HTMLTextAreaElement} */ el) => setTimeout(() => el.select()) }, value)) });
  }
}

/** Properties of a control that `me` may not use: disabled, with the reason. @param {Permission} permission @param {string} [guid] of the library @returns {Record<string, any>} */
export function need(permission, guid) {
  return can(permission, guid) ? {} : { disabled: true, title: t(`need.${permission}`) };
}

/** One line that says why controls are missing. @param {Permission} permission */
export function lacking(permission) {
  return can(permission) ? null : h("p.lacking", null, icon("lock"), h("span", null, t(`need.${permission}`)));
}

/** A field that filters what stands below it. @param {string} label @param {(text: string) => void} onText with the text in lower case */
export function searchField(label, onText) {
  return h("label.search", null, icon("search"), h("input", {
    type: "search", placeholder: label, "aria-label": label,
    onInput: (/** @type {Event} */ event) => {
      onText(/** @type {HTMLInputElement} */ (event.target).value.trim().toLowerCase());
      state.redraw();
    },
  }));
}

/** @param {{label: Child, name: string, hint?: Child, type?: string, value?: string, placeholder?: string, required?: boolean, disabled?: boolean,
 *   autocomplete?: string, focus?: boolean, minlength?: string, mono?: boolean}} options */
export function field(options) {
  const id = `field-${options.name}`;
  return h("div.field", { key: options.name },
    h("label", { for: id }, options.label),
    h("input", {
      id, name: options.name, type: options.type ?? "text", value: options.value ?? "", placeholder: options.placeholder, required: options.required,
      disabled: options.disabled, autocomplete: options.autocomplete ?? "off", autocapitalize: "none", spellcheck: "false", minlength: options.minlength,
      class: options.mono ? "mono" : null, "data-focus": options.focus ? true : null, "aria-describedby": options.hint ? `${id}-hint` : null,
    }),
    options.hint && h("p.hint", { id: `${id}-hint` }, options.hint));
}

/** @param {{label: Child, name: string, value: string, choices: [string, Child][], hint?: Child, disabled?: boolean, onChange?: (value: string) => void}} options */
export function choice(options) {
  const id = `field-${options.name}`;
  return h("div.field", { key: options.name },
    h("label", { for: id }, options.label),
    h("select", {
      id, name: options.name, value: options.value, disabled: options.disabled,
      onChange: (/** @type {Event} */ event) => options.onChange?.(/** @type {HTMLSelectElement} */ (event.target).value),
    }, options.choices.map(([value, label]) => h("option", { value }, label))),
    options.hint && h("p.hint", null, options.hint));
}

/** @param {{label: Child, name?: string, checked: boolean, hint?: Child, disabled?: boolean, title?: string, onChange?: (checked: boolean) => void}} options */
export function toggle(options) {
  return h("label.toggle", { class: options.disabled ? "is-disabled" : "", title: options.title },
    h("input", {
      type: "checkbox", role: "switch", name: options.name, checked: options.checked, disabled: options.disabled,
      onChange: (/** @type {Event} */ event) => {
        const input = /** @type {HTMLInputElement} */ (event.target);
        const wanted = input.checked;
        // A switch that asks first shows what holds until it was answered.
        if (options.onChange && !options.name) input.checked = options.checked;
        options.onChange?.(wanted);
      },
    }),
    h("span.track", { "aria-hidden": "true" }),
    h("span.toggle-text", null, h("span", null, options.label), options.hint && h("span.hint", null, options.hint)));
}

/** A row of choices of which one holds. @param {{label: string, value: string, choices: [string, string, string?][], onChange: (value: string) => void}} options */
export function segmented(options) {
  return h("div.segmented", { role: "group", "aria-label": options.label }, options.choices.map(([value, label, picture]) =>
    h("button", { type: "button", "aria-pressed": value === options.value, title: label, onClick: () => options.onChange(value) },
      picture && icon(picture), h("span", { class: picture ? "segment-text" : "" }, label))));
}

/** A button that opens a short list of actions. @param {string} label @param {{label: string, icon: string, run: () => void, isDanger?: boolean, disabled?: boolean, title?: string}[]} items */
export function menu(label, items) {
  return h("details.menu", { onToggle: closeWhenLeft, onKeydown: closeOnEscape },
    h("summary.icon-button", { "aria-label": label, title: label }, icon("more")),
    h("div.menu-list", null, items.map((item) => h("button", {
      type: "button", class: item.isDanger ? "danger-text" : "", disabled: item.disabled, title: item.title,
      onClick: (/** @type {Event} */ event) => {
        /** @type {HTMLDetailsElement} */ (/** @type {Element} */ (event.target).closest("details")).open = false;
        item.run();
      },
    }, icon(item.icon), item.label))));
}

/** @param {Event} event */
function closeWhenLeft(event) {
  const details = /** @type {HTMLDetailsElement} */ (event.target);
  if (!details.open) return;
  details.lastElementChild?.scrollIntoView({ block: "nearest" });
  const close = (/** @type {Event} */ press) => {
    if (details.contains(/** @type {Node} */ (press.target))) return;
    details.open = false;
    document.removeEventListener("pointerdown", close);
  };
  document.addEventListener("pointerdown", close);
}

/** @param {KeyboardEvent} event */
function closeOnEscape(event) {
  const details = /** @type {HTMLDetailsElement} */ (/** @type {Element} */ (event.target).closest("details"));
  if (event.key !== "Escape" || !details.open) return;
  details.open = false;
  /** @type {HTMLElement} */ (details.firstElementChild).focus();
}

/** Names of libraries to choose from. @returns {[string, string][]} */
export function libraryChoices() {
  return (state.status?.libraries ?? []).map((each) => [each.guid, each.name]);
}
