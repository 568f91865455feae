/**
 * A server process with 10,000 links is killed, and another one listens on its port. All clients come at once, and both
 * ends have their default limits: the server lets in as many as it says, and tells the others when to come back.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { descriptors } from "../../src/server/descriptors.ts";
import { resolveServerOptions } from "../../src/server/options.ts";
import { claimPort } from "../../src/testing/port-claim.ts";
import type { Child } from "../endurance/child.ts";
import { Missing } from "../endurance/suite.ts";
import type { CrowdCommands, Recovered } from "./crowd.ts";
import type { RestartCommands } from "./restart-server.ts";
import { type OverloadScenario, type OverloadStage, told } from "./stage.ts";

const LINKS = 10_000;
const CROWDS = 2;
/** Of each crowd. All managers together may dial 4,000 times a second, eight times as often as sessions are opened. */
const MANAGERS = 10;
const AWAY_MS = 1_000;
const DELAY_MS = 100;
/** A client that is refused because of an overload is told to come back within this time. */
const OVERLOADED_MS = 10_000;
/** The default of a machine that has memory for so many. */
const SESSIONS = { sessions: 2 * LINKS } as const;
/** For the server that is killed: how its clients were let in is not what is shown. */
const LIFTED = { ...SESSIONS, opensPerSecond: 100_000, handshakes: LINKS } as const;
/** With more of its descriptors in use a server counts as short of them. */
const DESCRIPTORS_PART = 0.8;

export const RESTART: readonly OverloadScenario[] = [
  { name: "restart", about: "10,000 links whose server is killed, and started again a second later", run: restart },
];

async function restart(stage: OverloadStage): Promise<void> {
  const each = stage.scaled(LINKS / CROWDS, MANAGERS);
  checkDescriptors(CROWDS * each);
  const claim = await claimPort();
  stage.onClose(() => claim.release());
  const { port } = claim;
  const old = await serve(stage, { port, limits: LIFTED });
  const crowds = Array.from({ length: CROWDS }, (_, n) =>
    stage.child<CrowdCommands>(new URL("crowd.ts", import.meta.url), `crowd ${n}`),
  );
  await Promise.all(crowds.map((crowd) => crowd.call("dial", { port, number: each, managers: MANAGERS, options: {} })));
  await Promise.all(crowds.map((crowd) => crowd.call("allConnected")));
  await Promise.all(crowds.map((crowd) => crowd.call("failures")));

  await old.stop();
  await sleep(AWAY_MS);
  const server = await serve(stage, { port, limits: SESSIONS });
  const beganMs = performance.now();
  const recovered = await Promise.all(crowds.map((crowd) => crowd.call("recovered")));
  await server.call("opened", CROWDS * each);
  const backMs = performance.now() - beganMs;
  showLinks(stage, CROWDS * each, recovered);
  await showServer(stage, CROWDS * each, server, backMs);
  showFailures(stage, await Promise.all(crowds.map((crowd) => crowd.call("failures"))));
}

async function serve(
  stage: OverloadStage,
  options: Parameters<RestartCommands["listen"]>[0],
): Promise<Child<RestartCommands>> {
  const server = stage.child<RestartCommands>(new URL("restart-server.ts", import.meta.url), "server");
  await server.call("listen", options);
  return server;
}

function checkDescriptors(number: number): void {
  const limit = descriptors()?.limit ?? Infinity;
  if (number > DESCRIPTORS_PART * limit)
    throw new Missing(`${number} connections are too many for ${limit} descriptors (ulimit -n)`);
}

function showLinks(stage: OverloadStage, number: number, recovered: readonly Recovered[]): void {
  const sum = (what: keyof Recovered): number => recovered.reduce((all, each) => all + each[what], 0);
  stage.row({ what: "links that are back", figure: sum("connected"), bound: number, is: "at least", unit: "" });
  stage.row({ what: "sessions lost, and not told so", figure: number - sum("told"), bound: 0, unit: "" });
  stage.row({ what: "links that have ended", figure: sum("ended"), bound: 0, unit: "" });
}

async function showServer(
  stage: OverloadStage,
  number: number,
  server: Child<RestartCommands>,
  backMs: number,
): Promise<void> {
  const { acceptsPerSecond, opensPerSecond } = resolveServerOptions({}).limits;
  const { accepts, opens, turnedAway, reports, p99Ms, ofMoments } = await server.call("figures");
  // All links are back. If fewer were counted, the figure says nothing.
  if (accepts.all < number) throw new Error(`${accepts.all} accepts were counted of ${number} links`);
  stage.row({
    what: "accepts in the busiest second",
    figure: accepts.inSecond,
    bound: acceptsPerSecond,
    unit: "",
    note: `of ${accepts.all}; turned away ${JSON.stringify(turnedAway)}`,
  });
  // A server that has just begun has the budget of a second. A handler may run some time after its client was let in.
  const budget = (seconds: number): number => 1.1 * (seconds + 1) * opensPerSecond;
  stage.row({ what: "opens in the busiest second", figure: opens.inSecond, bound: budget(1), unit: "" });
  stage.row({ what: "opens in the busiest ten seconds", figure: opens.inTenSeconds, bound: budget(10), unit: "" });
  const moments = `${ofMoments.p99Ms.toFixed(0)} ms, the longest ${ofMoments.maxMs.toFixed(0)} ms`;
  stage.row({
    what: "p99 of the loop's delay",
    figure: p99Ms,
    bound: DELAY_MS,
    unit: "ms",
    note: `of moments at random ${moments}; ${told(reports) || "no overload"}`,
  });
  const bound = (2_000 * number) / opensPerSecond + OVERLOADED_MS;
  stage.row({ what: "all are back after", figure: backMs, bound, unit: "ms" });
}

function showFailures(stage: OverloadStage, failures: ReadonlyArray<Record<string, number>>): void {
  const all: Record<string, number> = {};
  for (const [code, times] of failures.flatMap((each) => Object.entries(each))) all[code] = (all[code] ?? 0) + times;
  const { "without a time": untimed = 0, ...codes } = all;
  stage.row({ what: "refusals without a time", figure: untimed, bound: 0, unit: "", note: JSON.stringify(codes) });
}
