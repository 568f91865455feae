/** What only a stranger says, or a frame that is late: nobody who follows the protocol, and in time, shows these rules. */
import { expect, test } from "vitest";
import type { ServerCoreOptions } from "../../src/core/server/server.ts";
import {
  encodeConfirm,
  encodeHello,
  encodePositionsFrame,
  encodeRefuse,
  encodeReset,
  encodeToken,
  encodeWelcome,
  type Hello,
  type HelloFrame,
} from "../../src/core/wire/frames.ts";
import { encodeProvenHello } from "../../src/core/session/proof.ts";
import { seeded, seededEntropy } from "../../src/testing/random.ts";
import { decoded } from "../core/support.ts";
import { ByHand, Line, namesOf, only, outcomeOf, say } from "./by-hand.ts";
import { nextHello, openLink, suspectLink } from "./openings.ts";

const NOTHING = { received: 0, accepted: 0, window: 65_536, stop: false, done: false };

// ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────────────

test("a client of another version, or another mode, is refused for good", () => {
  const world = new ByHand();
  const server = world.server();
  const hello = nextHello(world.client(), server);
  new Line(world, server).give(encodeHello("hello", { ...hello, version: 2 }));
  new Line(world, server).give(encodeHello("hello", { ...hello, mode: "bytes" }));
  expect(server.refusals).toEqual(["mismatch", "mismatch"]);
  expect(server.core.sessions).toBe(0);
});

test("both ends know what the other has", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client({ mode: "bytes" });
  const told = 'mode "bytes", where this server has "messages"';
  expect(only(client.dial(server).settle(), "reason")).toMatchObject({ text: told });
  expect(outcomeOf(client.events)).toMatchObject({
    outcome: "mismatch",
    detail: expect.stringContaining(`; this client has version 1 and mode "bytes"; the server says: ${told}`) as string,
  });
  new Line(world, server).give(encodeHello("hello", { ...nextHello(world.client(), server), version: 2 }));
  const reasons = server.events.flatMap((event) => (event.type === "refused" ? [event.reason] : []));
  expect(reasons).toEqual([told, "version 2 of the protocol, where this server has 1"]);
});

test("who seems to speak another protocol is said of the first bytes only", () => {
  const world = new ByHand();
  const server = world.server();
  const http = Buffer.from("GET / HTTP/1.1\r\n\r\n");
  new Line(world, server).give(http);
  const behind = world.client().dial(server);
  behind.give(Buffer.concat([behind.takeUp(), http]));
  const later = world.client().dial(server);
  later.up();
  later.give(http);
  const faults = server.events.flatMap((event) => (event.type === "close-connection" ? [event.fault?.detail] : []));
  const unguessed = "the header's reserved bits are not zero";
  expect(faults).toEqual([`${unguessed}; it looks like HTTP`, unguessed, unguessed]);
});

test("an open that is late does not take a session that nobody has confirmed from the open after it", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const first = client.dial(server);
  const late = first.takeUp();
  first.lose("client");
  const second = client.dial(server);
  second.up();
  new Line(world, server).give(late);
  expect(server.refusals).toEqual(["stale"]);
  second.settle();
  expect(server.link.adopted?.id).toBe(second.id);
});

test("a server that answers for another incarnation of the session is not believed", () => {
  const { server, client, line } = openLink();
  line.cut();
  const again = client.dial(server);
  again.takeUp();
  again.giveDown(
    encodeWelcome({
      result: "resumed",
      incarnation: "ee".repeat(16),
      nonce: Buffer.alloc(16),
      positions: NOTHING,
      goaway: false,
      maxMessageBytes: 1_000,
      resumeForMs: 300_000,
    }),
  );
  expect(outcomeOf(client.events)?.outcome).toBe("protocol-error");
  expect(client.core.adopted).toBeUndefined();
});

