/** A store that several servers share: when it is asked, and how each answer is heeded. COMMIT is in shared-store-commit. */
import { describe, expect, test } from "vitest";
import { encodeConfirm, encodeToken } from "../../../src/core/wire/frames.ts";
import { confirmMac } from "../../../src/core/session/proof.ts";
import type { SessionSnapshot } from "../../../src/core/session/snapshot.ts";
import { ByHand, hear, type Line, namesOf, only, outcomeOf, say } from "../../sim/by-hand.ts";
import { seeded, seededEntropy } from "../../../src/testing/random.ts";
import { decoded } from "../support.ts";
import { asked, nextResume, opensAgain, resumes, sayProven, SHARED, snapshotOf, stored } from "./sharing.ts";

describe("the store is asked", () => {
  test("about a resume of a session that is here, with its token; and nothing is answered until then", () => {
    const { client, first, line } = stored();
    line.cut();
    const resumed = resumes(client, first);
    expect(asked(first)).toEqual([
      {
        type: "adopt",
        channel: resumed.id,
        sessionId: client.core.sessionId,
        owner: { epoch: 1, counter: 2, instance: "aa".repeat(16) },
        by: "resume",
        token: 1,
      },
    ]);
    first.adopt(resumed, "kept");
    expect(only(resumed.down(), "welcome").welcome.result).toBe("resumed");
    resumed.settle();
    expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  });

  test("about a session that is not here, after authentication, which hears of it as of a stranger's", () => {
    const { client, second, line } = stored();
    line.cut();
    second.authentication = "by hand";
    const waits = resumes(client, second);
    expect(asked(second)).toEqual([]);
    expect(second.events).toMatchObject([{ type: "authenticate", proven: false }]);
    second.verdict(waits);
    expect(asked(second)).toMatchObject([{ by: "resume", token: undefined }]);
  });

  test("about no client that authentication refuses", () => {
    const { client, second, line } = stored();
    line.cut();
    second.authentication = "by hand";
    second.refuse(resumes(client, second));
    expect([second.refusals, asked(second)]).toEqual([["authentication"], []]);
  });

  test("neither about a session that the store does not have yet, nor about an open, nor about a standby", () => {
    const { world, client, first, line } = stored();
    first.link.token = undefined;
    line.cut();
    client.connect(first);
    expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
    first.link.token = 1;
    world.pass(21_000);
    const standby = client.dial(first, "standby");
    standby.up();
    expect(namesOf(standby.down())).toEqual(["ready"]);
    expect(asked(first)).toEqual([]);
  });

  test("not about a session that was reset here: its client hears of that", () => {
    const { world, client, first, line } = stored();
    line.cut();
    first.link.reset("aborted", "enough", "aborted", world.nowMs);
    const resumed = client.dial(first);
    resumed.up();
    expect(asked(first)).toEqual([]);
    resumed.settle();
    expect(outcomeOf(client.events)).toMatchObject({ outcome: "peer-aborted", peerCode: "enough" });
  });

  test("only by a server whose sessions can go on elsewhere: it has a store and an outbox", () => {
    expect(() => new ByHand().server({ sharesStore: true, hasStore: true })).toThrow("hasOutbox");
  });

  test("by no server that has a store of its own, or none", () => {
    const world = new ByHand();
    const server = world.server({ hasStore: true, hasOutbox: true });
    const client = world.client();
    client.connect(server).cut();
    server.link.token = 1;
    client.connect(server);
    expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
    expect(asked(server)).toEqual([]);
  });

  test("by no server that goes away, about a session that it does not have", () => {
    const { world, client, first, second, line } = stored();
    second.core.drain(60_000, world.nowMs);
    first.core.drain(60_000, world.nowMs);
    for (const link of first.links) first.core.sendElsewhere(link, world.nowMs);
    line.cut();
    client.dial(second).up();
    expect([second.refusals, asked(second)]).toEqual([["draining"], []]);
    const resumed = resumes(client, first);
    first.adopt(resumed, "kept");
    expect(only(resumed.down(), "welcome").welcome).toMatchObject({ result: "resumed", goaway: true });
  });
});

