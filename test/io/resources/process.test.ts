import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { openReaders, PROCESS_RESOURCES } from "../../../src/io/resources/process.ts";
import { systemOf } from "./fixture.ts";

test("elsewhere than on Linux some resources are not watched, and why is said", () => {
  const { readers, notWatched } = openReaders(PROCESS_RESOURCES, { root: "/nowhere", platform: "darwin" });
  expect(readers.map(({ name }) => name)).toEqual(["heap", "memory", "lag"]);
  expect(Object.fromEntries(notWatched)).toEqual({
    descriptors: "only Linux tells it, this is darwin",
    tcpMemory: "only Linux tells it, this is darwin",
  });
  for (const reader of readers) reader.close();
});

test("a resource whose file cannot be opened is not watched, and the others are", () => {
  const system = systemOf({ "proc/self/status": "VmRSS: 1 kB\n" });
  const { readers, notWatched } = openReaders(["memory", "tcpMemory"], system);
  expect(readers.map(({ name }) => name)).toEqual(["memory"]);
  expect(notWatched.get("tcpMemory")).toContain("ENOENT");
  for (const reader of readers) reader.close();
});

test.runIf(process.platform === "linux")("close() gives back all descriptors", () => {
  const held = (): number => readdirSync("/proc/self/fd").length;
  const before = held();
  const { readers } = openReaders();
  expect(held()).toBeGreaterThan(before);
  for (const reader of readers) reader.close();
  expect(held()).toBe(before);
  for (const reader of readers)
    if (reader.name !== "heap" && reader.name !== "lag") expect(reader.read(1e9)).toBeUndefined();
});
