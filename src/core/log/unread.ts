/**
 * Bytes that have arrived and wait to be handed out, as the pieces in which they came: views of chunks read from a
 * socket. A view keeps all of its ArrayBuffer alive, and a peer can surround the bytes that we keep with many that we
 * drop. So the waiting bytes are checked when the next chunk begins, and when the turn is over: if only a small part
 * of an ArrayBuffer is kept, that part is copied out. Bytes that a consumer takes at once are not copied. After
 * `rest()` the memory held is at most twice the bytes that wait, and 8 KiB.
 */
import { releaseChunk } from "../wire/own-chunks.ts";

/** When a chunk has ended, at least this share of it must be kept; else the kept bytes are copied out. */
const LEAST_KEPT = 3 / 4;
/** The most memory held for each byte that waits, not counting the chunk being read and the block for small pieces. */
export const HELD_PER_BYTE: number = 1 / LEAST_KEPT;
/**
 * The same in rest(), of memory that is partly handed out: a larger share would copy the same bytes again and again.
 */
const LEAST_LEFT = 1 / 2;
/**
 * Bytes of a chunk are copied before they are handed out if the chunk is more than so many times as large as they are.
 */
const MOST_HANDED_OUT = 2;
/** Bytes that may surround the only piece of a chunk: headers, and frames without data. */
const MOST_AROUND_BYTES = 128;
/** Smaller pieces are copied together into one: each Buffer object takes some 200 bytes besides its contents. */
const SMALL_BYTES = 2_048;
/** The block that small pieces are copied into is as large as all bytes that wait, between these sizes. */
const LEAST_TAIL_BYTES = 512;
const MOST_TAIL_BYTES = 8_192;

const NOTHING: Buffer = Buffer.alloc(0);

/** Called with memory that must not be transferred from now on. */
export type Keep = (memory: ArrayBufferLike) => void;

export class Unread {
  /** Only `first` is set: most pieces are read before another comes, and need nothing else. */
  #isLone = false;
  /** The first piece, which is unread from `at` on; undefined if nothing is unread. */
  first: Buffer | undefined;
  at = 0;
  /**
   * The memory that the first piece is a view of, and its offset there. Kept, since to ask a Buffer for them is slow.
   */
  memory: ArrayBufferLike | undefined;
  memoryAt = 0;
  /** A view of `memory` was handed out. */
  #isSeen = false;
  /** The pieces, from index `#head`. Pieces that are views of the same memory are neighbours. */
  #pieces: Buffer[] = [];
  #head = 0;
  /** The memory of the chunk being read, its size, how many bytes of it are kept, and the index of its first piece. */
  #chunk: ArrayBufferLike | undefined;
  #chunkBytes = 0;
  #chunkKept = 0;
  #chunkFrom = 0;
  /**
   * The block that small pieces are copied into, how many of its bytes are used, and the index of the piece that shows
   * them.
   */
  #tail: Buffer | undefined;
  #tailUsed = 0;
  #tailAt = 0;

  /** Adds a piece. All pieces of a chunk are added before any of its bytes are handed out. */
  push(piece: Buffer): void {
    if (this.first === undefined) {
      this.first = piece;
      this.#isLone = true;
      return;
    }
    this.#settle();
    this.#add(piece);
  }

