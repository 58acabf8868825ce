//! Encryption of channels and the order of messages.

import assert from "node:assert/strict";
import { createDecipheriv, randomBytes } from "node:crypto";
import { test } from "node:test";
import { MESSAGE_LEN_MAX, Tunnel } from "@swarm/web/src/tunnel.js";
import { Frames } from "@swarm/web/src/transports/web-transport.js";
import { channelPair, noise } from "./world.js";

/** @import { MemoryChannel } from "./world.js" */

/** @param {MemoryChannel} channel */
function tunnel(channel) {
  /** @type {Uint8Array[]} */
  const messages = [];
  /** @type {number[]} */
  const sent = [];
  /** @type {string[]} */
  const closed = [];
  const tunnel = new Tunnel(channel, { onMessage: (message) => void messages.push(message), onSent: (len) => void sent.push(len), onClosed: (reason) => void closed.push(reason) });
  return { tunnel, messages, sent, closed };
}

/** @param {() => boolean} isTrue */
async function until(isTrue) {
  for (let turn = 0; turn < 2000; turn++) {
    if (isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.fail("it did not happen within 2 s");
}

test("the first message each way is plain, every later one AES-256-GCM with its number as nonce", async () => {
  const [a, b] = channelPair();
  const [one, other] = [tunnel(a), tunnel(b)];
  const [to, from] = [randomBytes(32), randomBytes(32)];
  one.tunnel.send(new Uint8Array([1, 2, 3]));
  one.tunnel.encrypt(to, from);
  const bodies = [0, 1, 65_000, MESSAGE_LEN_MAX - 16].map((len, at) => noise(len, at + 1));
  for (const body of bodies) {
    const view = body.slice();
    one.tunnel.send(view);
    // Memory of the WebAssembly node is used again at once.
    view.fill(0);
  }
  await until(() => a.sent.length === 5);
  assert.deepEqual([...a.sent[0]], [1, 2, 3]);
  for (const [number, body] of bodies.entries()) {
    const sealed = a.sent[number + 1];
    assert.equal(sealed.length, body.length + 16);
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64BE(BigInt(number), 4);
    const decipher = createDecipheriv("aes-256-gcm", to, nonce).setAuthTag(sealed.subarray(-16));
    assert.ok(Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]).equals(body));
  }
  // The other side learns the keys only after all has come.
  await until(() => other.messages.length === 1);
  other.tunnel.encrypt(from, to);
  await until(() => other.messages.length === 5);
  bodies.forEach((body, at) => assert.deepEqual(other.messages[at + 1], body));
  await until(() => one.sent.length === 5);
  assert.deepEqual(one.sent, [3, 0, 1, 65_000, MESSAGE_LEN_MAX - 16]);
  other.tunnel.send(new Uint8Array([9]));
  other.tunnel.send(new Uint8Array([10]));
  assert.equal(one.messages.length, 0);
});

test("many messages arrive in order, and a close after them", async () => {
  const [a, b] = channelPair();
  const [one, other] = [tunnel(a), tunnel(b)];
  const [to, from] = [randomBytes(32), randomBytes(32)];
  one.tunnel.send(new Uint8Array([0]));
  one.tunnel.encrypt(to, from);
  await until(() => other.messages.length === 1);
  other.tunnel.encrypt(from, to);
  for (let at = 1; at < 300; at++) one.tunnel.send(noise(at % 7 === 0 ? 60_000 : 10, at));
  one.tunnel.close("enough");
  await until(() => other.closed.length === 1);
  assert.deepEqual(other.closed, ["enough"]);
  assert.equal(other.messages.length, 300);
  for (let at = 1; at < 300; at++) assert.deepEqual(other.messages[at], noise(at % 7 === 0 ? 60_000 : 10, at));
});

test("nothing is delivered while receiving is paused", async () => {
  const [a, b] = channelPair({ certificateHash: new Uint8Array(32) });
  const [one, other] = [tunnel(a), tunnel(b)];
  other.tunnel.pause();
  for (let at = 0; at < 5; at++) one.tunnel.send(new Uint8Array([at]));
  await until(() => one.sent.length === 5);
  assert.equal(other.messages.length, 0);
  other.tunnel.resume();
  await until(() => other.messages.length === 5);
  assert.deepEqual(other.messages.map(([at]) => at), [0, 1, 2, 3, 4]);
});

test("a message that was changed on its way closes the channel", async () => {
  const [a, b] = channelPair();
  const other = tunnel(b);
  const [to, from] = [randomBytes(32), randomBytes(32)];
  const one = tunnel(a);
  one.tunnel.send(new Uint8Array([0]));
  one.tunnel.encrypt(to, from);
  other.tunnel.encrypt(from, to);
  a.send(new Uint8Array(40), () => {});
  await until(() => other.closed.length === 1);
  assert.deepEqual(other.closed, ["a message could not be decrypted"]);
  assert.equal(other.messages.length, 1);
});

test("a peer that does not wait for the handshake, or sends too long a message, is closed", async () => {
  const [a, b] = channelPair();
  const eager = tunnel(b);
  for (let at = 0; at < 40; at++) a.send(new Uint8Array(20), () => {});
  await until(() => eager.closed.length === 1);
  assert.match(eager.closed[0], /handshake/);
  const [c, d] = channelPair({ certificateHash: new Uint8Array(32) });
  const long = tunnel(d);
  c.send(new Uint8Array(MESSAGE_LEN_MAX + 1), () => {});
  await until(() => long.closed.length === 1);
  assert.match(long.closed[0], /65536 bytes/);
});

test("a stream is cut into messages wherever its pieces end", () => {
  const messages = [0, 1, 5, 70, 60_000, 3].map((len, at) => noise(len, at + 1));
  const stream = new Uint8Array(messages.reduce((sum, { length }) => sum + 4 + length, 0));
  let end = 0;
  for (const message of messages) {
    new DataView(stream.buffer).setUint32(end, message.length);
    stream.set(message, end + 4);
    end += 4 + message.length;
  }
  for (const pieceLen of [1, 3, 7, 1000, 65_536, stream.length]) {
    const frames = new Frames();
    const came = [];
    for (let at = 0; at < stream.length; at += pieceLen) came.push(...Array.from(frames.take(stream.slice(at, at + pieceLen)), (message) => message.slice()));
    assert.deepEqual(came, messages, `pieces of ${pieceLen}`);
  }
  assert.throws(() => [...new Frames().take(new Uint8Array([0, 1, 0, 0]))], /65536 bytes/);
});
