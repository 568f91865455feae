/** `npm run test:hostile`: every attack that is known, with what it reaches, and a healthy link beside it. */
import { runSuite } from "../endurance/suite.ts";
import { AGAINST_CLIENTS } from "./against-clients.ts";
import { AGAINST_LIMITS } from "./against-limits.ts";
import { AGAINST_SERVERS } from "./against-servers.ts";
import { AGAINST_STREAMS } from "./against-streams.ts";
import { Stage } from "./stage.ts";

await runSuite({
  name: "hostile",
  noun: "attack",
  scenarios: [...AGAINST_SERVERS, ...AGAINST_LIMITS, ...AGAINST_CLIENTS, ...AGAINST_STREAMS],
  numbers: { seconds: { least: 1, most: 600, byDefault: 8, help: "how long each attack goes on" } },
  flags: { untimed: "without the times of a healthy link beside each attack" },
  stage: (attack, { seconds, untimed }) => new Stage(attack, { seconds, isTimed: !untimed }),
});
