//! Storage in memory: for tests, for pages without OPFS, and for contents that need not outlive the page.

import { SwarmError } from "../error.js";

/** @import { FileInfo, SavedFile, Storage, StoredContent } from "../../index.d.ts" */
/** @typedef {{name: string, files: FileInfo[], bytes: Uint8Array<ArrayBuffer>[], record: Uint8Array, isFinished: boolean}} Kept */

/** @implements {Storage} */
export class MemoryStorage {
  /** @type {Map<string, Kept>} */
  #contents = new Map();

  /** @param {string} content @param {string} name @param {FileInfo[]} files */
  async open(content, name, files) {
    let kept = this.#contents.get(content);
    if (!kept) {
      const bytes = files.map(({ path, len }) => {
        try {
          return new Uint8Array(len);
        } catch (cause) {
          throw new SwarmError("disk", `\`${path}\` has ${len} bytes, more than fit in memory: use the storage "opfs"`, { cause });
        }
      });
      kept = { name, files, bytes, record: new Uint8Array(), isFinished: false };
      this.#contents.set(content, kept);
    }
    return { record: kept.record };
  }

  /** @param {string} content @param {number} file @param {number} offset @param {Uint8Array} bytes */
  write(content, file, offset, bytes) {
    this.#kept(content).bytes[file].set(bytes, offset);
  }

  /** @param {string} content @param {number} file @param {number} offset @param {number} len */
  async read(content, file, offset, len) {
    const bytes = this.#kept(content).bytes[file].subarray(offset, offset + len);
    return bytes.length === len ? bytes : null;
  }

  /** @param {string} content @param {Uint8Array} record */
  async flush(content, record) {
    this.#kept(content).record = record.slice();
  }

  /** @param {string} content */
  async finish(content) {
    this.#kept(content).isFinished = true;
  }

  async close() {}

  /** @param {string} content */
  async forget(content) {
    this.#contents.delete(content);
  }

  /** @returns {Promise<StoredContent[]>} */
  async list() {
    return [...this.#contents].map(([content, { name, files, isFinished }]) => ({ content, name, files, isFinished }));
  }

  /** @param {string} content @returns {Promise<SavedFile[]>} */
  async files(content) {
    const { files, bytes } = this.#kept(content);
    return files.map(({ path, len }, at) => ({ path, len, file: new File([bytes[at]], baseName(path)) }));
  }

  /** @param {string} content @returns {Kept} */
  #kept(content) {
    const kept = this.#contents.get(content);
    if (!kept) throw new SwarmError("usage", `nothing is stored of content ${content}`);
    return kept;
  }
}

/** The last component of a path. @param {string} path */
export function baseName(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}
