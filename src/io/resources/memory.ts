/** The memory of the process's control groups; without a limit there, that of the process. */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { type Cgroup, findCgroup, holdCgroups } from "./cgroup.ts";
import { HeldFile } from "./held-file.ts";
import type { Observed, Reader, System } from "./reader.ts";

export class Memory implements Reader {
  readonly name = "memory";
  readonly #groups: readonly Cgroup[];
  readonly #readResident: () => number | undefined;
  readonly #close: () => void;
  readonly #machineBytes: number;

  /** Throws where the process's own memory cannot be read. */
  constructor(system: System, machineBytes: number = totalmem()) {
    this.#machineBytes = machineBytes;
    if (system.platform === "linux") {
      const status = new HeldFile(system, "/proc/self/status");
      this.#readResident = () => parseResident(status.read() ?? "");
      this.#close = () => status.close();
      this.#groups = groupsOf(system);
    } else {
      this.#readResident = () => process.memoryUsage.rss();
      this.#close = () => {};
      this.#groups = [];
    }
  }

  read(nowMs: number): Observed | undefined {
    const limits = this.#groups.map((group) => group.limitAt(nowMs) ?? Infinity);
    // A limit above the machine's memory is none: that is how version 1 writes "unlimited". One that is equal may be a
    // container's, whose memory lxcfs shows as that of the machine.
    if (!limits.some((limit) => limit <= this.#machineBytes)) {
      const observed = this.#readResident();
      return observed === undefined ? undefined : { observed, limit: this.#machineBytes, source: "process" };
    }
    let nearest = { observed: 0, limit: Infinity };
    for (const [at, group] of this.#groups.entries()) {
      const limit = limits[at] as number;
      const observed = limit <= this.#machineBytes ? group.workingSet() : undefined;
      if (observed === undefined) continue;
      if (observed / limit >= nearest.observed / nearest.limit) nearest = { observed, limit };
    }
    return nearest.limit === Infinity ? undefined : { ...nearest, source: "cgroup" };
  }

  close(): void {
    this.#close();
    for (const group of this.#groups) group.close();
  }
}

/** None where the system does not tell. */
function groupsOf(system: System): Cgroup[] {
  try {
    const read = (path: string): string => readFileSync(join(system.root, path), "utf8");
    const place = findCgroup(read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
    return place === undefined ? [] : holdCgroups(system, place);
  } catch {
    return [];
  }
}

/** In bytes. The field is in KiB, whatever the size of a page. */
export function parseResident(status: string): number | undefined {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1_024;
}
