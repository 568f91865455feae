import { expect, test } from "vitest";
import { MetricsLine } from "../../src/supervise/metrics-line.ts";
import type { SupervisedStats } from "../../src/supervise/stats.ts";
import { Journal } from "../../src/telemetry/journal.ts";
import type { TelemetryRecord } from "../../src/telemetry/record.ts";

test("counts are those since the line before", () => {
  const records: TelemetryRecord[] = [];
  const journal = new Journal();
  journal.subscribe((record) => records.push(record));
  let nowMs = 0;
  const stats: SupervisedStats = {
    state: "open",
    connections: { open: 3, handshaking: 1, idle: 1, opaque: 1, lingering: 0, total: 40 },
    requests: { open: 1, total: 100 },
    refused: {},
    turnedAway: { connections: 2, handshakes: 3 },
    rejected: {},
    bufferBytes: 7,
    lines: { written: 9, suppressed: 4, failed: 1 },
  };
  let flushed = 0;
  const telemetry = { journal, flush: () => void flushed++ };
  const line = new MetricsLine({ intervalMs: 0, telemetry, now: () => nowMs, stats: () => stats });
  nowMs = 2_000;
  line.write();
  expect(records).toEqual([
    {
      event: "supervised.metrics",
      connections: 3,
      handshaking: 1,
      idle: 1,
      opaque: 1,
      requests: 1,
      acceptedPerSecond: 20,
      requestsPerSecond: 50,
      bufferBytes: 7,
      turnedAway: 5,
      linesSuppressed: 4,
      linesFailed: 1,
    },
  ]);
  nowMs = 3_000;
  stats.requests.total = 110;
  line.write();
  expect(records[1]).toMatchObject({ acceptedPerSecond: 0, requestsPerSecond: 10, turnedAway: 0, linesSuppressed: 0 });
  expect(flushed).toBe(2);
});
