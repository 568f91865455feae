/**
 * Counterexamples of opening and resuming, each as it broke the obvious design, and what the rule makes of it. The other
 * rows are in scenarios-takeover, scenarios-data, scenarios-ending and scenarios-moving. Not here, since the core alone cannot show them:
 *
 * | rows | why |
 * |---|---|
 * | 1, 2 | no outbox and no store yet. The simulation says late what is persisted and committed (store.ts) |
 * | 20, 21 | `serve()` and the iterator are the link's: what the core sees of them is a reset or an acceptance |
 * | 22 | queue policies stand before the log: the simulation draws them for clients (sim-backlog.ts), and test/core/queue has the rest |
 * | 32 | that a reopened outbox counts its end as sent; here is what its rule leads to, the terminal position |
 * | 33, 34 | no store yet: the conditional writes and the tokens are the simulation's (store.ts). How the core heeds their answers is in test/core/server/shared-store.test.ts |
 */
import { expect, test } from "vitest";
import { encodeDataHeader, encodeHello, encodeReset, type Hello } from "../../src/core/wire/frames.ts";
import { encodeProvenHello, secretBytes } from "../../src/core/session/proof.ts";
import { ByHand, hear, Line, namesOf, only, outcomeOf, say, WELCOMING } from "./by-hand.ts";
import { openLink } from "./openings.ts";
import { seeded, seededEntropy } from "../../src/testing/random.ts";

const NOTHING = { received: 0, accepted: 0, window: 65_536, stop: false, done: false };

/** A HELLO that opens, but for its secret. */
function open(sessionId: string): Hello {
  return {
    version: 1,
    mode: "messages",
    resume: false,
    sessionId,
    incarnation: "00".repeat(16),
    generation: { epoch: 9, counter: 9 },
    instance: "bb".repeat(16),
    positions: NOTHING,
    maxMessageBytes: 1_000,
    secretOrProof: Buffer.alloc(32),
    fallback: undefined,
    credentials: Buffer.from("alice"),
    openPayload: Buffer.alloc(0),
  };
}

/** The HELLO of another process that has the client's session, as from a copied outbox. */
function helloOfAnotherProcess(client: ReturnType<ByHand["client"]>, epoch: number, counter: number): Buffer {
  const { keys, incarnation } = client.core.session;
  return encodeProvenHello(
    seededEntropy(seeded(1)),
    "hello",
    { ...open(keys.id), resume: true, incarnation, generation: { epoch, counter }, secretOrProof: Buffer.alloc(0) },
    keys.secret,
  );
}

test("counterexample 4: a server that knows an older incarnation of the session resumes it at its own positions", () => {
  const world = new ByHand();
  const [first, a, b] = [world.server(), world.server(), world.server()];
  const client = world.client();
  client.connect(first).cut();
  // `first` has died. A makes the fallback, but its WELCOME is lost; B makes it too, and a message goes through there.
  const lost = client.dial(a);
  lost.up();
  lost.cut();
  const line = client.dial(b);
  line.settle();
  say(client.core, "one");
  line.settle();
  expect(hear(b.link)).toEqual(["one"]);
  line.settle();
  line.cut();
  const { id } = client.core.session.keys;
  const atA = client.dial(a);
  atA.up();
  const { welcome } = only(atA.down(), "welcome");
  expect(welcome.result).toBe("lost");
  expect(outcomeOf(client.events)).toBeUndefined();
  expect(client.core.session.keys.id).not.toBe(id);
});

test("counterexample 5: a lost WELCOME and a retry make a second session", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const first = client.dial(server);
  first.up();
  const lost = first.takeDown();
  first.cut();
  const retry = client.dial(server);
  retry.up();
  expect(server.core.sessions).toBe(1);
  const { welcome } = only(retry.down(), "welcome");
  // The same session, in its place in the answer that was lost.
  expect(lost.includes(Buffer.from(welcome.incarnation, "hex"))).toBe(true);
  retry.settle();
  expect(server.links).toHaveLength(1);
});

