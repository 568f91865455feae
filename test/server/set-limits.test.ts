/** Limits that are changed while a server runs. */
import { describe, expect, test } from "vitest";
import { type Limits, type Link, MiB, type PlainLimits } from "../../src/index.ts";
import { echo, eventually, failure, logKeeper, openTo, receiveText, serve } from "../support.ts";
import { connect, dial, type Server, setUp } from "./served-sessions.ts";
import { unconfirmed } from "./unconfirmed.ts";
import { echoLines, lineClient, servePlain } from "./plain-servers.ts";

/** The clients that each limit has turned away. */
function turnedAway({ sessions }: Server): Record<string, number> {
  return sessions.stats().turnedAway;
}

describe("of resplice clients", () => {
  test("a lowered cap turns nobody out who is in, and is for those that come", async () => {
    const server = setUp();
    const links = [await connect(server), await connect(server), await connect(server)];
    server.sessions.setLimits({ connections: 1 });
    const late = dial(server);
    await server.clock.advance(2_000);
    expect(links.map(({ state }) => state)).toEqual(["connected", "connected", "connected"]);
    expect([late.state, turnedAway(server)["connections"]]).toEqual(["reconnecting", expect.any(Number)]);
    server.sessions.setLimits({ connections: 4 });
    await server.clock.advanceUntil(() => late.state === "connected");
    expect(server.links).toHaveLength(4);
  });

  test("a client that was cut comes back to a server that is above its cap once others have left", async () => {
    const server = setUp();
    const links = [await connect(server), await connect(server), await connect(server)];
    server.sessions.setLimits({ connections: 1 });
    server.path.cut("rst");
    await server.clock.advance(60_000);
    // The cap, and half of the places above it.
    expect(links.map(({ state }) => state).filter((state) => state === "connected")).toHaveLength(2);
    for (const link of links.filter(({ state }) => state === "connected")) void link.close();
    await server.clock.advance(60_000);
    expect(links.map(({ state }) => state).toSorted()).toEqual(["closed", "closed", "connected"]);
  });

  test("at the cap of an address no session of another is given up, though nobody has confirmed it", async () => {
    const server = setUp();
    server.client.address = "192.0.2.1";
    await unconfirmed(server);
    server.client.address = "192.0.2.2";
    for (let n = 0; n < 3; n++) await connect(server);
    server.sessions.setLimits({ connectionsPerAddress: 1 });
    // So much time had the client that is to confirm.
    await server.clock.advance(2_000);
    dial(server);
    await server.clock.advance(2_000);
    expect(turnedAway(server)).toEqual({ connectionsPerAddress: expect.any(Number) });
    expect(server.sessions.stats()).toMatchObject({ handshaking: 1, sessions: { connected: 3, waiting: 1 } });
  });

  const CHANGES: Array<[keyof Limits, Limits, Limits]> = [
    ["sessions", { sessions: 1 }, { sessions: 2 }],
    ["sessionsPerIdentity", { sessionsPerIdentity: 1 }, { sessionsPerIdentity: 2 }],
    ["connectionsPerAddress", { connectionsPerAddress: 1 }, { connectionsPerAddress: 2 }],
    ["opensPerSecond", { opensPerSecond: 1 }, { opensPerSecond: 100 }],
    ["acceptsPerSecond", { acceptsPerSecond: 1 }, { acceptsPerSecond: 100 }],
  ];
  test.each(CHANGES)("%s is lowered and raised", async (limit, low, high) => {
    const server = setUp();
    await connect(server);
    server.sessions.setLimits(low);
    // Of what was left of a budget one second's worth stays.
    const late = Array.from({ length: 5 }, () => dial(server));
    await server.clock.advance(100);
    expect(turnedAway(server)[limit]).toBeGreaterThan(2);
    server.sessions.setLimits({ ...high, sessions: 10, sessionsPerIdentity: 10, connectionsPerAddress: 10 });
    await server.clock.advanceUntil(() => late.every(({ state }) => state === "connected"));
    expect(server.links).toHaveLength(6);
  });

  test("defaults follow what they are made of, what was given stays, and undefined is refused", () => {
    const limitsOf = (server: Server, changes: Limits) => server.sessions.setLimits(changes).limits;
    expect(limitsOf(setUp(), { connections: 100 })).toMatchObject({ handshakes: 50, sessions: 200 });
    const given = setUp(() => {}, { limits: { handshakes: 70, sessions: 500 } });
    expect(limitsOf(given, { connections: 100 })).toMatchObject({ connections: 100, handshakes: 70, sessions: 500 });
    expect(limitsOf(given, { opensPerSecond: 7 })).toMatchObject({ connections: 100, acceptsPerSecond: 5_107 });
    for (const [option, changes] of [
      ["limits.connections", { connections: 0 }],
      ["limits.connections", { connections: undefined }],
      ["limits.conections", { conections: 5 }],
      ["limits.rates.link.bytesPerSecond", { connections: 5, rates: { link: { bytesPerSecond: 0 } } }],
      ["limits.rates.identity", { rates: { identity: { bytesPerSecond: 5 } } }],
      ["limits", {}],
      ["limits", undefined],
      ["limits", null],
      ["limits", 5],
    ] as Array<[string, Limits]>) {
      const wrong = expect.objectContaining({
        code: "INVALID_OPTION",
        option: expect.objectContaining({ name: option }),
      });
      expect(() => given.sessions.setLimits(changes)).toThrow(wrong);
    }
    // Nothing of what was refused is kept.
    expect(limitsOf(given, { opensPerSecond: 8 })).toMatchObject({ connections: 100 });
  });

  test("with less bufferBytes a link takes no more than its minimum; what others hold is theirs", async () => {
    const server = setUp(() => {}, { limits: { bufferBytes: 64 * MiB }, queue: { maxBytes: 8 * MiB } });
    const clients = [await connect(server), await connect(server)];
    const [before, after] = server.links as [Link, Link];
    for (const client of clients) client.hold();
    server.path.cut("rst");
    await server.clock.advance(100);
    const fill = (link: Link): number => {
      let taken = 0;
      while (taken < 100 && link.trySend(Buffer.alloc(MiB / 2))) taken++;
      return taken;
    };
    const held = fill(before);
    expect(held).toBeGreaterThan(10);
    server.sessions.setLimits({ bufferBytes: 0 });
    // The minimum has room for the largest message, and so for one of these.
    expect([fill(after), before.stats().queue.messages]).toEqual([1, held]);
  });
});

