import { describe, expect, test } from "vitest";
import type { UndeliveredEntry } from "../../../src/core/log/sender.ts";
import { Tickets } from "../../../src/core/session/tickets.ts";

const NOT_CARRIED: ReadonlyMap<number, number> = new Map();

/** A message of ten bytes and its length that ends at `end`. */
function entry(end: number, delivery: UndeliveredEntry["delivery"], bytes = 10): UndeliveredEntry {
  return { message: Buffer.alloc(bytes), delivery, position: end, end };
}

describe("while the session lives", () => {
  test("a ticket is delivered when the peer has accepted all of its messages, and is taken out once", () => {
    const tickets = new Tickets();
    const first = tickets.issue("message", 14);
    const second = tickets.issue("everything", 14);
    const third = tickets.issue("message", 28);
    expect(tickets.takeDelivered(13)).toEqual([]);
    expect(tickets.takeDelivered(27)).toEqual([first, second]);
    expect(tickets.takeDelivered(27)).toEqual([]);
    expect(tickets.takeDelivered(28)).toEqual([third]);
  });

  test("a ticket that is withdrawn says whether its message was delivered", () => {
    const tickets = new Tickets();
    const accepted = tickets.issue("message", 14);
    const open = tickets.issue("message", 28);
    expect([tickets.withdraw(accepted, 14), tickets.withdraw(open, 14)]).toEqual([true, false]);
    expect(tickets.takeDelivered(28)).toEqual([]);
  });

  test("and still says so when the session is over", () => {
    const tickets = new Tickets();
    const delivered = tickets.issue("message", 14);
    const lost = tickets.issue("message", 28);
    tickets.sessionOver(14, [entry(28, "maybe")], NOT_CARRIED);
    expect([tickets.withdraw(delivered, 0), tickets.withdraw(lost, 0)]).toEqual([true, false]);
  });
});

describe("when the session is over", () => {
  test("each ticket for a message is told of its message, which nobody else hears of", () => {
    const tickets = new Tickets();
    const entries = [entry(28, "maybe"), entry(42, "maybe"), entry(56, "not-sent")];
    const accepted = tickets.issue("message", 14);
    const inDoubt = tickets.issue("message", 28);
    const notSent = tickets.issue("message", 56);
    expect(tickets.sessionOver(14, entries, NOT_CARRIED)).toEqual({
      undeliveredCount: 3,
      lost: [
        { ticket: inDoubt, delivery: "maybe", entry: entries[0] },
        { ticket: notSent, delivery: "not-sent", entry: entries[2] },
      ],
      undelivered: [entries[1]],
    });
    expect(tickets.takeDelivered(0)).toEqual([accepted]);
    expect(tickets.sessionOver(99, [], NOT_CARRIED).lost).toEqual([]);
  });

  test("a ticket for everything is told of what is in doubt, else of what was not sent; the messages are reported too", () => {
    const tickets = new Tickets();
    const entries = [entry(28, "not-sent"), entry(42, "maybe")];
    const before = tickets.issue("everything", 14);
    const notSent = tickets.issue("everything", 28);
    const inDoubt = tickets.issue("everything", 42);
    expect(tickets.sessionOver(14, entries, NOT_CARRIED)).toEqual({
      undeliveredCount: 2,
      lost: [
        { ticket: notSent, delivery: "not-sent", entry: undefined },
        { ticket: inDoubt, delivery: "maybe", entry: undefined },
      ],
      undelivered: entries,
    });
    expect(tickets.takeDelivered(0)).toEqual([before]);
  });

  test("a piece of a byte stream is in doubt when the peer has accepted its beginning", () => {
    const tickets = new Tickets();
    const torn = tickets.issue("everything", 24, 10);
    const notSent = tickets.issue("everything", 28, 24);
    expect(tickets.sessionOver(14, [entry(28, "not-sent", 14)], NOT_CARRIED).lost).toEqual([
      { ticket: torn, delivery: "maybe", entry: undefined },
      { ticket: notSent, delivery: "not-sent", entry: undefined },
    ]);
  });

  test("an empty message counts as well", () => {
    const tickets = new Tickets();
    const ticket = tickets.issue("everything", 18);
    const entries = [entry(18, "not-sent", 0)];
    expect(tickets.sessionOver(14, entries, NOT_CARRIED).lost).toMatchObject([{ ticket, delivery: "not-sent" }]);
  });

  test("a ticket that ends within a piece of a byte stream is told of that piece", () => {
    const tickets = new Tickets();
    const before = tickets.issue("everything", 100);
    const within = tickets.issue("everything", 103);
    const entries = [entry(200, "maybe", 100)];
    expect(tickets.sessionOver(100, entries, NOT_CARRIED).lost).toMatchObject([{ ticket: within, delivery: "maybe" }]);
    expect(tickets.takeDelivered(0)).toEqual([before]);
  });

  test("a peer has accepted half of a message: that one is in doubt", () => {
    const tickets = new Tickets();
    const ticket = tickets.issue("message", 28);
    expect(tickets.sessionOver(20, [], NOT_CARRIED).lost).toMatchObject([{ ticket, delivery: "maybe" }]);
  });
});

test("the session is replaced: tickets of messages that go on stand for them in the new one, in their order", () => {
  const tickets = new Tickets();
  const entries = [entry(28, "maybe")];
  const lost = tickets.issue("message", 28);
  const carried = tickets.issue("message", 42);
  const last = tickets.issue("message", 56);
  const next = new Map([
    [42, 14],
    [56, 28],
  ]);
  expect(tickets.sessionOver(14, entries, next)).toEqual({
    undeliveredCount: 1,
    lost: [{ ticket: lost, delivery: "maybe", entry: entries[0] }],
    undelivered: [],
  });
  expect(tickets.takeDelivered(0)).toEqual([]);
  expect(tickets.takeDelivered(14)).toEqual([carried]);
  expect(tickets.takeDelivered(28)).toEqual([last]);
});
