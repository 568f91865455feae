import { expect, test } from "vitest";
import { Channel } from "../../../src/core/session/channel.ts";
import { ConnectionInUse } from "../../../src/core/session/connection-in-use.ts";
import type { EvidenceOptions } from "../../../src/core/session/evidence.ts";
import type { Session } from "../../../src/core/session/session.ts";
import { decoded } from "../support.ts";

const KEEPALIVE: EvidenceOptions = {
  pingAfterMs: 15_000,
  suspectAfterMs: 5_000,
  stalledAfterMs: [2_000, 4_000],
  pingAfterSpeechMs: [1_000, 2_000],
};

function use(): ConnectionInUse {
  return new ConnectionInUse(new Channel(1, 0, 0), KEEPALIVE, { random: () => 0.5 }, 0);
}

const NOWHERE = { received: 0, accepted: 0, window: 0, stop: false, done: false };

const owing = (ackOwed: Session["ackOwed"]): Session => ({ ackOwed, positions: () => NOWHERE }) as unknown as Session;

function written({ channel }: ConnectionInUse): string[] {
  const out: Buffer[] = [];
  channel.drainInto(out);
  return decoded(Buffer.concat(out)).map(({ type }) => type);
}

/** As the core does when its tick comes at `nowMs`. */
function tick(inUse: ConnectionInUse, nowMs: number): boolean {
  const due = inUse.timers.takeDue(nowMs).find(({ name }) => name === "evidence");
  return due !== undefined && inUse.check(nowMs, due.dueMs);
}

test("silence is asked about, and suspect when nobody answers; an answer ends that", () => {
  const inUse = use();
  expect(inUse.timers.nextMs).toBe(15_000);
  expect(tick(inUse, 15_000)).toBe(false);
  expect(written(inUse)).toEqual(["ping"]);
  const suspectMs = inUse.timers.nextMs;
  expect(tick(inUse, suspectMs)).toBe(true);
  expect([inUse.suspect, inUse.heardMs, written(inUse)]).toEqual([true, 0, ["ping"]]);
  inUse.onHeard(suspectMs + 1);
  expect(inUse.onPong(2, suspectMs + 1)).toBe(true);
  expect([inUse.suspect, inUse.heardMs]).toEqual([false, suspectMs + 1]);
  expect(inUse.timers.nextMs).toBe(suspectMs + 1 + 15_000);
});

test("what was written waits for progress", () => {
  const inUse = use();
  inUse.awaitProgress(1_000);
  expect(inUse.timers.nextMs).toBe(4_000);
  expect(tick(inUse, 4_000)).toBe(true);
  expect(inUse.onProgress(false, 4_100)).toBe(true);
  expect([inUse.suspect, inUse.onProgress(false, 4_200)]).toEqual([false, false]);
  // The PING that the suspicion sent is still to be answered.
  expect(inUse.timers.nextMs).toBe(8_700);
});

test("an ACK that is owed for a turn is held until the turn ends, and is due until it was written", () => {
  const inUse = use();
  expect([inUse.isAckHeld(owing("turn")), inUse.isAckDue(owing("turn"))]).toEqual([true, false]);
  expect(inUse.endTurn(owing("turn"))).toBe(true);
  expect([inUse.isAckHeld(owing("turn")), inUse.isAckDue(owing("turn"))]).toEqual([false, true]);
  inUse.timers.set("ack", 25);
  expect(decoded(inUse.takeAck(owing("turn"), 0))).toMatchObject([{ type: "ack" }]);
  expect([inUse.isAckDue(owing("turn")), inUse.timers.nextMs]).toEqual([false, 15_000]);
});

test("an ACK that may wait goes out with DATA once a millisecond at most; one that is owed for a turn always does", () => {
  const inUse = use();
  const due = (ackOwed: Session["ackOwed"], nowMs: number): boolean => inUse.isAckDueWithData(owing(ackOwed), nowMs);
  expect([due("nothing", 7), due("later", 7), due("turn", 7)]).toEqual([false, true, true]);
  inUse.takeAck(owing("later"), 7);
  expect([due("later", 7.9), due("turn", 7.9), due("later", 8)]).toEqual([false, true, true]);
});

test.each(["nothing", "later"] as const)(
  "the end of a turn brings no ACK where the session owes one: %s",
  (ackOwed) => {
    const inUse = use();
    expect(inUse.isAckHeld(owing(ackOwed))).toBe(false);
    expect(inUse.endTurn(owing(ackOwed))).toBe(false);
    expect(inUse.isAckDue(owing(ackOwed))).toBe(false);
  },
);

test("DATA that arrives is followed by a PING: the first sets the timer, the others leave it alone", () => {
  const inUse = use();
  inUse.onHeard(5_000);
  inUse.dataArrived();
  expect(inUse.timers.nextMs).toBe(6_100);
  inUse.onHeard(6_000);
  inUse.dataArrived();
  expect(inUse.timers.nextMs).toBe(6_100);
  expect(tick(inUse, 6_100)).toBe(false);
  expect([inUse.timers.nextMs, written(inUse)]).toEqual([7_100, []]);
  expect(tick(inUse, 7_100)).toBe(false);
  expect([inUse.timers.nextMs, written(inUse)]).toEqual([10_100, ["ping"]]);
});

test("DATA that is written is followed by a PING, though it was received", () => {
  const inUse = use();
  inUse.dataWritten(5_000);
  inUse.onHeard(5_010);
  inUse.onProgress(false, 5_010);
  expect(inUse.timers.nextMs).toBe(6_100);
  expect(tick(inUse, 6_100)).toBe(false);
  expect(written(inUse)).toEqual(["ping"]);
});

test("progress behind which more is in flight ends the wait for a PING, and the next one comes in time", () => {
  const inUse = use();
  inUse.dataWritten(0);
  expect(tick(inUse, 1_100)).toBe(false);
  expect([inUse.timers.nextMs, written(inUse)]).toEqual([3_000, ["ping"]]);
  inUse.onHeard(1_200);
  inUse.onProgress(true, 1_200);
  expect(inUse.timers.nextMs).toBe(3_400);
  expect(tick(inUse, 3_400)).toBe(false);
  expect(written(inUse)).toEqual(["ping"]);
});

test("doubt sends a PING at once, sets the timer for its answer, and sends no other until that has come", () => {
  const inUse = use();
  inUse.onDoubted(1_000);
  expect([inUse.timers.nextMs, written(inUse)]).toEqual([4_000, ["ping"]]);
  inUse.onDoubted(1_050);
  expect([inUse.timers.nextMs, written(inUse)]).toEqual([4_000, []]);
  inUse.onHeard(1_100);
  inUse.onPong(1, 1_100);
  expect(inUse.timers.nextMs).toBe(16_100);
  inUse.onDoubted(2_200);
  expect(written(inUse)).toEqual(["ping"]);
  expect(tick(inUse, 5_200)).toBe(true);
});

test("doubt brings the timer forward that was set for an answer", () => {
  const inUse = use();
  expect(tick(inUse, 15_000)).toBe(false);
  expect([inUse.timers.nextMs, written(inUse)]).toEqual([19_500, ["ping"]]);
  inUse.onDoubted(15_500);
  expect([inUse.timers.nextMs, written(inUse)]).toEqual([18_500, []]);
  expect(tick(inUse, 18_500)).toBe(true);
});
