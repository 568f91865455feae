/**
 * Memory that must stay where it is: several messages lie in one chunk from a socket, and a log refers to a payload that was
 * given away. Whoever transferred its ArrayBuffer would take it from all of them, so that throws, as it does with Node's pool.
 */
import { markAsUntransferable } from "node:worker_threads";

/** A class of ours, so that the methods below are what an ArrayBuffer of it has. */
class Untransferable extends ArrayBuffer {
  override transfer(): never {
    throw new TypeError("the ArrayBuffer of a message cannot be transferred: copy the message");
  }

  override transferToFixedLength(): never {
    return this.transfer();
  }
}

/** Node 22 marks it for structuredClone() and postMessage() only. */
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

/** What was marked last: most often the next message lies in the same chunk. One for the process. */
let last: ArrayBufferLike | undefined;
/** A larger one than a socket's chunk holds one message, and is not worth keeping for another. */
const MOST_KEPT_BYTES = 65_536;

export function keepInPlace(buffer: ArrayBufferLike): void {
  if (buffer === last) return;
  markAsUntransferable(buffer);
  if (TRANSFERS_ALL_THE_SAME && buffer instanceof ArrayBuffer) Reflect.setPrototypeOf(buffer, Untransferable.prototype);
  if (buffer.byteLength <= MOST_KEPT_BYTES) last = buffer;
}
