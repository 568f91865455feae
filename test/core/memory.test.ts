/** What links may hold of memory, with real cores: whatever their peers send, and however their applications read. */
import { describe, expect, test } from "vitest";
import { encodeDataHeader } from "../../src/core/frames.ts";
import { ByHand, HandClient, hear, type Line, say } from "../sim/by-hand.ts";
import { CountingBudget } from "./support.ts";

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

describe("a session that nobody has confirmed", () => {
  const MIB = 1_048_576;
  const window = { minBytes: 262_144, maxBytes: 8 * MIB };

  test("borrows nothing: after 4,100 of them the next to come has its whole window", () => {
    const world = new ByHand();
    const windowBudget = new CountingBudget(512 * MIB);
    const server = world.server({
      window,
      windowBudget,
      maxSessions: 5_000,
      maxSessionsPerIdentity: 5_000,
      maxHandshakes: 5_000,
    });
    for (let n = 0; n < 4_100; n++) new HandClient(world, {}).dial(server).up();
    expect([server.core.unconfirmed, windowBudget.taken]).toEqual([4_100, 0]);
    const client = world.client();
    client.connect(server);
    expect(server.link.session.receiver.windowBytes).toBe(262_144);
    expect(client.core.session.sender.limit).toBe(262_144);
  });
});

describe("a window above its share", () => {
  test("gives back as its consumer accepts, and never what was promised", () => {
    const world = new ByHand();
    const windowBudget = new CountingBudget(100_000);
    const server = world.server({ windowBudget, window: { minBytes: 40_000, maxBytes: 65_536 } });
    const [first, second] = [world.client(), world.client()];
    const line = first.connect(server);
    const [link] = server.links;
    const session = link?.session;
    if (link === undefined || session === undefined) throw new Error("no link");
    const size = (): number => session.receiver.windowBytes;
    expect(size()).toBe(40_000);
    const lines: Line[] = Array.from({ length: 5 }, () => world.client().connect(server));
    expect(lines).toHaveLength(5);
    second.connect(server);
    // Nothing was accepted: all of it may be under way.
    line.settle();
    expect([size(), first.core.session.sender.limit]).toEqual([40_000, 40_000]);
    for (let accepted = 0; accepted < 36_000;) {
      for (let n = 0; n < 9; n++) say(first.core, "x".repeat(996));
      line.up();
      hear(link);
      accepted += 9_000;
      line.down();
      expect(first.core.session.sender.limit).toBeGreaterThanOrEqual(40_000);
      expect(session.receiver.accepted + size()).toBeGreaterThanOrEqual(first.core.session.sender.limit);
    }
    expect(size()).toBeLessThan(22_000);
    expect(windowBudget.taken).toBeLessThanOrEqual(100_000);
  });
});
