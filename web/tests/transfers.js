// What the mock daemon fetches: long files in every state, and one with the map of its chunks.

const cells = (of) => Array.from({ length: 256 }, (_, index) => of(index));

/** @param {{SELF: string, BOB: string, DATA: string, EVE: string, hex: (seed: number) => string}} nodes */
export function makeTransfers({ BOB, DATA, EVE, hex }) {
  const job = (seed, path, extra) => ({
    id: `frames.f${hex(seed)}`, library: "frames", library_name: "Film frames", kind: "library", path, files: 1, renamed: 0, bytes: 8_600_000_000, bytes_here: 0, bytes_coming: 0, chunks: 513, chunks_here: 0, state: "fetching",
    priority: "normal", rate: 0, eta_seconds: null, why: null, peers: 0, ...extra,
  });
  const jobs = [
    job(61, "masters/Harbour at dawn, long take.mov", { bytes_here: 5_300_000_000, bytes_coming: 48_000_000, chunks_here: 316, priority: "high", rate: 41_200_000, eta_seconds: 79, why: { reason: "limited", bytes_per_sec: 50_000_000, of_library: false }, peers: 3 }),
    job(62, "masters/interview\u202Egpj.mov", { bytes_here: 310_000_000, chunks: 260, chunks_here: 19, rate: 620_000, eta_seconds: 13_370, why: { reason: "one_peer" }, peers: 1 }),
    job(63, "masters/Rough cut with a name that is much longer than a narrow screen is wide, version 17.mov", { state: "queued", chunks: 0, why: { reason: "queued", ahead: 3 } }),
    job(64, "sound/atmo.wav", { id: `frames.c${hex(64)}`, files: 412, bytes: 912_000_000, bytes_here: 88_000_000, chunks: 640, chunks_here: 61, why: { reason: "nobody", seconds: 640 } }),
    job(65, "masters/Night.mov", { state: "failing", chunks: 0, why: { reason: "failing", detail: "no space is left on the disk for 8.6 GB that are to come: make space" } }),
    job(66, "masters/Pier.mov", { state: "paused", bytes_here: 1_200_000_000, chunks_here: 71, why: { reason: "paused" }, peers: 2 }),
    job(68, "new/Trailer \u202Egpj.mov", { id: `frames.t${hex(68)}`, kind: "ticket", bytes_here: 2_100_000_000, chunks_here: 125, rate: 9_000_000, eta_seconds: 722, peers: 1, why: { reason: "one_peer" } }),
    job(69, "new/Poster (2).tif", { id: `frames.t${hex(69)}`, kind: "ticket", state: "done", bytes: 88_000_000, bytes_here: 88_000_000, renamed: 1, chunks: 0 }),
    job(70, "", { id: `frames.t${hex(70)}`, kind: "ticket", files: 0, bytes: 0, chunks: 0, why: { reason: "refused", node: EVE } }),
    job(67, "masters/Outtakes.mov", { state: "cancelled", priority: "low", chunks: 0, why: { reason: "cancelled" } }),
  ];

  function detail(job) {
    const isKnown = job.chunks > 0;
    const share = Math.round((job.bytes_here / job.bytes) * 256);
    const source = (node, rate, has, asked, extra = {}) => ({ node, rate, bytes_asked: 16_000_000, chunks: Math.round((has.reduce((sum, each) => sum + each, 0) / 25_600) * job.chunks), is_choked: false, is_stalled: false, has, asked, ...extra });
    const sources = [
      source(BOB, Math.round(job.rate * 0.7), cells(() => 100), cells((index) => (index > share && index < share + 5 ? 100 : 0))),
      source(DATA, Math.round(job.rate * 0.3), cells((index) => (index % 64 < 40 ? 100 : 0)), cells((index) => (index > 190 && index < 193 ? 50 : 0))),
      source(EVE, 0, cells((index) => (index < 90 ? 60 : 0)), cells(() => 0), { bytes_asked: 0, is_choked: true }),
    ];
    return { ...job, here: isKnown ? cells((index) => (index < share ? 100 : index === share ? 50 : index % 37 === 5 ? 30 : 0)) : [], sources: isKnown ? sources.slice(0, job.peers) : [], further_sources: 0 };
  }

  /** What is given to be fetched: a text with a ticket, or a manifest. @param {URLSearchParams} query @param {string} given */
  const fetches = (query, given) => {
    const isManifest = given.startsWith("SWRM");
    if (!isManifest && !given.includes("swarm1")) throw Object.assign(new Error("this is neither a ticket nor a manifest: paste the whole ticket, which starts with `swarm1`, or give a .swarm file"), { status: 400 });
    const listed = [{ path: "Dailies/reel-1.mov", bytes: 4_000_000_000 }, { path: "Dailies/reel-2.mov", bytes: 3_000_000_000 }];
    const view = { id: null, content: hex(71), name: isManifest ? "Dailies" : null, bytes: isManifest ? 7_000_000_000 : null, files: isManifest ? 2 : null, listed: isManifest ? listed : [], signers: [], sources: 2 };
    if (query.get("rehearsal")) return [200, view];
    const folder = query.get("folder").replace(/^\/+/, "");
    const made = job(71, isManifest ? `${folder ? `${folder}/` : ""}Dailies/reel-1.mov` : "", { id: `${query.get("library")}.t${hex(71)}`, library: query.get("library"), kind: "ticket", files: view.files ?? 0, bytes: view.bytes ?? 0, chunks: 0 });
    jobs.unshift(made);
    return [201, { ...view, id: made.id }];
  };

  /** @param {string} method @param {string} id @param {any} body */
  const answer = (method, id, body) => {
    if (!id) return [200, { transfers: jobs, further: 2 }];
    const found = jobs.find((each) => each.id === id);
    if (!found) throw Object.assign(new Error(`no transfer \`${id}\` here: it may be over`), { status: 404 });
    if (method === "GET") return [200, detail(found)];
    if (body.priority) found.priority = body.priority;
    if (body.action === "resume") Object.assign(found, { state: "fetching", why: null });
    if (body.action === "pause") Object.assign(found, { state: "paused", rate: 0, eta_seconds: null, why: { reason: "paused" } });
    if (body.action === "cancel" && found.kind === "ticket") jobs.splice(jobs.indexOf(found), 1);
    else if (body.action === "cancel") Object.assign(found, { state: "cancelled", rate: 0, eta_seconds: null, why: { reason: "cancelled" } });
    return [204, null];
  };
  return { answer, fetches };
}
