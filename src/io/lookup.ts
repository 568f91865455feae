/**
 * The addresses of a name. Links that want those of the same name share one lookup: `getaddrinfo` cannot be cancelled,
 * and has the four threads of libuv's pool, which files use as well (nodejs/node#8436).
 */
import { isIP, type LookupFunction } from "node:net";
import type { Clock } from "../link/ports.ts";

/** After so long nobody waits any more for a lookup, and another one may begin. */
const MOST_LOOKUP_MS = 30_000;

export class Lookups {
  readonly #clock: Clock;
  /** Those under way, by the function that looks up and the name. */
  readonly #underWay = new Map<LookupFunction, Map<string, Promise<readonly string[]>>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Rejects with the error of `lookup`, or with the reason of `signal`: then the others that wait go on waiting. */
  addresses(host: string, lookup: LookupFunction, signal: AbortSignal): Promise<readonly string[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    this.#shared(host, lookup)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", abort));
    return promise;
  }

  #shared(host: string, lookup: LookupFunction): Promise<readonly string[]> {
    const ofFunction = this.#underWay.get(lookup) ?? new Map<string, Promise<readonly string[]>>();
    const before = ofFunction.get(host);
    if (before !== undefined) return before;
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
    const timer = this.#clock.timer(() => reject(new Error(`looking up ${host} took more than ${MOST_LOOKUP_MS} ms`)));
    timer.set(this.#clock.now() + MOST_LOOKUP_MS);
    const shared = promise.finally(() => {
      timer.clear();
      ofFunction.delete(host);
      if (ofFunction.size === 0) this.#underWay.delete(lookup);
    });
    this.#underWay.set(lookup, ofFunction);
    ofFunction.set(host, shared);
    // A function of the application's may throw, answer twice, and answer anything.
    try {
      lookup(host, { all: true, order: "verbatim" }, (error, answer) => {
        if (error) return reject(error);
        const addresses = toAddresses(answer);
        if (addresses.length > 0) resolve(addresses);
        else reject(new Error(`the lookup of ${host} gave no address`));
      });
    } catch (error) {
      reject(error instanceof Error ? error : new Error("the lookup failed", { cause: error }));
    }
    return shared;
  }
}

/** A function of the application's may not know `all`, and answer one address. */
function toAddresses(answer: unknown): string[] {
  const all: unknown[] = Array.isArray(answer)
    ? answer.map((each: { address?: unknown } | null) => each?.address)
    : [answer];
  return [...new Set(all.filter((address): address is string => typeof address === "string" && isIP(address) !== 0))];
}
