/** A server that is full of hostile connections: a healthy client gets in, and is answered as before. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Link } from "../../src/index.ts";
import { quantile } from "../../src/telemetry/metrics.ts";
import { certificate } from "../certificate.ts";
import type { HostileCommands } from "./hostile-clients.ts";
import { NONE, type OverloadScenario, type OverloadStage } from "./stage.ts";

const HOSTILE = 2_000;
const CONNECTIONS = 100;
const NEWCOMERS = 20;
const MESSAGES = 2_000;
const MESSAGE_EVERY_MS = 5;
/** Below this the round trips of a quiet server say nothing: a turn of the scheduler is as long. */
const LEAST_QUIET_MS = 2;
const MODULE = new URL("hostile-clients.ts", import.meta.url);

export const HOSTILE_LINKS: readonly OverloadScenario[] = [
  { name: "hostile", about: "2,000 hostile connections where 100 may be", run: (stage) => play(stage, false) },
  { name: "hostile TLS", about: "the same at a server with TLS", run: (stage) => play(stage, true) },
];

/** The 99th percentile of the round trips of one link, in milliseconds. */
async function p99(link: Link, messages: number): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < messages; n++) {
    const fromMs = performance.now();
    await link.send("ping");
    await link.receive();
    times.push(performance.now() - fromMs);
    await sleep(MESSAGE_EVERY_MS);
  }
  return quantile(times, 0.99) ?? Infinity;
}

async function play(stage: OverloadStage, isTls: boolean): Promise<void> {
  const pem = isTls ? await certificate() : undefined;
  const { server, port } = await stage.serve({
    server: { resources: NONE, limits: { connections: CONNECTIONS }, ...(pem && { tls: pem }) },
    isEcho: true,
  });
  const manager = stage.manager();
  const open = async (): Promise<Link> => {
    const link = manager.open({ port, host: "localhost", ...(pem && { tls: { ca: pem.cert } }) });
    await link.receive();
    return link;
  };
  const healthy = await open();
  const messages = stage.scaled(MESSAGES, 200);
  const quiet = await p99(healthy, messages);
  const hostile = stage.child<HostileCommands>(MODULE, "hostile clients");
  await hostile.call("attack", { port, connections: stage.scaled(HOSTILE, 400) });
  const times: number[] = [];
  for (let n = 0; n < NEWCOMERS; n++) {
    const fromMs = performance.now();
    const link = await open();
    times.push(performance.now() - fromMs);
    await link.close();
  }
  const { turnedAway, rejected, connections } = await server.call("stats");
  const all = [...Object.values(turnedAway), ...Object.values(rejected)].reduce((sum, n) => sum + n, 0);
  const median = (quantile(times, 0.5) ?? Infinity).toFixed(1);
  stage.row({
    what: "a new client is connected in",
    figure: quantile(times, 1) ?? Infinity,
    bound: 1_000,
    unit: "ms",
    note: `median ${median} ms; ${await hostile.call("opened")} hostile ones, ${all} turned away or rejected`,
  });
  stage.row({ what: "connections", figure: connections.open, bound: 1.1 * CONNECTIONS, unit: "" });
  stage.row({
    what: "round trip, 99th percentile",
    figure: await p99(healthy, messages),
    bound: 3 * Math.max(LEAST_QUIET_MS, quiet),
    unit: "ms",
    note: `${quiet.toFixed(2)} ms when it is quiet`,
  });
}
