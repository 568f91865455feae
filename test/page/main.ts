/** `npm run test:page`: the live page, and the report of `resplice chaos`, in a real browser. Screenshots are kept in coverage/page. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { runSuite } from "../endurance/suite.ts";
import { CHAOS } from "./chaos.ts";
import { PICTURES } from "./pictures.ts";
import { SCENARIOS } from "./scenarios.ts";
import { PageStage } from "./stage.ts";

// The page as the sources have it now.
const built = spawnSync(process.execPath, [fileURLToPath(new URL("../../scripts/page.ts", import.meta.url))], {
  stdio: ["ignore", "inherit", "inherit"],
});
if (built.status !== 0) throw new Error("the page cannot be bundled");

await runSuite({
  name: "page",
  noun: "scenario",
  scenarios: [...SCENARIOS, CHAOS, PICTURES],
  numbers: { percent: { least: 1, most: 100, byDefault: 100, help: "how much of each scenario is played" } },
  flags: {},
  stage: (scenario, { percent }) => new PageStage(scenario, percent),
});
