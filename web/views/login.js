//! Login by name and password.

import { get, post } from "../parts/api.js";
import { h } from "../parts/dom.js";
import { fieldsOf, words } from "../parts/dialog.js";
import { t } from "../parts/i18n.js";
import { field, troubleLine } from "../parts/pieces.js";
import { state } from "../parts/state.js";

/** @returns {import("../app.js").View} */
export function open() {
  let trouble = "";
  let isBusy = false;
  let isSetupNeeded = false;
  get("setup", { quiet: true }).then((answer) => {
    isSetupNeeded = answer.needed;
    state.redraw();
  }).catch(() => {});

  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    isBusy = true;
    trouble = "";
    state.redraw();
    try {
      await post("/login", fieldsOf(form), { quiet: true });
      dispatchEvent(new Event("swarm-login"));
    } catch (error) {
      trouble = words(error);
      /** @type {HTMLElement | null} */ (form.querySelector("input[type=password]"))?.focus();
    }
    isBusy = false;
    state.redraw();
  };

  return { draw: () => (isSetupNeeded ? setupFirst() : form(submit, trouble, isBusy)) };
}

/** @param {(event: SubmitEvent) => void} submit @param {string} trouble @param {boolean} isBusy */
function form(submit, trouble, isBusy) {
  return h("form.card.outside-card", { key: "login", onSubmit: submit },
    h("h1", { tabindex: "-1" }, t("login.title")),
    h("p.lede", null, t("login.text")),
    troubleLine(trouble),
    field({ label: t("login.user"), name: "username", autocomplete: "username", required: true, focus: true }),
    field({ label: t("login.password"), name: "password", type: "password", autocomplete: "current-password", required: true }),
    h("button.button.primary.large", { type: "submit", disabled: isBusy }, t("login.action")));
}

function setupFirst() {
  return h("div.card.outside-card", { key: "setup" },
    h("h1", { tabindex: "-1" }, t("setup.needed.title")),
    h("p.lede", null, t("setup.needed.text")),
    h("pre.terminal", null, "https://…/#setup=…"),
    h("p.hint", null, t("setup.needed.hint")));
}
