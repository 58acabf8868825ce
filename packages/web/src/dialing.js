//! Which transport reaches a node: asks each address who is there (`GET /node`), then tries the transports in their order; addresses overlap,
//! and the first channel wins. Every attempt is reported with its reason: a browser tells a person nothing of why a connection failed.
//!
//! Absent here: the proof of keys. What an address says of itself saves failed dials, and no channel is trusted for it.

import { isHash } from "./bytes.js";

/** @import { Channel, DialTarget, Transport, TransportEvent } from "../index.d.ts" */
/** @typedef {{node: string, certificateHashes: string[], admitsOrigin: boolean, isSecure: boolean, askedAt: number}} NodeInfo */

/** How long an answer of `/node` is used. Certificates of WebTransport live for weeks. */
const INFO_LIFE_MS = 60_000;
/** The WebAssembly node gives a channel up after 10 s; an address must have failed before. */
const ASK_TIMEOUT_MS = 3000;
const DIAL_TIMEOUT_MS = 4000;
/** The next address is tried when the one before has not answered for so long, as RFC 8305 has it. */
const NEXT_ADDRESS_MS = 250;

export class Dialing {
  #transports;
  #report;
  #pageProtocol;
  /** @type {Map<string, Promise<NodeInfo>>} */
  #infos = new Map();

  /**
   * @param {readonly Transport[]} transports in the order in which they are tried
   * @param {(event: TransportEvent) => void} report
   * @param {string} pageProtocol `https:` or `http:` of the page; what is no page is bound by neither
   */
  constructor(transports, report, pageProtocol = "") {
    this.#transports = transports;
    this.#report = report;
    this.#pageProtocol = pageProtocol;
  }

  /**
   * Opens a channel, or rejects with an error that names every reason.
   * @param {string} node @param {string[]} addresses @param {AbortSignal} signal
   * @returns {Promise<Channel>}
   */
  dial(node, addresses, signal) {
    return new Promise((resolve, reject) => {
      /** @type {string[]} */
      const reasons = [];
      const over = new AbortController();
      let next = 0;
      let isOpen = false;
      let timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
      const stop = () => {
        clearTimeout(timer);
        over.abort();
      };
      const aborted = () => {
        stop();
        reject(new Error("the dial was given up"));
      };
      signal.addEventListener("abort", aborted, { once: true });
      const startNext = () => {
        clearTimeout(timer);
        if (next >= addresses.length || over.signal.aborted) return;
        const address = addresses[next++];
        if (next < addresses.length) timer = setTimeout(startNext, NEXT_ADDRESS_MS);
        this.#address(node, address, over.signal).then(
          (channel) => {
            if (isOpen || signal.aborted) return channel.close("another address was faster");
            isOpen = true;
            signal.removeEventListener("abort", aborted);
            stop();
            resolve(channel);
          },
          (error) => {
            reasons.push(`${address}: ${error.message}`);
            if (reasons.length < addresses.length) return startNext();
            signal.removeEventListener("abort", aborted);
            reject(new Error(reasons.join("; ")));
          },
        );
      };
      if (addresses.length === 0) reject(new Error("no address of it is known"));
      else startNext();
    });
  }

  /** @param {string} node @param {string} address @param {AbortSignal} signal @returns {Promise<Channel>} */
  async #address(node, address, signal) {
    /** @param {string} transport @param {"open" | "failed" | "skipped"} outcome @param {string} reason */
    const report = (transport, outcome, reason) => this.#report({ kind: "transport", node, transport, address, outcome, reason });
    let info;
    try {
      info = await this.#info(node, address, signal);
    } catch (error) {
      if (!signal.aborted) report("", "failed", messageOf(error));
      throw error;
    }
    /** @type {string[]} */
    const reasons = [];
    for (const transport of this.#transports) {
      if (signal.aborted) break;
      const target = this.#target(node, address, info, signal);
      const fit = transport.canDial(target);
      if (fit !== true) {
        report(transport.name, "skipped", fit);
        reasons.push(`${transport.name}: ${fit}`);
        continue;
      }
      try {
        const channel = await within(DIAL_TIMEOUT_MS, signal, (signal) => transport.dial(target, signal), (late) => late.close("it came too late"));
        report(transport.name, "open", "");
        return channel;
      } catch (error) {
        if (signal.aborted) break;
        const reason = messageOf(error);
        report(transport.name, "failed", reason);
        reasons.push(`${transport.name}: ${reason}`);
      }
    }
    throw new Error(reasons.join(", ") || "another address was faster");
  }

  /** @param {string} node @param {string} address @param {NodeInfo} info @param {AbortSignal} signal @returns {DialTarget} */
  #target(node, address, info, signal) {
    const refresh = async () => {
      this.#infos.delete(address);
      return (await this.#info(node, address, signal)).certificateHashes;
    };
    return { node, address, isSecure: info.isSecure, certificateHashes: info.certificateHashes, refresh };
  }

  /** @param {string} node @param {string} address @param {AbortSignal} signal @returns {Promise<NodeInfo>} */
  async #info(node, address, signal) {
    let asked = this.#infos.get(address);
    if (asked) {
      const known = await asked.catch(() => null);
      if (!known || performance.now() - known.askedAt > INFO_LIFE_MS || known.node !== node) asked = undefined;
    }
    if (!asked) {
      asked = this.#ask(address, signal);
      this.#infos.set(address, asked);
      // Only answers are kept: a node that was down may be up at the next dial.
      asked.catch(() => this.#infos.delete(address));
    }
    const info = await asked;
    if (info.node !== node) throw new Error(`another node answers there (${info.node.slice(0, 8)}): ask for a new ticket`);
    if (!info.admitsOrigin) throw new Error(`the node does not admit pages of ${globalThis.location?.origin ?? "this site"}: open its own page, or ask its operator to admit this site`);
    return info;
  }

  /** @param {string} address @param {AbortSignal} signal @returns {Promise<NodeInfo>} */
  async #ask(address, signal) {
    const schemes = this.#schemes(address);
    /** @type {unknown} */
    let last = null;
    for (const scheme of schemes) {
      try {
        return await within(ASK_TIMEOUT_MS, signal, (signal) => ask(scheme, address, signal));
      } catch (error) {
        last ??= error;
        // A host that says nothing says nothing by the other scheme either, and the channel has no time to wait for that.
        if (signal.aborted || error instanceof TimeoutError) break;
      }
    }
    const https = this.#pageProtocol === "https:" && !isLoopback(address);
    const why = https ? "; this page came by https, and so may ask only nodes that have https with a certificate that the browser trusts" : "";
    throw new Error(`no answer from ${schemes[0]}://${address}/node (${messageOf(last)}): it is off, is no node that serves pages, or the browser blocks it${why}`);
  }

  /** A page that came by https may use http only to this machine (mixed content). @param {string} address @returns {("http" | "https")[]} */
  #schemes(address) {
    if (this.#pageProtocol !== "https:") return ["http", "https"];
    return isLoopback(address) ? ["http", "https"] : ["https"];
  }
}

