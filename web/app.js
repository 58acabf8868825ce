//! Starts the page: language, session, events; draws the frame around the view that the address names.

import { get, session } from "./parts/api.js";
import { h, icon, loadIcons, render } from "./parts/dom.js";
import { notice, openDialog } from "./parts/dialog.js";
import { duration, name } from "./parts/format.js";
import { LANGUAGES, language, preferred, speak, t } from "./parts/i18n.js";
import { Live } from "./parts/live.js";
import { can, restoreRates, state, storeRates, takeStatus } from "./parts/state.js";
import { applyTheme, setTheme, theme } from "./parts/theme.js";

/** @typedef {{draw: () => Child, close?: () => void, onStatus?: () => void, trouble?: string, load?: () => unknown}} View `load` asks anew for what `trouble` says was not answered */
/** @typedef {(path: string[], query: URLSearchParams) => View} Open */

/** Views are fetched when they are opened first. @type {Record<string, () => Promise<{open: Open}>>} */
const VIEWS = {
  "": () => import("./views/overview.js"),
  files: () => import("./views/files.js"),
  peers: () => import("./views/peers.js"),
  transfers: () => import("./views/transfers.js"),
  conflicts: () => import("./views/conflicts.js"),
  approvals: () => import("./views/approvals.js"),
  changes: () => import("./views/changes.js"),
  users: () => import("./views/users.js"),
  settings: () => import("./views/settings.js"),
  login: () => import("./views/login.js"),
  setup: () => import("./views/setup.js"),
};

/** @type {[string, string][]} view and icon, in the order of the menu */
const MENU = [
  ["", "overview"], ["files", "files"], ["peers", "peers"], ["transfers", "transfers"], ["conflicts", "conflicts"], ["approvals", "approvals"],
  ["changes", "changes"], ["users", "users"], ["settings", "settings"],
];
const IN_TAB_BAR = 3;
const RELOAD_MS = 3000;
const ROLE_WAIT_MS = 5000;
/** Remembers that this browser logged in: then what the first view needs is asked for at once. */
const HAS_SESSION = "swarm.session";

/** @type {View | null} */
let view = null;
let viewName = "";
/** What the open view was opened for: the same view with another path is asked to open anew. */
let openedFor = "";
/** Where a login goes on. */
let returnTo = "";
let isQueued = false;
let roleTimer = 0;

const root = /** @type {HTMLElement} */ (document.getElementById("app"));

const live = new Live({
  onStatus: (status) => {
    takeStatus(status);
    view?.onStatus?.();
  },
  onGap: () => void catchUp(),
  onState: (link) => {
    const isBack = link.kind === "live" && ["lost", "retrying"].includes(state.link.kind);
    state.link = link;
    if (isBack) {
      void catchUp();
      if (view?.trouble) void view.load?.();
      void route();
    }
    redraw();
  },
  onEnded: endSession,
  onForbidden: waitForRole,
});

/** A user who may see no library gets no events: the page looks now and then whether an administrator gave a role. */
function waitForRole() {
  clearTimeout(roleTimer);
  state.link = { kind: "live" };
  redraw();
  roleTimer = setTimeout(lookForRole, ROLE_WAIT_MS);
}

/** What is answered after the session has ended, or another one has begun, says nothing of the present one. */
function lookForRole() {
  const { me } = state;
  if (!me) return;
  askFirst().then(
    async (first) => {
      if (state.me === me) await begin(first);
    },
    (problem) => {
      if (state.me !== me) return;
      if (problem.status === 401) return endSession();
      waitForRole();
      if (problem.status === 0) state.link = { kind: "lost", retryAt: Date.now() + ROLE_WAIT_MS };
    },
  );
}

/** Draws once before the next frame, however often it is called. */
function redraw() {
  if (isQueued) return;
  isQueued = true;
  requestAnimationFrame(() => {
    isQueued = false;
    draw();
  });
}

