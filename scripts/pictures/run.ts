/**
 * The pictures of README and docs, in docs/pictures.
 *
 *     npm run pictures                draws them
 *     npm run pictures -- --check     only says which are not current
 *     npm run pictures -- --record    first records a run of the demo
 *     npm run pictures -- --browser   takes the screenshots of the live page too, in Debian's Chromium: five minutes
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FOLDER, pictures, RECORDED } from "./pictures.ts";

const COMMAND = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
/** Each kind of fault comes once in so many seconds, and a few of them again. */
const CHAOS = ["chaos", "--json", "--seconds=14", "--seed=5"];

const { values } = parseArgs({
  options: { check: { type: "boolean" }, record: { type: "boolean" }, browser: { type: "boolean" } },
});
if (values.record === true) {
  const { status, stdout } = spawnSync(process.execPath, [COMMAND, ...CHAOS], { stdio: ["ignore", "pipe", "inherit"] });
  if (status !== 0) throw new Error(`the run ended with ${status}`);
  // No picture shows the throughput of the run.
  const figures = { ...(JSON.parse(String(stdout)) as object), throughput: [] };
  writeFileSync(FOLDER + RECORDED, `${JSON.stringify(figures, undefined, 2)}\n`);
}
if (values.browser === true) {
  // Only these need the browser and its packages.
  const { screenshots } = await import("./page.ts");
  for (const [name, png] of Object.entries(await screenshots())) {
    writeFileSync(FOLDER + name, png);
    console.log(`docs/pictures/${name}, ${png.length} bytes`);
  }
}
const old = Object.entries(pictures()).filter(
  ([name, svg]) => !existsSync(FOLDER + name) || readFileSync(FOLDER + name, "utf8") !== svg,
);
if (values.check === true) {
  for (const [name] of old) console.error(`docs/pictures/${name} is not current: npm run pictures`);
  process.exitCode = old.length === 0 ? 0 : 1;
} else {
  for (const [name, svg] of old) {
    writeFileSync(FOLDER + name, svg);
    console.log(`docs/pictures/${name}`);
  }
}
