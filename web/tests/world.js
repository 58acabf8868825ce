// What the mock daemon knows: three libraries, peers, conflicts, proposals, users, and names chosen by strangers.

import { makeTransfers } from "./transfers.js";
import { WORD, makeUgly } from "./ugly.js";

const DAY = 86_400_000;
const hex = (seed) => Array.from({ length: 64 }, (_, index) => ((seed * 31 + index * 17 + seed * index * 7) % 16).toString(16)).join("");
const SELF = hex(1);
const BOB = hex(2);
const CARLA = hex(3);
const DATA = hex(4);
const EVE = hex(5);
export const HOSTILE = "<img src=x onerror=alert(1)>.txt";
export const BIDI = "invoice\u202Egpj.exe";

const file = (path, len, days, author = SELF, extra = {}) => ({
  name: path.split("/").pop(), path, kind: "file", len, modified_ns: Math.round((Date.now() - days * DAY) * 1e6), blake3: hex(path.length + len), sha256: hex(len % 97),
  author, is_disputed: false, is_here: true, is_waiting: false, ...extra,
});
const folder = (path, days, author = SELF) => ({ ...file(path, 0, days, author), kind: "folder", blake3: null, sha256: null });

const SCANS = [
  folder("2025", 90), folder("2026", 1, BOB), folder("Interviews", 12, CARLA), folder("Raw material", 33), folder("Release candidates", 4, BOB),
  file("Budget 2026.csv", 18_412, 0.1, BOB, { is_disputed: true }), file("cover-draft.jpg", 2_481_003, 0.3, CARLA, { is_disputed: true }), file("harbour-at-dawn.jpg", 8_120_220, 2, SELF),
  file("harbour-at-dusk.jpg", 7_650_118, 2, SELF), file("interview-mueller.wav", 184_220_100, 6, CARLA), file("notes.md", 4_211, 0.02, BOB), file("Rough cut 3.mp4", 4_812_220_100, 1, BOB, { is_here: false }),
  file("schedule.txt", 1_204, 0.4, SELF, { is_disputed: true }), file("teaser-final-v2.mp4", 912_220_100, 3, BOB), file(HOSTILE, 120, 5, EVE), file(BIDI, 88_120, 5, EVE),
  file("latest", 24, 8, SELF, { kind: "symlink" }),
];
const BELOW = ["2025", "2026", "Interviews", "Raw material", "Release candidates"].flatMap((place, at) =>
  Array.from({ length: 12 + at * 7 }, (_, index) => file(`${place}/clip-${String(index + 1).padStart(3, "0")}.${["mp4", "jpg", "wav", "txt"][index % 4]}`, 10_000 * (index + 3) ** 3, 10 + index, [SELF, BOB, CARLA][index % 3], { is_here: index % 9 !== 4 })));
const MANY = Array.from({ length: 100_000 }, (_, index) => file(`frame-${String(index).padStart(6, "0")}.exr`, 8_000_000 + ((index * 7919) % 4_000_000), 20 + index / 9000, [SELF, DATA][index % 2], { is_here: index < 74_000 }));

const CONTRACTS = [file("Lease Hamburg 2027.pdf", 214_220, 3, BOB), file("Music rights.pdf", 88_020, 1, CARLA), file("Release form, long name of a long contract with the harbour authority.docx", 41_400, 0.2, SELF)];

const OLD_TEXT = ["# Shooting schedule", "", "Mon  harbour, first light", "Tue  interview Müller", "Wed  spare", "", "Crew: Anna, Bob, Carla", "", "Bring:", "- two cameras", "- batteries", "- release forms", "", "Contact: +49 30 1234", ""];
const LOCAL_TEXT = OLD_TEXT.map((line) => line.replace("Wed  spare", "Wed  museum, from 09:00").replace("- batteries", "- batteries, charged"));
const REMOTE_TEXT = [...OLD_TEXT.map((line) => line.replace("Wed  spare", "Wed  travel to Kiel").replace("Tue  interview Müller", "Tue  interview Müller (moved to 14:00)")), "Parking: behind pier 4", ""];

