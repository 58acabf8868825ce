//! First start: the link that the daemon printed makes the first administrator.

import { post } from "../parts/api.js";
import { h } from "../parts/dom.js";
import { fieldsOf, words } from "../parts/dialog.js";
import { t } from "../parts/i18n.js";
import { field, troubleLine } from "../parts/pieces.js";
import { state } from "../parts/state.js";

/** @param {string[]} path the token of the link @returns {import("../app.js").View} */
export function open([token]) {
  let trouble = "";
  let isBusy = false;

  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const { username, password, again } = fieldsOf(/** @type {HTMLFormElement} */ (event.target));
    trouble = password === again ? "" : t("setup.differ");
    if (trouble) return state.redraw();
    isBusy = true;
    state.redraw();
    try {
      await post("setup", { token, username, password }, { quiet: true });
      dispatchEvent(new Event("swarm-login"));
    } catch (error) {
      trouble = words(error);
    }
    isBusy = false;
    state.redraw();
  };

  return {
    draw: () => h("form.card.outside-card", { key: "first", onSubmit: submit },
      h("h1", { tabindex: "-1" }, t("setup.title")),
      h("p.lede", null, t("setup.text")),
      troubleLine(trouble),
      field({ label: t("login.user"), name: "username", autocomplete: "username", required: true, focus: true }),
      field({ label: t("setup.password"), name: "password", type: "password", autocomplete: "new-password", required: true, minlength: "8", hint: t("setup.password.hint") }),
      field({ label: t("setup.again"), name: "again", type: "password", autocomplete: "new-password", required: true }),
      h("button.button.primary.large", { type: "submit", disabled: isBusy }, t("setup.action"))),
  };
}
