/** Numbered payloads, and the check that every contender's receiver makes: order, size and content, at the same cost. */
import { fail } from "./worker.ts";

/** How many payloads that are given away take turns: more than what is in flight, so that a loss cannot hide. */
const GIVEN_AWAY = 256;
/** A whole payload is compared each so many, beside the number at both ends and one byte at a place that moves. */
const WHOLE_EVERY = 64;

/** The payloads of a sender, one after the other. */
export class Payloads {
  /** Copied: one buffer, numbered anew. Given away: a ring, never written to again. */
  readonly #ring: Buffer[];
  readonly #givenAway: boolean;
  readonly #words: Int32Array;

  constructor(bytes: number, givenAway: boolean) {
    this.#givenAway = givenAway;
    this.#ring = Array.from({ length: givenAway ? GIVEN_AWAY : 1 }, () => filled(bytes));
    for (const [at, payload] of this.#ring.entries()) stamp(wordsOf(payload), at);
    this.#words = wordsOf(this.#ring[0] as Buffer);
  }

  at(index: number): Buffer {
    if (this.#givenAway) return this.#ring[index % GIVEN_AWAY] as Buffer;
    stamp(this.#words, index);
    return this.#ring[0] as Buffer;
  }
}

/** Counts what arrives, and ends the process when it is not what was sent. */
export class Check {
  messages = 0;
  readonly #bytes: number;
  readonly #mask: number;
  readonly #expected: Buffer;
  #place = 4;

  constructor(bytes: number, givenAway: boolean) {
    this.#bytes = bytes;
    this.#mask = givenAway ? GIVEN_AWAY - 1 : -1;
    this.#expected = filled(bytes);
  }

  take(message: Buffer): void {
    const number = this.messages & this.#mask;
    const end = this.#bytes - 4;
    const place = this.#place;
    if (
      message.length !== this.#bytes ||
      message.readInt32LE(0) !== number ||
      message.readInt32LE(end) !== ~number ||
      message[place] !== this.#expected[place] ||
      (this.messages % WHOLE_EVERY === 0 && message.compare(this.#expected, 4, end, 4, end) !== 0)
    ) {
      fail(`message ${this.messages} arrived as ${message.length} bytes, ${message.toString("hex", 0, 16)}...`);
    }
    this.#place = place + 13 < end ? place + 13 : 4;
    this.messages += 1;
  }
}

function filled(bytes: number): Buffer {
  const payload = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) payload[at] = at * 31 + (at >> 8);
  return payload;
}

function wordsOf(payload: Buffer): Int32Array {
  return new Int32Array(payload.buffer, payload.byteOffset, payload.length / 4);
}

/** The number at the start, its complement at the end. */
function stamp(words: Int32Array, index: number): void {
  words[0] = index;
  words[words.length - 1] = ~index;
}
