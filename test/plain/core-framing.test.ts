/** What the functions of an application may do while a message is taken, and what is left of one that is refused. */
import { expect, test } from "vitest";
import { LEAST_SLOTS } from "../../src/plain/entries.ts";
import type { RequestOptions } from "../../src/plain/options.ts";
import { Hand, LINES } from "./support.ts";

const BY_ID: RequestOptions = {
  maxInFlight: 100,
  maxAnswerBytes: 1_000,
  idOf: (message) => /^(\d+) /u.exec(String(message))?.[1],
};

test("encode() that sends on its own link: the message is refused with INVALID_STATE, and the link goes on", () => {
  const framing = {
    ...LINES,
    encode: (message: Buffer) => {
      if (message.includes("outer")) hand.send("inner");
      return LINES.encode(message);
    },
  };
  const thrown: unknown[] = [];
  const encodeFailed = (error: unknown): Error => (thrown.push(error), error as Error);
  const hand: Hand = new Hand({ framing, encodeFailed });
  hand.connect();
  expect(() => hand.send("outer")).toThrow("cannot send on their own link");
  expect(thrown[0]).toMatchObject({ code: "INVALID_STATE" });
  hand.send("after");
  expect([hand.flush(), hand.core.takenBytes]).toEqual(["after\n", 5]);
});

test.each(["encode", "idOf"])("%s() that tries to, and catches the error: the message is sent as it is", (which) => {
  const refused: unknown[] = [];
  const sends = (message: Buffer): void => {
    if (!message.includes("outer")) return;
    try {
      hand.send("2 inner");
    } catch (error) {
      refused.push(error);
    }
  };
  const hand: Hand = new Hand({
    framing: {
      ...LINES,
      encode(message) {
        if (which === "encode") sends(message);
        return LINES.encode(message);
      },
    },
    requests: {
      ...BY_ID,
      idOf(message) {
        if (which === "idOf") sends(message);
        return BY_ID.idOf?.(message);
      },
    },
  });
  hand.connect();
  // So many that the object of a settled one is used again.
  for (let n = 0; n < LEAST_SLOTS; n++) {
    hand.request(`${n} before`);
    hand.flush();
    hand.hear(`${n} answer\n`);
  }
  const ticket = hand.request("1 outer");
  expect([refused.length, hand.flush()]).toEqual([1, "1 outer\n"]);
  hand.hear("1 answer\n");
  expect(hand.last("answered")).toMatchObject({ ticket, parts: [Buffer.from("1 answer")] });
});

test("a large message that is refused leaves nothing in the report of the next one", () => {
  let isBad = true;
  const encode = (message: Buffer): Buffer[] => (isBad ? [message, "oops" as never] : [message, Buffer.from("\n")]);
  const hand = new Hand({ framing: { ...LINES, encode } });
  hand.connect();
  expect(() => hand.send("L".repeat(20_000))).toThrow("no bytes");
  isBad = false;
  hand.send("small one");
  expect(hand.flush()).toBe("small one\n");
  hand.cut();
  expect(hand.reported()).toEqual(["small one maybe"]);
});
