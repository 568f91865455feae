/** Watches for a consumer that accepts nothing while its window is full. */
import type { LinkCore } from "../core/session/link-core.ts";
import type { Driver } from "./driver.ts";
import type { Clock, Timer } from "./ports.ts";

const CONSUMER_STALLED_AFTER_MS = 10_000;

export class StallWatch {
  readonly #core: LinkCore;
  readonly #clock: Clock;
  readonly #host: { onStalled(unacceptedBytes: number): void };
  readonly #timer: Timer;
  #armed = false;
  /** What was accepted when it was armed, or when the stall was told of. */
  #accepted = -1;
  #told = false;

  constructor({ core, clock }: Driver, host: { onStalled(unacceptedBytes: number): void }) {
    this.#core = core;
    this.#clock = clock;
    this.#host = host;
    this.#timer = clock.timer(() => this.#onTimer());
  }

  #onTimer(): void {
    this.#armed = false;
    const { receiver } = this.#core.session;
    if (this.#core.ended || !receiver.isFull) return;
    if (receiver.accepted !== this.#accepted) return this.look();
    this.#told = true;
    this.#host.onStalled(receiver.unacceptedBytes);
  }

  /** After anything was received or accepted. */
  look(): void {
    const { receiver } = this.#core.session;
    if (this.#armed || !receiver.isFull) return;
    if (this.#told && receiver.accepted === this.#accepted) return;
    this.#told = false;
    this.#armed = true;
    this.#accepted = receiver.accepted;
    this.#timer.set(this.#clock.now() + CONSUMER_STALLED_AFTER_MS);
  }

  stop(): void {
    this.#timer.clear();
  }
}
