import { expect, test } from "vitest";
import type { ForwardRegistry } from "../../../src/index.ts";
import { Registry } from "../../../src/server/forward/registry.ts";
import { ManualClock } from "../../support.ts";

const SILENT: ForwardRegistry = { announce: () => {}, find: () => undefined, withdraw: () => {} };

function setUp(registry: Partial<ForwardRegistry>) {
  const clock = new ManualClock(0);
  return { clock, registry: new Registry({ ...SILENT, ...registry }, clock) };
}

test("an address without what else the answer has; nothing and null are: gone", async () => {
  const answers: unknown[] = [{ host: "h", port: 1, weight: 2 }, undefined, null];
  const { registry } = setUp({ find: () => answers.shift() as undefined });
  expect(await registry.find("a")).toEqual({ host: "h", port: 1 });
  expect(await registry.find("a")).toBeUndefined();
  expect(await registry.find("a")).toBeUndefined();
});

test("what throws, rejects or answers nonsense is not: gone", async () => {
  const error = new Error("down");
  const calls: Array<() => unknown> = [
    () => {
      throw error;
    },
    () => Promise.reject(error),
    () => "h:1",
    () => ({ host: "h" }),
  ];
  const { registry } = setUp({ find: () => calls.shift()?.() as undefined });
  await expect(registry.find("a")).rejects.toBe(error);
  await expect(registry.find("a")).rejects.toBe(error);
  await expect(registry.find("a")).rejects.toThrow(TypeError);
  await expect(registry.find("a")).rejects.toThrow(TypeError);
});

test.each(["announce", "find", "withdraw"] as const)(
  "%s() has 2 s; its signal says when they are over",
  async (name) => {
    const signals: AbortSignal[] = [];
    const hang = (...given: unknown[]): Promise<never> => {
      signals.push((given.at(-1) as { signal: AbortSignal }).signal);
      // What it says later, nobody hears.
      return new Promise((_, reject) => {
        signals[0]?.addEventListener("abort", () => reject(new Error("late")));
      });
    };
    const { clock, registry } = setUp({ [name]: hang });
    const called = name === "announce" ? registry.announce("a", { host: "h", port: 1 }) : registry[name]("a");
    clock.pass(1_999);
    expect(signals[0]?.aborted).toBe(false);
    clock.pass(1);
    await expect(called).rejects.toMatchObject({ code: "TIMED_OUT" });
    expect(signals[0]?.aborted).toBe(true);
  },
);
