/**
 * The messages that have arrived and wait for the consumer. They outlive the connection that brought them. Positions
 * count their bytes and `PREFIX_BYTES` for each, so that empty messages have a position of their own, and take room.
 */
import { PREFIX_BYTES } from "../core/log/blocks.ts";
import { type Keep, Unread } from "../core/log/unread.ts";

/** The array of lengths is shortened when so many at its beginning, and half of all, were handed out. */
const HANDED_TO_SHORTEN = 1_024;

export class Inbox {
  readonly #unread = new Unread();
  /** The lengths of the messages that wait, from index `#at`. */
  #lengths: number[] = [];
  #at = 0;
  receivedTo = 0;
  handedTo = 0;
  acceptedTo = 0;
  isStopped = false;

  push(message: Buffer): void {
    if (this.isStopped) return;
    this.receivedTo += message.length + PREFIX_BYTES;
    this.#lengths.push(message.length);
    if (message.length > 0) this.#unread.push(message);
  }

  get hasUnread(): boolean {
    return this.#at < this.#lengths.length;
  }

  get unacceptedBytes(): number {
    return this.receivedTo - this.acceptedTo;
  }

  next(keep: Keep): Buffer | undefined {
    if (!this.hasUnread) return undefined;
    const length = this.#takeLength();
    if (length === 0) return Buffer.alloc(0);
    const unread = this.#unread;
    unread.beforeHandingOut();
    const first = unread.first as Buffer;
    const { at } = unread;
    if (first.length - at < length) return unread.gather(length);
    unread.show(keep, at === 0 && first.length === length && unread.isFirstAlone);
    const message = at === 0 && first.length === length ? first : first.subarray(at, at + length);
    unread.drop(length);
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
    this.handedTo += length + PREFIX_BYTES;
    if (this.#at === this.#lengths.length) {
      this.#lengths = [];
      this.#at = 0;
    } else if (this.#at >= HANDED_TO_SHORTEN && 2 * this.#at >= this.#lengths.length) {
      this.#lengths = this.#lengths.slice(this.#at);
      this.#at = 0;
    }
    return length;
  }

  /** The consumer has accepted everything below `position`. Messages that end there and were not handed out are skipped. */
  accept(position: number): void {
    while (this.hasUnread && this.handedTo + (this.#lengths[this.#at] as number) + PREFIX_BYTES <= position) {
      const length = this.#takeLength();
      if (length > 0) this.#unread.skip(length);
    }
    this.acceptedTo = Math.max(this.acceptedTo, Math.min(position, this.handedTo));
  }

  /** What waits, and what is still to come, is dropped. */
  stop(): void {
    this.isStopped = true;
    this.#unread.clear();
    this.#lengths = [];
    this.#at = 0;
    this.handedTo = this.acceptedTo = this.receivedTo;
  }

  /** At the end of a turn: what waits must not keep large chunks alive of which it is a small part. */
  rest(): void {
    this.#unread.rest();
  }
}
