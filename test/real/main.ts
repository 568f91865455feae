/** `npm run test:real`: plain links to real servers, each with the figures that it reaches. */
import { runSuite } from "../endurance/suite.ts";
import { BLACK_HOLES } from "./black-holes.ts";
import { DNSMASQ } from "./dnsmasq.ts";
import { HERD } from "./herd.ts";
import { RealStage, type RealScenario } from "./stage.ts";

/** Each group has a file of its own: redis.ts, mosquitto.ts, … */
const SCENARIOS: readonly RealScenario[] = [...DNSMASQ, ...BLACK_HOLES, ...HERD];

await runSuite({
  name: "real",
  noun: "scenario",
  scenarios: SCENARIOS,
  numbers: { percent: { least: 1, most: 100, byDefault: 100, help: "how much of each scenario is played" } },
  flags: {},
  stage: (scenario, { percent }) => new RealStage(scenario, percent),
});
