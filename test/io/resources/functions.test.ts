import { expect, test } from "vitest";
import { FunctionReader } from "../../../src/io/resources/functions.ts";

test("the value of a function, with a limit that may change", () => {
  let limit = 10;
  const reader = new FunctionReader("bufferBytes", () => 7, { limit: () => limit });
  expect([reader.name, reader.hook]).toEqual(["bufferBytes", undefined]);
  expect(reader.read()).toEqual({ observed: 7, limit: 10 });
  limit = 20;
  expect(reader.read()).toEqual({ observed: 7, limit: 20 });
  expect(new FunctionReader("depth", () => -1, { hook: "depth.read" }).read()).toEqual({
    observed: -1,
    limit: undefined,
  });
});

// oxlint-disable-next-line unicorn/no-thenable
const thenable = { then: (_: unknown, reject: (error: Error) => void) => reject(new Error("no")) };
// oxlint-disable-next-line unicorn/no-thenable
const hostile = Object.defineProperty({}, "then", {
  get: () => {
    throw new Error("hands off");
  },
});

test.each([
  ["NaN", () => Number.NaN, "gave NaN"],
  ["Infinity", () => Infinity, "gave Infinity"],
  ["a text", () => "7", "gave string"],
  ["nothing", () => {}, "gave undefined"],
  ["a promise", () => Promise.resolve(7), "gave a promise"],
  ["a promise that is rejected", () => Promise.reject(new Error("no")), "gave a promise"],
  ["what looks like a promise", () => thenable, "gave object"],
  ["what throws when it is read", () => hostile, "gave object"],
])("an answer that is no number: %s", async (_, read: () => unknown, message) => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  try {
    expect(() => new FunctionReader("depth", read as () => number).read()).toThrow(message);
    // Node reports rejections that nobody handles after the turn.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
  }
});
