//! Requests to the daemon. Every failure is a `Problem` whose text can be shown as it is.

import { t } from "./i18n.js";

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
    return new Problem(answer.status, told.detail ?? told.title ?? String(answer.status), told.category ?? "other");
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

/** Sends a file; `fetch` tells no progress of what it sends. Without the ETag of what it replaces, the daemon takes it only where nothing stands.
 * @param {string} guid @param {string} path @param {Blob} file @param {{replaces: string | null, onProgress: (sent: number) => void}} options
 * @returns {{done: Promise<void>, abort: () => void}} */
export function upload(guid, path, file, options) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("PUT", `${BASE}/${inLibrary(guid, `files/${encodePath(path)}`)}`);
    request.setRequestHeader("X-CSRF-Token", session.csrf);
    if (options.replaces) request.setRequestHeader("If-Match", options.replaces);
    request.upload.onprogress = (event) => options.onProgress(event.loaded);
    request.onload = () => {
      if (request.status < 300) resolve(undefined);
      else if (request.status === 401) session.ended();
      reject(new Problem(request.status, detailOf(request), request.status === 412 ? "exists" : "other"));
    };
    request.onerror = () => reject(new Problem(0, t("error.unreachable"), "interrupted"));
    request.onabort = () => reject(new Problem(0, t("files.upload.stopped"), "interrupted"));
    request.send(file);
  });
  return { done: /** @type {Promise<void>} */ (done), abort: () => request.abort() };
}

/** @param {XMLHttpRequest} request */
function detailOf(request) {
  try {
    return JSON.parse(request.responseText).detail;
  } catch {
    return t("error.status", { status: String(request.status) });
  }
}
