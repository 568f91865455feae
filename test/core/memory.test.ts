/** What links may hold of memory, with real cores: whatever their peers send, and however their applications read. */
import { describe, expect, test } from "vitest";
import { encodeDataHeader } from "../../src/core/frames.ts";
import { ByHand } from "../sim/by-hand.ts";

const KIB = 1_024;

describe("a chunk of which little waits", () => {
  test("is let go of when the turn is over, though nothing more arrives and nothing is to be written", () => {
    const world = new ByHand();
    const server = world.server();
    const client = world.client();
    const line = client.connect(server);
    const { link } = server;
    const chunk = Buffer.alloc(64 * KIB);
    chunk.set([...encodeDataHeader(0, 2, 0), 0, 0], 0);
    chunk.set([0x80, 0, 0, 0, 0, 0, 0xff, 0xe6], 18);
    line.give(chunk);
    expect([link.session.ackOwed, link.session.receiver.heldBytes]).toEqual(["later", 64 * KIB]);
    expect(link.awaitsEndOfTurn).toBe(true);
    link.endTurn();
    expect([link.awaitsEndOfTurn, link.session.receiver.heldBytes]).toEqual([false, 2]);
  });
});
