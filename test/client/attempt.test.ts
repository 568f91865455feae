import { expect, test } from "vitest";
import { Attempt } from "../../src/client/attempt.ts";
import type { Connector, DialledLink, Opened } from "../../src/client/connector.ts";
import { DialGate } from "../../src/client/gate.ts";
import type { Place } from "../../src/client/place.ts";
import { resolveTarget } from "../../src/client/targets.ts";
import { RespliceError } from "../../src/index.ts";
import { failure, ManualClock } from "../support.ts";

const ENDED = new RespliceError("LINK_ENDED", "the link has ended");
const PLACE = {} as Place;

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An attempt whose connection is opened when the test says so, and all that it does to the link. */
function begin({ patience = 1, wantsDial = true } = {}) {
  const clock = new ManualClock(0);
  const gate = new DialGate(clock, 1, 1_000);
  const done: unknown[] = [];
  const dialling = Promise.withResolvers<Opened>();
  const link = {
    core: { wantsDial },
    driver: { drop: (id: number, reason: string) => done.push(["drop", id, reason]), run: () => {} },
    options: { target: resolveTarget({ port: 1 }), timeouts: { handshakeMs: 5_000 } },
    host: { clock, gate, nextId: () => 3 },
  } as unknown as DialledLink;
  const connector = {
    open: () => dialling.promise,
    introduce: (id: number, role: string) => done.push(["introduce", id, role]),
    failed: (place: unknown, error: RespliceError) => done.push(["failed", place, error.code]),
  } as unknown as Connector;
  const attempt = new Attempt(link, connector, { number: 1, patience });
  const open = async (): Promise<void> => {
    const connection = { destroy: () => done.push("destroy") } as unknown as Opened["connection"];
    dialling.resolve({ connection, place: PLACE, tls: false, credentials: Buffer.alloc(0) });
    await settled();
  };
  return { attempt, clock, gate, done, open, dialling };
}

test("resolves when the core has adopted its connection, and leaves nothing behind", async () => {
  const { attempt, clock, gate, done, open } = begin();
  const run = attempt.run();
  await open();
  expect(gate.inFlight).toBe(1);
  attempt.adopted();
  clock.pass(100_000);
  await run;
  expect(gate.inFlight).toBe(0);
  expect(attempt.signal.aborted).toBe(false);
  expect(attempt.place).toBe(PLACE);
  expect(done).toEqual([["introduce", 3, "primary"]]);
});

test("fails for the reason that the core gives", async () => {
  const { attempt, done, open } = begin();
  const run = attempt.run();
  await open();
  const refused = new RespliceError("OVERLOADED", "later");
  attempt.failed(refused);
  expect(await failure(run)).toBe(refused);
  expect(done).toEqual([
    ["introduce", 3, "primary"],
    ["failed", PLACE, "OVERLOADED"],
  ]);
});

test.each([
  [1, 5_000],
  [4, 20_000],
])("a handshake that takes too long is given up: with a patience of %i after %i ms", async (patience, ms) => {
  const { attempt, clock, done, open } = begin({ patience });
  const run = attempt.run();
  await open();
  clock.pass(ms - 1);
  expect(attempt.signal.aborted).toBe(false);
  clock.pass(1);
  // The core says of a connection that was dropped that it is lost.
  attempt.failed(new RespliceError("CONNECTION_LOST", "lost"));
  expect(await failure(run)).toMatchObject({ code: "TIMED_OUT", message: `the handshake took more than ${ms} ms` });
  expect(done).toContainEqual(["drop", 3, "TIMED_OUT"]);
});

test("all of it has a deadline, which its functions and its dial hear of", async () => {
  const { attempt, clock, dialling } = begin();
  attempt.signal.addEventListener("abort", () => dialling.reject(attempt.signal.reason as Error));
  const run = attempt.run();
  await settled();
  clock.pass(20_000);
  expect(await failure(run)).toMatchObject({ code: "TIMED_OUT", message: "the attempt took more than 20000 ms" });
});

test("one that is aborted in the gate gives its place up", async () => {
  const { attempt, gate } = begin();
  const leave = await gate.enter("a", new AbortController().signal);
  const run = attempt.run();
  attempt.abort(ENDED);
  expect(await failure(run)).toBe(ENDED);
  leave();
  expect(gate.inFlight).toBe(0);
});

test("a connection that comes when none is wanted any more is destroyed", async () => {
  const { attempt, done, open } = begin({ wantsDial: false });
  const failed = failure(attempt.run());
  await open();
  expect(await failed).toMatchObject({ code: "CONNECTION_LOST" });
  expect(done).toEqual(["destroy", ["failed", PLACE, "CONNECTION_LOST"]]);
});

test("a connection that comes when the attempt was taken back is destroyed, and the attempt fails for that reason", async () => {
  const { attempt, done, open } = begin();
  const failed = failure(attempt.run());
  await settled();
  attempt.abort(ENDED);
  await open();
  expect(await failed).toBe(ENDED);
  expect(done).toEqual([["drop", 3, "LINK_ENDED"], "destroy", ["failed", PLACE, "LINK_ENDED"]]);
});