function draw() {
  const isInside = state.me !== null && view !== null && !["login", "setup"].includes(viewName);
  document.body.classList.toggle("is-outside", !isInside);
  const needs = needsCount();
  document.title = isInside && state.node ? `${needs ? `(${needs}) ` : ""}${title(viewName)} · ${state.node.name}` : "swarm";
  render(root, isInside ? inside() : outside());
}

/** @param {string} key */
function title(key) {
  return t(`nav.${key || "overview"}`);
}

function outside() {
  return h("div.outside", { key: "outside" },
    h("main.outside-main", { id: "main" }, h("div.outside-brand", null, icon("mark", "mark"), h("span", null, "swarm")), view?.draw()),
    h("footer.outside-foot", null, languageSwitch(), themeSwitch()));
}

function inside() {
  return h("div.shell", { key: "inside" },
    h("a.skip", { href: "#main", onClick: focusMain }, t("nav.skip")),
    sidebar(),
    h("div.content", null, banner(), h("main", { id: "main", key: `view-${viewName}`, class: `view-${viewName || "overview"}` }, view?.draw())),
    tabBar());
}

/** @param {Event} event */
function focusMain(event) {
  event.preventDefault();
  root.querySelector("h1")?.focus();
}

function sidebar() {
  return h("header.sidebar", null,
    h("a.brand", { href: "#/" }, icon("mark", "mark"),
      h("span.brand-text", null, h("strong", null, "swarm"), state.node && h("small", null, name(state.node.name)))),
    h("nav", { "aria-label": t("nav.label") }, MENU.map(([key, picture]) => navLink(key, picture))),
    h("div.sidebar-foot", null,
      linkState(),
      h("div.foot-row", null, themeSwitch(), languageSwitch()),
      h("div.user-row", null, h("span.avatar", { "aria-hidden": "true" }, [...(state.me?.user ?? "")][0]?.toUpperCase()),
        h("span.user-name", null, name(state.me?.user ?? ""), h("small", null, t(state.me?.role ? `role.${state.me.role}` : "role.guest"))),
        h("button.icon-button", { type: "button", "aria-label": t("action.logout"), title: t("action.logout"), onClick: logout }, icon("out")))));
}

/** @param {string} key @param {string} picture */
function navLink(key, picture) {
  const count = countFor(key);
  return h("a.nav-link", { key, href: `#/${key}`, "aria-current": viewName === key ? "page" : null }, icon(picture), h("span", null, title(key)),
    count > 0 && h("span.count", { "aria-label": t("nav.waiting", { n: count }) }, String(count)));
}

/** @param {string} key */
function countFor(key) {
  const libraries = state.status?.libraries ?? [];
  if (key === "conflicts") return libraries.reduce((sum, each) => sum + each.conflicts + each.conflicts_elsewhere, 0);
  if (key === "approvals") return libraries.reduce((sum, each) => sum + each.proposals + (each.held_here ? 1 : 0), 0);
  return key === "users" ? state.proposedUsers.length : 0;
}

function needsCount() {
  return ["conflicts", "approvals", "users"].reduce((sum, key) => sum + countFor(key), 0);
}

function tabBar() {
  const rest = MENU.slice(IN_TAB_BAR);
  const waiting = needsCount();
  return h("nav.tab-bar", { "aria-label": t("nav.label") },
    MENU.slice(0, IN_TAB_BAR).map(([key, picture]) =>
      h("a.tab", { key, href: `#/${key}`, "aria-current": viewName === key ? "page" : null }, icon(picture), h("span", null, title(key)))),
    h("button.tab", { key: "more", type: "button", "aria-current": rest.some(([key]) => key === viewName) ? "true" : null, onClick: openMore }, icon("more"),
      h("span", null, t("nav.more")), waiting > 0 && h("span.count", null, String(waiting))));
}

function openMore() {
  return openDialog({
    title: state.node ? name(state.node.name) : "swarm",
    className: "sheet",
    content: (dialog) => h("div.dialog-body", null,
      h("nav", { "aria-label": t("nav.more"), onClick: () => setTimeout(dialog.close) }, MENU.slice(IN_TAB_BAR).map(([key, picture]) => navLink(key, picture))),
      h("div.sheet-foot", null, linkState(), themeSwitch(), languageSwitch(),
        h("button.button", { type: "button", onClick: () => { dialog.close(); void logout(); } }, icon("out"), t("action.logout")))),
  });
}

