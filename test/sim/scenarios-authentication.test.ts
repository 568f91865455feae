/** What is asked of authenticate(), when, and what its answer may be used for. */
import { describe, expect, test } from "vitest";
import {
  encodeHello,
  encodePositionsFrame,
  encodeReason,
  encodeRefuse,
  type Hello,
  type HelloFrame,
} from "../../src/core/wire/frames.ts";
import { encodeProvenHello } from "../../src/core/session/proof.ts";
import type { AuthenticateEvent } from "../../src/core/server/server.ts";
import { seeded, seededEntropy } from "../../src/testing/random.ts";
import { decoded } from "../core/support.ts";
import { ByHand, type HandClient, type HandServer, Line, namesOf, only, outcomeOf } from "./by-hand.ts";

const FALLBACK = { id: "ab".repeat(16), secret: Buffer.alloc(32, 7) };

/** A link for "tenant-a" whose connection was cut; verdicts wait from now on. */
function cutLink(): { world: ByHand; server: HandServer; client: HandClient; said: Hello } {
  const world = new ByHand();
  const server = world.server();
  const client = world.client({ openPayload: Buffer.from("tenant-a") });
  client.connect(server).cut();
  const line = client.dial(server);
  const [frame] = decoded(line.takeUp());
  line.cut();
  server.authentication = "by hand";
  server.events.length = 0;
  return { world, server, client, said: { ...(frame as HelloFrame).hello, fallback: undefined } };
}

/** Says that with a proof of the client's session. */
function say(
  { world, server, client, said }: ReturnType<typeof cutLink>,
  type: "hello" | "standby",
  changes: Partial<Hello>,
): Line {
  const line = new Line(world, server);
  const hello = { ...said, generation: { epoch: 1, counter: 50 }, ...changes, secretOrProof: Buffer.alloc(0) };
  line.give(encodeProvenHello(seededEntropy(seeded(1)), type, hello, client.core.session.keys.secret));
  return line;
}

function asked(server: HandServer): AuthenticateEvent[] {
  return server.events.filter((event) => event.type === "authenticate");
}

test("a resume is asked about with its session, and the payload of that", () => {
  const { server, client } = cutLink();
  const line = client.dial(server);
  line.up();
  expect(asked(server)).toMatchObject([{ channel: line.id, proven: true }]);
  expect(asked(server)[0]?.link).toBe(server.link);
  expect(String(asked(server)[0]?.openPayload)).toBe("tenant-a");
  server.verdict(line);
  line.settle();
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
});

test("an open, and a resume of a session that is not here, are asked about with what HELLO says", () => {
  const { world, client } = cutLink();
  const other = world.server();
  other.authentication = "by hand";
  const line = client.dial(other);
  line.up();
  const opening = world.client({ openPayload: Buffer.from("tenant-b") }).dial(other);
  opening.up();
  expect(asked(other)).toMatchObject([
    { proven: false, link: undefined },
    { proven: false, link: undefined },
  ]);
  expect(asked(other).map(({ openPayload }) => String(openPayload))).toEqual(["tenant-a", "tenant-b"]);
});

test.each(["hello", "standby"] as const)("%s without the session's secret: nobody is asked", (type) => {
  const { world, server, said } = cutLink();
  const stranger = new Line(world, server);
  stranger.give(encodeHello(type, { ...said, generation: { epoch: 1, counter: 50 }, secretOrProof: Buffer.alloc(32) }));
  expect(server.refusals).toEqual(["authentication"]);
  expect(asked(server)).toEqual([]);
  expect(server.link.session.phase).toBe("live");
});

test.each([
  ["a resume", "hello", { openPayload: Buffer.from("tenant-b") }],
  ["a resume with a fallback", "hello", { openPayload: Buffer.from("tenant-b"), fallback: FALLBACK }],
  ["a resume with a fallback, and without a payload", "hello", { openPayload: Buffer.alloc(0), fallback: FALLBACK }],
  ["a standby", "standby", { openPayload: Buffer.from("tenant-b") }],
] as const)("%s that names another payload than the session's: refused, and nobody is asked", (_, type, changes) => {
  const link = cutLink();
  say(link, type, changes);
  expect(link.server.refusals).toEqual(["authentication"]);
  expect(asked(link.server)).toEqual([]);
  expect([link.server.core.sessions, link.server.link.session.phase]).toEqual([1, "live"]);
});

test.each(["hello", "standby"] as const)("%s that states no payload is asked about with the session's", (type) => {
  const link = cutLink();
  const line = say(link, type, { openPayload: Buffer.alloc(0) });
  expect(String(asked(link.server)[0]?.openPayload)).toBe("tenant-a");
  link.server.verdict(line);
  if (type === "standby") only(decoded(line.takeDown()), "ready");
  else expect(only(decoded(line.takeDown()), "welcome").welcome.result).toBe("resumed");
});

test("the session is gone when the verdict is there: it is lost, and the fallback is what was asked about", () => {
  const link = cutLink();
  const { world, server } = link;
  world.pass(290_000);
  const without = say(link, "hello", { openPayload: Buffer.alloc(0) });
  const standby = say(link, "standby", { openPayload: Buffer.alloc(0) });
  const withOne = say(link, "hello", { fallback: FALLBACK });
  world.pass(10_000);
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("expired");
  for (const line of [without, standby, withOne]) server.verdict(line);
  expect(server.refusals).toEqual(["session-lost", "no-standby"]);
  expect(only(decoded(withOne.takeDown()), "welcome").welcome.result).toBe("lost");
  const [fallback] = server.core.links();
  expect(String(fallback?.openPayload)).toBe("tenant-a");
});

