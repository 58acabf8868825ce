//! Deletions on this disk that nobody was told of yet.

import { inLibrary, post } from "../parts/api.js";
import { confirm, notice } from "../parts/dialog.js";
import { plainName } from "../parts/format.js";
import { t } from "../parts/i18n.js";

/** Asks whether they were meant, and tells the peers then. @param {Library} library */
export async function approveHere(library) {
  const n = library.held_here ?? 0;
  const done = await confirm({
    title: t("held.title", { library: plainName(library.name) }), text: t("held.text", { n }), undo: t("held.undo"), action: t("held.action", { n }), isDanger: true,
    work: () => post(inLibrary(library.guid, "approve-here")),
  });
  if (done) notice(t("held.done"));
}
