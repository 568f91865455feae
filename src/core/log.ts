/**
 * What a direction sends, as one byte log: positions are offsets in it. A message is its length (32 bits, big-endian, the
 * top bit zero) and its bytes; in mode "bytes" there are no lengths. The log's blocks are the write buffer and the replay
 * buffer at once: sockets are handed views of them, so a block is never written to again below its end, nor reused.
 */
import type { Mode } from "./frames.ts";

export const PREFIX_BYTES = 4;
/** Blocks double from here while the log is not empty, so that a link with little to say holds little. */
const FIRST_BLOCK_BYTES = 2_048;
const LAST_BLOCK_BYTES = 65_536;
/** A payload given away of at least so many bytes becomes a block of its own instead of being copied. */
const REFERENCE_BYTES = 8_192;

interface Block {
  /** Its part of `bytes` is [0, used). */
  readonly bytes: Buffer;
  used: number;
  /** The position of `bytes[0]`. */
  readonly start: number;
  /** Messages that begin here, and the position of the first. */
  messages: number;
  firstMessage: number;
}

export interface LoggedMessage {
  payload: Buffer;
  start: number;
  /** The position after its last byte. */
  end: number;
}

export class Log {
  readonly mode: Mode;
  /** The position of the first byte that is kept: where a message begins, unless the peer acknowledged nonsense. */
  start = 0;
  /** The position after the last byte. */
  end = 0;
  #blocks: Block[] = [];
  /** Where in `#blocks` the reader was last: reading is sequential. */
  #cursor = 0;
  #nextBlockBytes = FIRST_BLOCK_BYTES;
  /** Messages released, all of their bytes. */
  #released = 0;

  constructor(mode: Mode) {
    this.mode = mode;
  }

  /** What a payload of so many bytes takes in the log. */
  encodedBytes(payloadBytes: number): number {
    return this.mode === "messages" ? payloadBytes + PREFIX_BYTES : payloadBytes;
  }

  /** `payload` is copied, unless it is `given` away and large. A string is encoded as UTF-8 right into the block. */
  append(payload: Uint8Array | string, payloadBytes: number, given: boolean): void {
    if (this.mode === "messages") {
      const block = this.#room(PREFIX_BYTES);
      if (block.messages === 0) block.firstMessage = this.end;
      block.messages++;
      block.bytes.writeUInt32BE(payloadBytes, block.used);
      block.used += PREFIX_BYTES;
      this.end += PREFIX_BYTES;
    }
    if (typeof payload === "string") {
      this.#appendString(payload, payloadBytes);
    } else if (given && payloadBytes >= REFERENCE_BYTES) {
      this.#appendBlock(Buffer.from(payload.buffer as ArrayBuffer, payload.byteOffset, payloadBytes));
    } else {
      this.#appendCopy(payload);
    }
  }

  #appendString(text: string, textBytes: number): void {
    if (textBytes === 0) return;
    const block = this.#blocks.at(-1);
    if (block !== undefined && block.bytes.length - block.used >= textBytes) {
      block.bytes.write(text, block.used);
      block.used += textBytes;
      this.end += textBytes;
    } else {
      this.#appendCopy(Buffer.from(text));
    }
  }

  #appendCopy(payload: Uint8Array): void {
    for (let copied = 0; copied < payload.length;) {
      const block = this.#room(1);
      const bytes = Math.min(payload.length - copied, block.bytes.length - block.used);
      block.bytes.set(bytes === payload.length ? payload : payload.subarray(copied, copied + bytes), block.used);
      block.used += bytes;
      this.end += bytes;
      copied += bytes;
    }
  }

  #appendBlock(bytes: Buffer): void {
    this.#blocks.push({ bytes, used: bytes.length, start: this.end, messages: 0, firstMessage: 0 });
    this.end += bytes.length;
  }

  /** The last block if it has room for `bytes`, else a new one. */
  #room(bytes: number): Block {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.bytes.length - last.used >= bytes) return last;
    const block = {
      bytes: Buffer.allocUnsafeSlow(this.#nextBlockBytes),
      used: 0,
      start: this.end,
      messages: 0,
      firstMessage: 0,
    };
    this.#nextBlockBytes = Math.min(LAST_BLOCK_BYTES, 2 * this.#nextBlockBytes);
    this.#blocks.push(block);
    return block;
  }

  /** The longest contiguous piece of at most `maxBytes` that begins at `position`, which must be below `end`. */
  read(position: number, maxBytes: number): Buffer {
    const block = this.#find(position);
    const from = position - block.start;
    return block.bytes.subarray(from, Math.min(block.used, from + maxBytes));
  }

  #find(position: number): Block {
    let at = this.#cursor;
    let block = this.#blocks[at];
    if (block === undefined || position < block.start) at = 0;
    for (block = this.#blocks[at]; block !== undefined; block = this.#blocks[++at]) {
      if (position >= block.start && position < block.start + block.used) {
        this.#cursor = at;
        return block;
      }
    }
    throw new RangeError(`position ${position} is not in the log [${this.start}, ${this.end})`);
  }

  /** Lets go of everything below `position`. */
  release(position: number): void {
    if (position <= this.start) return;
    let dropped = 0;
    for (let block = this.#blocks[0]; block !== undefined && block.start + block.used <= position;) {
      this.#released += block.messages;
      block = this.#blocks[++dropped];
    }
    if (dropped > 0) {
      this.#blocks.splice(0, dropped);
      this.#cursor = Math.max(0, this.#cursor - dropped);
    }
    this.start = position;
    if (position === this.end) {
      // The rest of the last block is used up only by links that talk all the time: the others hold nothing.
      this.#blocks = [];
      this.#cursor = 0;
      this.#nextBlockBytes = FIRST_BLOCK_BYTES;
    }
  }

  /** Messages released so far. Counted when asked for, so that an ACK costs nothing for each message. */
  releasedMessages(): number {
    return this.#released + this.#walkToStart().passed;
  }

  /** The first message that is kept whole, and how many that begin in the first block lie before it. */
  #walkToStart(): { position: number; passed: number } {
    const block = this.#blocks.find(({ messages }) => messages > 0);
    if (block === undefined) return { position: this.end, passed: 0 };
    let position = block.firstMessage;
    let passed = 0;
    for (; position < this.start && position < block.start + block.used; passed++) {
      position += PREFIX_BYTES + block.bytes.readUInt32BE(position - block.start);
    }
    return { position, passed };
  }

  /** Everything that is kept, oldest first; in mode "bytes" in the pieces in which it lies. Payloads are copies. */
  messages(): LoggedMessage[] {
    const found: LoggedMessage[] = [];
    const first = this.mode === "messages" ? this.#walkToStart().position : this.start;
    for (let start = first; start < this.end;) {
      const piece = this.read(start, this.mode === "messages" ? PREFIX_BYTES : LAST_BLOCK_BYTES);
      if (this.mode === "bytes") {
        found.push({ payload: Buffer.from(piece), start, end: start + piece.length });
        start += piece.length;
      } else {
        const payload = this.#copy(start + PREFIX_BYTES, piece.readUInt32BE(0));
        const end = start + PREFIX_BYTES + payload.length;
        found.push({ payload, start, end });
        start = end;
      }
    }
    return found;
  }

  #copy(position: number, bytes: number): Buffer {
    const copy = Buffer.allocUnsafeSlow(bytes);
    for (let copied = 0; copied < bytes;) {
      copied += this.read(position + copied, bytes - copied).copy(copy, copied);
    }
    return copy;
  }
}
