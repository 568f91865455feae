/** Counterexamples of suspicion, standbys and takeovers. Which rows are where: scenarios-opening. */
import { expect, test } from "vitest";
import { DATA_HEADER_BYTES } from "../../src/core/wire/frames.ts";
import { PREFIX_BYTES } from "../../src/core/log/blocks.ts";
import {
  ByHand,
  type HandClient,
  type HandServer,
  hear,
  type Line,
  namesOf,
  only,
  outcomeOf,
  say,
  WELCOMING,
} from "./by-hand.ts";
import { suspectLink } from "./openings.ts";

/** A standby that has heard READY, and has COMMIT to write. */
function readyStandby(client: HandClient, server: HandServer): Line {
  const standby = client.dial(server, "standby");
  standby.up();
  expect(namesOf(standby.down())).toEqual(["ready"]);
  return standby;
}

function typesOf(client: HandClient): string[] {
  return client.events.map(({ type }) => type);
}

test("counterexample 7: STANDBY carries positions, the old connection goes on, and COMMIT resumes from the old ones", () => {
  const { server, client, line } = suspectLink();
  say(client.core, "from the client");
  const late = line.takeUp();
  const standby = client.dial(server, "standby");
  standby.up();
  // Both ways still carry something after STANDBY.
  line.give(late);
  expect(hear(server.link)).toEqual(["from the client"]);
  say(server.link, "from the server");
  // Not the PONG and the ACK: the suspicion stays.
  line.giveDown(lastData(line.takeDown(), "from the server"));
  expect(hear(client.core)).toEqual(["from the server"]);
  expect(namesOf(standby.down())).toEqual(["ready"]);
  const { positions } = only(standby.up(), "commit");
  expect([positions.received, positions.accepted]).toEqual([19, 19]);
  const answer = standby.down();
  expect(only(answer, "committed").positions).toMatchObject({ received: 19, accepted: 19 });
  // Neither is sent again.
  expect(namesOf([...answer, ...standby.settle()])).not.toContain("data");
});

/** The DATA frame that carries just this message, out of what was written at once. */
function lastData(written: Buffer, text: string): Buffer {
  const end = written.indexOf(text) + text.length;
  return written.subarray(end - text.length - PREFIX_BYTES - DATA_HEADER_BYTES, end);
}

test("counterexample 9: a late COMMIT of generation 2 takes over from a resumed generation 3", () => {
  const { server, client, line } = suspectLink();
  const standby = readyStandby(client, server);
  const commit = standby.takeUp();
  standby.lose("client");
  line.cut();
  const resumed = client.connect(server);
  expect(server.link.adopted?.id).toBe(resumed.id);
  standby.give(commit);
  expect(server.refusals).toEqual(["stale"]);
  expect(server.link.adopted?.id).toBe(resumed.id);
  expect(resumed.isOpen).toBe(true);
});

test("counterexample 10: the old connection answers after COMMIT, the standby is dropped, and both are lost", () => {
  const { server, client, line } = suspectLink();
  const standby = readyStandby(client, server);
  const commit = standby.takeUp();
  line.settle();
  expect(standby.isOpen).toBe(true);
  standby.give(commit);
  standby.settle();
  line.settle();
  expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
  expect(typesOf(client)).not.toContain("disconnected");
  expect([line.isOpen, standby.isOpen]).toEqual([false, true]);
});

test("counterexample 10: COMMIT is unanswered and the old connection is gone: a resume tells, and soon", () => {
  const { world, server, client, line } = suspectLink();
  const standby = readyStandby(client, server);
  standby.takeUp();
  // The old one ends while the answer is awaited, and the standby says nothing any more.
  line.cut();
  expect(client.core.wantsDial).toBe(false);
  world.pass(client.core.standbyPatienceMs);
  expect(client.core.wantsDial).toBe(true);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
});

test("counterexample 11: a standby reaches a node without the session, and a living session is thrown away", () => {
  const { world, client, line } = suspectLink();
  const elsewhere = world.server();
  const standby = client.dial(elsewhere, "standby");
  standby.up();
  expect(only(standby.down(), "refuse").code).toBe("no-standby");
  expect(client.core.adopted?.id).toBe(line.id);
  line.settle();
  expect(typesOf(client)).toContain("recovered");
  expect(outcomeOf(client.events)).toBeUndefined();
});

