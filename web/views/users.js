//! Who may use this machine, in which role, and whom trusted peers propose.

import { get, patch, post, remove } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { askForm, confirm, notice, words } from "../parts/dialog.js";
import { name, plainName } from "../parts/format.js";
import { t, tx } from "../parts/i18n.js";
import { choice, empty, field, lacking, need, pageHead, skeleton, troubleLine } from "../parts/pieces.js";
import { can, library, state, whoIs } from "../parts/state.js";

const ROLES = /** @type {const} */ (["viewer", "editor", "admin", "mirror"]);

/** @returns {import("../app.js").View} */
export function open() {
  return new Users();
}

class Users {
  constructor() {
    /** @type {User[] | null} */
    this.users = null;
    this.trouble = "";
    if (can("users.manage")) void this.load();
  }

  async load() {
    try {
      const [users, proposed] = await Promise.all([get("users"), get("users/proposed")]);
      this.users = users.users;
      state.proposedUsers = proposed.users;
      this.trouble = "";
    } catch (error) {
      this.trouble = words(error);
    }
    state.redraw();
  }

  draw() {
    return [
      pageHead({
        title: t("nav.users"), text: t("users.text"),
        actions: h("button.button.primary", { type: "button", onClick: () => this.add(), ...need("users.manage") }, icon("plus"), t("users.add")),
      }),
      lacking("users.manage"),
      troubleLine(this.trouble),
      this.proposed(),
      this.users && state.proposedUsers.length > 0 && h("h2.section", null, t("users.list")),
      this.users ? this.list(this.users) : can("users.manage") && !this.trouble && skeleton(4),
      rolesHelp(),
    ];
  }

  proposed() {
    if (state.proposedUsers.length === 0) return null;
    return h("section.asks", null, h("h2.section", null, t("users.proposed"), h("span.count", null, String(state.proposedUsers.length))),
      h("p.lede", null, t("users.proposed.text")),
      h("ul.card.line-list", null, state.proposedUsers.map((each) => h("li", { key: each.name },
        avatar(each.name),
        h("div.line-text", null, h("strong", null, name(each.name)), h("span.hint", null, tx("users.proposed.by", { role: t(`role.${each.role}`), who: name(whoIs(each.by).label) }))),
        h("div.actions", null,
          h("button.button.small", { type: "button", onClick: () => this.reject(each) }, t("users.reject")),
          h("button.button.small.primary", { type: "button", onClick: () => this.accept(each) }, t("users.accept")))))));
  }

  /** @param {User[]} users */
  list(users) {
    if (users.length === 0) return empty({ icon: "users", title: t("users.empty.title"), text: t("users.empty.text") });
    return h("ul.card.line-list", null, users.map((each) => h("li", { key: each.user },
      avatar(each.user),
      h("div.line-text", null, h("strong", null, name(each.user), each.user === state.me?.user && h("span.tag", null, t("users.you"))),
        h("span.hint", null, each.role && t(`role.${each.role}`), each.role && Object.keys(each.libraries).length > 0 && " · ", Object.entries(each.libraries).map(([id, role], index) => [index ? ", " : "", name(library(id)?.name ?? id), ": ", t(`role.${role}`)]))),
      h("div.actions", null,
        h("button.button.small", { type: "button", onClick: () => this.change(each), "aria-label": t("users.change.label", { user: plainName(each.user) }) }, t("users.change")),
        h("button.icon-button", {
          type: "button", "aria-label": t("users.remove.label", { user: plainName(each.user) }), onClick: () => this.removeUser(each),
          disabled: each.user === state.me?.user, title: t(each.user === state.me?.user ? "users.remove.self" : "users.remove"),
        }, icon("trash"))))));
  }

  async add() {
    /** @type {string} */
    let role = "viewer";
    const done = await askForm({
      title: t("users.add"), action: t("users.add"),
      fields: (redraw) => [
        field({ label: t("login.user"), name: "user", required: true, focus: true }),
        field({ label: t("login.password"), name: "password", type: "password", autocomplete: "new-password", required: true, minlength: "8", hint: t("setup.password.hint") }),
        roleChoice(role, ROLES, (now) => { role = now; redraw(); }),
        perLibrary({}),
      ],
      submit: (fields) => post("users", { user: fields.user, password: fields.password, role: fields.role, libraries: librariesOf(fields) }),
    });
    if (done) this.changed(t("users.add.done"));
  }

