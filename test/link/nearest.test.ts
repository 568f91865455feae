import { expect, test } from "vitest";
import { nearest } from "../../src/link/nearest.ts";

const KNOWN = ["host", "port", "path", "tls", "queue", "timeouts", "maxMessageBytes"];

test.each<[string, string | undefined, string]>([
  ["prot", "port", "letters that have changed places"],
  ["tsl", "tls", "in a short word, too"],
  ["ques", undefined, "two letters of a short word"],
  ["quue", "queue", "a letter that is missing"],
  ["pathh", "path", "one too many"],
  ["hust", "host", "a wrong one"],
  ["timeout", "timeouts", "no plural"],
  ["maxmessagebytes", "maxMessageBytes", "another case"],
  ["maxMesageByte", "maxMessageBytes", "two letters of a long word"],
  ["maxMesagByte", undefined, "three letters"],
  ["url", undefined, "another word"],
  ["", undefined, "no word"],
])("%s: %s (%s)", (word, meant, _) => {
  expect(nearest(word, KNOWN)).toBe(meant);
});

test("what is longer than any option is compared with none", () => {
  const known = ["a".repeat(41)];
  expect(nearest("a".repeat(40), known)).toBe(known[0]);
  expect(nearest("a".repeat(41), known)).toBeUndefined();
});