/** @param {{empty?: boolean, one?: boolean, ugly?: boolean}} [options] */
export function makeWorld(options = {}) {
  const isQuiet = options.empty || options.one;
  const started = Date.now() - (3 * 3600 + 12 * 60) * 1000;
  let tick = 0;
  const trees = { scans: [...SCANS, ...BELOW], frames: MANY, music: [], contracts: CONTRACTS, ...Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`more${index}`, []])) };
  const peers = options.empty ? [] : makePeers();
  let libraries = options.empty ? [] : makeLibraries();
  let conflicts = makeConflicts();
  let elsewhere = makeElsewhere();
  const proposals = makeProposals();
  let users = [{ user: "anna", role: "admin", libraries: {} }, { user: "bob", role: "editor", libraries: {} }, { user: "guest", role: null, libraries: { scans: "viewer" } }];
  let proposed = options.empty ? [] : [{ name: "dora", role: "editor", by: BOB }];
  let config = {
    port: 8000, listen: null, username: "anna-laptop", defaultSyncRoot: "/home/anna/swarm/libraries", lan: true, dht: false, coordinators: [`${hex(9).slice(0, 64)}@coordinator.example:4433`],
    zone: "studio", limits: { up: "20MB/s", down: "50MB/s", schedule: [{ days: ["mon", "tue", "wed", "thu", "fri"], from: "08:00", to: "18:00", up: "2MB/s", down: "0" }] }, minFree: "5GB", metrics: "127.0.0.1:9433", allowPlainHttp: false,
  };
  let rates = [0, 0];
  const transfers = makeTransfers({ SELF, BOB, DATA, EVE, hex });
  /** What was changed of how libraries are kept. */
  const kept = {};
  /** Whether it listens on loopback alone. */
  let isAlone = false;
  if (options.one) {
    libraries = [{ ...libraries[3], state: "up to date", files: 1, files_here: 1, waiting: 0, proposals: 0, activity: "" }];
    trees.contracts = [CONTRACTS[0]];
    peers.length = 1;
    conflicts = [];
    elsewhere = [];
    proposals.length = 0;
    proposed = [];
    users.length = 1;
  }
  const wrong = options.ugly ? makeUgly({ libraries, peers, trees, conflicts, elsewhere, proposals, users, proposed, transfers }) : {};

  function live() {
    tick += 1;
    const library = libraries[1];
    if (!library || options.ugly) return;
    const wave = (n) => 0.5 + 0.5 * Math.sin(tick / n) * Math.sin(tick / (n * 2.7) + n);
    rates = [41e6 * wave(9) + 9e6 * Math.abs(Math.sin(tick * 1.7)), 12e6 * wave(13) + 2e6 * Math.abs(Math.sin(tick * 2.3))];
    if (library.state === "syncing") {
      library.files_here = Math.min(library.files, library.files_here + 3);
      library.bytes_here = Math.round((library.bytes * library.files_here) / library.files);
      library.percent = (Math.floor((library.files_here / library.files) * 1000) / 10).toFixed(1);
      library.eta_seconds = Math.round((library.files - library.files_here) / 5);
    }
    peers[0].received += Math.round(rates[0] / 3);
    peers[2].received += Math.round(rates[0] / 4);
    peers[0].sent += Math.round(rates[1] / 3);
  }

  function status() {
    const seconds = Math.round((Date.now() - started) / 1000);
    return {
      node: SELF, address: `${SELF}@192.168.1.20:8000`, uptime: "3h 12m", uptime_seconds: seconds,
      peerSync: Object.fromEntries(peers.map((peer) => [peer.address, Object.fromEntries(peer.libraries.map((each) => [each.name, `${each.percent}%`]))])),
      errors: isQuiet ? [] : [
        { guid: "frames", file: "frame-041277.exr", issue: "hash-mismatch", detail: "the disk gave other bytes than its author signed, twice; it is fetched again from bob", told: { code: "wrong-bytes-of", params: { node: "bob", source: "carla" }, because: null } },
        { guid: "scans", file: HOSTILE, issue: "refused", detail: "the name cannot be made on this disk", told: { code: "of-a-newer-daemon", params: {}, because: null } },
        { guid: "music", file: "old/song.mp3", issue: "conflict", detail: "it was changed here and at https://music.example: the version here stays", told: { code: "origin-both-changed", params: { url: "https://music.example" }, because: null } },
      ],
      metrics: null, libraries, peers, rate_down: Math.round(rates[0]), rate_up: Math.round(rates[1]), limit_up: 20_000_000, limit_down: 50_000_000,
      file_errors: [], file_warnings: isQuiet ? [] : ["users.json, line 14, roles: unknown key"], ...wrong,
    };
  }

  /** The last filtered listing: a scroll asks for the next page of the same one. */
  let filtered = { key: "", entries: [] };

  function tree(guid, query) {
    const place = query.get("place") ?? "";
    const search = (query.get("search") ?? "").toLowerCase();
    const kind = query.get("kind") ?? "";
    const prefix = place ? `${place}/` : "";
    const kinds = { image: /\.(jpg|png|webp)$/, audio: /\.(wav|mp3)$/, video: /\.mp4$/, text: /\.(txt|md|csv)$/ };
    const key = [guid, place, search, kind, trees[guid].length].join();
    if (filtered.key !== key || guid !== "frames") {
      let entries = trees[guid].filter((entry) => entry.path.startsWith(prefix) && (search || !entry.path.slice(prefix.length).includes("/")));
      if (search) entries = entries.filter((entry) => entry.name.toLowerCase().includes(search));
      if (kind) entries = entries.filter((entry) => kinds[kind].test(entry.name));
      filtered = { key, entries };
    }
    const { entries } = filtered;
    const start = Number(query.get("start") ?? 0);
    const limit = Number(query.get("limit") ?? 1000);
    return { entries: entries.slice(start, start + limit), next: start + limit < entries.length ? String(start + limit) : null, total: guid === "frames" || start > 0 ? null : entries.length };
  }

  function log(guid) {
    const make = (id, author, hours, paths, records = paths.length, counts = true) => ({ id: hex(id), author, seq: id, made_at_ms: Date.now() - hours * 3600_000, seen_at_ms: Date.now() - hours * 3600_000, records, counts, paths });
    if (guid === "scans") {
      return [
        make(41, BOB, 0.4, ["+ notes.md", "+ schedule.txt", "- old/plan.txt"]), make(40, CARLA, 1.2, ["+ cover-draft.jpg"]), make(39, SELF, 3, ["+ harbour-at-dawn.jpg", "+ harbour-at-dusk.jpg", "+ Raw material/a.txt", "+ Raw material/b.txt", "+ Raw material/c.txt"], 34),
        make(38, EVE, 26, [`+ ${HOSTILE}`, `+ ${BIDI}`], 2, false), make(37, BOB, 29, ["+ Rough cut 3.mp4", "- Rough cut 2.mp4"]), make(36, CARLA, 52, ["+ Interviews/clip-001.mp4"]),
      ];
    }
    if (guid === "frames") return [make(12, DATA, 2, ["+ frame-099998.exr", "+ frame-099999.exr"], 4000), make(11, SELF, 28, ["- frame-test.exr"])];
    return [];
  }

  /** @param {string} method @param {string[]} path @param {URLSearchParams} query @param {any} body */
  /** @type {any[]} */
  let links = [];

  function answer(method, path, query, body) {
    const [area, id, what] = path;
    const library = libraries.find((each) => each.guid === id);
    if (area === "node") return [200, { node: SELF, name: options.ugly ? WORD : "anna-laptop", version: "0.1.0", address: `${SELF}@192.168.1.20:8000`, folder: "/home/anna/swarm", fingerprint: "7C:0E:51:9A:D2:33:4B:F0:81:6E:A9:1D:57:20:C4:BB:E8:3F:06:94:7A:D1:65:28:FC:12:9B:40:E7:5D:83:AF", uptime_seconds: 11_520 }];
    if (area === "status") return [200, status()];
    if (area === "fetches") return transfers.fetches(query, body);
    if (area === "transfers") return isQuiet ? [200, { transfers: [], further: 0 }] : transfers.answer(method, id, body);
    if (area === "libraries" && method === "POST" && !id) {
      libraries = [...libraries, { ...blank(body.name, body.name.toLowerCase()), mounts: body.dir ? [{ dir: body.dir, libpath: "/", sync: true }] : [] }];
      trees[body.name.toLowerCase()] = [];
      return [201, { guid: body.name.toLowerCase() }];
    }
    if (area === "libraries" && !library) return fail(404, "no such library");
    if (area === "libraries" && !what && method === "GET") return [200, { name: library.name, guid: id, subscribed: id === "music", paused: library.state === "paused", priority: 0, policy: id === "music" ? null : { delete: 2, moves: 1, bulk: 100, bulk_approvals: 2, expiry_days: 14, refuse_by_one: false }, include: [], exclude: [], retention: { days: null, count: null, bytes: null }, public: "no", sealed: id === "contracts", file: `/home/anna/swarm/${id === "music" ? "subscriptions" : "libraries"}.json`, ...kept[id] }];
    if (area === "libraries" && !what && method === "PATCH") {
      const { paused, retention, policy, ...own } = body;
      const before = kept[id] ?? {};
      kept[id] = { ...before, ...own, ...(policy ? { policy } : {}), retention: { days: null, count: null, bytes: null, ...before.retention, ...retention } };
      if ("paused" in body) library.state = body.paused ? "paused" : "up to date";
      return [204, null];
    }
    if (area === "libraries" && !what && method === "DELETE") {
      libraries = libraries.filter((each) => each !== library);
      return [204, null];
    }
    if (what === "tree") return [200, tree(id, query)];
    if (what === "log") return [200, { commits: options.one ? [] : log(id) }];
    if (what === "explain") return [200, explain(id, query.get("path"))];
    if (what === "versions") {
      return [200, { versions: query.get("path").endsWith(".exr") ? [] : [
        { run: "2026-11-28T10-12", number: 3, path: query.get("path"), kind: "file", len: 4021, modified_ns: (Date.now() - 2 * DAY) * 1e6 },
        { run: "2026-11-21T08-40", number: 1, path: query.get("path"), kind: "file", len: 3120, modified_ns: (Date.now() - 9 * DAY) * 1e6 }] }];
    }
    if (what === "conflicts") return [200, { conflicts: id === "scans" ? conflicts : [], elsewhere: id === "frames" ? elsewhere : [] }];
    if (what === "texts") return [200, { local: LOCAL_TEXT.join("\n"), remote: REMOTE_TEXT.join("\n"), base: OLD_TEXT.join("\n") }];
    if (what === "resolve" && id === "frames") {
      elsewhere = elsewhere.filter((each) => each.path !== body.path);
      library.conflicts_elsewhere = elsewhere.length;
      return [200, { performed: 1 }];
    }
    if (what === "resolve") {
      conflicts = body.path === null ? [] : conflicts.filter((each) => each.path !== body.path);
      library.conflicts = conflicts.length;
      return [200, { performed: 1 }];
    }
    if (what === "authors") return [200, { authors: [BOB, CARLA, SELF].map((node, index) => ({ node, commits: 14 - index * 4, last_seen_at_ms: Date.now() - (index + 1) * 3600_000, carried: 0 })) }];
    if (["restore", "undo"].includes(what) && area === "libraries") return [200, { run: "2026-11-30T00-10", performed: 4, refused: what === "undo" ? [["notes.md", "it has changed since"]] : [], unknown: [], restored: null, published: 1 }];
    if (what === "approve-here") {
      library.held_here = null;
      library.state = "up to date";
      return [204, null];
    }
    if (what === "sync") return [202, {}];
    if (what === "verify") return [200, { files: 10, len: 1, bad: [], changed: 0, unreadable: [], is_cut_off: false }];
    if (what === "locks") {
      // As the daemon: of this node's own locks alone.
      library.locks = library.locks.filter((each) => each.holder !== SELF || each.path !== body.path);
      if (body.seconds > 0) library.locks.push({ path: body.path, holder: SELF, seconds_left: body.seconds, why: body.why ?? "" });
      return [204, null];
    }
    if (what === "links" && method === "POST") {
      const link = { id: `link${links.length}`, path: body.path, user: "anna", once: Boolean(body.once), made_at_ms: Date.now(), expires_at_ms: Date.now() + body.seconds * 1000 };
      links = [...links, link];
      const url = `/link/qL3xgD5nPzXw0bYcTq8mV2s7Kf1hRj9uEo4iAa6tGdM/${encodeURIComponent(body.path.split("/").pop())}`;
      return [201, { id: link.id, url, urls: isAlone ? [] : [`https://192.168.1.20:8000${url}`, `https://[fd00::20]:8000${url}`], expires_at_ms: link.expires_at_ms }];
    }
    if (what === "links" && method === "DELETE") {
      links = links.filter((each) => each.id !== path[3]);
      return [204, null];
    }
    if (what === "links") return [200, { links }];
    if (area === "authors") return [200, { libraries: [{ library: "Scans", back: 3, gone: 1, wanted_len: 4_800_000, refused: [], paths: [["notes.md", "file", "file"], ["schedule.txt", "file", "file"], ["old/plan.txt", "nothing", "file"], ["Rough cut 3.mp4", "file", "nothing"]].map(([path, from, to]) => ({ path, from, to, is_here: true })) }] }];
    if (area === "approvals" && method === "GET") return [200, { proposals: options.empty ? [] : proposals }];
    if (area === "approvals") return vote(proposals, libraries, id, body);
    if (area === "lan") return [200, options.empty ? { is_looking: false, nodes: [] } : makeLan(peers)];
    if (area === "peers") return peersAnswer(method, id, body, peers);
    if (area === "users" && id === "proposed") {
      if (method === "POST") proposed = proposed.filter((each) => each.name !== what);
      return method === "POST" ? [204, null] : [200, { users: proposed }];
    }
    if (area === "users") {
      if (method === "POST") users = [...users, { user: body.user, role: body.role, libraries: body.libraries }];
      if (method === "PATCH") Object.assign(users.find((each) => each.user === id), { role: body.role || null, libraries: body.libraries });
      if (method === "DELETE") users = users.filter((each) => each.user !== id);
      return method === "GET" ? [200, { users }] : [method === "POST" ? 201 : 204, null];
    }
    if (area === "settings" && method === "PATCH") {
      const next = merged(config, body);
      if (next.tls && !(next.tls.cert && next.tls.key)) return fail(400, "tls: expected the keys cert and key");
      config = next;
      return [204, null];
    }
    if (area === "settings") return [200, { config, file: "/home/anna/swarm/config.json", needs_restart: ["port", "listen", "metrics", "tls"] }];
    if (area === "subscriptions") return [201, { guid: body.library }];
    return fail(404, `no such endpoint: ${path.join("/")}`);
  }

  function explain(guid, path) {
    const here = trees[guid].find((entry) => entry.path === path) ?? null;
    const versions = here ? [{ author: here.author, seq: 41, kind: here.kind, len: here.len, blake3: here.blake3, wins: true }] : [];
    if (here?.is_disputed) versions.push({ author: CARLA, seq: 17, kind: "file", len: here.len - 120, blake3: hex(7), wins: false });
    return { path, here: here && { ...here, name: undefined }, versions, held_by: [], place: here?.is_here ? `/home/anna/team/${path}` : null, is_left_out: false, is_waiting: here ? !here.is_here : false, own_held: null, replaced_by: null, conflict: here?.is_disputed ? "here" : null, supply: here?.is_here ? null : { state: "nobody", seconds: 5400 } };
  }

  return {
    live, status, answer,
    listenAlone: (is) => { isAlone = is; },
    hashOf: (path, side) => conflicts.find((each) => each.path === path)?.[side]?.hash ?? "",
    /** The ETag of a file, or null. */
    tagOf: (guid, path) => {
      const found = (trees[guid] ?? []).find((entry) => entry.path === path);
      return found?.blake3 ? `"${found.blake3}"` : null;
    },
    put: (guid, path, len) => {
      trees[guid] = [...trees[guid].filter((entry) => entry.path !== path), { ...file(path, len, 0), blake3: hex(len + trees[guid].length + libraries.find((each) => each.guid === guid).commits) }].sort((a, b) => (a.path < b.path ? -1 : 1));
      libraries.find((each) => each.guid === guid).commits += 1;
    },
    text: (_guid, path) => (path.endsWith(".md") ? "# Notes\n\nWhat we shot on Monday:\n\n- harbour, first light (cards 1 and 2)\n- the crane, twice\n- Müller at the pier\n\nOpen questions:\n\n1. Who has the release forms?\n2. Is the drone allowed at pier 4?\n\nEdited by Bob\u202E on the train.\n" : LOCAL_TEXT.join("\n")),
  };
}