describe("while the answer is awaited", () => {
  test("a quarter of the handshakes may wait; others come back later, and are asked about when an answer has come", () => {
    const world = new ByHand();
    const server = world.server({ ...SHARED, maxHandshakes: 4 });
    const clients = [world.client(), world.client(), world.client()];
    for (const client of clients) client.connect(server).cut();
    for (const [n, link] of server.links.entries()) link.token = n + 1;
    world.pass(200_000);
    const [first, second, third] = clients.map((client) => client.dial(server)) as [Line, Line, Line];
    for (const line of [first, second]) line.up();
    expect(asked(server)).toMatchObject([{ channel: first.id }]);
    expect(server.events).toContainEqual(
      expect.objectContaining({ type: "close-connection", channel: second.id, limit: "handshakes" }),
    );
    first.cut();
    third.up();
    expect(asked(server)).toMatchObject([{ channel: first.id }, { channel: third.id }]);
    world.pass(150_000);
    // The session of the client that was turned away waits for the full time again.
    expect(server.links.map(({ session }) => session.phase)).toEqual(["gone", "live", "gone"]);
  });

  test("and no longer: a client that is to confirm a session in place of a lost one does not wait for the store", () => {
    const world = new ByHand();
    const server = world.server({ ...SHARED, maxHandshakes: 4 });
    const clients = [world.client(), world.client()];
    for (const client of clients) client.connect(server).cut();
    for (const [n, link] of server.links.entries()) link.token = n + 1;
    const [first, second] = clients.map((client) => client.dial(server)) as [Line, Line];
    first.up();
    server.adopt(first, "unknown");
    expect(only(first.down(), "welcome").welcome.result).toBe("lost");
    second.up();
    expect(asked(server)).toMatchObject([{ channel: first.id }, { channel: second.id }]);
  });

  test("a PING is answered, and a RESET behind HELLO waits", () => {
    const { world, client, first, line } = stored();
    line.cut();
    client.core.reset("aborted", "enough", "aborted", world.nowMs);
    const tells = client.dial(first);
    tells.up();
    tells.give(encodeToken("ping", 7));
    expect(namesOf(decoded(tells.takeDown()))).toEqual(["pong"]);
    expect(first.link.session.phase).toBe("live");
    first.adopt(tells, "kept");
    expect(outcomeOf(first.linkEvents)).toMatchObject({ outcome: "peer-aborted", peerCode: "enough" });
  });

  test("the time for a handshake runs", () => {
    const { world, client, first, line } = stored();
    line.cut();
    const waits = resumes(client, first);
    world.pass(60_000);
    expect(waits.isOpen).toBe(false);
    first.adopt(waits, "kept");
    expect(first.link.adopted).toBeUndefined();
  });
});