test("a client that is not let in any more hears so, though the connection that it has only stays silent", () => {
  const { world, server, client } = suspectLink();
  server.authentication = "by hand";
  for (let second = 0; second < 20 && !client.core.wantsDial; second++) {
    if (client.core.wantsStandby) {
      const standby = client.dial(server, "standby");
      standby.up();
      server.verdict(standby, "bob");
      expect(only(standby.down(), "refuse").code).toBe("authentication");
    }
    world.pass(1_000);
  }
  expect(client.core.wantsDial).toBe(true);
  const resume = client.dial(server);
  resume.up();
  server.verdict(resume, "bob");
  resume.down();
  expect(outcomeOf(client.events)?.outcome).toBe("authentication-refused");
});

test("counterexample 15: the peer sends, our bytes go nowhere, and nobody suspects anything", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  say(client.core, "into a hole");
  for (let second = 0; second < 5; second++) {
    line.takeUp();
    say(server.link, "alive");
    line.down();
    hear(client.core);
    world.pass(1_000);
  }
  expect(typesOf(client)).toContain("suspect");
});

test("counterexample 17: a path with a round trip of 12 s is taken for dead", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.dial(server);
  const onTheWay: Array<{ dueMs: number; arrive: () => void }> = [];
  for (let second = 0; second < 600; second++) {
    if (second % 10 === 0 && client.core.session.phase === "live") say(client.core, `${second}`);
    const [up, down] = [line.takeUp(), line.takeDown()];
    if (up.length > 0) onTheWay.push({ dueMs: world.nowMs + 6_000, arrive: () => line.give(up) });
    if (down.length > 0) onTheWay.push({ dueMs: world.nowMs + 6_000, arrive: () => line.giveDown(down) });
    world.pass(1_000);
    while ((onTheWay[0]?.dueMs ?? Infinity) <= world.nowMs) onTheWay.shift()?.arrive();
  }
  expect(hear(server.link).length).toBeGreaterThan(50);
  expect(typesOf(client).filter((type) => type !== "connected")).toEqual([]);
});

test("counterexample 17: a connection that is silent for an hour, and whose standbys all fail, is still not closed", () => {
  const { world, client, line } = suspectLink();
  const patience: number[] = [];
  for (let n = 0; n < 200; n++) {
    if (client.core.wantsStandby) {
      patience.push(client.core.standbyPatienceMs);
      world.pass(client.core.standbyPatienceMs);
      client.core.standbyDialFailed(world.nowMs, { timedOut: true });
    }
    world.pass(18_000);
  }
  // So that a slow path connects in the end, and a hole that closes is noticed.
  expect(patience.slice(0, 3)).toEqual([1_000, 1_500, 2_250]);
  expect(patience.at(-1)).toBe(60_000);
  expect(client.core.adopted?.id).toBe(line.id);
  expect(typesOf(client)).not.toContain("disconnected");
});

test("a link that was opened in a crowd waits for its standby as its path has turned out to be", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.dial(server);
  world.pass(1_000);
  line.settle();
  expect(client.core.standbyPatienceMs).toBe(8_000);
  for (let n = 0; n < 100; n++) {
    say(client.core, `${n}`);
    line.settle();
    world.pass(10);
  }
  expect(hear(server.link)).toHaveLength(100);
  expect(client.core.standbyPatienceMs).toBeLessThan(2_500);
});

