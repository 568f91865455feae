/**
 * Credentials that expire while their link is connected. The connection is given up then, and the session is not: the
 * client comes back with fresh ones.
 */
import type { Clock, Timer } from "../link/ports.ts";

/**
 * Very many credentials may expire at the same moment. Their connections are given up one after the other, within this
 * part of the time for which the credentials were good, and no later than so long after it.
 */
const SPREAD_PART = 0.1;
const MOST_SPREAD_MS = 30_000;
/** The wall clock may be set, and goes on while the machine sleeps: it is looked at so often. */
const LOOK_AGAIN_MS = 60_000;

export interface ExpiryHost {
  readonly clock: Clock;
  /** In [0, 1). */
  random(): number;
}

export class Expiry {
  readonly #host: ExpiryHost;
  readonly #expired: () => void;
  readonly #timer: Timer;
  /** By the wall clock. */
  #dueMs = Infinity;

  /** `expired` is called once for each `begin()`, and never within it. */
  constructor(host: ExpiryHost, expired: () => void) {
    this.#host = host;
    this.#expired = expired;
    this.#timer = host.clock.timer(() => this.#look());
  }

  /** The connection in use has such credentials. `expiresAtMs`: by the wall clock. */
  begin(expiresAtMs: number): void {
    const { clock } = this.#host;
    const leftMs = Math.max(0, expiresAtMs - clock.wallMs());
    this.#dueMs = expiresAtMs + this.#host.random() * Math.min(MOST_SPREAD_MS, SPREAD_PART * leftMs);
    this.#timer.set(clock.now() + Math.min(leftMs, LOOK_AGAIN_MS));
  }

  /** There is no connection. */
  end(): void {
    this.#timer.clear();
  }

  #look(): void {
    const { clock } = this.#host;
    const leftMs = this.#dueMs - clock.wallMs();
    if (leftMs <= 0) this.#expired();
    else this.#timer.set(clock.now() + Math.min(leftMs, LOOK_AGAIN_MS));
  }
}
