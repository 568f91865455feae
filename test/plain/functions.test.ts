import { expect, test } from "vitest";
import { idOrNone, yesOrNo } from "../../src/plain/functions.ts";
import { Hand } from "./support.ts";

test("yes and no are true and false, and nothing else", () => {
  expect([yesOrNo("isAnswer", true), yesOrNo("isAnswer", false)]).toEqual([true, false]);
  for (const other of [undefined, null, 0, 1, "yes", ["match"], Promise.resolve(true)]) {
    expect(() => yesOrNo("isAnswer", other)).toThrow("isAnswer() has given neither true nor false");
  }
});

test("an id is a string, a number or a bigint, or there is none", () => {
  for (const id of ["", "a", 0, 7, 7n, undefined]) expect(idOrNone(id)).toBe(id);
  for (const other of [null, true, ["a"], Buffer.from("a"), Promise.resolve("a")]) {
    expect(() => idOrNone(other)).toThrow("idOf() has given neither");
  }
});

test("an isAnswer() that gives something else gives the connection up", () => {
  const isAnswer = (message: Buffer) => String(message).match(/PONG/u) as never;
  const hand = new Hand({ probe: { message: Buffer.from("PING"), isAnswer, proves: false } });
  hand.connect();
  hand.hear("PONG\n");
  expect(hand.last("disconnected")).toMatchObject({ reason: "function-failed" });
});
