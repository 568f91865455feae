/**
 * Has the memory of what was read collected early. Node allocates 64 KiB for each read, outside of V8's heap, and V8 looks
 * at that memory only when 64 MiB of it are allocated: then it marks the whole heap, which was a third of what a transfer
 * costs. What was read is garbage a moment later, and collecting the young objects alone frees it in a sixth of that time.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock } from "../link/ports.ts";

/** Well before V8 would mark the heap: what is still in use counts as well. */
const COLLECT_AFTER_BYTES = 16_777_216;

type Collect = (options: { type: "minor"; execution: "sync" }) => void;

let collect: Collect | undefined;
let uncollectedBytes = 0;

/** So many bytes were read into memory of their own. */
export function countRead(bytes: number, clock: Clock): void {
  uncollectedBytes += bytes;
  if (uncollectedBytes < COLLECT_AFTER_BYTES) return;
  uncollectedBytes = 0;
  // Not within the read: what is being handled is in use.
  clock.afterPoll(collectYoung, undefined);
}

function collectYoung(): void {
  collect ??= exposed();
  collect({ type: "minor", execution: "sync" });
}

/** V8's own collector, which it shows to new contexts while the flag is set. */
function exposed(): Collect {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("globalThis.gc");
  setFlagsFromString("--no-expose-gc");
  return typeof gc === "function" ? (gc as Collect) : () => {};
}
