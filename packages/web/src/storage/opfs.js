//! Storage in the private file system of an origin (OPFS), by the synchronous handles that only dedicated workers have. A folder for each
//! content, named by its id; in it a file for each file, named by its number, so that no name of a peer becomes a path here; `index.json` with the
//! names; and the record in two files that take turns.
//!
//! Invariant: a record is written after the data that it tells of was flushed. A record that was cut off by a crash is not whole, and the one
//! before it, in the other file, is used.
//!
//! Handles are exclusive: one worker has the storage, which a Web Lock sees to (worker.js).

import { hex, isHash } from "../bytes.js";
import { SwarmError } from "../error.js";
import { baseName } from "./memory.js";

/** @import { FileInfo, SavedFile, Storage, StoredContent } from "../../index.d.ts" */
/** @typedef {{folder: FileSystemDirectoryHandle, name: string, files: FileInfo[], isFinished: boolean, turn: number, readers: Map<number, File>}} Opened */
/** @typedef {{handle: FileSystemSyncAccessHandle, isDirty: boolean}} Handle */

/** Opening a file costs 2 ms in Chromium, and a content may have more files than a browser has descriptors. */
const HANDLES_MAX = 100;
const INDEX = "index.json";
const RECORDS = ["record.0", "record.1"];
/** Of a record's file: its turn, and the start of the SHA-256 of all before. */
const TURN_LEN = 8;
const SUM_LEN = 8;

/** @implements {Storage} */
export class OpfsStorage {
  #root;
  /** @type {Map<string, Opened>} */
  #opened = new Map();
  /** By content and file, the one used last at the end. @type {Map<string, Handle>} */
  #handles = new Map();

  /** @param {FileSystemDirectoryHandle} root */
  constructor(root) {
    this.#root = root;
  }

  /** @param {string} [folder] the name of a folder of the origin */
  static async create(folder = "swarm") {
    if (!navigator.storage?.getDirectory || typeof FileSystemFileHandle === "undefined" || !("createSyncAccessHandle" in FileSystemFileHandle.prototype)) {
      throw new SwarmError("disk", 'this browser has no private file system here: use a newer browser, or the storage "memory"');
    }
    try {
      const origin = await navigator.storage.getDirectory();
      return new OpfsStorage(await origin.getDirectoryHandle(folder, { create: true }));
    } catch (cause) {
      throw new SwarmError("disk", 'this browser lets this page store nothing: leave private browsing, or use the storage "memory"', { cause });
    }
  }

