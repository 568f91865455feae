/** The messages of a run: made at a steady rate whatever the contender does with them, and noted as they arrive. */
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../worker.ts";
import type { Sending } from "./contender.ts";
import { type Arrival, count, type Count, type Made } from "./count.ts";

export const BYTES = 100;
export const PER_SECOND = 200;
/**
 * Once the last message was made the receiver waits until all have arrived: until none has for so long, and no longer than
 * that. What has not arrived by then is lost.
 */
export const QUIET_MS = 12_000;
export const WAIT_MS = 240_000;
/** Once all have arrived: some may come a second time. */
const SETTLE_MS = 2_000;
const TICK_MS = 5;

/** Makes messages from now on until stop(). */
export class Steady {
  readonly #beganMs: number = monotonicMs();
  readonly #timer: NodeJS.Timeout;
  #sent = 0;

  constructor(to: Sending, perSecond: number = PER_SECOND) {
    this.#timer = setInterval(() => {
      const due = Math.floor(((monotonicMs() - this.#beganMs) * perSecond) / 1_000);
      while (this.#sent < due) to.send(encode(this.#sent++));
    }, TICK_MS);
  }

  stop(): Made {
    clearInterval(this.#timer);
    return { sent: this.#sent, beganMs: this.#beganMs, endedMs: monotonicMs() };
  }
}

export class Arrivals {
  readonly #all: Arrival[] = [];
  readonly #numbers = new Set<number>();
  #lastNewMs = 0;

  take(message: Buffer): void {
    const number = decode(message);
    const atMs = monotonicMs();
    if (!this.#numbers.has(number)) this.#lastNewMs = atMs;
    this.#numbers.add(number);
    this.#all.push({ number, atMs });
  }

  /** Waits until all that were made have arrived, or will not. */
  async count(
    made: Made,
    { quietMs, waitMs, settleMs } = { quietMs: QUIET_MS, waitMs: WAIT_MS, settleMs: SETTLE_MS },
  ): Promise<Count> {
    const sinceMs = monotonicMs();
    const isOver = (nowMs: number): boolean =>
      this.#numbers.size === made.sent ||
      nowMs - Math.max(sinceMs, this.#lastNewMs) >= quietMs ||
      nowMs - sinceMs >= waitMs;
    while (!isOver(monotonicMs())) await sleep(TICK_MS);
    await sleep(settleMs);
    return count(this.#all, made);
  }
}

export function encode(number: number): Buffer {
  const message = Buffer.alloc(BYTES, number & 0xff);
  message.writeDoubleBE(number);
  return message;
}

/** Of a message of a run. Throws if it is none, or not whole. */
export function decode(message: Buffer): number {
  const number = message.length === BYTES ? message.readDoubleBE() : Number.NaN;
  if (!Number.isSafeInteger(number) || number < 0 || message[BYTES - 1] !== (number & 0xff)) {
    throw new Error(`a message that nobody sent: ${message.toString("hex")}`);
  }
  return number;
}
