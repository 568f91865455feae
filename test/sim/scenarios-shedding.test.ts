/** A server asks the client of a live session to come back later. */
import { describe, expect, test } from "vitest";
import { encodeLater, encodeReady } from "../../src/core/wire/frames.ts";
import { ByHand, type HandClient, type HandServer, hear, type Line, namesOf, only, say } from "./by-hand.ts";
import { suspectLink } from "./openings.ts";

/** A client that is connected since `nowMs`, and a server whose session waits for so long without it. */
function connected(resumeForMs = 300_000, nowMs = 0) {
  const world = new ByHand();
  world.pass(nowMs);
  const server = world.server({ resumeForMs });
  const client = world.client();
  const line = client.connect(server);
  return { world, server, client, line };
}

/** The time that the client was told; undefined if it was not asked. */
function shed({ core, link, world }: HandServer, retryAfterMs: number): number | undefined {
  const toldMs = core.shed(link, retryAfterMs, world.nowMs);
  world.drain();
  return toldMs;
}

/** The times that the client's core has reported. */
function timesOf({ events }: HandClient): number[] {
  return events.flatMap((event) => (event.type === "shed" ? [event.retryAfterMs] : []));
}

function lossesOf({ events }: HandClient | { events: HandServer["linkEvents"] }): string[] {
  return events.flatMap((event) => (event.type === "disconnected" ? [event.reason] : []));
}

/** A resume, and how the server answers it. */
function resume(client: HandClient, server: HandServer): { line: Line; answer: string[] } {
  const line = client.dial(server);
  line.up();
  return { line, answer: namesOf(line.down()) };
}

describe("the word", () => {
  test("stands behind everything that was written, and nothing that was under way is lost or doubled", () => {
    const { server, client, line, world } = connected();
    say(client.core, "has arrived");
    line.up();
    say(server.link, "before the word");
    const written = line.takeDown();
    say(client.core, "under way");
    const late = line.takeUp();
    expect(shed(server, 1_000)).toBe(1_000);
    expect(server.link.adopted).toBeUndefined();
    line.give(late);
    line.giveDown(written);
    expect(namesOf(line.down()).at(-1)).toBe("later");
    expect(timesOf(client)).toEqual([1_000]);
    expect([lossesOf(client), lossesOf({ events: server.linkEvents })]).toEqual([
      ["asked to come back later"],
      ["shed"],
    ]);
    expect([line.isOpen, client.core.wantsDial]).toEqual([false, true]);
    world.pass(1_000);
    const back = client.connect(server);
    back.settle();
    expect(hear(server.link)).toEqual(["has arrived", "under way"]);
    expect(hear(client.core)).toEqual(["before the word"]);
    expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  });

  test("is the last that the server writes: the connection is ended behind it, and read for a second", () => {
    const { server, line } = connected();
    say(server.link, "one");
    shed(server, 1_000);
    const closed = server.linkEvents.find(({ type }) => type === "close-connection");
    expect(closed).toMatchObject({ channel: line.id, reason: "shed", lingerMs: 1_000 });
    expect(closed?.type === "close-connection" && closed.last?.at(-1)).toEqual(encodeLater(1_000));
    expect(namesOf(line.down())).toEqual(["later"]);
  });

  test("is skipped by a client that waits for WELCOME", () => {
    const world = new ByHand();
    const server = world.server();
    const client = world.client();
    const line = client.dial(server);
    line.giveDown(encodeLater(1_000));
    line.settle();
    expect([timesOf(client), client.connections]).toEqual([[], ["new: opened"]]);
  });

  test("is a sound frame on a connection whose client does not know it: only the close is seen", () => {
    const { server, client, line } = connected();
    shed(server, 1_000);
    line.takeDown();
    line.lose("client", "closed by the peer");
    expect(lossesOf(client)).toEqual(["closed by the peer"]);
    const { line: early, answer } = resume(client, server);
    expect([answer, early.isOpen]).toEqual([["refuse"], false]);
  });
});