  /** @param {string} content @param {string} name @param {FileInfo[]} files */
  async open(content, name, files) {
    return this.#clearly(name, async () => {
      const folder = await this.#folder(content, true);
      const index = await readIndex(folder);
      const isKnown = index !== null && sameFiles(index.files, files);
      const opened = { folder, name, files, isFinished: isKnown && index.isFinished, turn: 0, readers: new Map() };
      this.#opened.set(content, opened);
      let isWhole = true;
      for (const [number, { len }] of files.entries()) isWhole = (await this.#extend(content, opened, number, len)) && isWhole;
      if (!isKnown) await writeIndex(opened);
      const newest = await newestRecord(folder);
      opened.turn = newest.turn + 1;
      // A file that was missing or short has lost its bytes, whatever the record says.
      return { record: isWhole && isKnown ? newest.record : new Uint8Array() };
    });
  }

  /** Writes at once if the file is open, so that nothing is copied. @param {string} content @param {number} file @param {number} offset @param {Uint8Array} bytes */
  write(content, file, offset, bytes) {
    const opened = this.#of(content);
    opened.readers.delete(file);
    const open = this.#used(content, file);
    if (open) return this.#write(opened, open, offset, bytes);
    const copied = bytes.slice();
    return this.#clearly(opened.name, async () => this.#write(opened, await this.#handle(content, opened, file), offset, copied));
  }

  /** @param {string} content @param {number} file @param {number} offset @param {number} len */
  async read(content, file, offset, len) {
    const opened = this.#of(content);
    if (!opened.isFinished || this.#used(content, file)) {
      const bytes = new Uint8Array(len);
      const { handle } = await this.#handle(content, opened, file);
      return handle.read(bytes, { at: offset }) === len ? bytes : null;
    }
    // What is finished is read without a handle: a page may save it meanwhile.
    let reader = opened.readers.get(file);
    if (!reader) {
      reader = await (await opened.folder.getFileHandle(String(file))).getFile();
      opened.readers.set(file, reader);
    }
    const bytes = new Uint8Array(await reader.slice(offset, offset + len).arrayBuffer());
    return bytes.length === len ? bytes : null;
  }

  /** @param {string} content @param {Uint8Array} record */
  async flush(content, record) {
    const opened = this.#of(content);
    await this.#clearly(opened.name, async () => {
      this.#flushHandles(content);
      const turn = opened.turn++;
      await writeWhole(opened.folder, RECORDS[turn % RECORDS.length], await sealRecord(turn, record));
    });
  }

  /** @param {string} content */
  async finish(content) {
    const opened = this.#of(content);
    await this.#clearly(opened.name, async () => {
      this.#closeHandles(content);
      opened.isFinished = true;
      await writeIndex(opened);
    });
  }

  /** @param {string} content */
  async close(content) {
    this.#closeHandles(content);
    this.#opened.delete(content);
  }

  /** @param {string} content */
  async forget(content) {
    await this.close(content);
    await this.#root.removeEntry(content, { recursive: true }).catch((error) => {
      if (error.name !== "NotFoundError") throw new SwarmError("disk", `content ${content} could not be removed (${error.message}): close other tabs of this site and try again`, { cause: error });
    });
  }

  /** @returns {Promise<StoredContent[]>} */
  async list() {
    /** @type {StoredContent[]} */
    const contents = [];
    for await (const [content, folder] of this.#root.entries()) {
      const index = folder.kind === "directory" && isHash(content) ? await readIndex(/** @type {FileSystemDirectoryHandle} */ (folder)) : null;
      if (index) contents.push({ content, ...index });
    }
    return contents;
  }

  /** @param {string} content @returns {Promise<SavedFile[]>} */
  async files(content) {
    const folder = await this.#folder(content, false).catch(() => null);
    const index = folder && (await readIndex(folder));
    if (!folder || !index) throw new SwarmError("usage", `nothing is stored of content ${content}`);
    if (!index.isFinished) throw new SwarmError("undecided", "the content is not complete yet: wait until its fetch is done");
    return Promise.all(
      index.files.map(async ({ path, len }, number) => {
        const stored = await (await folder.getFileHandle(String(number))).getFile();
        // The browser refers to the stored file; nothing is copied into memory.
        return { path, len, file: new File([stored], baseName(path), { lastModified: stored.lastModified }) };
      }),
    );
  }

  /** @param {string} content @returns {Opened} */
  #of(content) {
    const opened = this.#opened.get(content);
    if (!opened) throw new SwarmError("other", `content ${content} is not open`);
    return opened;
  }

  /** @param {string} content @param {boolean} create */
  #folder(content, create) {
    if (!isHash(content)) throw new SwarmError("usage", "a content's id has 64 hex digits");
    return this.#root.getDirectoryHandle(content, { create });
  }

  /** Gives a file its length. False if it was shorter. @param {string} content @param {Opened} opened @param {number} file @param {number} len */
  async #extend(content, opened, file, len) {
    if (opened.isFinished) {
      const stored = await opened.folder.getFileHandle(String(file)).then((handle) => handle.getFile(), () => null);
      if (stored?.size === len) return true;
      opened.isFinished = false;
    }
    const { handle } = await this.#handle(content, opened, file);
    if (handle.getSize() === len) return true;
    handle.truncate(len);
    // A private window of Chromium says that it did, and has not.
    if (handle.getSize() !== len) throw noRoom(opened.name);
    return len === 0;
  }

  /** @param {Opened} opened @param {Handle} open @param {number} offset @param {Uint8Array} bytes */
  #write(opened, open, offset, bytes) {
    let writtenLen = -1;
    try {
      writtenLen = open.handle.write(/** @type {Uint8Array<ArrayBuffer>} */ (bytes), { at: offset });
    } catch (error) {
      throw clear(error, opened.name);
    }
    // A private window of Chromium returns a negative length, as an unsigned one, instead of throwing.
    if (writtenLen !== bytes.length) throw noRoom(opened.name);
    open.isDirty = true;
  }

  /** @param {string} content @param {number} file */
  #used(content, file) {
    const key = `${content}/${file}`;
    const open = this.#handles.get(key);
    if (!open) return null;
    this.#handles.delete(key);
    this.#handles.set(key, open);
    return open;
  }

  /** @param {string} content @param {Opened} opened @param {number} file @returns {Promise<Handle>} */
  async #handle(content, opened, file) {
    const used = this.#used(content, file);
    if (used) return used;
    for (const key of this.#handles.keys()) {
      if (this.#handles.size < HANDLES_MAX) break;
      this.#close(key);
    }
    const entry = await opened.folder.getFileHandle(String(file), { create: true });
    const open = { handle: await entry.createSyncAccessHandle(), isDirty: false };
    this.#handles.set(`${content}/${file}`, open);
    return open;
  }

  /** @param {string} key */
  #close(key) {
    const open = this.#handles.get(key);
    this.#handles.delete(key);
    if (!open) return;
    try {
      // The flush that will call it durable no longer sees it.
      if (open.isDirty) open.handle.flush();
    } finally {
      open.handle.close();
    }
  }

  /** @param {string} content */
  #flushHandles(content) {
    for (const [key, open] of this.#handles) {
      if (!open.isDirty || !key.startsWith(`${content}/`)) continue;
      open.handle.flush();
      open.isDirty = false;
    }
  }

  /** @param {string} content */
  #closeHandles(content) {
    for (const key of [...this.#handles.keys()]) {
      if (key.startsWith(`${content}/`)) this.#close(key);
    }
  }

  /** Runs something whose errors are to say what to do. @template T @param {string} name @param {() => Promise<T>} act @returns {Promise<T>} */
  async #clearly(name, act) {
    try {
      return await act();
    } catch (error) {
      throw clear(error, name);
    }
  }
}

