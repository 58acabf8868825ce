//! The engine room: performs what the WebAssembly node wants on channels, storage and timers, and tells it what happens. Runs in the worker of a
//! page and in Node.js; what differs between them (WebAssembly, storage, transports) comes in from outside.
//!
//! Invariant: the WebAssembly node is never called from within one of its calls. What happens meanwhile waits in a queue. Bytes that it hands
//! over are views of its memory, which may move at the next call: they are used or copied before a host method returns.

import { compare } from "./bytes.js";
import { Dialing } from "./dialing.js";
import { SwarmError, isCategory } from "./error.js";
import { Tunnel } from "./tunnel.js";
import { Work } from "./work.js";

/** @import { Channel, ContentStatus, FetchOptions, FileInfo, NodeStatus, SavedFile, SeedSource, Storage, StoredContent, SwarmEvent, Transport } from "../index.d.ts" */
/** @import { Node as WasmNode } from "../wasm/swarm_web.js" */
/** @typedef {typeof import("../wasm/swarm_web.js")} Wasm whose `init` or `initSync` was called */
/** @typedef {"fetching" | "seeding" | "complete" | "paused" | "failed"} Phase */
/**
 * @typedef {object} Content
 * @property {Phase} phase
 * @property {{ticket: string, sources: string[], patienceMs: number} | null} fetch
 * @property {{manifest: Uint8Array, sources: SeedSource[]} | null} seed
 * @property {string} name
 * @property {FileInfo[]} files
 * @property {SwarmError | null} storeError after which its storage does nothing more
 * @property {Work} work what its storage is to do, in order
 * @property {"closed" | "broken" | "open"} storage `broken`: opening it failed
 * @property {ContentStatus | null} last
 * @property {{at: number, receivedLen: number}[]} samples of the last seconds, for the rate
 */
/** @typedef {{abort: AbortController | null, tunnel: Tunnel | null}} Opening */

/** A patient fetch survives a restart of its only source. */
const PATIENCE_MS = 60_000;
/** The node hears the time so often at most while messages come: each tick costs as much as a message. */
const TICK_MIN_MS = 5;
/** And so often at least, to notice a machine that slept. */
const TICK_MAX_MS = 1000;
/** A tick so late was no busy moment: the page was frozen, or the machine asleep. */
const SLEPT_MS = 2000;
const PROGRESS_MS = 250;
/** Bytes that wait for slow storage before receiving pauses, and until it goes on. */
const WRITES_WAITING_MAX = 32 << 20;
const WRITES_WAITING_LOW = 16 << 20;
/** Bytes of a file that are hashed at once. */
const HASHED_LEN = 4 << 20;
const STOP_TIMEOUT_MS = 5000;
/** The rate shown is that of so long. */
const RATE_MS = 2000;

export class SwarmNode {
  #wasm;
  #storage;
  #emit;
  #node;
  #dialing;
  /** @type {Map<number, Opening>} */
  #channels = new Map();
  /** @type {Map<string, Content>} */
  #contents = new Map();
  /** Outlives a content: it may come back while its storage is being closed. @type {Map<string, Work>} */
  #works = new Map();

  /** Facts that the WebAssembly node is still to hear. @type {((node: WasmNode) => void)[]} */
  #facts = [];
  /** @type {SwarmEvent[]} */
  #events = [];
  #isBusy = false;
  /** Leaving is a means to another end: nobody is told. */
  #isQuiet = false;
  #isStopped = false;
  /** @type {Promise<void> | null} */
  #closing = null;
  /** @type {(() => void) | null} */
  #onStopped = null;

  /** Engine time, which stands still while the machine sleeps. */
  #engineMs = 0;
  #tickedAt = performance.now();
  #tickedWall = Date.now();
  #wakeAt = 0;
  /** Facts came since the last tick, which may have changed when the node wants to be woken. */
  #isStale = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #timerAt = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #progressTimer;
  #lastProgress = "";
  #writesWaitingLen = 0;
  #isPaused = false;

