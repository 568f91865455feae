import fc from "fast-check";
import { expect, test } from "vitest";
import { countDescriptors, Descriptors, listDescriptors, parseLimit } from "../../../src/io/resources/descriptors.ts";
import { runModule, systemOf } from "./fixture.ts";

const limits = (line: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax processes             127235               127235               processes \n${line}\nMax locked memory         8388608              8388608              bytes     \n`;
const OPEN_FILES = (soft: string): string =>
  `Max open files            ${soft}                 524288               files     `;

test.each([
  [OPEN_FILES("1024"), 1_024],
  [OPEN_FILES("unlimited"), Infinity],
  ["Max file size             1024                 1024                 bytes     ", undefined],
  ["", undefined],
])("the limit in /proc: %s", (line, limit) => {
  expect(parseLimit(limits(line))).toBe(limit);
});

test("of any text the limit is a number or unknown", () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), (text, number) => {
      const limit = parseLimit(text);
      expect(limit === undefined || limit >= 0).toBe(true);
      expect(parseLimit(`${text}\n${OPEN_FILES(String(number))}`)).toBe(number);
    }),
  );
});

test("a limit that is changed is known after a minute, and never forgotten", () => {
  const system = systemOf({ "proc/self/limits": limits(OPEN_FILES("100")) });
  const reader = new Descriptors(system, () => 30);
  expect(reader.read(0)).toEqual({ observed: 30, limit: 100 });
  system.write("proc/self/limits", limits(OPEN_FILES("200")));
  expect(reader.read(59_000)).toEqual({ observed: 30, limit: 100 });
  expect(reader.read(60_000)).toEqual({ observed: 30, limit: 200 });
  system.write("proc/self/limits", "");
  expect(reader.read(120_000)).toEqual({ observed: 30, limit: 200 });
  reader.close();
});

test("a kernel that counts only by a list: without a descriptor to read it, all are in use", () => {
  const system = systemOf({ "proc/self/limits": limits(OPEN_FILES("100")) });
  let code: string | undefined;
  const reader = new Descriptors(system, () => {
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    return 30;
  });
  code = "EMFILE";
  expect(reader.read(0)).toEqual({ observed: 100, limit: 100 });
  code = "ENFILE";
  expect(reader.read(250)).toBeUndefined();
  reader.close();
});

test("without the limit or the number nothing is watched", () => {
  expect(() => new Descriptors(systemOf({}), () => 30)).toThrow("ENOENT");
  const system = systemOf({ "proc/self/limits": limits(OPEN_FILES("100")) });
  const fails = (): never => {
    throw new Error("EACCES");
  };
  expect(() => new Descriptors(system, fails)).toThrow("EACCES");
});

test.runIf(process.platform === "linux")("the two ways to count agree", () => {
  const count = countDescriptors();
  expect(count).toBeGreaterThan(3);
  expect(listDescriptors()).toBe(count);
});

test.runIf(process.platform === "linux")("with all of 64 descriptors in use everything can be read", async () => {
  const { output } = await runModule(
    `
    import { closeSync, openSync, readdirSync } from "node:fs";
    import { openReaders } from "#resources/process.ts";
    // Descriptors that were inherited may have numbers above the limit.
    const above = readdirSync("/proc/self/fd").filter((number) => number >= 64).length;
    const { readers, notWatched } = openReaders();
    const files = [];
    try { for (;;) files.push(openSync("/dev/null")); } catch {}
    const read = () => Object.fromEntries(readers.map((reader) => [reader.name, reader.read(performance.now())]));
    const full = read();
    for (const file of files) closeSync(file);
    const { descriptors: after } = read();
    for (const reader of readers) reader.close();
    console.log(JSON.stringify({ names: [...Object.keys(full), ...notWatched.keys()], full, after, above, opened: files.length }));
    `,
    { shell: "ulimit -n 64" },
  );
  const { names, full, after, above, opened } = JSON.parse(output) as {
    names: string[];
    full: Record<string, { observed: number; limit: number }>;
    after: { observed: number };
    above: number;
    opened: number;
  };
  expect(names.toSorted()).toEqual(["descriptors", "heap", "lag", "memory", "tcpMemory"]);
  expect(full["descriptors"]).toEqual({ observed: 64 + above, limit: 64 });
  expect(after.observed).toBe(64 + above - opened);
  expect(full["heap"]?.observed).toBeGreaterThan(1_000_000);
  expect(full["memory"]?.observed).toBeGreaterThan(10_000_000);
});
