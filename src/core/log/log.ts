/**
 * The bytes that one direction sends, as one log: positions are offsets in it. A message is its length (32 bits,
 * big-endian, the top bit zero) and its bytes; in mode "bytes" there are no lengths. The log's blocks are the write
 * buffer and the replay buffer at once: sockets are handed views of them, so the used part of a block never changes. A
 * block is reused when the peer has accepted all of it, unless an earlier connection may still have to write it.
 */
import { BLOCK_BYTES, type Block, type BlockPool, PREFIX_BYTES } from "./blocks.ts";
import { MessageCount } from "./message-count.ts";
import { ownCopy, viewOf } from "../wire/bytes.ts";
import type { Mode } from "../wire/frames.ts";
import type { Account } from "./window.ts";

/** A part of a block that is smaller than this does not get a frame of its own. */
const LEAST_FRAME_BYTES = 16_384;
/**
 * A message that the last block has no room for is split if both it and that room exceed this; else it begins a new
 * block.
 */
const SPLIT_BYTES = 4_096;
/** A payload given away of at least so many bytes becomes a block of its own instead of being copied. */
export const REFERENCE_BYTES = 8_192;
/** But not if the payload's ArrayBuffer has more than so many bytes besides the payload: they would be kept with it. */
const MOST_BESIDE_BYTES = 4_096;

/** A shared empty list. */
const NOTHING: Block[] = [];
const NO_BYTES: Buffer = Buffer.alloc(0);

/** The most memory that a log takes for so many bytes: a part of its blocks may never be filled. */
export function memoryFor(bytes: number, blockBytes: number = BLOCK_BYTES): number {
  return bytes + blockBytes + MOST_BESIDE_BYTES;
}

export interface LoggedMessage {
  payload: Buffer;
  start: number;
  /** The position after its last byte. */
  end: number;
}

export class Log {
  readonly mode: Mode;
  /** The position of the first byte that is kept. A message begins there, unless the peer has acked a part of one. */
  start = 0;
  /** The position after the last byte. */
  end = 0;
  readonly pool: BlockPool;
  /** The account that the memory of the blocks is held on. */
  readonly account: Account;
  readonly #prefixBytes: number;
  #blocks: Block[] = [];
  /** Blocks that the peer has accepted, and that the connection in use may still have to write. */
  #retired: Block[] = NOTHING;
  #last: Block | undefined;
  /** The index in `#blocks` of the block that was read last: reading is sequential. */
  #cursor = 0;
  /**
   * The size of the next block. It doubles with each block, up to 64 KiB. It is quartered when the log has emptied: a
   * link that sends little holds little memory.
   */
  #nextBlockBytes: number;
  /** Messages in the blocks that were released. */
  #released = 0;
  /** Undefined in mode "bytes". */
  readonly #count: MessageCount | undefined;

  constructor(mode: Mode, pool: BlockPool, account: Account) {
    this.mode = mode;
    this.pool = pool;
    this.account = account;
    this.#nextBlockBytes = this.pool.firstBytes;
    this.#prefixBytes = mode === "messages" ? PREFIX_BYTES : 0;
    this.#count = mode === "messages" ? new MessageCount() : undefined;
  }

  /** An empty log goes on at `start`, where `rest` is left of a message of which the peer has accepted a part. */
  restart(start: number, rest: Uint8Array): void {
    this.start = start;
    this.end = start;
    this.#appendSplit(rest);
  }

  /** The bytes before the first message that is kept whole, as a copy. */
  rest(): Buffer {
    return this.mode === "bytes" ? NO_BYTES : this.#copy(this.start, this.#walkToStart().position - this.start);
  }

  /** The bytes that a payload takes in the log, with its prefix. */
  encodedBytes(payloadBytes: number): number {
    return payloadBytes + this.#prefixBytes;
  }

