/** Many links at once, each with a few messages a second: does one process keep up, and does each get its share? */
import { setTimeout as sleep } from "node:timers/promises";
import type { ManyCommands } from "./many-worker.ts";
import type { Scenario } from "./scenario.ts";

const P99 = "1,000 links with 20 messages/s each, server's loop delay, p99";
const FAIRNESS = "1,000 links with 20 messages/s each, slowest link through the mean";
const LINKS = 1_000;
const PER_SECOND = 20;
/** So few messages take their time to have the code compiled that handles them. */
const WARM_UP_MS = 2_000;
const WATCHED_MS = 4_000;
/** It is still sent when the watching ends. */
const MARGIN_MS = 300;

export const many: Scenario = {
  name: "1,000 links",
  rows: [P99, FAIRNESS],
  sides: ["ours", "reference"],
  async measure(side, crew) {
    const server = crew.start<ManyCommands>("many-worker.ts", "server", side);
    const client = crew.start<ManyCommands>("many-worker.ts", "client", side);
    const port = await server.call("listen");
    await client.call("open", { port, conversations: LINKS });
    const sending = client.call("send", { perSecond: PER_SECOND, ms: WARM_UP_MS + WATCHED_MS + MARGIN_MS });
    await sleep(WARM_UP_MS);
    await server.call("look");
    await sleep(WATCHED_MS);
    const { received, p99Ms } = await server.call("look");
    await server.call("received", await sending);
    const mean = received.reduce((sum, count) => sum + count, 0) / received.length;
    return { [P99]: p99Ms, [FAIRNESS]: Math.min(...received) / mean };
  },
};
