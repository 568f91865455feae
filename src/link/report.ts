/** How a link tells its manager's or supervisor's logger what happens to it. Without a logger nothing is even looked at. */
import { logTransition, logUndelivered } from "../telemetry/events.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { LinkReport, StateChange, Undelivered } from "./types.ts";

export class LinkReporter {
  readonly #logger: Logger | undefined;
  readonly #ids: () => object;

  constructor(logger: Logger | undefined, ids: () => object) {
    this.#logger = logger;
    this.#ids = ids;
  }

  onState(change: StateChange): void {
    if (this.#logger !== undefined) logTransition(this.#logger, this.#ids(), change);
  }

  onUndelivered({ reason, messages }: Undelivered): void {
    this.#report(reason, messages);
  }

  onEnded({ undelivered }: LinkReport): void {
    if (undelivered.length > 0) this.#report("ended", undelivered);
  }

  #report(reason: string, messages: ReadonlyArray<{ delivery: "not-sent" | "maybe" }>): void {
    if (this.#logger === undefined) return;
    const maybe = messages.filter(({ delivery }) => delivery === "maybe").length;
    logUndelivered(this.#logger, this.#ids(), reason, { maybe, notSent: messages.length - maybe });
  }
}
