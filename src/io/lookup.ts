/**
 * The addresses of a name. Links that want those of the same name share one lookup: `getaddrinfo` cannot be cancelled,
 * and has the four threads of libuv's pool, which files use as well (nodejs/node#8436).
 */
import { isIP, type LookupFunction } from "node:net";
import type { Clock } from "../link/ports.ts";

/** After so long nobody joins a lookup that has not answered, and another one begins. */
const JOINED_FOR_MS = 30_000;

interface UnderWay {
  readonly addresses: Promise<readonly string[]>;
  readonly sinceMs: number;
}

export class Lookups {
  readonly #clock: Clock;
  /** By the function that looks up, and by the name. A function that never answers leaves with its links. */
  readonly #underWay = new WeakMap<LookupFunction, Map<string, UnderWay>>();

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
    const nowMs = this.#clock.now();
    const ofFunction = this.#underWay.get(lookup) ?? new Map<string, UnderWay>();
    const before = ofFunction.get(host);
    if (before !== undefined && nowMs - before.sinceMs < JOINED_FOR_MS) return before.addresses;
    const shared: UnderWay = {
      sinceMs: nowMs,
      addresses: lookedUp(host, lookup).finally(() => {
        if (ofFunction.get(host) === shared) ofFunction.delete(host);
      }),
    };
    ofFunction.set(host, shared);
    this.#underWay.set(lookup, ofFunction);
    return shared.addresses;
  }
}

function lookedUp(host: string, lookup: LookupFunction): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    // A function of the application's may throw, answer twice, and answer anything.
    lookup(host, { all: true, order: "verbatim" }, (error, answer) => {
      if (error) return reject(error);
      const addresses = toAddresses(answer);
      if (addresses.length > 0) resolve(addresses);
      else reject(new Error(`the lookup of ${host} gave no address`));
    });
  });
}

/** A function of the application's may not know `all`, and answer one address. */
function toAddresses(answer: unknown): string[] {
  const all: unknown[] = Array.isArray(answer)
    ? answer.map((each: { address?: unknown } | null) => each?.address)
    : [answer];
  return [...new Set(all.filter((address): address is string => typeof address === "string" && isIP(address) !== 0))];
}
