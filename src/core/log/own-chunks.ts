/**
 * Memory that chunks were read into, and that nobody else has a view of. Once all of it was gathered into messages it is
 * given back, without waiting for the garbage collector: V8 counts the memory outside of its heap, so it would collect its whole
 * heap for every 64 MiB of large messages that arrive.
 */
const own = new WeakSet<ArrayBufferLike>();

/** To be called before the chunk is handed on. All of the memory is the chunk's. */
export function ownChunk(memory: ArrayBufferLike): void {
  own.add(memory);
}

/** Nobody looks at it any more. What is not our own stays as it is. */
export function releaseChunk(memory: ArrayBufferLike): void {
  if (own.delete(memory)) (memory as ArrayBuffer).transfer(0);
}
