/**
 * Bytes that have arrived and wait to be handed out, as the pieces in which they came: views of what was read from a socket.
 * A view keeps all of its ArrayBuffer, and a peer can put anything it likes around what we keep. So whatever waits is looked
 * at when the next chunk begins, and when the turn is over: where too little of an ArrayBuffer is kept, that is copied out of
 * it. What a consumer takes at once costs nothing. After `rest()` at most twice the bytes that wait are held, and 8 KiB.
 */
import { releaseChunk } from "./own-chunks.ts";

/** Of a chunk that has come to its end this share is kept, or all of that is copied: then it is little. */
const LEAST_KEPT = 3 / 4;
/** So much memory is held for each byte that waits, at the most, but for the chunk that is being read and what is put together. */
export const HELD_PER_BYTE: number = 1 / LEAST_KEPT;
/** Of a chunk that is being read: to copy sooner would copy the same bytes again and again. */
const LEAST_LEFT = 1 / 2;
/** What is handed out is copied if it is all that is kept of a chunk of so many times its size. */
const MOST_HANDED_OUT = 2;
/** What may stand around the only piece of a chunk: headers, and frames without data. */
const MOST_AROUND_BYTES = 128;
/** What comes in smaller pieces is put together: a Buffer takes some 200 bytes besides what it shows. */
const SMALL_BYTES = 2_048;
/** That is done in blocks of these sizes, as large as all that waits. */
const LEAST_TAIL_BYTES = 512;
const MOST_TAIL_BYTES = 8_192;

const NOTHING: Buffer = Buffer.alloc(0);

/** Is told of memory that has to stay where it is. */
export type Keep = (memory: ArrayBufferLike) => void;

export class Unread {
  /** The first piece, of which everything from `at` is unread; undefined if nothing is. */
  first: Buffer | undefined;
  at = 0;
  /** What the first piece is a view of, and from where. To ask a Buffer takes as long as to read a small message. */
  memory: ArrayBufferLike | undefined;
  memoryAt = 0;
  /** A view of `memory` was handed out. */
  #isSeen = false;
  /** From `#head`. Those that are views of the same memory stand beside each other. */
  #pieces: Buffer[] = [];
  #head = 0;
  /** What the newest pieces are views of, how much of it is kept, and from which piece. */
  #chunk: ArrayBufferLike | undefined;
  #chunkBytes = 0;
  #chunkKept = 0;
  #chunkFrom = 0;
  /** Where what is small is put together, what of it is used, and which piece shows that. */
  #tail: Buffer | undefined;
  #tailUsed = 0;
  #tailAt = 0;

  /** All pieces of a chunk come before anything of it is handed out. */
  push(piece: Buffer): void {
    const { buffer } = piece;
    if (buffer !== this.#chunk) this.#beginChunk(buffer);
    this.#chunkKept += piece.length;
    this.#pieces.push(piece);
    if (this.first === undefined) this.#begin(piece);
  }

  /** A view of the first piece is handed out: `keep` hears of its memory, once, unless nothing else lies in that. */
  show(keep: Keep, isAlone = false): void {
    if (this.#isSeen) return;
    this.#isSeen = true;
    if (!isAlone) keep(this.memory as ArrayBufferLike);
  }

  /** This is the first piece from now on. */
  #begin(piece: Buffer): void {
    this.first = piece;
    if (piece.buffer !== this.memory) this.#isSeen = false;
    this.memory = piece.buffer;
    this.memoryAt = piece.byteOffset;
  }

  #beginChunk(chunk: ArrayBufferLike): void {
    this.#endChunk();
    this.#chunk = chunk;
    this.#chunkBytes = chunk.byteLength;
    this.#chunkFrom = this.#pieces.length;
  }

