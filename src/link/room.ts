/**
 * How much trySend() may take without looking at the queue again, and how far it may run ahead of the connection.
 *
 * The queue is there for outages. While there is a connection, a long queue only makes every message wait behind the
 * others, and a message that is written long after it was copied has left the processor's cache. So a sender that
 * waits with ready() is paced: it goes on as the connection takes its bytes, and after each `TURN_BYTES` it waits
 * until what has arrived was looked at. Else a sender that always finds room would delay the very acknowledgements
 * that free its blocks. A sender that never calls ready() may fill the whole queue.
 */
import type { Clock } from "./ports.ts";
import type { Outbound } from "./protocol.ts";

/** As much as two writes. */
export const AHEAD_BYTES = 131_072;
/** After this many bytes a paced sender waits for the next turn of the event loop. */
const TURN_BYTES = 1_048_576;

/** The outbound side of a protocol, or the queue before it. */
export type RoomSource = Pick<
  Outbound,
  "adopted" | "overheadBytes" | "roomMessages" | "roomBytes" | "takenBytes" | "queuedBytes"
>;

export interface RoomHost {
  /** The turn that the sender waits for has come. */
  changed(): void;
}

export class Room {
  readonly #outbound: RoomSource;
  readonly #overheadBytes: number;
  readonly #clock: Pick<Clock, "afterPoll">;
  readonly #host: RoomHost;
  /** `takenBytes` when a turn was last waited for, and whether the next one is being waited for. */
  #turnFrom = 0;
  #turnEnds = false;
  /** The room that is known to be left. Only use() makes it smaller, so it holds until `askAgain()`. */
  #largestBytes = -1;
  #messages = 0;
  #bytes = 0;
  #isPaced = false;
  /** The sender was told to wait, and has not called ready() yet. */
  #isTold = false;

  constructor(outbound: RoomSource, clock: Pick<Clock, "afterPoll">, host: RoomHost) {
    this.#outbound = outbound;
    this.#overheadBytes = outbound.overheadBytes;
    this.#clock = clock;
    this.#host = host;
  }

  /** There is certainly room for a message of `bytes`. */
  isLeft(bytes: number): boolean {
    return bytes <= this.#largestBytes && bytes + this.#overheadBytes <= this.#bytes && this.#messages > 0;
  }

  use(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes + this.#overheadBytes;
  }

  /**
   * The known room does not hold any more: sending has ended, the session was replaced, the sender is paced, or another
   * sender waits and goes first.
   */
  askAgain(): void {
    this.#largestBytes = -1;
  }

  /** The queue has room for the message. Answers whether pacing lets its sender go on, too. */
  mayGoOn(largestBytes: number): boolean {
    // `trySend()` answered false and the caller did not call `ready()`: stop pacing it.
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

  /** As `mayGoOn()`, for a sender that may not be told to wait: false if it is paced. */
  renew(largestBytes: number): boolean {
    return !this.#isPaced && this.mayGoOn(largestBytes);
  }

  /** The sender has called ready(): pace it from now on. Answers whether it has to wait. */
  pace(): boolean {
    if (!this.#isPaced) this.askAgain();
    this.#isPaced = true;
    this.#isTold = false;
    return this.hasToWait();
  }

  /** Whether a paced sender has to wait. If it waits for a turn, the host is called when that has come. */
  hasToWait(): boolean {
    if (this.#turnBytes < TURN_BYTES) return this.#aheadBytes > AHEAD_BYTES / 2;
    if (!this.#turnEnds) this.#clock.afterPoll(Room.#nextTurn, this);
    this.#turnEnds = true;
    return true;
  }

  static #nextTurn(this: void, room: Room): void {
    room.#turnEnds = false;
    room.#turnFrom = room.#outbound.takenBytes;
    room.#host.changed();
  }

  get #pacedBytes(): number {
    return Math.min(AHEAD_BYTES - this.#aheadBytes, TURN_BYTES - this.#turnBytes);
  }

  get #aheadBytes(): number {
    return this.#outbound.adopted === undefined ? 0 : this.#outbound.queuedBytes;
  }

  get #turnBytes(): number {
    return this.#outbound.takenBytes - this.#turnFrom;
  }
}
