//! The secret key of a page's node: 32 random bytes in IndexedDB, made at the first start. The WebAssembly node signs with it.

import { SwarmError } from "./error.js";

const STORE = "keys";
const KEY = "node";
const KEY_LEN = 32;

/** @param {string} name of the database @returns {Promise<Uint8Array>} */
export async function loadIdentity(name) {
  try {
    const database = await asked(indexedDB.open(name, 1), (open) => void open.result.createObjectStore(STORE));
    try {
      const known = await asked(database.transaction(STORE).objectStore(STORE).get(KEY));
      if (known instanceof Uint8Array && known.length === KEY_LEN) return known;
      const made = crypto.getRandomValues(new Uint8Array(KEY_LEN));
      await asked(database.transaction(STORE, "readwrite").objectStore(STORE).put(made, KEY));
      return made;
    } finally {
      database.close();
    }
  } catch (cause) {
    throw new SwarmError("disk", 'this browser keeps no key for this site: allow it to store data, or use the storage "memory"', { cause });
  }
}

/** @template T @param {IDBRequest<T> & {onupgradeneeded?: unknown}} request @param {(request: IDBRequest<T>) => void} [upgrade] @returns {Promise<T>} */
function asked(request, upgrade) {
  return new Promise((resolve, reject) => {
    if (upgrade) request.onupgradeneeded = () => upgrade(request);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