describe("the session comes from the store", () => {
  test("with what was committed and persisted, and goes on here", () => {
    const { client, first, second, line } = stored();
    say(client.core, "one", "two");
    line.up();
    expect(hear(first.link)).toEqual(["one", "two"]);
    first.link.committed(7);
    say(first.link, "stored", "not stored");
    first.link.persisted(10);
    line.cut();
    const resumed = resumes(client, second);
    second.adopt(resumed, { token: 2, snapshot: snapshotOf(first.link) });
    expect(second.events.map(({ type }) => type).slice(-2)).toEqual(["restored", "attached"]);
    expect(only(resumed.down(), "welcome").welcome).toMatchObject({
      result: "resumed",
      positions: { received: 7, accepted: 7 },
    });
    resumed.settle();
    expect([second.link.token, second.link.identity, second.link.openPayload.toString()]).toEqual([
      2,
      "alice",
      "tenant-a",
    ]);
    expect(hear(second.link)).toEqual(["two"]);
    expect(hear(client.core)).toEqual(["stored"]);
    expect(second.linkEvents).toMatchObject([{ type: "connected", session: "resumed" }]);
  });

  test("where an earlier token's is in memory: that link ends, as another process may have gone on", () => {
    const { client, first, line } = stored();
    line.cut();
    const snapshot = snapshotOf(first.link);
    const stale = first.link;
    say(stale, "never happened");
    const resumed = resumes(client, first);
    first.adopt(resumed, { token: 3, snapshot });
    expect(outcomeOf(first.linkEvents)).toMatchObject({ outcome: "session-lost" });
    expect([stale.gone, first.core.sessions, first.links.length]).toEqual([true, 1, 2]);
    expect(first.events.find((event) => event.type === "changed")?.link).toBe(stale);
    resumed.settle();
    expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
    expect(first.links[1]?.token).toBe(3);
    expect(hear(client.core)).toEqual([]);
  });

  test("and its proof is checked again: what was authenticated was another payload", () => {
    const given = stored();
    const { first, second, line } = given;
    line.cut();
    const silent = sayProven(given, second, "hello", { ...nextResume(given), openPayload: Buffer.alloc(0) });
    second.adopt(silent, { token: 2, snapshot: snapshotOf(first.link) });
    expect(second.refusals).toEqual(["authentication-unavailable"]);
    sayProven(given, second, "hello", { ...nextResume(given), openPayload: Buffer.from("tenant-b") });
    expect(second.refusals).toEqual(["authentication-unavailable", "authentication"]);
  });

  test("in the place of an unconfirmed one that a late HELLO has opened", () => {
    const given = stored();
    const { client, first, second, line } = given;
    line.cut();
    const late = opensAgain(given, second);
    expect(only(decoded(late.takeDown()), "welcome").welcome.result).toBe("new");
    const resumed = resumes(client, second);
    second.adopt(resumed, { token: 2, snapshot: snapshotOf(first.link) });
    resumed.settle();
    expect([second.core.sessions, second.core.unconfirmed]).toEqual([1, 0]);
    late.give(encodeConfirm(Buffer.alloc(32)));
    expect(late.isOpen).toBe(false);
    expect(second.link.adopted?.id).toBe(resumed.id);
  });

  test("not in the place of another session that was opened with its id, and confirmed", () => {
    const given = stored();
    const { client, first, second, line } = given;
    line.cut();
    const late = opensAgain(given, second);
    const { keys } = client.core.session;
    const { incarnation, nonce } = only(decoded(late.takeDown()), "welcome").welcome;
    late.give(encodeConfirm(confirmMac(seededEntropy(seeded(1)), keys, incarnation, nonce)));
    expect([second.core.sessions, second.core.unconfirmed]).toEqual([1, 0]);
    const resumed = resumes(client, second);
    second.adopt(resumed, { token: 2, snapshot: snapshotOf(first.link) });
    expect(second.refusals).toEqual(["authentication"]);
    expect(second.link.session.incarnation).toBe(incarnation);
  });

  test("to a server that goes away, which asks its client to go on elsewhere", () => {
    const { world, client, first, line } = stored();
    line.cut();
    const snapshot = snapshotOf(first.link);
    first.core.drain(60_000, world.nowMs);
    const resumed = resumes(client, first);
    first.adopt(resumed, { token: 2, snapshot });
    expect(only(resumed.down(), "welcome").welcome.goaway).toBe(true);
  });
});

describe("after the answer everything is decided again", () => {
  test("a newer connection was let in meanwhile: the older one is stale", () => {
    const { client, first, line } = stored();
    line.cut();
    const older = client.dial(first);
    older.up();
    older.lose("client");
    const newer = resumes(client, first);
    first.adopt(newer, "kept");
    newer.settle();
    first.adopt(older, "kept");
    expect(first.refusals).toEqual(["stale"]);
    expect(first.link.adopted?.id).toBe(newer.id);
  });

  test("an older answer does not replace what a newer one has brought", () => {
    const { client, first, second, line } = stored();
    line.cut();
    const snapshot = snapshotOf(first.link);
    const older = client.dial(second);
    older.up();
    older.lose("client");
    const newer = resumes(client, second);
    second.adopt(newer, { token: 3, snapshot: { ...snapshot, owner: { ...snapshot.owner, counter: 2 } } });
    newer.settle();
    second.adopt(older, { token: 2, snapshot });
    expect(second.refusals).toEqual(["stale"]);
    expect([second.link.token, second.link.adopted?.id]).toEqual([3, newer.id]);
  });

  test("the session has expired meanwhile, though the store has kept it: the client comes back, and is lost then", () => {
    const given = stored();
    const { world, first, line } = given;
    line.lose("server");
    world.pass(299_000);
    line.lose("client");
    const again = nextResume(given);
    const waits = sayProven(given, first, "hello", again);
    world.pass(1_000);
    expect(outcomeOf(first.linkEvents)?.outcome).toBe("expired");
    first.adopt(waits, "kept");
    expect(first.refusals).toEqual(["overloaded"]);
    first.adopt(sayProven(given, first, "hello", again), "unknown");
    expect(first.refusals).toEqual(["overloaded", "session-lost"]);
  });

  test("the session was let go of meanwhile, for another process: the store is asked again, and brings it back", () => {
    const { client, first, line } = stored();
    line.cut();
    const waits = resumes(client, first);
    const snapshot = snapshotOf(first.link);
    first.link.abandon("session-lost");
    first.adopt(waits, "kept");
    expect(first.refusals).toEqual(["overloaded"]);
    waits.settle();
    const again = resumes(client, first);
    expect(asked(first).at(-1)).toMatchObject({ channel: again.id, token: undefined });
    first.adopt(again, { token: 2, snapshot });
    again.settle();
    expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  });

  test("a connection that is gone is not answered, and brings nothing here", () => {
    const { client, first, second, line } = stored();
    line.cut();
    const dead = resumes(client, second);
    const snapshot = snapshotOf(first.link);
    dead.cut();
    second.adopt(dead, { token: 2, snapshot });
    expect([second.core.sessions, second.core.handshakes, second.links]).toEqual([0, 0, []]);
  });

  test("an answer that nobody waits for changes nothing", () => {
    const { client, first, line } = stored();
    first.adopt(line, "unknown");
    expect(first.link.adopted?.id).toBe(line.id);
    line.cut();
    const resumed = resumes(client, first);
    first.adopt(resumed, "kept");
    first.adopt(resumed, "unknown");
    expect(first.link.adopted?.id).toBe(resumed.id);
  });
});