test("counterexample 6: the first HELLO is late, the retry goes to another node, and both announce a link", () => {
  const world = new ByHand();
  const [a, b] = [world.server(), world.server()];
  const client = world.client();
  const stalled = client.dial(a);
  const late = stalled.takeUp();
  stalled.cut();
  const line = client.connect(b);
  expect(b.links).toHaveLength(1);
  const arrives = new Line(world, a);
  arrives.give(late);
  expect([a.core.sessions, a.links.length]).toEqual([1, 0]);
  world.pass(60_000);
  expect([a.core.sessions, a.links.length]).toEqual([0, 0]);
  expect(line.isOpen).toBe(true);
});

test("counterexample 6: a stalled HELLO arrives after the close, and makes a link that nobody holds", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const stalled = client.dial(server);
  const late = stalled.takeUp();
  stalled.cut();
  const line = client.connect(server);
  client.core.end();
  server.link.end();
  line.settle();
  expect(server.core.sessions).toBe(0);
  new Line(world, server).give(late);
  world.pass(60_000);
  expect([server.core.sessions, server.links.length]).toEqual([0, 1]);
});

test("counterexample 9: authentication ends with the owner at an abandoned generation", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  client.connect(server).cut();
  server.authentication = "by hand";
  const abandoned = client.dial(server);
  abandoned.up();
  const newest = client.dial(server);
  newest.up();
  server.verdict(newest);
  newest.down();
  expect(server.link.adopted?.id).toBe(newest.id);
  server.verdict(abandoned);
  expect(server.refusals).toEqual(["stale"]);
  expect(server.link.adopted?.id).toBe(newest.id);
});

test("counterexample 19: resumes that are refused for want of room expire while they wait", () => {
  const world = new ByHand();
  const asked: string[] = [];
  let room = true;
  const answer = (kind: string): number => {
    asked.push(kind);
    return room ? 0 : 5_000;
  };
  const admission = { ...WELCOMING, open: () => answer("open"), comeBack: answer };
  const server = world.server({ resumeForMs: 10_000, admission });
  const client = world.client();
  client.connect(server).cut();
  room = false;
  for (let n = 0; n < 3; n++) {
    world.pass(5_000);
    const refused = client.dial(server);
    refused.up();
    const { code, retryAfterMs } = only(refused.down(), "refuse");
    expect([code, retryAfterMs]).toEqual(["overloaded", 5_000]);
  }
  // Resumes have a budget of their own.
  expect(asked).toEqual(["open", "resume", "resume", "resume"]);
  room = true;
  world.pass(5_000);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
});

test("counterexample 19: and so do those that nobody could authenticate", () => {
  const world = new ByHand();
  const server = world.server({ resumeForMs: 10_000 });
  const client = world.client();
  client.connect(server).cut();
  server.authentication = "by hand";
  for (let n = 0; n < 3; n++) {
    world.pass(5_000);
    const refused = client.dial(server);
    refused.up();
    server.core.authenticated(refused.id, "unavailable", world.nowMs);
    refused.down();
  }
  server.authentication = "at once";
  world.pass(5_000);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
});

test("counterexample 24: two processes with one outbox fence each other for ever", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  const other = new Line(world, server);
  other.give(helloOfAnotherProcess(client, 2, 1));
  expect(server.link.adopted?.id).toBe(other.id);
  line.settle();
  expect(outcomeOf(client.events)?.outcome).toBe("taken-over");
  expect(client.core.wantsDial).toBe(false);
});

test("counterexample 24: the first process was offline, and hears of it at its next dial", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  client.connect(server).cut();
  new Line(world, server).give(helloOfAnotherProcess(client, 2, 1));
  client.connect(server);
  expect(server.refusals).toEqual(["taken-over"]);
  expect(outcomeOf(client.events)?.outcome).toBe("taken-over");
});

test("counterexample 31: a late HELLO of an earlier process takes back what the newer one resumed", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  client.connect(server);
  const late = helloOfAnotherProcess(client, 1, 99);
  const newer = new Line(world, server);
  newer.give(helloOfAnotherProcess(client, 2, 1));
  new Line(world, server).give(late);
  expect(server.refusals).toEqual(["taken-over"]);
  expect(server.link.adopted?.id).toBe(newer.id);
});

test("counterexample 38: abort() while HELLO is unanswered, and the session lives on at the server", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.dial(server);
  line.up();
  client.core.reset("aborted", "enough", "aborted", world.nowMs);
  line.down();
  expect(namesOf(line.up())).toEqual(["reset"]);
  expect([server.core.sessions, server.links.length]).toEqual([0, 0]);
  expect(client.core.gone).toBe(true);
});

