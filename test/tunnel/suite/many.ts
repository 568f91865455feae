/** ab: many short connections, of which nothing is left. */
import { setTimeout as sleep } from "node:timers/promises";
import { installed } from "../../real/install.ts";
import { startNginx } from "../../real/nginx-server.ts";
import { cutRows, cutWay, rowOfCuts } from "./cut-rows.ts";
import { connectionsOf } from "./kernel-sockets.ts";
import { ran, reported, told } from "./programs.ts";
import type { TunnelScenario, TunnelStage, Way } from "./stage.ts";

const REQUESTS = 20_000;
const AT_ONCE = 50;
/** Links that carry nothing any more are kept for the next burst, and closed when none comes. */
const SETTLES_WITHIN_MS = 60_000;
const STEADY_MS = 2_000;
const ASKED_EVERY_MS = 100;
/** Seconds. A request of a connection that a black hole has swallowed takes some. */
const REQUEST_TIMEOUT = 60;

export const MANY: readonly TunnelScenario[] = [
  ...cutRows("ab", `ab -n ${REQUESTS} -c ${AT_ONCE} without keep-alive, to nginx: no descriptor is left`, ab),
];

async function ab(stage: TunnelStage, tls: boolean): Promise<void> {
  const command = installed("ab", "apache2-utils");
  const server = await startNginx(stage, {
    http: ["access_log off;"],
    server: ['location / { return 200 "an answer"; }'],
  });
  const way = await cutWay(stage, { target: server.port, tls });
  const options = ["-q", "-r", "-s", `${REQUEST_TIMEOUT}`, "-c", `${AT_ONCE}`];
  const run = (requests: number): ReturnType<typeof ran> =>
    ran(stage, command, [...options, "-n", `${requests}`, `http://127.0.0.1:${way.port}/`]);
  await run(1);
  const before = await steady(way);
  const requests = stage.scaled(REQUESTS);
  const result = await run(requests);
  await rowOfCuts(stage, way);

  const failed = reported(result.stdout, /Failed requests:\s+(\d+)/u);
  const complete = reported(result.stdout, /Complete requests:\s+(\d+)/u);
  const perSecond = Math.round(reported(result.stdout, /Requests per second:\s+([\d.]+)/u));
  const slowest = reported(result.stdout, /100%\s+(\d+)/u);
  stage.row({ what: "exit code", figure: result.code ?? Infinity, bound: 0, unit: "", note: told(result) });
  stage.row({
    what: "requests that failed",
    figure: failed + requests - complete,
    bound: 0,
    unit: "",
    note: `of ${requests}, ${perSecond} a second, the slowest ${slowest} ms`,
  });
  const fromMs = performance.now();
  const left = await settled(way, server.port, before);
  const note = `after ${((performance.now() - fromMs) / 1_000).toFixed(0)} s`;
  stage.row({ what: "connections left", figure: left.connections, bound: 0, unit: "", note });
  for (const end of ["near", "far"] as const) {
    stage.row({
      what: `descriptors of the ${end} end, more than before`,
      figure: left[end] - before[end],
      bound: 0,
      unit: "",
      note: `${before[end]}, then ${left[end]}`,
    });
  }
}

interface Descriptors {
  near: number;
  far: number;
}

async function descriptors({ near, far }: Way): Promise<Descriptors> {
  return { near: await near.call("descriptors"), far: await far.call("descriptors") };
}

/** Once the links are open that are opened ahead. */
async function steady(way: Way): Promise<Descriptors> {
  for (let last = await descriptors(way); ;) {
    await sleep(STEADY_MS);
    const now = await descriptors(way);
    if (now.near === last.near && now.far === last.far) return now;
    last = now;
  }
}

/** What is left when no more is than before, or after some time. `connections`: those with clients and with the server. */
async function settled(way: Way, target: number, before: Descriptors): Promise<Descriptors & { connections: number }> {
  const untilMs = performance.now() + SETTLES_WITHIN_MS;
  for (;;) {
    const { near, far } = await descriptors(way);
    const connections = connectionsOf(way.port) + connectionsOf(target);
    const isOver = connections === 0 && near <= before.near && far <= before.far;
    if (isOver || performance.now() > untilMs) return { near, far, connections };
    await sleep(ASKED_EVERY_MS);
  }
}
