// What the daemon says, in the reader's language, in a real browser against a daemon that is faked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { go, mock, open } from "./harness.mjs";
import { login } from "./shots.mjs";

test("sentences of the daemon are told in German by their codes, and others as the daemon has them", async () => {
  const { page, wrong, close } = await open({ locale: "de-DE" });
  await page.goto(mock.address);
  await page.fill("input[name=username]", "anna");
  await page.fill("input[name=password]", "wrong");
  await page.keyboard.press("Enter");
  await page.getByText("Der Benutzername oder das Passwort ist falsch.").waitFor();
  await login(page, mock.address);
  await page.getByText("bob meldet falsche Bytes von carla.").waitFor();
  await page.getByText("Sie wurde hier und bei https://music.example geändert.").waitFor();
  await page.getByText("the name cannot be made on this disk").waitFor();
  await go(page, "#/peers");
  await page.getByText("carla.example.org ist nicht aufzulösen: no such host").waitFor();
  await go(page, "#/settings");
  await page.getByRole("button", { name: /^Passwort ändern/ }).click();
  await page.fill("input[name=old]", "another");
  await page.fill("input[name=password]", "long-enough");
  await page.fill("input[name=again]", "long-enough");
  await page.keyboard.press("Enter");
  await page.getByText("Das jetzige Passwort lautet anders.").waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

test("a reason that has a code, too, is told within its sentence", async () => {
  const { page, close } = await open({ locale: "de-DE" });
  await login(page, mock.address);
  const told = await page.evaluate(async () => {
    const { tell } = await import("/parts/told.js");
    const because = { code: "disk-full", params: { path: "a.mov" } };
    return [
      tell({ code: "from-origin", params: { url: "https://a", why: "words" }, because }, "words"),
      tell({ code: "not-allowed", params: { permission: "library.write" } }, "words"),
      tell({ code: "not-allowed", params: { permission: "of.later" } }, "words"),
      tell({ code: "nobody-has", params: { n: "1", seconds: "1200" } }, "words"),
      tell({ code: "uploads-too-long", params: { bytes: "1000000000000" } }, "words"),
      tell({ code: "of.later" }, "words"), tell({}, "words"), tell(null, "words"), tell({ code: "no-path" }, "words"),
    ];
  });
  assert.equal(told[0], "Von https://a kommt nichts. Für a.mov ist kein Platz mehr.");
  assert.match(told[1], /Editor|Bearbeiter/);
  assert.equal(told[2], "Ihre Rolle erlaubt das nicht. Bitten Sie einen Administrator.");
  assert.equal(told[3], "Kein verbundener Peer hat alle Dateien von 1 Änderung. Seit 1.200 s kam nichts.");
  assert.match(told[4], /1,00\sTB/);
  assert.deepEqual(told.slice(5, 8), ["words", "words", "words"]);
  assert.ok(!told[8].includes("{"), told[8]);
  await close();
});
