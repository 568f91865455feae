/** What an application keeps that sends messages again itself. */
import { decode } from "../../faults/messages.ts";

export class Unacknowledged {
  readonly #messages = new Map<number, { message: Buffer; sentMs: number }>();

  add(message: Buffer): void {
    this.#messages.set(decode(message), { message, sentMs: performance.now() });
  }

  /** By what the receiver has sent: see `acknowledgement`. */
  acknowledged(data: Buffer): void {
    this.#messages.delete(data.readDoubleBE());
  }

  /** In the order in which they were made. */
  all(): Buffer[] {
    return [...this.#messages.values()].map(({ message }) => message);
  }

  /** Those that were sent at least so long ago; they count as sent now. */
  olderThan(ms: number): Buffer[] {
    const nowMs = performance.now();
    const old = [...this.#messages.values()].filter(({ sentMs }) => nowMs - sentMs >= ms);
    for (const one of old) one.sentMs = nowMs;
    return old.map(({ message }) => message);
  }
}

export function acknowledgement(message: Buffer): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleBE(decode(message));
  return data;
}
