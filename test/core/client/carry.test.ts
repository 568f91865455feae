import { expect, test } from "vitest";
import { carryOver } from "../../../src/core/client/carry.ts";
import { BlockPool } from "../../../src/core/log/blocks.ts";
import { Sender } from "../../../src/core/log/sender.ts";
import { Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { ampleAccount } from "../support.ts";

/** Three messages of ten bytes, with their lengths 14: the first is written, and one byte of the second. */
function old(): Sender {
  const sender = new Sender("messages", new BlockPool(), ampleAccount(), Infinity);
  for (const text of ["message 00", "message 01", "message 02"]) sender.take(text, 10, false);
  sender.restart(0, Infinity);
  sender.write([], 15, new Flight(new RoundTrip()), 0);
  return sender;
}

test("what is kept is taken by the next session in its order, and the report has the rest", () => {
  const { sender, undelivered, carried } = carryOver(old(), ({ delivery }) => delivery === "not-sent");
  expect(undelivered.map(({ message, delivery }) => `${String(message)} ${delivery}`)).toEqual([
    "message 00 maybe",
    "message 01 maybe",
  ]);
  expect(sender.undelivered().map(({ message }) => String(message))).toEqual(["message 02"]);
  expect([...carried]).toEqual([[42, 14]]);
});

test("a message that was written once may have arrived, in every session that it is carried to", () => {
  const first = carryOver(old(), () => true);
  const second = carryOver(first.sender, () => true);
  expect([...first.carried]).toEqual([
    [14, 14],
    [28, 28],
    [42, 42],
  ]);
  for (const { sender, undelivered } of [first, second]) {
    expect(undelivered).toEqual([]);
    expect(sender.undelivered().map(({ delivery }) => delivery)).toEqual(["maybe", "maybe", "not-sent"]);
  }
});

test("the application's end comes along, and that of a move does not", () => {
  const ended = old();
  ended.end("final");
  expect(carryOver(ended, () => true).sender.endKind).toBe("final");
  const moved = old();
  moved.moveOn();
  expect(carryOver(moved, () => true).sender.endKind).toBe("none");
});
