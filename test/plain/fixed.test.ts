import { expect, test, vi } from "vitest";
import { fixed } from "../../src/plain/fixed.ts";
import { chunked, decode, decoded, decodedToEnd } from "./decoding.ts";
import { refusal } from "../support.ts";

test("every so many bytes are a message", () => {
  expect(decoded(fixed(3), "onetwothr")).toEqual({ messages: ["one", "two", "thr"] });
  expect(decode(fixed(3).decoder({ maxMessageBytes: 3 }), chunked(Buffer.from("onetwothr"), 4))).toEqual({
    messages: ["one", "two", "thr"],
  });
});

test("a part at the peer's end is a fault", () => {
  const fault = "the peer has ended within a message, of which 2 bytes have come";
  expect(decodedToEnd(fixed(3), "onetw")).toEqual({ messages: ["one"], fault });
  expect(decodedToEnd(fixed(3), "one")).toEqual({ messages: ["one"] });
});

test("memory is taken as bytes arrive", () => {
  const taken = vi.spyOn(Buffer, "allocUnsafeSlow");
  decoded(fixed(1_000_000), "x");
  expect(taken.mock.calls).toEqual([[64]]);
  taken.mockRestore();
});

test("messages are sent as they are, if they have the size", () => {
  const message = Buffer.from("one");
  expect(fixed(3).encode(message)).toBe(message);
  for (const other of ["", "on", "four"]) {
    const { code, message: text } = refusal(() => fixed(3).encode(Buffer.from(other)));
    expect([code, text]).toEqual(["INVALID_ARGUMENT", `a message of ${other.length} bytes, where each has 3`]);
  }
});

test.each([0, -1, 1.5, Infinity, 2 ** 31, "3", undefined])("%j is no size", (size) => {
  const { code, option } = refusal(() => fixed(size as number));
  expect([code, option]).toEqual([
    "INVALID_OPTION",
    { name: "messageBytes", value: size, allowed: "an integer from 1 to 2147483647" },
  ]);
});

test("a size above maxMessageBytes is refused with the decoder", () => {
  const { code, option } = refusal(() => fixed(4).decoder({ maxMessageBytes: 3 }));
  expect([code, option?.name, option?.value]).toEqual(["INVALID_OPTION", "maxMessageBytes", 3]);
  expect(() => fixed(3).decoder({ maxMessageBytes: 3 })).not.toThrow();
});
