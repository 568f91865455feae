/** Counterexamples of ends, tombstones and reports. Which rows are where: scenarios-opening. */
import { expect, test } from "vitest";
import { encodeConfirm, encodeDataHeader, encodePositionsFrame } from "../../src/core/wire/frames.ts";
import { encodeProvenHello } from "../../src/core/session/proof.ts";
import { seeded, seededEntropy } from "../../src/testing/random.ts";
import { ByHand, hear, Line, namesOf, only, outcomeOf, say } from "./by-hand.ts";
import { nextHello, openLink } from "./openings.ts";

test("counterexample 23: the END is cut, and the resume hears of an unknown session", () => {
  const { server, client, line } = openLink();
  say(client.core, "one");
  client.core.end();
  line.takeUp();
  line.cut();
  const again = client.connect(server);
  expect(hear(server.link)).toEqual(["one"]);
  // It is received and accepted as a position of its own, the one after the last byte.
  expect(server.link.session.receiver).toMatchObject({ endPosition: 7, received: 8, accepted: 8 });
  server.link.end();
  again.settle();
  expect([outcomeOf(client.events)?.outcome, outcomeOf(server.linkEvents)?.outcome]).toEqual(["closed", "closed"]);
});

test("counterexample 23: the END has arrived, its ACK was cut, and it is sent and taken only once more", () => {
  const { server, client, line } = openLink();
  client.core.end();
  line.up();
  line.cut();
  const again = client.dial(server);
  const moved = again.settle();
  expect(namesOf(moved)).not.toContain("data");
  expect(client.core.session.outDone).toBe(true);
});

test("counterexample 32: a position above everything that was sent is taken for progress", () => {
  const { server, client, line } = openLink();
  say(client.core, "one");
  line.takeUp();
  const positions = { received: 100, accepted: 100, window: 1_000, stop: false, done: false };
  line.giveDown(encodePositionsFrame("ack", positions));
  const ended = outcomeOf(client.events);
  expect(ended?.outcome).toBe("protocol-error");
  expect(ended?.undelivered).toMatchObject([{ delivery: "maybe" }]);
  line.settle();
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("protocol-error");
});

test("counterexample 35: close() ignores inbound data, and the peer hears delivered", () => {
  const { server, client, line } = openLink();
  say(client.core, "one", "two");
  line.settle();
  expect(server.link.next()?.toString()).toBe("one");
  server.link.accept(server.link.session.receiver.handed);
  server.link.end();
  server.link.stopReading();
  say(client.core, "three");
  line.settle();
  client.core.end();
  line.settle();
  const ended = outcomeOf(client.events);
  expect(ended?.outcome).toBe("closed");
  expect(ended?.undelivered.map(({ message }) => message.toString())).toEqual(["two", "three"]);
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("closed");
});

test("counterexample 36: the last ACK is cut, the closer has left, and a closed session expires as lost", () => {
  const { world, server, client, line } = openLink();
  server.link.end();
  line.settle();
  client.core.end();
  line.up();
  // The server is through. Its ACK is lost.
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("closed");
  line.takeDown();
  line.cut();
  world.pass(3_000);
  expect(server.core.sessions).toBe(1);
  const again = client.dial(server);
  again.up();
  expect(only(again.down(), "welcome").welcome.positions.done).toBe(true);
  again.settle();
  expect(outcomeOf(client.events)?.outcome).toBe("closed");
  expect([client.core.gone, server.core.sessions]).toEqual([true, 0]);
});

test("counterexample 36: the client is through, and tells a server that does not know", () => {
  const { world, server, client, line } = openLink();
  client.core.end();
  line.settle();
  server.link.end();
  line.down();
  expect(outcomeOf(client.events)?.outcome).toBe("closed");
  line.takeUp();
  line.cut();
  expect(outcomeOf(server.linkEvents)).toBeUndefined();
  // For as long as the server waits, if need be.
  world.pass(290_000);
  expect(client.core.wantsDial).toBe(true);
  client.connect(server);
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("closed");
  expect([client.core.gone, server.core.sessions]).toEqual([true, 0]);
});

