/** What links may hold of memory, with real cores: whatever their peers send, and however their applications read. */
import { describe, expect, test } from "vitest";
import { DATA_BLOCKED, encodeDataHeader } from "../../src/core/wire/frames.ts";
import { LinkMemory, mayHoldBytes } from "../../src/io/budget.ts";
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
      serverId: "11".repeat(6),
      // A quarter of them may be unconfirmed.
      maxHandshakes: 20_000,
      maxConnections: 20_000,
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

describe("a session that nobody reads any more", () => {
  test("borrows nothing more, whatever its peer says it is waiting for", () => {
    const world = new ByHand();
    const windowBudget = new CountingBudget(1_000_000);
    const server = world.server({ windowBudget });
    const line = world.client().connect(server);
    const { link } = server;
    link.stopReading();
    const before = windowBudget.taken;
    for (let n = 0; n < 5; n++) line.give(Buffer.concat([encodeDataHeader(n, 1, DATA_BLOCKED), Buffer.alloc(1)]));
    expect(windowBudget.taken).toBe(before);
  });
});

describe("the stated bound", () => {
  const BUFFER_BYTES = 4 * 1_048_576;
  const LIMITS = { mode: "messages" as const, maxMessageBytes: 100_000, maxBatchBytes: 0 };
  const window = { minBytes: 262_144, maxBytes: 8 * 1_048_576 };
  const queue = { maxMessages: 10_000, maxBytes: 16 * 1_048_576 };

  /** A peer that puts extension frames around little DATA, says that it is blocked, and accepts nothing. */
  function stuff(line: Line, receivedBy: { grant: number; received: number }): void {
    for (let at = receivedBy.received; at + 600 <= receivedBy.grant; at += 600) {
      const chunk = Buffer.allocUnsafeSlow(65_536).fill(0);
      chunk.set(encodeDataHeader(at, 600, DATA_BLOCKED), 0);
      // Of the one message of which nothing is whole.
      if (at === 0) chunk.writeUInt32BE(100_000, 16);
      chunk.writeUInt32BE(0x80_00_00_00, 616);
      chunk.writeUInt32BE(65_536 - 624, 620);
      line.give(chunk);
      line.takeDown();
    }
  }

  test("holds, though every peer is stuck both ways and puts little into large chunks; and who comes then is served", () => {
    const world = new ByHand();
    const { windowBudget, logBudget, blocks } = new LinkMemory(BUFFER_BYTES);
    const server = world.server({ ...LIMITS, windowBudget, logBudget, blocks, window, queue });
    const lines = Array.from({ length: 12 }, () => world.client({ ...LIMITS, window }).connect(server));
    for (const [n, line] of lines.entries()) {
      const { session } = server.links[n] as (typeof server.links)[number];
      stuff(line, session.receiver);
    }
    for (const link of server.links) while (link.hasRoom(20_000)) link.take(Buffer.alloc(20_000), 20_000, false);
    let held = 0;
    for (const { session } of server.links) held += session.receiver.heldBytes + session.sender.log.memoryBytes;
    expect(held).toBeLessThanOrEqual(mayHoldBytes(BUFFER_BYTES, 12, LIMITS));
    // And not because there was nothing to hold.
    expect(held).toBeGreaterThan(BUFFER_BYTES);
    const client = world.client({ ...LIMITS, window });
    const line = client.connect(server);
    const link = server.links.at(-1) as (typeof server.links)[number];
    for (let n = 0; n < 5; n++) {
      client.core.take(Buffer.alloc(100_000, n), 100_000, false);
      expect(link.hasRoom(100_000)).toBe(true);
      link.take(Buffer.alloc(100_000, n), 100_000, false);
      line.settle();
      expect([hear(link), hear(client.core)].map(({ length }) => length)).toEqual([1, 1]);
      line.settle();
      world.pass(100);
      line.settle();
    }
  });

  test("an echo that waits for room never waits for ever, though windows have borrowed all there was", () => {
    const world = new ByHand();
    const { windowBudget, logBudget, blocks } = new LinkMemory(BUFFER_BYTES);
    const server = world.server({ ...LIMITS, windowBudget, logBudget, blocks, window, queue });
    const clients = Array.from({ length: 8 }, () => world.client({ ...LIMITS, window, queue }));
    const lines = clients.map((client) => client.connect(server));
    const left = clients.map(() => 20);
    const got = clients.map(() => 0);
    const held: Array<Buffer | undefined> = clients.map(() => undefined);
    for (let round = 0; got.some((messages) => messages < 20); round++) {
      expect(round).toBeLessThan(2_000);
      for (const [n, client] of clients.entries()) {
        const line = lines[n] as Line;
        const link = server.links[n] as (typeof server.links)[number];
        while ((left[n] as number) > 0 && client.core.hasRoom(90_000)) {
          client.core.take(Buffer.alloc(90_000, n), 90_000, false);
          left[n] = (left[n] as number) - 1;
        }
        line.up();
        for (;;) {
          held[n] ??= link.next();
          const message = held[n];
          if (message === undefined || !link.hasRoom(message.length)) break;
          link.take(message, message.length, false);
          link.accept(link.session.receiver.handed);
          held[n] = undefined;
        }
        line.down();
        got[n] = (got[n] as number) + hear(client.core).length;
      }
      world.pass(30);
    }
    expect(windowBudget.freeBytes).toBeGreaterThanOrEqual(0);
    expect(logBudget.freeBytes).toBeGreaterThanOrEqual(0);
  });
});
