/**
 * Memory for what a link did not take at once: it is copied there, and from there into the link when that has room. Were
 * it allocated anew each time, V8 would mark its whole heap for every 64 MiB.
 */
import { CHUNK_BYTES } from "./read-memory.ts";

/** Together 2 MiB. */
const MOST_FREE = 32;
const free: Buffer[] = [];

export interface KeptChunk {
  readonly bytes: Buffer;
  readonly memory: Buffer;
}

/** A copy of at most CHUNK_BYTES. */
export function keep(bytes: Buffer): KeptChunk {
  const memory = free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
  bytes.copy(memory);
  return { bytes: memory.subarray(0, bytes.length), memory };
}

/** Nobody reads the copy any more. */
export function letGo({ memory }: KeptChunk): void {
  if (free.length < MOST_FREE) free.push(memory);
}
