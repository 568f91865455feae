/** A server that is asked for a session that another server has opened. */
import { expect, test } from "vitest";
import { newIncarnation, serverIdOf } from "../../../src/core/session/proof.ts";
import { encodeReset } from "../../../src/core/wire/frames.ts";
import type { ElsewhereEvent } from "../../../src/core/server/server.ts";
import type { ServerCoreOptions } from "../../../src/core/server/state.ts";
import { seeded, seededEntropy } from "../../../src/testing/random.ts";
import { ByHand, type HandClient, type HandServer, Line, namesOf, only, outcomeOf } from "../../sim/by-hand.ts";
import { decoded } from "../support.ts";

interface Two {
  world: ByHand;
  client: HandClient;
  /** Has the session. */
  owner: HandServer;
  other: HandServer;
}

function two(options: Partial<ServerCoreOptions> = {}): Two {
  const world = new ByHand();
  const [owner, other] = [world.server({ forwards: true }), world.server({ forwards: true, ...options })];
  const client = world.client();
  client.connect(owner).cut();
  return { world, client, owner, other };
}

function asked(server: HandServer): ElsewhereEvent[] {
  return server.events.filter((event) => event.type === "elsewhere");
}

function refusals({ events }: HandServer): string[] {
  return events.flatMap((event) => (event.type === "refused" ? [`${event.code}: ${event.reason}`] : []));
}

/** The bytes of a client's resume, on a connection that is gone. */
function resumeOf({ client, owner }: Two): Buffer {
  const line = client.dial(owner);
  const bytes = line.takeUp();
  line.cut();
  return bytes;
}

test("the first bytes of an incarnation name the server, the others are random", () => {
  const entropy = seededEntropy(seeded(1));
  const [one, other] = [newIncarnation(entropy, "0123456789ab"), newIncarnation(entropy, "0123456789ab")];
  expect([serverIdOf(one), serverIdOf(other)]).toEqual(["0123456789ab", "0123456789ab"]);
  expect(one).toMatch(/^[0-9a-f]{32}$/);
  expect(one).not.toBe(other);
});

test("a resume of another server's session is forwarded with everything that was said, and goes on there", () => {
  const { world, client, owner, other } = two();
  const line = client.dial(other);
  const hello = line.takeUp();
  const reset = encodeReset("aborted", 0, "");
  // In pieces, of which the last has a part of the next frame.
  line.give(hello.subarray(0, 50));
  line.give(Buffer.concat([hello.subarray(50), reset.subarray(0, 5)]));
  line.give(reset.subarray(5));
  expect(asked(other)).toEqual([
    { type: "elsewhere", channel: line.id, serverId: serverIdOf(client.core.session.incarnation) },
  ]);
  expect(other.events.some(({ type }) => type === "authenticate")).toBe(false);
  const said = Buffer.concat(other.core.forwarded(line.id) as Buffer[]);
  expect(said).toEqual(Buffer.concat([hello, reset]));
  expect([other.core.handshakes, other.core.forwarding]).toEqual([0, 1]);
  const there = new Line(world, owner);
  there.give(hello);
  expect(only(decoded(there.takeDown()), "welcome").welcome.result).toBe("resumed");
  other.core.connectionClosed(line.id, "closed", 0);
  expect(other.core.forwarding).toBe(0);
  expect(other.core.forwarded(line.id)).toBeUndefined();
});

test("a standby is forwarded as well", () => {
  const { world, client, owner, other } = two();
  client.connect(owner);
  world.pass(60_000);
  const standby = client.dial(other, "standby");
  const said = standby.takeUp();
  expect(namesOf(decoded(said))).toEqual(["standby"]);
  standby.give(said);
  expect(asked(other)).toHaveLength(1);
});

test("an open is served here, and so is a session of this server that is unknown", () => {
  const { world, other, client, owner } = two();
  const another = world.client();
  another.connect(other);
  expect(another.connections).toEqual(["new: opened"]);
  owner.link.abandon("expired");
  client.connect(owner);
  expect(client.connections).toEqual(["new: opened", "new: session-lost"]);
  expect([asked(owner), asked(other)]).toEqual([[], []]);
});

test("a forwarded connection is not forwarded again: there the session is unknown", () => {
  const { world, client, other } = two();
  const line = new Line(world, other, client.core, "", true);
  client.lines.set(line.id, line);
  client.core.connectionOpened(line.id, "primary", Buffer.from("alice"), world.nowMs);
  line.settle();
  expect(asked(other)).toEqual([]);
  expect(client.connections).toEqual(["new: opened", "new: session-lost"]);
});

test("without the option nothing is forwarded", () => {
  const { client, other } = two({ forwards: false });
  client.connect(other);
  expect(client.connections).toEqual(["new: opened", "new: session-lost"]);
});

test("where nobody is there the session is lost, and what was said behind HELLO is heard", () => {
  const given = two();
  const { world, client, other } = given;
  const hello = resumeOf(given);
  const line = client.dial(other);
  line.up();
  other.core.nobodyThere(line.id, world.nowMs);
  world.drain();
  line.settle();
  expect(client.connections).toEqual(["new: opened", "new: session-lost"]);
  expect(other.link.session.phase).toBe("live");
  const stranger = new Line(world, other);
  other.authentication = "by hand";
  stranger.give(Buffer.concat([hello, Buffer.from("\x7f\0\0\0\0\0\0\0")]));
  other.core.nobodyThere(stranger.id, world.nowMs);
  world.drain();
  const closed = other.events.findLast((event) => event.type === "close-connection");
  expect(closed).toMatchObject({ channel: stranger.id, reason: "bad-frame" });
});

