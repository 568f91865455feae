/**
 * The messages that have arrived and wait for the consumer. They outlive the connection that brought them. Positions
 * count their bytes and `MESSAGE_BYTES` for each, so that empty messages have a position of their own, and take room.
 *
 * Most messages are handed out in the step that has brought them. Those of the newest chunk are therefore kept as they
 * are, and stowed in an `Unread`, which bounds the memory that they hold, only if they have to wait for longer.
 */
import { type Keep, Unread } from "../core/log/unread.ts";

/** Counted for each message besides its bytes: about what it takes while it waits. */
const MESSAGE_BYTES = 12;
/** The messages of a chunk are handed out as they are if they are at least this share of its memory. */
const LEAST_SHARE = 1 / 2;
/** The array of lengths is shortened when so many at its beginning, and half of all, were handed out. */
const HANDED_TO_SHORTEN = 1_024;

export class Inbox {
  /** The messages of the newest chunk, from index `#freshAt`. They are behind those that are stowed. */
  #fresh: Buffer[] = [];
  #freshAt = 0;
  #freshBytes = 0;
  /** The memory of the last fresh message that was handed out, which `keep` was told of. */
  #kept: ArrayBufferLike | undefined;
  readonly #stowed = new Unread();
  /** The lengths of the messages that are stowed, from index `#at`. */
  #lengths: number[] = [];
  #at = 0;
  receivedTo = 0;
  handedTo = 0;
  acceptedTo = 0;
  isStopped = false;

  /** The messages that are pushed from now on are of another chunk. */
  beginChunk(): void {
    if (this.#freshAt < this.#fresh.length) this.#stow();
  }

  push(message: Buffer): void {
    if (this.isStopped) return;
    const { length } = message;
    this.receivedTo += length + MESSAGE_BYTES;
    this.#freshBytes += length;
    this.#fresh.push(message);
  }

  #stow(): void {
    for (let n = this.#freshAt; n < this.#fresh.length; n++) {
      const message = this.#fresh[n] as Buffer;
      this.#lengths.push(message.length);
      if (message.length > 0) this.#stowed.push(message);
    }
    this.#clearFresh();
  }

  #clearFresh(): void {
    this.#fresh = [];
    this.#freshAt = this.#freshBytes = 0;
    this.#kept = undefined;
  }

  get #hasStowed(): boolean {
    return this.#at < this.#lengths.length;
  }

  get hasUnread(): boolean {
    return this.#freshAt < this.#fresh.length || this.#hasStowed;
  }

  get unacceptedBytes(): number {
    return this.receivedTo - this.acceptedTo;
  }

  next(keep: Keep): Buffer | undefined {
    if (this.#hasStowed) return this.#nextStowed(keep);
    if (this.#freshAt === this.#fresh.length) return undefined;
    if (this.#freshAt > 0 || !this.#isSmallShare) return this.#nextFresh(keep);
    this.#stow();
    return this.#nextStowed(keep);
  }

  /** The consumer may keep what it is handed for long: that must not keep a much larger chunk alive. */
  get #isSmallShare(): boolean {
    const first = (this.#fresh[0] as Buffer).buffer;
    const last = (this.#fresh.at(-1) as Buffer).buffer;
    const bytes = first === last ? first.byteLength : first.byteLength + last.byteLength;
    return this.#freshBytes < LEAST_SHARE * bytes;
  }

  #nextFresh(keep: Keep): Buffer {
    const message = this.#fresh[this.#freshAt++] as Buffer;
    const { buffer, length } = message;
    this.handedTo += length + MESSAGE_BYTES;
    if (buffer !== this.#kept) {
      this.#kept = buffer;
      // Nothing else lies in the memory of a message that has all of it.
      if (length < buffer.byteLength) keep(buffer);
    }
    if (this.#freshAt === this.#fresh.length) this.#clearFresh();
    return message;
  }

  #nextStowed(keep: Keep): Buffer {
    const length = this.#takeLength();
    if (length === 0) return Buffer.alloc(0);
    const stowed = this.#stowed;
    stowed.beforeHandingOut();
    const first = stowed.first as Buffer;
    const { at } = stowed;
    if (first.length - at < length) return stowed.gather(length);
    stowed.show(keep, at === 0 && first.length === length && stowed.isFirstAlone);
    const message = at === 0 && first.length === length ? first : first.subarray(at, at + length);
    stowed.drop(length);
    return message;
  }

  handOut(hand: (message: Buffer, end: number) => boolean, keep: Keep, most: number): boolean {
    for (let left = most; left > 0; left--) {
      const message = this.next(keep);
      if (message === undefined || !hand(message, this.handedTo)) return false;
    }
    return this.hasUnread;
  }

  #takeLength(): number {
    const length = this.#lengths[this.#at++] as number;
    this.handedTo += length + MESSAGE_BYTES;
    if (this.#at === this.#lengths.length) {
      this.#lengths = [];
      this.#at = 0;
    } else if (this.#at >= HANDED_TO_SHORTEN && 2 * this.#at >= this.#lengths.length) {
      this.#lengths = this.#lengths.slice(this.#at);
      this.#at = 0;
    }
    return length;
  }

  /**
   * The consumer has accepted everything below `position`. Messages that end there and were not handed out are skipped.
   */
  accept(position: number): void {
    if (position > this.handedTo) this.#skipTo(position);
    this.acceptedTo = Math.max(this.acceptedTo, Math.min(position, this.handedTo));
  }

  #skipTo(position: number): void {
    this.#stow();
    while (this.#hasStowed && this.handedTo + (this.#lengths[this.#at] as number) + MESSAGE_BYTES <= position) {
      const length = this.#takeLength();
      if (length > 0) this.#stowed.skip(length);
    }
  }

  /** The messages that wait, and those that are still to come, are dropped. */
  stop(): void {
    this.isStopped = true;
    this.#clearFresh();
    this.#stowed.clear();
    this.#lengths = [];
    this.#at = 0;
    this.handedTo = this.acceptedTo = this.receivedTo;
  }

  /** At the end of a turn: what waits must not keep large chunks alive of which it is a small part. */
  rest(): void {
    this.#stow();
    this.#stowed.rest();
  }
}
