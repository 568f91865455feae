/** Sessions, as the tests of them need them. */
import { expect } from "vitest";
import { BlockPool } from "../../../src/core/log/blocks.ts";
import type { Positions } from "../../../src/core/wire/frames.ts";
import { Session, type SessionLimits } from "../../../src/core/session/session.ts";
import { Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { CountingBudget, decodedData } from "../support.ts";

export const KEYS = { id: "11".repeat(16), secret: "secret" };
export const MIB = 1_048_576;

export function limits(change: Partial<SessionLimits> = {}): SessionLimits {
  return {
    mode: "messages",
    maxMessageBytes: 1_000,
    maxBatchBytes: 0,
    window: { minBytes: 2_000, maxBytes: 8_000 },
    windowBudget: new CountingBudget(),
    logBudget: new CountingBudget(),
    blocks: new BlockPool(),
    ...change,
  };
}

/** What a peer states that has received and accepted so much; the rest as at the beginning. */
export function stated(received: number, accepted: number = received, change: Partial<Positions> = {}): Positions {
  return { received, accepted, window: 10_000, stop: false, done: false, ...change };
}

/** A session on a connection that has written `written` bytes: messages of 96 bytes, 100 with their lengths. */
export function sending(written: number, change: Partial<SessionLimits> = {}): Session {
  const session = new Session(KEYS, limits(change));
  expect(session.adopt(stated(0), false)).toBeUndefined();
  for (let at = 0; at < written; at += 100) session.sender.take(Buffer.alloc(96), 96, false);
  expect(write(session).at(-1)?.offset ?? 0).toBeLessThanOrEqual(written);
  expect(session.sender.highestSent).toBe(written);
  return session;
}

export function write(session: Session, maxBytes = Infinity): ReturnType<typeof decodedData> {
  const out: Buffer[] = [];
  session.write(out, maxBytes, new Flight(new RoundTrip()), 0);
  return decodedData(out);
}

/** Everything that a statement of the peer's may change. */
export function marks({ sender, receiver, peerStopped, peerDone, ackOwed }: Session): unknown {
  const { acked, sentNow, highestSent, limit, peerReceived, log } = sender;
  const { received, handed, accepted, grant } = receiver;
  return {
    acked,
    sentNow,
    highestSent,
    limit,
    peerReceived,
    start: log.start,
    received,
    handed,
    accepted,
    grant,
    peerStopped,
    peerDone,
    ackOwed,
  };
}
