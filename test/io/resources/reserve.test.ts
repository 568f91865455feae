import { readdirSync, readlinkSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import type { Observed } from "../../../src/io/resources/reader.ts";
import { DescriptorReserve, type ReserveUser, RESERVED } from "../../../src/io/resources/reserve.ts";

/** A table of 100 descriptors, of which so many are open: those of the reserve are counted as they are. */
function reserving(open = 20) {
  let sample = (): void => {};
  let isReading = true;
  const told: string[] = [];
  const table = { others: open };
  const reserve = new DescriptorReserve({
    open: () => ({
      name: "descriptors",
      read: (): Observed | undefined =>
        isReading ? { observed: table.others + onDevNull() - before, limit: 100 } : undefined,
      close: () => {
        isReading = false;
      },
    }),
    pace: {
      now: () => 0,
      wallMs: () => 0,
      every: (_, run) => {
        sample = run;
        return () => {
          sample = () => {};
        };
      },
    },
  });
  const before = onDevNull();
  const user: ReserveUser = {
    onShort: () => void told.push(`short, ${onDevNull() - before} held`),
    onNone: () => void told.push("none"),
    onRelief: () => void told.push("relief"),
  };
  reserve.join(user);
  onTestFinished(() => reserve.leave(user));
  return { reserve, user, told, table, sample: () => sample(), held: () => onDevNull() - before };
}

/** How many of this process's descriptors are on /dev/null. */
function onDevNull(): number {
  return readdirSync("/proc/self/fd").filter((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`) === "/dev/null";
    } catch {
      return false;
    }
  }).length;
}

test("is made by the first user, and given back by the last", () => {
  const { reserve, user, held } = reserving();
  const other: ReserveUser = { onShort: () => {}, onNone: () => {}, onRelief: () => {} };
  expect(held()).toBe(RESERVED);
  reserve.join(other);
  reserve.leave(user);
  expect(held()).toBe(RESERVED);
  reserve.leave(other);
  reserve.leave(other);
  expect([held(), reserve.isWhole]).toEqual([0, true]);
});

test("is given back when the table is full, after the users were told; taken again when twice as much is free for a second", () => {
  const { reserve, told, table, sample, held } = reserving();
  table.others = 100 - RESERVED - 5;
  sample();
  expect([told, reserve.isWhole]).toEqual([[], true]);
  table.others++;
  sample();
  expect([told, held(), reserve.isWhole]).toEqual([[`short, ${RESERVED} held`], 0, false]);
  table.others = 100 - 2 * RESERVED + 1;
  sample();
  expect([told.length, held()]).toEqual([1, 0]);
  table.others--;
  for (let n = 0; n < 3; n++) sample();
  table.others++;
  sample();
  table.others--;
  for (let n = 0; n < 3; n++) sample();
  // Not four times in a row.
  expect(told).toHaveLength(1);
  sample();
  expect([told[1], held(), reserve.isWhole]).toEqual(["relief", RESERVED, true]);
});

test("sockets that are accepted between two samples are counted", () => {
  const { reserve, told, table } = reserving(80);
  for (let n = 0; n < 7; n++) {
    table.others++;
    reserve.onAccepted();
  }
  expect(told).toEqual([]);
  table.others++;
  reserve.onAccepted();
  expect(told).toEqual([`short, ${RESERVED} held`]);
});

test("a full table without the reserve: as long as clients are accepted, nothing; else none is left", () => {
  const { reserve, told, table, sample } = reserving(88);
  sample();
  expect(told).toEqual([`short, ${RESERVED} held`]);
  table.others = 100;
  reserve.onAccepted();
  sample();
  expect(told).toHaveLength(1);
  sample();
  expect(told.slice(1)).toEqual(["none"]);
  sample();
  expect(told).toHaveLength(2);
  table.others = 50;
  for (let n = 0; n < 4; n++) sample();
  expect(told.slice(2)).toEqual(["relief"]);
});

test("where descriptors cannot be counted there is none", () => {
  const before = onDevNull();
  const reserve = new DescriptorReserve({
    open: () => {
      throw new Error("no /proc");
    },
    pace: { now: () => 0, wallMs: () => 0, every: () => () => {} },
  });
  reserve.join({ onShort: () => {}, onNone: () => {}, onRelief: () => {} });
  reserve.onAccepted();
  expect([reserve.isWhole, onDevNull() - before]).toEqual([true, 0]);
});