test("where nobody is there a standby is told so, and its session stays", () => {
  const { world, client, owner, other } = two();
  client.connect(owner);
  world.pass(60_000);
  const standby = client.dial(other, "standby");
  standby.up();
  other.core.nobodyThere(standby.id, world.nowMs);
  world.drain();
  expect(only(standby.down(), "refuse").code).toBe("no-standby");
  expect(outcomeOf(client.events)).toBeUndefined();
});

test("where a server is there and takes nothing its clients come back later, each at a time of its own", () => {
  const { world, client, other } = two();
  const line = client.dial(other);
  line.up();
  other.core.notForwarded(line.id, "full", world.nowMs);
  world.drain();
  const refuse = only(line.down(), "refuse");
  expect([refuse.code, refuse.retryAfterMs > 1_000]).toEqual(["overloaded", true]);
  expect(refusals(other)).toEqual(["overloaded: full"]);
  const next = client.dial(other);
  next.up();
  other.core.notForwarded(next.id, "full", world.nowMs);
  world.drain();
  expect(only(next.down(), "refuse").retryAfterMs).toBeGreaterThan(refuse.retryAfterMs);
});

test("what comes too late changes nothing", () => {
  const { world, client, other } = two();
  const line = client.dial(other);
  line.up();
  line.cut();
  other.core.nobodyThere(line.id, world.nowMs);
  other.core.notForwarded(line.id, "late", world.nowMs);
  expect(other.core.forwarded(line.id)).toBeUndefined();
  expect(other.core.handshakes + other.core.forwarding).toBe(0);
  expect(refusals(other)).toEqual([]);
});

test("a client that talks on and on while its server is being reached is closed", () => {
  const { client, other } = two();
  const line = client.dial(other);
  line.up();
  line.give(Buffer.alloc(65_536));
  expect(other.core.handshakes).toBe(1);
  line.give(Buffer.alloc(1));
  expect(other.core.handshakes).toBe(0);
});

test("a server that is never reached takes the time of a handshake", () => {
  const { world, client, other } = two();
  client.dial(other).up();
  world.pass(60_000);
  expect(other.core.handshakes).toBe(0);
});

test("of too many that wait one gives way, of the address with most of them", () => {
  const given = two({ maxHandshakes: 16 });
  const { world, other } = given;
  const hello = resumeOf(given);
  const from = (peer: string): Line => {
    const line = new Line(world, other, undefined, peer);
    const named = Buffer.from(hello);
    // Each of a session of its own.
    named[8 + 8] = line.id;
    line.give(named);
    return line;
  };
  const many = [1, 2, 3].map(() => from("crowd"));
  const honest = from("honest");
  const [late] = [from("another")];
  expect(refusals(other)).toEqual(["overloaded: too many wait for another server"]);
  expect(many.filter(({ isOpen }) => isOpen)).toHaveLength(2);
  expect([honest.isOpen, late.isOpen]).toEqual([true, true]);
  expect(other.events.find((event) => event.type === "close-connection")?.limit).toBe("handshakes");
});

test("for one session 8 are forwarded at once", () => {
  const given = two();
  const { world, other } = given;
  const hello = resumeOf(given);
  const lines = Array.from({ length: 9 }, (_, n) => {
    const line = new Line(world, other, undefined, `${n}`);
    line.give(hello);
    if (n < 4) other.core.forwarded(line.id);
    return line;
  });
  expect(refusals(other)).toEqual(["overloaded: too many for one session"]);
  expect(lines[8]?.isOpen).toBe(false);
  other.core.connectionClosed(lines[0]?.id ?? 0, "closed", 0);
  lines[5]?.lose("server");
  const more = [1, 2].map(() => {
    const line = new Line(world, other, undefined, "more");
    line.give(hello);
    return line.isOpen;
  });
  expect(more).toEqual([true, true]);
});

test("forwarded connections have places of the server's, and no room of those that come back", () => {
  const given = two({ maxConnections: 2 });
  const { world, other } = given;
  const hello = resumeOf(given);
  const lines = [1, 2, 3].map((n) => {
    const line = new Line(world, other, undefined, `${n}`);
    line.give(hello);
    other.core.forwarded(line.id);
    return line;
  });
  expect(other.core.forwarding).toBe(2);
  expect(refusals(other)).toEqual(["overloaded: too many connections"]);
  const stranger = world.client();
  stranger.dial(other).settle();
  expect(refusals(other).at(-1)).toBe("overloaded: too many connections");
  other.core.connectionClosed(lines[0]?.id ?? 0, "closed", 0);
  stranger.connect(other);
  expect(stranger.connections).toEqual(["new: opened"]);
});

test("a server that shares a store forwards nothing", () => {
  const options = { sharesStore: true, hasStore: true, hasOutbox: true, forwards: true };
  expect(() => new ByHand().server(options)).toThrow("a server that shares a store forwards nothing");
});
