import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cgroup, findCgroup, holdCgroups, parseBytes, parseStat } from "../../../src/io/resources/cgroup.ts";
import { systemOf } from "./fixture.ts";

const V2_MOUNT = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
const V1_MOUNTS = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw`;

describe("where the process's group is", () => {
  test.each([
    ["version 2", "0::/system.slice/a.service\n", V2_MOUNT, 2, "/sys/fs/cgroup/system.slice/a.service"],
    ["version 2 in a namespace", "0::/\n", V2_MOUNT, 2, "/sys/fs/cgroup"],
    ["a group above the namespace", "0::/../other\n", V2_MOUNT, 2, "/sys/fs/cgroup"],
    ["version 1", "9:name=systemd:/\n4:cpu,memory:/app/one\n0::/\n", V1_MOUNTS, 1, "/sys/fs/cgroup/memory/app/one"],
    ["version 1 without memory", "4:cpu:/app\n0::/two\n", V1_MOUNTS, 2, "/sys/fs/cgroup/unified/two"],
    [
      "a mount of a part of the tree",
      "4:memory:/docker/abc/inner\n",
      V1_MOUNTS.replace("0:32 / ", "0:32 /docker/abc "),
      1,
      "/sys/fs/cgroup/memory/inner",
    ],
    [
      "a mount of another part of the tree",
      "4:memory:/docker/abc\n",
      V1_MOUNTS.replace("0:32 / ", "0:32 /docker/other "),
      1,
      "/sys/fs/cgroup/memory",
    ],
    [
      "a mount with a space",
      "0::/a b\n",
      V2_MOUNT.replace("/sys/fs/", String.raw`/sys\040fs/`),
      2,
      "/sys fs/cgroup/a b",
    ],
  ])("%s", (_, cgroups, mounts, version, folder) => {
    const place = findCgroup(cgroups, mounts);
    expect(place).toMatchObject({ version, folder });
    expect(folder.startsWith(place?.mount ?? "nowhere")).toBe(true);
  });

  test("of several mounts the one counts that has the group", () => {
    const part = V2_MOUNT.replace(" / /sys/fs/cgroup ", " /other /mnt ");
    expect(findCgroup("0::/app\n", `${part}\n${V2_MOUNT}`)).toMatchObject({ folder: "/sys/fs/cgroup/app" });
  });

  test.each([
    ["", V2_MOUNT],
    ["0::/\n", ""],
    ["4:memory:/\n", V2_MOUNT],
  ])("nowhere: %j", (cgroups, mounts) => {
    expect(findCgroup(cgroups, mounts)).toBeUndefined();
  });

  test("of any text a folder of the mount is made, or none", () => {
    const line = fc.oneof(fc.string(), fc.constantFrom("0::/", "4:memory:/", "0::/../..", V2_MOUNT, V1_MOUNTS));
    const text = fc.array(line).map((lines) => lines.join("\n"));
    const path = fc.string().map((name) => `0::/${name}`);
    fc.assert(
      fc.property(fc.oneof(text, path), fc.oneof(text, fc.constant(V2_MOUNT)), (cgroups, mounts) => {
        const place = findCgroup(cgroups, mounts);
        expect(place === undefined || place.folder.startsWith(place.mount)).toBe(true);
      }),
    );
  });
});

test.each([
  ["268435456\n", 268_435_456],
  ["0", 0],
  ["max\n", Infinity],
  ["9223372036854771712\n", 9_223_372_036_854_771_712],
  ["", undefined],
  ["-1\n", undefined],
  ["12 34", undefined],
  ["1.8e19", undefined],
])("a number of bytes: %j", (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test("a number of memory.stat is found by its whole name", () => {
  const stat = "anon 1\ntotal_inactive_file 7\ninactive_file 5\nactive_file 3\n";
  expect(parseStat(stat, "inactive_file")).toBe(5);
  expect(parseStat(stat, "total_inactive_file")).toBe(7);
  expect(parseStat(stat, "file")).toBeUndefined();
  fc.assert(
    fc.property(fc.string(), fc.nat(), (text, number) => {
      const found = parseStat(text, "inactive_file");
      expect(found === undefined || found >= 0).toBe(true);
      expect(parseBytes(text) ?? 0).toBeGreaterThanOrEqual(0);
      expect(parseStat(`anon ${number}\ninactive_file ${number}\n${text}`, "inactive_file")).toBe(number);
    }),
  );
});

const MiB = 1_048_576;
const group = (folder: string, files: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]));

test("version 2: the smaller of two limits, usage without file pages that can be dropped", () => {
  const files = { "memory.current": "100\n", "memory.stat": "anon 17\ninactive_file 83\n" };
  const system = systemOf(group("cg", { ...files, "memory.high": `${MiB}\n`, "memory.max": "max\n" }));
  const cgroup = new Cgroup(system, 2, "/cg");
  expect([cgroup.limitAt(0), cgroup.workingSet()]).toEqual([MiB, 17]);
  system.write("cg/memory.max", "1000\n");
  expect(cgroup.limitAt(60_000)).toBe(1_000);
  system.write("cg/memory.max", "");
  system.write("cg/memory.current", "50\n");
  expect([cgroup.limitAt(120_000), cgroup.workingSet()]).toEqual([1_000, 0]);
  system.write("cg/memory.stat", "anon 17\n");
  expect(cgroup.workingSet()).toBeUndefined();
  cgroup.close();
});

test("version 1: the numbers of the group with those in it", () => {
  const files = { "memory.usage_in_bytes": "100\n", "memory.limit_in_bytes": "200\n" };
  const system = systemOf(group("cg", { ...files, "memory.stat": "inactive_file 1\ntotal_inactive_file 40\n" }));
  const cgroup = new Cgroup(system, 1, "/cg");
  expect([cgroup.limitAt(0), cgroup.workingSet()]).toEqual([200, 60]);
  cgroup.close();
});

test("all groups up to the mount are held, at most eight; those that do not count memory are left out", () => {
  const files = { "memory.current": "1\n", "memory.stat": "inactive_file 0\n", "memory.max": "max\n" };
  const levels = Array.from({ length: 12 }, (_, depth) => `cg${"/in".repeat(depth)}`);
  const system = systemOf(Object.assign({}, ...levels.map((level) => group(level, files))) as Record<string, string>);
  const held = (folder: string, mount = "/cg"): number => {
    const groups = holdCgroups(system, { version: 2, mount, folder });
    for (const each of groups) each.close();
    return groups.length;
  };
  expect(held("/cg/in/in")).toBe(3);
  expect(held("/cg/in/missing")).toBe(2);
  expect(held("/cg", "/cg")).toBe(1);
  expect(held("/cg", "/")).toBe(1);
  expect(held(`/cg${"/in".repeat(11)}`)).toBe(8);
});