describe("the store does not let it in", () => {
  test.each(["stale", "taken-over"] as const)("%s: the client hears so, and memory stays", (answer) => {
    const { client, first, line } = stored();
    line.cut();
    first.adopt(resumes(client, first), answer);
    expect(first.refusals).toEqual([answer]);
    expect(first.link.session.phase).toBe("live");
  });

  test("unavailable: the client comes back, and its session waits for it as long as ever", () => {
    const { world, client, first, line } = stored();
    line.cut();
    world.pass(200_000);
    first.adopt(resumes(client, first), "unavailable");
    expect(first.events.find(({ type }) => type === "refused")).toMatchObject({
      code: "overloaded",
      sessionId: client.core.sessionId,
    });
    world.pass(200_000);
    expect(first.link.session.phase).toBe("live");
    world.pass(100_000);
    expect(first.link.session.phase).toBe("gone");
  });

  test("unknown: what is in memory has ended elsewhere, and its client hears that it is lost", () => {
    const { client, first, line } = stored();
    line.cut();
    const resumed = resumes(client, first);
    const { link } = first;
    first.adopt(resumed, "unknown");
    expect(outcomeOf(first.linkEvents)).toMatchObject({ outcome: "session-lost" });
    expect(link.gone).toBe(true);
    expect(only(resumed.down(), "welcome").welcome.result).toBe("lost");
  });

  test("unknown, of the time before it came here again: memory stays", () => {
    const { client, first, second, line } = stored();
    line.cut();
    const snapshot = snapshotOf(first.link);
    const older = client.dial(second);
    older.up();
    older.lose("client");
    const newer = resumes(client, second);
    second.adopt(newer, { token: 2, snapshot });
    newer.settle();
    second.adopt(older, "unknown");
    expect(second.refusals).toEqual(["stale"]);
    expect(second.link.adopted?.id).toBe(newer.id);
  });
});

describe("the proof, before the store writes anything", () => {
  test("is that of the session that HELLO names: its secret, its incarnation and its payload", () => {
    const { client, first, second, line } = stored();
    line.cut();
    const waits = resumes(client, second);
    const snapshot = snapshotOf(first.link);
    const { keys } = snapshot;
    const may = (changes: Partial<SessionSnapshot>): boolean =>
      second.core.mayAdopt(waits.id, { ...snapshot, ...changes });
    expect(may({})).toBe(true);
    expect(may({ keys: { ...keys, secret: "x".repeat(32) } })).toBe(false);
    expect(may({ incarnation: "ee".repeat(16) })).toBe(false);
    expect(may({ openPayload: Buffer.from("tenant-b") })).toBe(false);
    second.adopt(waits, { token: 2, snapshot });
    expect(may({})).toBe(false);
  });
});
