//! Files on their way into a library's folder: a few at a time, with progress; what is there already is asked for before it is replaced.

import { upload, versionOf } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { words } from "../parts/dialog.js";
import { bytes, name } from "../parts/format.js";
import { t } from "../parts/i18n.js";
import { bar } from "../parts/pieces.js";
import { state } from "../parts/state.js";

const AT_ONCE = 3;

/** @typedef {{path: string, file: File, sent: number, state: "waits" | "runs" | "done" | "failed" | "exists", trouble: string, abort: () => void,
 *   stands: string | null}} Job `stands` is the ETag of what is there already: what the reader was told of, and nothing newer, is replaced */

export class Uploads {
  /** @param {string} guid @param {string} place @param {() => void} onDone */
  constructor(guid, place, onDone) {
    this.guid = guid;
    this.place = place;
    this.onDone = onDone;
    /** @type {Job[]} */
    this.jobs = [];
  }

  choose() {
    const input = document.createElement("input");
    input.type = "file";
    input.multiple = true;
    input.onchange = () => this.add([...(input.files ?? [])].map((file) => ({ path: file.name, file })));
    input.click();
  }

  /** @param {DataTransfer} dropped */
  async take(dropped) {
    const entries = [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
    /** @type {{path: string, file: File}[]} */
    const found = [];
    for (const entry of entries) await walk(entry, found);
    this.add(found.length ? found : [...dropped.files].map((file) => ({ path: file.name, file })));
  }

  /** @param {{path: string, file: File}[]} files */
  add(files) {
    const prefix = this.place ? `${this.place}/` : "";
    this.jobs.push(...files.map(({ path, file }) => /** @type {Job} */ ({ path: prefix + path, file, sent: 0, state: "waits", trouble: "", abort: () => {}, stands: null })));
    this.next();
  }

  next() {
    const running = this.jobs.filter((job) => job.state === "runs").length;
    for (const job of this.jobs.filter((each) => each.state === "waits").slice(0, AT_ONCE - running)) void this.run(job, null);
    state.redraw();
  }

  /** @param {Job} job @param {string | null} replaces ETag of what it replaces */
  async run(job, replaces) {
    job.state = "runs";
    const sending = upload(this.guid, job.path, job.file, {
      replaces,
      onProgress: (sent) => {
        job.sent = sent;
        state.redraw();
      },
    });
    job.abort = sending.abort;
    try {
      await sending.done;
      job.state = "done";
      this.onDone();
    } catch (error) {
      job.state = "failed";
      job.trouble = words(error);
      if (/** @type {any} */ (error).category === "exists") await this.askToReplace(job, replaces);
    }
    this.next();
  }

  /** @param {Job} job @param {string | null} replaced ETag that the daemon refused to replace */
  async askToReplace(job, replaced) {
    try {
      job.stands = await versionOf(this.guid, job.path);
    } catch (error) {
      job.trouble = words(error);
      return;
    }
    if (job.stands === null || job.stands === replaced) {
      job.trouble = t("files.upload.unknown");
      return;
    }
    job.state = "exists";
    job.trouble = t(replaced ? "files.upload.changed" : "files.upload.exists");
  }

  draw() {
    if (this.jobs.length === 0) return null;
    const left = this.jobs.filter((job) => job.state === "waits" || job.state === "runs").length;
    return h("section.card.uploads", { "aria-label": t("files.upload") },
      h("header", null, h("strong", null, left ? t("files.upload.left", { n: left }) : t("files.upload.finished", { n: this.jobs.filter((job) => job.state === "done").length })),
        !left && h("button.icon-button", { type: "button", "aria-label": t("action.close"), onClick: () => { this.jobs = []; state.redraw(); } }, icon("close"))),
      h("ul", null, this.jobs.slice(0, 50).map((job, index) => this.line(job, index))));
  }

  /** @param {Job} job @param {number} index */
  line(job, index) {
    const percent = String(job.file.size ? (job.sent / job.file.size) * 100 : job.state === "done" ? 100 : 0);
    return h("li", { key: index, class: job.state },
      h("span.peer-name", null, name(job.path)),
      job.trouble ? h("span.hint", null, job.trouble) : bar(job.state === "done" ? "100" : percent, { label: job.path, slim: true }),
      h("span.num", null, job.state === "done" ? icon("check") : bytes(job.file.size)),
      job.state === "exists" && h("button.button.small", { type: "button", title: t("files.upload.replace.hint"), onClick: () => { job.trouble = ""; void this.run(job, job.stands); } }, t("files.upload.replace")),
      job.state === "failed" && h("button.button.small", { type: "button", onClick: () => { job.trouble = ""; void this.run(job, null); } }, t("action.again")),
      job.state === "runs" && h("button.icon-button", { type: "button", "aria-label": t("action.cancel"), onClick: job.abort }, icon("close")));
  }
}

/** @param {any} entry of a drop: a file or a folder @param {{path: string, file: File}[]} found */
async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ path: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const children = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (children.length === 0) return;
    for (const child of children) await walk(child, found);
  }
}
