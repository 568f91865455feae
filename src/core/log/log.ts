/**
 * What a direction sends, as one byte log: positions are offsets in it. A message is its length (32 bits, big-endian, the
 * top bit zero) and its bytes; in mode "bytes" there are no lengths. The log's blocks are the write buffer and the replay
 * buffer at once: sockets are handed views of them, so a block is never written to again below its end. It is used again
 * when the peer has accepted all of it, unless an earlier connection may still have it to write.
 */
import { BLOCK_BYTES, type BlockPool } from "./blocks.ts";
import { ownCopy } from "../wire/bytes.ts";
import type { Mode } from "../wire/frames.ts";
import type { Account } from "./window.ts";

export const PREFIX_BYTES = 4;
/** Less of a block does not get a frame of its own. */
const LEAST_FRAME_BYTES = 16_384;
/** What does not fit into the rest of a block is split if it and that rest are larger than this, else begun in a new one. */
const SPLIT_BYTES = 4_096;
/** A payload given away of at least so many bytes becomes a block of its own instead of being copied. */
export const REFERENCE_BYTES = 8_192;
/** Unless that would keep so much memory besides. */
const MOST_BESIDE_BYTES = 4_096;

/** What most logs have to give back, at most times. */
const NOTHING: Block[] = [];

/** What a log takes of memory for so many bytes at the most: as much of a block is never filled. */
export function memoryFor(bytes: number, blockBytes: number = BLOCK_BYTES): number {
  return bytes + blockBytes + MOST_BESIDE_BYTES;
}

interface Block {
  /** Its part of `bytes` is [0, used). */
  readonly bytes: Buffer;
  /** Of the memory that `bytes` is a view of. */
  readonly memoryBytes: number;
  used: number;
  /** The position of `bytes[0]`. */
  readonly start: number;
  /** Nobody else will have it: it was made by us, and handed to no connection but the one in use. */
  isOurs: boolean;
  /** Messages that begin here, and the position of the first. */
  messages: number;
  firstMessage: number;
}

/** How far messages were counted. */
interface MessageCount {
  /** Those that begin below the position that was asked for last. */
  messages: number;
  /** The block that was reached, how many in it, and where the next after those begins. */
  block: number;
  inBlock: number;
  next: number;
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
  readonly pool: BlockPool;
  /** Of the memory of its blocks. */
  readonly account: Account;
  readonly #prefixBytes: number;
  #blocks: Block[] = [];
  /** Let go of, and perhaps still to be written by the connection in use. */
  #retired: Block[] = NOTHING;
  #last: Block | undefined;
  /** Where in `#blocks` the reader was last: reading is sequential. */
  #cursor = 0;
  /** They double while the log is not empty, and begin at a quarter of the last when it was: a link with little to say holds little. */
  #nextBlockBytes: number;
  /** Messages released, all of their bytes. */
  #released = 0;
  readonly #count: MessageCount = { messages: 0, block: 0, inBlock: 0, next: 0 };

  constructor(mode: Mode, pool: BlockPool, account: Account) {
    this.mode = mode;
    this.pool = pool;
    this.account = account;
    this.#nextBlockBytes = this.pool.firstBytes;
    this.#prefixBytes = mode === "messages" ? PREFIX_BYTES : 0;
  }

  /** What a payload of so many bytes takes in the log. */
  encodedBytes(payloadBytes: number): number {
    return payloadBytes + this.#prefixBytes;
  }

  /** The memory of its blocks. Counted when asked for. */
  get memoryBytes(): number {
    let memory = 0;
    for (const { bytes } of this.#blocks) memory += bytes.buffer.byteLength;
    return memory;
  }

  /** What the last block has room for. */
  get leftBytes(): number {
    const last = this.#last;
    return last === undefined ? 0 : last.bytes.length - last.used;
  }

  /**
   * A message of so many bytes, encoded, may be appended: in the last block, or in others that its share allows. Where nothing
   * waits anything may be: a large chunk of a byte stream would wait for ever.
   */
  hasRoom(bytes: number): boolean {
    if (bytes <= this.leftBytes || this.#isAsGoodAsEmpty) return true;
    return this.#mayHold(memoryFor(bytes, this.pool.blockBytes));
  }

  /** A reader of a byte stream that waits for more than is here does not accept its last byte, and would wait for ever. */
  get #isAsGoodAsEmpty(): boolean {
    return this.end - this.start <= (this.mode === "bytes" ? 1 : 0);
  }

  get hasRoomForLargest(): boolean {
    return this.account.minimum <= this.account.mostBytes - this.account.heldBytes;
  }

  #mayHold(moreBytes: number): boolean {
    return moreBytes <= this.account.mostBytes - this.account.heldBytes;
  }

