import { expect, test } from "vitest";
import { Line, type Member } from "../../../src/core/queue/line.ts";

class Named implements Member<Named> {
  before: Named | undefined = undefined;
  after: Named | undefined = undefined;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

function lineOf(letters: string): { line: Line<Named>; at: (name: string) => Named } {
  const line = new Line<Named>();
  const members = new Map(letters.split("").map((name) => [name, new Named(name)]));
  for (const member of members.values()) line.append(member);
  return { line, at: (name) => members.get(name) as Named };
}

function names(line: Line<Named>): string {
  const forth = [...line].map(({ name }) => name).join("");
  let back = "";
  for (let member = line.last; member !== undefined; member = member.before) back = member.name + back;
  expect(back).toBe(forth);
  expect(line.size).toBe(forth.length);
  return forth;
}

test.each([
  ["a", "bcd"],
  ["b", "acd"],
  ["d", "abc"],
])("%s leaves", (leaving, rest) => {
  const { line, at } = lineOf("abcd");
  line.remove(at(leaving));
  expect(names(line)).toBe(rest);
  expect([line.first?.name, line.last?.name]).toEqual([rest.at(0), rest.at(-1)]);
});

test("the last one leaves, and others come", () => {
  const { line, at } = lineOf("a");
  line.remove(at("a"));
  expect([names(line), line.first, line.last]).toEqual(["", undefined, undefined]);
  line.append(at("a"));
  expect(names(line)).toBe("a");
});

test.each([
  ["a", "xbc"],
  ["b", "axc"],
  ["c", "abx"],
])("another takes the place of %s", (leaving, rest) => {
  const { line, at } = lineOf("abc");
  line.replace(at(leaving), new Named("x"));
  expect(names(line)).toBe(rest);
  expect([at(leaving).before, at(leaving).after]).toEqual([undefined, undefined]);
});

test("each leaves as it is handed out", () => {
  const { line } = lineOf("abc");
  const seen: string[] = [];
  for (const member of line) {
    line.remove(member);
    seen.push(member.name);
  }
  expect([seen.join(""), names(line)]).toEqual(["abc", ""]);
});
