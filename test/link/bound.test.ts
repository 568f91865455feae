/** Messages that are for one connection alone, where they wait. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundCount, takeInto } from "../../src/link/bound.ts";
import type { Outbound } from "../../src/link/protocol.ts";

describe("the count", () => {
  test("while all are for the connection in use, nobody has to look", () => {
    const count = new BoundCount();
    for (let n = 0; n < 3; n++) count.add(7);
    count.add(undefined);
    count.remove(7);
    expect(count.hasOthers(7)).toBe(false);
  });

  test.each([8, undefined])("once another connection is in use, or none, they are looked at: %s", (id) => {
    const count = new BoundCount();
    count.add(7);
    expect(count.hasOthers(id)).toBe(true);
  });

  test("those for several connections are looked at, though the newest are for the one in use", () => {
    const count = new BoundCount();
    count.add(7);
    count.add(8);
    expect([count.hasOthers(8), count.hasOthers(8)]).toEqual([true, false]);
  });

  test("after messages for any connection alone, nobody has to look", () => {
    const count = new BoundCount();
    count.add(undefined);
    count.remove(undefined);
    expect([count.hasOthers(undefined), count.hasOthers(7)]).toEqual([false, false]);
  });

  test("no message for another connection is overlooked, whatever came before", () => {
    const step = fc.oneof(
      fc.record({ what: fc.constant("send" as const), bound: fc.boolean() }),
      fc.record({ what: fc.constant("leave" as const) }),
      fc.record({ what: fc.constant("connection" as const), lasts: fc.boolean() }),
      fc.record({ what: fc.constant("look" as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const count = new BoundCount();
        let waiting: Array<number | undefined> = [];
        let ids = 1;
        let inUse: number | undefined = 1;
        for (const each of steps) {
          if (each.what === "send") {
            const boundTo = each.bound ? inUse : undefined;
            waiting.push(boundTo);
            count.add(boundTo);
          } else if (each.what === "leave") {
            if (waiting.length > 0) count.remove(waiting.shift());
          } else if (each.what === "connection") {
            inUse = each.lasts ? ++ids : undefined;
          } else {
            const others = waiting.filter((boundTo) => boundTo !== undefined && boundTo !== inUse);
            const looks = count.hasOthers(inUse);
            if (others.length > 0) expect(looks).toBe(true);
            for (const boundTo of others) count.remove(boundTo);
            waiting = waiting.filter((boundTo) => !others.includes(boundTo));
            expect(count.hasOthers(inUse)).toBe(false);
          }
        }
      }),
    );
  });
});

test("a message is bound right behind the moment in which it is taken, and not if it is refused", () => {
  const calls: unknown[][] = [];
  const outbound = {
    take: (...given: unknown[]) => {
      calls.push(["take", ...given]);
      if (given[0] === "refused") throw new Error("refused");
    },
    bind: () => void calls.push(["bind"]),
  } as unknown as Outbound;
  takeInto(outbound, "any", 3, false, "taken", false);
  takeInto(outbound, "bound", 5, true, "answered", true);
  expect(() => takeInto(outbound, "refused", 7, false, "taken", true)).toThrow("refused");
  expect(calls).toEqual([
    ["take", "any", 3, false, "taken"],
    ["take", "bound", 5, true, "answered"],
    ["bind"],
    ["take", "refused", 7, false, "taken"],
  ]);
});
