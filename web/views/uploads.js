//! Files on their way into a library's folder: a few at a time, with progress; what is there already is asked for before it is replaced. A long file goes in
//! parts: it goes on after a lost connection, a pause, and after a reload if the same file is dropped again.

import { Problem, appendUpload, beginUpload, begunUpload, remove, upload, uploadState, versionOf } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { words } from "../parts/dialog.js";
import { bytes, name } from "../parts/format.js";
import { t } from "../parts/i18n.js";
import { bar } from "../parts/pieces.js";
import { state } from "../parts/state.js";

const AT_ONCE = 3;
/** A file of so many bytes goes in parts. */
const LONG_LEN = 16 * 2 ** 20;
/** What lies between here and the daemon may hold a request back until it is whole: so a part is not too long. */
const PART_LEN = 64 * 2 ** 20;
const FIRST_WAIT_MS = 1000;
const WAIT_MAX_MS = 30_000;

/** @typedef {{path: string, file: File, sent: number, state: "waits" | "runs" | "lost" | "paused" | "done" | "failed" | "exists", trouble: string, abort: () => void,
 *   stands: string | null, at: string, turn: number}} Job `stands` is the ETag of what is there already: what the reader was told of, and nothing newer, is replaced; `at` is
 *   where it goes on, and "" if it has not begun or goes in one part; `turn` counts how often it was begun or gone on with: what an earlier turn left over ends */

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
    this.jobs.push(...files.map(({ path, file }) => /** @type {Job} */ ({ path: prefix + path, file, sent: 0, state: "waits", trouble: "", abort: () => {}, stands: null, at: "", turn: 0 })));
    this.next();
  }

  next() {
    const running = this.jobs.filter((job) => job.state === "runs" || job.state === "lost").length;
    for (const job of this.jobs.filter((each) => each.state === "waits").slice(0, AT_ONCE - running)) void this.run(job, null);
    state.redraw();
  }

  /** @param {Job} job @param {string | null} replaces ETag of what it replaces */
  async run(job, replaces) {
    const turn = (job.turn += 1);
    job.state = "runs";
    job.trouble = "";
    try {
      if (job.file.size < LONG_LEN) await this.whole(job, replaces);
      else await this.parts(job, replaces, turn);
      job.state = "done";
      this.onDone();
    } catch (error) {
      if (job.turn !== turn) return;
      if (/** @type {Job["state"]} */ (job.state) === "paused") return this.next();
      job.state = "failed";
      job.trouble = words(error);
      if (/** @type {any} */ (error).category === "exists") await this.askToReplace(job, replaces);
    }
    this.next();
  }

  /** @param {Job} job @param {string | null} replaces */
  async whole(job, replaces) {
    const sending = upload(this.guid, job.path, job.file, { replaces, onProgress: (sent) => progress(job, sent) });
    job.abort = sending.abort;
    await sending.done;
  }

  /** Sends what the daemon lacks, part by part; what interrupts it is waited for. @param {Job} job @param {string | null} replaces @param {number} turn */
  async parts(job, replaces, turn) {
    let wait = FIRST_WAIT_MS;
    for (;;) {
      const before = job.sent;
      try {
        return await this.sendParts(job, replaces, turn);
      } catch (error) {
        const { status } = /** @type {any} */ (error);
        // It was removed meanwhile: begun anew.
        const isGone = status === 404 && job.at !== "";
        if (!isOn(job, turn) || !(isGone || PASSING.includes(status))) throw error;
        if (isGone) job.at = "";
      }
      if (job.sent > before) wait = FIRST_WAIT_MS;
      job.state = "lost";
      state.redraw();
      await this.rest(job, wait);
      wait = Math.min(wait * 2, WAIT_MAX_MS);
      job.state = "runs";
    }
  }

  /** Until the file is at its place. @param {Job} job @param {string | null} replaces @param {number} turn @returns {Promise<void>} */
  async sendParts(job, replaces, turn) {
    const known = job.at ? { at: job.at, ...(await uploadState(job.at)) } : (await begunUpload(this.guid, job.path, job.file)) ?? (await beginUpload(this.guid, job.path, job.file, replaces));
    job.at = known.at;
    let { offset } = known;
    if ("isDone" in known && known.isDone) return;
    for (;;) {
      if (!isOn(job, turn)) throw stopped();
      progress(job, offset);
      const part = job.file.slice(offset, offset + PART_LEN);
      const [from, isLast] = [offset, offset + part.size === job.file.size];
      const sending = appendUpload(job.at, from, part, { isLast, replaces, onProgress: (sent) => progress(job, from + sent) });
      job.abort = sending.abort;
      await sending.done;
      if (isLast) return;
      offset += part.size;
    }
  }

  /** Waits, or until somebody says something else. @param {Job} job @param {number} ms @returns {Promise<void>} */
  rest(job, ms) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms);
      job.abort = () => {
        clearTimeout(timer);
        reject(stopped());
      };
    });
  }

  /** @param {Job} job */
  pause(job) {
    job.state = "paused";
    job.abort();
    state.redraw();
  }

  /** What came of it goes, too. @param {Job} job */
  async cancel(job) {
    const { at } = job;
    job.state = "failed";
    job.trouble = t("files.upload.stopped");
    job.abort();
    if (!at) return;
    job.at = "";
    state.redraw();
    // A daemon that is not reached removes it after a day.
    await remove(at).catch(() => {});
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
    const left = this.jobs.filter((job) => ["waits", "runs", "lost", "paused"].includes(job.state)).length;
    return h("section.card.uploads", { "aria-label": t("files.upload") },
      h("header", null, h("strong", null, left ? t("files.upload.left", { n: left }) : t("files.upload.finished", { n: this.jobs.filter((job) => job.state === "done").length })),
        !left && h("button.icon-button", { type: "button", "aria-label": t("action.close"), onClick: () => { this.jobs = []; state.redraw(); } }, icon("close"))),
      h("ul", null, this.jobs.slice(0, 50).map((job, index) => this.line(job, index))));
  }

  /** @param {Job} job @param {number} index */
  line(job, index) {
    const percent = String(job.file.size ? (job.sent / job.file.size) * 100 : job.state === "done" ? 100 : 0);
    const isLong = job.file.size >= LONG_LEN;
    const button = (/** @type {string} */ text, /** @type {() => void} */ act, title = "") => h("button.button.small", { type: "button", title: title || null, onClick: act }, t(text));
    const sign = (/** @type {string} */ name, /** @type {string} */ text, /** @type {() => unknown} */ act) => h("button.icon-button", { type: "button", "aria-label": t(text, { path: job.path }), title: t(text, { path: job.path }), onClick: act }, icon(name));
    const note = { lost: "files.upload.lost", paused: "files.upload.paused" }[/** @type {string} */ (job.state)];
    return h("li", { key: index, class: job.state },
      h("span.peer-name", null, name(job.path)),
      job.trouble || note ? h("span.hint", null, job.trouble || t(note ?? "", { percent: Math.floor(Number(percent)) })) : bar(job.state === "done" ? "100" : percent, { label: job.path, slim: true }),
      h("span.num", null, job.state === "done" ? icon("check") : bytes(job.file.size)),
      h("span.upload-acts", null,
        job.state === "exists" && button("files.upload.replace", () => void this.run(job, job.stands), t("files.upload.replace.hint")),
        job.state === "failed" && button("action.again", () => void this.run(job, null)),
        job.state === "paused" && sign("play", "files.upload.resume", () => this.run(job, job.stands)),
        isLong && (job.state === "runs" || job.state === "lost") && sign("pause", "files.upload.pause", () => this.pause(job)),
        (job.state === "runs" || job.state === "lost" || job.state === "paused") && sign("close", "files.upload.cancel", () => this.cancel(job))));
  }
}

/** @param {Job} job @param {number} sent bytes */
function progress(job, sent) {
  job.sent = sent;
  state.redraw();
}

/** Whether this turn is the one that goes on. @param {Job} job @param {number} turn */
function isOn(job, turn) {
  return job.turn === turn && job.state === "runs";
}

function stopped() {
  return new Problem(0, t("files.upload.stopped"), "interrupted");
}

/** What is worth another try: the daemon was not reached or is busy, or the upload goes on at another place. */
const PASSING = [0, 408, 409, 502, 503, 504];

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