test("a client's tombstone that the server can have forgotten is forgotten", () => {
  const { world, server, client, line } = openLink();
  client.core.end();
  line.settle();
  server.link.end();
  line.down();
  line.cut();
  expect(client.core.session.phase).toBe("done");
  world.pass(300_000);
  expect([client.core.gone, client.core.wantsDial]).toEqual([true, false]);
});

test("counterexample 37: tombstones are evicted early, and a graceful close is reported as a loss", () => {
  const world = new ByHand();
  const server = world.server({ maxSessions: 1, resumeForMs: 60_000 });
  const client = world.client();
  const line = client.connect(server);
  server.link.end();
  line.settle();
  client.core.end();
  line.up();
  line.takeDown();
  line.cut();
  world.pass(50_000);
  // It counts in the caps: nobody else takes its place.
  const other = world.client();
  const refused = other.dial(server);
  refused.up();
  expect(only(refused.down(), "refuse").code).toBe("overloaded");
  client.connect(server);
  expect(outcomeOf(client.events)?.outcome).toBe("closed");
  expect(server.core.sessions).toBe(0);
  other.connect(server);
  expect(other.connections).toEqual(["new: opened"]);
});

test("a server keeps no trace of a connection that its link has closed, or that has closed with it", () => {
  const { server, client, line } = openLink();
  // A gap closes it.
  line.give(Buffer.concat([encodeDataHeader(99, 1, 0), Buffer.alloc(1)]));
  expect(server.core.attached).toBe(0);
  line.settle();
  const again = client.connect(server);
  expect(server.core.attached).toBe(1);
  client.core.end();
  server.link.end();
  again.settle();
  expect([server.core.attached, server.core.sessions, server.core.handshakes]).toEqual([0, 0, 0]);
});

test("a tombstone that learns from the HELLO of a resume that it has served answers before it goes", () => {
  const { server, client, line } = openLink();
  // Both close at once, and what each says of that crosses.
  for (const core of [client.core, server.link]) {
    core.end();
    core.stopReading();
  }
  const [up, down] = [line.takeUp(), line.takeDown()];
  line.give(up);
  line.giveDown(down);
  expect([client.core.session.phase, server.link.session.phase]).toEqual(["done", "done"]);
  // Both say `done`, and neither hears it.
  line.takeUp();
  line.takeDown();
  line.cut();
  const again = client.dial(server);
  again.up();
  expect(only(again.down(), "welcome").welcome.positions.done).toBe(true);
  again.settle();
  expect([client.core.gone, server.core.sessions, server.core.attached]).toEqual([true, 0, 0]);
});

test("counterexample 43: written in the first session, carried to the second, and judged by the second's positions", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client({ whenSessionLost: "resend" });
  const line = client.connect(server);
  say(client.core, "written");
  line.takeUp();
  line.cut();
  say(client.core, "not written");
  // The server has died: the next one makes the fallback. It says nothing of credit, so nothing is written to it.
  const restarted = world.server();
  const again = client.dial(restarted);
  again.up();
  again.down();
  expect(client.connections).toEqual(["new: opened", "new: session-lost"]);
  client.core.reset("aborted", "", "aborted", world.nowMs);
  world.drain();
  const ended = outcomeOf(client.events);
  expect(ended?.undelivered.map(({ message, delivery }) => [message.toString(), delivery])).toEqual([
    ["written", "maybe"],
    ["not written", "not-sent"],
  ]);
});