test("a CONFIRM that answers another WELCOME is found out on a session that is live, too", () => {
  const { server, client, line } = openLink();
  line.cut();
  const again = client.dial(server);
  again.up();
  again.give(encodeConfirm(Buffer.alloc(32)));
  expect(server.linkEvents).toContainEqual(
    expect.objectContaining({ type: "close-connection", fault: expect.objectContaining({ code: "wrong-proof" }) }),
  );
  expect(server.link.adopted).toBeUndefined();
});

test("a PING that was on its way when WELCOME was written may come before CONFIRM, on a live session too", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.dial(server);
  line.up();
  line.down();
  // CONFIRM arrives, and the client does not hear so.
  line.up();
  line.cut();
  const again = client.dial(server);
  again.up();
  for (const type of ["ping", "pong"] as const) again.give(encodeToken(type, 1));
  expect(namesOf(again.settle())).toContain("confirm");
  expect([again.isOpen, client.connections]).toEqual([true, ["new: opened", "resumed: resumed"]]);
});

test.each([0, 1_001])(
  "WELCOME with a largest message of %d bytes, where the client takes 1,000, is no answer",
  (most) => {
    const world = new ByHand();
    const server = world.server();
    const client = world.client();
    const line = client.dial(server);
    line.up();
    const { welcome } = only(decoded(line.takeDown()), "welcome");
    line.giveDown(encodeWelcome({ ...welcome, maxMessageBytes: most }));
    expect([line.isOpen, outcomeOf(client.events)]).toEqual([false, undefined]);
    client.connect(server);
    expect(client.connections).toEqual(["new: opened"]);
  },
);

test("an open that is refused as session-lost has lost nothing: the client dials again", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client({ whenSessionLost: "end" });
  const line = client.dial(server);
  line.giveDown(encodeRefuse("session-lost", 0));
  expect([line.isOpen, client.core.wantsDial, outcomeOf(client.events)]).toEqual([false, true, undefined]);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened"]);
});

test("a client that named a fallback takes REFUSE session-lost for what it says, and opens a new session", () => {
  const { world, client, line } = openLink();
  line.cut();
  const again = client.dial(world.server());
  again.giveDown(encodeRefuse("session-lost", 0));
  expect(client.core.wantsDial).toBe(true);
  client.connect(world.server());
  expect(client.connections).toEqual(["new: opened", "new: session-lost"]);
});

test("who states a window of 0 is sent nothing until an ACK of its own gives credit", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.dial(server);
  const [frame] = decoded(line.takeUp());
  const { hello } = frame as HelloFrame;
  line.give(encodeHello("hello", { ...hello, positions: { ...hello.positions, window: 0 } }));
  line.down();
  line.give(line.takeUp().subarray(0, 40));
  say(server.link, "when you can");
  expect(namesOf(line.down())).not.toContain("data");
  line.give(encodePositionsFrame("ack", NOTHING));
  expect(namesOf(line.down())).toContain("data");
});

test("generations rise over all sessions of a link: the first resume of the next one is not stale", () => {
  const { world, client, line } = openLink();
  line.cut();
  const next = world.server();
  client.connect(next).cut();
  client.connect(next);
  expect(next.refusals).toEqual([]);
  expect(client.connections).toEqual(["new: opened", "new: session-lost", "resumed: resumed"]);
});

test("abort() offline: the RESET behind the HELLO is kept until it is known whose it is", () => {
  const { world, server, client, line } = openLink();
  line.cut();
  client.core.reset("aborted", "enough", "aborted", world.nowMs);
  server.authentication = "by hand";
  const again = client.dial(server);
  again.up();
  expect(outcomeOf(server.linkEvents)).toBeUndefined();
  server.verdict(again);
  expect(outcomeOf(server.linkEvents)).toMatchObject({ outcome: "peer-aborted", peerCode: "enough" });
});

test("who cannot prove that it knows a session does not keep it from expiring", () => {
  const { world, server, client, line } = openLink();
  line.cut();
  const hello = nextHello(client, server);
  world.pass(200_000);
  const stranger = new Line(world, server);
  stranger.give(
    encodeHello("hello", { ...hello, generation: { epoch: 1, counter: 99 }, secretOrProof: Buffer.alloc(32) }),
  );
  expect(server.refusals).toEqual(["authentication"]);
  world.pass(100_000);
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("expired");
});

