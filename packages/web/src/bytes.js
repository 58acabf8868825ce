//! Bytes as text and back.

/** @param {Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The 32 bytes of 64 hex digits, or null. @param {unknown} text */
export function hash(text) {
  if (!isHash(text)) return null;
  return Uint8Array.from({ length: 32 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** Whether it is a hash as this program writes one: of a content, a node or a certificate. @param {unknown} text @returns {text is string} */
export function isHash(text) {
  return typeof text === "string" && /^[0-9a-f]{64}$/.test(text);
}

/** Orders text as the manifest does, by its UTF-8 bytes. `<` compares UTF-16, which puts U+E000 to U+FFFF after the astral planes. @param {string} one @param {string} other */
export function compare(one, other) {
  const [a, b] = [Array.from(one), Array.from(other)];
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = /** @type {number} */ (a[at].codePointAt(0)) - /** @type {number} */ (b[at].codePointAt(0));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
