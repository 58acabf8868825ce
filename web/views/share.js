//! Links to one file or folder, for people without a name here: made, shown once as a text and as a QR code, listed, revoked.

import { BASE, get, inLibrary, post, remove } from "../parts/api.js";
import { h, icon } from "../parts/dom.js";
import { confirm, notice, openDialog, words } from "../parts/dialog.js";
import { dateTime, name, plainName } from "../parts/format.js";
import { t } from "../parts/i18n.js";
import { choice, copyField, toggle } from "../parts/pieces.js";

const TIMES = /** @type {const} */ ([["hour", 3600], ["day", 86_400], ["week", 604_800], ["month", 2_592_000]]);
const QR_LEN_MAX = 512;

/** @param {string} guid @param {string} path */
export function share(guid, path) {
  /** @type {{made: LinkMade | null, links: LinkLine[] | null, seconds: string, once: boolean}} */
  const now = { made: null, links: null, seconds: "86400", once: false };
  const title = plainName(path.slice(path.lastIndexOf("/") + 1));
  let isAsked = false;
  return openDialog({
    title: t("share.title", { name: title }),
    className: "share",
    content: (dialog) => {
      const load = async () => {
        try {
          const { links } = await get(inLibrary(guid, "links"));
          now.links = links.filter((/** @type {LinkLine} */ each) => each.path === path);
        } catch (error) {
          dialog.trouble = words(error);
        }
        dialog.redraw();
      };
      if (!isAsked) {
        isAsked = true;
        void load();
      }
      const make = () => dialog.run(async () => {
        now.made = await post(inLibrary(guid, "links"), { path, seconds: Number(now.seconds), once: now.once });
        await load();
        return undefined;
      });
      const revoke = async (/** @type {LinkLine} */ link) => {
        const done = await confirm({
          title: t("share.revoke.title"), text: t("share.revoke.text"), undo: t("share.revoke.undo"), action: t("share.revoke"), isDanger: true,
          work: () => remove(inLibrary(guid, `links/${encodeURIComponent(link.id)}`)),
        });
        if (!done) return;
        if (now.made?.id === link.id) now.made = null;
        notice(t("share.revoke.done"));
        await load();
      };
      return h("div.dialog-body", null, now.made ? madeLink(now.made, now.once) : [
        h("p", null, t("share.text")),
        choice({ label: t("share.time"), name: "seconds", value: now.seconds, choices: TIMES.map(([key, seconds]) => [String(seconds), t(`share.time.${key}`)]), onChange: (value) => { now.seconds = value; } }),
        toggle({ label: t("share.once"), hint: t("share.once.hint"), name: "once", checked: now.once, onChange: (checked) => { now.once = checked; dialog.redraw(); } }),
        h("div.actions", null, h("button.button.primary", { type: "button", disabled: dialog.isBusy, "data-focus": true, onClick: make }, icon("symlink"), t("share.make"))),
      ],
      now.links !== null && now.links.length > 0 && h("section", null, h("h3", null, t("share.links")),
        h("ul.line-list.plain", null, now.links.map((each) => h("li", { key: each.id },
          h("div.line-text", null, h("span", null, t("share.until", { when: dateTime(each.expires_at_ms) }), " ", each.once && h("span.tag", null, t("share.once.tag"))), h("span.hint", null, t("share.by"), " ", name(each.user))),
          h("button.button.small", { type: "button", onClick: () => revoke(each) }, t("share.revoke")))))));
    },
  });
}

/** A page that is open under a name which only the daemon's own machine has offers the addresses that others have.
 * @param {LinkMade} made @param {boolean} once */
function madeLink(made, once) {
  const here = new URL(made.url, location.origin).href;
  const isHereAlone = isLoopback(location.hostname);
  const addresses = isHereAlone && made.urls.length > 0 ? made.urls : [here];
  return [
    isHereAlone && made.urls.length === 0 && h("p.trouble.warn", null, icon("warning"), h("span", null, t("share.here_alone"))),
    isHereAlone && made.urls.length > 0 && h("p", null, t("share.elsewhere", { n: made.urls.length })),
    addresses.map((address) => copyField(t("share.link"), address)),
    qrCode(addresses[0], t("share.qr")),
    h("p.hint", null, t(once ? "share.made_once" : "share.made", { when: dateTime(made.expires_at_ms) })),
  ];
}

/** Whether a host is the machine that names it. @param {string} host */
export function isLoopback(host) {
  return host === "localhost" || host.endsWith(".localhost") || /^127\.\d+\.\d+\.\d+$/.test(host) || host === "[::1]";
}

/** A text as a picture for a phone. @param {string} text @param {string} label @returns {Child} */
export function qrCode(text, label) {
  if (new TextEncoder().encode(text).length > QR_LEN_MAX) return null;
  return h("img.qr", { key: text, src: `${BASE}/qr?text=${encodeURIComponent(text)}`, alt: label, width: "220", height: "220" });
}