  /** @param {User} user */
  async change(user) {
    /** @type {string} */
    let role = user.role ?? "";
    const done = await askForm({
      title: t("users.change.title", { user: plainName(user.user) }), action: t("action.save"),
      fields: (redraw) => [
        roleChoice(role, ["", ...ROLES], (now) => { role = now; redraw(); }),
        perLibrary(user.libraries),
      ],
      submit: (fields) => patch(`users/${encodeURIComponent(user.user)}`, { role: fields.role, libraries: { ...takenBack(user.libraries), ...librariesOf(fields) } }),
    });
    if (done) this.changed(t("users.change.done"));
  }

  /** @param {ProposedUser} proposed */
  async accept(proposed) {
    const done = await askForm({
      title: t("users.accept.title", { user: plainName(proposed.name) }), action: t("users.accept"),
      fields: () => [h("p", null, t("users.accept.text", { role: t(`role.${proposed.role}`) })),
        field({ label: t("setup.password"), name: "password", type: "password", autocomplete: "new-password", required: true, focus: true, minlength: "8", hint: t("setup.password.hint") })],
      submit: ({ password }) => post(`users/proposed/${encodeURIComponent(proposed.name)}`, { accept: true, role: proposed.role, password }),
    });
    if (done) this.changed(t("users.accept.done", { user: plainName(proposed.name) }));
  }

  /** @param {ProposedUser} proposed */
  async reject(proposed) {
    const done = await confirm({
      title: t("users.reject.title", { user: plainName(proposed.name) }), text: t("users.reject.text"), undo: t("users.reject.undo"), action: t("users.reject"), isDanger: true,
      work: () => post(`users/proposed/${encodeURIComponent(proposed.name)}`, { accept: false }),
    });
    if (done) this.changed(t("users.reject.done", { user: plainName(proposed.name) }));
  }

  /** @param {User} user */
  async removeUser(user) {
    const done = await confirm({
      title: t("users.remove.title", { user: plainName(user.user) }), text: t("users.remove.text"), undo: t("users.remove.undo"), action: t("users.remove"), isDanger: true,
      work: () => remove(`users/${encodeURIComponent(user.user)}`),
    });
    if (done) this.changed(t("users.remove.done", { user: plainName(user.user) }));
  }

  /** @param {string} text */
  changed(text) {
    notice(text);
    void this.load();
  }
}

/** @param {string} user */
function avatar(user) {
  return h("span.avatar", { "aria-hidden": "true" }, [...plainName(user)][0]?.toUpperCase());
}

/** What the chosen role may do stands below it: in the list it would be cut. @param {string} role @param {readonly string[]} roles @param {(role: string) => void} onChange */
function roleChoice(role, roles, onChange) {
  return choice({ label: t("users.role"), name: "role", value: role, hint: t(role ? `role.${role}.text` : "users.no_role.text"), choices: roles.map((each) => [each, t(each ? `role.${each}` : "users.no_role")]), onChange });
}

/** Fields for other roles in single libraries. @param {Record<string, Role>} now by GUID or name */
function perLibrary(now) {
  const libraries = state.status?.libraries ?? [];
  return libraries.length > 0 && h("details.more-fields", { open: Object.keys(now).length > 0 }, h("summary", null, t("users.per_library")), h("p.hint", null, t("users.per_library.hint")),
    libraries.map((each) => choice({
      label: name(each.name), name: `library-${each.guid}`, value: now[each.guid] ?? now[each.name] ?? "",
      choices: [["", t("users.as_role")], .../** @type {[string, string][]} */ (ROLES.map((role) => [role, t(`role.${role}`)]))],
    })));
}

/** @param {Record<string, string>} fields */
function librariesOf(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([key, role]) => key.startsWith("library-") && role).map(([key, role]) => [key.slice("library-".length), role]));
}

/** What stands now is taken back; the form says what comes in its place. @param {Record<string, Role>} now by GUID or name @returns {Record<string, null>} */
function takenBack(now) {
  const shown = (state.status?.libraries ?? []).flatMap((each) => [each.guid, each.name]);
  return Object.fromEntries(Object.keys(now).filter((key) => shown.includes(key)).map((key) => [key, null]));
}

function rolesHelp() {
  return h("section.roles", null, h("h2.section", null, t("users.roles")),
    h("dl.card.role-list", null, ROLES.map((role) => h("div", { key: role }, h("dt", null, t(`role.${role}`)), h("dd", null, t(`role.${role}.text`))))));
}
