/**
 * The control groups that limit this process's memory, version 1 or 2: its own group and those above it, each with a
 * limit of its own that holds for all processes in it.
 */
import { join, relative } from "node:path";
import { HeldFile, holdAll } from "./held-file.ts";
import { KeptLimit } from "./kept-limit.ts";
import type { System } from "./reader.ts";

/** Groups can lie in each other without end; a file descriptor is held for each file of a group. */
const MOST_GROUPS = 8;

/** The file with the memory in use, those with limits, and the pages of files in `memory.stat` that can be dropped. */
const VERSIONS = {
  1: { usage: "memory.usage_in_bytes", limits: ["memory.limit_in_bytes"], inactive: "total_inactive_file" },
  2: { usage: "memory.current", limits: ["memory.high", "memory.max"], inactive: "inactive_file" },
} as const;
export type CgroupVersion = keyof typeof VERSIONS;

export interface CgroupPlace {
  version: CgroupVersion;
  /** Where the groups are mounted. */
  mount: string;
  /** The process's own group: `mount`, or a folder in it. */
  folder: string;
}

/** From /proc/self/cgroup and /proc/self/mountinfo. Undefined where no group counts memory. */
export function findCgroup(cgroups: string, mountinfo: string): CgroupPlace | undefined {
  const groups = cgroups.split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    return controllers === undefined || path === undefined ? [] : [{ controllers: controllers.split(","), path }];
  });
  // A controller belongs to one version: where version 1 has memory, groups of version 2 do not count it.
  const first = groups.find(({ controllers }) => controllers.includes("memory"));
  const version = first === undefined ? 2 : 1;
  const group = first ?? groups.find(({ controllers: [only] }) => only === "");
  if (group === undefined) return undefined;
  const mounts = parseMounts(mountinfo, version).map(({ root, mount }) => ({
    mount,
    inside: inside(root, group.path),
  }));
  // In a container the mount may show a part of the tree only, which the path of the group is not in.
  const found = mounts.find((each) => each.inside !== undefined) ?? mounts[0];
  return found && { version, mount: found.mount, folder: join(found.mount, found.inside ?? "") };
}

/** Undefined where `path` is not in the folder `root`, as that of a group above the process's namespace. */
function inside(root: string, path: string): string | undefined {
  const below = relative(root, path);
  return [...path.split("/"), ...below.split("/")].includes("..") ? undefined : below;
}

function parseMounts(mountinfo: string, version: CgroupVersion): Array<{ root: string; mount: string }> {
  return mountinfo.split("\n").flatMap((line) => {
    const [left = "", right = ""] = line.split(" - ");
    const [, , , root, mount] = left.split(" ").map(unescaped);
    const [type, , options = ""] = right.split(" ");
    const fits = version === 2 ? type === "cgroup2" : type === "cgroup" && options.split(",").includes("memory");
    return fits && root !== undefined && mount !== undefined ? [{ root, mount }] : [];
  });
}

/** The kernel writes spaces as octal numbers. */
function unescaped(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** A file with one number. "max": Infinity. */
export function parseBytes(text: string): number | undefined {
  const number = /^\s*(\d+|max)\s*$/.exec(text)?.[1];
  if (number === undefined) return undefined;
  return number === "max" ? Infinity : Number(number);
}

/** One number of memory.stat. */
export function parseStat(stat: string, name: string): number | undefined {
  const number = new RegExp(`^${name} (\\d+)$`, "m").exec(stat)?.[1];
  return number === undefined ? undefined : Number(number);
}

export class Cgroup {
  readonly #files: Record<"usage" | "stat", HeldFile>;
  readonly #limitFiles: readonly HeldFile[];
  readonly #inactive: string;
  readonly #limit: KeptLimit = new KeptLimit(() => this.#readLimit());

  /** Throws where it does not count memory, as the root of version 2. */
  constructor(system: System, version: CgroupVersion, folder: string) {
    const { usage, limits, inactive } = VERSIONS[version];
    this.#files = holdAll(system, { usage: join(folder, usage), stat: join(folder, "memory.stat") });
    this.#inactive = inactive;
    this.#limitFiles = limits.flatMap((name) => {
      try {
        return [new HeldFile(system, join(folder, name))];
      } catch {
        // The root of version 1 may be without a limit.
        return [];
      }
    });
  }

  /** Infinity: none. Undefined: it has never been readable. */
  limitAt(nowMs: number): number | undefined {
    return this.#limit.at(nowMs);
  }

  /**
   * The memory in use without file pages that the kernel drops before anything else: a log that is written counts as
   * usage, and does no harm. Undefined where it cannot be read.
   */
  workingSet(): number | undefined {
    const usage = parseBytes(this.#files.usage.read() ?? "");
    const inactive = parseStat(this.#files.stat.read() ?? "", this.#inactive);
    return usage === undefined || inactive === undefined ? undefined : Math.max(0, usage - inactive);
  }

  close(): void {
    for (const file of [...Object.values(this.#files), ...this.#limitFiles]) file.close();
  }

  #readLimit(): number | undefined {
    const limits = this.#limitFiles.map((file) => parseBytes(file.read() ?? ""));
    return limits.some((limit) => limit === undefined) ? undefined : Math.min(...(limits as number[]));
  }
}

/** The process's own group first, then those above it. */
export function holdCgroups(system: System, { version, mount, folder }: CgroupPlace): Cgroup[] {
  const groups: Cgroup[] = [];
  for (let at = folder, seen = 0; seen < MOST_GROUPS; at = join(at, ".."), seen++) {
    try {
      groups.push(new Cgroup(system, version, at));
    } catch {
      // Not every folder of the mount is a group that counts memory.
    }
    if (at === mount || !at.startsWith(mount)) break;
  }
  return groups;
}
