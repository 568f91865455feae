// The demo as it is run, and each of its parts that says something about what happened.
import { describe, expect, test } from "vitest";
import { FAULT_KINDS, FaultPlan, stopsMessages } from "../../../src/cli/demo/faults.ts";
import { decodeMessage, encodeMessage } from "../../../src/cli/demo/messages.ts";
import { Samples } from "../../../src/cli/demo/samples.ts";
import { Counter } from "../../../src/cli/demo/receiver.ts";
import {
  describe as describeResult,
  type DemoResult,
  FaultBook,
  isWhole,
  percentiles,
} from "../../../src/cli/demo/report.ts";
import { resplice } from "../support.ts";
import { strike } from "./strikes.ts";

describe("resplice demo", { timeout: 60_000 }, () => {
  test("loses, doubles and reorders nothing, and says so as JSON in its last line", async () => {
    const run = resplice(["demo", "--seconds", "4", "--json", "--seed", "5"]);
    expect(await run.exit).toBe(0);
    const result = lastLine(run.stdout());
    expect(result).toMatchObject({ lost: 0, doubled: 0, reordered: 0, seed: 5 });
    expect(result.received).toBe(result.sent);
    expect(result.sent).toBeGreaterThan(2_000);
    const kinds = Object.keys(result.faults);
    expect(kinds.length).toBeGreaterThanOrEqual(2);
    expect(FAULT_KINDS).toEqual(expect.arrayContaining(kinds));
    for (const kind of Object.keys(result.recoveryMs.byKind)) expect(kinds).toContain(kind);
    const { p50, p99, max } = result.recoveryMs;
    expect(p50).toBeGreaterThan(0);
    expect(p99).toBeGreaterThanOrEqual(p50 ?? 0);
    expect(max).toBeGreaterThanOrEqual(p99 ?? 0);
    // Stdout has nothing else; a line a fault is on stderr.
    expect(run.stdout().toString().trim().split("\n")).toHaveLength(1);
    expect(run.stderr()).toMatch(/recovered in \d+ ms/);
  });

  test("sends exactly as many messages as it is told", async () => {
    const run = resplice(["demo", "--messages", "700", "--seconds", "2", "--json"]);
    expect(await run.exit).toBe(0);
    expect(lastLine(run.stdout())).toMatchObject({ sent: 700, received: 700, lost: 0, doubled: 0, reordered: 0 });
  });

  test("is for people otherwise", async () => {
    const run = resplice(["demo", "--seconds", "1", "--seed", "9"]);
    expect(await run.exit).toBe(0);
    const text = run.stdout().toString();
    expect(text).toMatch(/through our own fault relay, seed 9\n/);
    expect(text).toMatch(/lost 0, doubled 0, reordered 0\n/);
    expect(text).not.toContain("\u001B"); // no terminal
  });

  test("Ctrl-C ends it early, with the result so far and 130; until then both processes have a page", async () => {
    const run = resplice(["demo", "--page", "--json"]);
    const [, sender = "", receiver = ""] = await run.says(/the sender, live: (\S+)\nthe receiver, live: (\S+)\n/u);
    for (const address of [sender, receiver]) expect(await (await fetch(address)).text()).toContain("page.js");
    await run.says(/recovered in|never stopped/);
    run.child.kill("SIGINT");
    expect(await run.exit).toBe(130);
    const result = lastLine(run.stdout());
    expect(result).toMatchObject({ lost: 0, doubled: 0, reordered: 0 });
    expect(result.sent).toBeGreaterThan(0);
  });

  test("its processes can't be started by hand", async () => {
    const run = resplice(["demo-sender"]);
    expect(await run.exit).toBe(1);
    expect(run.stderr()).toMatch(/only `resplice demo` starts this/);
  });
});

function lastLine(stdout: Buffer): DemoResult {
  return JSON.parse(stdout.toString().trim().split("\n").at(-1) ?? "") as DemoResult;
}

describe("the plan of faults", () => {
  test("is the same for the same seed, whether or not it is looked ahead", () => {
    const [one, other] = [new FaultPlan(7), new FaultPlan(7)];
    for (let step = 0; step < 100; step++) {
      one.nextEnding();
      expect(one.take()).toEqual(other.take());
    }
    expect(take(new FaultPlan(8), 20)).not.toEqual(take(new FaultPlan(7), 20));
  });

  test("has each kind once among the first eight, the slow ones last", () => {
    const kinds = take(new FaultPlan(1), 8).map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(FAULT_KINDS.toSorted());
    expect(kinds.slice(6).toSorted()).toEqual(["black-hole", "one-way-black-hole"]);
  });

  test("measures the first one-way hole: it is in the messages' way", () => {
    const hole = take(new FaultPlan(3), 8).find(({ kind }) => kind === "one-way-black-hole");
    expect(hole).toMatchObject({ direction: "to-server" });
    expect(hole !== undefined && stopsMessages(hole)).toBe(true);
  });

  test("knows what ends connections next", () => {
    const plan = new FaultPlan(11);
    for (let step = 0; step < 200; step++) {
      const expected = plan.nextEnding();
      let fault = plan.take().fault;
      while (fault.kind === "stall" || fault.kind === "latency") fault = plan.take().fault;
      expect(fault).toBe(expected);
    }
  });

  function take(plan: FaultPlan, count: number) {
    return Array.from({ length: count }, () => plan.take().fault);
  }
});