  /**
   * Takes out the only piece, none of which is read yet. Undefined if there are others, or none, or if it is a small part of
   * its memory: a socket that it is written to may keep it for long.
   */
  takeLone(): Buffer | undefined {
    if (!this.#isLone) return undefined;
    const lone = this.first as Buffer;
    if (lone.buffer.byteLength > MOST_HANDED_OUT * lone.length + MOST_AROUND_BYTES) return undefined;
    this.first = undefined;
    this.#isLone = false;
    return lone;
  }

  /** Sets everything besides `first`. */
  #settle(): void {
    if (!this.#isLone) return;
    const lone = this.first as Buffer;
    this.first = undefined;
    this.#isLone = false;
    this.#add(lone);
  }

  #add(piece: Buffer): void {
    const { buffer } = piece;
    if (buffer !== this.#chunk) this.#beginChunk(buffer);
    this.#chunkKept += piece.length;
    this.#pieces.push(piece);
    if (this.first === undefined) this.#begin(piece, buffer);
  }

  /**
   * A view of the first piece is handed out: calls `keep` once for its memory, unless nothing else lies there
   * (`isAlone`).
   */
  show(keep: Keep | undefined, isAlone = false): void {
    if (this.#isSeen) return;
    this.#isSeen = true;
    if (!isAlone) keep?.(this.memory as ArrayBufferLike);
  }

  /** Makes `piece` the first one. */
  #begin(piece: Buffer, memory: ArrayBufferLike = piece.buffer): void {
    this.first = piece;
    if (memory !== this.memory) this.#isSeen = false;
    this.memory = memory;
    this.memoryAt = piece.byteOffset;
  }

  #beginChunk(chunk: ArrayBufferLike): void {
    this.#endChunk();
    this.#chunk = chunk;
    this.#chunkBytes = chunk.byteLength;
    this.#chunkFrom = this.#pieces.length;
  }

  /**
   * The chunk has ended. Its kept bytes stay where they are if they are a large part of it, and are copied out if not.
   */
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

  /** Replaces the pieces from `from` to before `to` by one copy of them. */
  #copyOut(from: number, to: number): void {
    const copy = Buffer.allocUnsafeSlow(this.#bytesOf(from, to));
    this.#copyInto(copy, 0, from, to);
    this.#pieces.splice(from, to - from, copy);
    if (this.#tailAt >= to) this.#tailAt -= to - from - 1;
    if (from > this.#head) return;
    this.#begin(copy);
    this.at = 0;
  }

  /** Copies the last pieces, from `from`, into the block for small pieces. */
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

  /** The first piece is unread from its beginning, and is all that its memory holds besides headers. */
  get isFirstAlone(): boolean {
    const { first } = this;
    if (first === undefined || this.at > 0 || this.memory !== this.#chunk) return false;
    return this.#chunkKept === first.length && this.#chunkBytes - first.length <= MOST_AROUND_BYTES;
  }

  /**
   * To be called before bytes are handed out. The consumer may keep them for long, in a stream's buffer or as a batch
   * that it accepts by hand, so they must not keep a much larger chunk alive.
   */
  beforeHandingOut(): void {
    this.#settle();
    if (this.#chunk !== undefined && this.#chunkKept * MOST_HANDED_OUT < this.#chunkBytes) this.#endChunk();
  }

  /** The turn is over: bytes that are still unread are copied out of memory of which they are only a small part. */
  rest(): void {
    this.#settle();
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

  /** The length prefix at the beginning, of `prefixBytes` bytes, all of which are here. */
  peekLength(prefixBytes: number): number {
    this.#settle();
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

  /** Takes the first `bytes` out, as one Buffer with memory of its own. */
  gather(bytes: number): Buffer {
    this.#settle();
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
    this.#settle();
    this.at += bytes;
    if (this.at < (this.first as Buffer).length) return;
    this.at = 0;
    if (this.#head + 1 === this.#pieces.length) return this.clear();
    this.#pieces[this.#head++] = NOTHING;
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
    this.#isLone = false;
    this.memory = undefined;
    this.at = 0;
    // Most often there was one, and an array that is used again costs less than a new one.
    if (this.#pieces.length === 1) this.#pieces.pop();
    else this.#pieces = [];
    this.#head = 0;
    this.#chunk = undefined;
    this.#chunkKept = 0;
    this.#tail = undefined;
  }

  /** The number of unread bytes, counted at each call. */
  get bytes(): number {
    this.#settle();
    return this.#bytesOf(this.#head, this.#pieces.length);
  }

  /** The memory that the pieces hold, counted at each call. */
  get heldBytes(): number {
    this.#settle();
    if (this.first === undefined) return this.#tail?.buffer.byteLength ?? 0;
    const held = new Set<ArrayBufferLike>();
    for (let n = this.#head; n < this.#pieces.length; n++) held.add((this.#pieces[n] as Buffer).buffer);
    if (this.#tail !== undefined) held.add(this.#tail.buffer);
    let bytes = 0;
    for (const { byteLength } of held) bytes += byteLength;
    return bytes;
  }
}
