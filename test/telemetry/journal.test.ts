import { expect, test } from "vitest";
import { Journal } from "../../src/telemetry/journal.ts";
import type { TelemetryRecord } from "../../src/telemetry/record.ts";

const recovered = (recoveryMs: number): TelemetryRecord => ({
  event: "link.recovered",
  ids: { link: "l", session: "s" },
  recoveryMs,
});

test("each reader gets the very record, at once, in the order in which they subscribed", () => {
  const journal = new Journal();
  const seen: Array<[string, TelemetryRecord]> = [];
  journal.subscribe((record) => void seen.push(["first", record]));
  journal.subscribe((record) => void seen.push(["second", record]));
  const record = recovered(5);
  journal.record(record);
  expect(seen.map(([reader]) => reader)).toEqual(["first", "second"]);
  for (const [, read] of seen) expect(read).toBe(record);
});

test("a reader that subscribes later gets what comes then", () => {
  const journal = new Journal();
  journal.record(recovered(1));
  const seen: TelemetryRecord[] = [];
  journal.subscribe((record) => void seen.push(record));
  journal.record(recovered(2));
  expect(seen).toEqual([recovered(2)]);
});
