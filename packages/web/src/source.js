//! Files to seed.

/** @import { SeedSource } from "../index.d.ts" */

/** A file that a visitor picked, read piece by piece. @param {string} path @param {Blob} blob @returns {SeedSource} */
export function blobSource(path, blob) {
  return {
    path,
    len: blob.size,
    async read(offset, len) {
      try {
        const bytes = new Uint8Array(await blob.slice(offset, offset + len).arrayBuffer());
        return bytes.length === len ? bytes : null;
      } catch {
        // It changed or was removed since the visitor picked it.
        return null;
      }
    },
  };
}
