/**
 * Which address of a server is dialled when: one after the other, each beside those before it, until the first of them
 * is connected (RFC 8305). A slow address is never given up for another that may be dead. How an address is dialled is
 * given from outside.
 */
import { isIPv6 } from "node:net";
import { isError } from "../core/foreign.ts";
import type { Clock, Timer } from "../link/ports.ts";

export interface RacePlan {
  /** Dialled in this order. Not empty. */
  readonly order: readonly string[];
  /** Dialled, in this order, only after every address of `order` has failed. */
  readonly reserve: readonly string[];
  /** How long the first address is dialled alone, in milliseconds. If it fails, the next follows at once. */
  readonly aloneMs: number;
}

/**
 * Dials `address`. Calls one of the two functions once, and not before it has returned. The function that it returns
 * takes the dial back: after that neither is called.
 */
export type ConnectAddress<T> = (
  address: string,
  connected: (connection: T) => void,
  failed: (error: Error) => void,
) => () => void;

/** The next address is dialled so long after the one before (RFC 8305, section 5). */
export const STAGGER_MS = 250;
/** One attempt uses so many sockets at the most. */
const MOST_SOCKETS = 8;

export class Race<T> {
  /** Every address that was dialled, and what it said: undefined if it has not answered. */
  readonly said: Array<{ readonly address: string; error: Error | undefined }> = [];
  readonly #clock: Clock;
  readonly #connect: ConnectAddress<T>;
  readonly #timer: Timer;
  readonly #result: PromiseWithResolvers<{ address: string; connection: T } | undefined> = Promise.withResolvers();
  /** The dials under way, each with the function that takes it back. */
  readonly #running = new Map<string, () => void>();
  readonly #aloneMs: number;
  #waiting: string[];
  #reserve: readonly string[];

  constructor({ order, reserve, aloneMs }: RacePlan, clock: Clock, connect: ConnectAddress<T>) {
    this.#clock = clock;
    this.#connect = connect;
    this.#waiting = [...order];
    this.#reserve = reserve;
    this.#aloneMs = aloneMs;
    this.#timer = clock.timer(() => this.#dialNext());
  }

  /** Resolves with the first connection, or with undefined: every address has failed. Rejects if it is stopped. */
  run(): Promise<{ address: string; connection: T } | undefined> {
    this.#dialNext();
    return this.#result.promise;
  }

  /** Takes back all dials that are under way. */
  stop(error: Error): void {
    this.#takeBackAll();
    this.#result.reject(error);
  }

  #dialNext(): void {
    if (this.#waiting.length === 0 && this.#running.size === 0) {
      this.#waiting = [...this.#reserve];
      this.#reserve = [];
    }
    const address = this.said.length < MOST_SOCKETS ? this.#waiting.shift() : undefined;
    if (address === undefined) {
      if (this.#running.size > 0) return;
      this.#timer.clear();
      this.#result.resolve(undefined);
      return;
    }
    this.#timer.set(this.#clock.now() + (this.said.length === 0 ? Math.max(STAGGER_MS, this.#aloneMs) : STAGGER_MS));
    const saying: Race<T>["said"][number] = { address, error: undefined };
    this.said.push(saying);
    const failed = (error: Error): void => {
      saying.error = error;
      this.#failed(address);
    };
    try {
      this.#running.set(
        address,
        this.#connect(address, (connection) => this.#connected(address, connection), failed),
      );
    } catch (error) {
      failed(isError(error) ? error : new Error(String(error)));
    }
  }

  #connected(address: string, connection: T): void {
    this.#running.delete(address);
    this.#takeBackAll();
    this.#result.resolve({ address, connection });
  }

  #failed(address: string): void {
    this.#running.delete(address);
    this.#dialNext();
  }

  #takeBackAll(): void {
    this.#timer.clear();
    this.#waiting = [];
    for (const takeBack of this.#running.values()) takeBack();
    this.#running.clear();
  }
}

/** The addresses with their families in turn, that of the first one first (RFC 8305, section 4). */
export function interleaved(addresses: readonly string[]): readonly string[] {
  if (addresses.length < 2) return addresses;
  const [first = ""] = addresses;
  const ofFirst = addresses.filter((address) => isIPv6(address) === isIPv6(first));
  const others = addresses.filter((address) => isIPv6(address) !== isIPv6(first));
  const turns = Math.max(ofFirst.length, others.length);
  return Array.from({ length: turns }, (_, turn) => [
    ...ofFirst.slice(turn, turn + 1),
    ...others.slice(turn, turn + 1),
  ]).flat();
}
