/** The Redis client of examples/, beside ioredis at the same server. */
import { setTimeout as sleep } from "node:timers/promises";
import { installPeers } from "./peers-install.ts";
import { startBroker } from "./peers.ts";
import type { Crew } from "./crew.ts";
import type { RedisCommands } from "./redis-worker.ts";
import type { Side } from "./contenders.ts";
import type { Scenario } from "./scenario.ts";
import { WARM_UP_MS } from "./throughput.ts";

const RATE = "Redis, SET and GET, 1,000 in flight";
const CPU = "Redis, SET and GET, 1,000 in flight, CPU";
const P50 = "Redis, SET and GET, one in flight, p50";
const IN_FLIGHT = 1_000;

const pipelined: Scenario = {
  name: RATE,
  rows: [RATE, CPU],
  sides: ["ours", "reference"],
  async measure(side, crew, { seconds }) {
    const client = await startClient(side, crew);
    await client.call("begin", IN_FLIGHT);
    await sleep(WARM_UP_MS);
    const before = await client.call("sample");
    await sleep(1_000 * seconds);
    const after = await client.call("sample");
    await client.call("stop");
    const requests = after.messages - before.messages;
    const s = (after.atMs - before.atMs) / 1_000;
    return { [RATE]: requests / s, [CPU]: (1_000 * (after.cpuUs - before.cpuUs)) / requests };
  },
};

const alone: Scenario = {
  name: P50,
  rows: [P50],
  sides: ["ours", "reference"],
  async measure(side, crew, { seconds }) {
    const client = await startClient(side, crew);
    await client.call("begin", 1);
    await sleep(WARM_UP_MS);
    await client.call("time");
    await sleep(1_000 * seconds);
    return { [P50]: await client.call("stop") };
  },
};

async function startClient(side: Side, crew: Crew): Promise<ReturnType<typeof crew.start<RedisCommands>>> {
  if (side === "reference") installPeers(() => {});
  const port = await startBroker(crew, { kind: "redis", command: "redis-server" });
  return crew.start<RedisCommands>("redis-worker.ts", "client", { side, port });
}

export const redis: readonly Scenario[] = [pipelined, alone];
