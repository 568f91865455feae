import fc from "fast-check";
import { expect, test } from "vitest";
import { TimerTable } from "../../../src/core/session/timers.ts";
import { runs } from "../../properties.ts";

const NAMES = ["ping", "ack", "expiry", "linger"] as const;
type Name = (typeof NAMES)[number];

type Operation =
  | { do: "set" | "atLatest"; name: Name; ms: number }
  | { do: "clear"; name: Name }
  | { do: "clearAll" }
  | { do: "takeDue"; ms: number };

const name = fc.constantFrom(...NAMES);
const ms = fc.nat({ max: 50 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("set" as const, "atLatest" as const), name, ms }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clear" as const), name }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clearAll" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("takeDue" as const), ms }) },
);

test("whatever is set, moved, cleared and taken, the table agrees with a map", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const table = new TimerTable(NAMES);
      const model = new Map<Name, number>();
      for (const step of operations) {
        switch (step.do) {
          case "set":
            table.set(step.name, step.ms);
            model.set(step.name, step.ms);
            break;
          case "atLatest":
            table.atLatest(step.name, step.ms);
            model.set(step.name, Math.min(step.ms, model.get(step.name) ?? Infinity));
            break;
          case "clear":
            table.clear(step.name);
            model.delete(step.name);
            break;
          case "clearAll":
            table.clearAll();
            model.clear();
            break;
          case "takeDue": {
            const due = NAMES.filter((key) => (model.get(key) ?? Infinity) <= step.ms);
            expect(table.takeDue(step.ms)).toEqual(due.map((key) => ({ name: key, dueMs: model.get(key) })));
            for (const key of due) model.delete(key);
            break;
          }
        }
        expect(table.nextMs).toBe(Math.min(Infinity, ...model.values()));
      }
    }),
    { numRuns: runs(300) },
  );
});

test("who wakes exactly at the next wake-up finds something due, who wakes before finds nothing", () => {
  const table = new TimerTable(NAMES);
  table.set("ack", 25);
  table.set("expiry", 300_000);
  expect(table.takeDue(24.9)).toEqual([]);
  expect(table.takeDue(table.nextMs)).toEqual([{ name: "ack", dueMs: 25 }]);
  expect(table.nextMs).toBe(300_000);
});

test("after a long sleep everything that was due comes in the order of the names, with when it should have come", () => {
  const table = new TimerTable(NAMES);
  table.set("linger", 10);
  table.set("ping", 20);
  expect(table.takeDue(5_000)).toEqual([
    { name: "ping", dueMs: 20 },
    { name: "linger", dueMs: 10 },
  ]);
  expect(table.takeDue(5_000)).toEqual([]);
});

test("a timer set to never is not set", () => {
  const table = new TimerTable(NAMES);
  table.set("ping", 5);
  table.set("ping", Infinity);
  expect(table.nextMs).toBe(Infinity);
  expect(table.takeDue(10)).toEqual([]);
});
