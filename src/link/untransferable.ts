/**
 * Marks memory that must not be transferred: several messages share one chunk from a socket, and a log refers to a
 * payload that was given away. A transfer of its ArrayBuffer would empty all of them, so it throws, as it does for
 * Node's pool.
 */
import { types } from "node:util";
import { markAsUntransferable } from "node:worker_threads";

/** The prototype that replaces the one of a marked ArrayBuffer, with methods that throw. */
class Untransferable extends ArrayBuffer {
  override transfer(): never {
    throw new TypeError("the ArrayBuffer of a message cannot be transferred: copy the message");
  }

  override transferToFixedLength(): never {
    return this.transfer();
  }
}

/** In Node 22 the mark stops structuredClone() and postMessage(), but not transfer(). */
const TRANSFERS_ALL_THE_SAME: boolean = (() => {
  const buffer = new ArrayBuffer(1);
  markAsUntransferable(buffer);
  try {
    buffer.transfer();
    return true;
  } catch {
    return false;
  }
})();

/** The memory that was marked last, one for the process: most often the next message lies in the same chunk. */
let last: ArrayBufferLike | undefined;
/** Memory that is larger than a chunk of a socket holds one message only, so it is not remembered. */
const MOST_KEPT_BYTES = 65_536;

/** Marks the memory of a message, unless the message has all of it: then nothing else can lie there. */
export function keepShared({ buffer, length }: Uint8Array): void {
  if (length < buffer.byteLength) keepInPlace(buffer);
}

export function keepInPlace(buffer: ArrayBufferLike): void {
  if (buffer === last) return;
  markAsUntransferable(buffer);
  if (TRANSFERS_ALL_THE_SAME && types.isArrayBuffer(buffer)) Reflect.setPrototypeOf(buffer, Untransferable.prototype);
  if (buffer.byteLength <= MOST_KEPT_BYTES) last = buffer;
}
