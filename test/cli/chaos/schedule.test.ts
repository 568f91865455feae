import { describe, expect, test } from "vitest";
import { Schedule } from "../../../src/cli/chaos/schedule.ts";
import { FAULT_KINDS } from "../../../src/cli/demo/faults.ts";
import { UsageError } from "../../../src/cli/usage.ts";

/** One of each kind, as it is written in a file, and as it is made. */
const EACH = [
  [{ kind: "fin" }, { kind: "fin" }],
  [{ kind: "rst" }, { kind: "rst" }],
  [
    { kind: "cut-after-bytes", bytes: 100 },
    { kind: "cut-after-bytes", bytes: 100 },
  ],
  [
    { kind: "black-hole", for: 1.5 },
    { kind: "black-hole", holdMs: 1_500 },
  ],
  [
    { kind: "one-way-black-hole", for: 2, direction: "to-client" },
    { kind: "one-way-black-hole", holdMs: 2_000, direction: "to-client" },
  ],
  [
    { kind: "stall", for: 0.25 },
    { kind: "stall", holdMs: 250 },
  ],
  [
    { kind: "refuse", for: 1 },
    { kind: "refuse", holdMs: 1_000 },
  ],
  [
    { kind: "latency", for: 1, delayMs: 80 },
    { kind: "latency", holdMs: 1_000, delayMs: 80, jitterMs: 0 },
  ],
] as const;

function schedule(faults: readonly object[], more: object = {}): Schedule {
  return Schedule.parse(JSON.stringify({ faults, ...more }));
}

describe("a schedule", () => {
  test("has all kinds of faults, in their order, each after its pause", () => {
    expect(EACH.map(([{ kind }]) => kind)).toEqual(expect.arrayContaining([...FAULT_KINDS]));
    const all = schedule(EACH.map(([given], at) => ({ after: at / 2, ...given })));
    for (const [at, [, fault]] of EACH.entries()) expect(all.take()).toEqual({ calmMs: 500 * at, fault });
    expect(all.take()).toBeUndefined();
    expect(all.take()).toBeUndefined();
  });

  test("begins again if it is to be repeated", () => {
    const two = schedule(
      [
        { after: 1, kind: "fin" },
        { after: 2, kind: "rst" },
      ],
      { repeat: true },
    );
    expect(Array.from({ length: 5 }, () => two.take()?.calmMs)).toEqual([1_000, 2_000, 1_000, 2_000, 1_000]);
  });

  test("tells the next fault that ends connections", () => {
    const slow = { after: 0, kind: "stall", for: 1 };
    const cut = { after: 0, kind: "fin" };
    expect(schedule([slow, cut]).nextEnding()).toEqual({ kind: "fin" });
    const once = schedule([cut, slow]);
    once.take();
    expect(once.nextEnding()).toEqual({ kind: "rst" });
    const again = schedule([cut, slow], { repeat: true });
    again.take();
    expect(again.nextEnding()).toEqual({ kind: "fin" });
  });

  test.for<[text: string, message: RegExp]>([
    ["{", /this is no JSON/],
    ["[]", /the schedule is an object/],
    ["{}", /"faults" is a list of 1 to 10000 faults/],
    ['{"faults":[]}', /"faults" is a list/],
    ['{"faults":[{"after":0,"kind":"fin"}],"again":1}', /the schedule: "again" is none of faults, repeat/],
    ['{"faults":[{"after":0,"kind":"fin"}],"repeat":1}', /"repeat" is true or false/],
    ['{"faults":[1]}', /fault 1 is an object/],
    ['{"faults":[{"after":0,"kind":"fin"},{"after":0,"kind":"cut"}]}', /fault 2: "kind" is one of fin, rst,/],
    ['{"faults":[{"kind":"fin"}]}', /fault 1: "after" is a number from 0 to 3600/],
    ['{"faults":[{"after":-1,"kind":"fin"}]}', /"after" is a number/],
    ['{"faults":[{"after":0,"kind":"fin","for":1}]}', /fault 1: "for" is none of after, kind/],
    ['{"faults":[{"after":0,"kind":"stall"}]}', /"for" is a number/],
    ['{"faults":[{"after":0,"kind":"stall","for":"1"}]}', /"for" is a number/],
    ['{"faults":[{"after":0,"kind":"one-way-black-hole","for":1}]}', /"direction" is one of to-server, to-client/],
    ['{"faults":[{"after":0,"kind":"latency","for":1}]}', /"delayMs" is a number/],
  ])("%s is none", ([text, message]) => {
    expect(() => Schedule.parse(text)).toThrow(UsageError);
    expect(() => Schedule.parse(text)).toThrow(message);
  });
});
