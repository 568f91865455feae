/**
 * What trySend() may take without looking at the queue again, and how far ahead of the connection it is let.
 *
 * The queue is there for outages. While there is a connection a long one only makes every message wait behind all of it, and
 * what is written long after it was copied has left the processor's cache. So a sender that shows that it waits, with ready(),
 * is let on as the connection takes what it sends, and after a while only when what has arrived was looked at: else a sender
 * that always finds room keeps the acknowledgements waiting that free its blocks. One that only tries has all of the queue.
 */
import type { Clock } from "./ports.ts";
import type { Outbound } from "./protocol.ts";

/** Two writes' worth. */
const AHEAD_BYTES = 131_072;
/** After so much a turn of the event loop is waited for. */
const TURN_BYTES = 1_048_576;

export interface RoomHost {
  /** The turn that was waited for has come. */
  changed(): void;
}

export class Room {
  readonly #outbound: Outbound;
  readonly #overheadBytes: number;
  readonly #clock: Pick<Clock, "afterPoll">;
  readonly #host: RoomHost;
  /** `takenTo` when a turn was last waited for, and whether the next one is. */
  #turnFrom = 0;
  #turnEnds = false;
  /** Room only grows until it is used: what is known of it holds until `askAgain()`. */
  #largestBytes = -1;
  #messages = 0;
  #bytes = 0;
  #isPaced = false;
  /** Told to wait, and not seen waiting yet. */
  #isTold = false;

  constructor(outbound: Outbound, clock: Pick<Clock, "afterPoll">, host: RoomHost) {
    this.#outbound = outbound;
    this.#overheadBytes = outbound.overheadBytes;
    this.#clock = clock;
    this.#host = host;
  }

  /** Surely enough for a message of so many bytes. */
  isLeft(bytes: number): boolean {
    return bytes <= this.#largestBytes && bytes + this.#overheadBytes <= this.#bytes && this.#messages > 0;
  }

  use(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes + this.#overheadBytes;
  }

  /** Sending has ended, its sender paces itself, or somebody waits who comes first. */
  askAgain(): void {
    this.#largestBytes = -1;
  }

  /** Positions begin anew. */
  sessionReplaced(): void {
    this.askAgain();
    this.#turnFrom = this.#outbound.takenTo;
  }

  /** The queue has room for a message of so many bytes: is its sender to go on, too? */
  mayGoOn(largestBytes: number): boolean {
    // Who was told to wait and comes back without having waited does not pace itself.
    if (this.#isTold) this.#isPaced = false;
    this.#isTold = false;
    const { roomMessages, roomBytes } = this.#outbound;
    const paced = this.#isPaced ? this.#pacedBytes : Infinity;
    if (paced <= 0) {
      this.#isTold = true;
      return false;
    }
    this.#largestBytes = largestBytes;
    this.#messages = roomMessages;
    this.#bytes = Math.min(roomBytes, paced);
    return true;
  }

  /** The sender waits. Answers whether it has to. */
  pace(): boolean {
    if (!this.#isPaced) this.askAgain();
    this.#isPaced = true;
    this.#isTold = false;
    return this.hasToWait();
  }

  /** The host hears when the turn that is waited for has come. */
  hasToWait(): boolean {
    if (this.#turnBytes < TURN_BYTES) return this.#aheadBytes > AHEAD_BYTES / 2;
    if (!this.#turnEnds) this.#clock.afterPoll(Room.#nextTurn, this);
    this.#turnEnds = true;
    return true;
  }

  static #nextTurn(this: void, room: Room): void {
    room.#turnEnds = false;
    room.#turnFrom = room.#outbound.takenTo;
    room.#host.changed();
  }

  get #pacedBytes(): number {
    return Math.min(AHEAD_BYTES - this.#aheadBytes, TURN_BYTES - this.#turnBytes);
  }

  get #aheadBytes(): number {
    return this.#outbound.adopted === undefined ? 0 : this.#outbound.queuedBytes;
  }

  get #turnBytes(): number {
    return this.#outbound.takenTo - this.#turnFrom;
  }
}
