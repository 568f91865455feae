/** The cost of watching all resources of a server with very many links, and with no descriptor left. */
import { setTimeout as sleep } from "node:timers/promises";
import type { OverloadScenario, OverloadStage } from "./stage.ts";

const SAMPLES_A_SECOND = 4;
const EXHAUSTED_MS = 1_500;

export const SAMPLER: readonly OverloadScenario[] = [
  { name: "sampler", about: "all resources of a server with 10,000 links, and of one without a descriptor left", run },
];

async function run(stage: OverloadStage): Promise<void> {
  const number = stage.scaled(10_000, 300);
  const limits = { connections: 20_000, opensPerSecond: 100_000, sessions: 20_000 };
  const { server, port } = await stage.serve({ server: { limits, dryRun: true } });
  await stage.clients(port, number);
  await sleep(stage.scaled(10_000, 3_000));
  const { resources } = await server.call("stats");
  const us = Object.values(resources).reduce((sum, { costUs }) => sum + costUs, 0);
  const note = Object.entries(resources).map(([name, { costUs }]) => `${name} ${costUs.toFixed(0)} us`);
  stage.row({
    what: "share of a core",
    figure: (SAMPLES_A_SECOND * us) / 10_000,
    bound: 1,
    unit: "%",
    note: note.join(", "),
  });
  const exhausting = server.call("exhaust", EXHAUSTED_MS);
  await sleep(EXHAUSTED_MS / 2);
  await exhausting;
  const reports = await server.call("reports");
  const isSeen = reports.some(({ resource, type }) => resource === "descriptors" && type === "act");
  stage.row({ what: "sees that no descriptor is left", figure: isSeen ? 1 : 0, bound: 1, is: "at least", unit: "" });
  const after = await server.call("stats");
  const unread = Object.values(after.resources).filter(({ state, ageMs }) => state !== "not-watched" && ageMs > 6_000);
  stage.row({ what: "resources that could not be read", figure: unread.length, bound: 0, unit: "" });
}