  /**
   * @param {object} parts
   * @param {Wasm} parts.wasm
   * @param {Uint8Array} parts.secret 32 bytes
   * @param {Storage} parts.storage
   * @param {readonly Transport[]} parts.transports
   * @param {(event: SwarmEvent) => void} parts.emit never called from within a method of this node
   * @param {string} [parts.pageProtocol]
   */
  constructor({ wasm, secret, storage, transports, emit, pageProtocol }) {
    this.#wasm = wasm;
    this.#storage = storage;
    this.#emit = emit;
    this.#dialing = new Dialing(transports, (event) => this.#say(event), pageProtocol);
    this.#node = new wasm.Node(secret, crypto.getRandomValues(new Uint8Array(32)), this.#host());
    this.id = this.#node.id;
    this.#progressTimer = setInterval(() => this.#progress(), PROGRESS_MS);
    this.#tell(() => {});
  }

  /** Begins a fetch, or goes on with one that failed. @param {string} ticket @param {FetchOptions} [options] */
  fetch(ticket, { sources = [], patienceMs = PATIENCE_MS } = {}) {
    this.#running();
    const content = this.#identify((scratch) => scratch.fetch(ticket, sources.join(" "), patienceMs));
    const known = this.#contents.get(content);
    if (known && known.phase !== "failed" && known.phase !== "paused") return this.#stateOf(content, known);
    const state = known ?? this.#add(content);
    state.fetch = { ticket, sources, patienceMs };
    this.#restart(content, state, "fetching");
    return this.#stateOf(content, state);
  }

  /** Hashes files and serves them. @param {SeedSource[]} sources @param {{addresses?: string[]}} [options] `addresses` where this node can be dialed */
  async seed(sources, { addresses = [] } = {}) {
    this.#running();
    if (sources.length === 0) throw new SwarmError("usage", "there is no file to seed");
    const manifest = await this.#index(sources);
    this.#running();
    const content = this.#identify((scratch) => scratch.seed(manifest));
    const state = this.#contents.get(content) ?? this.#add(content);
    const isServed = state.phase === "complete" || state.phase === "seeding";
    if (!isServed || state.files.length === 0) {
      const sorted = [...sources].sort((a, b) => compare(a.path, b.path));
      state.seed = { manifest, sources: sorted };
      state.files = sorted.map(({ path, len }) => ({ path, len }));
      state.name = sorted.length === 1 ? sorted[0].path : sorted[0].path.split("/")[0];
      this.#restart(content, state, "seeding");
    }
    return { content, ticket: this.ticket(content, { addresses }) };
  }

  /** A ticket that names this node at these addresses, and other nodes as `NODEID@host:port`. @param {string} content @param {{addresses?: string[], sources?: string[]}} [options] */
  ticket(content, { addresses = [], sources = [] } = {}) {
    this.#running();
    const own = addresses.map((address) => `${this.id}@${address}`);
    return this.#call((node) => node.ticket(content, [...own, ...sources].join(" ")));
  }

