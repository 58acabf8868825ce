//! Forms that make, follow and change a library.

import { Problem, get, inLibrary, patch, post } from "../parts/api.js";
import { h } from "../parts/dom.js";
import { askForm, attempt, notice } from "../parts/dialog.js";
import { name, plainName } from "../parts/format.js";
import { t, tx } from "../parts/i18n.js";
import { choice, field, toggle } from "../parts/pieces.js";
import { state } from "../parts/state.js";
import { addPeer } from "./peers.js";

export async function addLibrary() {
  const done = await askForm({
    title: t("add.title"), action: t("add.action"),
    fields: () => [
      h("p.lede", null, t("add.text")),
      field({ label: t("add.name"), name: "name", required: true, focus: true, placeholder: t("add.name.example") }),
      field({ label: t("add.dir"), name: "dir", hint: t("add.dir.hint"), placeholder: "/srv/team", mono: true }),
      h("details.more-fields", null, h("summary", null, t("add.mounts")),
        h("div.field", null, h("label", { for: "field-mounts" }, t("add.mounts.label")),
          h("textarea.mono", { id: "field-mounts", name: "mounts", rows: "3", placeholder: "/srv/scans => /scans" }), h("p.hint", null, t("add.mounts.hint")))),
    ],
    submit: ({ name, dir, mounts }) => post("libraries", { name, dir: dir || undefined, mounts: mountsOf(mounts ?? "") }),
  });
  if (done) notice(t("add.done"), { action: { label: t("add.next"), run: () => addPeer() } });
}

/** @param {string} text lines of `dir => libpath` */
function mountsOf(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.length ? lines.map((line) => {
    const [dir, libpath] = line.split("=>").map((part) => part.trim());
    return { dir, libpath: libpath || "/" };
  }) : undefined;
}

export async function subscribe() {
  const offered = offeredByPeers();
  const done = await askForm({
    title: t("subscribe.title"), action: t("subscribe.action"),
    fields: () => [
      h("p.lede", null, t("subscribe.text")),
      offered.length > 0
        ? choice({ label: t("subscribe.library"), name: "library", value: offered[0][0], choices: offered })
        : field({ label: t("subscribe.library"), name: "library", required: true, focus: true, hint: t("subscribe.none") }),
      field({ label: t("subscribe.dir"), name: "dir", hint: t("subscribe.dir.hint"), placeholder: "/srv/team", mono: true }),
      h("details.more-fields", null, h("summary", null, t("subscribe.part")), patterns("include", []), patterns("exclude", [])),
    ],
    submit: ({ library, dir, include, exclude }) => post("subscriptions", { library, dir: dir || undefined, include: linesOf(include), exclude: linesOf(exclude) }),
  });
  if (done) notice(t("subscribe.done"));
}

/** @param {"include" | "exclude"} which @param {string[]} now */
function patterns(which, now) {
  const id = `field-${which}`;
  return h("div.field", null, h("label", { for: id }, t(`patterns.${which}`)), h("textarea.mono", { id, name: which, rows: "3", value: now.join("\n"), placeholder: which === "include" ? "/2026/**" : "*.tmp" }),
    h("p.hint", null, t(`patterns.${which}.hint`)));
}

/** @param {string} text */
function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

/** Libraries that peers have and this machine has not. @returns {[string, string][]} */
export function offeredByPeers() {
  const own = new Set(state.status?.libraries.map((each) => each.guid));
  /** @type {Map<string, string>} */
  const offered = new Map();
  for (const peer of state.status?.peers ?? []) {
    for (const each of peer.libraries) {
      if (!own.has(each.guid)) offered.set(each.guid, t("subscribe.offer", { library: plainName(each.name), peer: plainName(peer.name || peer.address) }));
    }
  }
  return [...offered];
}