/** As a JSON Merge Patch (RFC 7396). */
function merged(target, patch) {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
  const result = target !== null && typeof target === "object" && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

function fail(status, detail) {
  throw Object.assign(new Error(detail), { status });
}

function blank(name, guid) {
  return { name, guid, state: "up to date", percent: "100.0", files: 0, files_here: 0, bytes: 0, bytes_here: 0, deletions_to_do: 0, conflicts: 0, conflicts_elsewhere: 0, waiting: 0, proposals: 0, held_here: null, activity: "", activity_told: null, mounts: [], commits: 0, eta_seconds: null, policy_differences: [], policy: { delete: 2, move: 1, bulk: 100, bulkApprovals: 2, expiryDays: 14, refuseByOne: false, isTakenOver: false }, locks: [], limit_up: null, limit_down: null, scrub_days: 0, untrusted_commits: {} };
}

function makeLibraries() {
  return [
    { ...blank("Scans", "scans"), state: "conflict", percent: "99.8", files: 1284, files_here: 1281, bytes: 412_880_220_100, bytes_here: 411_990_220_100, conflicts: 3, proposals: 2, activity: "waits for 3 decisions", commits: 41,
      mounts: [{ dir: "/home/anna/scans", libpath: "/scans", sync: false }, { dir: "/home/anna/team", libpath: "/", sync: true }], locks: [{ path: "notes.md", holder: BOB, seconds_left: 5400, why: "new dates" }] },
    { ...blank("Film frames", "frames"), state: "syncing", percent: "74.0", files: 100_000, files_here: 74_020, bytes: 1_012_000_000_000, bytes_here: 749_000_000_000, activity: "fetching from bob and datacentre", commits: 12, conflicts_elsewhere: 2, eta_seconds: 5400, mounts: [{ dir: "/mnt/frames", libpath: "/", sync: true }] },
    { ...blank("Music", "music"), state: "held", percent: "100.0", files: 212, files_here: 212, bytes: 9_100_220_100, bytes_here: 9_100_220_100, held_here: 148, activity: "148 deletions on this disk are held back", commits: 7, mounts: [{ dir: "/media/usb/music", libpath: "/", sync: true }] },
    { ...blank("Contracts", "contracts"), state: "waiting", files: 3, files_here: 3, bytes: 343_640, bytes_here: 343_640, waiting: 2, proposals: 1, activity: "2 changes of this machine wait for votes", commits: 5, mounts: [{ dir: "/home/anna/contracts", libpath: "/", sync: true }] },
  ];
}

/** Disputes in which this machine has no version of its own. */
function makeElsewhere() {
  const version = (author, seq, len, wins, kind = "file") => ({ author, seq, kind, len, blake3: kind === "deleted" ? null : hex(len % 89), wins });
  return [
    { path: "shots/frame-000417-colour-corrected-second-attempt.exr", versions: [version(DATA, 12, 8_412_000, true), version(CARLA, 9, 8_398_120, false)] },
    { path: "frame-test.exr", versions: [version(BOB, 7, 0, true, "deleted"), version(CARLA, 11, 8_104_000, false), version(EVE, 3, 120, false)] },
  ];
}

function makePeers() {
  const link = (round_trip_us, agent) => ({ round_trip_us, last_seen_ms: null, agent, protocol: "1.0" });
  const share = (name, guid, percent, activity = "", extra = {}) => ({ name, guid, is_shared: true, is_level: percent === "100.0", percent, activity, deletions_to_do: 0, ...extra });
  return [
    { address: "192.168.1.31:8000", node: BOB, name: "bob", trust: "trusted", connected: true, trouble: null, trouble_told: null, user: null, told_by: [], received: 81_220_100_200, sent: 12_220_100_200, ...link(820, "swarm/0.1.0"),
      libraries: [share("Scans", "scans", "100.0"), share("Film frames", "frames", "91.4", "sends to this machine"), share("Music", "music", "100.0"), share("Contracts", "contracts", "100.0")] },
    { address: "carla.example.org:8000", node: CARLA, name: "carla-studio", trust: "trusted", connected: false, trouble: "no answer since 09:12: carla.example.org refused the connection", trouble_told: { code: "peer-lookup", params: { address: "carla.example.org", why: "no such host" }, because: null }, user: null, told_by: ["bob"], received: 4_220_100_200, sent: 9_720_100_200, ...away(Date.now() - 26 * 3600_000),
      libraries: [] },
    { address: "10.8.0.4:8000", node: DATA, name: "datacentre", trust: "mirror", connected: true, trouble: null, trouble_told: null, user: null, told_by: [], received: 512_220_100_200, sent: 301_220_100, ...link(18_400, "swarm/0.1.0"), libraries: [share("Film frames", "frames", "100.0")] },
    { address: "203.0.113.9:8000", node: EVE, name: "eve\u202E<b>x</b>", trust: "untrusted", connected: true, trouble: null, trouble_told: null, user: "guest", told_by: [], received: 220_100, sent: 1_301_220_100, ...link(142_000, "swarm\u202E/9.9 <i>"), libraries: [share("Scans", "scans", "12.5", "", { is_shared: true }), share("Archive", "archive", "100.0")] },
    { address: "198.51.100.7:8000", node: hex(6), name: "", trust: "unknown", connected: false, trouble: null, trouble_told: null, user: null, told_by: ["bob", "carla-studio"], received: 0, sent: 0, ...away(null), libraries: [] },
  ];
}

function away(last_seen_ms) {
  return { round_trip_us: null, last_seen_ms, agent: null, protocol: null };
}

/** Machines on the local network: one is a peer, two are not. */
function makeLan(peers) {
  const node = (key, ...addresses) => ({ node: key, addresses, is_peer: peers.some((peer) => peer.node === key) });
  return { is_looking: true, nodes: [node(BOB, "192.168.1.31:8000"), node(hex(11), "192.168.1.44:8000", "[fd00::44]:8000"), node(hex(12), "192.168.1.57:43210")] };
}

function makeConflicts() {
  const side = (path, len, hours, seed) => ({ path, kind: "file", hash: hex(seed), len, modified_ns: (Date.now() - hours * 3600_000) * 1e6 });
  return [
    { id: "c1", path: "schedule.txt", kind: "simultaneous_edit", detail: null, local: side("schedule.txt", 1204, 9, 20), remote: side("schedule.txt", 1288, 2, 21), first_seen_ms: Date.now() - 2 * 3600_000, decided: null },
    { id: "c2", path: "cover-draft.jpg", kind: "simultaneous_edit", detail: null, local: side("cover-draft.jpg", 2_481_003, 7, 22), remote: side("cover-draft.jpg", 2_910_440, 8, 23), first_seen_ms: Date.now() - 5 * 3600_000, decided: null },
    { id: "c3", path: "Budget 2026.csv", kind: "deletion", detail: null, local: side("Budget 2026.csv", 18_412, 3, 24), remote: null, first_seen_ms: Date.now() - DAY, decided: null },
  ];
}

function makeProposals() {
  const make = (id, extra) => ({ guid: "scans", library: "Scans", id: hex(id), author: BOB, needed: 3, yes: [BOB], no: [], changes: 1, deletions: 1, paths: [], deleted: extra.paths ?? [], seen_at_ms: Date.now() - id * 600_000, expires_at_ms: null, ended: null, ...extra });
  return [
    // More than an answer names: totals are of all of them.
    make(51, { changes: 214, deletions: 214, yes: [BOB, CARLA], paths: Array.from({ length: 100 }, (_, index) => `Raw material/take-${String(index + 1).padStart(3, "0")}.mov`) }),
    make(52, { author: CARLA, yes: [CARLA], needed: 2, changes: 3, deletions: 1, paths: ["Interviews/draft.txt", "Interviews/final.txt", HOSTILE], deleted: ["Interviews/draft.txt"], no: [[EVE, "the draft is still used"]] }),
    make(55, { guid: "contracts", library: "Contracts", author: SELF, yes: [SELF], needed: 2, changes: 2, deletions: 2, paths: ["Lease Hamburg 2024.pdf", "Lease Hamburg 2025.pdf"] }),
    make(53, { ended: "approved", yes: [BOB, SELF, CARLA], changes: 12, deletions: 12, paths: ["old/a.txt", "old/b.txt"], seen_at_ms: Date.now() - 3 * DAY }),
    make(54, { ended: "refused", no: [[SELF, "we still need the drafts"]], changes: 2, deletions: 2, paths: ["drafts/1.txt", "drafts/2.txt"], seen_at_ms: Date.now() - 6 * DAY }),
    make(56, { ended: "superseded", changes: 1, deletions: 1, paths: ["old/c.txt"], seen_at_ms: Date.now() - 7 * DAY }),
    make(57, { ended: "a word of a newer daemon", changes: 1, deletions: 1, paths: ["old/d.txt"], seen_at_ms: Date.now() - 8 * DAY }),
  ];
}

function vote(proposals, libraries, id, body) {
  const proposal = proposals.find((each) => each.id === id);
  if (!proposal) return fail(404, "no such proposal");
  if (body.verdict === "yes") proposal.yes.push(SELF);
  if (body.verdict === "no") proposal.no.push([SELF, body.why ?? ""]);
  if (proposal.yes.length >= proposal.needed) proposal.ended = "approved";
  if (body.verdict === "withdraw") proposal.ended = "withdrawn";
  for (const each of libraries) each.proposals = proposals.filter(({ guid, ended }) => guid === each.guid && ended === null).length;
  return [204, null];
}

function peersAnswer(method, id, body, peers) {
  const at = peers.findIndex((peer) => peer.node === id || peer.address === id);
  if (method === "GET") return [200, { peers }];
  if (method === "POST") {
    const [node, address] = body.address.includes("@") ? body.address.split("@") : [null, body.address];
    const known = peers.find((peer) => peer.address === address);
    if (known) Object.assign(known, { trust: body.trusted ? "trusted" : "untrusted", name: body.name ?? "" });
    else peers.push({ address, node, name: body.name ?? "", trust: body.trusted ? "trusted" : "untrusted", connected: false, trouble: null, trouble_told: null, user: body.username ?? null, told_by: [], received: 0, sent: 0, ...away(null), libraries: [] });
    return [201, {}];
  }
  if (at < 0) return fail(404, "no such peer");
  if (method === "DELETE") peers.splice(at, 1);
  else peers[at].trust = body.trusted ? "trusted" : "untrusted";
  return [204, null];
}