test("a supervisor logs its new limits, and is told of what does not fit", async () => {
  const { lines, logger } = logKeeper();
  const { supervisor, port } = await serve({ logger }, echo);
  const link = openTo(port);
  await link.connected();
  supervisor.setLimits({ connections: 1, sessions: 100_000_000 });
  expect(lines.find(({ event }) => event === "server.limits")).toMatchObject({
    connections: 1,
    handshakes: 8,
    sessions: 100_000_000,
    sessionsMayHoldBytes: expect.any(Number),
  });
  expect(lines.find(({ event }) => event === "server.memory")).toMatchObject({ sessions: 100_000_000 });
  openTo(port);
  await eventually(() => expect(supervisor.stats().turnedAway).toMatchObject({ connections: expect.any(Number) }));
  await link.send("hello");
  expect(await receiveText(link)).toBe("hello");
  expect(await failure(() => supervisor.setLimits({ connections: -1 }))).toMatchObject({ code: "INVALID_OPTION" });
  expect(lines.filter(({ event }) => event === "server.limits")).toHaveLength(1);
});

describe("of other clients", () => {
  test("each is for those that come", async () => {
    const { lines, logger } = logKeeper();
    const served = await servePlain({ logger }, echoLines);
    const turned = (): Record<string, number> => served.supervisor.stats().turnedAway;
    const first = lineClient(served.port);
    await served.links.next();
    const low: PlainLimits[] = [{ connections: 1 }, { connections: 5, connectionsPerAddress: 1 }];
    for (const limits of low) {
      served.supervisor.setLimits(limits);
      await lineClient(served.port).ended;
    }
    served.supervisor.setLimits({ connectionsPerAddress: 5, opensPerSecond: 1 });
    const closed = Array.from({ length: 5 }, () => lineClient(served.port).ended);
    await Promise.race(closed);
    expect(turned()).toEqual({ connections: 1, connectionsPerAddress: 1, opensPerSecond: expect.any(Number) });
    served.supervisor.setLimits({ opensPerSecond: 100, acceptsPerSecond: 1 });
    await Promise.race(Array.from({ length: 5 }, () => lineClient(served.port).ended));
    expect(turned()["acceptsPerSecond"]).toBeGreaterThan(0);
    first.say("hello");
    expect(await first.lines.next()).toBe("hello");
    expect(lines.filter(({ event }) => event === "server.limits")).toHaveLength(4);
    expect(await failure(() => served.supervisor.setLimits({ sessions: 5 } as PlainLimits))).toMatchObject({
      code: "INVALID_OPTION",
      option: { name: "limits.sessions" },
    });
  });
});
