import { openSync, readdirSync } from "node:fs";
import { closeSync } from "node:fs";
import { expect, test } from "vitest";
import { HeldFile, holdAll } from "../../../src/io/resources/held-file.ts";
import { SYSTEM } from "../../../src/io/resources/reader.ts";
import { systemOf } from "./fixture.ts";

test("a file is read anew from its beginning each time", () => {
  const system = systemOf({ "proc/one": "first\n" });
  const file = new HeldFile(system, "/proc/one");
  expect(file.read()).toBe("first\n");
  system.write("proc/one", "2\n");
  expect(file.read()).toBe("2\n");
  file.close();
});

test("after close() it reads nothing, also when another file has its number", () => {
  const system = systemOf({ "proc/one": "first", "proc/two": "second" });
  const file = new HeldFile(system, "/proc/one");
  file.close();
  const other = openSync(`${system.root}/proc/two`, "r");
  expect(file.read()).toBeUndefined();
  file.close();
  // The second close() has not closed the other file.
  closeSync(other);
});

test("a file that is not there, or is a folder, cannot be held", () => {
  const system = systemOf({ "proc/one": "" });
  expect(() => new HeldFile(system, "/proc/two")).toThrow("ENOENT");
  expect(() => new HeldFile(system, "/proc")).toThrow("EISDIR");
});

test.runIf(process.platform === "linux")("of several all are held, or none", () => {
  const system = systemOf({ "proc/one": "1" });
  const held = (): string[] => readdirSync("/proc/self/fd").filter((name) => Number(name) > 2);
  const before = held().length;
  expect(() => holdAll(system, { one: "/proc/one", two: "/proc/two" })).toThrow("ENOENT");
  expect(held()).toHaveLength(before);
});

test.runIf(process.platform === "linux")("a file of the kernel's", () => {
  const file = new HeldFile(SYSTEM, "/proc/self/limits");
  expect(file.read()).toContain("Max open files");
  expect(file.read()).toBe(file.read());
  file.close();
});
