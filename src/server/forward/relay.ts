/**
 * Two connections, each of which gets the bytes that arrive on the other. One that cannot take more stops the reading of
 * the other, the end of a direction is passed on, and when one connection is gone, so is the other.
 */
import { CLOSED_BY_PEER } from "../../core/session/link-events.ts";
import type { Clock, Connection, ConnectionHandler, Timer } from "../../link/ports.ts";

/**
 * When one direction has ended, the other goes on for so long. A connection of the protocol serves both directions or
 * none, so nothing but a last frame can come.
 */
const HALF_CLOSED_MS = 2_000;

/**
 * `first`: bytes that `to` gets before those of `from`. `onOver` is called once, with the reason, when nothing passes any
 * more.
 */
export function relay(
  { from, to, first }: { from: Connection; to: Connection; first: readonly Buffer[] },
  clock: Clock,
  onOver: (reason: string) => void,
): void {
  const pair = new Pair(clock, onOver);
  const there = new Direction(from, to, pair);
  const back = new Direction(to, from, pair);
  to.write(first);
  there.begin();
  back.begin();
}

class Pair {
  readonly #clock: Clock;
  readonly #onOver: (reason: string) => void;
  #halfClosed: Timer | undefined;
  #isOver = false;

  constructor(clock: Clock, onOver: (reason: string) => void) {
    this.#clock = clock;
    this.#onOver = onOver;
  }

  /** One direction has ended. Answers whether the other goes on. */
  halfClosed(finish: () => void): boolean {
    if (this.#halfClosed !== undefined) return false;
    this.#halfClosed = this.#clock.timer(finish);
    this.#halfClosed.set(this.#clock.now() + HALF_CLOSED_MS);
    return true;
  }

  over(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#halfClosed?.clear();
    this.#onOver(reason);
  }
}

/** Handles what arrives on one connection: the other gets it. */
class Direction implements ConnectionHandler {
  readonly #from: Connection;
  readonly #to: Connection;
  readonly #pair: Pair;

  constructor(from: Connection, to: Connection, pair: Pair) {
    this.#from = from;
    this.#to = to;
    this.#pair = pair;
  }

  begin(): void {
    this.#from.handler = this;
    if (this.#to.roomBytes > 0) this.#from.resume();
    else this.#from.pause();
  }

  onData(chunk: Buffer): undefined {
    this.#to.write([chunk]);
    if (this.#to.roomBytes === 0) this.#from.pause();
  }

  /** This connection can take more of what arrives on the other. */
  onDrain(): void {
    this.#to.resume();
  }

  onInputEnded(): void {
    if (!this.#pair.halfClosed(() => this.onClosed(CLOSED_BY_PEER))) return this.onClosed(CLOSED_BY_PEER);
    this.#to.endWriting?.();
  }

  /** Bytes that were written already, a refusal perhaps, still go out. */
  onClosed(reason: string): void {
    this.#from.end([]);
    this.#to.end([]);
    this.#pair.over(reason);
  }
}
