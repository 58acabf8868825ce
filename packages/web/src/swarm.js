//! What a program calls, the same on a page and in Node.js: [`Swarm`] asks an engine room, which may be in a worker, and tells its events.

import { SwarmError } from "./error.js";

/** @import { ContentState, FetchOptions, NodeStatus, Progress, SavedFile, StoredContent, SwarmEvent, SwarmEventOf } from "../index.d.ts" */
/**
 * Where the engine room is: `ask` calls a method of `SwarmNode` there.
 * @typedef {{ask: (method: string, ...args: unknown[]) => Promise<any>, end: () => void}} Room
 */

export class Swarm {
  #room;
  /** @type {Map<string, Set<(event: any) => void>>} */
  #listeners = new Map();
  /** @type {Map<string, Set<Fetching>>} */
  #fetchings = new Map();

  /** @param {Room} room @param {string} id */
  constructor(room, id) {
    this.#room = room;
    /** The public key of this node, 64 hex digits. */
    this.id = id;
  }

  /**
   * Calls a function for each event of this kind, or with `event` for all. Returns a function that ends that.
   * @template {SwarmEvent["kind"] | "event"} K
   * @param {K} kind @param {(event: SwarmEventOf<K>) => void} listener
   */
  on(kind, listener) {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** Fetches what a ticket names, and serves what is there of it. Goes on where an earlier fetch ended. @param {string} ticket @param {FetchOptions} [options] */
  async fetch(ticket, { onProgress, signal, sources, patienceMs } = {}) {
    if (signal?.aborted) throw interrupted(signal);
    /** @type {SwarmEvent[]} */
    const early = [];
    // What happens before the answer is here is not lost.
    const forget = this.on("event", (event) => void early.push(event));
    try {
      /** @type {ContentState} */
      const state = await this.#room.ask("fetch", ticket, { sources, patienceMs });
      const fetching = new Fetching(this, state, onProgress);
      const ofContent = this.#fetchings.get(state.content) ?? new Set();
      this.#fetchings.set(state.content, ofContent.add(fetching));
      void fetching.done.catch(() => {}).then(() => ofContent.delete(fetching));
      early.forEach((event) => fetching.onEvent(event));
      const cancel = () => void fetching.cancel().catch(() => {});
      signal?.addEventListener("abort", cancel, { once: true });
      if (signal?.aborted) cancel();
      return fetching;
    } finally {
      forget();
    }
  }

  /** @returns {Promise<NodeStatus>} */
  status() {
    return this.#room.ask("status");
  }

  /** A ticket for a content. @param {string} content @param {{addresses?: string[], sources?: string[]}} [options] @returns {Promise<string>} */
  ticket(content, options) {
    return this.#room.ask("ticket", content, options);
  }

  /** Stops fetching and serving; what is stored stays. @param {string} content @returns {Promise<void>} */
  pause(content) {
    return this.#room.ask("pause", content);
  }

  /** @param {string} content @returns {Promise<void>} */
  resume(content) {
    return this.#room.ask("resume", content);
  }

  /** Takes no part in a content any more, and removes what only the storage has of it. @param {string} content @param {{keep?: boolean}} [options] @returns {Promise<void>} */
  leave(content, options) {
    return this.#room.ask("leave", content, options);
  }

  /** What the storage has, also of earlier runs. @returns {Promise<StoredContent[]>} */
  stored() {
    return this.#room.ask("stored");
  }

  /** The files of a complete content. @param {string} content @returns {Promise<SavedFile[]>} */
  save(content) {
    return this.#room.ask("save", content);
  }

  /** Makes durable what is verified, and ends the node. */
  async close() {
    await this.#room.ask("close");
    this.#room.end();
    this.end(new SwarmError("interrupted", "the node was closed"));
  }

  /** Asks the engine room, for subclasses. @param {string} method @param {unknown[]} args */
  ask(method, ...args) {
    return this.#room.ask(method, ...args);
  }

  /** Ends fetches that will hear no more. @param {SwarmError} error */
  end(error) {
    for (const fetchings of this.#fetchings.values()) fetchings.forEach((fetching) => fetching.end(error));
  }

  /** The engine room tells an event. @param {SwarmEvent} event */
  onEvent(event) {
    if (event.kind === "progress") {
      for (const content of event.contents) this.#fetchings.get(content.content)?.forEach((fetching) => fetching.onProgress(content));
    } else if ("content" in event) {
      this.#fetchings.get(event.content)?.forEach((fetching) => fetching.onEvent(event));
    }
    for (const kind of [event.kind, "event"]) this.#listeners.get(kind)?.forEach((listener) => listener(event));
  }
}

/** A fetch that was begun. */
export class Fetching {
  #swarm;
  #listener;
  /** @type {(error: SwarmError) => void} */
  #reject = () => {};
  /** @type {(state: ContentState) => void} */
  #resolve = () => {};

  /** @param {Swarm} swarm @param {ContentState} state @param {((progress: Progress) => void) | undefined} onProgress */
  constructor(swarm, state, onProgress) {
    this.#swarm = swarm;
    this.#listener = onProgress;
    this.content = state.content;
    /** The last progress. @type {Progress | null} */
    this.progress = null;
    /** Fulfilled when every byte is verified and stored. @type {Promise<ContentState>} */
    this.done = new Promise((resolve, reject) => ([this.#resolve, this.#reject] = [resolve, reject]));
    // A program that looks at events instead need not look at this.
    this.done.catch(() => {});
    if (state.phase === "complete" || state.phase === "seeding") this.#resolve(state);
  }

  pause() {
    return this.#swarm.pause(this.content);
  }

  resume() {
    return this.#swarm.resume(this.content);
  }

  /** Ends the fetch. What is verified stays in the storage: a later fetch goes on from there. */
  async cancel() {
    this.end(new SwarmError("interrupted", "the fetch was cancelled; fetch again to go on"));
    await this.#swarm.leave(this.content, { keep: true });
  }

  /** @param {SwarmError} error */
  end(error) {
    this.#reject(error);
  }

  /** @param {Progress} progress */
  onProgress(progress) {
    this.progress = progress;
    this.#listener?.(progress);
  }

  /** @param {SwarmEvent} event */
  onEvent(event) {
    if (!("content" in event) || event.content !== this.content) return;
    if (event.kind === "completed") this.#resolve({ content: event.content, phase: "complete", name: event.name, files: event.files });
    if (event.kind === "failed") this.#reject(new SwarmError(event.category, event.message));
    if (event.kind === "left") this.#reject(new SwarmError("interrupted", "the content was left; fetch again to go on"));
  }
}

/** @param {AbortSignal} signal */
function interrupted(signal) {
  return new SwarmError("interrupted", "the fetch was cancelled before it began", { cause: signal.reason });
}
