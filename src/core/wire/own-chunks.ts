/**
 * Memory that chunks were read into, and that nobody else has a view of. Once all of it was copied, into messages or
 * into decoded frames, or a tunnel has written it, it is freed without waiting for the garbage collector. V8 counts
 * memory outside of its heap, so it would otherwise collect its whole heap for every 64 MiB that arrive in large
 * messages or large HELLOs.
 */

/** Marks the memory itself: a WeakSet of all marked memory would cost more than the mark saves. */
const OWN: unique symbol = Symbol("own");
type Marked = ArrayBuffer & { [OWN]?: boolean };

/** The caller calls this before it hands the chunk on. The chunk is the only view of `memory`. */
export function ownChunk(memory: ArrayBufferLike): void {
  (memory as Marked)[OWN] = true;
}

/** Frees memory that nobody reads any more. Memory that was not given to `ownChunk()` is left as it is. */
export function releaseChunk(memory: ArrayBufferLike): void {
  const marked = memory as Marked;
  if (marked[OWN] !== true) return;
  marked[OWN] = false;
  marked.transfer(0);
}
