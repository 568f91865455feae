/** A server that goes away: its clients end their sessions, and go on in new ones with nothing in doubt. */
import { expect, test } from "vitest";
import type { LinkCoreEvent } from "../../src/core/session/link-events.ts";
import { encodeGoaway } from "../../src/core/wire/frames.ts";
import { decoded } from "../core/support.ts";
import { ByHand, hear, namesOf, only, outcomeOf, read, say } from "./by-hand.ts";
import { beforeTheMove, endWithInput, goAway } from "./openings.ts";

function replacements(events: readonly LinkCoreEvent[]): string[] {
  return events.flatMap((event) =>
    event.type === "replaced" ? [`${event.reason}: ${event.undelivered.length} reported`] : [],
  );
}

test("the client ends first, the server when its application has, and nothing is in doubt", () => {
  const { world, server, next, client, line } = beforeTheMove();
  say(client.core, "one");
  line.settle();
  goAway({ world, server });
  expect(namesOf(line.down())).toContain("goaway");
  expect(client.events.map(({ type }) => type)).toContain("leaving");
  line.settle();
  expect(read(server.link)).toEqual(["one"]);
  say(server.link, "answer");
  server.link.accept(server.link.session.receiver.handed);
  endWithInput(server.link);
  line.settle();
  expect(hear(client.core)).toEqual(["answer"]);
  expect(client.core.inputEnded).toBe(false);
  line.settle();
  expect(outcomeOf(server.linkEvents)).toMatchObject({ outcome: "closed", undelivered: [] });
  expect(server.core.sessions).toBe(0);
  expect(replacements(client.events)).toEqual(["moved: 0 reported"]);
  client.connect(next);
  expect(client.connections).toEqual(["new: opened", "new: moved"]);
  say(client.core, "two");
  expect(client.core.accepted()).toEqual({ messages: 1, bytes: 3 });
  expect(outcomeOf(client.events)).toBeUndefined();
});

test("counterexample 40: GOAWAY is an event, lost in a cut and never repeated", () => {
  const { world, server, client, line } = beforeTheMove();
  goAway({ world, server });
  line.takeDown();
  line.cut();
  const again = client.dial(server);
  again.up();
  const { welcome } = only(again.down(), "welcome");
  expect([welcome.result, welcome.goaway]).toEqual(["resumed", true]);
  again.settle();
  expect(server.link.session.receiver.endKind).toBe("moved");
});

test("counterexample 40: a takeover says it as well", () => {
  const { world, server, client, line } = beforeTheMove();
  goAway({ world, server });
  line.takeDown();
  say(client.core, "unanswered");
  line.takeUp();
  world.pass(60_000);
  expect(client.core.wantsStandby).toBe(true);
  const standby = client.dial(server, "standby");
  standby.up();
  standby.down();
  standby.up();
  expect(only(standby.down(), "committed").goaway).toBe(true);
  standby.settle();
  expect(server.link.session.receiver.endKind).toBe("moved");
});

test("a link that is confirmed when its server goes away already is sent on at once", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.dial(server);
  line.up();
  line.down();
  goAway({ world, server });
  line.up();
  expect(namesOf(line.down())).toContain("goaway");
  line.settle();
  expect(server.link.session.receiver.endKind).toBe("moved");
});

test("counterexample 41: both sides end at GOAWAY, and what the handler accepts in the drain is never answered", () => {
  const { world, server, client, line } = beforeTheMove();
  say(client.core, "asked in the drain");
  const asked = line.takeUp();
  goAway({ world, server });
  line.give(asked);
  expect(hear(server.link)).toEqual(["asked in the drain"]);
  expect(server.link.sendingEnded).toBe(false);
  say(server.link, "answered");
  line.settle();
  expect(hear(client.core)).toEqual(["answered"]);
});

test("counterexample 42: the application has closed, GOAWAY comes, and the client opens a new session all the same", () => {
  const { world, server, client, line } = beforeTheMove();
  client.core.end();
  goAway({ world, server });
  line.settle();
  endWithInput(server.link);
  line.settle();
  expect(outcomeOf(client.events)?.outcome).toBe("closed");
  expect([client.core.gone, client.core.wantsDial]).toEqual([true, false]);
});

test("counterexample 42: the server's application ends by itself, and the client's link ends with it", () => {
  const { world, server, client, line } = beforeTheMove();
  server.link.end();
  goAway({ world, server });
  line.settle();
  expect(client.core.inputEnded).toBe(true);
  expect(outcomeOf(client.events)).toMatchObject({ outcome: "closed", undelivered: [] });
});

test("what was never written is not squeezed into the session that ends: it goes on in the next", () => {
  const { world, server, next, client, line } = beforeTheMove();
  goAway({ world, server });
  say(client.core, "written", "begun", "waits");
  const head = line.takeUp(4 + "written".length + 3);
  line.down();
  line.give(head);
  say(client.core, "said during the move");
  expect(client.core.sendingEnded).toBe(false);
  line.settle();
  expect(hear(server.link)).toEqual(["written", "begun"]);
  endWithInput(server.link);
  line.settle();
  expect(replacements(client.events)).toEqual(["moved: 0 reported"]);
  client.connect(next).settle();
  expect(hear(next.link)).toEqual(["waits", "said during the move"]);
});

