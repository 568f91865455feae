/** Crowds that want nothing but places, and clients that come too often: those that are here keep their room. */
import { expect, test } from "vitest";
import { encodeHello, type Hello } from "../../src/core/wire/frames.ts";
import { encodeProvenHello } from "../../src/core/session/proof.ts";
import { seededEntropy } from "../../src/testing/random.ts";
import { decoded } from "../core/support.ts";
import { ByHand, type HandClient, type HandServer, Line, namesOf, only, WELCOMING } from "./by-hand.ts";
import { nextHello } from "./openings.ts";

/** Connections that say nothing, from one place. */
function silence(world: ByHand, server: HandServer, peer: string, times: number): Line[] {
  return Array.from({ length: times }, () => new Line(world, server, undefined, peer));
}

/** Opens a session that nobody confirms. */
function openOnly(world: ByHand, server: HandServer, hello: Hello, n: number, peer: string): Line {
  const line = new Line(world, server, undefined, peer);
  line.give(encodeHello("hello", { ...hello, sessionId: n.toString(16).padStart(32, "0") }));
  return line;
}

function wasRefused(line: Line): boolean {
  return line.takeDown().length > 0 && !line.isOpen;
}

function askedOf(server: HandServer): number[] {
  return server.events.flatMap((event) => (event.type === "authenticate" ? [event.channel] : []));
}

test("of too many connections that say nothing one of where most come from gives way, and hears so", () => {
  const world = new ByHand();
  const server = world.server({ maxHandshakes: 8 });
  const few = silence(world, server, "few", 2);
  const crowd = silence(world, server, "crowd", 20);
  expect(server.core.handshakes).toBe(8);
  expect(few.every((line) => line.isOpen)).toBe(true);
  const gone = crowd.filter((line) => !line.isOpen);
  expect(gone).toHaveLength(14);
  for (const line of gone) {
    const { code, retryAfterMs } = only(line.down(), "refuse");
    expect([code, retryAfterMs >= 250]).toEqual(["overloaded", true]);
  }
});

test("at the door nobody is told to wait for more than a second, however many are: it may be one that has a session", () => {
  const world = new ByHand();
  const server = world.server({ maxHandshakes: 8 });
  const waits = silence(world, server, "crowd", 20_000)
    .filter((line) => !line.isOpen)
    .map((line) => only(line.down(), "refuse").retryAfterMs);
  expect(Math.max(...waits)).toBeLessThanOrEqual(1_000);
  // They are spread all the same.
  expect(new Set(waits).size).toBeGreaterThan(300);
});

test("who has said HELLO does not give way to those that come after it", () => {
  const world = new ByHand();
  const server = world.server({ maxHandshakes: 8 });
  server.authentication = "by hand";
  const client = world.client();
  const line = client.dial(server);
  line.up();
  // From the same place.
  silence(world, server, "", 100);
  server.verdict(line);
  line.settle();
  expect(client.connections).toEqual(["new: opened"]);
});

test("sessions that nobody confirms keep no client out, and not their own identity", () => {
  const world = new ByHand();
  const server = world.server({ maxHandshakes: 16, maxSessionsPerIdentity: 3, maxSessions: 6 });
  const client = world.client();
  const hello = nextHello(client, server);
  const lines = Array.from({ length: 10 }, (_, n) => openOnly(world, server, hello, n, "crowd"));
  expect(server.core.unconfirmed).toBe(3);
  // They have had the time that a client needs for its CONFIRM.
  world.pass(1_000);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened"]);
  expect(server.core.sessions).toBe(3);
  expect(server.events.filter(({ type }) => type === "gave-way")).toHaveLength(1);
  expect(lines[0]?.isOpen).toBe(false);
});

test("a session that was just opened has time to be confirmed before it gives way", () => {
  const world = new ByHand();
  const server = world.server({ maxSessionsPerIdentity: 1 });
  const [first, second] = [world.client(), world.client()];
  const opening = first.dial(server);
  opening.up();
  const late = second.dial(server);
  late.up();
  expect(only(late.down(), "refuse").code).toBe("overloaded");
  opening.settle();
  expect(first.connections).toEqual(["new: opened"]);
});

test("above the cap on connections nothing is opened; who comes back to a connection of its own is let in", () => {
  const world = new ByHand();
  const server = world.server({ maxConnections: 1 });
  const [first, second] = [world.client(), world.client()];
  const old = first.connect(server);
  const refused = second.dial(server);
  refused.up();
  expect(only(refused.down(), "refuse").code).toBe("overloaded");
  // Only the client knows of the cut.
  old.lose("client");
  first.connect(server);
  expect(first.connections).toEqual(["new: opened", "resumed: resumed"]);
  expect(server.core.attached).toBe(1);
});

test("a client that was cut has a place, though a newcomer has taken its own", () => {
  const world = new ByHand();
  const server = world.server({ maxConnections: 1 });
  const [first, second] = [world.client(), world.client()];
  first.connect(server).cut();
  second.connect(server);
  first.connect(server);
  expect(first.connections).toEqual(["new: opened", "resumed: resumed"]);
});

test("nor can newcomers take the place that is kept for it, though others that say nothing give way", () => {
  const world = new ByHand();
  const server = world.server({ maxConnections: 1 });
  const [first, second, third] = [world.client(), world.client(), world.client()];
  first.connect(server).cut();
  second.connect(server);
  silence(world, server, "crowd", 1);
  const late = third.dial(server);
  late.up();
  expect(only(late.down(), "refuse").code).toBe("overloaded");
  first.connect(server);
  expect(first.connections).toEqual(["new: opened", "resumed: resumed"]);
});