function linkState() {
  const isLive = state.link.kind === "live";
  return h("p.link-state", { class: isLive ? "good" : "warn" }, h("i.dot"), isLive ? t("link.live") : t("link.lost_short"));
}

/** Connection lost: how old the picture is, and when the next try is. */
function banner() {
  if (state.link.kind === "live" || state.link.kind === "connecting") return null;
  const left = state.link.kind === "lost" ? Math.max(0, Math.ceil((state.link.retryAt - Date.now()) / 1000)) : 0;
  return h("div.banner", { role: "alert" }, icon("offline"),
    h("span", null, t("link.lost"), " ", h("span.banner-age", null, t("link.age", { age: duration(Math.round((Date.now() - (live.heardAt || state.statusAt)) / 1000)) }))),
    h("span.banner-retry", null, left > 0 ? t("link.retry_in", { time: duration(left) }) : t("link.retrying")),
    h("button.button.small", { type: "button", onClick: () => live.start() }, t("link.retry_now")));
}

function themeSwitch() {
  const next = { auto: "light", light: "dark", dark: "auto" }[theme()] ?? "auto";
  const picture = { auto: "auto", light: "sun", dark: "moon" }[theme()] ?? "auto";
  return h("button.icon-button", { type: "button", "aria-label": t("theme.switch", { now: t(`theme.${theme()}`) }), title: t("theme.switch", { now: t(`theme.${theme()}`) }),
    onClick: () => { setTheme(next); redraw(); } }, icon(picture));
}

function languageSwitch() {
  return h("div.language", { role: "group", "aria-label": t("language.label") }, LANGUAGES.map((each) =>
    h("button", { type: "button", lang: each, "aria-pressed": each === language, onClick: () => changeLanguage(each), title: t(`language.${each}`) }, each.toUpperCase())));
}

/** @param {string} wanted */
async function changeLanguage(wanted) {
  await speak(wanted, { keep: true }).catch(() => notice(t("error.unreachable"), { kind: "bad" }));
  redraw();
}

async function logout() {
  await get("/logout", { quiet: true }).catch(() => null);
  returnTo = "";
  endSession();
}

/** Shows the login, and comes back to the same view after it. */
function endSession() {
  live.close();
  clearTimeout(roleTimer);
  if (state.me) returnTo = location.hash;
  localStorage.removeItem(HAS_SESSION);
  state.me = null;
  state.status = null;
  state.statusAt = 0;
  void show("login", [], new URLSearchParams());
}

/** Guests of single libraries may not see the node. @returns {Promise<[Me, NodeInfo | null, Status]>} */
function askFirst() {
  return Promise.all([get("me", { quiet: true }), get("node", { quiet: true }).catch((problem) => (problem.status === 403 ? null : Promise.reject(problem))), get("status", { quiet: true })]);
}

/** @param {[Me, NodeInfo | null, Status]} first */
async function begin([me, node, status]) {
  localStorage.setItem(HAS_SESSION, "1");
  session.csrf = me.csrf;
  state.me = me;
  state.node = node;
  takeStatus(status);
  void refreshProposed();
  live.start();
  if (returnTo && location.hash !== returnTo) history.replaceState(null, "", returnTo);
  returnTo = "";
  await route();
  // From here on every view opens without the daemon.
  for (const fetched of Object.values(VIEWS)) void fetched().catch(() => {});
}

/** After a gap: what the stream did not tell is asked for. */
async function catchUp() {
  try {
    takeStatus(await get("status"));
    view?.onStatus?.();
    await refreshProposed();
  } catch {
    // The next event brings the status, or the stream tells that the connection is lost.
  }
}

