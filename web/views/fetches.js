//! A ticket or a manifest that is to be fetched into a library: dropped, pasted or chosen. The daemon says what it is before anything is fetched.

import { postBytes } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { notice, openDialog, words } from "../parts/dialog.js";
import { bytes, name, plainName } from "../parts/format.js";
import { t } from "../parts/i18n.js";
import { choice } from "../parts/pieces.js";
import { can, state } from "../parts/state.js";

/** Typing is looked at when it pauses. */
const LOOK_MS = 350;

/** Libraries that files may be put into on this machine. */
export function targets() {
  return (state.status?.libraries ?? []).filter((each) => can("library.write", each.guid) && each.mounts.some((mount) => mount.sync));
}

/** Whether somebody may add a ticket, as properties of a control. @returns {Record<string, any>} */
export function needTarget() {
  if (targets().length > 0) return {};
  const may = state.status?.libraries.some((each) => can("library.write", each.guid));
  return { disabled: true, title: t(may ? "fetch.no_target" : "need.library.write") };
}

/** What a drop or a paste holds of a ticket or manifest; nothing if it holds none. @param {DataTransfer | null} data @returns {File | string | null} */
export function givenIn(data) {
  if (!data) return null;
  const [file] = data.files;
  if (file) return file;
  const text = data.getData("text/plain");
  return /\bswarm1/i.test(text) ? text : null;
}

/** @param {File | string | null} given what was dropped or pasted @param {() => void} onDone */
export async function addFetch(given, onDone) {
  const form = new Form(given);
  const made = await openDialog({ title: t("fetch.title"), content: (dialog) => form.draw(dialog) });
  form.close();
  if (!made) return;
  notice(t("fetch.done", { name: made.name ? plainName(made.name) : t("fetch.unnamed") }));
  onDone();
}

/** @typedef {{close: (value?: FetchView) => void, redraw: () => void, isBusy: boolean, run: (work: () => Promise<FetchView | undefined>) => Promise<void>}} Dialog */

class Form {
  /** @param {File | string | null} given */
  constructor(given) {
    /** @type {File | null} */
    this.file = given instanceof File ? given : null;
    this.text = typeof given === "string" ? given : "";
    this.guid = targets()[0]?.guid ?? "";
    this.folder = "";
    /** @type {FetchView | null} */
    this.view = null;
    this.trouble = "";
    this.asked = 0;
    this.timer = 0;
    this.isNew = true;
  }

  close() {
    this.asked += 1;
    clearTimeout(this.timer);
  }

  get given() {
    return this.file ?? this.text.trim();
  }

  /** @param {boolean} rehearsal */
  send(rehearsal) {
    const query = new URLSearchParams({ library: this.guid, folder: this.folder || "/" });
    if (rehearsal) query.set("rehearsal", "true");
    return postBytes(`fetches?${query}`, this.given);
  }

  /** Asks the daemon what it is. @param {Dialog} dialog @param {number} [wait] */
  look(dialog, wait = LOOK_MS) {
    clearTimeout(this.timer);
    this.asked += 1;
    const { asked } = this;
    this.view = null;
    this.trouble = "";
    if (this.given === "") return;
    this.timer = setTimeout(async () => {
      try {
        const view = await this.send(true);
        if (asked !== this.asked) return;
        this.view = view;
      } catch (error) {
        if (asked !== this.asked) return;
        this.trouble = words(error);
      }
      dialog.redraw();
    }, wait);
  }

  /** @param {Dialog} dialog */
  choose(dialog) {
    const input = document.createElement("input");
    input.type = "file";
    input.onchange = () => {
      this.file = input.files?.[0] ?? null;
      this.look(dialog, 0);
      dialog.redraw();
    };
    input.click();
  }

  /** @param {Dialog} dialog */
  draw(dialog) {
    if (this.isNew) {
      this.isNew = false;
      this.look(dialog, 0);
    }
    return h("form", {
      onSubmit: (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        if (this.given !== "") void dialog.run(() => this.send(false));
      },
    },
    h("div.dialog-body", null,
      h("p.lede", null, t("fetch.text")),
      this.file ? this.chosen(dialog) : this.ticket(dialog),
      this.preview(),
      choice({ label: t("fetch.library"), name: "library", value: this.guid, choices: targets().map((each) => [each.guid, plainName(each.name)]), onChange: (guid) => { this.guid = guid; this.look(dialog, 0); dialog.redraw(); } }),
      h("div.field", { key: "folder" }, h("label", { for: "field-folder" }, t("fetch.folder")),
        h("input.mono", { id: "field-folder", value: this.folder, placeholder: "/", autocomplete: "off", autocapitalize: "none", spellcheck: "false", "aria-describedby": "field-folder-hint", onInput: (/** @type {Event} */ event) => { this.folder = /** @type {HTMLInputElement} */ (event.target).value; this.look(dialog); } }),
        h("p.hint", { id: "field-folder-hint" }, t("fetch.folder.hint")))),
    h("footer.dialog-foot", null,
      h("button.button", { type: "button", onClick: () => dialog.close() }, t("action.cancel")),
      h("button.button.primary", { type: "submit", disabled: dialog.isBusy || this.given === "" || this.trouble !== "" }, t("fetch.action"))));
  }

  /** @param {Dialog} dialog */
  ticket(dialog) {
    return h("div.field", { key: "ticket" }, h("label", { for: "field-ticket" }, t("fetch.ticket")),
      h("textarea.mono", { id: "field-ticket", rows: "3", value: this.text, placeholder: "swarm1…", autocomplete: "off", autocapitalize: "none", spellcheck: "false", "data-focus": true, onInput: (/** @type {Event} */ event) => { this.text = /** @type {HTMLTextAreaElement} */ (event.target).value; this.look(dialog); dialog.redraw(); } }),
      h("button.button.small", { type: "button", onClick: () => this.choose(dialog) }, icon("file"), t("fetch.choose")));
  }

  /** @param {Dialog} dialog */
  chosen(dialog) {
    return h("div.field", { key: "file" }, h("strong", null, icon("file"), " ", name(this.file?.name ?? "")),
      h("button.button.small", { type: "button", onClick: () => { this.file = null; this.look(dialog, 0); dialog.redraw(); } }, t("fetch.other")));
  }

  preview() {
    const { view } = this;
    return h("div", { key: "preview", role: "status" },
      this.trouble && h("p.trouble", null, icon("warning"), h("span", null, this.trouble)),
      view && (view.bytes === null || view.name === null
        ? h("p.hint", null, t("fetch.unknown", { n: view.sources }))
        : [h("p", null, h("strong", null, name(view.name)), ` · ${t("jobs.files", { n: view.files ?? 0 })} · ${bytes(view.bytes)}`),
          view.listed.length > 1 && h("ul.points", null, view.listed.slice(0, 5).map((file) => h("li", { key: file.path }, name(file.path), h("span.hint", null, ` ${bytes(file.bytes)}`)))),
          (view.files ?? 0) > 5 && h("p.hint", null, t("jobs.more", { n: (view.files ?? 0) - 5 }))]),
      view && view.signers.length > 0 && h("p.hint", null, t("fetch.signed", { who: view.signers.join(", ") })));
  }
}
