/**
 * How much one link's consumer is handed in a turn of the event loop. A peer can send empty messages by the million, and a
 * loop over them, or a handler that answers at once, would leave no turn to anybody else.
 */
import type { Clock } from "./ports.ts";

/** What a link may take of a turn, as `Clock.spread` does: short beside what other links wait for. */
const TURN_MS = 5;
/** The clock is looked at after so many messages: it costs as much as to hand one out. */
export const LOOK_AFTER = 64;

export type TurnClock = Pick<Clock, "now" | "afterPoll">;

export interface TurnHost {
  /** The next turn has come, and somebody waits for it. */
  changed(): void;
}

export class Turn {
  readonly #clock: TurnClock;
  readonly #host: TurnHost;
  /** Messages until the clock is looked at. */
  #left = LOOK_AFTER;
  /** Until when this turn lasts; undefined: it was not looked at yet. */
  #untilMs: number | undefined;
  #isOver = false;

  constructor(clock: TurnClock, host: TurnHost) {
    this.#clock = clock;
    this.#host = host;
  }

  /** Whether so many more messages may be handed out now. If not, the host hears when the next turn has come. */
  allows(messages = 1): boolean {
    this.#left -= messages;
    return this.#left > 0 || this.#look();
  }

  #look(): boolean {
    if (this.#isOver) return false;
    this.#left = LOOK_AFTER;
    const nowMs = this.#clock.now();
    if (this.#untilMs === undefined) {
      this.#untilMs = nowMs + TURN_MS;
      this.#clock.afterPoll(Turn.#next, this);
    } else if (nowMs >= this.#untilMs) {
      this.#left = 0;
      this.#isOver = true;
    }
    return !this.#isOver;
  }

  static #next(this: void, turn: Turn): void {
    const wasOver = turn.#isOver;
    turn.#isOver = false;
    turn.#untilMs = undefined;
    turn.#left = LOOK_AFTER;
    if (wasOver) turn.#host.changed();
  }
}
