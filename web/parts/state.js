//! What the page knows: one object, which views read and `app.js` fills. Whoever changes it calls `redraw`.

/** @typedef {import("./live.js").LinkState} LinkState */
/** @typedef {{at: number, down: number, up: number}} RateSample bytes per second at a time in milliseconds */

const KEPT_MS = 5 * 60_000;
/** Rates of single peers are taken over so long. */
const PEER_RATE_MS = 5000;

export const state = {
  /** @type {Me | null} */ me: null,
  /** @type {NodeInfo | null} */ node: null,
  /** @type {Status | null} */ status: null,
  /** when `status` came, in milliseconds */ statusAt: 0,
  /** @type {LinkState} */ link: { kind: "connecting" },
  /** @type {RateSample[]} */ rates: [],
  /** What had come from and gone to each peer, by its address. @type {{at: number, totals: Map<string, {received: number, sent: number}>}[]} */ totals: [],
  /** @type {ProposedUser[]} */ proposedUsers: [],
  /** set by `app.js` */
  redraw: () => {},
  /** @type {(hash: string) => void} */ go: (hash) => {
    location.hash = hash;
  },
};

/** @param {Status} status */
export function takeStatus(status) {
  state.status = status;
  state.statusAt = Date.now();
  state.rates = state.rates.filter((sample) => sample.at > state.statusAt - KEPT_MS);
  state.rates.push({ at: state.statusAt, down: status.rate_down, up: status.rate_up });
  // One sample that is older stays, so that there is always a span.
  while (state.totals.length > 1 && state.totals[1].at <= state.statusAt - PEER_RATE_MS) state.totals.shift();
  state.totals.push({ at: state.statusAt, totals: new Map(status.peers.map((peer) => [peer.address, { received: peer.received, sent: peer.sent }])) });
  state.redraw();
}

/** Bytes per second from and to a peer, over the last seconds: the daemon tells totals, which begin anew when it restarts.
 * @param {Peer} peer @returns {{down: number, up: number}} */
export function peerRates(peer) {
  // No status comes while nothing changes: the last one that is old enough counts, so that a rate falls to nothing by itself.
  const now = Date.now();
  const known = state.totals.filter((each) => each.totals.has(peer.address));
  const first = known.filter((each) => each.at <= now - PEER_RATE_MS).at(-1) ?? known[0];
  const before = first?.totals.get(peer.address);
  const seconds = first ? (now - first.at) / 1000 : 0;
  if (!before || seconds <= 0) return { down: 0, up: 0 };
  return { down: Math.max(0, peer.received - before.received) / seconds, up: Math.max(0, peer.sent - before.sent) / seconds };
}

const STORED_RATES = "swarm.rates";

/** A reload keeps the graph of the last minutes. */
export function storeRates() {
  sessionStorage.setItem(STORED_RATES, JSON.stringify(state.rates));
}

export function restoreRates() {
  try {
    state.rates = JSON.parse(sessionStorage.getItem(STORED_RATES) ?? "[]");
  } catch {
    state.rates = [];
  }
}

/** What a role allows in a library where it is another than on the node. @type {Record<Role, Permission[]>} */
const IN_LIBRARY = {
  mirror: ["files.read"],
  viewer: ["files.read", "library.read"],
  editor: ["files.read", "library.read", "library.write", "conflicts.resolve", "approvals.vote", "undo"],
  admin: ["files.read", "library.read", "library.write", "conflicts.resolve", "approvals.vote", "undo", "library.manage"],
};

/** Whether I may do it: in that library, or without one on this node or in any of its libraries. @param {Permission} permission @param {string} [guid] */
export function can(permission, guid) {
  const { me } = state;
  if (!me) return false;
  const special = guid === undefined ? undefined : me.libraries[guid] ?? me.libraries[library(guid)?.name ?? ""];
  if (special) return IN_LIBRARY[special].includes(permission);
  return me.can.includes(permission) || (guid === undefined && Object.values(me.libraries).some((role) => IN_LIBRARY[role].includes(permission)));
}

/** @param {string} guid @returns {Library | undefined} */
export function library(guid) {
  return state.status?.libraries.find((each) => each.guid === guid);
}

/** How a node is called here, or the first digits of its key. @param {string} node @returns {{label: string, isSelf: boolean, isKnown: boolean}} */
export function whoIs(node) {
  // Guests of single libraries see no more of this node than its key.
  if (node === (state.node?.node ?? state.status?.node)) return { label: state.node?.name ?? node.slice(0, 8), isSelf: true, isKnown: true };
  const peer = state.status?.peers.find((each) => each.node === node);
  if (peer?.name) return { label: peer.name, isSelf: false, isKnown: true };
  return { label: /^[0-9a-f]{64}$/.test(node) ? node.slice(0, 8) : node, isSelf: false, isKnown: false };
}

/** Link to a file, beside what else its folder has. @param {string} guid @param {string} path */
export function fileHash(guid, path) {
  return filesHash(guid, path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "", path);
}

/** Link to a place of a library. @param {string} guid @param {string} place @param {string} [open] path of the file to show */
export function filesHash(guid, place = "", open = "") {
  const path = place.split("/").filter(Boolean).map(encodeURIComponent).join("/");
  return `#/files/${encodeURIComponent(guid)}${path ? `/${path}` : ""}${open ? `?open=${encodeURIComponent(open.replace(/^\//, ""))}` : ""}`;
}
