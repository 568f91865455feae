import { expect, test } from "vitest";
import { countByDelivery, UndeliveredBook } from "../../src/link/undelivered.ts";

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