describe("before its time", () => {
  test("a resume is refused with what is left, as is a standby, and both keep the session alive", () => {
    const { server, client, line, world } = connected(10_000);
    shed(server, 4_000);
    line.down();
    world.pass(1_500);
    const early = client.dial(server);
    early.up();
    expect(only(early.down(), "refuse")).toMatchObject({ code: "overloaded", retryAfterMs: 2_500 });
    // The session's time began anew with the refusal.
    world.pass(9_000);
    expect(resume(client, server).answer).toContain("welcome");
    expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  });

  test("the longest time is not passed by a rounding error of the clock", () => {
    // As a computer calculates, 7,925.3 + 30,000 - 7,925.3 is above 30,000.
    const { server, client, line } = connected(300_000, 7_925.3);
    shed(server, 30_000);
    line.down();
    const early = client.dial(server);
    early.up();
    expect(only(early.down(), "refuse")).toMatchObject({ code: "overloaded", retryAfterMs: 30_000 });
  });

  test("a client that has not read the word, and dials a second connection, is refused too", () => {
    const { server, client, world } = suspectLink();
    shed(server, 4_000);
    const standby = client.dial(server, "standby");
    standby.up();
    expect(only(standby.down(), "refuse")).toMatchObject({ code: "overloaded", retryAfterMs: 4_000 });
    // It is not sooner, and up to a tenth later.
    world.pass(3_999);
    expect(client.core.wantsStandby).toBe(false);
    world.pass(401);
    expect(client.core.wantsStandby).toBe(true);
    const next = client.dial(server, "standby");
    next.up();
    expect(namesOf(next.down())).toEqual(["ready"]);
    next.settle();
    expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
  });

  test("a resume that is being authenticated when the session is shed is refused afterwards", () => {
    const { server, client, line } = connected();
    server.authentication = "by hand";
    line.lose("client");
    const late = client.dial(server);
    late.up();
    shed(server, 4_000);
    server.verdict(late);
    expect(only(late.down(), "refuse")).toMatchObject({ code: "overloaded", retryAfterMs: 4_000 });
    expect(server.link.adopted).toBeUndefined();
  });

  test("whoever does not know the secret learns no time", () => {
    const { server, client, line } = connected();
    shed(server, 4_000);
    line.down();
    const early = client.dial(server);
    const hello = early.takeUp();
    hello[hello.length - 1] = (hello.at(-1) ?? 0) ^ 1;
    early.give(hello);
    expect(server.refusals).toEqual(["authentication"]);
  });

  test("the client is let in if the server goes away meanwhile, and hears so", () => {
    const { server, client, line, world } = connected();
    shed(server, 20_000);
    line.down();
    server.core.drain(5_000, world.nowMs);
    server.core.sendElsewhere(server.link, world.nowMs);
    const back = client.dial(server);
    back.up();
    expect(only(back.down(), "welcome").welcome.goaway).toBe(true);
  });
});

describe("the time", () => {
  test.each([
    [300_000, 5_000, 5_000],
    [300_000, 60_000, 30_000],
    [10_000, 60_000, 5_000],
    [300_000, 0, 1],
    [300_000, 1.5, 2],
  ])("with a session that waits for %d ms, %d ms are %d", (resumeForMs, askedMs, toldMs) => {
    const { server, client, line } = connected(resumeForMs);
    expect(shed(server, askedMs)).toBe(toldMs);
    line.down();
    expect(timesOf(client)).toEqual([toldMs]);
  });
});

test("a time that is no number is refused, and nothing has happened", () => {
  const { server, line } = connected();
  expect(() => shed(server, NaN)).toThrow(RangeError);
  expect(server.link.adopted?.id).toBe(line.id);
});

