//! Dialogs and short notices. A dialog is a `<dialog>` element: the browser keeps the focus in it and gives it back.

import { Problem } from "./api.js";
import { h, icon, render } from "./dom.js";
import { t } from "./i18n.js";

/**
 * Opens a dialog and waits for its end. `content` is called again by `redraw`; `run` closes it with what the work returns, or keeps it open for nothing.
 * @template T
 * @param {{title: Child, wide?: boolean, className?: string, content: (dialog: {close: (value?: T) => void, redraw: () => void, isBusy: boolean,
 *   trouble: string, run: (work: () => Promise<T | undefined>) => Promise<void>}) => Child}} options
 * @returns {Promise<T | undefined>} nothing if it was dismissed
 */
export function openDialog(options) {
  return new Promise((resolve) => {
    const element = document.createElement("dialog");
    element.className = `dialog ${options.wide ? "wide" : ""} ${options.className ?? ""}`;
    element.setAttribute("aria-labelledby", "dialog-title");
    /** @type {T | undefined} */
    let result;
    const dialog = {
      isBusy: false,
      trouble: "",
      close: (/** @type {T | undefined} */ value) => {
        result = value;
        element.close();
      },
      redraw: () => render(element, frame(options.title, { close: () => element.close(), trouble: dialog.trouble }, options.content(dialog))),
      run: async (/** @type {() => Promise<T | undefined>} */ work) => {
        dialog.isBusy = true;
        dialog.trouble = "";
        dialog.redraw();
        try {
          const value = await work();
          if (value !== undefined) dialog.close(value);
        } catch (error) {
          dialog.trouble = words(error);
        }
        dialog.isBusy = false;
        dialog.redraw();
      },
    };
    element.addEventListener("close", () => {
      element.remove();
      resolve(result);
    });
    element.addEventListener("pointerdown", (event) => {
      if (event.target === element) element.close();
    });
    dialog.redraw();
    document.body.append(element);
    element.showModal();
    /** @type {HTMLElement | null} */ (element.querySelector("[data-focus]"))?.focus();
  });
}

/** @param {Child} title @param {{close: () => void, trouble: string}} dialog @param {Child} content */
function frame(title, dialog, content) {
  return h("div.dialog-frame", null,
    h("header.dialog-head", null,
      h("h2", { id: "dialog-title" }, title),
      h("button.icon-button", { type: "button", "aria-label": t("action.close"), onClick: () => dialog.close() }, icon("close"))),
    dialog.trouble && h("p.trouble", { role: "alert" }, icon("warning"), h("span", null, dialog.trouble)),
    content);
}

/**
 * Asks before something is done, and says what it does. Stays open with the daemon's words if it fails.
 * @param {{title: Child, text: Child, points?: Child[], undo: string, action: string, isDanger?: boolean, work: () => Promise<any>}} options
 * @returns {Promise<boolean>} whether it was done
 */
export async function confirm(options) {
  const done = await openDialog({
    title: options.title,
    content: (dialog) => [
      h("div.dialog-body", null,
        h("p", null, options.text),
        options.points?.length ? h("ul.points", null, options.points.map((point) => h("li", null, point))) : null,
        h("p.undo-note", null, icon("undo"), h("span", null, options.undo))),
      h("footer.dialog-foot", null,
        h("button.button", { type: "button", onClick: () => dialog.close() }, t("action.cancel")),
        h("button.button", {
          class: options.isDanger ? "danger" : "primary",
          type: "button",
          disabled: dialog.isBusy,
          "data-focus": options.isDanger ? null : true,
          onClick: () => dialog.run(async () => {
            await options.work();
            return true;
          }),
        }, options.action)),
    ],
  });
  return done === true;
}

/**
 * A dialog with a form; `submit` gets its fields.
 * @param {{title: Child, action: string, wide?: boolean, isDanger?: boolean, fields: (redraw: () => void) => Child, submit: (fields: Record<string, string>) => Promise<any>}} options
 * @returns {Promise<boolean>}
 */
export async function askForm(options) {
  const done = await openDialog({
    title: options.title,
    wide: options.wide,
    content: (dialog) => h("form", {
      onSubmit: (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        const fields = fieldsOf(/** @type {HTMLFormElement} */ (event.target));
        dialog.run(async () => {
          await options.submit(fields);
          return true;
        });
      },
    },
    h("div.dialog-body", null, options.fields(dialog.redraw)),
    h("footer.dialog-foot", null,
      h("button.button", { type: "button", onClick: () => dialog.close() }, t("action.cancel")),
      h("button.button", { class: options.isDanger ? "danger" : "primary", type: "submit", disabled: dialog.isBusy }, options.action))),
  });
  return done === true;
}

/** @param {HTMLFormElement} form @returns {Record<string, string>} */
export function fieldsOf(form) {
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
}

/** @param {unknown} error @returns {string} */
export function words(error) {
  if (error instanceof Problem) return error.message;
  console.error(error);
  return t("error.page");
}

/** @type {{id: number, text: Child, kind: string, action?: {label: string, run: () => void}}[]} */
let notices = [];
let lastNotice = 0;

/** Says what was done, for some seconds. @param {Child} text @param {{kind?: "good" | "bad", action?: {label: string, run: () => void}}} [options] */
export function notice(text, options = {}) {
  const id = (lastNotice += 1);
  notices = [...notices.slice(-2), { id, text, kind: options.kind ?? "good", action: options.action }];
  drawNotices();
  setTimeout(() => dismiss(id), options.kind === "bad" ? 12_000 : 6_000);
}

/** @param {number} id */
function dismiss(id) {
  notices = notices.filter((each) => each.id !== id);
  drawNotices();
}

function drawNotices() {
  const root = document.getElementById("notices");
  if (!root) return;
  render(root, notices.map((each) => h("div.notice", { key: each.id, class: each.kind },
    icon(each.kind === "bad" ? "warning" : "check"),
    h("span", null, each.text),
    each.action && h("button.link", { type: "button", onClick: () => { each.action?.run(); dismiss(each.id); } }, each.action.label),
    h("button.icon-button", { type: "button", "aria-label": t("action.close"), onClick: () => dismiss(each.id) }, icon("close")))));
}

/** Does something that needs no dialog, and says how it went. @param {() => Promise<any>} work @param {Child} [done] */
export async function attempt(work, done) {
  try {
    const result = await work();
    if (done) notice(done);
    return result;
  } catch (error) {
    notice(words(error), { kind: "bad" });
    return undefined;
  }
}