test("counterexample 38: abort() while the HELLO of a resume is unanswered", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  client.connect(server).cut();
  const line = client.dial(server);
  line.up();
  client.core.reset("aborted", "enough", "aborted", world.nowMs);
  line.settle();
  expect(outcomeOf(server.linkEvents)).toMatchObject({ outcome: "peer-aborted", peerCode: "enough" });
  expect(server.core.sessions).toBe(0);
});

test("a dial that was given up connects after all: nothing is said on it while another connection is in use", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  // HELLO would state positions that ACKs on the connection in use overtake.
  const late = client.dial(server);
  expect(late.settle()).toEqual([]);
  expect(late.isOpen).toBe(false);
  expect([server.link.adopted?.id, client.core.adopted?.id]).toEqual([line.id, line.id]);
});

test("a session that nobody has confirmed is kept for the handshake time after its newest connection", () => {
  const world = new ByHand();
  const server = world.server({ handshakeMs: 10_000 });
  const client = world.client();
  const first = client.dial(server);
  first.up();
  first.down();
  // The client knows the session now, but its CONFIRM is lost.
  first.takeUp();
  world.pass(9_000);
  first.cut();
  world.pass(9_000);
  const second = client.dial(server);
  second.up();
  // The server does not hear of the end of this one.
  second.lose("client");
  world.pass(9_000);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  expect(server.links).toHaveLength(1);
});

test("the newest connection fences the one before it of a session that nobody has confirmed", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const first = client.dial(server);
  first.up();
  first.down();
  const late = first.takeUp();
  first.lose("client");
  const second = client.dial(server);
  second.up();
  expect(first.isOpen).toBe(false);
  // Not even a RESET of the older connection is looked at.
  for (const bytes of [late, encodeReset("aborted", 0, "")]) first.give(bytes);
  expect([server.links.length, server.core.unconfirmed]).toEqual([0, 1]);
  second.settle();
  expect(server.link.adopted?.id).toBe(second.id);
  expect(server.events.filter((event) => event.type === "close-connection" && event.fault !== undefined)).toEqual([]);
});

test("an open that claims to have received something makes no link", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const { keys } = client.core.session;
  const line = client.dial(server);
  line.takeUp();
  const secretOrProof = secretBytes(keys.secret);
  line.give(
    encodeHello("hello", { ...open(keys.id), secretOrProof, positions: { ...NOTHING, received: 5, accepted: 5 } }),
  );
  line.settle();
  expect([server.core.sessions, server.links.length]).toEqual([0, 0]);
});

test("a HELLO with another's secret neither takes a session over nor ends it", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  client.connect(server);
  const { keys } = client.core.session;
  const stranger = new Line(world, server);
  const secretOrProof = Buffer.alloc(secretBytes(keys.secret).length);
  stranger.give(encodeHello("hello", { ...open(keys.id), openPayload: server.link.openPayload, secretOrProof }));
  expect(server.refusals).toEqual(["authentication"]);
  expect(server.link.session.phase).toBe("live");
});

test("DATA that the session cannot have been sent does not prove that CONFIRM arrived", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.dial(server);
  line.up();
  line.down();
  line.takeUp();
  // Somebody on the path writes it; the client's CONFIRM is lost with the connection.
  line.giveDown(Buffer.concat([encodeDataHeader(1_000_000, 1, 0), Buffer.from("x")]));
  line.cut();
  const next = client.dial(server);
  next.up();
  next.down();
  expect(namesOf(next.up())[0]).toBe("confirm");
  expect(server.links).toHaveLength(1);
});

test("the round trip of a connection is known when it is lost: the next dial waits for that address as long", () => {
  const { world, server, client, line } = openLink();
  expect(client.core.lastRttMs).toBe(client.core.rttMs);
  world.pass(16_000);
  // A PING, whose answer takes 300 ms.
  line.up();
  world.pass(300);
  line.settle();
  const { rttMs } = client.core;
  expect(rttMs).toBeGreaterThan(0);
  line.cut();
  expect([client.core.rttMs, client.core.lastRttMs]).toEqual([undefined, rttMs]);
  client.connect(server);
  expect(client.core.lastRttMs).toBe(client.core.rttMs);
});
