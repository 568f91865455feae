import { describe, expect, test } from "vitest";
import { toVerdict } from "../../src/server/verdict.ts";
import { collectGarbage } from "../collect-garbage.ts";

const NOW_MS = 1_800_000_000_000;
const verdictOf = (answer: unknown) => toVerdict(answer, NOW_MS);

describe("toVerdict()", () => {
  test.each<[unknown, unknown]>([
    ["alice", { identity: "alice", claims: { claims: undefined, expiresAtMs: Infinity } }],
    [{ identity: "alice" }, { identity: "alice", claims: { claims: undefined, expiresAtMs: Infinity } }],
    [
      { identity: "alice", claims: { role: "admin" } },
      { identity: "alice", claims: { claims: { role: "admin" }, expiresAtMs: Infinity } },
    ],
    [
      { identity: "alice", claims: 0 },
      { identity: "alice", claims: { claims: 0, expiresAtMs: Infinity } },
    ],
    [
      { identity: "alice", refused: undefined },
      { identity: "alice", claims: { claims: undefined, expiresAtMs: Infinity } },
    ],
    [null, { refused: "" }],
    [{ refused: "" }, { refused: "" }],
    [{ refused: "the quota is used up" }, { refused: "the quota is used up" }],
  ])("%j is one", (answer, verdict) => {
    expect(verdictOf(answer)).toEqual(verdict);
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
    expect(() => verdictOf(answer)).toThrow(/^it answered .* neither an identity/);
  });

  test("credentials may expire, at a time to come", () => {
    const expiresAtMs = NOW_MS + 1;
    expect(verdictOf({ identity: "alice", claims: 7, expiresAtMs })).toEqual({
      identity: "alice",
      claims: { claims: 7, expiresAtMs },
    });
    expect(verdictOf({ identity: "alice", expiresAtMs: undefined })).toEqual(verdictOf("alice"));
  });

  test.each<[unknown]>([
    [NOW_MS],
    [NOW_MS / 1_000 + 3_600],
    [0],
    [NaN],
    [String(NOW_MS + 1)],
    [new Date(NOW_MS + 1)],
    [null],
  ])("%s is no such time", (expiresAtMs) => {
    expect(() => verdictOf({ identity: "alice", expiresAtMs })).toThrow(
      /^it answered expiresAtMs: .* milliseconds since/,
    );
  });

  test("an identity is at most 1,024 characters long, and stays what it was, halves of surrogate pairs too", () => {
    const longest = `${"é".repeat(1_022)}\ud800\u0000`;
    expect(verdictOf(longest)).toEqual({ identity: longest, claims: { claims: undefined, expiresAtMs: Infinity } });
    expect(verdictOf({ identity: longest })).toEqual({
      identity: longest,
      claims: { claims: undefined, expiresAtMs: Infinity },
    });
    for (const answer of [`${longest}x`, { identity: `${longest}x` }]) {
      expect(() => verdictOf(answer)).toThrow("it answered an identity of 1025 characters: at most 1024");
    }
  });

  test("an identity that is part of a larger text does not keep that", () => {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const identities = Array.from({ length: 2_000 }, (_, n) => {
      const credentials = Buffer.alloc(16_384, `user-${String(n).padStart(20, "0")}:`).toString();
      return verdictOf(credentials.split(":")[0]);
    });
    collectGarbage();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 * 2 ** 20);
    expect(identities).toHaveLength(2_000);
  });

  test("what is none is not shown: it may be a secret", () => {
    expect(() => verdictOf({ password: "hunter2" })).toThrow(/^it answered an object:/);
    expect(() => verdictOf(["hunter2"])).toThrow(/^it answered an array of length 1:/);
  });
});
