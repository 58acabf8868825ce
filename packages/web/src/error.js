//! Errors as people and scripts get them: a category, the exit code that the command `swarm` has for it, and a message with a way out.

/** @typedef {"usage" | "no_source" | "target_differs" | "integrity" | "disk" | "denied" | "no_node" | "held" | "interrupted" | "partial" | "undecided" | "other"} Category */

/** The exit codes of the command (docs/reference/exit-codes.md). @type {Record<Category, number>} */
const CODES = {
  usage: 2, no_source: 3, target_differs: 4, integrity: 5, disk: 6, denied: 7, no_node: 8, held: 1, interrupted: 130, partial: 9, undecided: 9, other: 1,
};

export class SwarmError extends Error {
  /** @param {Category} category @param {string} message @param {{cause?: unknown}} [options] */
  constructor(category, message, options) {
    super(message, options);
    this.name = "SwarmError";
    this.category = category;
    this.code = CODES[category];
  }

  /** Makes one of whatever was thrown. Errors of the WebAssembly node carry a category themselves. @param {unknown} thrown @param {Category} [otherwise] */
  static from(thrown, otherwise = "other") {
    if (thrown instanceof SwarmError) return thrown;
    const { category, message } = /** @type {{category?: unknown, message?: unknown}} */ (Object(thrown));
    return new SwarmError(isCategory(category) ? category : otherwise, typeof message === "string" ? message : String(thrown), { cause: thrown });
  }
}

/** @param {unknown} text @returns {text is Category} */
export function isCategory(text) {
  return typeof text === "string" && Object.hasOwn(CODES, text);
}
