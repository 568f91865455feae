/** `npm run test:overload`: servers that run out of something, each with the figures that it reaches. */
import { runSuite } from "../endurance/suite.ts";
import { DESCRIPTORS_ROW } from "./descriptors.ts";
import { HEAP } from "./heap.ts";
import { LAG } from "./lag.ts";
import { SAMPLER } from "./sampler.ts";
import { SHED } from "./shed.ts";
import { OverloadStage } from "./stage.ts";

await runSuite({
  name: "overload",
  noun: "row",
  scenarios: [...DESCRIPTORS_ROW, ...HEAP, ...LAG, ...SHED, ...SAMPLER],
  numbers: { percent: { least: 1, most: 100, byDefault: 100, help: "how much of each row is played" } },
  flags: {},
  stage: (scenario, { percent }) => new OverloadStage(scenario, percent),
});