test("close() during the move with nothing left to say opens no session", () => {
  const { world, server, client, line } = beforeTheMove();
  goAway({ world, server });
  line.down();
  client.core.end();
  client.core.stopReading();
  line.settle();
  endWithInput(server.link);
  line.settle();
  expect(outcomeOf(client.events)).toMatchObject({ outcome: "closed", undelivered: [] });
  expect(client.core.wantsDial).toBe(false);
});

test("close() during the move with something left to say says it in a new session, and reads no more there", () => {
  const { world, server, next, client, line } = beforeTheMove();
  goAway({ world, server });
  line.down();
  say(client.core, "the last word");
  client.core.end();
  client.core.stopReading();
  line.settle();
  endWithInput(server.link);
  line.settle();
  const second = client.connect(next);
  say(next.link, "unheard");
  second.settle();
  expect(hear(next.link)).toEqual(["the last word"]);
  endWithInput(next.link);
  second.settle();
  expect(outcomeOf(client.events)).toMatchObject({ outcome: "closed", undelivered: [] });
});

test("the farewell is cut: the new server does not know the session, and all was accepted", () => {
  const { world, server, next, client, line } = beforeTheMove();
  goAway({ world, server });
  line.settle();
  endWithInput(server.link);
  line.down();
  expect(client.core.session.phase).toBe("done");
  line.takeUp();
  line.cut();
  const again = client.dial(next);
  again.up();
  expect(only(again.down(), "welcome").welcome.result).toBe("lost");
  again.settle();
  expect(replacements(client.events)).toEqual(["moved: 0 reported"]);
  expect(client.connections.at(-1)).toBe("new: moved");
  expect(next.links).toHaveLength(1);
});

test("while the farewell is under way, what waits before the log is still to be taken, and goes to the next server", () => {
  const { world, server, next, client, line } = beforeTheMove();
  const { core } = client;
  say(core, "one");
  line.settle();
  goAway({ world, server });
  line.settle();
  // The server's application ends with the last message in its hands, and then lets go of it.
  read(server.link);
  endWithInput(server.link);
  line.settle();
  server.link.accept(server.link.session.receiver.handed);
  line.down();
  expect([core.session.phase, core.session.peerStopped]).toEqual(["done", true]);
  expect([core.sendingEnded, core.peerStopped, core.outputDone]).toEqual([false, false, false]);
  say(core, "has waited");
  core.end();
  line.settle();
  client.connect(next).settle();
  expect(hear(next.link)).toEqual(["has waited"]);
  expect([core.sendingEnded, core.session.sender.endKind]).toEqual([true, "final"]);
});

test("a client that reads no more moves as well, as long as it may have something to say", () => {
  const { world, server, next, client, line } = beforeTheMove();
  client.core.stopReading();
  goAway({ world, server });
  line.settle();
  endWithInput(server.link);
  line.settle();
  say(client.core, "said later");
  client.connect(next).settle();
  expect(hear(next.link)).toEqual(["said later"]);
});

test("the server is gone before all was accepted: a lost session like any other", () => {
  const { world, server, next, client, line } = beforeTheMove();
  say(client.core, "in doubt");
  line.takeUp();
  goAway({ world, server });
  line.down();
  say(client.core, "waits");
  line.cut();
  client.connect(next).settle();
  expect(replacements(client.events)).toEqual(["session-lost: 1 reported"]);
  expect(hear(next.link)).toEqual(["waits"]);
});

test("whoever takes no new sessions ends in order, with everything that was taken", () => {
  const { world, server, client, line } = beforeTheMove({ whenSessionLost: "end" });
  goAway({ world, server });
  say(client.core, "never written");
  line.down();
  expect(client.events.at(-1)).toEqual({ type: "leaving", isLast: true });
  expect(client.core.sendingEnded).toBe(false);
  client.core.end();
  line.settle();
  expect(hear(server.link)).toEqual(["never written"]);
  endWithInput(server.link);
  line.settle();
  expect(outcomeOf(client.events)).toMatchObject({ outcome: "closed", undelivered: [] });
});

test("a stream cannot go on elsewhere: its client is not told, and one that is told all the same ends in order", () => {
  const world = new ByHand();
  const server = world.server({ mode: "bytes" });
  const client = world.client({ mode: "bytes" });
  const line = client.connect(server);
  goAway({ world, server });
  expect(namesOf(line.settle())).not.toContain("goaway");
  line.cut();
  const again = client.dial(server);
  again.up();
  expect(only(decoded(again.takeDown()), "welcome").welcome.goaway).toBe(false);
  again.cut();
  client.connect(server).giveDown(encodeGoaway(1_000));
  expect(client.events.at(-1)).toEqual({ type: "leaving", isLast: true });
});

test("abort() during the farewell ends the link", () => {
  const { world, server, client, line } = beforeTheMove();
  goAway({ world, server });
  line.settle();
  endWithInput(server.link);
  line.down();
  say(client.core, "dropped");
  client.core.reset("aborted", "", "aborted", world.nowMs);
  line.settle();
  expect(outcomeOf(client.events)).toMatchObject({ outcome: "aborted", undelivered: [{ delivery: "not-sent" }] });
  expect(client.core.gone).toBe(true);
});
