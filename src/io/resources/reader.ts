/** How a resource of the process is read. */

/**
 * From where the memory's reading is. "cgroup": the group that is nearest to its limit. "process": the resident set of
 * this process, through the memory of the machine. The latter stays high after memory was freed, often for as long as
 * the process lives: by itself it only says that so much was needed once.
 */
export type MemorySource = "cgroup" | "process";

/** One reading. `limit` is in the unit of `observed`; undefined where the resource has none. */
export interface Observed {
  readonly observed: number;
  readonly limit: number | undefined;
  readonly source?: MemorySource;
}

/** Reads one resource. */
export interface Reader {
  readonly name: string;
  /** A function of the application's: the name under which its failures are reported. Those of others are not. */
  readonly hook?: string | undefined;
  /** Undefined where the resource cannot be read now. A throw counts as that, too. */
  read(nowMs: number): Observed | undefined;
  /** Of one that may change much between two samples: it calls `wake` then, to be read at once. Asked for once. */
  watch?(wake: () => void): void;
  /** Gives back what the reader holds. It is not read any more. */
  close(): void;
}

/** Where the files of the system are. A test has folders of its own. */
export interface System {
  readonly root: string;
  readonly platform: NodeJS.Platform;
}

export const SYSTEM: System = { root: "/", platform: process.platform };