  /** No more of it is going to be kept: all that is stays as it is, or none of it. */
  #endChunk(): void {
    if (this.#chunk === undefined) return;
    const kept = this.#chunkKept;
    const pieces = this.#pieces.length - this.#chunkFrom;
    this.#chunk = undefined;
    this.#chunkKept = 0;
    if (kept >= LEAST_KEPT * this.#chunkBytes && kept >= SMALL_BYTES * pieces) return;
    const from = Math.max(this.#head, this.#chunkFrom);
    if (from === this.#pieces.length) return;
    const bytes = this.#bytesOf(from, this.#pieces.length);
    if (bytes < SMALL_BYTES && from > this.#head) this.#putTogether(from, bytes);
    else this.#copyOut(from, this.#pieces.length);
  }

  #bytesOf(from: number, to: number): number {
    let bytes = from === this.#head ? 0 - this.at : 0;
    for (let n = from; n < to; n++) bytes += (this.#pieces[n] as Buffer).length;
    return bytes;
  }

  #copyInto(target: Buffer, at: number, from: number, to: number): void {
    for (let n = from, copied = at; n < to; n++) {
      copied += (this.#pieces[n] as Buffer).copy(target, copied, n === this.#head ? this.at : 0);
    }
  }

  /** Pieces from `from` to before `to` become one, with memory of its own. */
  #copyOut(from: number, to: number): void {
    const copy = Buffer.allocUnsafeSlow(this.#bytesOf(from, to));
    this.#copyInto(copy, 0, from, to);
    this.#pieces.splice(from, to - from, copy);
    if (this.#tailAt >= to) this.#tailAt -= to - from - 1;
    if (from > this.#head) return;
    this.#begin(copy);
    this.at = 0;
  }

  /** The last pieces, from `from`, join what was put together before them. */
  #putTogether(from: number, bytes: number): void {
    const goesOn = this.#tailAt === from - 1;
    if (this.#tail === undefined || !goesOn || this.#tail.length - this.#tailUsed < bytes) {
      this.#endTail();
      this.#tail = Buffer.allocUnsafeSlow(Math.min(MOST_TAIL_BYTES, Math.max(LEAST_TAIL_BYTES, this.bytes)));
      this.#tailUsed = 0;
      this.#tailAt = from;
    }
    this.#copyInto(this.#tail, this.#tailUsed, from, this.#pieces.length);
    this.#tailUsed += bytes;
    this.#pieces.length = this.#tailAt;
    this.#pieces.push(this.#tail.subarray(0, this.#tailUsed));
    this.#begin(this.#pieces[this.#head] as Buffer);
  }

  #endTail(): void {
    const tail = this.#tail;
    this.#tail = undefined;
    if (tail === undefined || this.#tailAt < this.#head || this.#tailUsed >= LEAST_KEPT * tail.length) return;
    this.#copyOut(this.#tailAt, this.#tailAt + 1);
  }

  /** The first piece, whole, is all that there was in the memory that it lies in. */
  get isFirstAlone(): boolean {
    const { first } = this;
    if (first === undefined || this.at > 0 || this.memory !== this.#chunk) return false;
    return this.#chunkKept === first.length && this.#chunkBytes - first.length <= MOST_AROUND_BYTES;
  }

  /**
   * To be called before anything is handed out, which its consumer may keep for long: in a stream's buffer, or as a batch
   * that is accepted by hand.
   */
  beforeHandingOut(): void {
    if (this.#chunk !== undefined && this.#chunkKept * MOST_HANDED_OUT < this.#chunkBytes) this.#endChunk();
  }

  /** What is unread now waits on. */
  rest(): void {
    this.#endChunk();
    if (this.#tailAt < this.#head) this.#tail = undefined;
    if (this.first === undefined) return;
    const { buffer } = this.first;
    let to = this.#head + 1;
    while (this.#pieces[to]?.buffer === buffer) to++;
    if (this.#bytesOf(this.#head, to) >= LEAST_LEFT * buffer.byteLength) return;
    if (this.#tail?.buffer === buffer) this.#tail = undefined;
    this.#copyOut(this.#head, to);
  }

  /** The length that stands at the beginning, of so many bytes, all of which are here. */
  peekLength(prefixBytes: number): number {
    let length = 0;
    let { at } = this;
    let n = this.#head;
    for (let read = 0; read < prefixBytes; read++) {
      while (at >= (this.#pieces[n] as Buffer).length) {
        n++;
        at = 0;
      }
      length = length * 256 + ((this.#pieces[n] as Buffer)[at++] as number);
    }
    return length;
  }

  /** The first `bytes`, in one, with memory of its own. */
  gather(bytes: number): Buffer {
    const whole = Buffer.allocUnsafeSlow(bytes);
    for (let gathered = 0; gathered < bytes;) {
      const piece = this.first as Buffer;
      const copied = piece.copy(whole, gathered, this.at, Math.min(piece.length, this.at + bytes - gathered));
      gathered += copied;
      const { memory } = this;
      const isUnseen = !this.#isSeen;
      this.drop(copied);
      if (isUnseen && memory !== this.memory && memory !== undefined) releaseChunk(memory);
    }
    return whole;
  }

  /** Forgets the first `bytes`. */
  skip(bytes: number): void {
    for (let left = bytes; left > 0;) {
      const here = Math.min(left, (this.first as Buffer).length - this.at);
      this.drop(here);
      left -= here;
    }
  }

  /** Forgets `bytes` of the first piece, at most all of it. */
  drop(bytes: number): void {
    this.at += bytes;
    if (this.at < (this.first as Buffer).length) return;
    this.at = 0;
    this.#pieces[this.#head++] = NOTHING;
    if (this.#head === this.#pieces.length) return this.clear();
    if (this.#head > 64 && this.#head * 2 > this.#pieces.length) {
      this.#pieces = this.#pieces.slice(this.#head);
      this.#chunkFrom -= this.#head;
      this.#tailAt -= this.#head;
      this.#head = 0;
    }
    this.#begin(this.#pieces[this.#head] as Buffer);
  }

  clear(): void {
    this.first = undefined;
    this.memory = undefined;
    this.at = 0;
    this.#pieces = [];
    this.#head = 0;
    this.#chunk = undefined;
    this.#chunkKept = 0;
    this.#tail = undefined;
  }

  /** Counted when asked for. */
  get bytes(): number {
    return this.#bytesOf(this.#head, this.#pieces.length);
  }

  /** The memory that is really held. Counted when asked for. */
  get heldBytes(): number {
    if (this.first === undefined) return this.#tail?.buffer.byteLength ?? 0;
    const held = new Set<ArrayBufferLike>();
    for (let n = this.#head; n < this.#pieces.length; n++) held.add((this.#pieces[n] as Buffer).buffer);
    if (this.#tail !== undefined) held.add(this.#tail.buffer);
    let bytes = 0;
    for (const { byteLength } of held) bytes += byteLength;
    return bytes;
  }
}