test("a session that is over counts no longer for whose it was", () => {
  const world = new ByHand();
  const server = world.server({ maxSessionsPerIdentity: 1 });
  for (let n = 0; n < 3; n++) {
    const client = world.client();
    const line = client.connect(server);
    client.core.end();
    server.links.at(-1)?.end();
    line.settle();
    expect(outcomeOf(client.events)?.outcome).toBe("closed");
  }
  expect(server.refusals).toEqual([]);
});

test("of several things that are wrong with a HELLO the first is answered, in the order that the page gives", () => {
  const { server, client, line } = openLink();
  line.cut();
  const hello = nextHello(client, server);
  server.authentication = "by hand";
  const { keys } = client.core.session;
  /** Whether it is a fault, or else what is answered. */
  const answerTo = (change: Partial<Hello>, secret = keys.secret): string => {
    const stranger = new Line(server.world, server);
    const changed = { ...hello, fallback: undefined, ...change };
    stranger.give(encodeProvenHello(seededEntropy(seeded(1)), "hello", changed, secret));
    if (stranger.isOpen) server.verdict(stranger, "mallory");
    const closed = server.events.findLast((event) => event.type === "close-connection");
    return closed?.fault?.code ?? only(decoded(stranger.takeDown()), "refuse").code;
  };
  const stale = { generation: { epoch: 1, counter: 0 } };
  const fresh = { generation: { epoch: 1, counter: 99 } };
  expect(answerTo({ version: 2, mode: "bytes", maxMessageBytes: 0, ...stale }, "another")).toBe("mismatch");
  expect(answerTo({ maxMessageBytes: 0, ...stale }, "another")).toBe("bad-frame");
  expect(answerTo(stale, "another")).toBe("authentication");
  expect(answerTo(stale)).toBe("stale");
  // What it is let in as is known after that only.
  expect(answerTo(fresh)).toBe("authentication");
  expect(answerTo({ ...fresh, sessionId: "77".repeat(16) })).toBe("session-lost");
});

// ── taking over ─────────────────────────────────────────────────────────────────────────────────────────────────────

test("a STANDBY without the session's secret is refused, and nothing else comes of it", () => {
  const { world, server, client, line } = openLink();
  line.cut();
  const hello = nextHello(client, server);
  const stranger = new Line(world, server);
  stranger.give(encodeHello("standby", { ...hello, fallback: undefined, secretOrProof: Buffer.alloc(32) }));
  expect(namesOf(decoded(stranger.takeDown()))).not.toContain("ready");
  expect(server.refusals).toEqual(["authentication"]);
});

test("a resume with the session's secret and another identity is refused", () => {
  const { server, client, line } = openLink();
  line.cut();
  server.authentication = "by hand";
  const again = client.dial(server);
  again.up();
  server.verdict(again, "mallory");
  expect(server.refusals).toEqual(["authentication"]);
  expect([server.link.adopted, server.link.session.phase]).toEqual([undefined, "live"]);
});

test("COMMITTED that answers no COMMIT takes nothing over", () => {
  const { server, client, line } = suspectLink();
  const standby = client.dial(server, "standby");
  standby.giveDown(encodePositionsFrame("committed", NOTHING));
  expect(client.core.adopted?.id).toBe(line.id);
  expect(standby.isOpen).toBe(false);
});

test("RESET that answers no COMMIT ends nothing: whoever says it may not know the session", () => {
  const { server, client, line } = suspectLink();
  const standby = client.dial(server, "standby");
  standby.giveDown(encodeReset("aborted", 0, "of another server"));
  expect([standby.isOpen, outcomeOf(client.events), client.core.adopted?.id]).toEqual([false, undefined, line.id]);
});

test("one standby at a time: another that connects after all is closed", () => {
  const { server, client } = suspectLink();
  const standby = client.dial(server, "standby");
  const other = client.dial(server, "standby");
  expect([standby.isOpen, other.isOpen]).toEqual([true, false]);
  standby.settle();
  expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
});

