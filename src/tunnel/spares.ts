/** Links that are open and carry nothing yet: a connection that comes costs one round trip, as without a tunnel. */
import type { Clock, Timer } from "../link/ports.ts";
import type { NearCarrier } from "./near-carrier.ts";

/** Where fewer are left, others are opened: more of them while connections come faster than links are opened. */
const LEAST = 4;
const MOST = 32;
/** Those that have carried a connection are kept besides, for the next: as many as this together. */
const MOST_KEPT = 2 * MOST;
/** One that is older is closed, and another is opened: what is between the ends may have forgotten it. */
const OLDEST_MS = 300_000;
/** After so long without a connection that found no spare, fewer are kept. */
const CALM_MS = 30_000;
const LOOK_MS = 10_000;

export interface SparesHost {
  /** Opens a link. */
  open(): NearCarrier;
  /** Connections wait for links of their own: those go first. */
  isBusy(): boolean;
}

export class Spares {
  readonly #host: SparesHost;
  /** The newest last. */
  readonly #free: NearCarrier[] = [];
  readonly #opening = new Set<NearCarrier>();
  #wanted = LEAST;
  #missedMs = -Infinity;
  /** When the credentials changed, or the path was silent: links that were opened before are not used again. */
  #renewedMs = -Infinity;
  readonly #clock: Clock;
  readonly #timer: Timer;
  #isClosed = false;

  constructor(host: SparesHost, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
    this.#timer = clock.timer(() => this.#look());
    this.#lookLater();
  }

  /** A link that is connected, if there is one. */
  take(): NearCarrier | undefined {
    for (let newest = this.#free.pop(); newest !== undefined; newest = this.#free.pop()) {
      if (this.#isFit(newest)) {
        this.refill();
        return newest;
      }
      newest.abort("stale-spare");
    }
    this.#missedMs = this.#clock.now();
    this.#wanted = Math.min(MOST, 2 * this.#wanted);
    return undefined;
  }

  /** The link carries nothing any more. */
  put(carrier: NearCarrier): void {
    if (this.#isClosed || this.#free.length >= MOST_KEPT || !this.#isFit(carrier)) carrier.abort("spare-closed");
    else this.#free.push(carrier);
  }

  /** Opens as many as are missing, unless connections wait for links. */
  refill(): void {
    if (this.#isClosed || this.#host.isBusy()) return;
    while (this.#free.length + this.#opening.size < this.#wanted) this.#open();
  }

  #open(): void {
    const carrier = this.#host.open();
    this.#opening.add(carrier);
    carrier.link.connected().then(
      () => {
        if (this.#opening.delete(carrier)) this.put(carrier);
      },
      // The host hears why, and opens another one when there is a path again.
      () => this.#opening.delete(carrier),
    );
  }

  /** The link is no spare any more, nor becomes one: it has ended, or lost its connection, or could not connect. */
  drop(carrier: NearCarrier): void {
    const isOpening = this.#opening.delete(carrier);
    const at = this.#free.indexOf(carrier);
    if (at >= 0) this.#free.splice(at, 1);
    // One that nobody knows any more would dial on, and stay open for nothing.
    if (isOpening || at >= 0) carrier.abort("stale-spare");
  }

  /**
   * Closes them all, and opens others: their credentials may not be the present ones. Those that carry a connection now
   * are not used again.
   */
  renew(): void {
    this.#renewedMs = this.#clock.now();
    for (const carrier of [...this.#free, ...this.#opening]) carrier.abort("renewed");
    this.#free.length = 0;
    this.#opening.clear();
    this.refill();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer.clear();
    this.renew();
  }

  #lookLater(): void {
    this.#timer.set(this.#clock.now() + LOOK_MS);
  }

  #look(): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#missedMs > CALM_MS) {
      this.#wanted = LEAST;
      for (const carrier of this.#free.splice(0, Math.max(0, this.#free.length - LEAST))) carrier.abort("spare-closed");
    }
    for (const carrier of this.#free.filter(({ createdMs }) => nowMs - createdMs > OLDEST_MS)) this.drop(carrier);
    this.refill();
    this.#lookLater();
  }

  #isFit({ link, createdMs }: NearCarrier): boolean {
    const isYoung = createdMs >= this.#renewedMs && this.#clock.now() - createdMs <= OLDEST_MS;
    return isYoung && link.state === "connected";
  }
}
