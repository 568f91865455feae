import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { resolveDrain, resolveSuperviseOptions, SUPERVISE_LIMIT_NAMES } from "../../src/supervise/options.ts";
import { allowed } from "../examples/options.ts";
import { refusal } from "../support.ts";

test("the defaults", () => {
  const { limits, timeouts, metricsIntervalMs } = resolveSuperviseOptions({}, () => ({ limit: 4_096, open: 20 }));
  expect(limits).toEqual({
    connections: 3_686,
    connectionsPerAddress: Infinity,
    handshakes: 1_000,
    acceptsPerSecond: 1_000,
  });
  expect({ ...timeouts, metricsIntervalMs }).toEqual({
    handshakeMs: 60_000,
    writeStallMs: 15_000,
    metricsIntervalMs: 60_000,
  });
  expect(resolveSuperviseOptions({}, () => undefined).limits.connections).toBe(10_000);
  expect(resolveSuperviseOptions({}, () => ({ limit: Infinity, open: 20 })).limits.connections).toBe(10_000);
  expect(resolveSuperviseOptions({ limits: { connections: 20 } }).limits.handshakes).toBe(10);
  expect(resolveDrain({})).toEqual({ deadlineMs: 5_000, readyDelayMs: 0 });
});

describe("refused", () => {
  test.each([
    ["nonsense", { nonsense: 1 }],
    ["limits.nonsense", { limits: { nonsense: 1 } }],
    ["limits", { limits: 7 }],
    ["limits.connections", { limits: { connections: 0 } }],
    ["limits.connectionsPerAddress", { limits: { connectionsPerAddress: 1.5 } }],
    ["limits.handshakes", { limits: { handshakes: Infinity } }],
    ["limits.acceptsPerSecond", { limits: { acceptsPerSecond: "9" } }],
    ["timeouts.nonsense", { timeouts: { nonsense: 1 } }],
    ["timeouts.handshakeMs", { timeouts: { handshakeMs: 0 } }],
    ["timeouts.writeStallMs", { timeouts: { writeStallMs: -1 } }],
    ["metricsIntervalMs", { metricsIntervalMs: NaN }],
    ["logger", { logger: {} }],
    ["onDrain", { onDrain: true }],
  ])("%s", (name, given) => {
    expect(refusal(() => resolveSuperviseOptions(given as object))).toMatchObject({
      code: "INVALID_OPTION",
      option: { name },
    });
  });

  test.each([
    ["deadlineMs", { deadlineMs: -1 }],
    ["readyDelayMs", { readyDelayMs: -1 }],
    ["readyDelayMs", { readyDelayMs: 5_001 }],
    ["signal", { signal: 1 }],
  ])("%s of close()", (name, given) => {
    expect(refusal(() => resolveDrain(given as object))).toMatchObject({ code: "INVALID_OPTION", option: { name } });
  });
});

test("docs/supervise.md has a row for each option, with its default", () => {
  const page = readFileSync(new URL("../../docs/supervise.md", import.meta.url), "utf8");
  const rows = new Map(
    Array.from(page.matchAll(/^\| `([\w.]+)` \| ([^|\n]+) \| [^|\n]{20,} \|$/gmu), ([, name = "", byDefault = ""]) => [
      name,
      byDefault.trim(),
    ]),
  );
  const { limits, timeouts, metricsIntervalMs } = resolveSuperviseOptions({ limits: { connections: 10_000 } });
  const number = (value: number): string => value.toLocaleString("en");
  expect(Object.fromEntries(rows)).toEqual({
    logger: "none",
    metricsIntervalMs: number(metricsIntervalMs),
    "limits.connections": "nine tenths of the descriptors",
    "limits.connectionsPerAddress": "Infinity",
    "limits.handshakes": number(limits.handshakes),
    "limits.acceptsPerSecond": number(limits.acceptsPerSecond),
    "timeouts.handshakeMs": number(timeouts.handshakeMs),
    "timeouts.writeStallMs": number(timeouts.writeStallMs),
    onDrain: "none",
    deadlineMs: number(resolveDrain({}).deadlineMs),
    readyDelayMs: "0",
    signal: "none",
  });
  const options = allowed((given) => resolveSuperviseOptions(given));
  const limitNames: readonly string[] = SUPERVISE_LIMIT_NAMES;
  expect(options.filter((name) => ![...rows.keys()].some((row) => row.split(".")[0] === name))).toEqual([]);
  expect(limitNames.filter((name) => !rows.has(`limits.${name}`))).toEqual([]);
});