  /** @returns {NodeStatus} */
  status() {
    this.#running();
    /** @type {{contents: (Omit<ContentStatus, "bytesPerSec" | "files" | "totalLen"> & {wantedLen: number})[], peers: NodeStatus["peers"]}} */
    const { contents, peers } = JSON.parse(this.#node.status());
    const now = performance.now();
    const shown = contents.map(({ wantedLen, ...content }) => {
      const state = this.#contents.get(content.content);
      const bytesPerSec = state ? rate(state, now, content.receivedLen) : 0;
      const phase = state?.phase === "seeding" ? state.phase : content.phase;
      const status = { ...content, phase, name: content.name || (state?.name ?? ""), totalLen: totalLen(state, wantedLen), bytesPerSec, files: state?.files ?? [] };
      if (state) state.last = status;
      return status;
    });
    for (const [content, { phase, last, name, files }] of this.#contents) {
      if (phase !== "paused") continue;
      const nothing = { verifiedLen: 0, durableLen: 0, receivedLen: 0, totalLen: 0 };
      shown.push({ ...nothing, ...last, content, name, files, phase, bytesPerSec: 0 });
    }
    return { id: this.id, version: this.#wasm.version(), contents: shown, peers };
  }

  /** Stops fetching and serving a content; what is stored stays. @param {string} content */
  async pause(content) {
    const state = this.#known(content);
    if (state.phase === "paused") return;
    // What it had come to is shown while it is paused.
    this.status();
    this.#leaveQuietly(content);
    state.phase = "paused";
    await state.work.idle();
  }

  /** @param {string} content */
  async resume(content) {
    const state = this.#known(content);
    if (state.phase !== "paused") return;
    this.#restart(content, state, state.seed ? "seeding" : "fetching");
  }

  /** Takes no part in a content any more. Unless `keep` says so, what the storage alone has of it is removed. @param {string} content @param {{keep?: boolean}} [options] */
  async leave(content, { keep = false } = {}) {
    this.#running();
    const state = this.#contents.get(content);
    if (state) {
      if (state.phase !== "paused") this.#leaveQuietly(content);
      this.#contents.delete(content);
      this.#say({ kind: "left", content });
    }
    const forget = () => (keep || state?.seed ? undefined : this.#storage.forget(content));
    await new Promise((resolve, reject) => this.#workOf(content).add(async () => resolve(await forget()), reject));
  }

  /** What the storage has, also of earlier runs. @returns {Promise<StoredContent[]>} */
  stored() {
    return this.#storage.list();
  }

  /** The files of a content that is complete. @param {string} content @returns {Promise<SavedFile[]>} */
  save(content) {
    return this.#storage.files(content);
  }

  /** Takes a channel that a peer opened. @param {Channel} channel */
  accept(channel) {
    if (this.#isStopped) return channel.close("the node has stopped");
    this.#tell((node) => {
      const number = node.onAccepted(channel.certificateHash ?? new Uint8Array());
      this.#channels.set(number, { abort: null, tunnel: this.#tunnel(number, channel) });
    });
  }

  /** Makes durable what is verified, tells peers, closes everything. @returns {Promise<void>} */
  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    const stopped = new Promise((resolve) => {
      if (this.#isStopped) return resolve(undefined);
      this.#onStopped = () => resolve(undefined);
      this.#tell((node) => node.stop());
    });
    await atMost(STOP_TIMEOUT_MS, stopped);
    this.#halt("the node was closed");
    for (const [content, state] of this.#contents) this.#release(content, state);
    await atMost(STOP_TIMEOUT_MS, Promise.all([...this.#works.values()].map((work) => work.idle())));
    await this.#storage.end?.();
    this.#node.free();
  }

  // What the WebAssembly node wants.

  #host() {
    return {
      /** @param {number} channel @param {string} node @param {string} addresses */
      dial: (channel, node, addresses) => this.#dial(channel, node, addresses.split(" ").filter(Boolean)),
      /** @param {number} channel @param {Uint8Array} message */
      send: (channel, message) => this.#channels.get(channel)?.tunnel?.send(message),
      /** @param {number} channel @param {Uint8Array} sending @param {Uint8Array} receiving */
      encrypt: (channel, sending, receiving) => this.#channels.get(channel)?.tunnel?.encrypt(sending, receiving),
      /** @param {number} channel @param {string} reason */
      close: (channel, reason) => {
        const opening = this.#channels.get(channel);
        this.#channels.delete(channel);
        opening?.abort?.abort();
        opening?.tunnel?.close(reason);
      },
      /** @param {string} content @param {string} name @param {string[]} paths @param {number[]} lens */
      store: (content, name, paths, lens) => this.#open(content, name, paths.map((path, at) => ({ path, len: lens[at] }))),
      /** @param {string} content @param {number} file @param {number} offset @param {Uint8Array} bytes */
      write: (content, file, offset, bytes) => this.#write(content, file, offset, bytes),
      /** @param {number} id @param {string} content @param {number} file @param {number} offset @param {number} len */
      read: (id, content, file, offset, len) => this.#read(id, content, file, offset, len),
      /** @param {string} content @param {Uint8Array} view */
      flush: (content, view) => {
        const record = view.slice();
        this.#store(content, () => this.#storage.flush(content, record), (node) => node.onFlushed(content));
      },
      /** @param {string} content */
      finish: (content) => this.#store(content, () => this.#storage.finish(content), (node) => node.onFinished(content)),
      /** @param {string} content */
      forget: (content) => this.#release(content, this.#contents.get(content)),
      /** @param {string} kind @param {string} about @param {string} category @param {string} words */
      event: (kind, about, category, words) => this.#onEvent(kind, about, category, words),
    };
  }

  /** @param {number} number @param {string} node @param {string[]} addresses */
  #dial(number, node, addresses) {
    const abort = new AbortController();
    const opening = { abort, tunnel: /** @type {Tunnel | null} */ (null) };
    this.#channels.set(number, opening);
    this.#dialing.dial(node, addresses, abort.signal).then(
      (channel) => {
        if (this.#channels.get(number) !== opening) return channel.close("the node does not need it any more");
        opening.tunnel = this.#tunnel(number, channel);
        const hash = channel.certificateHash ?? new Uint8Array();
        this.#tell((node) => node.onOpened(number, hash));
      },
      (error) => this.#onClosed(number, opening, error.message),
    );
  }

  /** @param {number} number @param {Channel} channel */
  #tunnel(number, channel) {
    const tunnel = new Tunnel(channel, {
      onMessage: (message) => this.#tell((node) => node.onMessage(number, message)),
      onSent: (len) => this.#tell((node) => node.onSent(number, len)),
      onClosed: (reason) => this.#onClosed(number, this.#channels.get(number), reason),
    });
    if (this.#isPaused) tunnel.pause();
    return tunnel;
  }

  /** @param {number} number @param {Opening | undefined} opening @param {string} reason */
  #onClosed(number, opening, reason) {
    if (!opening || this.#channels.get(number) !== opening) return;
    this.#channels.delete(number);
    this.#tell((node) => node.onClosed(number, reason));
  }

  /** @param {string} content @param {string} name @param {FileInfo[]} files */
  #open(content, name, files) {
    const state = this.#contents.get(content);
    if (!state) return;
    Object.assign(state, { name, files });
    state.work.add(
      async () => {
        state.storage = "broken";
        const { record } = await this.#storage.open(content, name, files);
        state.storage = "open";
        this.#tell((node) => node.onStored(content, record));
      },
      (error) => this.#onStoreFailed(content, state, error),
    );
  }

  /** @param {string} content @param {number} file @param {number} offset @param {Uint8Array} view */
  #write(content, file, offset, view) {
    const state = this.#contents.get(content);
    if (!state || state.storeError) return;
    // Storage that is idle takes the view itself: OPFS writes before this returns. What waits is copied.
    const bytes = state.work.isIdle ? view : view.slice();
    const { length } = bytes;
    this.#writesWaitingLen += length;
    const settle = () => {
      this.#writesWaitingLen -= length;
      if (this.#isPaused && this.#writesWaitingLen < WRITES_WAITING_LOW) this.#pauseReceiving(false);
    };
    state.work.add(
      () => (state.storeError || state.storage !== "open" ? undefined : this.#storage.write(content, file, offset, bytes)),
      (error) => this.#onStoreFailed(content, state, error),
      settle,
    );
    if (!this.#isPaused && this.#writesWaitingLen > WRITES_WAITING_MAX) this.#pauseReceiving(true);
  }

  /** @param {number} id @param {string} content @param {number} file @param {number} offset @param {number} len */
  #read(id, content, file, offset, len) {
    const state = this.#contents.get(content);
    /** @param {Uint8Array | null} bytes */
    const answer = (bytes) => this.#tell((node) => node.onRead(id, bytes ?? undefined));
    if (!state) return answer(null);
    const read = async () => {
      const source = state.seed?.sources[file];
      if (source) return answer(await source.read(offset, len));
      answer(state.storage === "open" ? await this.#storage.read(content, file, offset, len) : null);
    };
    state.work.add(read, () => answer(null));
  }

  /** Has storage do something, and tells when it is done; nothing more is done after a failure. @param {string} content @param {() => Promise<void>} act @param {(node: WasmNode) => void} done */
  #store(content, act, done) {
    const state = this.#contents.get(content);
    // What is seeded from files of others has no storage here.
    if (!state || (state.seed && state.storage === "closed")) return this.#tell(done);
    state.work.add(
      async () => {
        if (state.storeError || state.storage !== "open") return;
        await act();
        this.#tell(done);
      },
      (error) => this.#onStoreFailed(content, state, error),
    );
  }

  /** @param {string} content @param {Content} state @param {unknown} thrown */
  #onStoreFailed(content, state, thrown) {
    if (state.storeError) return;
    const error = SwarmError.from(thrown, "disk");
    state.storeError = error;
    this.#tell((node) => node.onStoreFailed(content, error.message));
  }

  /** Closes the storage of a content after what it still has to do. @param {string} content @param {Content | undefined} state */
  #release(content, state) {
    state?.work.add(async () => {
      if (state.storage === "closed") return;
      state.storage = "closed";
      await this.#storage.close(content);
    });
  }

  /** @param {string} kind @param {string} about @param {string} category @param {string} words */
  #onEvent(kind, about, category, words) {
    const state = this.#contents.get(about);
    switch (kind) {
      case "peerJoined":
        return this.#say({ kind, node: about, agent: words });
      case "peerLost":
      case "peerBanned":
        return this.#say({ kind, node: about, reason: words });
      case "completed":
        if (state && state.phase !== "seeding") state.phase = "complete";
        return this.#say({ kind, content: about, name: state?.name ?? "", files: state?.files ?? [] });
      case "failed": {
        const error = state?.storeError ?? new SwarmError(isCategory(category) ? category : "other", words);
        if (state) state.phase = "failed";
        return this.#say({ kind, content: about, category: error.category, code: error.code, message: error.message });
      }
      case "left":
        // It left by itself what it cannot fetch; the failure was told before.
        if (this.#isQuiet || state?.phase === "failed") return;
        return this.#say({ kind, content: about });
      case "stopped":
        return this.#onStopped?.();
    }
  }

  // Contents.

  /** @param {string} content @returns {Content} */
  #add(content) {
    /** @type {Content} */
    const state = {
      phase: "paused", fetch: null, seed: null, name: "", files: [], storeError: null, work: this.#workOf(content), storage: "closed", last: null,
      samples: [],
    };
    this.#contents.set(content, state);
    return state;
  }

  /** @param {string} content */
  #workOf(content) {
    let work = this.#works.get(content);
    if (!work) this.#works.set(content, (work = new Work()));
    return work;
  }

  /** @param {string} content @param {Content} state @param {"fetching" | "seeding"} phase */
  #restart(content, state, phase) {
    if (state.phase !== "paused") this.#leaveQuietly(content);
    state.phase = phase;
    const { fetch, seed } = state;
    // After the storage was closed for what was before, whose errors end with it.
    state.work.add(() => {
      state.storeError = null;
      if (this.#contents.get(content) !== state || state.phase !== phase) return;
      this.#tell((node) => {
        if (phase === "seeding" && seed) node.seed(seed.manifest);
        else if (fetch) node.fetch(fetch.ticket, fetch.sources.join(" "), fetch.patienceMs);
      });
    });
  }

  /** Ends a content's part in the engine without telling anybody: it is to be paused, begun anew, or told in other words. @param {string} content */
  #leaveQuietly(content) {
    this.#call((node) => {
      this.#isQuiet = true;
      try {
        node.leave(content);
      } finally {
        this.#isQuiet = false;
      }
    });
  }

  /** @param {string} content @returns {Content} */
  #known(content) {
    this.#running();
    const state = this.#contents.get(content);
    if (!state) throw new SwarmError("usage", `this node takes no part in content ${content}`);
    return state;
  }

  /** @param {string} content @param {Content} state */
  #stateOf(content, state) {
    return { content, phase: state.phase, name: state.name, files: state.files };
  }

  /** The id of the content that a call would be about: from a node that is thrown away, because the call itself would begin. @param {(scratch: WasmNode) => string} act */
  #identify(act) {
    const nothing = () => {};
    const host = { dial: nothing, send: nothing, encrypt: nothing, close: nothing, store: nothing, write: nothing, read: nothing, flush: nothing, finish: nothing, forget: nothing, event: nothing };
    const scratch = new this.#wasm.Node(new Uint8Array(32), new Uint8Array(32), host);
    try {
      return act(scratch);
    } catch (error) {
      throw SwarmError.from(error);
    } finally {
      scratch.free();
    }
  }

  /** @param {SeedSource[]} sources */
  async #index(sources) {
    const total = sources.reduce((sum, { len }) => sum + len, 0);
    let doneLen = 0;
    let saidAt = 0;
    const indexer = new this.#wasm.FileIndexer();
    try {
      for (const { path, len, read } of sources) {
        indexer.begin(path, len);
        for (let offset = 0; offset < len; offset += HASHED_LEN) {
          const bytes = await read(offset, Math.min(HASHED_LEN, len - offset));
          if (!bytes) throw new SwarmError("disk", `\`${path}\` cannot be read, or changed: add it again`);
          indexer.update(bytes);
          doneLen += bytes.length;
          if (performance.now() - saidAt < PROGRESS_MS) continue;
          saidAt = performance.now();
          this.#say({ kind: "indexing", path, doneLen, totalLen: total });
        }
      }
      return indexer.finish();
    } catch (error) {
      throw SwarmError.from(error);
    }
  }

  // Facts, time and events.

  /** Tells the WebAssembly node something, after the call that is under way. @param {(node: WasmNode) => void} fact */
  #tell(fact) {
    if (this.#isStopped) return;
    this.#facts.push(fact);
    if (!this.#isBusy) this.#work();
  }

  /** Calls the WebAssembly node for an answer; never from within another call. @template T @param {(node: WasmNode) => T} act @returns {T} */
  #call(act) {
    /** @type {{value: T} | {error: unknown}} */
    let result = /** @type {any} */ ({ error: new SwarmError("other", "the node does not run") });
    this.#tell((node) => {
      try {
        result = { value: act(node) };
      } catch (error) {
        if (error instanceof WebAssembly.RuntimeError) throw error;
        result = { error };
      }
    });
    if ("error" in result) throw SwarmError.from(result.error);
    return result.value;
  }

  #work() {
    this.#isBusy = true;
    try {
      const isDue = performance.now() - this.#tickedAt >= TICK_MIN_MS;
      if (isDue) this.#tick();
      this.#isStale = this.#facts.length > 0 || (this.#isStale && !isDue);
      // More may be told meanwhile.
      for (let at = 0; at < this.#facts.length; at++) this.#facts[at](this.#node);
    } catch (error) {
      this.#crash(error);
    } finally {
      this.#facts.length = 0;
      this.#isBusy = false;
    }
    this.#schedule();
    this.#drain();
  }

  /** Tells the time. */
  #tick() {
    const [now, wall] = [performance.now(), Date.now()];
    const [gap, wallGap] = [now - this.#tickedAt, wall - this.#tickedWall];
    [this.#tickedAt, this.#tickedWall] = [now, wall];
    if (gap > SLEPT_MS) {
      // Nothing of peers was heard in that time: it must not count as their silence.
      this.#node.onWoke(gap);
    } else {
      this.#engineMs += gap;
      // The clock of some systems stands still while the machine sleeps.
      if (wallGap - gap > SLEPT_MS) this.#node.onWoke(wallGap);
    }
    this.#wakeAt = now + this.#node.onTime(this.#engineMs) - this.#engineMs;
  }

  /** Sets the timer of the next tick, unless one comes soon enough. */
  #schedule() {
    if (this.#isStopped) return;
    const soonest = this.#tickedAt + TICK_MIN_MS;
    const at = this.#isStale ? soonest : Math.max(soonest, Math.min(this.#tickedAt + TICK_MAX_MS, this.#wakeAt));
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#work();
    }, Math.max(0, at - performance.now()));
  }

  /** @param {SwarmEvent} event */
  #say(event) {
    this.#events.push(event);
    if (!this.#isBusy) this.#drain();
  }

  /** Gives events away. A listener may call this node. */
  #drain() {
    for (let event = this.#events.shift(); event; event = this.#events.shift()) this.#emit(event);
  }

  #progress() {
    if (this.#contents.size === 0 || this.#isStopped) return;
    const status = this.status();
    const text = JSON.stringify(status);
    if (text === this.#lastProgress) return;
    this.#lastProgress = text;
    this.#say({ kind: "progress", ...status });
  }

  /** @param {boolean} isPaused */
  #pauseReceiving(isPaused) {
    this.#isPaused = isPaused;
    for (const { tunnel } of this.#channels.values()) isPaused ? tunnel?.pause() : tunnel?.resume();
  }

  #running() {
    if (this.#isStopped) throw new SwarmError("usage", "the node was closed: start another one");
  }

  /** A bug in the WebAssembly node: its state is lost. @param {unknown} error */
  #crash(error) {
    const failure = new SwarmError("other", `the node broke (${/** @type {Error} */ (error)?.message ?? error}): reload the page and report this`, { cause: error });
    this.#halt(failure.message);
    for (const [content, state] of this.#contents) {
      if (state.phase !== "fetching") continue;
      state.phase = "failed";
      this.#events.push({ kind: "failed", content, category: failure.category, code: failure.code, message: failure.message });
    }
    this.#onStopped?.();
  }

  /** @param {string} reason */
  #halt(reason) {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#progressTimer);
    for (const { abort, tunnel } of this.#channels.values()) {
      abort?.abort();
      tunnel?.close(reason);
    }
    this.#channels.clear();
  }
}

/** Waits for something, and no longer than so: storage that does not answer must not keep a program alive. @param {number} ms @param {Promise<unknown>} promise */
async function atMost(ms, promise) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  await Promise.race([promise, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}

/** @param {Content | undefined} state @param {number} wantedLen */
function totalLen(state, wantedLen) {
  // A seed wants nothing.
  return wantedLen || (state?.files.reduce((sum, { len }) => sum + len, 0) ?? 0);
}

/** What came in a second, over the last two. @param {Content} state @param {number} now @param {number} receivedLen */
function rate(state, now, receivedLen) {
  const { samples } = state;
  const last = samples[samples.length - 1];
  // Counting begins anew with each run of a fetch, and the time until the first byte is none of the rate.
  if (receivedLen === 0 || (last && receivedLen < last.receivedLen)) samples.length = 0;
  if (!last || now - last.at >= PROGRESS_MS / 2 || samples.length === 0) samples.push({ at: now, receivedLen });
  while (samples.length > 2 && now - samples[1].at >= RATE_MS) samples.shift();
  const [first] = samples;
  return now > first.at ? Math.round((1000 * (receivedLen - first.receivedLen)) / (now - first.at)) : 0;
}
