/** What gets through a path that is cut every second, beside the same path left alone. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RelayCommands } from "./relay-worker.ts";
import type { Scenario } from "./scenario.ts";
import { measureRates, WARM_UP_MS } from "./throughput.ts";
import type { ThroughputCommands, Traffic } from "./throughput-worker.ts";

const GOODPUT = "goodput with a cut every second, 1 KiB, beside none";
const CUT_EVERY_MS = 1_000;
const WATCHED_SECONDS = 10;
const TRAFFIC: Traffic = { side: "ours", bytes: 1_024, send: "copy", receive: "handler", bothWays: false };

/** Here the reference is resplice too. */
export const goodput: Scenario = {
  name: GOODPUT,
  rows: [GOODPUT],
  sides: ["ours", "reference"],
  roundsMax: 3,
  async measure(side, crew) {
    const receiver = crew.start<ThroughputCommands>("throughput-worker.ts", "receiver", TRAFFIC);
    const sender = crew.start<ThroughputCommands>("throughput-worker.ts", "sender", TRAFFIC);
    const relay = crew.start<RelayCommands>("relay-worker.ts", "relay", null);
    const [port] = await relay.call("open", { port: await receiver.call("listen"), paths: 1 });
    await sender.call("connect", port as number);
    await sleep(WARM_UP_MS);
    if (side === "ours") await relay.call("cutEvery", CUT_EVERY_MS);
    const { rate } = await measureRates(receiver, sender, WATCHED_SECONDS);
    await relay.call("heal");
    await receiver.call("received", await sender.call("stop"));
    return { [GOODPUT]: rate };
  },
};
