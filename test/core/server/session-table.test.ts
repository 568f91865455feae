/** A server that holds a session from a snapshot: `ServerCore.restore()`. */
import { expect, test } from "vitest";
import type { SessionSnapshot } from "../../../src/core/session/snapshot.ts";
import { ByHand, type HandClient, hear, namesOf, only, outcomeOf, say, WELCOMING } from "../../sim/by-hand.ts";

interface Cut {
  world: ByHand;
  client: HandClient;
  snapshot: SessionSnapshot;
}

/** A link whose server has died, after each end has said something that the other has not heard. */
function cutLink(): Cut {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  say(client.core, "one");
  say(server.link, "a");
  line.settle();
  expect([hear(server.link), hear(client.core)]).toEqual([["one"], ["a"]]);
  line.settle();
  say(server.link, "b");
  line.cut();
  say(client.core, "two");
  return { world, client, snapshot: snapshotOf(server.link.snapshot()) };
}

function snapshotOf(snapshot: SessionSnapshot | undefined): SessionSnapshot {
  if (snapshot === undefined) throw new Error("there is nothing to go on with");
  return snapshot;
}

test("a session goes on from a snapshot: nothing is lost, and nothing comes twice", () => {
  const { world, client, snapshot } = cutLink();
  const server = world.server();
  const link = server.core.restore(snapshot, world.nowMs);
  server.drain();
  expect(server.events).toMatchObject([{ type: "restored", link }]);
  const line = client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  expect(server.linkEvents).toMatchObject([{ type: "connected", session: "resumed", reason: "resumed" }]);
  expect([hear(link), hear(client.core)]).toEqual([["two"], ["b"]]);
  line.settle();
  world.pass(1_000);
  line.settle();
  expect([link.session.sender.acked, link.session.receiver.accepted]).toEqual([10, 14]);
  expect([link.owedBytes, client.core.owedBytes]).toEqual([0, 0]);
});

test("no limit and no admission keeps it out, and it counts for those that come later", () => {
  const { world, client, snapshot } = cutLink();
  const admission = { ...WELCOMING, open: () => 1_000 };
  const server = world.server({ maxSessions: 0, maxSessionsPerIdentity: 0, admission });
  server.core.restore(snapshot, world.nowMs);
  expect([server.core.sessions, server.core.unconfirmed]).toEqual([1, 0]);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  const limited = world.server({ maxSessionsPerIdentity: 1 });
  limited.core.restore(snapshot, world.nowMs);
  world.client().dial(limited).up();
  expect(limited.refusals).toEqual(["overloaded"]);
});

test("it waits for its client as long as any other, and expires", () => {
  const { world, snapshot } = cutLink();
  const server = world.server({ resumeForMs: 1_000 });
  server.core.restore(snapshot, world.nowMs);
  world.pass(999);
  expect(server.core.sessions).toBe(1);
  world.pass(1);
  expect(server.core.sessions).toBe(0);
  expect(outcomeOf(server.linkEvents)).toMatchObject({ outcome: "expired" });
});

test("a session is restored once", () => {
  const { world, snapshot } = cutLink();
  const server = world.server();
  server.core.restore(snapshot, world.nowMs);
  expect(() => server.core.restore(snapshot, world.nowMs)).toThrow(/is here already/);
});

test("its owner is the one that it had: an older connection does not take it", () => {
  const { world, client, snapshot } = cutLink();
  const server = world.server();
  server.core.restore({ ...snapshot, owner: { ...snapshot.owner, counter: 2 } }, world.nowMs);
  client.dial(server).up();
  expect(server.refusals).toEqual(["stale"]);
});

test("the size of messages that was agreed stays, whatever the server would agree to now", () => {
  const { world, client, snapshot } = cutLink();
  expect(snapshot.maxMessageBytes).toBe(1_000);
  const server = world.server({ maxMessageBytes: 500 });
  const link = server.core.restore(snapshot, world.nowMs);
  const line = client.dial(server);
  line.up();
  expect(only(line.down(), "welcome").welcome.maxMessageBytes).toBe(1_000);
  expect(link.maxMessageBytes).toBe(1_000);
});

test("a session that is done stays a tombstone, and tells its client so", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  say(client.core, "one");
  client.core.end();
  server.link.end();
  line.settle();
  expect(hear(server.link)).toEqual(["one"]);
  // Its ACK that says so is lost.
  line.takeDown();
  line.cut();
  expect(server.link.session.phase).toBe("done");
  const snapshot = snapshotOf(server.link.snapshot());
  expect(snapshot).toMatchObject({ phase: "done", sender: { messages: [] } });
  const next = world.server();
  const link = next.core.restore(snapshot, world.nowMs);
  expect([link.session.phase, link.session.receiver.stopped]).toEqual(["done", true]);
  const resumed = client.connect(next);
  expect(outcomeOf(client.events)?.outcome).toBe("closed");
  expect([link.gone, next.core.sessions]).toEqual([true, 0]);
  expect(namesOf(resumed.settle())).toEqual([]);
});

test("there is nothing to go on with where nobody has confirmed, an end reads no more, or the session was reset", () => {
  const world = new ByHand();
  const server = world.server();
  const opening = world.client();
  const unconfirmed = opening.dial(server);
  unconfirmed.up();
  const [provisional] = server.core.links();
  expect(provisional?.snapshot()).toBeUndefined();
  const phases = ["stopped", "peer stopped", "reset", "gone"] as const;
  for (const phase of phases) {
    const at = world.server();
    const client = world.client();
    const line = client.connect(at);
    expect(at.link.snapshot()).toBeDefined();
    if (phase === "stopped") at.link.stopReading();
    if (phase === "peer stopped") client.core.stopReading();
    if (phase === "reset") at.link.reset("aborted", "", "aborted", world.nowMs);
    if (phase === "gone") at.link.abandon("aborted");
    if (phase === "peer stopped") line.settle();
    expect([phase, at.link.snapshot()]).toEqual([phase, undefined]);
  }
});

test("each link has the payload of its own client, and links of the same payload share one copy", () => {
  const world = new ByHand();
  const server = world.server();
  for (const payload of ["tenant-a", "tenant-b", "tenant-b"]) {
    world.client({ openPayload: Buffer.from(payload) }).connect(server);
  }
  const payloads = [...server.core.links()].map(({ openPayload }) => openPayload);
  expect(payloads.map(String)).toEqual(["tenant-a", "tenant-b", "tenant-b"]);
  expect(payloads[1]).toBe(payloads[2]);
});