test("counterexample 18: the server's loop blocks for 11 s, and all clients dial at the same moment", () => {
  const world = new ByHand();
  const server = world.server({
    admission: { ...WELCOMING, comeBack: (kind) => (kind === "standby" ? 1_000 : 0) },
  });
  const all = Array.from({ length: 20 }, () => {
    const client = world.client();
    return { client, line: client.connect(server), suspectMs: 0 };
  });
  for (const { client, line } of all) {
    say(client.core, "in flight");
    line.takeUp(100);
  }
  for (let ms = 0; ms < 11_000; ms += 50) {
    world.pass(50);
    for (const one of all)
      if (one.suspectMs === 0 && typesOf(one.client).includes("suspect")) one.suspectMs = world.nowMs;
  }
  const moments = all.map(({ suspectMs }) => suspectMs);
  expect(Math.min(...moments)).toBeGreaterThanOrEqual(2_000);
  expect(Math.max(...moments) - Math.min(...moments)).toBeGreaterThan(1_000);
  // The server refuses standbys first; nobody loses its connection by that.
  for (const { client, line } of all) {
    expect(client.core.wantsStandby).toBe(true);
    const standby = client.dial(server, "standby");
    standby.settle();
    expect(client.core.adopted?.id).toBe(line.id);
  }
  expect(new Set(server.refusals)).toEqual(new Set(["overloaded"]));
  for (const { client, line } of all) {
    line.settle();
    expect(typesOf(client)).toContain("recovered");
  }
});

test("counterexample 30: an ACK on the old connection overtakes COMMIT, and a legal takeover dies", () => {
  const { server, client, line } = suspectLink();
  const standby = readyStandby(client, server);
  const commit = standby.takeUp();
  say(server.link, "a");
  server.link.session.sender.askForAck();
  line.down();
  expect(hear(client.core)).toEqual(["a"]);
  line.up();
  expect(server.link.session.sender.acked).toBe(5);
  standby.give(commit);
  standby.settle();
  expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
  say(server.link, "b");
  standby.settle();
  expect(hear(client.core)).toEqual(["b"]);
});

test("counterexample 39: COMMIT to a session that has closed meanwhile is heard as session-lost", () => {
  const { server, client, line } = suspectLink();
  server.link.end();
  line.down();
  client.core.end();
  const theRest = line.takeUp();
  const standby = readyStandby(client, server);
  const commit = standby.takeUp();
  line.give(theRest);
  expect(server.link.session.phase).toBe("done");
  standby.give(commit);
  const { positions } = only(standby.down(), "committed");
  expect(positions.done).toBe(true);
  standby.settle();
  expect(outcomeOf(client.events)?.outcome).toBe("closed");
  expect(outcomeOf(server.linkEvents)?.outcome).toBe("closed");
  expect([client.core.gone, server.core.sessions]).toEqual([true, 0]);
});

test("a link that is through while its connection is suspect still finds another to say so", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  client.core.end();
  line.settle();
  world.pass(21_000);
  client.core.stopReading();
  expect(client.core.session.phase).toBe("done");
  const standby = readyStandby(client, server);
  standby.settle();
  expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
  expect(server.link.session.peerDone).toBe(true);
});

test("abort() while a standby takes over: the server hears of it on the connection that it has adopted", () => {
  const { world, server, client, line } = suspectLink();
  const standby = readyStandby(client, server);
  client.core.reset("aborted", "enough", "aborted", world.nowMs);
  line.takeUp();
  standby.settle();
  expect(outcomeOf(server.linkEvents)).toMatchObject({ outcome: "peer-aborted", peerCode: "enough" });
  expect([client.core.gone, server.core.sessions]).toEqual([true, 0]);
});

test("the old connection is lost while STANDBY is unanswered: the standby goes on, and nothing else is dialled", () => {
  const { server, client, line } = suspectLink();
  const standby = client.dial(server, "standby");
  line.cut();
  expect([client.core.wantsDial, client.core.wantsStandby]).toEqual([false, false]);
  standby.settle();
  expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
});

test("and if that standby is refused, the client resumes", () => {
  const { world, server, client, line } = suspectLink();
  const standby = client.dial(world.server(), "standby");
  line.cut();
  standby.settle();
  expect(client.core.wantsDial).toBe(true);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
});

test("credit that COMMIT has stated stays in force when the old connection ends before COMMITTED", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client({ maxMessageBytes: 1_000, window: { minBytes: 65_536, maxBytes: 65_536 } });
  const line = client.connect(server);
  world.pass(21_000);
  const standby = readyStandby(client, server);
  const commit = standby.takeUp();
  line.cut();
  for (let n = 0; n < 30; n++) say(server.link, "x".repeat(1_000));
  standby.give(commit);
  standby.settle();
  expect(standby.isOpen).toBe(true);
  expect(hear(client.core)).toHaveLength(30);
});
