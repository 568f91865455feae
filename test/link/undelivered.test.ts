import { expect, test } from "vitest";
import { countByDelivery, toMessage, UndeliveredBook } from "../../src/link/undelivered.ts";
import { detach } from "./detached.ts";

const MIB = 1_048_576;

function messages(count: number, bytes: number) {
  const message = Buffer.alloc(bytes);
  return Array.from({ length: count }, (_, position) => ({ message, delivery: "maybe" as const, position }));
}

test("any number of messages is kept until it is taken, in order", () => {
  const book = new UndeliveredBook();
  const many = messages(300_000, 1);
  book.keep(many.slice(0, 10));
  book.keep(many.slice(10));
  expect(book.takeKept()).toEqual(many);
  expect(book.takeKept()).toEqual([]);
});

test("of more than 64 MiB the oldest are dropped", () => {
  const book = new UndeliveredBook();
  const large = messages(70, MIB);
  book.keep(large.slice(0, 40));
  book.keep(large.slice(40));
  expect(book.takeKept()).toEqual(large.slice(6));
});

test("messages are counted by what is known of them", () => {
  const known = ["maybe", "not-sent", "maybe"] as const;
  const some = known.map((delivery) => ({ message: Buffer.alloc(1), delivery, position: undefined }));
  expect(countByDelivery(some)).toEqual({ maybe: 2, notSent: 1 });
  expect(countByDelivery([])).toEqual({ maybe: 0, notSent: 0 });
});

test("a message that is reported cannot be transferred while others wait in the same memory, and these stay", () => {
  const block = Buffer.from(new ArrayBuffer(4_096));
  block.write("reportedwaits");
  const { message } = toMessage({ message: block.subarray(0, 8), delivery: "maybe", position: undefined, end: 8 });
  expect(() => detach(message)).toThrow("transfer");
  expect([String(message), String(block.subarray(8, 13))]).toEqual(["reported", "waits"]);
});

test("one that has its memory to itself can be", () => {
  const { message } = toMessage({
    message: Buffer.from(new ArrayBuffer(9)),
    delivery: "maybe",
    position: undefined,
    end: 9,
  });
  detach(message);
  expect(message).toHaveLength(0);
});