  /** `payload` is copied, unless it is `given` away and large. A string is encoded as UTF-8 right into the block. */
  append(payload: Uint8Array | string, payloadBytes: number, given: boolean): void {
    if (given && typeof payload !== "string" && this.#maySimplyKeep(payload)) return this.#refer(payload);
    const block = this.#room(this.encodedBytes(payloadBytes));
    if (this.#prefixBytes > 0) this.#appendPrefix(block, payloadBytes);
    if (block.bytes.length - block.used < payloadBytes) {
      this.#appendSplit(typeof payload === "string" ? Buffer.from(payload) : payload);
    } else {
      if (typeof payload === "string") block.bytes.write(payload, block.used);
      else block.bytes.set(payload, block.used);
      block.used += payloadBytes;
      this.end += payloadBytes;
    }
  }

  #maySimplyKeep({ length, buffer: { byteLength } }: Uint8Array): boolean {
    if (length < REFERENCE_BYTES || byteLength - length > MOST_BESIDE_BYTES) return false;
    return this.#mayHold(byteLength + PREFIX_BYTES);
  }

  #refer({ buffer, byteOffset, length }: Uint8Array): void {
    if (this.#prefixBytes > 0) {
      // Between two of them a block would hold nothing else.
      const block = this.leftBytes < PREFIX_BYTES ? this.#push(Buffer.allocUnsafeSlow(PREFIX_BYTES)) : this.#last;
      this.#appendPrefix(block as Block, length);
    }
    const block = this.#push(Buffer.from(buffer as ArrayBuffer, byteOffset, length), buffer.byteLength, false);
    block.used = length;
    this.end += length;
  }

