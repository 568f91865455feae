/**
 * Warns the process of a link that has never been connected, where nobody would hear of it: such a link dials for ever,
 * mostly because something is misconfigured.
 */
import type { RespliceError } from "../link/errors.ts";
import { warnOfUnheard } from "../telemetry/warning.ts";

/** Within this time a server that was started a little later is there. */
const UNHEARD_MS = 60_000;

/** An attempt of a link that has never been connected. */
export interface Fruitless {
  link: { readonly id: string; listenerCount(event: "state" | "error"): number };
  /** Since the link was opened, without the time for which it was held. */
  forMs: number;
  attempts: number;
  error: RespliceError;
}

/** Of one manager without a logger, for which it warns once. */
export class UnheardFailures {
  #hasWarned = false;

  failed({ link, forMs, attempts, error }: Fruitless): void {
    if (this.#hasWarned || forMs < UNHEARD_MS) return;
    if (link.listenerCount("state") > 0 || link.listenerCount("error") > 0) return;
    this.#hasWarned = true;
    const tried = `in ${Math.round(forMs / 1_000)} s and ${attempts} attempts link ${link.id} was never connected`;
    warnOfUnheard(`${tried}. The last attempt: ${error.code}: ${error.message}`);
  }
}
