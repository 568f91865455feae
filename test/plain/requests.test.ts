/** Requests of a plain link: whose answer is whose, and what a lost connection leaves behind. */
import { describe, expect, test } from "vitest";
import { lines } from "../../src/plain/lines.ts";
import type { RequestOptions } from "../../src/plain/options.ts";
import { Hand } from "./support.ts";

const IN_ORDER: RequestOptions = { maxInFlight: 100, maxAnswerBytes: 1_000 };
/** "7 text": the id is 7; without a number there is none. */
const BY_ID: RequestOptions = { ...IN_ORDER, idOf: (message) => /^(\d+) /u.exec(String(message))?.[1] };
const CLASSIFIED: RequestOptions = {
  ...IN_ORDER,
  classify: (message) => (message.includes("!") ? "push" : message.includes("-") ? "more" : "answer"),
};

function answers(hand: Hand): string[][] {
  return hand.all("answered").map(({ parts }) => parts.map(String));
}

test("a small part of an answer does not keep the chunk that it came in", () => {
  const hand = new Hand({ framing: lines(), requests: CLASSIFIED });
  hand.connect();
  hand.request("one");
  hand.flush();
  const news = `${"!".repeat(60_000)}\n`;
  const large = "-".repeat(600);
  hand.hear(`-\n${news}`);
  hand.hear(`${large}\n`);
  const chunk = Buffer.from(`1\n${news}`);
  hand.core.receive(hand.id, chunk, 0);
  const parts = hand.last("answered")?.parts ?? [];
  expect(parts.map(String)).toEqual(["-", large, "1"]);
  expect(parts[0]?.buffer.byteLength).toBe(1);
  // The last part waits for nothing.
  expect(parts[2]?.buffer).toBe(chunk.buffer);
});

describe("sent again: an answered message behind the last one in doubt", () => {
  /** "1" is in doubt, and "2" was answered. */
  function cut(first: string): Hand {
    const hand = new Hand({ requests: BY_ID, resendInFlight: true });
    hand.connect();
    hand.request(first);
    hand.request("2 two");
    hand.flush();
    hand.hear("2 TWO\n");
    hand.cut();
    return hand;
  }

  test.each([
    ["does not hold up flush()", "1 one"],
    ["does not hold up flush(), behind one that is written in parts", `1 ${"x".repeat(20_000)}`],
  ])("%s", (_, first) => {
    const hand = cut(first);
    hand.connect();
    const everything = hand.core.ticket("everything");
    // So much room that the first one fills it.
    expect(hand.write(first.length + 1)).toBe(`${first}\n`);
    hand.written();
    hand.hear("1 ONE\n");
    expect(hand.write()).toBe("");
    expect(hand.core.takeDelivered()).toEqual([everything]);
    expect([hand.core.unackedBytes, hand.core.heldBytes, hand.core.queuedMessages]).toEqual([0, 0, 0]);
  });

  test("where nothing is in doubt, nothing waits: close() takes no connection", () => {
    const hand = new Hand({ requests: IN_ORDER, resendInFlight: true });
    hand.connect();
    hand.request("one");
    // The answer comes before the kernel says that it has the request.
    hand.write();
    hand.hear("ONE\n");
    hand.cut();
    expect([hand.core.unackedBytes, hand.core.heldBytes, hand.core.queuedMessages]).toEqual([0, 0, 0]);
    hand.core.end();
    hand.core.stopReading();
    expect(hand.last("ended")).toMatchObject({ outcome: "closed", undelivered: [] });
  });
});