  /** The memory of the blocks, counted at each call. */
  get memoryBytes(): number {
    let memory = 0;
    for (const { bytes } of this.#blocks) memory += bytes.buffer.byteLength;
    return memory;
  }

  /** The bytes that the last block still has room for. */
  get leftBytes(): number {
    const last = this.#last;
    return last === undefined ? 0 : last.bytes.length - last.used;
  }

  /**
   * Answers whether a message of so many encoded bytes may be appended: in the last block, or in new ones that the
   * log's share of memory allows. An empty log takes a message of any size: else a large chunk of a byte stream would
   * wait for ever.
   */
  hasRoom(bytes: number): boolean {
    if (bytes <= this.leftBytes || this.#isAsGoodAsEmpty) return true;
    return this.#mayHold(memoryFor(bytes, this.pool.blockBytes));
  }

  /**
   * A byte stream with one unaccepted byte counts as empty: a reader that waits for more bytes than have arrived does
   * not accept the last one (see `LinkDuplex`), and both ends would wait for ever.
   */
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

  /** Appends the bytes of a small frame of a byte stream from `from` on. */
  appendRest(frame: Buffer, from: number): void {
    const bytes = frame.length - from;
    const block = this.#room(bytes);
    if (block.bytes.length - block.used < bytes) return this.#appendSplit(viewOf(frame, from));
    frame.copy(block.bytes, block.used, from);
    block.used += bytes;
    this.end += bytes;
  }

  #maySimplyKeep({ length, buffer: { byteLength } }: Uint8Array): boolean {
    if (length < REFERENCE_BYTES || byteLength - length > MOST_BESIDE_BYTES) return false;
    return this.#mayHold(byteLength + PREFIX_BYTES);
  }

  #refer({ buffer, byteOffset, length }: Uint8Array): void {
    if (this.#prefixBytes > 0) {
      // Between two such payloads a block would hold nothing but this prefix, so it is just as large.
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

  /** Copies the payload into as many blocks as it needs. */
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

  /** The last block if it has room for `bytes`, or for a part of them that is worth a split; else a new one. */
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

  /** Copies the bytes from `position` to before `to` into `target`, at `at`. */
  copyTo(target: Buffer, at: number, position: number, to: number): void {
    for (let copied = 0; copied < to - position;) {
      const { bytes, start, used } = this.#find(position + copied);
      const from = position + copied - start;
      copied += bytes.copy(target, at + copied, from, Math.min(used, to - start));
    }
  }

  /** The best end for a frame that begins at `position`: the end of its block, unless the frame would then be small. */
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
      this.#count?.drop(this.#blocks, dropped);
      for (let n = 0; n < dropped; n++) {
        const block = this.#blocks[n] as Block;
        this.account.hold(-block.memoryBytes);
        if (block.isOurs && this.pool.keeps(block.bytes.length)) this.#retire(block);
      }
      // Most often there was one.
      if (this.#blocks.length === 1) this.#blocks.pop();
      else this.#blocks.splice(0, dropped);
      this.#cursor = Math.max(0, this.#cursor - dropped);
    }
    this.start = position;
    if (position === this.end) {
      // The last block is let go of though it has room left: a link with an empty log is to hold no memory.
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
   * The connection in use has written everything below `written`: blocks below that the peer has accepted are reused.
   * They cannot be reused before: a peer that acks bytes it has not read would be sent another link's messages in
   * their place.
   */
  recycle(written: number): void {
    if (this.#retired.length === 0) return;
    for (const { bytes, start, used } of this.#retired) if (start + used <= written) this.pool.give(bytes);
    this.#retired = NOTHING;
  }

  /** Another connection takes over. The one before may still be writing these blocks, so none of them is reused. */
  share(): void {
    for (const block of this.#blocks) block.isOurs = false;
    this.#retired = NOTHING;
  }

  /** Frees all blocks: nothing will be read again. Positions and counts stay. */
  clear(): void {
    this.#released = this.releasedMessages();
    this.account.hold(-this.account.heldBytes);
    this.#blocks = [];
    this.#retired = NOTHING;
    this.#last = undefined;
    this.#cursor = 0;
    this.#count?.clear();
  }

  /** How many messages begin below `position`, which never goes back. */
  countTo(position: number): number {
    return this.#count?.countTo(position, this.#blocks, this.end) ?? 0;
  }

  /** The start of the first message that begins at `position` or above; the end of the log if there is none. */
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

  /** Messages released so far. They are counted only at this call, so that an ACK needs no work for each message. */
  releasedMessages(): number {
    return this.#released + this.#walkToStart().passed;
  }

  /** The first message that is kept whole, and how many messages of the first block lie before it. */
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

  /**
   * All messages that are kept, oldest first; in mode "bytes" all pieces, one for each block or less. Payloads are
   * copies.
   */
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
    this.copyTo(copy, 0, position, position + bytes);
    return copy;
  }
}
