//! Lets pages and other nodes link to this one: `GET /node` says who it is, and `/swarm` becomes a channel by WebSocket. Serves nothing else.

import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { SwarmError } from "@swarm/web/src/error.js";
import { MESSAGE_LEN_MAX } from "@swarm/web/src/tunnel.js";
import { WebSocketChannel } from "@swarm/web/src/transports/web-socket.js";

/** @import { Channel } from "../index.d.ts" */

/** Links that peers may have here at once. */
const LINKS_MAX = 256;
/** An origin that no list names: pages of any site may link. */
const ANY = null;

/**
 * Listens. Returns where, and how to end.
 * @param {string} address `host:port` @param {{id: string, version: string, origins?: string[]}} about @param {(channel: Channel) => void} accept
 * @returns {Promise<{address: string, close: () => Promise<void>}>}
 */
export async function listen(address, { id, version, origins }, accept) {
  const at = address.lastIndexOf(":");
  const [host, port] = [address.slice(0, at).replace(/^\[|\]$/g, ""), Number(address.slice(at + 1))];
  if (at < 0 || !Number.isInteger(port)) throw new SwarmError("usage", `\`${address}\` is not an address: write host:port, as in 0.0.0.0:4433`);
  /** @param {import("node:http").IncomingMessage} request */
  const admits = ({ headers: { origin } }) => (origins ?? ANY) === ANY || origin === undefined || /** @type {string[]} */ (origins).includes(origin);

  const server = createServer((request, response) => {
    response.setHeader("access-control-allow-origin", "*");
    if (request.url !== "/node") return void response.writeHead(404).end();
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ node: id, agent: `swarm/${version}`, admitsOrigin: admits(request), certificateHashes: [] }));
  });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_LEN_MAX, perMessageDeflate: false });
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", () => {});
    const refusal = request.url !== "/swarm" ? "404 Not Found" : !admits(request) ? "403 Forbidden" : sockets.clients.size >= LINKS_MAX ? "503 Service Unavailable" : null;
    if (refusal) return void socket.end(`HTTP/1.1 ${refusal}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    sockets.handleUpgrade(request, socket, head, (open) => accept(new WebSocketChannel(/** @type {any} */ (open), true)));
  });
  await new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new SwarmError("other", `cannot listen at ${address}: ${cause.message}`, { cause })));
    server.listen(port, host, () => resolve(undefined));
  });
  const bound = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    address: `${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        for (const client of sockets.clients) client.terminate();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
