//! How each library is kept on this machine, with the file that says it: what has to be agreed to, how long old versions stay, who sees it.

import { get, inLibrary, patch } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { confirm, notice, words } from "../parts/dialog.js";
import { bytes, name, plainName } from "../parts/format.js";
import { t, tx } from "../parts/i18n.js";
import { toggle, troubleLine } from "../parts/pieces.js";
import { can, state } from "../parts/state.js";
import { editLibrary } from "./library-forms.js";

/** The libraries that this reader may change. */
export class KeptLibraries {
  constructor() {
    /** @type {LibrarySettings[] | null} */
    this.kept = null;
    this.trouble = "";
  }

  async load() {
    const guids = (state.status?.libraries ?? []).map((each) => each.guid).filter((guid) => can("library.manage", guid));
    try {
      /** @type {LibrarySettings[]} */
      const kept = [];
      for (const guid of guids) kept.push(await get(inLibrary(guid)));
      this.kept = kept;
      this.trouble = "";
    } catch (error) {
      this.trouble = words(error);
    }
    state.redraw();
  }

  draw() {
    // The first status may come after the view.
    if (this.kept === null && state.status) {
      this.kept = [];
      void this.load();
    }
    if (!this.kept?.length && !this.trouble) return null;
    const files = [...new Set((this.kept ?? []).map((each) => each.file).filter(Boolean))];
    return h("section.card.settings-group", { key: "kept", "aria-label": t("kept.title") },
      h("header", null, h("h2", null, t("kept.title")), h("p.hint", null, t("kept.text"))),
      troubleLine(this.trouble),
      (this.kept ?? []).map((each) => this.line(each)),
      files.map((file) => h("p.hint.config-file", { key: file }, tx("settings.file", { file: h("code", null, name(file)) }))));
  }

  /** @param {LibrarySettings} kept */
  line(kept) {
    const isPublic = kept.public !== "no";
    return h("div.setting", { key: kept.guid },
      h("div.setting-text", null, h("span.setting-label", null, name(kept.name)), h("p.hint", null, policyWords(kept)), h("p.hint", null, retentionWords(kept.retention)),
        toggle({
          label: t("public.label"), hint: t(kept.sealed ? "public.sealed" : kept.public === "indexed" ? "public.indexed" : isPublic ? "public.on" : "public.off"),
          checked: isPublic && !kept.sealed, disabled: kept.sealed, onChange: () => this.setPublic(kept, isPublic ? "no" : "yes"),
        }),
        isPublic && !kept.sealed && h("p.hint", null, h("a", { href: `/public/${kept.guid}/`, target: "_blank", rel: "noopener" }, `/public/${kept.guid}/`))),
      h("div.setting-control", null, h("button.button", { type: "button", "aria-label": t("kept.edit_what", { library: plainName(kept.name) }), onClick: () => this.edit(kept) }, icon("settings"), t("kept.edit"))));
  }

  /** @param {LibrarySettings} kept */
  async edit(kept) {
    await editLibrary(kept);
    await this.load();
  }

  /** Asks first: what a browser has fetched stays with it. @param {LibrarySettings} kept @param {"yes" | "no"} wanted */
  async setPublic(kept, wanted) {
    const library = plainName(kept.name);
    const kind = wanted === "yes" ? "public.show" : "public.hide";
    const done = await confirm({
      title: t(`${kind}.title`, { library }), text: t(`${kind}.text`, { place: `/public/${kept.guid}/` }), points: [t(`${kind}.point1`), t(`${kind}.point2`)],
      undo: t(`${kind}.undo`), action: t(`${kind}.action`), isDanger: wanted === "yes", work: () => patch(inLibrary(kept.guid), { public: wanted }),
    });
    if (done) notice(t(`${kind}.done`, { library }));
    await this.load();
  }
}

/** @param {LibrarySettings} kept */
function policyWords({ policy }) {
  if (!policy) return t("kept.policy.theirs");
  const parts = [t("kept.policy.delete", { n: policy.delete ?? 1 }), t("kept.policy.moves", { n: policy.moves ?? 1 })];
  if (policy.bulk) parts.push(t("kept.policy.bulk", { n: policy.bulk_approvals ?? 2, changes: policy.bulk }));
  return parts.join(" · ");
}

/** @param {LibrarySettings["retention"]} retention */
export function retentionWords({ days, count, bytes: len }) {
  const parts = [t(days ? "kept.retention.days" : "kept.retention.usual", { n: days ?? 30 })];
  if (count) parts.push(t("kept.retention.count", { n: count }));
  if (len) parts.push(t("kept.retention.bytes", { len: bytes(len) }));
  return parts.join(" · ");
}
