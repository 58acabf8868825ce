//! The stream of the daemon's events, read by `fetch`: unlike `EventSource` it tells a session that ended from a lost connection, sends `Last-Event-ID`
//! when it comes back, and sees the comment lines by which a silent connection is known to live.

import { BASE } from "./api.js";

const RETRY_SECONDS = [1, 2, 4, 8, 15];
// The daemon sends a comment every 15 s: after two missed ones the connection is dead, whatever the system says.
const SILENCE_MS = 40_000;

export class Live {
  /** @param {{onStatus: (status: Status) => void, onGap: () => void, onState: (state: LinkState) => void, onEnded: () => void, onForbidden: () => void}} told */
  constructor(told) {
    this.told = told;
    this.lastId = "";
    this.failures = 0;
    /** When the daemon was heard last, in milliseconds. */
    this.heardAt = 0;
    /** @type {AbortController | null} */
    this.stop = null;
    this.timer = 0;
    this.watchdog = 0;
  }

  start() {
    this.close();
    this.read();
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.stop?.abort();
    this.stop = null;
  }

  async read() {
    const stop = new AbortController();
    this.stop = stop;
    this.told.onState({ kind: this.failures ? "retrying" : "connecting" });
    try {
      const headers = this.lastId ? { "Last-Event-ID": this.lastId } : undefined;
      this.watch(stop);
      const answer = await fetch(`${BASE}/events`, { headers, signal: stop.signal, credentials: "same-origin", cache: "no-store" });
      if (answer.status === 401) return this.told.onEnded();
      if (answer.status === 403) return this.told.onForbidden();
      if (!answer.ok || !answer.body) throw new Error(String(answer.status));
      this.failures = 0;
      this.told.onState({ kind: "live" });
      await this.drain(answer.body.getReader(), stop);
    } catch {
      // Every failure has the same way out: try again.
    }
    if (this.stop === stop) this.retry();
  }

  /** @param {ReadableStreamDefaultReader<Uint8Array>} reader @param {AbortController} stop */
  async drain(reader, stop) {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.heardAt = Date.now();
      this.watch(stop);
      text = (text + decoder.decode(value, { stream: true })).replaceAll("\r", "");
      const events = text.split("\n\n");
      text = /** @type {string} */ (events.pop());
      for (const event of events) this.handle(event);
    }
  }

  /** @param {string} block */
  handle(block) {
    let kind = "message";
    const data = [];
    for (const line of block.split("\n")) {
      const value = line.slice(line.indexOf(":") + 1).replace(/^ /, "");
      if (line.startsWith("id:")) this.lastId = value;
      else if (line.startsWith("event:")) kind = value;
      else if (line.startsWith("data:")) data.push(value);
    }
    if (kind === "status" && data.length) this.told.onStatus(JSON.parse(data.join("\n")));
    else if (kind === "gap") this.told.onGap();
  }

  /** @param {AbortController} stop */
  watch(stop) {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => stop.abort(), SILENCE_MS);
  }

  retry() {
    clearTimeout(this.watchdog);
    const seconds = RETRY_SECONDS[Math.min(this.failures, RETRY_SECONDS.length - 1)];
    this.failures += 1;
    this.told.onState({ kind: "lost", retryAt: Date.now() + seconds * 1000 });
    this.timer = setTimeout(() => this.read(), seconds * 1000);
  }
}

/** @typedef {{kind: "connecting" | "live" | "retrying"} | {kind: "lost", retryAt: number}} LinkState */