/** @param {"http" | "https"} scheme @param {string} address @param {AbortSignal} signal @returns {Promise<NodeInfo>} */
async function ask(scheme, address, signal) {
  const url = new URL(`${scheme}://${address}/node`);
  const response = await fetch(url, { signal, cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" });
  if (!response.ok) throw new Error(`it answers ${response.status}`);
  const answer = await response.json().catch(() => null);
  const { node, certificateHashes = [], admitsOrigin = true } = Object(answer);
  if (!isHash(node)) throw new Error("it answers, and is no node");
  const hashes = Array.isArray(certificateHashes) ? certificateHashes.filter(isHash) : [];
  return { node, certificateHashes: hashes, admitsOrigin: admitsOrigin !== false, isSecure: scheme === "https", askedAt: performance.now() };
}

/** Hosts to which browsers allow plain connections from pages of https. @param {string} address */
export function isLoopback(address) {
  const host = address.slice(0, address.lastIndexOf(":")).toLowerCase();
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

class TimeoutError extends Error {}

/**
 * Runs something that can be aborted for so long at most. `onLate` gets a result that comes after that.
 * @template T
 * @param {number} ms @param {AbortSignal} signal @param {(signal: AbortSignal) => Promise<T>} act @param {(result: T) => void} [onLate]
 * @returns {Promise<T>}
 */
function within(ms, signal, act, onLate) {
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    let isOver = false;
    /** @param {Error} error */
    const giveUp = (error) => {
      end();
      reject(error);
      controller.abort(error);
    };
    const onAbort = () => giveUp(new Error("it was given up"));
    const timer = setTimeout(() => giveUp(new TimeoutError(`no answer within ${ms / 1000} s`)), ms);
    const end = () => {
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    act(controller.signal).then(
      (result) => {
        if (isOver) return onLate?.(result);
        end();
        resolve(result);
      },
      (error) => {
        if (isOver) return;
        end();
        reject(error);
      },
    );
  });
}

/** What is thrown, in words. Node.js hides the reason of a failed fetch in its cause. @param {unknown} error */
function messageOf(error) {
  const { message, cause } = /** @type {{message?: unknown, cause?: {message?: unknown, code?: unknown}}} */ (Object(error));
  return String(cause?.message || cause?.code || message || error);
}
