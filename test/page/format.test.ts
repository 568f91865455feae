import { expect, test } from "vitest";
import { amount, bytes, count, duration, milliseconds, plural } from "../../page/format.ts";

test.each<[number | undefined, string]>([
  [undefined, "–"],
  [0, "0"],
  [9_999, "9,999"],
  [10_000, "10.0 k"],
  [123_456, "123 k"],
  [4_560_000, "4.56 M"],
])("%j: %s", (value, text) => {
  expect(count(value)).toBe(text);
});

test.each<[number | undefined, string]>([
  [undefined, "–"],
  [1_023, "1023 B"],
  [1_024, "1.00 KiB"],
  [4_294_967_296, "4.00 GiB"],
])("%j in bytes: %s", (value, text) => {
  expect(bytes(value)).toBe(text);
});

test.each<[number | null | undefined, string]>([
  [null, "–"],
  [undefined, "–"],
  [0.421, "0.42 ms"],
  [12.96, "13.0 ms"],
  [999, "999 ms"],
  [1_234, "1.23 s"],
  [125_000, "2 m 05 s"],
])("%j ms: %s", (value, text) => {
  expect(milliseconds(value)).toBe(text);
});

test.each<[number, string]>([
  [-5, "0 s"],
  [59_999, "59 s"],
  [3_599_000, "59 m 59 s"],
  [11_220_000, "3 h 07 m"],
  [187_200_000, "2 d 04 h"],
])("for %j ms: %s", (value, text) => {
  expect(duration(value)).toBe(text);
});

test("a resource is read in its unit", () => {
  expect([
    amount("heap", 1_048_576),
    amount("lag", 12.5),
    amount("descriptors", 81),
    amount("mine", undefined),
  ]).toEqual(["1.00 MiB", "12.5 ms", "81", "–"]);
});

test("one and many", () => {
  expect([plural(1, "link"), plural(12_345, "link")]).toEqual(["1 link", "12,345 links"]);
});
