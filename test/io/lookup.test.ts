import dns from "node:dns";
import type { LookupFunction } from "node:net";
import { describe, expect, test } from "vitest";
import { Lookups } from "../../src/io/lookup.ts";
import { isPending, ManualClock } from "../support.ts";

const never = new AbortController().signal;
type Answer = Parameters<LookupFunction>[2];

/** Lookups that the test answers. */
function asked() {
  const clock = new ManualClock(0);
  const lookups = new Lookups(clock);
  const calls: Array<{ host: string; answer: Answer }> = [];
  const lookup: LookupFunction = (host, _, answer) => void calls.push({ host, answer });
  return { clock, lookups, calls, lookup };
}

test("all addresses, in the resolver's order, each once", async () => {
  const { lookups, calls, lookup } = asked();
  const found = lookups.addresses("a.example", lookup, never);
  calls[0]?.answer(null, [
    { address: "10.0.0.2", family: 4 },
    { address: "::2", family: 6 },
    { address: "10.0.0.2", family: 4 },
  ]);
  expect(await found).toEqual(["10.0.0.2", "::2"]);
});

test("the system's own", async () => {
  const found = await new Lookups(new ManualClock(0)).addresses("localhost", dns.lookup, never);
  expect(found.length).toBeGreaterThan(0);
  expect(["127.0.0.1", "::1"]).toEqual(expect.arrayContaining([...found]));
});

describe("one for a name at a time", () => {
  test("is shared by all that want it, and another begins after it", async () => {
    const { lookups, calls, lookup } = asked();
    const found = [1, 2, 3].map(() => lookups.addresses("a.example", lookup, never));
    const other = lookups.addresses("b.example", lookup, never);
    expect(calls.map(({ host }) => host)).toEqual(["a.example", "b.example"]);
    for (const { answer } of calls) answer(null, [{ address: "10.0.0.1", family: 4 }]);
    expect(await Promise.all([...found, other])).toEqual(Array.from({ length: 4 }, () => ["10.0.0.1"]));
    void lookups.addresses("a.example", lookup, never);
    expect(calls.length).toBe(3);
  });

  test("by another function it is another lookup", () => {
    const { lookups, calls, lookup } = asked();
    const other: LookupFunction = (...all) => lookup(...all);
    void lookups.addresses("a.example", lookup, never);
    void lookups.addresses("a.example", other, never);
    expect(calls.length).toBe(2);
  });

  test("one that stops waiting leaves the others waiting", async () => {
    const { lookups, calls, lookup } = asked();
    const controller = new AbortController();
    const left = lookups.addresses("a.example", lookup, controller.signal);
    const stays = lookups.addresses("a.example", lookup, never);
    controller.abort(new Error("enough"));
    await expect(left).rejects.toThrow("enough");
    await expect(lookups.addresses("a.example", lookup, controller.signal)).rejects.toThrow("enough");
    calls[0]?.answer(null, "10.0.0.1", 4);
    expect(await stays).toEqual(["10.0.0.1"]);
    expect(calls.length).toBe(1);
  });

  test("after 30 s without an answer another begins, and what the first says is for those that wait for it", async () => {
    const { clock, lookups, calls, lookup } = asked();
    const first = lookups.addresses("a.example", lookup, never);
    clock.pass(29_999);
    const joined = lookups.addresses("a.example", lookup, never);
    expect(calls.length).toBe(1);
    clock.pass(1);
    const second = lookups.addresses("a.example", lookup, never);
    expect(calls.length).toBe(2);
    calls[0]?.answer(null, "10.0.0.1", 4);
    expect([await first, await joined]).toEqual([["10.0.0.1"], ["10.0.0.1"]]);
    expect(await isPending(second)).toBe(true);
    // The second is still joined.
    const third = lookups.addresses("a.example", lookup, never);
    expect(calls.length).toBe(2);
    calls[1]?.answer(null, "10.0.0.2", 4);
    expect([await second, await third]).toEqual([["10.0.0.2"], ["10.0.0.2"]]);
  });

  test("a failure is for all that wait, and not for those that come later", async () => {
    const { lookups, calls, lookup } = asked();
    const found = [1, 2].map(() => lookups.addresses("a.example", lookup, never));
    calls[0]?.answer(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }), []);
    for (const each of found) await expect(each).rejects.toMatchObject({ code: "ENOTFOUND" });
    void lookups.addresses("a.example", lookup, never);
    expect(calls.length).toBe(2);
  });
});

describe("a function of the application's", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["an empty list", []],
    ["names", [{ address: "b.example", family: 4 }]],
    ["a list of nothing", [null, {}]],
  ])("that gives %s has failed", async (_, answer) => {
    const { lookups, calls, lookup } = asked();
    const found = lookups.addresses("a.example", lookup, never);
    calls[0]?.answer(null, answer as never);
    await expect(found).rejects.toThrow("the lookup of a.example gave no address");
  });

  test("that throws has failed", async () => {
    const lookups = new Lookups(new ManualClock(0));
    const broken = (): never => {
      throw new Error("broken");
    };
    await expect(lookups.addresses("a.example", broken, never)).rejects.toThrow("broken");
  });
});
