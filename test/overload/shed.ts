/** A part of very many links is shed, and comes back; and a dry run of the same. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Link, StateChange } from "../../src/index.ts";
import { NONE, type OverloadScenario, type OverloadStage, told } from "./stage.ts";

const SHED_HIGH = { low: 19.99, high: 20, critical: 20, fallsBy: 0.001, actions: ["shed"] } as const;
const WINDOW_MS = 100;
/** A timer of Node's may fire within the millisecond before its time. */
const TIMER_MS = 1;

export const SHED: readonly OverloadScenario[] = [
  { name: "shed", about: "a tenth of 10,000 links is shed, a hundredth a second", run: shed },
  { name: "dry run", about: "a resource that stays high, for real and as a dry run", run: dryRun },
];

async function shed(stage: OverloadStage): Promise<void> {
  const number = stage.scaled(10_000, 300);
  const { server, port } = await stage.serve({
    server: {
      resources: NONE,
      resumeForMs: stage.scaled(300_000, 4_000),
      limits: { connections: 20_000, opensPerSecond: 100_000, sessions: 20_000 },
    },
    level: SHED_HIGH,
  });
  const links = await stage.clients(port, number);
  const sessions = links.map(({ sessionId }) => sessionId);
  const comeBacks = links.map(comeBack);
  const most = Math.ceil(number / 10);
  await server.call("setLevel", 25);
  while (shedOf(comeBacks) < most) await sleep(50);
  await server.call("setLevel", 0);
  await sleep(200);
  const were = comeBacks.filter(({ toldMs }) => toldMs > 0);
  while (were.some(({ backMs }) => backMs === 0)) await sleep(100);
  const early = were.filter(({ dialledMs, shedMs, toldMs }) => dialledMs - shedMs < toldMs - TIMER_MS);
  const lost = links.filter((link, n) => link.sessionId !== sessions[n] || link.state === "closed");
  const busiest = busiestWindow(were.map(({ dialledMs }) => dialledMs));
  stage.row({
    what: "dials in the busiest 100 ms",
    figure: (100 * busiest) / were.length,
    bound: Math.max(3, 300 / were.length),
    unit: "%",
    note: `${were.length} links shed`,
  });
  stage.row({ what: "dialled before they were asked to", figure: early.length, bound: 0, unit: "" });
  stage.row({ what: "sessions lost", figure: lost.length, bound: 0, unit: "" });
}

interface ComeBack {
  shedMs: number;
  toldMs: number;
  dialledMs: number;
  backMs: number;
}

function comeBack(link: Link): ComeBack {
  const seen: ComeBack = { shedMs: 0, toldMs: 0, dialledMs: 0, backMs: 0 };
  link.on("state", (change: StateChange) => {
    const nowMs = performance.now();
    if (change.to === "reconnecting" && seen.toldMs === 0) {
      seen.shedMs = nowMs;
      seen.toldMs = change.error?.retryAfterMs ?? 0;
    } else if (change.to === "connecting" && seen.dialledMs === 0) seen.dialledMs = nowMs;
    else if (change.to === "connected" && seen.toldMs > 0) seen.backMs = nowMs;
  });
  return seen;
}

function shedOf(comeBacks: readonly ComeBack[]): number {
  return comeBacks.filter(({ toldMs }) => toldMs > 0).length;
}

function busiestWindow(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return Math.max(
    0,
    ...sorted
      .map((from, n) => sorted.slice(n).findIndex((ms) => ms >= from + WINDOW_MS))
      .map((length, n) => (length < 0 ? sorted.length - n : length)),
  );
}

async function dryRun(stage: OverloadStage): Promise<void> {
  const sequences: string[] = [];
  let touched = 0;
  for (const isDry of [false, true]) {
    const { server, port } = await stage.serve({
      server: { resources: NONE, dryRun: isDry },
      level: { low: 10, high: 20, actions: ["read-less", "refuse-sessions", "shed"] },
    });
    const links = await stage.clients(port, 50);
    let changes = 0;
    for (const link of links) link.on("state", () => void changes++);
    await server.call("setLevel", 25);
    await sleep(6_000);
    sequences.push(told(await server.call("reports")));
    const { refused, shed: wereShed } = await server.call("stats");
    if (isDry) touched = changes + Object.keys(refused).length + Object.keys(wereShed).length;
  }
  const [real, dry] = sequences;
  stage.row({
    what: "sequences that differ",
    figure: real === dry ? 0 : 1,
    bound: 0,
    unit: "",
    note: `${real} | ${dry}`,
  });
  stage.row({ what: "connections touched", figure: touched, bound: 0, unit: "" });
}
