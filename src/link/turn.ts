/**
 * Limits how much one link's consumer is handed in a turn of the event loop. A peer can send empty messages by the
 * million: a loop over them, or a handler that answers at once, would keep every other link waiting.
 */
import type { Clock } from "./ports.ts";

/** The time that a link may take in a turn: a healthy link may have to wait for two such turns of a flooded one. */
const TURN_MS = 1;
/** Messages between two looks at the clock, at first: a look costs as much as handing out a message. */
const LOOK_AFTER = 16;
/**
 * That number doubles, up to this, if they took less than `SOON_MS`; it is quartered, down to 1, if more than
 * `LATE_MS`.
 */
const LOOK_AFTER_MOST = 256;
const SOON_MS = 0.125;
const LATE_MS = 0.5;

export type TurnClock = Pick<Clock, "now" | "afterPoll">;

/** The messages and bytes that the consumer was handed since the beginning. */
export interface Handed {
  readonly messages: number;
  readonly bytes: number;
}

export interface TurnHost extends Handed {
  /** Limits how many messages the consumer is handed in the long run; undefined: nothing does. */
  readonly pace: Pace | undefined;
  /** The next turn has come, and the consumer was waiting for it. */
  changed(): void;
  /** The pace allows more: the consumer is handed it before this returns. */
  goOn(): void;
}

export interface PacedTurn {
  readonly handed: Handed;
  goOn(): void;
}

export interface Pace {
  /** Whether a message more may be handed out now. If not, `turn.goOn()` is called when one may. */
  allows(turn: PacedTurn, nowMs: number): boolean;
  /** The turn is over: what was handed out counts for others from now on. */
  charge(turn: PacedTurn, nowMs: number): void;
}

export class Turn implements PacedTurn {
  /** The number of messages that may be asked for at once. */
  lookAfter: number = LOOK_AFTER;
  readonly #clock: TurnClock;
  readonly #host: TurnHost;
  /** Messages until the clock is looked at. */
  #left = LOOK_AFTER;
  /**
   * When the clock was last looked at, and when this turn is over; undefined: it was not looked at in this turn yet.
   */
  #lookedMs = 0;
  #untilMs: number | undefined;
  /** No more may be handed out in this turn of the event loop, or until the pace allows it. */
  isOver = false;
  /** The pace does not allow more yet. */
  isHeld = false;

  constructor(clock: TurnClock, host: TurnHost) {
    this.#clock = clock;
    this.#host = host;
    if (host.pace !== undefined) this.lookSoon();
  }

  /** There may be another pace: it is asked before the next message. */
  lookSoon(): void {
    this.#left = Math.min(this.#left, 1);
  }

  /** Whether `messages` more may be handed out now. If not, the host is called when the next turn has come. */
  allows(messages = 1): boolean {
    this.#left -= messages;
    return this.#left > 0 || this.#look();
  }

  #look(): boolean {
    if (this.isOver) return false;
    const nowMs = this.#clock.now();
    if (this.#untilMs === undefined) {
      this.#untilMs = nowMs + TURN_MS;
      this.#clock.afterPoll(Turn.#next, this);
    } else {
      const tookMs = nowMs - this.#lookedMs;
      if (tookMs > LATE_MS) this.lookAfter = Math.max(1, Math.floor(this.lookAfter / 4));
      else if (tookMs < SOON_MS) this.lookAfter = Math.min(LOOK_AFTER_MOST, 2 * this.lookAfter);
      this.isOver = nowMs >= this.#untilMs;
    }
    this.#lookedMs = nowMs;
    const { pace } = this.#host;
    if (pace !== undefined && !this.isOver) this.#keep(pace, nowMs);
    this.#left = this.isOver ? 0 : this.lookAfter;
    return !this.isOver;
  }

  /** With a pace each message is looked at by itself. */
  #keep(pace: Pace, nowMs: number): void {
    this.lookAfter = 1;
    this.isOver = this.isHeld = !pace.allows(this, nowMs);
  }

  get handed(): Handed {
    return this.#host;
  }

  /** The pace allows more. */
  goOn(): void {
    if (!this.isHeld) return;
    this.isHeld = this.isOver = false;
    this.#left = this.lookAfter;
    this.#host.goOn();
  }

  static #next(this: void, turn: Turn): void {
    const wasOver = turn.isOver;
    turn.#untilMs = undefined;
    turn.#host.pace?.charge(turn, turn.#clock.now());
    if (turn.isHeld) return;
    turn.isOver = false;
    turn.#left = turn.lookAfter;
    if (wasOver) turn.#host.changed();
  }
}
