// The faked daemon beside the OpenAPI document of the real one: what it answers has the status and the shape that the document says, no more and no
// less. `SWARM=path/to/swarm node shapes.mjs`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startMock } from "./mock.js";

const SWARM = process.env.SWARM ?? "swarm";

/** What the page asks, in an order in which each finds what it is about. `{…}` are taken from answers before. */
const ASKED = [
  "GET /api/v1/setup", "GET /api/v1/me", "GET /api/v1/node", "GET /api/v1/status", "GET /api/v1/libraries/scans", "GET /api/v1/libraries/music", "GET /api/v1/libraries/scans/tree?limit=3",
  "GET /api/v1/libraries/frames/tree?limit=3", "GET /api/v1/libraries/scans/log?limit=200", "GET /api/v1/libraries/scans/explain?path=notes.md", "GET /api/v1/libraries/scans/explain?path=schedule.txt",
  "GET /api/v1/libraries/scans/explain?path=Rough%20cut%203.mp4", "GET /api/v1/libraries/scans/versions?path=notes.md", "GET /api/v1/libraries/scans/conflicts", "GET /api/v1/libraries/frames/conflicts",
  "GET /api/v1/libraries/scans/texts?path=schedule.txt", "GET /api/v1/libraries/scans/authors", "GET /api/v1/approvals?all=true", "GET /api/v1/peers", "GET /api/v1/lan", "GET /api/v1/users", "GET /api/v1/users/proposed", "GET /api/v1/settings",
  "GET /api/v1/transfers", "GET /api/v1/transfers/{transfer}", ["POST /api/v1/transfers/{transfer}", { action: "pause", priority: "high" }],
  ["POST /api/v1/libraries/scans/links", { path: "notes.md", seconds: 60, once: true }], "GET /api/v1/libraries/scans/links", "DELETE /api/v1/libraries/scans/links/link0",
  ["POST /api/v1/libraries/scans/locks", { path: "notes.md", seconds: 60, why: "" }], ["POST /api/v1/libraries/scans/resolve", { path: "schedule.txt", choice: "keep-both" }],
  ["POST /api/v1/libraries/scans/restore", { path: "notes.md", run: "2026-11-28T10-12" }], ["POST /api/v1/libraries/scans/undo", {}], ["POST /api/v1/libraries/scans/sync", {}], ["POST /api/v1/libraries/scans/verify", {}],
  ["POST /api/v1/libraries/music/approve-here", {}], ["POST /api/v1/authors/bob/undo", { guid: "scans", since_ms: 1, rehearsal: true }], ["POST /api/v1/approvals/{proposal}", { verdict: "no", why: "x" }],
  ["POST /api/v1/libraries", { name: "Films" }], ["PATCH /api/v1/libraries/scans", { paused: true }], ["POST /api/v1/subscriptions", { library: "archive" }], "DELETE /api/v1/libraries/music",
  ["POST /api/v1/peers", { address: "10.0.0.9:8000", trusted: true }], ["PATCH /api/v1/peers/{peer}", { trusted: true }], "DELETE /api/v1/peers/{peer}",
  ["POST /api/v1/users", { user: "eva", password: "a long password", role: "viewer", libraries: {} }], ["PATCH /api/v1/users/eva", { role: "editor", libraries: {} }], "DELETE /api/v1/users/eva",
  ["POST /api/v1/users/proposed/dora", { accept: false }], ["PATCH /api/v1/settings", { limits: { up: "1MB/s" } }],
];

