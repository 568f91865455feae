import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { RESOURCES } from "../../src/core/overload/rules.ts";
import { resolveDrain } from "../../src/server/drain.ts";
import { resolveSuperviseOptions, SUPERVISE_LIMIT_NAMES, type SuperviseOptions } from "../../src/supervise/options.ts";
import { allowed } from "../examples/options.ts";
import { refusal } from "../support.ts";

test("the defaults", () => {
  const machine = { memoryBytes: 8_000, oldGenerationBytes: 1 };
  const { limits, timeouts, metricsIntervalMs, dryRun, resources } = resolveSuperviseOptions(
    {},
    () => ({ limit: 4_096, open: 20 }),
    machine,
  );
  expect(limits).toEqual({
    connections: 3_686,
    connectionsPerAddress: Infinity,
    handshakes: 1_000,
    acceptsPerSecond: 1_000,
    bufferBytes: 1_000,
  });
  expect([dryRun, [...resources.watched.keys()], resources.custom.size]).toEqual([false, Object.keys(RESOURCES), 0]);
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
    ["limits.bufferBytes", { limits: { bufferBytes: -1 } }],
    ["resources.haep", { resources: { haep: {} } }],
    ["resources.heap.actions", { resources: { heap: { actions: ["evict-waiting"] } } }],
    ["dryRun", { dryRun: 1 }],
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

test.each(["heap", "custom.jobs"])(
  "%s: an action that a supervised server does not have is refused, and why",
  (name) => {
    const rule = { low: 0.1, high: 0.2, actions: ["shed", "read-less"], read: () => 0 };
    const { read: _, ...heap } = rule;
    const resources = name === "heap" ? { heap } : { custom: { jobs: rule } };
    const { option } = refusal(() => resolveSuperviseOptions({ resources } as SuperviseOptions));
    expect(option).toMatchObject({ name: `resources.${name}.actions` });
    expect(option?.allowed).toMatch(/^close-idle, close-hopeless, .*Not this one, as the application reads/u);
  },
);

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
    "limits.bufferBytes": "an eighth of the memory",
    "timeouts.handshakeMs": number(timeouts.handshakeMs),
    "timeouts.writeStallMs": number(timeouts.writeStallMs),
    resources: "all",
    dryRun: "false",
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
