//! Requests to the daemon. Every failure is a `Problem` whose text can be shown as it is.

import { t } from "./i18n.js";
import { tell } from "./told.js";

export const BASE = "/api/v1";

export class Problem extends Error {
  /** @param {number} status 0 if the daemon was not reached @param {string} detail @param {string} category */
  constructor(status, detail, category) {
    super(detail);
    this.status = status;
    this.category = category;
  }
}

/** Set by the application: the CSRF token of the session, and what to do when the session has ended. */
export const session = { csrf: "", ended: () => {} };

/** @param {string} method @param {string} path @param {unknown} [body] @param {{quiet?: boolean, bytes?: Blob | string}} [options] @returns {Promise<any>} */
async function call(method, path, body, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  const sent = options.bytes ?? (body === undefined ? undefined : JSON.stringify(body));
  if (sent !== undefined) headers["Content-Type"] = options.bytes === undefined ? "application/json" : "application/octet-stream";
  if (method !== "GET") headers["X-CSRF-Token"] = session.csrf;
  const url = path.startsWith("/") ? path : `${BASE}/${path}`;
  let answer;
  try {
    answer = await fetch(url, { method, headers, body: sent, credentials: "same-origin" });
  } catch {
    throw new Problem(0, t("error.unreachable"), "interrupted");
  }
  if (answer.status === 401 && !options.quiet) session.ended();
  if (!answer.ok) throw await problem(answer);
  const text = await answer.text();
  return text === "" ? null : JSON.parse(text);
}

/** @param {Response} answer */
async function problem(answer) {
  try {
    const told = await answer.json();
    return new Problem(answer.status, tell(told, told.detail ?? told.title ?? String(answer.status)), told.category ?? "other");
  } catch {
    return new Problem(answer.status, t("error.status", { status: String(answer.status) }), "other");
  }
}

export const get = (/** @type {string} */ path, /** @type {{quiet?: boolean}} */ options = {}) => call("GET", path, undefined, options);
export const post = (/** @type {string} */ path, /** @type {unknown} */ body = {}, /** @type {{quiet?: boolean}} */ options = {}) => call("POST", path, body, options);
/** Posts what is no JSON. */
export const postBytes = (/** @type {string} */ path, /** @type {Blob | string} */ bytes) => call("POST", path, undefined, { bytes });
export const patch = (/** @type {string} */ path, /** @type {unknown} */ body) => call("PATCH", path, body);
export const remove = (/** @type {string} */ path) => call("DELETE", path);

/** @param {string} path of a library, with `/` between names */
export function encodePath(path) {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** @param {string} guid @param {string} path @param {string} [query] */
export function fileUrl(guid, path, query = "") {
  return `/file/${encodeURIComponent(guid)}/${encodePath(path)}${query ? `?${query}` : ""}`;
}

/** @param {string} guid @param {string} rest */
export function inLibrary(guid, rest = "") {
  return `libraries/${encodeURIComponent(guid)}${rest ? `/${rest}` : ""}`;
}

/** The ETag of what the library has at a path, or null if it has nothing there. @param {string} guid @param {string} path @returns {Promise<string | null>} */
export async function versionOf(guid, path) {
  let answer;
  try {
    answer = await fetch(fileUrl(guid, path), { method: "HEAD", credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new Problem(0, t("error.unreachable"), "interrupted");
  }
  if (answer.status === 401) session.ended();
  return answer.ok ? answer.headers.get("ETag") : null;
}

/** @typedef {{done: Promise<XMLHttpRequest>, abort: () => void}} Sending */

/** Sends a file; `fetch` tells no progress of what it sends. Without the ETag of what it replaces, the daemon takes it only where nothing stands.
 * @param {string} guid @param {string} path @param {Blob} file @param {{replaces: string | null, onProgress: (sent: number) => void}} options @returns {Sending} */
export function upload(guid, path, file, options) {
  return sending("PUT", `${BASE}/${inLibrary(guid, `files/${encodePath(path)}`)}`, file, { headers: replacing(options.replaces), onProgress: options.onProgress });
}

/** Begins an upload that can go on later. @param {string} guid @param {string} path @param {File} file @param {string | null} replaces @returns {Promise<{at: string, offset: number}>} */
export async function beginUpload(guid, path, file, replaces) {
  const query = `path=${encodeURIComponent(path)}&modified_ms=${file.lastModified}`;
  const { done } = sending("POST", `${BASE}/uploads/${encodeURIComponent(guid)}?${query}`, null, { headers: { "Upload-Length": String(file.size), ...replacing(replaces) }, onProgress: () => {} });
  const answer = await done;
  return { at: answer.getResponseHeader("Location") ?? "", offset: Number(answer.getResponseHeader("Upload-Offset")) };
}

/** My upload of the same file to the same place, if one has begun. @param {string} guid @param {string} path @param {File} file @returns {Promise<{at: string, offset: number} | null>} */
export async function begunUpload(guid, path, file) {
  const all = await get(`uploads/${encodeURIComponent(guid)}`);
  const own = all.find((/** @type {any} */ each) => each.path === path && each.length === file.size && each.modified_ms === file.lastModified);
  return own ? { at: own.location, offset: own.offset } : null;
}

/** How many bytes of an upload are there, and whether it is done. @param {string} at @returns {Promise<{offset: number, isDone: boolean}>} */
export async function uploadState(at) {
  const answer = await sending("HEAD", at, null, { headers: {}, onProgress: () => {} }).done;
  return { offset: Number(answer.getResponseHeader("Upload-Offset")), isDone: answer.getResponseHeader("Upload-Complete") === "?1" };
}

/** Sends the bytes of an upload from a place on. @param {string} at @param {number} offset @param {Blob} bytes
 * @param {{isLast: boolean, replaces: string | null, onProgress: (sent: number) => void}} options @returns {Sending} */
export function appendUpload(at, offset, bytes, options) {
  const headers = { "Content-Type": "application/partial-upload", "Upload-Offset": String(offset), "Upload-Complete": options.isLast ? "?1" : "?0", ...replacing(options.replaces) };
  return sending("PATCH", at, bytes, { headers, onProgress: options.onProgress });
}

/** @param {string | null} tag @returns {Record<string, string>} */
function replacing(tag) {
  return tag ? { "If-Match": tag } : {};
}

/** @param {string} method @param {string} url @param {Blob | null} body @param {{headers: Record<string, string>, onProgress: (sent: number) => void}} options @returns {Sending} */
function sending(method, url, body, options) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open(method, url);
    request.setRequestHeader("X-CSRF-Token", session.csrf);
    for (const [name, value] of Object.entries(options.headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => options.onProgress(event.loaded);
    request.onload = () => {
      if (request.status < 300) resolve(request);
      else if (request.status === 401) session.ended();
      reject(new Problem(request.status, detailOf(request), request.status === 412 ? "exists" : "other"));
    };
    request.onerror = () => reject(new Problem(0, t("error.unreachable"), "interrupted"));
    request.onabort = () => reject(new Problem(0, t("files.upload.stopped"), "interrupted"));
    request.send(body);
  });
  return { done: /** @type {Promise<XMLHttpRequest>} */ (done), abort: () => request.abort() };
}

/** @param {XMLHttpRequest} request */
function detailOf(request) {
  try {
    const told = JSON.parse(request.responseText);
    return tell(told, told.detail);
  } catch {
    return t("error.status", { status: String(request.status) });
  }
}
