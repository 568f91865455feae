import { describe, expect, test } from "vitest";
import { interleaved, Race, type RacePlan } from "../../src/io/race.ts";
import { ManualClock } from "../support.ts";

/** A race whose addresses answer when the test says so, and what was done when, as "250 b". */
function begin(given: Partial<RacePlan>) {
  const clock = new ManualClock(0);
  const done: string[] = [];
  const answers = new Map<string, { connected: (connection: string) => void; failed: (error: Error) => void }>();
  const plan = { order: ["a", "b", "c"], reserve: [], aloneMs: 0, ...given };
  const race = new Race<string>(plan, clock, (address, connected, failed) => {
    done.push(`${clock.now()} ${address}`);
    answers.set(address, { connected, failed });
    return () => done.push(`${clock.now()} not ${address}`);
  });
  const result = race.run();
  result.catch(() => {});
  const connect = (address: string): void => answers.get(address)?.connected(`to ${address}`);
  const fail = (address: string): void => answers.get(address)?.failed(new Error(`${address} says no`));
  return { clock, done, race, result, connect, fail };
}

describe("which address is dialled when", () => {
  test("the next after 250 ms, beside those before it: the first connection takes the others back", async () => {
    const { clock, done, result, connect } = begin({});
    clock.pass(249);
    expect(done).toEqual(["0 a"]);
    clock.pass(1);
    expect(done).toEqual(["0 a", "250 b"]);
    clock.pass(150);
    // The slow one wins all the same.
    connect("a");
    expect(await result).toEqual({ address: "a", connection: "to a" });
    clock.pass(10_000);
    expect(done).toEqual(["0 a", "250 b", "400 not b"]);
  });

  test("silent addresses are never given up for others", () => {
    const { clock, done } = begin({});
    clock.pass(250);
    clock.pass(250);
    clock.pass(60_000);
    expect(done).toEqual(["0 a", "250 b", "500 c"]);
  });

  test("at once after one that fails, and then 250 ms after that", () => {
    const { clock, done, fail } = begin({ order: ["a", "b", "c", "d"] });
    clock.pass(100);
    fail("a");
    clock.pass(249);
    expect(done).toEqual(["0 a", "100 b"]);
    clock.pass(1);
    expect(done).toEqual(["0 a", "100 b", "350 c"]);
    fail("b");
    expect(done).toEqual(["0 a", "100 b", "350 c", "350 d"]);
  });

  test("the first one is alone for as long as it is given, unless it fails", () => {
    const patient = begin({ aloneMs: 1_000 });
    patient.clock.pass(999);
    expect(patient.done).toEqual(["0 a"]);
    patient.clock.pass(1);
    patient.clock.pass(250);
    expect(patient.done).toEqual(["0 a", "1000 b", "1250 c"]);
    const refused = begin({ aloneMs: 1_000 });
    refused.clock.pass(10);
    refused.fail("a");
    refused.clock.pass(250);
    expect(refused.done).toEqual(["0 a", "10 b", "260 c"]);
  });

  test("those in reserve only when all others have failed", async () => {
    const { clock, done, result, connect, fail } = begin({ order: ["a", "b"], reserve: ["x", "y"] });
    clock.pass(250);
    fail("a");
    clock.pass(10_000);
    expect(done).toEqual(["0 a", "250 b"]);
    fail("b");
    expect(done.at(-1)).toBe("10250 x");
    clock.pass(250);
    connect("y");
    expect(await result).toMatchObject({ address: "y" });
    expect(done.slice(2)).toEqual(["10250 x", "10500 y", "10500 not x"]);
  });

  test("at most eight", async () => {
    const order = Array.from("abcdefghijkl");
    const { done, result, fail } = begin({ order, reserve: ["x"] });
    for (const address of order.slice(0, 7)) fail(address);
    expect(done.length).toBe(8);
    fail("h");
    expect(await result).toBeUndefined();
    expect(done.length).toBe(8);
  });

  test("when all have failed, what each has said", async () => {
    const { clock, race, result, fail } = begin({ order: ["a", "b"] });
    fail("a");
    fail("b");
    expect(await result).toBeUndefined();
    expect(clock.isAwaited).toBe(false);
    expect(race.said.map(({ address, error }) => [address, error?.message])).toEqual([
      ["a", "a says no"],
      ["b", "b says no"],
    ]);
  });

  test("one that is stopped takes all back, and what was not answered is known", async () => {
    const { clock, done, race, result, fail } = begin({});
    clock.pass(250);
    fail("a");
    race.stop(new Error("too late"));
    await expect(result).rejects.toThrow("too late");
    clock.pass(10_000);
    expect(done).toEqual(["0 a", "250 b", "250 c", "250 not b", "250 not c"]);
    expect(race.said.map(({ address, error }) => [address, error?.message])).toEqual([
      ["a", "a says no"],
      ["b", undefined],
      ["c", undefined],
    ]);
  });
});

test.each<[string[], string[]]>([
  [
    ["::1", "::2", "::3", "127.0.0.1", "127.0.0.2"],
    ["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"],
  ],
  [
    ["127.0.0.1", "127.0.0.2", "::1"],
    ["127.0.0.1", "::1", "127.0.0.2"],
  ],
  [["::1"], ["::1"]],
  [[], []],
])("the families of %j take turns, the first one first", (addresses, inTurn) => {
  expect(interleaved(addresses)).toEqual(inTurn);
});
