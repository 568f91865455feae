import { expect, test } from "vitest";
import { Connector, type DialledLink } from "../../src/client/connector.ts";
import { resolveOpenOptions } from "../../src/client/options.ts";
import { type OpenOptions, RespliceError, type Target } from "../../src/index.ts";
import type { DialOptions, Endpoint } from "../../src/io/dial.ts";
import type { RacePlan } from "../../src/io/race.ts";
import type { Connection } from "../../src/link/ports.ts";
import { failure, ManualClock } from "../support.ts";

const TERMS = { number: 1, patience: 1, signal: new AbortController().signal };
const [A, B] = ["10.0.0.1", "10.0.0.2"] as const;
const NAMED: Target = { host: "db.example", port: 7 };

/** The connector of a link whose dials find A and B, and connect to the first address of their plan. */
function connector(core: { sessionKnown: boolean; lastRttMs?: number }, given: Target & OpenOptions = NAMED) {
  const plans: RacePlan[] = [];
  const endpoints: Endpoint[] = [];
  const dials: DialOptions[] = [];
  let refuses = false;
  const dial = async (endpoint: Endpoint, options: DialOptions): Promise<Connection> => {
    endpoints.push(endpoint);
    dials.push(options);
    const plan = options.addresses.plan([A, B]);
    plans.push(plan);
    const [first = ""] = plan.order;
    options.addresses.dialled(first);
    if (refuses) {
      options.addresses.failed(first, new Error("refused"), false);
      throw new RespliceError("CONNECT_FAILED", "refused");
    }
    options.addresses.connected(first);
    return {} as Connection;
  };
  const link = {
    core,
    options: resolveOpenOptions(given),
    host: { clock: new ManualClock(0), dial, entropy: { random: () => 0 } },
  } as unknown as DialledLink;
  const refuse = (now: boolean): void => {
    refuses = now;
  };
  return { connector: new Connector(link), plans, endpoints, dials, refuse };
}

test("while a session is known, the address of the connection before is dialled alone for a while", async () => {
  const core = { sessionKnown: false, lastRttMs: 500 };
  const { connector: dialling, plans } = connector(core);
  const { place } = await dialling.open(TERMS);
  dialling.connected(place);
  await dialling.open(TERMS);
  core.sessionKnown = true;
  await dialling.open(TERMS);
  expect(plans).toEqual([
    { order: [A, B], reserve: [], aloneMs: 0 },
    { order: [A, B], reserve: [], aloneMs: 0 },
    { order: [A, B], reserve: [], aloneMs: 2_250 },
  ]);
});

test("an address that refused is dialled after the others, and the one that is connected stays the first", async () => {
  const { connector: dialling, plans, refuse } = connector({ sessionKnown: true });
  refuse(true);
  await failure(dialling.open(TERMS));
  refuse(false);
  const { place } = await dialling.open(TERMS);
  dialling.connected(place);
  await dialling.open(TERMS);
  expect(plans.slice(1)).toEqual([
    { order: [B], reserve: [A], aloneMs: 0 },
    { order: [B], reserve: [A], aloneMs: 1_250 },
  ]);
});

test("a server that has the session, and is overloaded, does not rest; one that has not does", async () => {
  const core = { sessionKnown: true };
  const { connector: dialling, plans } = connector(core);
  const { place } = await dialling.open(TERMS);
  dialling.failed(place, new RespliceError("OVERLOADED", "later"));
  await dialling.open(TERMS);
  core.sessionKnown = false;
  dialling.failed(place, new RespliceError("OVERLOADED", "later"));
  await dialling.open(TERMS);
  expect(plans.map(({ order }) => order)).toEqual([[A, B], [A, B], [B]]);
});

test("a server that goes away rests", async () => {
  const { connector: dialling, plans } = connector({ sessionKnown: true });
  dialling.connected((await dialling.open(TERMS)).place);
  dialling.moved();
  await dialling.open(TERMS);
  expect(plans[1]).toEqual({ order: [B], reserve: [A], aloneMs: 0 });
});

test("of several endpoints the one that has the session is dialled first, by whichever name", async () => {
  const core = { sessionKnown: false };
  const endpoints = [
    { host: "::1", port: 7 },
    { host: "[::2]", port: 7 },
  ];
  const {
    connector: dialling,
    endpoints: dialled,
    plans,
  } = connector(core, { endpoints, endpointOrder: "round-robin" });
  await dialling.open(TERMS);
  dialling.connected((await dialling.open(TERMS)).place);
  core.sessionKnown = true;
  await dialling.open(TERMS);
  await dialling.open(TERMS);
  expect(dialled).toEqual([endpoints[0], endpoints[1], endpoints[1], endpoints[1]]);
  expect(plans.at(-1)?.aloneMs).toBe(1_250);
});
