//! Storage in a folder of a person. Files get their names when every byte is there; until then each is `.swarm/CONTENT/NUMBER.part`, so that no
//! name of a peer becomes a path before it is needed, and a half file is never taken for a whole one.
//!
//! In `.swarm/CONTENT/`: `index.json` with names and what became of them, `record`, replaced by a rename after the data was synced. Files that have
//! their names are only read: whoever changes one sees it refused, not overwritten.

import { constants } from "node:fs";
import * as fs from "node:fs/promises";
import { dirname, isAbsolute, join, resolve, sep } from "node:path";
import { SwarmError } from "@swarm/web/src/error.js";

/** @import { FileHandle } from "node:fs/promises" */
/** @import { FileInfo, SavedFile, Storage, StoredContent } from "../../index.d.ts" */
/** @typedef {{name: string, files: FileInfo[], isFinished: boolean, changedMs?: number[]}} Index `changedMs` of each finished file, when it got its name */
/** @typedef {{index: Index, handles: Map<number, FileHandle>}} Opened */

/** Below what systems allow a process by default, with room for its sockets. */
const HANDLES_MAX = 100;
const OWN = ".swarm";

/** Folders that nodes of this process use: their lock names this process, too. @type {Set<string>} */
const used = new Set();

/** @implements {Storage} */
export class FsStorage {
  #folder;
  /** @type {Map<string, Opened>} */
  #opened = new Map();

  /** @param {string} folder */
  constructor(folder) {
    this.#folder = folder;
  }

  /** Takes a folder for this process alone; it is made if need be. @param {string} path */
  static async create(path) {
    try {
      await fs.mkdir(join(path, OWN), { recursive: true });
      const folder = await fs.realpath(path);
      await lock(folder);
      return new FsStorage(folder);
    } catch (error) {
      throw clear(error, path);
    }
  }

  /** @param {string} content @param {string} name @param {FileInfo[]} files */
  async open(content, name, files) {
    for (const { path } of files) refuseUnsafe(path);
    const own = this.#own(content);
    return clearly(own, async () => {
      await fs.mkdir(own, { recursive: true });
      const known = await this.#index(content);
      const isKnown = known !== null && JSON.stringify(known.files.map(bare)) === JSON.stringify(files.map(bare));
      const opened = { index: isKnown ? known : { name, files: files.map(bare), isFinished: false }, handles: new Map() };
      this.#opened.set(content, opened);
      if (opened.index.isFinished) {
        if (await this.#isUntouched(opened.index)) return { record: await readRecord(own) };
        // Some are gone or changed: fetched again, but never over what stands there now.
        opened.index.isFinished = false;
      }
      let isWhole = isKnown;
      for (const [number, file] of files.entries()) {
        await this.#refuseTaken(file.path);
        isWhole = (await this.#extend(content, opened, number, file.len)) && isWhole;
      }
      await this.#writeIndex(content, opened.index);
      // A file that was missing or short has lost its bytes, whatever the record says.
      return { record: isWhole ? await readRecord(own) : new Uint8Array() };
    });
  }

  /** @param {string} content @param {number} file @param {number} offset @param {Uint8Array} bytes */
  write(content, file, offset, bytes) {
    const copied = bytes.slice();
    const opened = this.#of(content);
    return clearly(this.#partOf(content, file), async () => {
      if (opened.index.isFinished) throw new SwarmError("integrity", `\`${opened.index.files[file].path}\` was changed since it was fetched: move it away and fetch it again`);
      const handle = await this.#handle(content, opened, file);
      const { bytesWritten } = await handle.write(copied, 0, copied.length, offset);
      if (bytesWritten !== copied.length) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    });
  }

  /** @param {string} content @param {number} file @param {number} offset @param {number} len */
  async read(content, file, offset, len) {
    const opened = this.#of(content);
    const handle = await this.#handle(content, opened, file);
    const bytes = new Uint8Array(len);
    const { bytesRead } = await handle.read(bytes, 0, len, offset);
    return bytesRead === len ? bytes : null;
  }

  /** @param {string} content @param {Uint8Array} record */
  async flush(content, record) {
    const opened = this.#of(content);
    const own = this.#own(content);
    await clearly(own, async () => {
      if (!opened.index.isFinished) for (const handle of opened.handles.values()) await handle.datasync();
      await replace(join(own, "record"), record);
    });
  }

  /** @param {string} content */
  async finish(content) {
    const opened = this.#of(content);
    const { index } = opened;
    if (index.isFinished) return;
    await clearly(this.#folder, async () => {
      await closeAll(opened);
      const changedMs = [];
      for (const [number, { path }] of index.files.entries()) {
        const target = await this.#place(path);
        const part = this.#partOf(content, number);
        // After a crash in here some have their names already.
        if (await isThere(part)) {
          await this.#refuseTaken(path);
          await fs.rename(part, target);
          await syncFolder(dirname(target));
        }
        changedMs.push((await fs.stat(target)).mtimeMs);
      }
      await this.#writeIndex(content, Object.assign(index, { isFinished: true, changedMs }));
    });
  }

