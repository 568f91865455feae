/** What the tunnel costs: beside a plain relay of two hops, in rounds that take turns. */
import { spread } from "../../../bench/statistics.ts";
import type { Child } from "../../endurance/child.ts";
import type { BesideServerCommands } from "./beside-server.ts";
import type { LoadCommands } from "./beside-load.ts";
import type { FarAwayCommands } from "./far-away.ts";
import type { TunnelScenario, TunnelStage, Way, WayOptions } from "./stage.ts";

const ROUNDS = 5;
const WARM_MS = 500;
const FIRST_MS = 1_500;
const MEASURED_MS = 3_000;
const AT_ONCE = 16;
const IDLE = 1_000;
/** The compilers are at work until so many were opened. What they leave behind, 10 to 40 MB, is no connection's. */
const IDLE_FIRST = 1_000;
const ONE_WAY_MS = 25;
const FIRST_BYTES = 20;
const FIRST_BYTES_EVERY_MS = 100;
const BURST = 1_000;
/** Somewhat more than what a connection may take of the CPU: a burst finds fewer spare links than it needs. */
const BURST_RATIO = 4;
const SIDES = ["tunnel", "relay"] as const;

type Kind = Parameters<BesideServerCommands["listen"]>[0];
type Side = (typeof SIDES)[number];
type Figures<Name extends string> = Record<Name, number>;
type Rounds<Name extends string> = Record<Side, Array<Figures<Name>>>;

export const BESIDE: readonly TunnelScenario[] = [
  besides("download", "bytes a second, with 1 and 8 connections", download),
  besides("round-trip", "64 bytes there and back, one after the other", roundTrip),
  besides("connections", "connections that are opened, say one byte, and are closed", connections),
  besides("idle", "memory of connections that are open and not used", idle),
  besides("first-byte", `from connecting to the first byte, at ${ONE_WAY_MS} ms each way`, firstByte),
  besides("burst", `${BURST} connections at the same moment`, burst),
];

/** With TLS, and without. */
function besides(
  name: string,
  about: string,
  run: (stage: TunnelStage, tls: boolean, load: Child<LoadCommands>) => Promise<void>,
): TunnelScenario {
  return {
    name: `beside-${name}`,
    about: `beside a plain relay: ${about}`,
    run: async (stage) => {
      const load = stage.worker<LoadCommands>(new URL("beside-load.ts", import.meta.url), "load");
      for (const tls of [true, false]) await run(stage, tls, load);
    },
  };
}

async function download(stage: TunnelStage, tls: boolean, load: Child<LoadCommands>): Promise<void> {
  const target = await serve(stage, "source");
  const ways = await bothWays(stage, { target, tls });
  for (const many of [1, 8]) {
    const measure = async (side: Side, forMs = MEASURED_MS): Promise<Figures<"rate" | "cpu">> => {
      const { port } = ways[side];
      const before = await cpuUs(ways[side]);
      const { mib, ms } = await load.call("download", { port, connections: many, warmMs: WARM_MS, forMs });
      const after = await cpuUs(ways[side]);
      return { rate: mib.measured / (ms / 1_000), cpu: (after.both - before.both) / mib.all };
    };
    const rounds = await inTurns(stage, measure, (side) => measure(side, FIRST_MS));
    const rate = compared(rounds, "rate", "MiB/s");
    const cpu = compared(rounds, "cpu", "µs");
    stage.row({
      what: `${many} connection${many === 1 ? "" : "s"}, ${said(tls)}: throughput`,
      ...rate,
      bound: 0.85,
      is: "at least",
      note: `${rate.note}; CPU of a MiB ${cpu.figure.toFixed(2)} x`,
    });
  }
}

async function roundTrip(stage: TunnelStage, tls: boolean, load: Child<LoadCommands>): Promise<void> {
  const target = await serve(stage, "echo");
  const ways = await bothWays(stage, { target, tls });
  const measure = (side: Side, forMs = MEASURED_MS): Promise<Figures<"p50" | "p99">> =>
    load.call("roundTrips", { port: ways[side].port, warmMs: WARM_MS, forMs });
  const rounds = await inTurns(stage, measure, (side) => measure(side, FIRST_MS));
  stage.row({ what: `round trip, ${said(tls)}: p50`, ...compared(rounds, "p50", "ms"), bound: 1.15 });
  stage.row({ what: `round trip, ${said(tls)}: p99`, ...compared(rounds, "p99", "ms"), bound: 1.5 });
}

async function connections(stage: TunnelStage, tls: boolean, load: Child<LoadCommands>): Promise<void> {
  const target = await serve(stage, "greeter");
  const ways = await bothWays(stage, { target, tls });
  const measure = async (side: Side, forMs = MEASURED_MS): Promise<Figures<"rate" | "near" | "far" | "both">> => {
    const before = await cpuUs(ways[side]);
    const { made, ms } = await load.call("connections", { port: ways[side].port, atOnce: AT_ONCE, forMs });
    const after = await cpuUs(ways[side]);
    const each = (end: "near" | "far" | "both"): number => (after[end] - before[end]) / made;
    return { rate: made / (ms / 1_000), near: each("near"), far: each("far"), both: each("both") };
  };
  const rounds = await inTurns(stage, measure, (side) => measure(side, FIRST_MS));
  stage.row({
    what: `connections, ${said(tls)}: in a second`,
    ...compared(rounds, "rate", ""),
    bound: 0.5,
    is: "at least",
  });
  const cpu = compared(rounds, "both", "µs");
  const ends = (["near", "far"] as const).map((end) => `${end} ${medianOf(rounds.tunnel, end)} µs`);
  stage.row({
    what: `connections, ${said(tls)}: CPU of each`,
    ...cpu,
    bound: 2.5,
    note: `${cpu.note}; of the tunnel ${ends.join(", ")}`,
  });
}

