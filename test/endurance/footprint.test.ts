import { expect, test } from "vitest";
import { type Allowed, type Footprint, grown, table } from "./footprint.ts";

const MIB = 2 ** 20;
const BEFORE: Footprint = {
  heapBytes: 10 * MIB,
  externalBytes: 5 * MIB,
  rssBytes: 80 * MIB,
  descriptors: 20,
  resources: { TCPSocketWrap: 2, Timeout: 1 },
  listeners: 4,
};
const ALLOWED: Allowed = { heapBytes: MIB, externalBytes: MIB, rssBytes: 10 * MIB, resources: { Timeout: 2 } };

test("a process that is back where it was, or holds less, or no more than is allowed, has not grown", () => {
  expect(grown(BEFORE, BEFORE, ALLOWED)).toEqual([]);
  expect(grown(BEFORE, { ...BEFORE, heapBytes: 11 * MIB, descriptors: 3, resources: {} }, ALLOWED)).toEqual([]);
  expect(grown(BEFORE, { ...BEFORE, resources: { TCPSocketWrap: 2, Timeout: 2 } }, ALLOWED)).toEqual([]);
});

test.each<[string, Partial<Footprint>]>([
  ["heapBytes has grown by 1.5 MiB; allowed are 1.0", { heapBytes: 11.5 * MIB }],
  ["externalBytes has grown by 2.0 MiB; allowed are 1.0", { externalBytes: 7 * MIB }],
  ["rssBytes has grown by 10.1 MiB; allowed are 10.0", { rssBytes: 90.1 * MIB }],
  ["descriptors: 20 before, 21 after", { descriptors: 21 }],
  ["listeners: 4 before, 5 after", { listeners: 5 }],
  ["TCPSocketWrap: 2 before, 3 after", { resources: { TCPSocketWrap: 3 } }],
  ["Timeout: 1 before, 3 after", { resources: { Timeout: 3 } }],
  ["FSReqCallback: 0 before, 1 after", { resources: { FSReqCallback: 1 } }],
])("%s", (what, changed) => {
  expect(grown(BEFORE, { ...BEFORE, ...changed }, ALLOWED)).toEqual([what]);
});

test("the table has a column for each moment, and a blank where nothing was looked at", () => {
  const lines = table("a process", { before: BEFORE, peak: { rssBytes: 100 * MIB }, after: BEFORE });
  expect(lines[0]).toBe("a process                     before        peak       after");
  expect(lines).toContain("  RSS                       80.0 MiB   100.0 MiB    80.0 MiB");
  expect(lines).toContain("  descriptors                     20                      20");
  expect(lines).toContain("  TCPSocketWrap                    2                       2");
});
