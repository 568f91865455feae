/** ab: many short connections, of which nothing is left. */
import { setTimeout as sleep } from "node:timers/promises";
import { installed } from "../../real/install.ts";
import { startNginx } from "../../real/nginx-server.ts";
import { cutRows, cutWay, toldCuts } from "./cut-rows.ts";
import { connectionsOf } from "./kernel-sockets.ts";
import { ran, reported, told } from "./programs.ts";
import type { TunnelScenario, TunnelStage, Way } from "./stage.ts";

const REQUESTS = 20_000;
/** Fill the tables that grow with use, and the spare links. */
const REQUESTS_BEFORE = 500;
const AT_ONCE = 50;
/** A near end keeps so many links open that carry nothing. */
const SPARES_MOST = 32;
const SETTLES_WITHIN_MS = 15_000;
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
  await run(REQUESTS_BEFORE);
  await settled(way, server.port);
  const before = await descriptors(way);
  const requests = stage.scaled(REQUESTS);
  const result = await run(requests);
  const cuts = await toldCuts(way);
  const left = await settled(way, server.port);
  const after = await descriptors(way);

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
    note: `of ${requests}, ${perSecond} a second, the slowest ${slowest} ms; ${cuts}`,
  });
  stage.row({ what: "connections left", figure: left, bound: 0, unit: "" });
  for (const end of ["near", "far"] as const) {
    stage.row({
      what: `descriptors of the ${end} end, more than before`,
      figure: after[end] - before[end],
      // The number of spares goes by how busy it was.
      bound: SPARES_MOST,
      unit: "",
      note: `${before[end]}, then ${after[end]}`,
    });
  }
}

async function descriptors({ near, far }: Way): Promise<Record<"near" | "far", number>> {
  return { near: await near.call("descriptors"), far: await far.call("descriptors") };
}

/** How many connections with the client or the server are left, at the latest after some time. */
async function settled({ port }: Way, target: number): Promise<number> {
  const untilMs = performance.now() + SETTLES_WITHIN_MS;
  for (;;) {
    const left = connectionsOf(port) + connectionsOf(target);
    if (left === 0 || performance.now() > untilMs) return left;
    await sleep(ASKED_EVERY_MS);
  }
}
