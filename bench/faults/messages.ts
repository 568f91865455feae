/** The messages of a run: made at a steady rate whatever the contender does with them, and noted as they arrive. */
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../worker.ts";
import type { Sending } from "./contender.ts";
import { type Arrival, count, type Count, type Made } from "./count.ts";

export const BYTES = 100;
export const PER_SECOND = 500;
/** What has not arrived so long after the last message was made is lost. */
export const WAIT_MS = 20_000;
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

  take(message: Buffer): void {
    const number = decode(message);
    this.#numbers.add(number);
    this.#all.push({ number, atMs: monotonicMs() });
  }

  /** Waits until all that were made have arrived, or will not. */
  async count(made: Made, { waitMs, settleMs } = { waitMs: WAIT_MS, settleMs: SETTLE_MS }): Promise<Count> {
    const untilMs = monotonicMs() + waitMs;
    while (this.#numbers.size < made.sent && monotonicMs() < untilMs) await sleep(TICK_MS);
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
