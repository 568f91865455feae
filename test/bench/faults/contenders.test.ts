/** The contenders that need no installation, through a path that is cut. */
import { expect, onTestFinished, test } from "vitest";
import { faultRelay } from "resplice/testing";
import type { Contender } from "../../../bench/faults/contender.ts";
import type { Count } from "../../../bench/faults/count.ts";
import { Arrivals, decode, encode, Steady } from "../../../bench/faults/messages.ts";
import { ours } from "../../../bench/faults/ours.ts";
import { type FaultDefinition, FAULTS, makeWhole, play } from "../../../bench/faults/plan.ts";
import { raw } from "../../../bench/faults/raw.ts";

/** Enough that some are under way at each moment. */
const PER_SECOND = 2_000;
const RST = { ...(FAULTS.find(({ name }) => name === "RST") as FaultDefinition), times: 2, everyMs: 400 };

test("a link that is cut twice has each message once and in order", async () => {
  const { sent, ...counted } = await underResets(ours, 20_000);
  expect(sent).toBeGreaterThan(100);
  expect(counted).toMatchObject({ lost: 0, doubled: 0, reordered: 0 });
});

test("a raw socket dials again, and loses what was under way", async () => {
  const { sent, ...counted } = await underResets(raw, 300);
  expect(counted).toMatchObject({ doubled: 0, reordered: 0 });
  expect(counted.lost).toBeGreaterThan(0);
  expect(counted.lost).toBeLessThan(sent / 2);
});

test("a message says which one it is, and what nobody sent is no message", () => {
  expect([0, 255, 256, 70_000].map((number) => decode(encode(number)))).toEqual([0, 255, 256, 70_000]);
  expect(() => decode(encode(7).subarray(1))).toThrow("nobody sent");
  expect(() => decode(Buffer.alloc(100, 1))).toThrow("nobody sent");
});

async function underResets(contender: Contender, quietMs: number): Promise<Count> {
  const arrivals = new Arrivals();
  const receiving = await contender.receive((message) => arrivals.take(message), { port: 0, name: "test" });
  onTestFinished(() => receiving.close?.());
  const relay = await faultRelay({ port: receiving.port });
  onTestFinished(() => relay.close());
  makeWhole(relay);
  const sending = await contender.connect({ port: relay.port, name: "test" });
  onTestFinished(() => sending.close?.());
  const steady = new Steady(sending, PER_SECOND);
  await play(relay, RST, "to-server");
  return arrivals.count(steady.stop(), { quietMs, waitMs: 20_000, settleMs: 0 });
}