  /** @param {string} content */
  async close(content) {
    const opened = this.#opened.get(content);
    this.#opened.delete(content);
    if (opened) await closeAll(opened);
  }

  /** @param {string} content */
  async forget(content) {
    await this.close(content);
    await clearly(this.#own(content), () => fs.rm(this.#own(content), { recursive: true, force: true }));
  }

  /** @returns {Promise<StoredContent[]>} */
  async list() {
    /** @type {StoredContent[]} */
    const contents = [];
    for (const content of await fs.readdir(join(this.#folder, OWN))) {
      const index = /^[0-9a-f]{64}$/.test(content) ? await this.#index(content) : null;
      if (index) contents.push({ content, name: index.name, files: index.files, isFinished: index.isFinished });
    }
    return contents;
  }

  /** @param {string} content @returns {Promise<SavedFile[]>} */
  async files(content) {
    const index = await this.#index(content);
    if (!index) throw new SwarmError("usage", `nothing is stored of content ${content}`);
    if (!index.isFinished) throw new SwarmError("undecided", "the content is not complete yet: wait until its fetch is done");
    return index.files.map(({ path, len }) => ({ path, len, location: join(this.#folder, ...path.split("/")) }));
  }

  async end() {
    for (const content of [...this.#opened.keys()]) await this.close(content);
    await unlock(this.#folder);
  }

  /** @param {string} content @returns {Opened} */
  #of(content) {
    const opened = this.#opened.get(content);
    if (!opened) throw new SwarmError("other", `content ${content} is not open`);
    return opened;
  }

  /** @param {string} content */
  #own(content) {
    if (!/^[0-9a-f]{64}$/.test(content)) throw new SwarmError("usage", "a content's id has 64 hex digits");
    return join(this.#folder, OWN, content);
  }

  /** @param {string} content @param {number} file */
  #partOf(content, file) {
    return join(this.#own(content), `${file}.part`);
  }

  /** @param {string} content @returns {Promise<Index | null>} */
  async #index(content) {
    try {
      const { name, files, isFinished, changedMs } = JSON.parse(await fs.readFile(join(this.#own(content), "index.json"), "utf8"));
      return { name, files: files.map(bare), isFinished: isFinished === true, changedMs };
    } catch {
      // Absent, or of another version: the content is taken for a new one.
      return null;
    }
  }

  /** @param {string} content @param {Index} index */
  #writeIndex(content, index) {
    return replace(join(this.#own(content), "index.json"), new TextEncoder().encode(JSON.stringify(index)));
  }

  /** Whether the files under their names are those that were fetched. @param {Index} index */
  async #isUntouched({ files, changedMs }) {
    for (const [number, { path, len }] of files.entries()) {
      const stats = await fs.lstat(join(this.#folder, ...path.split("/"))).catch(() => null);
      if (!stats?.isFile() || stats.size !== len || stats.mtimeMs !== changedMs?.[number]) return false;
    }
    return true;
  }

  /** Gives a part its length. False if it was shorter. @param {string} content @param {Opened} opened @param {number} file @param {number} len */
  async #extend(content, opened, file, len) {
    const handle = await this.#handle(content, opened, file);
    const { size } = await handle.stat();
    if (size === len) return true;
    await handle.truncate(len);
    return len === 0;
  }

  /** @param {string} content @param {Opened} opened @param {number} file @returns {Promise<FileHandle>} */
  async #handle(content, opened, file) {
    const { handles, index } = opened;
    let handle = handles.get(file);
    if (!handle) {
      for (const [oldest, of] of handles) {
        if (handles.size < HANDLES_MAX) break;
        handles.delete(oldest);
        // The flush that will call it durable no longer sees it.
        if (!index.isFinished) await of.datasync();
        await of.close();
      }
      const path = join(this.#folder, ...index.files[file].path.split("/"));
      handle = index.isFinished ? await fs.open(path, "r") : await fs.open(this.#partOf(content, file), constants.O_RDWR | constants.O_CREAT, 0o666);
    }
    handles.delete(file);
    handles.set(file, handle);
    return handle;
  }

  /** Where a file belongs; its folder is made. A link in the way must not lead out of the folder. @param {string} path */
  async #place(path) {
    refuseUnsafe(path);
    const target = join(this.#folder, ...path.split("/"));
    await fs.mkdir(dirname(target), { recursive: true });
    const real = await fs.realpath(dirname(target));
    if (real !== this.#folder && !real.startsWith(this.#folder.endsWith(sep) ? this.#folder : this.#folder + sep)) {
      throw new SwarmError("target_differs", `\`${dirname(target)}\` leads out of \`${this.#folder}\`: move the link away, or choose another folder`);
    }
    return target;
  }

  /** @param {string} path */
  async #refuseTaken(path) {
    const target = join(this.#folder, ...path.split("/"));
    if (await isThere(target)) throw new SwarmError("target_differs", `something else stands at \`${target}\`: move it away, or choose another folder`);
  }
}

/** A file of the user's to seed. @param {string} path in the content @param {string} location */
export async function fileSource(path, location) {
  const stats = await clearly(location, () => fs.stat(location));
  if (!stats.isFile()) throw new SwarmError("usage", `\`${location}\` is no file: name files`);
  return {
    path,
    len: stats.size,
    /** @param {number} offset @param {number} len */
    async read(offset, len) {
      // Opened for each read: a seed of many files would use up the descriptors of the process.
      const handle = await fs.open(location, "r").catch(() => null);
      const bytes = new Uint8Array(len);
      const read = await handle?.read(bytes, 0, len, offset).catch(() => null);
      await handle?.close();
      return read?.bytesRead === len ? bytes : null;
    },
  };
}

/** The manifest has safe paths alone. This is the last place at which one that is not could do harm. @param {string} path */
function refuseUnsafe(path) {
  const components = path.split("/");
  const isUnsafe = isAbsolute(path) || path.includes("\\") || /[\0-\x1f]/.test(path) || /^[a-z]:/i.test(path) || components.some((component) => ["", ".", ".."].includes(component));
  if (isUnsafe) throw new SwarmError("usage", `the content has a file \`${JSON.stringify(path).slice(1, -1)}\`, which cannot stand in a folder here`);
  if (components[0].toLowerCase() === OWN) throw new SwarmError("usage", `the content has a file in \`${OWN}\`, where this program keeps its own: fetch it with the command \`swarm fetch\``);
}

/** @param {FileInfo} file */
function bare({ path, len }) {
  return { path, len };
}

/** @param {string} path */
function isThere(path) {
  return fs.lstat(path).then(() => true, () => false);
}

/** @param {Opened} opened */
async function closeAll({ handles, index }) {
  for (const [file, handle] of handles) {
    handles.delete(file);
    if (!index.isFinished) await handle.datasync();
    await handle.close();
  }
}

/** @param {string} own */
async function readRecord(own) {
  return fs.readFile(join(own, "record")).then((bytes) => new Uint8Array(bytes), () => new Uint8Array());
}

/** Replaces a file by a new one that is on the disk. @param {string} path @param {Uint8Array} bytes */
async function replace(path, bytes) {
  const next = `${path}.next`;
  const handle = await fs.open(next, "w");
  try {
    await handle.writeFile(bytes);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await fs.rename(next, path);
  await syncFolder(dirname(path));
}

/** Makes names durable. Windows cannot, and does not need to. @param {string} path */
async function syncFolder(path) {
  const handle = await fs.open(path, "r").catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** @param {string} folder */
async function lock(folder) {
  const path = join(folder, OWN, "lock");
  const held = () => new SwarmError("held", `another process fetches into \`${folder}\`: wait for it, or choose another folder`);
  if (used.has(folder)) throw held();
  for (let attempt = 0; ; attempt++) {
    try {
      await fs.writeFile(path, String(process.pid), { flag: "wx" });
      used.add(folder);
      return;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      const pid = Number(await fs.readFile(path, "utf8").catch(() => ""));
      if (attempt > 0 || (pid !== process.pid && isRunning(pid))) throw held();
      // Its process was killed.
      await fs.rm(path, { force: true });
    }
  }
}

/** @param {string} folder */
async function unlock(folder) {
  used.delete(folder);
  await fs.rm(join(resolve(folder), OWN, "lock"), { force: true });
}

/** @param {number} pid */
function isRunning(pid) {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** @template T @param {string} path @param {() => Promise<T>} act @returns {Promise<T>} */
async function clearly(path, act) {
  try {
    return await act();
  } catch (error) {
    throw clear(error, path);
  }
}

/** Words that say what to do, for errors of the system. @param {unknown} error @param {string} path */
function clear(error, path) {
  if (error instanceof SwarmError) return error;
  const { message } = /** @type {Error} */ (error);
  const words = /** @type {Record<string, string>} */ ({
    ENOSPC: `the disk of \`${path}\` is full: make room and fetch again`,
    EDQUOT: `your quota on the disk of \`${path}\` is used up: make room and fetch again`,
    EACCES: `\`${path}\` may not be used: change its permissions, or choose another folder`,
    EROFS: `\`${path}\` is on a disk that cannot be written: choose another folder`,
    ENOENT: `there is nothing at \`${path}\`: check the path`,
    ENOTDIR: `\`${path}\` is no folder: choose another one`,
  })[codeOf(error)];
  return new SwarmError(codeOf(error) === "ENOENT" ? "usage" : "disk", words ?? `\`${path}\` cannot be used: ${message}`, { cause: error });
}

/** @param {unknown} error @returns {string} */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code ?? "";
}
