/** Numbered messages in one direction of a link, each checked for its number, size and content. */
import type { Link } from "../src/index.ts";

/** One direction: what was sent, and what the consumer was handed. */
export class Flow {
  sent = 0;
  received = 0;
  readonly #sizeOf: (number: number) => number;
  #waiters: Array<{ count: number; resolve: () => void }> = [];

  constructor(sizeOf: (number: number) => number) {
    this.#sizeOf = sizeOf;
  }

  async send(link: Link, count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const number = this.sent++;
      await link.send(encode(number, this.#sizeOf(number)));
    }
  }

  /** Sends until the signal is aborted, a message every few turns of the loop. */
  async sendUntil(link: Link, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.send(link, 10);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  take(message: Buffer): void {
    const number = this.received;
    if (!message.equals(encode(number, this.#sizeOf(number)))) {
      throw new Error(`expected message ${number}, got ${message.readUInt32BE(0)} of ${message.length} bytes`);
    }
    this.received++;
    for (const { count, resolve } of this.#waiters) if (this.received >= count) resolve();
  }

  /** Resolves when so many messages have been handed out in all. */
  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.received >= count) resolve();
      else this.#waiters.push({ count, resolve });
    });
  }

  get whole(): Promise<void> {
    return this.reached(this.sent);
  }
}

function encode(number: number, bytes: number): Buffer {
  const message = Buffer.alloc(Math.max(4, bytes), number & 0xff);
  message.writeUInt32BE(number, 0);
  return message;
}