describe("in order", () => {
  test("each answer belongs to the oldest request, and a send() is a request whose answer nobody wants", () => {
    const hand = new Hand({ requests: IN_ORDER });
    hand.connect();
    const first = hand.request("one");
    hand.send("two");
    const accepted = hand.core.ticket("message");
    const third = hand.request("three");
    expect(hand.write()).toBe("one\ntwo\nthree\n");
    hand.hear("1\n2\n");
    expect(hand.core.takeDelivered()).toEqual([accepted]);
    hand.written();
    hand.hear("3\n");
    expect(answers(hand)).toEqual([["1"], ["3"]]);
    expect(hand.all("answered").map(({ ticket }) => ticket)).toEqual([first, third]);
    expect(hand.core.accepted()).toEqual({ messages: 3, bytes: 11 });
    expect(hand.read()).toEqual([]);
  });

  test("what was answered is not in doubt, and a request that is lost is told by its ticket alone", () => {
    const hand = new Hand({ requests: IN_ORDER });
    hand.connect();
    hand.request("one");
    const second = hand.request("two");
    hand.send("three");
    const third = hand.core.ticket("message");
    hand.flush();
    hand.hear("1\n");
    hand.send("four");
    hand.cut();
    expect(hand.last("connection-lost")).toMatchObject({
      undeliveredCount: 2,
      lost: [
        { ticket: second, delivery: "maybe", entry: undefined },
        { ticket: third, delivery: "maybe", entry: { delivery: "maybe" } },
      ],
      undelivered: [],
    });
    hand.connect();
    expect(hand.flush()).toBe("four\n");
    hand.hear("4\n");
    expect(hand.core.accepted().messages).toBe(2);
  });

  test("a request that is withdrawn keeps its place, and its answer is dropped", () => {
    const hand = new Hand({ requests: CLASSIFIED });
    hand.connect();
    const first = hand.request("one");
    const second = hand.request("two");
    hand.flush();
    expect(hand.core.withdraw(first as never)).toBe(false);
    hand.hear("-\n1\n2\n");
    expect(hand.all("answered")).toMatchObject([{ ticket: second, parts: [Buffer.from("2")] }]);
    const third = hand.request("three");
    hand.flush();
    hand.core.withdraw(third as never);
    hand.cut();
    expect(hand.reported()).toEqual(["three maybe"]);
  });

  test("no more wait at once than is allowed", () => {
    const hand = new Hand({ requests: { ...IN_ORDER, maxInFlight: 2 } });
    hand.connect();
    for (const text of ["1", "2", "3", "4"]) hand.request(text);
    expect(hand.flush()).toBe("1\n2\n");
    hand.hear("a\n");
    expect(hand.flush()).toBe("3\n");
  });

  test("an answer that nobody waits for is a fault", () => {
    const hand = new Hand({ requests: IN_ORDER });
    hand.connect();
    hand.request("one");
    hand.hear("early\n");
    expect(hand.last("disconnected")).toMatchObject({ reason: "answer-unexpected" });
    hand.connect();
    expect(hand.flush()).toBe("one\n");
    hand.hear("1\n");
    expect(answers(hand)).toEqual([["1"]]);
  });

  test("parts are gathered, pushes go to the consumer", () => {
    const hand = new Hand({ requests: CLASSIFIED });
    hand.connect();
    hand.request("one");
    hand.flush();
    hand.hear("250-a\n!push\n250-b\n250\n");
    expect(answers(hand)).toEqual([["250-a", "250-b", "250"]]);
    expect(hand.read()).toEqual(["!push"]);
  });

  test("the parts of an answer have a bound", () => {
    const hand = new Hand({ requests: { ...CLASSIFIED, maxAnswerBytes: 210 } });
    hand.connect();
    const ticket = hand.request("one");
    hand.flush();
    hand.hear("-2345\n-2345\n-\n");
    expect(hand.last("disconnected")).toMatchObject({ reason: "answer-too-large" });
    expect(hand.last("connection-lost")?.lost).toMatchObject([{ ticket, delivery: "maybe" }]);
  });

  test("a classify() that throws, or says something else, gives the connection up, and the request is in doubt", () => {
    for (const classify of [() => "what" as never, () => JSON.parse("{") as never]) {
      const hand = new Hand({ requests: { ...IN_ORDER, classify } });
      hand.connect();
      const ticket = hand.request("one");
      hand.flush();
      hand.hear("1\n");
      expect(hand.last("disconnected")).toMatchObject({ reason: "function-failed", wasUseless: true });
      expect(hand.last("connection-lost")?.lost).toMatchObject([{ ticket, delivery: "maybe" }]);
    }
  });

  test("sent again, a request waits for its answer anew, and one that was answered does not", () => {
    const hand = new Hand({ requests: CLASSIFIED, resendInFlight: true });
    hand.connect();
    hand.request("one");
    const second = hand.request("two");
    hand.request("three");
    hand.write();
    hand.hear("1\n-part\n");
    hand.cut();
    hand.connect();
    expect(hand.write()).toBe("two\nthree\n");
    hand.hear("2\n");
    hand.written();
    expect(hand.all("answered").at(-1)).toMatchObject({ ticket: second, parts: [Buffer.from("2")] });
    hand.hear("3\n");
    expect(hand.core.accepted().messages).toBe(3);
    hand.cut();
    expect(hand.all("connection-lost")).toEqual([]);
  });

  test("close() waits for the answers", () => {
    const hand = new Hand({ requests: IN_ORDER });
    hand.connect();
    hand.request("one");
    hand.core.end();
    hand.core.stopReading();
    hand.flush();
    expect(hand.core.ended).toBe(false);
    hand.hear("1\n");
    expect(hand.last("ended")).toMatchObject({ outcome: "closed", undelivered: [], lost: [] });
    expect(hand.last("ended")?.untracked).toBeUndefined();
  });

  test("an answer that does not come gives the connection up; the parts of one put it off", () => {
    const hand = new Hand({ requests: CLASSIFIED, answerMs: 1_000 });
    hand.connect();
    hand.request("one");
    hand.flush();
    hand.pass(900);
    hand.hear("-\n");
    hand.pass(900);
    expect(hand.all("disconnected")).toEqual([]);
    hand.pass(100);
    expect(hand.last("disconnected")).toMatchObject({ reason: "answer-late", wasUseless: false });
  });
});

