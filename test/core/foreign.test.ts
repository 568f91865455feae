import { describe, expect, test } from "vitest";
import vm from "node:vm";
import { codeOf, isBytes, isError, isPlainObject } from "../../src/core/foreign.ts";

const other = (code: string): unknown => vm.runInNewContext(code) as unknown;

describe("bytes", () => {
  test.each<[string, unknown]>([
    ["a Uint8Array", new Uint8Array(1)],
    ["a Buffer", Buffer.alloc(1)],
    ["one of another realm", other("new Uint8Array(1)")],
    ["a class of its own there", other("new (class Bytes extends Uint8Array {})(1)")],
  ])("%s", (_, given) => expect(isBytes(given)).toBe(true));

  test.each<[string, unknown]>([
    ["text", "x"],
    ["a list", [1]],
    ["other numbers", new Uint16Array(1)],
    ["other numbers there", other("new Uint8ClampedArray(1)")],
    ["a DataView there", other("new DataView(new ArrayBuffer(1))")],
    ["memory", new ArrayBuffer(1)],
    ["what only says so", { [Symbol.toStringTag]: "Uint8Array" }],
    ["nothing", undefined],
  ])("not %s", (_, given) => expect(isBytes(given)).toBe(false));
});

test("the code of an error", () => {
  const coded = (code: unknown): Error => Object.assign(new Error("x"), { code });
  const there = other("Object.assign(new Error('x'), { code: 'EPIPE' })");
  expect([coded("ECONNRESET"), there].map(codeOf)).toEqual(["ECONNRESET", "EPIPE"]);
  for (const given of [new Error("x"), coded(5), { code: "ECONNRESET" }, undefined])
    expect(codeOf(given)).toBeUndefined();
});

test("errors", () => {
  for (const error of [new RangeError("x"), other("new TypeError('x')"), other("new (class E extends Error {})()")]) {
    expect(isError(error)).toBe(true);
  }
  for (const none of ["x", { message: "x" }, other("({ message: 'x' })"), undefined]) expect(isError(none)).toBe(false);
});

test("plain objects", () => {
  for (const plain of [{}, Object.create(null), other("({})"), other("Object.create(null)")]) {
    expect(isPlainObject(plain)).toBe(true);
  }
  for (const none of [new Date(), [], other("[]"), other("new (class A {})()"), Buffer.alloc(1), null, "x"]) {
    expect(isPlainObject(none)).toBe(false);
  }
});
