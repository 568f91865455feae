/** The links of each client that carry nothing: how many of them a far end keeps. */
import type { Link } from "../index.ts";
import type { Clock, Timer } from "../link/ports.ts";
import { ABORTED } from "./terms.ts";

/** Of one identity, which several near ends may share: each has some spares. */
export const MOST_FREE = 1_024;
/** A link that was opened for a connection carries it after one round trip, however many are opened at once. */
const YOUNG_MS = 10_000;

export class FreeLinks {
  readonly #clock: Clock;
  readonly #timer: Timer;
  #isAwaited = false;
  /** Since when each is free, by identity; the oldest first. */
  readonly #byIdentity = new Map<string | undefined, Map<Link, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#timer = clock.timer(() => this.#look());
  }

  /** The link carries nothing from now on. Of too many the oldest are aborted, but none before it is free for 10 s. */
  add(link: Link): void {
    const links = this.#byIdentity.get(link.identity) ?? new Map<Link, number>();
    this.#byIdentity.set(link.identity, links);
    links.set(link, this.#clock.now());
    if (links.size > MOST_FREE) this.#lookLater();
  }

  /** The link carries a connection, or has ended. */
  delete(link: Link): void {
    const links = this.#byIdentity.get(link.identity);
    links?.delete(link);
    if (links?.size === 0) this.#byIdentity.delete(link.identity);
  }

  close(): void {
    this.#timer.clear();
  }

  #lookLater(): void {
    if (this.#isAwaited) return;
    this.#isAwaited = true;
    this.#timer.set(this.#clock.now() + YOUNG_MS);
  }

  #look(): void {
    this.#isAwaited = false;
    const oldMs = this.#clock.now() - YOUNG_MS;
    for (const links of this.#byIdentity.values()) {
      for (const [link, sinceMs] of [...links].slice(0, Math.max(0, links.size - MOST_FREE))) {
        if (sinceMs > oldMs) this.#lookLater();
        else link.abort(ABORTED.tooManyFree);
      }
    }
  }
}