async function refreshProposed() {
  if (!can("users.manage")) return;
  state.proposedUsers = (await get("users/proposed").catch(() => ({ users: [] }))).users;
  redraw();
}

async function route() {
  const setup = /^#setup=(.+)$/.exec(location.hash);
  if (setup) {
    await show("setup", [decodeURIComponent(setup[1])], new URLSearchParams());
    // The token must not stay in the address bar or the history, where others would find it. It stays while the form could not be loaded: a reload needs it.
    if (viewName === "setup") history.replaceState(null, "", location.pathname);
    return undefined;
  }
  if (!state.me) return show("login", [], new URLSearchParams());
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [first = "", ...rest] = path.split("/").map(decode);
  return show(first in VIEWS && !["login", "setup"].includes(first) ? first : "", rest, new URLSearchParams(query));
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {string} wanted @param {string[]} path @param {URLSearchParams} query */
async function show(wanted, path, query) {
  const purpose = JSON.stringify([wanted, path, query.toString()]);
  if (purpose === openedFor && view) return redraw();
  const isOther = wanted !== viewName;
  const isFirst = openedFor === "";
  openedFor = purpose;
  const module = await VIEWS[wanted]().catch(() => null);
  if (openedFor !== purpose) return;
  if (!module) {
    // It is asked for again once the connection is back.
    openedFor = "nothing";
    return notice(t("error.unreachable"), { kind: "bad" });
  }
  view?.close?.();
  viewName = wanted;
  view = module.open(path, query);
  draw();
  if (isOther) arrive(isFirst);
}

/** A new view begins at its top, and readers of the screen hear its name. The first one leaves the focus where the browser put it.
 * @param {boolean} isFirst */
function arrive(isFirst) {
  window.scrollTo(0, 0);
  const asked = /** @type {HTMLElement | null} */ (root.querySelector("main [data-focus]"));
  if (asked) asked.focus();
  else if (isFirst) return;
  else if (document.activeElement === document.body || document.activeElement?.closest("nav")) root.querySelector("h1")?.focus({ preventScroll: true });
}

async function start() {
  applyTheme();
  void loadIcons().catch(() => {});
  state.redraw = redraw;
  session.ended = endSession;
  restoreRates();
  addEventListener("pagehide", storeRates);
  addEventListener("keydown", searchBySlash);
  addEventListener("hashchange", () => void route());
  addEventListener("swarm-login", () => void askFirst().then(begin, endSession));
  // The age of what is shown, the countdown and the graphs move on without events.
  setInterval(redraw, 1000);
  let isUnreachable = false;
  const finding = findSession().catch((problem) => {
    isUnreachable = problem.status === 0;
    return null;
  });
  const [first] = await Promise.all([finding, speak(preferred())]);
  if (first) return begin(first);
  if (isUnreachable) return wait();
  localStorage.removeItem(HAS_SESSION);
  returnTo = location.hash.startsWith("#/") ? location.hash : "";
  await route();
}

/** Says that the daemon does not answer, and tries again. */
function wait() {
  render(root, h("main.outside-main", null, h("p.trouble.warn", { role: "alert" }, icon("offline"), h("span", null, t("error.unreachable")))));
  setTimeout(() => location.reload(), RELOAD_MS);
}

/** The slash goes to the search of the view. @param {KeyboardEvent} event */
function searchBySlash(event) {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || /** @type {HTMLElement} */ (event.target).closest("input, textarea, select, dialog")) return;
  const field = /** @type {HTMLElement | null} */ (root.querySelector("input[type=search]"));
  if (!field) return;
  event.preventDefault();
  field.focus();
}

/** What the first view needs, or null without a session. `GET setup` may tell who is logged in: a 401 would stand in the browser's console as an error.
 * @returns {Promise<[Me, NodeInfo | null, Status] | null>} */
async function findSession() {
  if (localStorage.getItem(HAS_SESSION)) return askFirst();
  const { needed, user } = await get("setup", { quiet: true });
  if (needed || user === null) return null;
  if (user === undefined) await get("me", { quiet: true });
  return askFirst();
}

void start();
