import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";

const bytes = (text: string): Buffer => Buffer.from(text);

test("random bytes are as many as asked for, and never the same", () => {
  const drawn = Array.from({ length: 20 }, () => SYSTEM_ENTROPY.randomBytes(32));
  expect(drawn.every(({ length }) => length === 32)).toBe(true);
  expect(new Set(drawn.map((each) => each.toString("hex"))).size).toBe(20);
});

test("bytes are equal only to the same bytes; those of another length are not, and do not throw", () => {
  const { equal } = SYSTEM_ENTROPY;
  expect([
    equal(bytes("abc"), bytes("abc")),
    equal(bytes("abc"), bytes("abd")),
    equal(bytes("abc"), bytes("ab")),
  ]).toEqual([true, false, false]);
});

test("the MAC is HMAC-SHA-256 of the parts, one after the other", () => {
  const mac = SYSTEM_ENTROPY.hmac(bytes("key"), [bytes("one"), bytes("two")]);
  expect(mac).toEqual(createHmac("sha256", "key").update("onetwo").digest());
});
