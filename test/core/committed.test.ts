/** A link with a store: the peer is told of what is committed, and of nothing else. With an outbox: it is sent what is persisted. */
import { beforeEach, describe, expect, test } from "vitest";
import { encodePositionsFrame } from "../../src/core/wire/frames.ts";
import type { Receiver } from "../../src/core/log/receiver.ts";
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
} from "../sim/by-hand.ts";
import { decoded } from "./support.ts";

let world: ByHand;
let server: HandServer;
let client: HandClient;
let line: Line;
let receiver: Receiver;

// The server's application has accepted two messages of 7 bytes with their lengths, and one is committed.
beforeEach(() => {
  world = new ByHand();
  server = world.server({ hasStore: true });
  client = world.client();
  line = client.connect(server);
  ({ receiver } = server.link.session);
  say(client.core, "one", "two");
  line.give(line.takeUp());
  expect(hear(server.link)).toEqual(["one", "two"]);
  server.link.committed(7);
  expect([receiver.accepted, receiver.committed]).toEqual([14, 7]);
});

/** What the server writes says so, and the client reports the rest. */
function expectDoubt(reset: Buffer): void {
  expect(only(decoded(reset), "reset").accepted).toBe(7);
  line.giveDown(reset);
  expect(outcomeOf(client.events)?.undelivered.map(({ message }) => message.toString())).toEqual(["two"]);
}

test("a consumer that stops is said to have stopped when everything that it has accepted is committed", () => {
  const acks = (): object[] => {
    const frames = [...line.down()];
    world.pass(25);
    return [...frames, ...line.down()].flatMap((frame) => (frame.type === "ack" ? [frame.positions] : []));
  };
  server.link.stopReading();
  expect(acks()).toMatchObject([{ accepted: 7, stop: false }]);
  expect(client.core.peerStopped).toBe(false);
  server.link.committed(14);
  expect(acks()).toMatchObject([{ accepted: 14, stop: true }]);
  expect([client.core.peerStopped, client.core.session.sender.acked]).toEqual([true, 14]);
});

test("an ACK says what is committed", () => {
  expect(line.down()).toEqual([]);
  world.pass(25);
  expect(only(line.down(), "ack").positions).toMatchObject({ received: 14, accepted: 7 });
  expect(client.core.session.sender.acked).toBe(7);
});

describe("what the store has next", () => {
  test("is told within the delay of an ACK", () => {
    world.pass(25);
    line.down();
    server.link.committed(14);
    expect(line.down()).toEqual([]);
    world.pass(25);
    expect(only(line.down(), "ack").positions).toMatchObject({ received: 14, accepted: 14 });
  });

  test("is told at once when the sender waits for it", () => {
    say(client.core, "three");
    client.core.ticket("message");
    line.up();
    hear(server.link);
    line.down();
    server.link.committed(23);
    expect(only(line.down(), "ack").positions).toMatchObject({ accepted: 23 });
  });

  test("may be the end: then the link is through", () => {
    client.core.end();
    server.link.end();
    line.settle();
    expect([receiver.accepted, server.link.session.phase]).toEqual([15, "live"]);
    server.link.committed(14);
    expect(server.link.session.phase).toBe("live");
    server.link.committed(15);
    expect(server.link.session.phase).toBe("done");
    line.settle();
    expect(outcomeOf(client.events)?.outcome).toBe("closed");
  });

  test("changes nothing when the link has ended", () => {
    server.link.abandon("aborted");
    server.link.committed(14);
    server.link.persisted(5);
    expect([receiver.committed, server.link.session.phase]).toEqual([7, "gone"]);
  });
});

test("nothing leaves before it is persisted", () => {
  const other = world.server({ hasOutbox: true });
  const reader = world.client();
  const path = reader.connect(other);
  say(other.link, "one", "two");
  expect(namesOf(path.settle())).not.toContain("data");
  other.link.persisted(7);
  path.settle();
  expect(hear(reader.core)).toEqual(["one"]);
  other.link.end();
  other.link.persisted(14);
  path.settle();
  expect([hear(reader.core), reader.core.inputEnded]).toEqual([["two"], false]);
  other.link.persisted(15);
  path.settle();
  expect(reader.core.inputEnded).toBe(true);
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
