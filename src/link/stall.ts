/** Watches for a consumer that accepts nothing while its window is full. */
import type { Driver } from "./driver.ts";
import type { Incoming } from "./incoming.ts";
import type { Clock, Timer } from "./ports.ts";
import type { Inbound } from "./protocol.ts";

const CONSUMER_STALLED_AFTER_MS = 10_000;

export interface StallHost {
  readonly incoming: Pick<Incoming, "isHeld">;
  onStalled(unacceptedBytes: number): void;
}

export class StallWatch {
  readonly #inbound: Inbound;
  readonly #clock: Clock;
  readonly #host: StallHost;
  readonly #timer: Timer;
  #armed = false;
  /** The accepted position when the timer was set, or when the stall was reported. */
  #accepted = -1;
  #told = false;

  constructor({ protocol, clock }: Driver, host: StallHost) {
    this.#inbound = protocol;
    this.#clock = clock;
    this.#host = host;
    this.#timer = clock.timer(() => this.#onTimer());
    // What the link holds the process for is its connection, or its next dial.
    this.#timer.holdProcess(false);
  }

  #onTimer(): void {
    this.#armed = false;
    const inbound = this.#inbound;
    if (inbound.ended || !inbound.isFull) return;
    // A consumer that a rate keeps waiting is not to blame.
    if (inbound.consumedTo !== this.#accepted || this.#host.incoming.isHeld) return this.look();
    this.#told = true;
    this.#host.onStalled(inbound.unacceptedBytes);
  }

  /** Called after anything was received or accepted. */
  look(): void {
    const { isFull, consumedTo } = this.#inbound;
    if (this.#armed || !isFull) return;
    if (this.#told && consumedTo === this.#accepted) return;
    this.#told = false;
    this.#armed = true;
    this.#accepted = consumedTo;
    this.#timer.set(this.#clock.now() + CONSUMER_STALLED_AFTER_MS);
  }

  stop(): void {
    this.#timer.clear();
  }
}
