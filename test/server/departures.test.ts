import { expect, test } from "vitest";
import { Departures } from "../../src/server/departures.ts";
import { VirtualTime } from "../../src/testing/virtual-time.ts";

/** Places are taken at the end of their gaps. */
function setUp() {
  const clock = new VirtualTime();
  const left: Array<[name: string, atMs: number]> = [];
  const departures = new Departures<string>({
    clock,
    random: () => 0,
    sendAway: (name) => left.push([name, clock.nowMs]),
  });
  return { clock, left, departures };
}

test("the first leaves at once, the others each in their turn", async () => {
  const { clock, left, departures } = setUp();
  departures.begin(["a", "b", "c", "d"], 100);
  expect(left).toEqual([["a", 0]]);
  expect([departures.has("a"), departures.has("b")]).toEqual([false, true]);
  await clock.advance(60);
  expect(left).toEqual([
    ["a", 0],
    ["b", 25],
    ["c", 50],
  ]);
  await clock.advance(1_000);
  expect(left.at(-1)).toEqual(["d", 75]);
  expect(left).toHaveLength(4);
});

test("one that has ended before its turn is not sent away, and nobody waits in its place", async () => {
  const { clock, left, departures } = setUp();
  departures.begin(["a", "b", "c"], 90);
  departures.delete("b");
  await clock.advance(1_000);
  expect(left).toEqual([
    ["a", 0],
    ["c", 30],
  ]);
});

test("in a hurry all leave at once", async () => {
  const { clock, left, departures } = setUp();
  departures.begin(["a", "b", "c"], 90);
  await clock.advance(10);
  departures.hurry();
  expect(left).toEqual([
    ["a", 0],
    ["b", 10],
    ["c", 10],
  ]);
  await clock.advance(1_000);
  expect(left).toHaveLength(3);
});

test("without time all leave at once", () => {
  const { left, departures } = setUp();
  departures.begin(["a", "b", "c"], 0);
  expect(left).toHaveLength(3);
});

test("stopped, nobody leaves any more", async () => {
  const { clock, left, departures } = setUp();
  departures.begin(["a", "b"], 90);
  departures.stop();
  await clock.advance(1_000);
  expect(left).toEqual([["a", 0]]);
});