/** @param {unknown} error @param {string} name of the content */
function clear(error, name) {
  if (error instanceof SwarmError) return error;
  const { name: kind, message } = /** @type {Error} */ (error);
  if (kind === "QuotaExceededError") return noRoom(name, error);
  if (kind === "NoModificationAllowedError") return new SwarmError("held", `another tab of this site writes \`${name}\`: close it and fetch again`, { cause: error });
  if (kind === "NotFoundError") return new SwarmError("disk", `the browser removed what it had stored of \`${name}\`: fetch it again`, { cause: error });
  return new SwarmError("disk", `the browser could not store \`${name}\` (${message}): fetch it again`, { cause: error });
}

/** @param {string} name @param {unknown} [cause] */
function noRoom(name, cause) {
  const words = `the browser gives this site no more room for \`${name}\`: free space on the disk, remove other contents of this site, or leave private browsing; then fetch it again`;
  return new SwarmError("disk", words, { cause });
}

/** @param {FileInfo[]} one @param {FileInfo[]} other */
function sameFiles(one, other) {
  return one.length === other.length && one.every(({ path, len }, at) => path === other[at].path && len === other[at].len);
}

/** @param {FileSystemDirectoryHandle} folder @returns {Promise<{name: string, files: FileInfo[], isFinished: boolean} | null>} */
async function readIndex(folder) {
  try {
    const file = await (await folder.getFileHandle(INDEX)).getFile();
    const { name, files, isFinished } = JSON.parse(await file.text());
    return { name, files: files.map((/** @type {FileInfo} */ { path, len }) => ({ path, len })), isFinished: isFinished === true };
  } catch {
    // Absent, or cut off by a crash: the content is taken for a new one.
    return null;
  }
}

/** @param {Opened} opened */
function writeIndex({ folder, name, files, isFinished }) {
  return writeWhole(folder, INDEX, new TextEncoder().encode(JSON.stringify({ name, files, isFinished })));
}

/** @param {number} turn @param {Uint8Array} record */
async function sealRecord(turn, record) {
  const bytes = new Uint8Array(TURN_LEN + record.length + SUM_LEN);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(turn));
  bytes.set(record, TURN_LEN);
  bytes.set(await sum(bytes.subarray(0, -SUM_LEN)), TURN_LEN + record.length);
  return bytes;
}

/** @param {FileSystemDirectoryHandle} folder */
async function newestRecord(folder) {
  let newest = { turn: 0, record: new Uint8Array() };
  for (const name of RECORDS) {
    try {
      const file = await (await folder.getFileHandle(name)).getFile();
      const bytes = new Uint8Array(await file.arrayBuffer());
      if (bytes.length < TURN_LEN + SUM_LEN || hex(await sum(bytes.subarray(0, -SUM_LEN))) !== hex(bytes.subarray(-SUM_LEN))) continue;
      const turn = Number(new DataView(bytes.buffer).getBigUint64(0));
      if (turn >= newest.turn) newest = { turn, record: bytes.slice(TURN_LEN, -SUM_LEN) };
    } catch {
      // There is none of this name yet.
    }
  }
  return newest;
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function sum(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).subarray(0, SUM_LEN);
}

/** @param {FileSystemDirectoryHandle} folder @param {string} name @param {Uint8Array<ArrayBuffer>} bytes */
async function writeWhole(folder, name, bytes) {
  const handle = await (await folder.getFileHandle(name, { create: true })).createSyncAccessHandle();
  try {
    handle.truncate(0);
    if (handle.write(bytes, { at: 0 }) !== bytes.length) throw new DOMException("a write was cut short", "QuotaExceededError");
    handle.flush();
  } finally {
    handle.close();
  }
}
