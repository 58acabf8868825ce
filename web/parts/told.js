//! What the daemon says, in the reader's language: by the code of a sentence and its parameters. A code that is not known is told in the daemon's words.

import { bytes } from "./format.js";
import { has, t } from "./i18n.js";

/** @param {Told | null | undefined} told @param {string} words those of the daemon @returns {string} */
export function tell(told, words) {
  const params = told?.params ?? {};
  // What a role does not allow has a text for each right.
  const special = told?.code === "not-allowed" ? `need.${params.permission}` : "";
  const key = has(special) ? special : `told.${told?.code}`;
  if (!told?.code || !has(key)) return words;
  const values = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, shown(name, value)]));
  if (told.because) values.why = tell(told.because, params.why ?? "");
  return t(key, values);
}

/** @param {string} name @param {string} value @returns {string | number} */
function shown(name, value) {
  if (name === "bytes") return bytes(Number(value));
  return COUNTS.includes(name) ? Number(value) : value;
}

const COUNTS = ["n", "seconds", "min", "max", "offset"];