describe("the receiver's counter", () => {
  test("counts what is doubled and what is reordered, each number exactly", () => {
    const counter = new Counter();
    for (const number of [0, 1, 3, 2, 3, 3, 100_000, 5]) counter.count(encodeMessage(number, 0));
    expect(counter.tally).toMatchObject({ received: 8, distinct: 6, doubled: 2, reordered: 2 });
  });

  test("refuses what is no message", () => {
    expect(() => decodeMessage(Buffer.alloc(63))).toThrow(/not a message/);
    const mixed = encodeMessage(1, 0);
    mixed[63] = 9;
    expect(() => new Counter().count(mixed)).toThrow(/not a message/);
  });

  test("finds the first message sent since a time, in what has come and in what comes", () => {
    const counter = new Counter();
    const found: number[] = [];
    for (const sentMs of [10, 20, 30]) counter.count(encodeMessage(sentMs / 10, sentMs));
    counter.watch(15, (atMs) => found.push(atMs));
    expect(found).toHaveLength(1);
    counter.watch(35, (atMs) => found.push(atMs));
    counter.count(encodeMessage(4, 34));
    expect(found).toHaveLength(1);
    counter.count(encodeMessage(5, 35));
    expect(found).toHaveLength(2);
    expect(found[1]).toBeGreaterThanOrEqual(found[0] as number);
    counter.count(encodeMessage(6, 36));
    expect(found).toHaveLength(2);
  });
});

test("of too many samples every other one is let go, and those after them are as far apart", () => {
  const samples = new Samples();
  for (let at = 0; at < 10_000; at++) samples.add(100 * at, at);
  const { all } = samples;
  expect(all.length).toBeGreaterThan(1_000);
  expect(all.length).toBeLessThanOrEqual(2_000);
  expect(all[0]).toEqual({ atMs: 0, count: 0 });
  const distances = new Set(all.slice(1).map(({ count }, at) => count - (all[at]?.count ?? 0)));
  expect([...distances]).toEqual([8]);
});

test("of too many faults the last are kept, and all are counted", () => {
  const book = new FaultBook();
  for (let at = 0; at < 10_005; at++) book.made(strike({ kind: "rst" }, 1, at));
  expect(book.strikes).toHaveLength(10_000);
  expect(book.strikes[0]?.madeMs).toBe(5);
  expect(book.count("rst")).toBe(10_005);
});

describe("the result", () => {
  test("is whole only if nothing is lost, doubled or reordered", () => {
    const result = (received: number, distinct: number, doubled: number, reordered: number): DemoResult =>
      new FaultBook().result({ counted: { sent: 10, tally: { received, distinct, doubled, reordered } } }, 1);
    expect(result(10, 10, 0, 0)).toMatchObject({ lost: 0, doubled: 0, reordered: 0 });
    expect(isWhole(result(10, 10, 0, 0))).toBe(true);
    expect(isWhole(result(9, 9, 0, 0))).toBe(false);
    expect(isWhole(result(11, 10, 1, 0))).toBe(false);
    expect(isWhole(result(10, 10, 0, 1))).toBe(false);
    expect(result(10, 9, 1, 0).lost).toBe(1); // a double does not make up for a loss
  });

  test("counts faults by kind, and recoveries where there were any", () => {
    const book = new FaultBook();
    for (const ms of [10, 30, 20]) {
      book.made(strike({ kind: "rst" }, ms));
    }
    book.made(strike({ kind: "latency", holdMs: 1, delayMs: 1, jitterMs: 0 }));
    book.made(strike({ kind: "stall", holdMs: 1 }, 5));
    const result = book.result({ counted: undefined }, 1);
    expect(result.faults).toEqual({ rst: 3, stall: 1, latency: 1 });
    expect(result.recoveryMs).toEqual({
      p50: 10,
      p99: 30,
      max: 30,
      byKind: { rst: { p50: 20, p99: 30, max: 30 }, stall: { p50: 5, p99: 5, max: 5 } },
    });
    // Nothing was counted: an end is gone.
    expect(result).toMatchObject({ sent: null, lost: null });
    expect(isWhole(result)).toBe(true);
    expect(describeResult(result, "a test", 1_234)).not.toContain("lost");
    expect(describeResult(result, "a test", 1_234)).toMatch(/^rst +3 +20 ms +30 ms +30 ms$/m);
    expect(describeResult(result, "a test", 1_234)).toMatch(/^latency +1 +- +- +-$/m);
  });

  test("has percentiles by nearest rank", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentiles(hundred)).toEqual({ p50: 50, p99: 99, max: 100 });
    expect(percentiles([7.26])).toEqual({ p50: 7.3, p99: 7.3, max: 7.3 });
    expect(percentiles([])).toEqual({ p50: null, p99: null, max: null });
  });
});