test("counterexample 44: flush() waits for a position that comes up again in the next session", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client({ whenSessionLost: "resend" });
  const line = client.connect(server);
  say(client.core, "accepted");
  line.settle();
  hear(server.link);
  line.settle();
  world.pass(100);
  line.settle();
  say(client.core, "two", "three");
  const flush = client.core.ticket("everything");
  line.takeUp();
  line.cut();
  const restarted = world.server();
  const again = client.dial(restarted);
  again.up();
  again.down();
  // The ticket stands for the same messages in the new session, where they end below the old position.
  expect(client.events.find((event) => event.type === "replaced")).toMatchObject({ lost: [] });
  expect(client.core.takeDelivered()).toEqual([]);
  again.settle();
  // The new session asks for an acknowledgement at once, too.
  expect(hear(restarted.link)).toEqual(["two", "three"]);
  again.settle();
  expect(client.core.takeDelivered()).toEqual([flush]);
});

test("a bad frame that comes again at the same place with every resume ends the link", () => {
  const { server, client, line } = openLink();
  const garbage = Buffer.alloc(8, 0x7f);
  line.give(garbage);
  line.settle();
  client.connect(server).give(garbage);
  client.lines.forEach((each) => each.settle());
  expect(outcomeOf(server.linkEvents)).toBeUndefined();
  const third = client.connect(server);
  third.give(garbage);
  third.settle();
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("protocol-error");
  expect(outcomeOf(client.events)?.outcome).toBe("protocol-error");
});

test("a wrong MAC on a session that is live is such a mistake", () => {
  const { server, client, line } = openLink();
  line.cut();
  const outcomes = [1, 2, 3].map(() => {
    const again = client.dial(server);
    again.up();
    again.give(encodeConfirm(Buffer.alloc(32)));
    again.down();
    return outcomeOf(server.linkEvents)?.outcome;
  });
  expect(outcomes).toEqual([undefined, undefined, "protocol-error"]);
  expect(outcomeOf(client.events)?.outcome).toBe("protocol-error");
});

/** An ACK of what was never sent. */
const IMPOSSIBLE = encodePositionsFrame("ack", {
  received: 100,
  accepted: 100,
  window: 1_000,
  stop: false,
  done: false,
});

test("a client that has not read why its mistake ended the link hears so when it comes back", () => {
  const { world, server, client, line } = openLink();
  line.give(IMPOSSIBLE);
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("protocol-error");
  line.cut();
  world.pass(200_000);
  client.connect(server);
  expect(outcomeOf(client.events)?.outcome).toBe("protocol-error");
  expect(client.connections).toEqual(["new: opened"]);
});

test("a server that states what cannot be hears so, though the client's word on that connection is lost", () => {
  const { server, client, line } = openLink();
  line.giveDown(IMPOSSIBLE);
  line.cut();
  expect([outcomeOf(client.events)?.outcome, client.core.wantsDial]).toEqual(["protocol-error", true]);
  client.connect(server);
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("protocol-error");
  expect([client.core.gone, server.core.sessions]).toEqual([true, 0]);
});

test("the tombstone that a resume has left, which states what cannot be, is kept for the session's time from then", () => {
  const { world, server, client, line } = openLink();
  line.cut();
  const hello = nextHello(client, server);
  client.connect(server);
  world.pass(50_000);
  const forged = { ...hello, generation: { epoch: 1, counter: 9 }, positions: { ...hello.positions, received: 100 } };
  const stranger = new Line(world, server);
  stranger.give(encodeProvenHello(seededEntropy(seeded(1)), "hello", forged, client.core.session.keys.secret));
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("protocol-error");
  world.pass(299_000);
  expect(server.link.session.phase).toBe("reset");
  world.pass(1_000);
  expect(server.core.sessions).toBe(0);
});

test("a message that is too large is found when it is to be handed out, and its sender hears of it", () => {
  const { world, server, client, line } = openLink();
  line.give(
    Buffer.concat([
      encodeDataHeader(0, 12, 0),
      Buffer.from("00000001", "hex"),
      Buffer.from("a"),
      Buffer.from("000003e9", "hex"),
      Buffer.from("abc"),
    ]),
  );
  expect([outcomeOf(server.linkEvents), line.isOpen]).toEqual([undefined, true]);
  expect(hear(server.link)).toEqual(["a"]);
  world.pass(0);
  expect(outcomeOf(server.linkEvents)).toMatchObject({ outcome: "protocol-error", detail: "a message of 1001 bytes" });
  expect(only(line.down(), "reset").code).toBe("protocol");
  line.settle();
  expect([outcomeOf(client.events)?.outcome, server.core.sessions]).toEqual(["protocol-error", 0]);
});

