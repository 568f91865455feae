/** What is accepted and not committed yet, as with a store: the peer is told of what is committed, and of nothing else. */
import { beforeEach, describe, expect, test } from "vitest";
import { encodePositionsFrame } from "../../src/core/wire/frames.ts";
import type { Receiver } from "../../src/core/log/receiver.ts";
import { ByHand, type HandClient, type HandServer, hear, type Line, only, outcomeOf, say } from "../sim/by-hand.ts";
import { decoded } from "./support.ts";

let world: ByHand;
let server: HandServer;
let client: HandClient;
let line: Line;
let receiver: Receiver;

// The server's application has accepted two messages of 7 bytes with their lengths, and one is committed.
beforeEach(() => {
  world = new ByHand();
  server = world.server();
  client = world.client();
  line = client.connect(server);
  ({ receiver } = server.link.session);
  Object.defineProperty(receiver, "committed", { get: () => 7 });
  say(client.core, "one", "two");
  line.give(line.takeUp());
  expect(hear(server.link)).toEqual(["one", "two"]);
  expect([receiver.accepted, receiver.committed]).toEqual([14, 7]);
});

/** What the server writes says so, and the client reports the rest. */
function expectDoubt(reset: Buffer): void {
  expect(only(decoded(reset), "reset").accepted).toBe(7);
  line.giveDown(reset);
  expect(outcomeOf(client.events)?.undelivered.map(({ message }) => message.toString())).toEqual(["two"]);
}

test("an ACK says what is committed", () => {
  expect(line.down()).toEqual([]);
  world.pass(25);
  expect(only(line.down(), "ack").positions).toMatchObject({ received: 14, accepted: 7 });
  expect(client.core.session.sender.acked).toBe(7);
});

describe("a RESET says what is committed", () => {
  test("that our application asked for", () => {
    server.link.reset("aborted", "enough", "aborted", world.nowMs);
    expectDoubt(line.takeDown());
  });

  test("that answers the peer's", () => {
    client.core.reset("aborted", "enough", "aborted", world.nowMs);
    line.give(line.takeUp());
    expect(only(decoded(line.takeDown()), "reset").accepted).toBe(7);
  });

  test("that the peer's mistake is answered with", () => {
    const positions = { received: 100, accepted: 100, window: 1_000, stop: false, done: false };
    line.give(encodePositionsFrame("ack", positions));
    expectDoubt(line.takeDown());
  });
});