test("a standby of another identity than the session's is refused", () => {
  const link = cutLink();
  const line = say(link, "standby", {});
  link.server.verdict(line, "mallory");
  expect(link.server.refusals).toEqual(["authentication"]);
  expect(link.server.link.session.phase).toBe("live");
});

test("a client that is refused is told why, before REFUSE; without a reason it is not", () => {
  for (const reason of ["the quota is used up", ""]) {
    const { server, client } = cutLink();
    const line = client.dial(server);
    line.up();
    server.refuse(line, reason);
    expect(namesOf(line.down())).toEqual(reason === "" ? ["refuse"] : ["reason", "refuse"]);
    expect(outcomeOf(client.events)).toMatchObject({ outcome: "authentication-refused", peerCode: reason });
  }
});

test("a reason is that of the refusal behind it, on the same connection", () => {
  const { server, client } = cutLink();
  const overloaded = client.dial(server);
  overloaded.takeUp();
  overloaded.giveDown(Buffer.concat([encodeReason("not now"), encodeRefuse("overloaded", 5)]));
  expect(client.events.at(-1)).toMatchObject({ type: "attempt-failed", reason: "overloaded", retryAfterMs: 5 });
  const refused = client.dial(server);
  refused.takeUp();
  refused.giveDown(encodeRefuse("authentication", 0));
  expect(outcomeOf(client.events)).toMatchObject({ outcome: "authentication-refused", peerCode: "" });
});

test("a reason for any other refusal that ends a link is not shown as one of authenticate()", () => {
  const { server, client } = cutLink();
  const line = client.dial(server);
  line.takeUp();
  line.giveDown(Buffer.concat([encodeReason("too old"), encodeRefuse("mismatch", 0)]));
  expect(outcomeOf(client.events)).toMatchObject({ outcome: "mismatch", peerCode: "" });
});

test("a reason is skipped by a server, by a standby, and on a connection that is in use", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  line.give(encodeReason("why"));
  line.giveDown(encodeReason("why"));
  world.pass(21_000);
  const standby = client.dial(server, "standby");
  standby.giveDown(encodeReason("why"));
  standby.settle();
  expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
});

test("claims are those of the connection that speaks for the session, from when it does", () => {
  const link = cutLink();
  const { server } = link;
  server.verdict(say(link, "hello", {}), "alice", "resumed");
  expect(server.link.claims).toBe("resumed");
  const standby = say(link, "standby", { generation: { epoch: 1, counter: 51 } });
  server.verdict(standby, "alice", "stands by");
  server.verdict(say(link, "hello", { generation: { epoch: 1, counter: 49 } }), "alice", "stale");
  server.verdict(say(link, "hello", { generation: { epoch: 1, counter: 52 } }), "mallory", "another's");
  expect(server.refusals).toEqual(["stale", "authentication"]);
  expect(server.link.claims).toBe("resumed");
  standby.give(encodePositionsFrame("commit", link.said.positions));
  expect(server.link.claims).toBe("stands by");
});

test("an open that is said again for another payload is refused", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client({ openPayload: Buffer.from("tenant-a") });
  const line = client.dial(server);
  const [frame] = decoded(line.takeUp());
  const { hello } = frame as HelloFrame;
  line.give(encodeHello("hello", hello));
  const again = new Line(world, server);
  again.give(encodeHello("hello", { ...hello, generation: { epoch: 1, counter: 2 }, openPayload: Buffer.from("b") }));
  expect(server.refusals).toEqual(["authentication"]);
  line.down();
  line.settle();
  expect(String(server.link.openPayload)).toBe("tenant-a");
});

test("a fallback that is known is refused for another payload", () => {
  const link = cutLink();
  const { world, server, said } = link;
  server.authentication = "at once";
  const open = { ...said, resume: false, sessionId: FALLBACK.id, secretOrProof: FALLBACK.secret };
  new Line(world, server).give(encodeHello("hello", { ...open, incarnation: "00".repeat(16) }));
  say(link, "hello", { sessionId: "cc".repeat(16), fallback: FALLBACK, openPayload: Buffer.from("tenant-b") });
  expect(server.refusals).toEqual(["authentication"]);
  say(link, "hello", { sessionId: "cc".repeat(16), fallback: FALLBACK, openPayload: said.openPayload });
  expect(server.refusals).toEqual(["authentication"]);
});

describe("the session has come here, as from a store, before the verdict is there", () => {
  /** `stored`: its open payload. `stated`: that of the resume that waits. */
  function arrives(stored: string, stated: string, knowsSecret = true): HandServer {
    const { world, server: first, client, said } = cutLink();
    const { keys } = client.core.session;
    const snapshot = first.link.snapshot();
    if (snapshot === undefined) throw new Error("there is nothing to go on with");
    const server = world.server();
    server.authentication = "by hand";
    const secret = knowsSecret ? keys.secret : "x".repeat(32);
    const line = new Line(world, server);
    const hello = { ...said, openPayload: Buffer.from(stated), secretOrProof: Buffer.alloc(0) };
    line.give(encodeProvenHello(seededEntropy(seeded(1)), "hello", hello, secret));
    server.core.restore({ ...snapshot, openPayload: Buffer.from(stored) }, world.nowMs);
    server.verdict(line);
    return server;
  }

  test("the verdict was on its payload, and the proof is good", () => {
    expect(arrives("tenant-a", "tenant-a").refusals).toEqual([]);
  });

  test("on another payload: the client comes again, and the right question is asked", () => {
    expect(arrives("tenant-a", "").refusals).toEqual(["authentication-unavailable"]);
  });

  test("its payload is not what HELLO states, or the proof is wrong", () => {
    expect(arrives("tenant-a", "tenant-b").refusals).toEqual(["authentication"]);
    expect(arrives("tenant-a", "tenant-a", false).refusals).toEqual(["authentication"]);
  });
});
