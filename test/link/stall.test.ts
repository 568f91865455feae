import { expect, test, vi } from "vitest";
import { KiB } from "../../src/index.ts";
import type { Driver } from "../../src/link/driver.ts";
import { StallWatch } from "../../src/link/stall.ts";
import { fakeTime } from "../fake-time.ts";
import { acquaint, eventually, pair } from "../support.ts";

/** Turns of the event loop, in which sockets get what was written. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** In steps, as a clock would. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    vi.advanceTimersByTime(100);
    await turns(3);
  }
}

test("a consumer that accepts nothing for 10 s while its window is full is told of, once a stall", async () => {
  fakeTime({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const opening = pair(
    { maxMessageBytes: 10_000 },
    { maxMessageBytes: 10_000, window: { minBytes: 64 * KiB, maxBytes: 64 * KiB } },
  );
  let opened = false;
  void opening.then(() => {
    opened = true;
  });
  while (!opened) await pass(100);
  const both = await opening;
  const { client, server } = both;
  const meeting = acquaint(both);
  await pass(500);
  await meeting;

  const stalls: number[] = [];
  server.on("stalled", ({ unacceptedBytes }) => stalls.push(unacceptedBytes));
  for (let i = 0; i < 100; i++) client.trySend(Buffer.alloc(1_000));
  await turns(50);
  expect(server.readableLength).toBe(64 * KiB);
  await pass(9_000);
  expect(stalls).toEqual([]);
  await pass(2_000);
  expect(stalls).toEqual([64 * KiB]);
  await pass(30_000);
  expect(stalls).toHaveLength(1);
  expect(client.state).toBe("connected");

  // It reads on, so that the window is filled again, and stalls again.
  for (let i = 0; i < 20; i++) await server.receive();
  await pass(1_000);
  await pass(11_000);
  expect(stalls).toHaveLength(2);
});

test("a consumer that is slow, but goes on, is not", async () => {
  const restore = fakeTime({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const opening = pair(
    { maxMessageBytes: 10_000 },
    { maxMessageBytes: 10_000, window: { minBytes: 64 * KiB, maxBytes: 64 * KiB } },
  );
  let opened = false;
  void opening.then(() => {
    opened = true;
  });
  while (!opened) await pass(100);
  const { client, server } = await opening;
  let stalls = 0;
  server.on("stalled", () => stalls++);
  for (let i = 0; i < 200; i++) client.trySend(Buffer.alloc(1_000));
  await turns(50);
  for (let i = 0; i < 8; i++) {
    await pass(5_000);
    await server.receive();
  }
  expect(stalls).toBe(0);
  restore();
  await eventually(() => expect(server.state).toBe("connected"));
});

test("it never keeps the process alive", () => {
  const held: boolean[] = [];
  const timer = { set() {}, clear() {}, holdProcess: (isHeld: boolean) => void held.push(isHeld) };
  const driver = { protocol: {}, clock: { now: () => 0, timer: () => timer } };
  const watch = new StallWatch(driver as unknown as Driver, { incoming: { isHeld: false }, onStalled() {} });
  expect(held).toEqual([false]);
  watch.stop();
});