describe("is not asked", () => {
  const cases: Array<[string, (both: ReturnType<typeof connected>) => void]> = [
    ["a client without a connection", ({ line }) => line.cut()],
    ["a client that was asked already", ({ server }) => void shed(server, 10)],
    ["a client whose link the server's application ends", ({ server }) => server.link.end()],
    ["a client at whose link nobody reads any more", ({ server }) => server.link.stopReading()],
    [
      "a client that has ended its direction",
      ({ client, line }) => {
        client.core.end();
        line.up();
      },
    ],
    [
      "a client that reads nothing more",
      ({ client, line }) => {
        client.core.stopReading();
        line.up();
      },
    ],
    ["a client that was reset", ({ server, world }) => server.link.reset("aborted", "", "aborted", world.nowMs)],
    ["a client that was sent elsewhere", ({ server }) => server.link.goAway(1_000)],
    ["anybody, by a server that goes away", ({ server, world }) => server.core.drain(1_000, world.nowMs)],
  ];
  test.each(cases)("%s", (_, before) => {
    const both = connected();
    before(both);
    both.world.drain();
    const { adopted } = both.server.link;
    const events = both.server.linkEvents.length;
    expect(shed(both.server, 1_000)).toBeUndefined();
    expect(both.server.link.adopted).toBe(adopted);
    expect(both.server.linkEvents).toHaveLength(events);
  });
});

describe("with a second connection", () => {
  function standingBy() {
    const { world, server, client, line } = suspectLink();
    const standby = client.dial(server, "standby");
    standby.up();
    return { world, server, client, line, standby };
  }

  test("the one that stands by brings the word, though the other is silent: the client leaves both", () => {
    const { server, client, line, standby, world } = standingBy();
    expect(namesOf(standby.down())).toEqual(["ready"]);
    const commit = standby.takeUp();
    expect(shed(server, 2_000)).toBe(2_000);
    standby.give(commit);
    expect(namesOf(standby.down())).toEqual(["later", "refuse"]);
    expect([timesOf(client), line.isOpen, standby.isOpen]).toEqual([[2_000], false, false]);
    expect(client.core.wantsDial).toBe(true);
    world.pass(2_000);
    expect(resume(client, server).answer).toContain("welcome");
  });

  test("the one in use brings the word while STANDBY is unanswered: the client leaves both", () => {
    const { server, client, line } = suspectLink();
    const standby = client.dial(server, "standby");
    shed(server, 2_000);
    line.down();
    expect([timesOf(client), line.isOpen, standby.isOpen]).toEqual([[2_000], false, false]);
    expect(client.core.wantsDial).toBe(true);
  });

  test("before the client has COMMIT to write", () => {
    const { server, client, line, standby } = standingBy();
    const ready = standby.takeDown();
    expect(ready).toEqual(encodeReady());
    shed(server, 2_000);
    standby.down();
    expect([timesOf(client), client.core.adopted, line.isOpen]).toEqual([[2_000], undefined, false]);
  });

  test("when the first is gone, and COMMIT is on its way", () => {
    const { server, client, line, standby, world } = standingBy();
    standby.down();
    standby.takeUp();
    line.lose("client");
    shed(server, 2_000);
    standby.down();
    expect([timesOf(client), client.core.wantsDial]).toEqual([[2_000], true]);
    world.pass(2_000);
    expect(resume(client, server).answer).toContain("welcome");
  });

  test("a client that does not know the word takes the refusal: it stands by again at that time", () => {
    const { server, client, standby, world } = standingBy();
    standby.down();
    standby.takeUp();
    shed(server, 2_000);
    const told = standby.takeDown();
    standby.giveDown(told.subarray(encodeLater(0).length));
    expect(server.refusals).toEqual(["overloaded"]);
    expect(timesOf(client)).toEqual([]);
    world.pass(2_000);
    expect(resume(client, server).answer).toContain("welcome");
  });

  test("a takeover that is complete before: the new connection is asked", () => {
    const { server, client, standby } = standingBy();
    standby.settle();
    expect(server.link.adopted?.id).toBe(standby.id);
    shed(server, 2_000);
    standby.down();
    expect(timesOf(client)).toEqual([2_000]);
  });
});
