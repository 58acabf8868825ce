// Data that no designer would draw: names without a place to break, names in other scripts, many of everything, all that can go wrong at once.

/** One word, longer than a narrow screen is wide. */
export const WORD = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung_2026_FINAL-v17";
const SENTENCE = "The collected contracts, releases and invoices of the harbour documentary, as they were agreed with everybody in the spring of 2026";
const NAMES = [WORD, SENTENCE, "x", "写真アーカイブ・二〇二六年の港の記録映画のための未編集素材一式", "أرشيف الصور والعقود لعام ٢٠٢٦ من فيلم الميناء الوثائقي", "🎞️🎞️🎞️", "-", "<b>bold</b> & \"quoted\""];
const STATES = ["up to date", "syncing", "scanning", "paused", "stopped", "held", "conflict", "waiting"];
const LONG_PATH = `${WORD}/${SENTENCE}/${WORD}/${SENTENCE}.mov`;
const TROUBLE = `the file ${WORD} could not be written, since the disk at /mnt/${WORD}/library is full: free 812 GB there, or give the library another folder`;
const DAY = 86_400_000;

/** @param {any} world what `makeWorld` has made */
export function makeUgly(world) {
  const { libraries, peers, trees, conflicts, elsewhere, proposals, users, proposed, transfers } = world;
  const first = libraries[0];
  libraries.splice(4, Infinity, ...Array.from({ length: 8 }, (_, index) => ({ ...first, guid: `more${index}`, mounts: [{ dir: `/mnt/${WORD}/${index}`, libpath: "/", sync: true }] })));
  libraries.forEach((library, index) => Object.assign(library, {
    name: NAMES[index % NAMES.length] + (index >= NAMES.length ? ` ${index}` : ""), state: STATES[index % STATES.length], percent: ["99.9", "0.0", "100.0", "3.7"][index % 4],
    files: [12_345_678, 0, 1, 4_002][index % 4], files_here: [12_345_677, 0, 1, 12][index % 4], bytes: [9.87e15, 0, 1, 4e9][index % 4], bytes_here: [9.86e15, 0, 1, 4e8][index % 4],
    activity: ["", `fetching from ${WORD} and 38 others`, TROUBLE][index % 3], conflicts: index === 0 ? conflicts.length : 0, proposals: index % 5, held_here: index % 6 === 5 ? 1 : null,
    eta_seconds: [31_536_000, null, 1][index % 3], deletions_to_do: index % 4 === 0 ? 123_456 : 0, policy_differences: index % 4 === 0 ? [`${WORD} asks for 5 votes for a deletion, this machine for 2`, "x"] : [],
  }));
  const [bob] = peers;
  for (let index = 0; index < 40; index += 1) {
    const peer = peers[index] ?? { ...bob, node: index.toString(16).padStart(2, "0").repeat(32), libraries: [] };
    peers[index] = Object.assign(peer, {
      name: index % 9 === 8 ? "" : NAMES[index % NAMES.length], address: index % 3 ? `192.168.${index}.1:8000` : `[2001:db8:85a3:1234:5678:8a2e:370:${7000 + index}]:65535`, trust: ["trusted", "untrusted", "mirror", "unknown"][index % 4],
      connected: index % 3 !== 0, trouble: index % 5 === 0 ? TROUBLE : null, user: index % 7 === 0 ? WORD : null, told_by: NAMES.slice(0, index % 8), received: 10 ** (index % 16), sent: 10 ** ((index * 7) % 16),
      agent: index % 4 ? `swarm/0.1.0 ${index % 8 ? "" : SENTENCE}` : null, last_seen_ms: index % 3 ? null : Date.now() - index * DAY,
      libraries: libraries.slice(0, index % 13).map((each) => ({ name: each.name, guid: each.guid, is_shared: index % 2 === 0, is_level: false, percent: index % 6 ? "99.9" : "", activity: index % 5 ? "" : TROUBLE, deletions_to_do: 3 })),
    });
  }
  const [folder, file] = [trees.scans[0], trees.scans[6]];
  trees.scans.unshift(
    ...NAMES.slice(0, 3).map((name) => ({ ...folder, name, path: name })),
    ...[WORD, SENTENCE, "x"].flatMap((name) => [".mp4", ".jpg", ".txt"].map((ending) => ({ ...file, name: name + ending, path: name + ending, is_disputed: ending !== ".txt", is_here: ending === ".txt", len: 9.87e15 }))),
  );
  for (const each of [conflicts[0], conflicts[1]]) each.path = LONG_PATH.replace(".mov", each.path.slice(-4));
  conflicts[0].detail = TROUBLE;
  elsewhere[0].path = LONG_PATH;
  for (const each of proposals) each.paths = each.deleted = [LONG_PATH, "x", `${WORD}.mov`, ...each.paths];
  proposals[1].no = [[bob.node, SENTENCE], [bob.node, WORD]];
  Object.assign(proposals[0], { needed: 17, changes: 1_234_567, deletions: 1_234_567 });
  users.push(...Array.from({ length: 20 }, (_, index) => ({ user: `${NAMES[index % NAMES.length]}${index}`, role: [null, "viewer", "editor", "admin", "mirror"][index % 5], libraries: Object.fromEntries(libraries.slice(0, index % 6).map((each) => [each.guid, "editor"])) })));
  proposed.push({ name: WORD, role: "editor", by: bob.node }, { name: "x", role: "admin", by: "f".repeat(64) });
  for (const job of transfers.answer("GET", "")[1].transfers) Object.assign(job, { library_name: NAMES[job.chunks % 2], path: LONG_PATH });
  return {
    errors: Array.from({ length: 60 }, (_, index) => ({ guid: "scans", file: index % 3 ? LONG_PATH : "", issue: ["hash-mismatch", "refused", "not-synced", "fetch", "stopped", "equivocation", "a-new-word"][index % 7], detail: index % 2 ? TROUBLE : "x" })),
    file_errors: [`libraries.json, line 1204, column 88: ${TROUBLE}`, "users.json: not JSON"],
    file_warnings: [`config.json, ${WORD}: unknown key`],
  };
}
