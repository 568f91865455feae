/** The resources of this process that can be watched on this machine. */
import { Descriptors } from "./descriptors.ts";
import { Heap } from "./heap.ts";
import { Lag } from "./lag.ts";
import { Memory } from "./memory.ts";
import { type Reader, SYSTEM, type System } from "./reader.ts";
import { TcpMemory } from "./tcp-memory.ts";

export type ProcessResource = "descriptors" | "heap" | "memory" | "lag" | "tcpMemory";

const MAKERS: Readonly<Record<ProcessResource, (system: System) => Reader>> = {
  descriptors: onLinux((system) => new Descriptors(system)),
  heap: () => new Heap(),
  memory: (system) => new Memory(system),
  lag: () => new Lag(),
  tcpMemory: onLinux((system) => new TcpMemory(system)),
};
export const PROCESS_RESOURCES = Object.keys(MAKERS) as readonly ProcessResource[];

/** `notWatched`: why a resource cannot be read, by its name. */
export interface Openings {
  readers: Reader[];
  notWatched: Map<string, string>;
}

/** Each of the readers holds its files open until its close(). Never throws. */
export function openReaders(names: readonly ProcessResource[] = PROCESS_RESOURCES, system: System = SYSTEM): Openings {
  const openings: Openings = { readers: [], notWatched: new Map() };
  for (const name of names) {
    try {
      openings.readers.push(MAKERS[name](system));
    } catch (error) {
      openings.notWatched.set(name, (error as Error).message);
    }
  }
  return openings;
}

function onLinux(make: (system: System) => Reader): (system: System) => Reader {
  return (system) => {
    if (system.platform !== "linux") throw new Error(`only Linux tells it, this is ${system.platform}`);
    return make(system);
  };
}