test("sessions that are about to be confirmed do not give way to those that come behind them from the same place", () => {
  const world = new ByHand();
  const server = world.server({ maxConnections: 3 });
  server.authentication = "by hand";
  const [first, ...others] = [world.client(), world.client(), world.client()] as const;
  const open = (client: HandClient): Line => {
    const line = client.dial(server);
    line.up();
    server.verdict(line, "");
    return line;
  };
  let last = open(first);
  last.settle();
  for (const client of others) open(client);
  // They find a connection of their own, and wait for their verdicts.
  for (let n = 0; n < 2; n++) {
    last.lose("client");
    last = first.dial(server);
    last.up();
  }
  const late = new Line(world, server);
  expect([server.core.unconfirmed, wasRefused(late)]).toEqual([2, true]);
});

test("a resume that comes too often is refused before anybody is asked who it is", () => {
  const world = new ByHand();
  const server = world.server({ admission: { ...WELCOMING, comeBack: () => 700 } });
  const client = world.client();
  client.connect(server).cut();
  const before = askedOf(server).length;
  const refused = client.dial(server);
  refused.up();
  const { code, retryAfterMs } = only(refused.down(), "refuse");
  expect([code, retryAfterMs]).toEqual(["overloaded", 700]);
  expect(askedOf(server)).toHaveLength(before);
});

test("what somebody says again, who has listened, is not counted as the session's coming", () => {
  const world = new ByHand();
  let times = 0;
  const server = world.server({ admission: { ...WELCOMING, comeBack: () => times++ && 0 } });
  const client = world.client();
  client.connect(server).cut();
  const line = client.dial(server);
  const said = line.takeUp();
  line.give(said);
  line.settle();
  expect(times).toBe(1);
  for (let n = 0; n < 10; n++) new Line(world, server).give(said);
  expect(times).toBe(1);
  expect(server.refusals).toEqual(Array.from({ length: 10 }, () => "stale"));
});

test("an open that is said again and again counts as coming back", () => {
  const world = new ByHand();
  let times = 0;
  const server = world.server({ admission: { ...WELCOMING, comeBack: () => (++times > 2 ? 500 : 0) } });
  const client = world.client();
  const hello = nextHello(client, server);
  const lines = Array.from({ length: 5 }, (_, n) => {
    const line = new Line(world, server);
    line.give(encodeHello("hello", { ...hello, generation: { epoch: 1, counter: 10 + n } }));
    return line;
  });
  expect(server.core.unconfirmed).toBe(1);
  const answers = lines.map((line) => namesOf(decoded(line.takeDown())));
  expect(answers).toEqual([["welcome"], ["welcome"], ["welcome"], ["refuse"], ["refuse"]]);
});

test("a slow authenticate(): strangers wait in order, and sessions that are here have calls of their own", () => {
  const world = new ByHand();
  const server = world.server({ maxAuthenticating: 4, maxHandshakes: 100 });
  const client = world.client();
  client.connect(server).cut();
  const hello = nextHello(world.client(), server);
  server.authentication = "by hand";
  server.events.length = 0;
  const strangers = Array.from({ length: 5 }, (_, n) => openOnly(world, server, hello, n, `${n}`));
  const inOrder = strangers.map(({ id }) => id);
  expect(askedOf(server)).toEqual(inOrder.slice(0, 3));
  const back = client.dial(server);
  back.up();
  expect(askedOf(server)).toEqual([...inOrder.slice(0, 3), back.id]);
  server.verdict(strangers[0] as Line);
  expect(askedOf(server).at(-1)).toBe(inOrder[3]);
  // One that has gone has no call any more, and who waits behind it does not wait for that.
  strangers[1]?.lose("server");
  server.verdict(back);
  back.settle();
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  server.verdict(strangers[1] as Line);
  expect(askedOf(server).at(-1)).toBe(inOrder[4]);
});

test("who cannot be answered in time hears when to come back, before it is asked; a session waits for it as long again", () => {
  const world = new ByHand();
  const server = world.server({ maxAuthenticating: 1, maxHandshakes: 100, resumeForMs: 10_000 });
  const client = world.client();
  client.connect(server).cut();
  server.authentication = "by hand";
  const hello = nextHello(world.client(), server);
  openOnly(world, server, hello, 1, "slow");
  server.events.length = 0;
  for (let n = 0; n < 3; n++) {
    world.pass(4_000);
    const line = client.dial(server);
    line.up();
    world.pass(4_000);
    const { code, retryAfterMs } = only(line.down(), "refuse");
    expect([code, retryAfterMs > 0, retryAfterMs <= 5_000]).toEqual(["overloaded", true, true]);
  }
  expect(askedOf(server)).toEqual([]);
  expect(server.core.sessions).toBe(1);
});

test("a session has one standby: a newer one takes the place of the one before", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  client.connect(server);
  const { session } = client.core;
  const standby = (counter: number): Line => {
    const hello: Hello = {
      version: 1,
      mode: "messages",
      resume: true,
      sessionId: session.keys.id,
      incarnation: session.incarnation,
      generation: { epoch: 1, counter },
      instance: "aa".repeat(16),
      positions: { received: 0, accepted: 0, window: 65_536, stop: false, done: false },
      maxMessageBytes: 1_000,
      secretOrProof: Buffer.alloc(0),
      fallback: undefined,
      credentials: Buffer.from("alice"),
      openPayload: Buffer.alloc(0),
    };
    const line = new Line(world, server);
    line.give(encodeProvenHello(seededEntropy(world.random), "standby", hello, session.keys.secret));
    return line;
  };
  const lines = [standby(10), standby(11), standby(12)];
  expect(lines.map((line) => line.isOpen)).toEqual([false, false, true]);
  expect(server.core.handshakes).toBe(1);
});
