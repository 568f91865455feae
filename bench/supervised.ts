/** The cost of watching for overload: here the reference is resplice too, with a server that watches nothing. */
import type { RoundTripCommands } from "./round-trip-worker.ts";
import { COMPILED_MS } from "./round-trip.ts";
import type { Scenario } from "./scenario.ts";
import { converse } from "./throughput.ts";
import type { Traffic } from "./throughput-worker.ts";

const ONE_WAY = "supervised beside not, one way, 64 B";
const ROUND_TRIP = "supervised beside not, round trip, 64 B, p50";

export const supervised: readonly Scenario[] = [
  {
    name: ONE_WAY,
    rows: [ONE_WAY],
    sides: ["ours", "reference"],
    async measure(side, crew, { seconds }) {
      const traffic: Traffic = { side: "ours", bytes: 64, send: "copy", receive: "handler", bothWays: false };
      traffic.unwatched = side === "reference";
      return { [ONE_WAY]: (await converse(crew, traffic, seconds)).rate };
    },
  },
  {
    name: ROUND_TRIP,
    rows: [ROUND_TRIP],
    sides: ["ours", "reference"],
    async measure(side, crew, { seconds }) {
      const how = { side: "ours", unwatched: side === "reference" };
      const server = crew.start<RoundTripCommands>("round-trip-worker.ts", "server", how);
      const client = crew.start<RoundTripCommands>("round-trip-worker.ts", "client", how);
      const port = await server.call("listen");
      const { p50Us } = await client.call("exchange", { port, warmUpMs: COMPILED_MS, ms: 1_000 * seconds });
      return { [ROUND_TRIP]: p50Us };
    },
  },
];
