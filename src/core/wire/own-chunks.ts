/**
 * Memory that chunks were read into, and that nobody else has a view of. Once all of it was copied, into messages or
 * into decoded frames, it is freed without waiting for the garbage collector. V8 counts memory outside of its heap, so
 * it would otherwise collect its whole heap for every 64 MiB that arrive in large messages or large HELLOs.
 */
const own = new WeakSet<ArrayBufferLike>();

/** The caller calls this before it hands the chunk on. The chunk is the only view of `memory`. */
export function ownChunk(memory: ArrayBufferLike): void {
  own.add(memory);
}

/** Frees memory that nobody reads any more. Memory that was not given to `ownChunk()` is left as it is. */
export function releaseChunk(memory: ArrayBufferLike): void {
  if (own.delete(memory)) (memory as ArrayBuffer).transfer(0);
}
