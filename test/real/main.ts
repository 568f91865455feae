/** `npm run test:real`: links to real servers, each with the figures that it reaches. */
import { runSuite } from "../endurance/suite.ts";
import { BLACK_HOLES } from "./black-holes.ts";
import { DNSMASQ } from "./dnsmasq.ts";
import { HERD } from "./herd.ts";
import { MOSQUITTO } from "./mosquitto.ts";
import { NGINX } from "./nginx.ts";
import { POSTGRES } from "./postgres.ts";
import { REDIS } from "./redis.ts";
import { RSYSLOG } from "./rsyslog.ts";
import { RealStage } from "./stage.ts";

await runSuite({
  name: "real",
  noun: "scenario",
  scenarios: [...POSTGRES, ...REDIS, ...NGINX, ...MOSQUITTO, ...RSYSLOG, ...DNSMASQ, ...BLACK_HOLES, ...HERD],
  numbers: { percent: { least: 1, most: 100, byDefault: 100, help: "how much of each scenario is played" } },
  flags: {},
  stage: (scenario, { percent }) => new RealStage(scenario, percent),
});
