//! The program of README.md is complete, and does what it says.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

test("the program of the README runs as it stands there", async () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const program = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  // Where `@swarm/node` is found.
  const path = fileURLToPath(new URL("./readme.tmp.mjs", import.meta.url));
  writeFileSync(path, program);
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [path]);
    const lines = stdout.trim().split("\n");
    const received = lines[lines.length - 1];
    assert.match(received, /received\/film\.bin$/);
    assert.ok(lines.length > 1 && lines.slice(0, -1).every((line) => / of \d+ bytes$/.test(line)), stdout);
    assert.ok(readFileSync(received).every((byte) => byte === 7));
    rmSync(dirname(dirname(join(received))), { recursive: true });
  } finally {
    rmSync(path);
  }
});
