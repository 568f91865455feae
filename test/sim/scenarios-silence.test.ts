/** One way goes silent between a request and its answer, when nothing is in flight. */
import { describe, expect, test } from "vitest";
import { decoded } from "../core/support.ts";
import { ByHand, type HandClient, type HandServer, hear, type Line, namesOf, say } from "./by-hand.ts";

/** A request was received, and its answer is still to come. */
function asking(): { world: ByHand; server: HandServer; client: HandClient; line: Line } {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  line.settle();
  say(client.core, "request");
  line.settle();
  expect(hear(server.link)).toEqual(["request"]);
  world.pass(25);
  line.settle();
  return { world, server, client, line };
}

/** Time passes and everything that is written arrives, but for what goes `lost`. Answers the frames that the client wrote. */
function go({ world, client, line }: ReturnType<typeof asking>, ms: number, lost?: "up" | "down"): string[] {
  const written: string[] = [];
  for (const untilMs = world.nowMs + ms; world.nowMs < untilMs; world.pass(Math.min(10, untilMs - world.nowMs))) {
    if (!line.isOpen || client.core.wantsStandby) break;
    if (lost === "up") line.takeUp();
    else written.push(...namesOf(line.up()));
    if (lost === "down") line.takeDown();
    else line.down();
  }
  return written;
}

function suspects({ events }: HandClient): boolean {
  return events.some(({ type }) => type === "suspect");
}

describe("the way of the answer", () => {
  test("is silent: suspect within 5 s of the request, and the answer comes on a connection beside it", () => {
    const all = asking();
    const { world, server, client } = all;
    const askedMs = world.nowMs;
    go(all, 30_000, "down");
    expect(suspects(client)).toBe(true);
    expect(world.nowMs - askedMs).toBeGreaterThan(3_000);
    expect(world.nowMs - askedMs).toBeLessThan(5_000);
    const standby = client.dial(server, "standby");
    standby.settle();
    expect(client.connections.at(-1)).toBe("resumed: standby");
    say(server.link, "answer");
    standby.settle();
    expect(hear(client.core)).toEqual(["answer"]);
  });

  test("is open: the client asks, less and less often, and suspects nobody", () => {
    const all = asking();
    const asked = Array.from({ length: 33 }, () => go(all, 1_000).filter((name) => name === "ping").length);
    expect(suspects(all.client)).toBe(false);
    // After 1 s, 3, 7, 15 and 30, and up to a fifth more.
    expect(asked.slice(0, 1)).toEqual([0]);
    expect(
      [asked.slice(1, 3), asked.slice(3, 6), asked.slice(6, 12), asked.slice(12, 28), asked.slice(28)].map(sum),
    ).toEqual([1, 1, 1, 1, 1]);
  });
});

test("the way of the request is silent when the answer has come: suspect within 5 s of the answer", () => {
  const all = asking();
  const { world, server, client, line } = all;
  go(all, 10_000);
  say(server.link, "answer");
  line.settle();
  expect(hear(client.core)).toEqual(["answer"]);
  world.pass(25);
  line.settle();
  const answeredMs = world.nowMs;
  go(all, 30_000, "up");
  expect(suspects(client)).toBe(true);
  expect(world.nowMs - answeredMs).toBeLessThan(5_000);
});

test("what is never spoken on is asked about after 15 s, as before", () => {
  const world = new ByHand();
  const client = world.client();
  const line = client.connect(world.server());
  world.pass(14_999);
  expect(namesOf(line.up())).not.toContain("ping");
  world.pass(1);
  expect(namesOf(line.up())).toContain("ping");
});

describe("ping()", () => {
  /** Connected, and silent for ten seconds. */
  function idle(): ReturnType<typeof asking> {
    const all = asking();
    say(all.server.link, "answer");
    all.line.settle();
    hear(all.client.core);
    go(all, 10_000);
    return all;
  }

  test("at a client: the PING is written at once; without an answer it stands by after 2 to 4 s", () => {
    const { world, client, line } = idle();
    client.core.ping(world.nowMs);
    expect(namesOf(line.up())).toEqual(["ping"]);
    client.core.ping(world.nowMs);
    expect(namesOf(line.up())).toEqual([]);
    line.takeDown();
    world.pass(2_000);
    expect([suspects(client), client.core.wantsStandby]).toEqual([false, false]);
    world.pass(2_000);
    expect([suspects(client), client.core.wantsStandby]).toEqual([true, true]);
  });

  test("at a server: its link is suspect after 2 to 4 s, then has recovered, or is closed after 120 s", () => {
    const { world, server, client, line } = idle();
    const told = (): string[] => server.linkEvents.map(({ type }) => type).filter((type) => type !== "connected");
    server.link.ping(world.nowMs);
    expect(namesOf(decoded(line.takeDown()))).toEqual(["ping"]);
    world.pass(2_000);
    expect(told()).toEqual([]);
    world.pass(2_000);
    expect(told()).toEqual(["suspect"]);
    line.settle();
    expect(told()).toEqual(["suspect", "recovered"]);
    expect(suspects(client)).toBe(false);
    server.link.ping(world.nowMs);
    world.pass(119_999);
    expect(told()).toEqual(["suspect", "recovered", "suspect"]);
    world.pass(1);
    expect(told().slice(3)).toEqual(["close-connection", "disconnected"]);
  });

  test("asks nobody without a connection, and where the session is over", () => {
    const { world, server, client, line } = idle();
    client.core.reset("aborted", "", "aborted", world.nowMs);
    const { nextTimeoutMs } = client.core;
    client.core.ping(world.nowMs);
    expect([client.core.nextTimeoutMs, namesOf(line.up())]).toEqual([nextTimeoutMs, ["reset"]]);
    line.cut();
    const another = world.client();
    another.core.ping(world.nowMs);
    expect([another.core.nextTimeoutMs, another.core.wantsDial]).toEqual([Infinity, true]);
    expect(server.refusals).toEqual([]);
  });

  test("of a connection that has answered after COMMIT: its silence is no new suspicion", () => {
    const world = new ByHand();
    const server = world.server();
    const client = world.client();
    const line = client.dial(server);
    world.pass(600);
    line.settle();
    say(server.link, "hello");
    line.settle();
    client.core.ping(world.nowMs);
    line.takeUp();
    world.pass(4_000);
    expect(client.core.wantsStandby).toBe(true);
    const standby = client.dial(server, "standby");
    world.pass(600);
    standby.up();
    standby.down();
    const commit = standby.takeUp();
    line.settle();
    client.core.ping(world.nowMs);
    expect(namesOf(line.up())).toEqual(["ping"]);
    const patienceMs = client.core.standbyPatienceMs;
    expect(patienceMs).toBeGreaterThan(4_000);
    world.pass(patienceMs - 1);
    standby.give(commit);
    standby.settle();
    expect(client.connections.at(-1)).toBe("resumed: standby");
    expect(client.events.filter(({ type }) => type === "suspect")).toHaveLength(1);
    expect(client.core.wantsStandby).toBe(false);
  });
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
