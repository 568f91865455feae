import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { abortableWait, timedWait } from "../../src/link/waits.ts";
import { isPending, ManualClock } from "../support.ts";

const listeners = (signal: AbortSignal): number => getEventListeners(signal, "abort").length;

describe("a wait that can be aborted", () => {
  test("is settled by its owner, and leaves no listener behind", async () => {
    const { signal } = new AbortController();
    const resolved = abortableWait<string>(signal, () => new Error("aborted"));
    const rejected = abortableWait<string>(signal, () => new Error("aborted"));
    expect(listeners(signal)).toBe(2);
    resolved.resolve("here");
    rejected.reject(new Error("gone"));
    expect(listeners(signal)).toBe(0);
    expect(await resolved.promise).toBe("here");
    await expect(rejected.promise).rejects.toThrow("gone");
  });

  test("is rejected with what its owner answers when the signal is aborted", async () => {
    const controller = new AbortController();
    let asked = 0;
    const wait = abortableWait<string>(controller.signal, () => new Error(`asked ${++asked} times`));
    controller.abort();
    wait.resolve("too late");
    await expect(wait.promise).rejects.toThrow("asked 1 times");
    expect(asked).toBe(1);
  });

  test("asks its owner nothing when the signal is aborted after it was settled", async () => {
    const controller = new AbortController();
    let asked = 0;
    const wait = abortableWait<string>(controller.signal, () => new Error(`asked ${++asked} times`));
    wait.resolve("here");
    controller.abort();
    expect(await wait.promise).toBe("here");
    expect(asked).toBe(0);
  });

  test("needs no signal", async () => {
    const wait = abortableWait<string>(undefined, () => new Error("aborted"));
    wait.resolve("here");
    expect(await wait.promise).toBe("here");
  });
});

describe("a wait with its time", () => {
  test("says whether its end has come", async () => {
    const clock = new ManualClock(1_000);
    const wait = timedWait(clock, 1_100);
    clock.pass(99);
    expect(await isPending(wait.promise)).toBe(true);
    wait.end();
    clock.pass(1);
    expect(await wait.promise).toBe(true);
  });

  test("or its time is over", async () => {
    const clock = new ManualClock(1_000);
    const wait = timedWait(clock, 1_100);
    clock.pass(100);
    wait.end();
    expect(await wait.promise).toBe(false);
  });
});
