/** `npm run test:tunnel`: programs that know nothing of resplice, through a tunnel, each with the figures that it reaches. */
import { runSuite } from "../../endurance/suite.ts";
import { BESIDE } from "./beside.ts";
import { DATABASES } from "./databases.ts";
import { HALF_CLOSE } from "./half-close.ts";
import { MANY } from "./many.ts";
import { PROXIED } from "./proxied.ts";
import { SIGNALLED } from "./signals.ts";
import { SPARES } from "./spares.ts";
import { TRANSFERS } from "./transfers.ts";
import { TunnelStage } from "./stage.ts";

await runSuite({
  name: "tunnel",
  noun: "row",
  scenarios: [...DATABASES, ...TRANSFERS, ...HALF_CLOSE, ...MANY, ...PROXIED, ...SPARES, ...SIGNALLED, ...BESIDE],
  numbers: { percent: { least: 1, most: 100, byDefault: 100, help: "how much of each row is played" } },
  flags: { profile: "where the time of both ends goes: their functions, of each row" },
  stage: (scenario, { percent, profile }) => new TunnelStage(scenario, percent, profile),
});
