/** How long one message takes: there and back while nothing else is under way, and as the first of a new link. */
import type { Crew } from "./crew.ts";
import type { RelayCommands } from "./relay-worker.ts";
import type { RoundTripCommands } from "./round-trip-worker.ts";
import type { Scenario } from "./scenario.ts";
import { median } from "./statistics.ts";

const P50 = "round trip, 64 B, one in flight, p50";
const P99 = "round trip, 64 B, one in flight, p99";
const FIRST = "first message on a new link, 100 ms away, answered after";

/** With so few messages a second V8 takes two seconds to compile what they run, and meanwhile some wait for its compiler. */
export const COMPILED_MS = 2_500;

/** Of the path to open links on, each way: enough that the timers of the relay do not matter. */
const LATENCY_MS = 50;
const OPENINGS = 8;

const exchange: Scenario = {
  name: "round trip",
  rows: [P50, P99],
  sides: ["ours", "reference"],
  async measure(side, crew, { seconds }) {
    const server = crew.start<RoundTripCommands>("round-trip-worker.ts", "server", { side });
    const client = crew.start<RoundTripCommands>("round-trip-worker.ts", "client", { side });
    const port = await server.call("listen");
    const { p50Us, p99Us } = await client.call("exchange", { port, warmUpMs: COMPILED_MS, ms: 1_000 * seconds });
    return { [P50]: p50Us, [P99]: p99Us };
  },
};

/** A raw socket's first message and its answer are one round trip: how many times that ours takes says the rest. */
const opening: Scenario = {
  name: FIRST,
  rows: [FIRST],
  sides: ["ours", "reference"],
  roundsMax: 3,
  async measure(side, crew) {
    const server = crew.start<RoundTripCommands>("round-trip-worker.ts", "server", { side });
    const client = crew.start<RoundTripCommands>("round-trip-worker.ts", "client", { side });
    const port = await path(crew, await server.call("listen"));
    const tookMs = await client.call("openings", { port, times: OPENINGS });
    return { [FIRST]: median(tookMs) };
  },
};

async function path(crew: Crew, port: number): Promise<number> {
  const relay = crew.start<RelayCommands>("relay-worker.ts", "relay", null);
  const [relayed] = await relay.call("open", { port, paths: 1, latencyMs: LATENCY_MS });
  return relayed as number;
}

export const roundTrip: readonly Scenario[] = [exchange, opening];
