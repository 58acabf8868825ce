// A daemon that is not there: serves the page as the binary does, and answers /api/v1 with data that lives.
// `node mock.js [port]`; login anna / anna, viewer / viewer, or newcomer / newcomer, who has no role. Controls for tests: POST /mock/{offline,online,end-sessions,setup,empty,one,ugly,full,passwords,give-role,alone,reachable,cut-uploads,slow-uploads,fast-uploads}.

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { makeWorld } from "./world.js";
import { picture, pictureOf, silence } from "./media.js";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml" };
const ALL = ["files.read", "node.read", "libraries.manage", "library.read", "library.write", "library.manage", "peers.manage", "users.manage", "approvals.vote", "conflicts.resolve", "settings.manage", "undo"];
const CAN = { admin: ALL, viewer: ["files.read", "node.read", "library.read"] };

/** @param {number} port */
export function startMock(port = 0) {
  let world = makeWorld();
  const sessions = new Map();
  const streams = new Set();
  const passwords = { anna: "anna", viewer: "viewer", newcomer: "newcomer" };
  const flags = { offline: false, setup: false, cutsUploads: false, slowUploads: false };
  const uploads = new Map();
  let eventId = 0;

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://mock");
    const isControl = url.pathname.startsWith("/mock/");
    if (flags.offline && !isControl) return request.socket.destroy();
    try {
      if (isControl) control(url.pathname.slice(6), response);
      else if (url.pathname.startsWith("/api/v1") || ["/login", "/logout"].includes(url.pathname)) await api(request, response, url);
      else if (url.pathname.startsWith("/file/")) bytesOf(request, response, url);
      else page(response, url.pathname);
    } catch (error) {
      if (error.status) problem(response, error.status, error.message);
      else {
        console.error(error);
        problem(response, 500, String(error));
      }
    }
  });
  const sockets = new Set();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });

  const beat = setInterval(() => {
    world.live();
    eventId += 1;
    for (const stream of streams) stream.write(`id: ${eventId}\nevent: status\ndata: ${JSON.stringify(world.status())}\n\n`);
  }, 600);

  function control(what, response) {
    if (what === "offline" || what === "online") {
      flags.offline = what === "offline";
      if (flags.offline) for (const socket of sockets) if (socket !== response.socket) socket.destroy();
    } else if (what === "end-sessions") sessions.clear();
    else if (what === "setup") flags.setup = true;
    else if (["empty", "one", "ugly"].includes(what)) world = makeWorld({ [what]: true });
    else if (what === "full") world = makeWorld();
    else if (what === "give-role") for (const session of sessions.values()) session.role ??= "viewer";
    else if (what === "passwords") Object.assign(passwords, { anna: "anna", viewer: "viewer" });
    else if (what === "cut-uploads") flags.cutsUploads = true;
    else if (what === "slow-uploads" || what === "fast-uploads") flags.slowUploads = what === "slow-uploads";
    else if (what === "alone" || what === "reachable") world.listenAlone(what === "alone");
    response.writeHead(204).end();
  }

  function page(response, path) {
    const file = normalize(join(ROOT, path === "/" ? "index.html" : path));
    if (!file.startsWith(ROOT) || file.includes("/tests/")) return problem(response, 404, "no such file");
    try {
      statSync(file);
    } catch {
      return problem(response, 404, "no such file");
    }
    response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer" });
    createReadStream(file).pipe(response);
  }

  async function api(request, response, url) {
    const path = url.pathname.replace("/api/v1/", "/").split("/").slice(1).map(decodeURIComponent);
    const { method } = request;
    const key = /swarm_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
    const session = sessions.get(key);
    if (path[0] === "login") return login(response, await json(request));
    if (path[0] === "setup" && method === "GET") return send(response, 200, { needed: flags.setup, user: session?.user ?? null });
    if (path[0] === "setup") {
      flags.setup = false;
      return open(response, (await json(request)).username, "admin");
    }
    if (path[0] === "logout") {
      sessions.delete(key);
      return send(response, 200, {});
    }
    if (!session) return problem(response, 401, "log in first");
    if (path[0] === "me" && !path[1]) return send(response, 200, { user: session.user, role: session.role, libraries: {}, csrf: session.csrf, can: CAN[session.role] ?? [] });
    if (session.role === null) return path[0] === "status" ? send(response, 200, { ...world.status(), libraries: [], peers: [], errors: [], peerSync: {} }) : problem(response, 403, "you have no role on this node, which does not allow this: ask an admin");
    if (path[0] === "events") return events(request, response);
    if (method !== "GET" && request.headers["x-csrf-token"] !== session.csrf) return problem(response, 403, "the CSRF token is missing");
    if (path[0] === "me" && path[1] === "password") return changePassword(response, session, await json(request));
    if (method === "PUT") return take(request, response, path, session);
    if (path[0] === "uploads") return inParts(request, response, url, path, session);
    if (path[0] === "qr") return response.writeHead(200, { "Content-Type": "image/svg+xml" }).end(picture(5));
    if (path[0] === "fetches" && session.role !== "admin") return problem(response, 403, "your role may not do this");
    if (path[0] === "fetches") return send(response, ...world.answer(method, path, url.searchParams, await textOf(request)));
    const body = method === "POST" || method === "PATCH" ? await json(request) : {};
    if (method !== "GET" && session.role !== "admin") return problem(response, 403, "your role may not do this");
    const [status, answer] = world.answer(method, path, url.searchParams, body);
    send(response, status, answer);
  }

  function login(response, { username, password }) {
    if (!password || passwords[username] !== password) return problem(response, 401, "no user of this node has that name and password", "wrong-password");
    return open(response, username, { anna: "admin", viewer: "viewer" }[username] ?? null);
  }

  function changePassword(response, own, { old, new: next }) {
    const { user } = own;
    if (passwords[user] !== old) return problem(response, 403, "the present password is another one", "other-password");
    if (next.length < 8) return problem(response, 400, "a password has 8 characters or more", "password-length", { min: "8", max: "1024" });
    passwords[user] = next;
    for (const [key, session] of sessions) if (session.user === user && session !== own) sessions.delete(key);
    response.writeHead(204).end();
  }

  function open(response, user, role) {
    const key = Math.random().toString(36).slice(2);
    sessions.set(key, { user, role, csrf: `csrf-${key}` });
    response.setHeader("Set-Cookie", `swarm_session=${key}; HttpOnly; SameSite=Strict; Path=/`);
    send(response, 200, { user, csrf: `csrf-${key}` });
  }

  function events(request, response) {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    response.write(`: hello\n\nid: ${eventId}\nevent: status\ndata: ${JSON.stringify(world.status())}\n\n`);
    streams.add(response);
    request.on("close", () => streams.delete(response));
  }

  async function take(request, response, path, session) {
    if (session.role !== "admin") return problem(response, 403, "your role may not do this");
    let len = 0;
    for await (const chunk of request) len += chunk.length;
    const [, guid, , ...parts] = path;
    const there = world.tagOf(guid, parts.join("/"));
    const named = request.headers["if-match"] ?? null;
    if (there !== named) return problem(response, 412, "what stands there is not the version that If-Match names: look again, or take another name");
    world.put(guid, parts.join("/"), len);
    response.writeHead(there ? 204 : 201).end();
  }

  /** An upload that goes on: after `cut-uploads`, the next request that sends bytes loses its connection after a while. */
  async function inParts(request, response, url, [, guid, id], session) {
    if (session.role !== "admin") return problem(response, 403, "your role may not do this");
    const { method, headers } = request;
    const at = `/api/v1/uploads/${guid}/${id}`;
    const told = (upload, isDone) => ({ "Upload-Offset": String(upload.offset), "Upload-Complete": isDone ? "?1" : "?0" });
    if (!id && method === "GET") return send(response, 200, [...uploads].filter(([, upload]) => upload.guid === guid && !upload.isDone).map(([location, upload]) => ({ location, ...upload })));
    if (!id) {
      const location = `/api/v1/uploads/${guid}/${uploads.size + 1}`;
      const upload = { guid, path: url.searchParams.get("path"), modified_ms: Number(url.searchParams.get("modified_ms")), length: Number(headers["upload-length"]), offset: 0, isDone: false };
      uploads.set(location, upload);
      return response.writeHead(201, { Location: location, ...told(upload, false) }).end();
    }
    const upload = uploads.get(at);
    if (!upload) return problem(response, 404, "there is no such upload of yours: it was cancelled, or nobody went on with it for a day; begin anew");
    if (method === "DELETE") {
      uploads.delete(at);
      return response.writeHead(204).end();
    }
    if (method !== "PATCH") return response.writeHead(200, told(upload, upload.isDone)).end();
    if (Number(headers["upload-offset"]) !== upload.offset) return response.writeHead(409, told(upload, false)).end();
    const cuts = flags.cutsUploads;
    try {
      for await (const chunk of request) {
        upload.offset += chunk.length;
        if (flags.slowUploads) await new Promise((resolve) => setTimeout(resolve, 10));
        if (cuts && upload.offset > 4_000_000) {
          flags.cutsUploads = false;
          return request.socket.destroy();
        }
      }
    } catch {
      return; // The client has gone: what came stays.
    }
    if (headers["upload-complete"] !== "?1") return response.writeHead(204, told(upload, false)).end();
    const there = world.tagOf(guid, upload.path);
    if (there !== (headers["if-match"] ?? null)) return problem(response, 412, "what stands there is not the version that If-Match names: look again, or take another name");
    upload.isDone = true;
    world.put(guid, upload.path, upload.length);
    response.writeHead(there ? 204 : 201, told(upload, true)).end();
  }

  function bytesOf(request, response, url) {
    const [, , guid, ...parts] = url.pathname.split("/").map(decodeURIComponent);
    const path = parts.join("/");
    const ending = extname(path).slice(1).toLowerCase();
    const side = url.searchParams.get("side");
    const tag = side ? `"${world.hashOf(path, side)}"` : world.tagOf(guid, path);
    if (tag === null && !url.searchParams.has("version")) return problem(response, 404, `the library has no file \`${path}\``);
    const common = { "Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff", ...(tag ? { ETag: tag } : {}) };
    if (["jpg", "png", "webp", "svg"].includes(ending)) {
      response.writeHead(200, { ...common, "Content-Type": "image/svg+xml" }).end(side ? picture(side === "local" ? 3 : 8) : pictureOf(path));
    } else if (["wav", "mp3", "flac"].includes(ending)) {
      response.writeHead(200, { ...common, "Content-Type": "audio/wav" }).end(silence());
    } else response.writeHead(206, { ...common, "Content-Type": "text/plain; charset=utf-8" }).end(world.text(guid, path));
  }

  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => {
    const address = `http://127.0.0.1:${server.address().port}`;
    resolve({ address, server, close: () => { clearInterval(beat); for (const socket of sockets) socket.destroy(); server.close(); } });
  }));
}

async function textOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

async function json(request) {
  const text = await textOf(request);
  return text ? JSON.parse(text) : {};
}

function send(response, status, answer) {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" }).end(answer === null ? "" : JSON.stringify(answer));
}

function problem(response, status, detail, code, params) {
  response.writeHead(status, { "Content-Type": "application/problem+json" }).end(JSON.stringify({ type: "about:blank", title: "Problem", status, detail, category: "usage", code, params }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) startMock(Number(process.argv[2] ?? 8123)).then(({ address }) => console.log(address));
