/** `npm run test:overload`: servers that run out of something, or go away, each with the figures that it reaches. */
import { runSuite } from "../endurance/suite.ts";
import { CGROUP } from "./cgroup.ts";
import { DESCRIPTORS_ROW } from "./descriptors.ts";
import { FORWARD } from "./forward.ts";
import { HEAP } from "./heap.ts";
import { HOSTILE_LINKS } from "./hostile.ts";
import { HTTP_DRAIN, HTTP_HOSTILE } from "./http-drain.ts";
import { LAG } from "./lag.ts";
import { METRICS } from "./metrics.ts";
import { PROXY } from "./proxy.ts";
import { RESTART } from "./restart.ts";
import { ROLLING_RESTART } from "./rolling-restart.ts";
import { SAMPLER } from "./sampler.ts";
import { SHED } from "./shed.ts";
import { OverloadStage } from "./stage.ts";

await runSuite({
  name: "overload",
  noun: "row",
  scenarios: [
    ...DESCRIPTORS_ROW,
    ...HEAP,
    ...CGROUP,
    ...LAG,
    ...SHED,
    ...FORWARD,
    ...RESTART,
    ...ROLLING_RESTART,
    ...HTTP_DRAIN,
    ...HOSTILE_LINKS,
    ...HTTP_HOSTILE,
    ...PROXY,
    ...SAMPLER,
    ...METRICS,
  ],
  numbers: { percent: { least: 1, most: 100, byDefault: 100, help: "how much of each row is played" } },
  flags: {},
  stage: (scenario, { percent }) => new OverloadStage(scenario, percent),
});
// node:cluster keeps handles of workers that were killed.
process.exit();
