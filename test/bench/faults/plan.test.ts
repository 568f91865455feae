/** The nine faults, and how they are made again and again. */
import { expect, test } from "vitest";
import { type FaultDefinition, FAULTS, makeWhole, play } from "../../../bench/faults/plan.ts";

type Path = Parameters<FaultDefinition["make"]>[0];

/** Notes what is done to it. */
function notedPath(): { path: Path; calls: string[] } {
  const calls: string[] = [];
  const note =
    (name: string) =>
    (...args: unknown[]): void => {
      calls.push([name, ...args.map((arg) => JSON.stringify(arg))].join(" "));
    };
  const path = {
    cut: note("cut"),
    cutAfterBytes: note("cutAfterBytes"),
    blackHole: note("blackHole"),
    stall: note("stall"),
    latency: note("latency"),
    refuse: note("refuse"),
    heal: note("heal"),
  };
  return { path, calls };
}

test("nine faults with names of their own, each over before the next one", () => {
  expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(9);
  for (const { holdMs, everyMs, times } of FAULTS) {
    expect(holdMs).toBeLessThan(everyMs);
    expect(times).toBeGreaterThan(1);
  }
});

test("a one-way fault follows the messages, wherever its path is", () => {
  const made = (name: string, toReceiver: "to-server" | "to-client"): string[] => {
    const { path, calls } = notedPath();
    FAULTS.find((fault) => fault.name === name)?.make(path, { time: 1, toReceiver });
    return calls;
  };
  expect(made("black hole, to receiver", "to-client")).toEqual(['blackHole {"direction":"to-client"}']);
  expect(made("black hole, to sender", "to-client")).toEqual(['blackHole {"direction":"to-server"}']);
  expect(made("RST after bytes", "to-server")).toEqual(['cutAfterBytes 137 {"direction":"to-server"}']);
});

test("what lasts is healed each time, and the latency of a whole path is back; a cut leaves it as it is", async () => {
  const { path, calls } = notedPath();
  makeWhole(path);
  const [cut, refused] = [FAULTS[0], FAULTS[3]] as [FaultDefinition, FaultDefinition];
  await play(path, { ...cut, times: 2, everyMs: 1 }, "to-server");
  await play(path, { ...refused, times: 2, holdMs: 1, everyMs: 2 }, "to-server");
  const refusedOnce = ["refuse", 'cut "rst"', "heal", "latency 5"];
  expect(calls).toEqual(["heal", "latency 5", 'cut "fin"', 'cut "fin"', ...refusedOnce, ...refusedOnce]);
});
