import { expect, test } from "vitest";
import type { Connector, DialledLink, Opened } from "../../src/client/connector.ts";
import { StandbyDial } from "../../src/client/standby-dial.ts";
import { RespliceError } from "../../src/index.ts";
import { ManualClock } from "../support.ts";

/** The dial of a standby that has 1,000 ms, and what becomes of it. */
function begin() {
  const clock = new ManualClock(0);
  const done: unknown[] = [];
  const dialling = Promise.withResolvers<Opened>();
  const link = {
    core: {
      standbyPatienceMs: 1_000,
      standbyDialFailed: (_: number, how: object) => done.push(how),
      standbyTimedOut: (id: number) => done.push(["timed out", id]),
    },
    driver: { run: () => {} },
    host: { clock, nextId: () => 3 },
  } as unknown as DialledLink;
  const connector = {
    open: () => dialling.promise,
    introduce: (id: number, role: string) => done.push(["introduce", id, role]),
  } as unknown as Connector;
  const dial = new StandbyDial(link, connector, () => done.push("leave"));
  dial.signal.addEventListener("abort", () => dialling.reject(dial.signal.reason as Error));
  return { dial, clock, done, opened: () => dialling.resolve({} as Opened), fail: dialling.reject };
}

test("what it opens is handed to the core, which hears when READY takes too long", async () => {
  const { dial, clock, done, opened } = begin();
  const run = dial.run();
  opened();
  await run;
  expect(done).toEqual([["introduce", 3, "standby"], "leave"]);
  clock.pass(1_000);
  expect(done).toEqual([["introduce", 3, "standby"], "leave", ["timed out", 3]]);
  expect(dial.isDialling).toBe(false);
});

test("one that has taken over waits for nothing", async () => {
  const { dial, clock, done, opened } = begin();
  const run = dial.run();
  opened();
  await run;
  dial.adopted();
  clock.pass(1_000);
  expect(done).toEqual([["introduce", 3, "standby"], "leave"]);
});

test("the core hears that it failed, and whether it took too long", async () => {
  const [refused, silent] = [begin(), begin()];
  refused.fail(new Error("ECONNREFUSED"));
  await refused.dial.run();
  expect(refused.done).toEqual([{ timedOut: false }, "leave"]);
  const run = silent.dial.run();
  expect(silent.dial.isDialling).toBe(true);
  silent.clock.pass(1_000);
  await run;
  expect(silent.done).toEqual([{ timedOut: true }, "leave"]);
  expect(silent.dial.isDialling).toBe(false);
});

test("the link's end takes back what is dialled, and leaves to the core what stands by", async () => {
  const ended = new RespliceError("LINK_ENDED", "the link has ended");
  const [dialling, standing] = [begin(), begin()];
  const run = dialling.dial.run();
  dialling.dial.abort(ended);
  await run;
  expect(dialling.dial.signal.reason).toBe(ended);
  const other = standing.dial.run();
  standing.opened();
  await other;
  standing.dial.abort(ended);
  standing.clock.pass(1_000);
  expect(standing.dial.signal.aborted).toBe(false);
  expect(standing.done).toEqual([["introduce", 3, "standby"], "leave"]);
});