describe("by id", () => {
  test("answers come in any order; a message without an id is a push", () => {
    const hand = new Hand({ requests: BY_ID });
    hand.connect();
    const first = hand.request("1 a");
    const second = hand.request("2 b");
    hand.flush();
    hand.hear("2 B\nnews\n1 A\n");
    expect(hand.all("answered").map(({ ticket }) => ticket)).toEqual([second, first]);
    expect(hand.read()).toEqual(["news"]);
  });

  test("an answer with an id that nobody waits for is a fault", () => {
    const hand = new Hand({ requests: BY_ID });
    hand.connect();
    hand.request("1 a");
    hand.flush();
    hand.hear("2 B\n");
    expect(hand.last("disconnected")).toMatchObject({ reason: "answer-unexpected" });
  });

  test("two with the same id are not under way together", () => {
    const hand = new Hand({ requests: BY_ID });
    hand.connect();
    hand.request("1 a");
    hand.request("1 b");
    expect(hand.flush()).toBe("1 a\n");
    hand.hear("1 A\n");
    expect(hand.flush()).toBe("1 b\n");
  });

  test("a message without an id is not answered: it stays in doubt, and is let go", () => {
    const hand = new Hand({ requests: BY_ID, inDoubtBytes: 250 });
    hand.connect();
    const ticket = hand.request("1 a");
    hand.send("one", "two", "three");
    hand.flush();
    hand.cut();
    expect(hand.last("connection-lost")).toMatchObject({
      lost: [{ ticket }],
      untracked: { messages: 1, bytes: 3 },
    });
    expect(hand.reported()).toEqual(["two maybe", "three maybe"]);
  });

  test("an idOf() that throws at a message to be sent leaves nothing taken", () => {
    const idOf = (message: Buffer): string | undefined => {
      if (message.includes("bad")) throw new Error("no id");
      return BY_ID.idOf?.(message) as string | undefined;
    };
    const hand = new Hand({ requests: { ...BY_ID, idOf } });
    hand.connect();
    expect(() => hand.request("bad")).toThrow("no id");
    expect(hand.core.queuedMessages).toBe(0);
    expect(() => hand.request("without")).toThrow("no id");
    expect(hand.core.queuedMessages).toBe(0);
  });

  test("an idOf() that gives something else: nothing is taken, and a connection that brought such a message is given up", () => {
    const idOf = (message: Buffer): string | undefined =>
      message.includes("null") ? (null as never) : (BY_ID.idOf?.(message) as string | undefined);
    const hand = new Hand({ requests: { ...BY_ID, idOf } });
    hand.connect();
    expect(() => hand.send("null")).toThrow("idOf() has given neither");
    hand.request("1 a");
    hand.flush();
    hand.hear("null\n");
    expect(hand.last("disconnected")).toMatchObject({ reason: "function-failed" });
  });

  test("no call waits for a message without an id, which nothing answers: so what is in doubt stays bounded", () => {
    const hand = new Hand({ requests: BY_ID, inDoubtBytes: 250 });
    hand.connect();
    const accepted = (text: string): void => hand.core.take(text, text.length, false, "accepted");
    expect(() => accepted("without")).toThrow("has given no id");
    expect(() => hand.core.checkMessage("without", "accepted")).toThrow("has given no id");
    expect(() => hand.core.checkMessage("without", "taken")).not.toThrow();
    expect(hand.core.queuedMessages).toBe(0);
    accepted("1 a");
    const ticket = hand.core.ticket("message");
    hand.flush();
    hand.hear("1 A\n");
    expect(hand.core.takeDelivered()).toEqual([ticket]);
  });

  test("a probe that proves says of a message without an id that it has arrived", () => {
    const probe = { message: Buffer.from("0 probe"), proves: true };
    const hand = new Hand({ requests: BY_ID, probe });
    hand.connect();
    hand.core.take("without", 7, false, "accepted");
    const ticket = hand.core.ticket("message");
    expect(hand.flush()).toBe("without\n0 probe\n");
    hand.hear("0 ok\n");
    expect(hand.core.takeDelivered()).toEqual([ticket]);
  });
});