test("the client closes the connection that was taken over, though its server's own end of it is never heard", () => {
  const { server, client, line } = suspectLink();
  client.dial(server, "standby").settle();
  expect(client.events).toContainEqual(
    expect.objectContaining({ type: "close-connection", channel: line.id, reason: "taken over by a standby" }),
  );
});

test("COMMIT was written and its connection is lost: the server may have fenced the old one, so both are given up", () => {
  const { server, client, line } = suspectLink();
  const standby = client.dial(server, "standby");
  standby.up();
  standby.down();
  standby.takeUp();
  standby.lose("client");
  expect(client.core.wantsDial).toBe(true);
  expect(line.isOpen).toBe(false);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
});

test("nobody can stand by for a session whose CONFIRM was swallowed: a resume confirms it", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.dial(server);
  line.up();
  line.down();
  line.takeUp();
  world.pass(21_000);
  expect([client.core.wantsStandby, client.core.wantsDial]).toEqual([false, true]);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  expect(server.links).toHaveLength(1);
});

test("the peer is through and its last ACK was swallowed: its tombstone stands by, and says so", () => {
  const { world, server, client, line } = openLink();
  server.link.end();
  line.settle();
  client.core.end();
  line.up();
  expect(server.link.session.phase).toBe("done");
  line.takeDown();
  world.pass(21_000);
  expect(client.core.wantsStandby).toBe(true);
  const standby = client.dial(server, "standby");
  standby.up();
  only(standby.down(), "ready");
  standby.settle();
  expect(outcomeOf(client.events)?.outcome).toBe("closed");
});

test("whoever answers does not know the session, over and over: the silent connection is given up, and a resume tells", () => {
  const { world, client } = suspectLink();
  const restarted = world.server();
  for (let refusals = 1; refusals <= 3; refusals++) {
    const standby = client.dial(restarted, "standby");
    standby.settle();
    expect(client.core.wantsDial).toBe(refusals === 3);
    world.pass(8_000);
  }
  expect(restarted.refusals).toEqual(["no-standby", "no-standby", "no-standby"]);
  client.connect(restarted);
  expect(client.connections).toEqual(["new: opened", "new: session-lost"]);
});

test("a connection whose bytes go nowhere is given up as one that is silent, though the server's still arrive", () => {
  const { world, server, client, line } = suspectLink();
  const restarted = world.server();
  for (let refusals = 1; refusals <= 3; refusals++) {
    line.takeUp();
    say(server.link, "you do not hear me");
    line.down();
    client.dial(restarted, "standby").settle();
    expect(client.core.wantsDial).toBe(refusals === 3);
    world.pass(8_000);
  }
});

test("a server asks a client that is silent, closes its connection after two minutes, and keeps the session", () => {
  const { world, server, client, line } = openLink();
  line.settle();
  line.lose("client");
  world.pass(119_000);
  expect(server.link.adopted?.id).toBe(line.id);
  expect(namesOf(decoded(line.takeDown()))).toContain("ping");
  world.pass(2_000);
  expect([server.link.adopted, server.link.session.phase]).toEqual([undefined, "live"]);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
});

test("a connection that nobody asks on may stay silent, though the one before it was suspect", () => {
  const keepalive: ServerCoreOptions["keepalive"] = {
    pingAfterMs: 0,
    suspectAfterMs: 5_000,
    stalledAfterMs: [2_000, 4_000],
    pingAfterSpeechMs: [],
  };
  const world = new ByHand();
  const server = world.server({ keepalive });
  const client = world.client({ keepalive });
  const first = client.connect(server);
  say(server.link, "lost on the way");
  first.takeDown();
  world.pass(20_000);
  first.lose("client");
  const second = client.connect(server);
  world.pass(100);
  second.settle();
  // The first would have been given up two minutes after it was heard, the second after as long again.
  world.pass(200_000);
  expect(server.link.adopted?.id).toBe(second.id);
});
