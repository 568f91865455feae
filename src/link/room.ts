/**
 * What trySend() may take without looking at the queue again, and how far ahead of the connection it is let.
 *
 * The queue is there for outages. While there is a connection a long one only makes every message wait behind all of it, and
 * what is written long after it was copied has left the processor's cache. So a sender that shows that it waits, with ready(),
 * is let on as the connection takes what it sends. One that only tries has all of the queue.
 */
import type { LinkCore } from "../core/link-core.ts";
import { PREFIX_BYTES } from "../core/log.ts";

/** Two writes' worth. */
const AHEAD_BYTES = 131_072;

export class Room {
  readonly #core: LinkCore;
  /** Room only grows until it is used: what is known of it holds until `askAgain()`. */
  #largestBytes = -1;
  #messages = 0;
  #bytes = 0;
  #isPaced = false;
  /** Told to wait, and not seen waiting yet. */
  #isTold = false;

  constructor(core: LinkCore) {
    this.#core = core;
  }

  /** Surely enough for a message of so many bytes. */
  isLeft(bytes: number): boolean {
    return bytes <= this.#largestBytes && bytes + PREFIX_BYTES <= this.#bytes && this.#messages > 0;
  }

  use(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes + PREFIX_BYTES;
  }

  /** Sending has ended, the session was replaced, or somebody waits who comes first. */
  askAgain(): void {
    this.#largestBytes = -1;
  }

  /** The queue has room for a message of so many bytes: is its sender to go on, too? */
  mayGoOn(largestBytes: number): boolean {
    // Who was told to wait and comes back without having waited does not pace itself.
    if (this.#isTold) this.#isPaced = false;
    this.#isTold = false;
    const { roomMessages, roomBytes } = this.#core;
    const ahead = this.#isPaced ? this.#aheadBytes : 0;
    if (ahead >= AHEAD_BYTES) {
      this.#isTold = true;
      return false;
    }
    this.#largestBytes = largestBytes;
    this.#messages = roomMessages;
    this.#bytes = this.#isPaced ? Math.min(roomBytes, AHEAD_BYTES - ahead) : roomBytes;
    return true;
  }

  /** The sender waits. Answers whether it has to. */
  pace(): boolean {
    this.#isPaced = true;
    this.#isTold = false;
    return this.isFarAhead;
  }

  get isFarAhead(): boolean {
    return this.#aheadBytes > AHEAD_BYTES / 2;
  }

  get #aheadBytes(): number {
    return this.#core.adopted === undefined ? 0 : this.#core.session.sender.queuedBytes;
  }
}
