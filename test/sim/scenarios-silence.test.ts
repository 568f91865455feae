/** One way goes silent between a request and its answer, when nothing is in flight. */
import { describe, expect, test } from "vitest";
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

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
