/** The cost of the sampler: all resources read every 250 ms, in a process that does nothing else. */
import { setTimeout as sleep } from "node:timers/promises";
import type { SamplerCommands } from "./sampler-worker.ts";
import type { Scenario } from "./scenario.ts";

const SAMPLE = "sampler, all resources read once";
const SHARE = "sampler, share of a core";
/** Code is compiled, and averages have settled. */
const SETTLED_MS = 10_000;
const WATCHED_MS = 10_000;

export const sampler: Scenario = {
  name: "sampler",
  rows: [SAMPLE, SHARE],
  sides: ["ours"],
  roundsMax: 1,
  async measure(_side, crew, { show }) {
    const worker = crew.start<SamplerCommands>("sampler-worker.ts", "sampler", null);
    await worker.call("start");
    await sleep(SETTLED_MS);
    const start = await worker.call("read");
    await sleep(WATCHED_MS);
    const end = await worker.call("read");
    show(end.costs.map(({ name, us }) => `${name.padEnd(12)} ${us.toFixed(0).padStart(6)} us`).join("\n"));
    return {
      [SAMPLE]: end.costs.reduce((sum, { us }) => sum + us, 0),
      [SHARE]: (100 * (end.cpuUs - start.cpuUs)) / (1_000 * (end.atMs - start.atMs)),
    };
  },
};
