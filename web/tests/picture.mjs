// The picture in README: the page of `swarm demo --team`. `SWARM=path/to/swarm node picture.mjs FILE.png`.

import { spawn } from "node:child_process";
import { launch } from "./shots.mjs";

const SWARM = process.env.SWARM ?? "swarm";
const PASSWORD = "a long password";
const demo = spawn(SWARM, ["demo", "--team"], { stdio: ["ignore", "pipe", "inherit"] });
try {
  const link = await new Promise((resolve, reject) => {
    demo.stdout.on("data", (data) => resolve(String(data).trim()));
    demo.on("exit", (code) => reject(new Error(`the demo ended with ${code}`)));
  });
  const browser = await launch();
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 }, locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(link);
  await page.getByLabel("User name").fill("anna");
  await page.getByLabel("New password").fill(PASSWORD);
  await page.getByLabel("The same password again").fill(PASSWORD);
  await page.getByRole("button", { name: "Make administrator" }).click();
  await page.locator(".library-card").waitFor();
  // Files come, two machines have another version of one, and a deletion waits for a vote.
  await page.waitForTimeout(12_000);
  await page.screenshot({ path: process.argv[2] ?? "page.png" });
  await browser.close();
} finally {
  demo.kill("SIGINT");
}
