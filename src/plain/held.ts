/**
 * The beginning of a message whose rest has not arrived, copied out of the chunks in which it came: a peer that sends
 * byte by byte would otherwise make us hold a chunk for each byte. The memory grows with what arrives, whatever length
 * a peer announces: it is at most twice as large as the bytes held, or LEAST_BYTES.
 */
import { ownCopy } from "../core/wire/bytes.ts";

const LEAST_BYTES = 64;
/** A message that is taken out keeps at most so many bytes of memory besides its own. */
const MOST_SPARE_BYTES = 65_536;

const NOTHING: Buffer = Buffer.alloc(0);

export class Held {
  /** The held bytes are the first `length` of `memory`. */
  memory: Buffer = NOTHING;
  length = 0;

  /** Adds the bytes of `chunk` from `from` to before `to`. More than `most` bytes are not made room for in advance. */
  add(chunk: Buffer, from: number, to: number, most: number): void {
    if (from === to) return;
    const needed = this.length + to - from;
    if (needed > this.memory.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(most, Math.max(LEAST_BYTES, 2 * needed))));
      this.memory.copy(larger, 0, 0, this.length);
      this.memory = larger;
    }
    chunk.copy(this.memory, this.length, from, to);
    this.length = needed;
  }

  /** As of a Buffer, in the held bytes. */
  indexOf(bytes: Buffer, from: number): number {
    return this.memory.subarray(0, this.length).indexOf(bytes, Math.max(0, from));
  }

  /** Takes the held bytes out, from `from` on. */
  take(from = 0): Buffer {
    const { memory, length } = this;
    this.clear();
    const message = memory.subarray(from, length);
    return memory.length - message.length > MOST_SPARE_BYTES ? ownCopy(message) : message;
  }

  clear(): void {
    this.memory = NOTHING;
    this.length = 0;
  }
}
