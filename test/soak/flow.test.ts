import { expect, test } from "vitest";
import { message, Received, streamPiece } from "./flow.ts";

test("messages in their order are as they should be", () => {
  const received = new Received(3);
  for (let number = 0; number < 300; number++) received.message(message(3, number));
  expect([received.messages, received.problem]).toEqual([300, undefined]);
});

test.each<[string, Buffer[], string]>([
  ["lost", [message(3, 0), message(3, 2)], "instead of message 1 of flow 3 came message 2 of flow 3"],
  ["doubled", [message(3, 0), message(3, 0)], "instead of message 1 of flow 3 came message 0 of flow 3"],
  ["another link's", [message(4, 0)], "instead of message 0 of flow 3 came message 0 of flow 4"],
  ["cut off", [message(3, 0).subarray(0, 5)], "instead of message 0 of flow 3 came no message, 5 bytes"],
])("a message that is %s is noticed", (_, messages, problem) => {
  const received = new Received(3);
  for (const each of messages) received.message(each);
  expect(received.problem).toContain(problem);
});

test("one byte that is another is noticed, wherever it is", () => {
  for (let number = 0; number < 50; number++) {
    const damaged = message(3, number);
    (damaged[damaged.length - 1] as number) ^= 1;
    const received = new Received(3);
    received.messages = number;
    received.message(damaged);
    expect(received.problem).toContain(`message ${number}`);
  }
});

test("a stream is the same in whatever pieces it comes, and a byte too few or too many is noticed", () => {
  const whole = streamPiece(2, 0, 3_000_000);
  const received = new Received(2);
  for (let at = 0; at < whole.length; at += 70_001) received.piece(whole.subarray(at, at + 70_001));
  expect([received.bytes, received.problem]).toEqual([3_000_000, undefined]);
  received.piece(streamPiece(2, 3_000_001, 100));
  expect(received.problem).toContain("is another one between 3000000 and 3000100");
});

test("there are large messages and empty ones among many small ones", () => {
  const lengths = Array.from({ length: 3_000 }, (_, number) => message(1, number).length);
  expect(Math.min(...lengths)).toBeLessThan(12);
  expect(Math.max(...lengths)).toBeGreaterThan(65_536);
  expect(lengths.toSorted((a, b) => a - b)[1_500]).toBeLessThan(300);
});
