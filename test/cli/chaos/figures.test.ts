import { expect, test } from "vitest";
import { figuresOf } from "../../../src/cli/chaos/figures.ts";
import { FaultBook } from "../../../src/cli/demo/report.ts";
import type { Done } from "../../../src/cli/demo/run.ts";
import { strike } from "../demo/strikes.ts";
import { ABOUT, done } from "./runs.ts";

const MADE = new Date("2026-11-29T00:00:00Z");

test("a fault has the longest gap of those that its time touches", () => {
  const book = new FaultBook();
  // From 2,000 to 2,100, and from 3,000 to 3,100.
  book.made(strike({ kind: "rst" }, 50, 2_000));
  book.made(strike({ kind: "latency", holdMs: 1, delayMs: 1, jitterMs: 0 }, undefined, 3_000));
  const gaps = [
    { fromMs: 1_900, ms: 100 },
    { fromMs: 1_990, ms: 30 },
    { fromMs: 2_050, ms: 80 },
    { fromMs: 2_100, ms: 900 },
  ];
  const { faults, kinds, longestGapMs } = figuresOf(done({ book, gaps }), ABOUT, MADE);
  expect(faults).toEqual([
    { kind: "rst", text: "rst", atMs: 1_000, overMs: 1_100, outcome: "recovered", recoveryMs: 50, gapMs: 80 },
    expect.objectContaining({ kind: "latency", outcome: "never-stopped", recoveryMs: null, gapMs: 0 }) as unknown,
  ]);
  expect(longestGapMs).toBe(900);
  expect(kinds).toEqual([
    {
      kind: "rst",
      times: 1,
      failed: 0,
      recoveryMs: { p50: 50, p99: 50, max: 50 },
      gapMs: { p50: 80, p99: 80, max: 80 },
    },
    {
      kind: "latency",
      times: 1,
      failed: 0,
      recoveryMs: { p50: null, p99: null, max: null },
      gapMs: { p50: 0, p99: 0, max: 0 },
    },
  ]);
});

test("throughput is the messages between two samples, from when the first had arrived", () => {
  const samples = [-50, 100, 200, 400].map((ms) => ({ atMs: 1_000 + ms, count: 2 * ms }));
  expect(figuresOf(done({ samples }), ABOUT, MADE).throughput).toEqual([
    { atMs: 200, perSecond: 2_000 },
    { atMs: 400, perSecond: 2_000 },
  ]);
});

test("of many samples there are at most 500 points, which count all messages", () => {
  const samples: Done["samples"] = Array.from({ length: 1_999 }, (_, at) => ({
    atMs: 1_000 + 100 * at,
    count: 50 * at,
  }));
  const { throughput } = figuresOf(done({ samples }), ABOUT, MADE);
  expect(throughput.length).toBeGreaterThan(400);
  expect(throughput.length).toBeLessThanOrEqual(500);
  expect(new Set(throughput.map(({ perSecond }) => perSecond))).toEqual(new Set([500]));
});

test("a run in which nothing happened has figures", () => {
  expect(figuresOf(done({}), ABOUT, MADE)).toMatchObject({
    longestGapMs: 0,
    leastGapMs: 20,
    faults: [],
    kinds: [],
    throughput: [],
  });
});

test("a fault without a recovery is among them, and what an end that is gone had counted is not known", () => {
  const book = new FaultBook();
  book.made({ ...strike({ kind: "stall", holdMs: 1 }), outcome: "none" });
  const all = done({ book, errors: ["no recovery"] });
  const ends = { ...all.ends, counted: undefined, gaps: undefined };
  const figures = figuresOf({ ...all, ends, result: book.result(ends, 7) }, ABOUT, MADE);
  expect(figures).toMatchObject({
    sent: null,
    lost: null,
    longestGapMs: null,
    leastGapMs: null,
    errors: ["no recovery"],
  });
  expect(figures.faults).toMatchObject([{ outcome: "none", recoveryMs: null, gapMs: null }]);
  expect(figures.kinds).toMatchObject([{ kind: "stall", times: 1, failed: 1 }]);
});

test("the traffic of other programs has bytes and connections", () => {
  const all = done({});
  const passed = { bytes: { "to-server": 1, "to-client": 2 }, connections: 3 };
  expect(figuresOf({ ...all, ends: { ...all.ends, passed } }, { ...ABOUT, to: "db:5432" }, MADE)).toMatchObject({
    to: "db:5432",
    passed: { toServer: 1, toClient: 2, connections: 3 },
  });
});
