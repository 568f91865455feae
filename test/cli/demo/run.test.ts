import net from "node:net";
import { once } from "node:events";
import { expect, onTestFinished, test, vi } from "vitest";
import { Schedule } from "../../../src/cli/chaos/schedule.ts";
import { type Done, runFaults } from "../../../src/cli/demo/run.ts";
import { Samples } from "../../../src/cli/demo/samples.ts";
import type { Traffic } from "../../../src/cli/demo/traffic.ts";

/** Traffic that arrives at once, to a server that is never dialled. */
async function traffic(changes: Partial<Traffic>): Promise<Traffic> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return {
    target: Promise.resolve({ host: "127.0.0.1", port: (server.address() as net.AddressInfo).port }),
    listenPort: 0,
    watch: undefined,
    live: undefined,
    beginning: () => Promise.resolve(undefined),
    beginsWithinMs: 1_000,
    samples: new Samples(),
    failed: new Promise(() => {}),
    exhausted: new Promise(() => {}),
    begin: () => Promise.resolve(),
    striking: () => {},
    isStoppedBy: () => true,
    arrivedSince: (sinceMs) => Promise.resolve(sinceMs + 5),
    flushed: () => Promise.resolve(),
    lost: () => new Promise(() => {}),
    finish: () => Promise.resolve({ counted: undefined, gaps: undefined, passed: undefined, errors: [] }),
    kill: () => {},
    ...changes,
  };
}

const TWO = [1, 2].map(() => ({ after: 0, kind: "rst" }));

async function run(
  changes: Partial<Traffic>,
  faults: readonly object[] = TWO,
): Promise<{ code: number; done: Done | undefined }> {
  const plan = Schedule.parse(JSON.stringify({ faults }));
  let done: Done | undefined;
  const rest = { seed: null, messages: undefined, seconds: 10, toxiproxy: false, json: true };
  const code = await runFaults({ ...rest, plan, traffic: await traffic(changes) }, (all) => {
    done = all;
  });
  return { code, done };
}

test("each fault is in the result", async () => {
  const { code, done } = await run({});
  expect(code).toBe(0);
  expect(done?.strikes.map(({ outcome }) => outcome)).toEqual([5, 5]);
  expect(done?.ends.errors).toEqual([]);
});

test("what the run fails at is the last fault, has no recovery, and is told", async () => {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  let strikes = 0;
  const { code, done } = await run({
    failed: failed.promise,
    striking: () => {
      if (++strikes === 2) failed.reject(new Error("the sender is gone"));
    },
    arrivedSince: (sinceMs) => (strikes === 2 ? new Promise(() => {}) : Promise.resolve(sinceMs)),
  });
  expect(code).toBe(1);
  expect(done?.strikes.map(({ outcome }) => outcome)).toEqual([0, "none"]);
  expect(done?.ends.errors).toEqual(["the sender is gone"]);
});

test("a run that fails between two faults is told of, too", async () => {
  const { code, done } = await run({ begin: () => Promise.reject(new Error("the receiver is gone")) });
  expect(code).toBe(1);
  expect(done?.strikes).toEqual([]);
  expect(done?.ends.errors).toEqual(["the receiver is gone"]);
});

test("nothing to measure with is no failure", async () => {
  const { code, done } = await run({ arrivedSince: () => Promise.resolve("idle") });
  expect(code).toBe(0);
  expect(done?.strikes.map(({ outcome }) => outcome)).toEqual(["not-measured", "not-measured"]);
});

test("a cut for which too few bytes pass has not been made, and the run goes on", async () => {
  const faults = [
    { after: 0, kind: "cut-after-bytes", bytes: 1_000 },
    { after: 0, kind: "fin" },
  ];
  const { code, done } = await run({ lost: () => Promise.resolve("idle") }, faults);
  expect(code).toBe(0);
  expect(done?.strikes.map(({ fault }) => fault.kind)).toEqual(["fin"]);
});

test("faults leave nothing behind at the promises that last as long as the run", async () => {
  const waits = async (count: number): Promise<number> => {
    const [failed, exhausted] = [new Promise<never>(() => {}), new Promise<void>(() => {})];
    const spies = [failed, exhausted].map((promise) => vi.spyOn(promise, "then"));
    await run(
      { failed, exhausted },
      Array.from({ length: count }, () => ({ after: 0, kind: "rst" })),
    );
    return spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  };
  expect(await waits(20)).toBe(await waits(1));
});