test("abort() while the HELLO of a resume is unanswered, and that is lost: one more dial tells the server", () => {
  const { world, server, client, line } = openLink();
  line.cut();
  const unanswered = client.dial(server);
  client.core.reset("aborted", "enough", "aborted", world.nowMs);
  unanswered.lose("client");
  expect(client.core.wantsDial).toBe(true);
  client.connect(server);
  expect(outcomeOf(server.linkEvents)).toMatchObject({ outcome: "peer-aborted", peerCode: "enough" });
  expect([client.core.gone, client.core.wantsDial]).toEqual([true, false]);
});

test("a session that was resumed in time does not expire while it is connected", () => {
  const { world, server, client, line } = openLink();
  world.pass(200_000);
  line.settle();
  line.cut();
  const again = client.connect(server);
  for (let second = 0; second < 400; second++) {
    world.pass(1_000);
    again.settle();
  }
  expect([outcomeOf(client.events), outcomeOf(server.linkEvents)]).toEqual([undefined, undefined]);
  expect(server.link.adopted?.id).toBe(again.id);
});

test("the peer hears of a reset on the connection in use, and what was accepted until then is not in doubt", () => {
  const { world, server, client, line } = openLink();
  say(client.core, "accepted", "held");
  line.give(line.takeUp());
  expect(server.link.next()?.toString()).toBe("accepted");
  server.link.accept(server.link.session.receiver.handed);
  server.link.reset("aborted", "enough", "aborted", world.nowMs);
  const reset = line.takeDown();
  line.giveDown(reset);
  const ended = outcomeOf(client.events);
  expect(ended).toMatchObject({ outcome: "peer-aborted", peerCode: "enough" });
  expect(ended?.undelivered.map(({ message }) => message.toString())).toEqual(["held"]);
});

test("abort() of a link that is through changes nothing", () => {
  const { world, server, client, line } = openLink();
  server.link.end();
  line.settle();
  client.core.end();
  line.up();
  server.link.reset("aborted", "too late", "aborted", world.nowMs);
  expect(server.link.session.phase).toBe("done");
  expect(namesOf(line.down())).not.toContain("reset");
  line.settle();
  expect([outcomeOf(client.events)?.outcome, outcomeOf(server.linkEvents)?.outcome]).toEqual(["closed", "closed"]);
});

test("an abort that crosses the other end's done is echoed all the same, and neither end waits for anything", () => {
  const { world, server, client, line } = openLink();
  client.core.end();
  line.settle();
  server.link.end();
  line.down();
  // The client is through, and what tells the server is on its way.
  expect([client.core.session.phase, server.link.session.phase]).toEqual(["done", "live"]);
  server.link.reset("aborted", "enough", "aborted", world.nowMs);
  expect(namesOf(line.settle())).toEqual(["ack", "reset", "reset"]);
  expect([client.core.gone, server.core.sessions]).toEqual([true, 0]);
  expect([outcomeOf(client.events)?.outcome, outcomeOf(server.linkEvents)?.outcome]).toEqual(["closed", "aborted"]);
});

test("an application is told of one end, whatever its dials meet afterwards", () => {
  const { world, server, client, line } = openLink();
  line.cut();
  client.core.reset("aborted", "enough", "aborted", world.nowMs);
  server.authentication = "by hand";
  const refused = client.dial(server);
  refused.up();
  server.refuse(refused);
  refused.down();
  expect(server.refusals).toEqual(["authentication"]);
  expect(client.events.filter(({ type }) => type === "ended")).toMatchObject([{ outcome: "aborted" }]);
});