/** @param {Pick<Library, "guid" | "name">} library */
export async function editLibrary(library) {
  /** @type {LibrarySettings | undefined} */
  const now = await attempt(() => get(inLibrary(library.guid)));
  if (!now) return;
  const policy = now.policy ?? {};
  const done = await askForm({
    title: t("edit.title", { library: plainName(library.name) }), action: t("action.save"), wide: true,
    fields: () => [
      h("div.field-grid", null,
        field({ label: t("edit.priority"), name: "priority", type: "number", value: String(now.priority), hint: t("edit.priority.hint") })),
      now.subscribed && h("div.field-grid", null, patterns("include", now.include), patterns("exclude", now.exclude)),
      h("h3.form-section", null, t("edit.policy")),
      h("p.hint", null, t(now.policy ? "edit.policy.text" : "edit.policy.theirs")),
      now.policy && h("div.field-grid", null,
        field({ label: t("edit.delete"), name: "delete", type: "number", value: String(policy.delete ?? 1), hint: t("edit.delete.hint") }),
        field({ label: t("edit.moves"), name: "moves", type: "number", value: String(policy.moves ?? 1), hint: t("edit.moves.hint") }),
        field({ label: t("edit.bulk"), name: "bulk", type: "number", value: policy.bulk ? String(policy.bulk) : "", hint: t("edit.bulk.hint") }),
        field({ label: t("edit.bulk_approvals"), name: "bulk_approvals", type: "number", value: String(policy.bulk_approvals ?? 2), hint: t("edit.bulk_approvals.hint") }),
        field({ label: t("edit.expiry"), name: "expiry_days", type: "number", value: String(policy.expiry_days ?? 14), hint: t("edit.expiry.hint") })),
      now.policy && toggle({ label: t("edit.refuse"), hint: t("edit.refuse.hint"), name: "refuse_by_one", checked: policy.refuse_by_one ?? false }),
      h("h3.form-section", null, t("edit.retention")),
      h("p.hint", null, t("edit.retention.text")),
      h("div.field-grid", null,
        field({ label: t("edit.days"), name: "days", type: "number", value: String(now.retention.days ?? ""), placeholder: "30", hint: t("edit.days.hint") }),
        field({ label: t("edit.count"), name: "count", type: "number", value: String(now.retention.count ?? ""), hint: t("edit.count.hint") }),
        field({ label: t("edit.bytes"), name: "bytes", value: now.retention.bytes ? String(now.retention.bytes / 1e9) : "", hint: t("edit.bytes.hint") })),
      now.file && h("p.hint.config-file", null, tx("edit.file", { file: h("code", null, name(now.file)) })),
    ],
    submit: (fields) => patch(inLibrary(library.guid), { retention: retentionOf(fields, now.retention), priority: Number(fields.priority), policy: now.policy ? policyOf(fields) : undefined, ...(now.subscribed ? { include: linesOf(fields.include), exclude: linesOf(fields.exclude) } : {}) }),
  });
  if (done) notice(t("edit.done"));
}

/** What is to change; an empty field takes a limit away. @param {Record<string, string>} fields @param {LibrarySettings["retention"]} now */
function retentionOf(fields, now) {
  const number = (/** @type {string} */ text) => (text.trim() === "" ? null : Number(text.trim().replace(",", ".")));
  const gigabytes = number(fields.bytes);
  if (Number.isNaN(gigabytes)) throw new Problem(0, t("edit.bytes.wrong"), "usage");
  const wanted = { days: number(fields.days), count: number(fields.count), bytes: gigabytes === null ? null : Math.round(gigabytes * 1e9) };
  return Object.fromEntries(Object.entries(wanted).filter(([key, value]) => value !== now[/** @type {keyof typeof now} */ (key)]));
}

/** @param {Record<string, string>} fields @returns {Policy} */
function policyOf(fields) {
  return {
    delete: Number(fields.delete), moves: Number(fields.moves), bulk: fields.bulk ? Number(fields.bulk) : null,
    bulk_approvals: Number(fields.bulk_approvals), expiry_days: Number(fields.expiry_days), refuse_by_one: fields.refuse_by_one === "on",
  };
}
