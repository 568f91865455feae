/** A link's stream against a socket's: pipe() at both ends. */
import { setTimeout as sleep } from "node:timers/promises";
import type { PipedCommands } from "./piped-worker.ts";
import type { Scenario } from "./scenario.ts";
import { measureRates, WARM_UP_MS } from "./throughput.ts";

const RATE = "duplex() piped, 64 KiB chunks";
const CPU = "duplex() piped, 64 KiB chunks, CPU";

export const piped: Scenario = {
  name: RATE,
  rows: [RATE, CPU],
  sides: ["ours", "reference"],
  async measure(side, crew, { seconds }) {
    const receiver = crew.start<PipedCommands>("piped-worker.ts", "receiver", side);
    const sender = crew.start<PipedCommands>("piped-worker.ts", "sender", side);
    await sender.call("connect", await receiver.call("listen"));
    await sleep(WARM_UP_MS);
    const { rate, cpuNs } = await measureRates(receiver, sender, seconds);
    await receiver.call("received", await sender.call("stop"));
    return { [RATE]: rate, [CPU]: cpuNs };
  },
};