async function idle(stage: TunnelStage, tls: boolean, load: Child<LoadCommands>): Promise<void> {
  const target = await serve(stage, "echo");
  const rounds = await inTurns(stage, async (side) => {
    // Anew: memory that was used once stays the process's.
    const way = await wayOf(stage, side, { target, tls });
    await load.call("hold", { port: way.port, connections: IDLE_FIRST });
    const before = await restingBytes(way);
    await load.call("hold", { port: way.port, connections: IDLE });
    const after = await restingBytes(way);
    await load.call("release");
    await Promise.all([way.near.stop(), way.far.stop()]);
    return { kib: (after - before) / IDLE / 1_024 };
  });
  stage.row({ what: `an idle connection, ${said(tls)}: RSS`, ...compared(rounds, "kib", "KiB"), bound: 2 });
}

async function firstByte(stage: TunnelStage, tls: boolean, load: Child<LoadCommands>): Promise<void> {
  const path = stage.worker<FarAwayCommands>(new URL("far-away.ts", import.meta.url), "path");
  const open = (port: number): Promise<number> => path.call("open", { port, oneWayMs: ONE_WAY_MS });
  for (const speaks of [true, false]) {
    const target = await serve(stage, speaks ? "echo" : "greeter");
    const ways = await bothWays(stage, { target, tls, path: open });
    const times = stage.scaled(FIRST_BYTES, 5);
    const rounds = await inTurns(stage, async (side) => {
      const { port } = ways[side];
      return { ms: await load.call("firstByte", { port, times, everyMs: FIRST_BYTES_EVERY_MS, speaks }) };
    });
    stage.row({
      what: `first byte where the ${speaks ? "client" : "server"} speaks first, ${said(tls)}`,
      ...compared(rounds, "ms", "ms"),
      bound: 1.1,
    });
  }
}

async function burst(stage: TunnelStage, tls: boolean, load: Child<LoadCommands>): Promise<void> {
  const target = await serve(stage, "greeter");
  const failures: string[] = [];
  const rounds = await inTurns(stage, async (side) => {
    const { port, near, far } = await wayOf(stage, side, { target, tls });
    const { ms, failures: failed } = await load.call("burst", { port, connections: BURST });
    if (side === "tunnel") failures.push(...failed);
    await Promise.all([near.stop(), far.stop()]);
    return { ms };
  });
  const what = `${BURST} connections at once, ${said(tls)}`;
  stage.row({ what: `${what}: all answered`, ...compared(rounds, "ms", "ms"), bound: BURST_RATIO });
  stage.row({ what: `${what}: failed`, figure: failures.length, bound: 0, unit: "", note: failures[0] ?? "" });
}

function said(tls: boolean): string {
  return tls ? "TLS" : "no TLS";
}

/** The port of a server of this kind. */
async function serve(stage: TunnelStage, kind: Kind): Promise<number> {
  const server = stage.worker<BesideServerCommands>(new URL("beside-server.ts", import.meta.url), "server");
  return server.call("listen", kind);
}

function wayOf(stage: TunnelStage, side: Side, options: WayOptions): Promise<Way> {
  return side === "tunnel" ? stage.tunnel(options) : stage.plainRelay(options);
}

async function bothWays(stage: TunnelStage, options: WayOptions): Promise<Record<Side, Way>> {
  return { tunnel: await wayOf(stage, "tunnel", options), relay: await wayOf(stage, "relay", options) };
}

/**
 * Who comes first takes turns too. `warm` is called for each before, and does not count: the compilers are at work, and
 * buffers grow with use.
 */
async function inTurns<Name extends string>(
  stage: TunnelStage,
  measure: (side: Side) => Promise<Figures<Name>>,
  warm: (side: Side) => Promise<unknown> = async () => {},
): Promise<Rounds<Name>> {
  const rounds: Rounds<Name> = { tunnel: [], relay: [] };
  for (const side of SIDES) await warm(side);
  for (let round = 0; round < stage.scaled(ROUNDS); round++) {
    const turn = round % 2 === 0 ? SIDES : SIDES.toReversed();
    for (const side of turn) rounds[side].push(await measure(side));
  }
  return rounds;
}

/** The median of what each round says: the tunnel's figure as a multiple of the relay's. */
function compared<Name extends string>(
  rounds: Rounds<Name>,
  name: Name,
  unit: string,
): { figure: number; unit: string; note: string } {
  const ratios = rounds.tunnel.map((figures, round) => figures[name] / (rounds.relay[round]?.[name] ?? Number.NaN));
  const { median, min, max } = spread(ratios);
  const note = [
    `${min.toFixed(2)} to ${max.toFixed(2)} in ${ratios.length} rounds`,
    ...SIDES.map((side) => `${side} ${medianOf(rounds[side], name)} ${unit}`.trimEnd()),
  ].join("; ");
  return { figure: median, unit: "x", note };
}

function medianOf<Name extends string>(rounds: ReadonlyArray<Figures<Name>>, name: Name): string {
  const { median } = spread(rounds.map((figures) => figures[name]));
  return median < 100 ? median.toPrecision(3) : median.toFixed(0);
}

async function cpuUs(way: Way): Promise<Record<"near" | "far" | "both", number>> {
  const [near, far] = await Promise.all([way.near.call("cpuUs"), way.far.call("cpuUs")]);
  return { near, far, both: near + far };
}

/** Of both ends, without garbage. */
async function restingBytes({ near, far }: Way): Promise<number> {
  const bytes = await Promise.all([near.call("restingBytes"), far.call("restingBytes")]);
  return bytes[0] + bytes[1];
}