const folder = mkdtempSync(join(tmpdir(), "swarm-shapes-"));
let child;
let mock;
try {
  const document = await documentOfDaemon();
  mock = await startMock();
  const login = await fetch(`${mock.address}/login`, { method: "POST", body: JSON.stringify({ username: "anna", password: "anna" }) });
  const headers = { Cookie: login.headers.get("set-cookie").split(";")[0], "X-CSRF-Token": (await login.json()).csrf, "Content-Type": "application/json" };
  const known = {};
  const wrong = [];
  for (const each of ASKED) {
    const [what, body] = Array.isArray(each) ? each : [each];
    const [method, template] = what.split(" ");
    const path = template.replace(/\{(\w+)\}/, (_, key) => encodeURIComponent(known[key]));
    const answer = await fetch(mock.address + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    const operation = operationOf(document, method, path.split("?")[0]);
    if (!operation) {
      wrong.push(`${what}: the daemon has no such path`);
      continue;
    }
    const response = operation.responses[answer.status];
    if (!response) {
      wrong.push(`${what}: ${answer.status} is not an answer of the daemon, but ${Object.keys(operation.responses)}; ${text.slice(0, 200)}`);
      continue;
    }
    const schema = response.content?.["application/json"]?.schema;
    if (!schema) {
      if (text !== "" && text !== "{}") wrong.push(`${what}: the daemon answers nothing, not ${text.slice(0, 80)}`);
      continue;
    }
    const value = JSON.parse(text);
    wrong.push(...differences(document, schema, value, what));
    if (what.includes("/approvals?")) known.proposal = value.proposals[0].id;
    if (what.endsWith("/transfers")) known.transfer ??= value.transfers[0].id;
    if (what.endsWith("/peers")) known.peer ??= value.peers?.[0].node;
  }
  assert.deepEqual(wrong, []);
  console.log(`shapes: ${ASKED.length} answers of the faked daemon are as the daemon's`);
} finally {
  child?.kill();
  mock?.close();
  setTimeout(() => rmSync(folder, { recursive: true, force: true }), 500);
}

async function documentOfDaemon() {
  const dir = join(folder, "daemon");
  mkdirSync(dir);
  writeFileSync(join(dir, "config.json"), '{"port": 0, "listen": "127.0.0.1", "lan": false}', { mode: 0o600 });
  child = spawn(SWARM, ["daemon", "--dir", dir], { stdio: ["ignore", "pipe", "pipe"] });
  const origin = await new Promise((resolve, reject) => {
    let said = "";
    const listen = (text) => {
      said += text;
      const found = /https:\/\/([\w.:-]+)\/#setup=/.exec(said);
      if (found) resolve(`http://${found[1]}`);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.on("exit", () => reject(new Error(said)));
    setTimeout(() => reject(new Error(`no address: ${said}`)), 20_000).unref();
  });
  return (await fetch(`${origin}/api/openapi.json`)).json();
}

function operationOf(document, method, path) {
  const parts = path.split("/");
  const isAt = (template) => {
    const own = template.split("/");
    return own.length === parts.length && own.every((part, index) => part.startsWith("{") || part === parts[index]);
  };
  // A path without parameters goes before one with them.
  const templates = Object.keys(document.paths).filter(isAt).sort((a, b) => a.split("{").length - b.split("{").length);
  return templates.map((template) => document.paths[template][method.toLowerCase()]).find((each) => each !== undefined);
}

/** How a value differs from a schema, as lines. */
function differences(document, schema, value, at) {
  if (schema.$ref) return differences(document, document.components.schemas[schema.$ref.split("/").pop()], value, at);
  for (const key of ["oneOf", "anyOf"]) {
    if (!schema[key]) continue;
    const tried = schema[key].map((each) => differences(document, each, value, at));
    return tried.find((each) => each.length === 0) ?? tried.sort((a, b) => a.length - b.length)[0];
  }
  if (schema.allOf) {
    const parts = schema.allOf.map((each) => resolved(document, each));
    const properties = Object.assign({}, ...parts.map((each) => each.properties ?? {}));
    return differences(document, { type: "object", properties, required: parts.flatMap((each) => each.required ?? []) }, value, at);
  }
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.includes(typeOf(value)) && !(types.includes("number") && typeOf(value) === "integer")) return [`${at}: ${typeOf(value)} instead of ${types}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${at}: ${value} is none of ${schema.enum}`];
  if (Array.isArray(value)) return value.slice(0, 40).flatMap((each, index) => differences(document, schema.items ?? {}, each, `${at}[${index}]`));
  if (value === null || typeof value !== "object") return [];
  // The daemon leaves out no key of an answer, also where the document does not require it.
  const found = Object.keys(schema.properties ?? {}).filter((key) => !(key in value)).map((key) => `${at}.${key} is lacking`);
  for (const [key, inner] of Object.entries(value)) {
    const own = schema.properties?.[key] ?? (typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined);
    if (own) found.push(...differences(document, own, inner, `${at}.${key}`));
    else if (schema.properties && !schema.additionalProperties) found.push(`${at}.${key} is not of the daemon`);
  }
  return found;
}

function resolved(document, schema) {
  if (schema.$ref) return resolved(document, document.components.schemas[schema.$ref.split("/").pop()]);
  if (!schema.allOf) return schema;
  const parts = schema.allOf.map((each) => resolved(document, each));
  return { properties: Object.assign({}, ...parts.map((each) => each.properties ?? {})), required: parts.flatMap((each) => each.required ?? []) };
}

function typeOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" ? (Number.isInteger(value) ? "integer" : "number") : typeof value;
}
