import { describe, expect, test } from "vitest";
import { toVerdict } from "../../src/server/verdict.ts";

describe("toVerdict()", () => {
  test.each<[unknown, unknown]>([
    ["alice", { identity: "alice", claims: undefined }],
    [{ identity: "alice" }, { identity: "alice", claims: undefined }],
    [
      { identity: "alice", claims: { role: "admin" } },
      { identity: "alice", claims: { role: "admin" } },
    ],
    [
      { identity: "alice", claims: 0 },
      { identity: "alice", claims: 0 },
    ],
    [
      { identity: "alice", refused: undefined },
      { identity: "alice", claims: undefined },
    ],
    [null, { refused: "" }],
    [{ refused: "" }, { refused: "" }],
    [{ refused: "the quota is used up" }, { refused: "the quota is used up" }],
  ])("%j is one", (answer, verdict) => {
    expect(toVerdict(answer)).toEqual(verdict);
  });

  test.each<[unknown]>([
    [undefined],
    [true],
    [false],
    [0],
    [""],
    [1n],
    [Symbol("alice")],
    [() => "alice"],
    [{}],
    [[]],
    [["alice"]],
    [Buffer.from("alice")],
    [new String("alice")],
    [{ user: "alice" }],
    [{ identity: "" }],
    [{ identity: 5 }],
    [{ identity: null }],
    [{ identity: ["alice"] }],
    [{ refused: true }],
    [{ refused: null }],
    [{ identity: "alice", refused: "no" }],
  ])("%o is none", (answer) => {
    expect(() => toVerdict(answer)).toThrow(/^it answered .* neither an identity/);
  });

  test("what is none is not shown: it may be a secret", () => {
    expect(() => toVerdict({ password: "hunter2" })).toThrow(/^it answered an object:/);
    expect(() => toVerdict(["hunter2"])).toThrow(/^it answered an array of length 1:/);
  });
});