  #appendPrefix(block: Block, payloadBytes: number): void {
    const { bytes, used } = block;
    if (block.messages++ === 0) block.firstMessage = this.end;
    bytes[used] = payloadBytes >>> 24;
    bytes[used + 1] = payloadBytes >>> 16;
    bytes[used + 2] = payloadBytes >>> 8;
    bytes[used + 3] = payloadBytes;
    block.used = used + PREFIX_BYTES;
    this.end += PREFIX_BYTES;
  }

  /** Over as many blocks as it takes. */
  #appendSplit(payload: Uint8Array): void {
    for (let copied = 0; copied < payload.length;) {
      const block = this.#room(1);
      const bytes = Math.min(payload.length - copied, block.bytes.length - block.used);
      block.bytes.set(payload.subarray(copied, copied + bytes), block.used);
      block.used += bytes;
      this.end += bytes;
      copied += bytes;
    }
  }

  /** The last block if it has room for `bytes`, or for as much of them as is worth splitting them for; else a new one. */
  #room(bytes: number): Block {
    const last = this.#last;
    if (last !== undefined) {
      const room = last.bytes.length - last.used;
      if (room >= bytes || (bytes > SPLIT_BYTES && room >= SPLIT_BYTES)) return last;
    }
    const { pool } = this;
    while (this.#nextBlockBytes < Math.min(bytes, pool.blockBytes)) this.#nextBlockBytes *= 2;
    const size = this.#nextBlockBytes;
    this.#nextBlockBytes = Math.min(pool.blockBytes, 2 * size);
    return this.#push(pool.take(size));
  }

  #push(bytes: Buffer, memoryBytes = bytes.length, isOurs = true): Block {
    const block: Block = { bytes, memoryBytes, used: 0, start: this.end, isOurs, messages: 0, firstMessage: 0 };
    this.account.hold(memoryBytes);
    this.#blocks.push(block);
    this.#last = block;
    return block;
  }

  /** The longest contiguous piece of at most `maxBytes` that begins at `position`, which must be below `end`. */
  read(position: number, maxBytes: number): Buffer {
    const block = this.#find(position);
    const from = position - block.start;
    return block.bytes.subarray(from, Math.min(block.used, from + maxBytes));
  }

  /** Where a frame that begins at `position` best ends: with a block, unless there would be little in it. */
  frameEnd(position: number, maxBytes: number): number {
    const block = this.#find(position);
    const end = block.start + block.used;
    return end - position < LEAST_FRAME_BYTES ? position + maxBytes : Math.min(end, position + maxBytes);
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
      this.#forgetCount(dropped);
      for (const block of this.#blocks.splice(0, dropped)) {
        this.account.hold(-block.memoryBytes);
        if (block.isOurs && this.pool.keeps(block.bytes.length)) this.#retire(block);
      }
      this.#cursor = Math.max(0, this.#cursor - dropped);
    }
    this.start = position;
    if (position === this.end) {
      // The rest of the last block is used up only by links that talk all the time: the others hold nothing.
      this.#last = undefined;
      this.#cursor = 0;
      this.#nextBlockBytes = Math.max(this.pool.firstBytes, this.#nextBlockBytes / 4);
    }
  }

  #retire(block: Block): void {
    if (this.#retired === NOTHING) this.#retired = [block];
    else this.#retired.push(block);
  }

  /**
   * The connection in use has written everything below `written`: blocks there that were let go of can be used again. A peer
   * that acknowledges what it has not read must not see another link's messages in their place.
   */
  recycle(written: number): void {
    if (this.#retired.length === 0) return;
    for (const { bytes, start, used } of this.#retired) if (start + used <= written) this.pool.give(bytes);
    this.#retired = NOTHING;
  }

  /** Another connection goes on: whatever the one before has not written by now, it may still have to. */
  share(): void {
    for (const block of this.#blocks) block.isOurs = false;
    this.#retired = NOTHING;
  }

  /** Nothing of it will be read again. Positions and counts stay. */
  clear(): void {
    this.#released = this.releasedMessages();
    this.account.hold(-this.account.heldBytes);
    this.#blocks = [];
    this.#retired = NOTHING;
    this.#last = undefined;
    this.#cursor = 0;
    this.#count.block = 0;
    this.#count.inBlock = 0;
  }

  /** How many messages have begun below `position`, which never goes back. Costs a look at each, and nothing for blocks. */
  countTo(position: number): number {
    const count = this.#count;
    for (let block = this.#blocks[count.block]; block !== undefined; block = this.#blocks[count.block]) {
      const isLast = block === this.#last;
      if (position < block.start + block.used || isLast) {
        this.#countWithin(block, position);
        break;
      }
      count.messages += block.messages - count.inBlock;
      count.inBlock = 0;
      count.block++;
    }
    return count.messages;
  }

  #countWithin(block: Block, position: number): void {
    const count = this.#count;
    let { inBlock } = count;
    if (position >= this.end) {
      inBlock = block.messages;
      count.next = this.end;
    } else {
      if (inBlock === 0) count.next = block.firstMessage;
      while (inBlock < block.messages && count.next < position) {
        count.next += PREFIX_BYTES + block.bytes.readUInt32BE(count.next - block.start);
        inBlock++;
      }
    }
    count.messages += inBlock - count.inBlock;
    count.inBlock = inBlock;
  }

  /** The first blocks are about to go; everything in them was counted, or will be by whoever has released it. */
  #forgetCount(dropped: number): void {
    const count = this.#count;
    for (; count.block < dropped; count.block++) {
      count.messages += (this.#blocks[count.block] as Block).messages - count.inBlock;
      count.inBlock = 0;
    }
    count.block -= dropped;
  }

  /** Where the first message begins that begins at `position` or above; the end if none does. */
  messageFrom(position: number): number {
    for (const block of this.#blocks) {
      if (block.messages === 0 || block.start + block.used <= position) continue;
      let at = block.firstMessage;
      for (let passed = 0; passed < block.messages; passed++) {
        if (at >= position) return at;
        at += PREFIX_BYTES + block.bytes.readUInt32BE(at - block.start);
      }
    }
    return this.end;
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
      const piece = this.read(start, this.mode === "messages" ? PREFIX_BYTES : BLOCK_BYTES);
      if (this.mode === "bytes") {
        found.push({ payload: ownCopy(piece), start, end: start + piece.length });
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
