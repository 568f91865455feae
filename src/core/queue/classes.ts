/**
 * The priority classes of a queue, and which of them a message is taken from next: deficit round robin by bytes
 * (Shreedhar and Varghese, 1995), and a bound on how long a class is passed over.
 *
 * In each round a class may send `weight` KiB, the highest class first. A class of which a message waits and none was
 * taken for `STARVED_MS` goes next, whatever its share; but at most every second message is taken for that reason, so
 * that the shares still count where a single message takes seconds.
 */
import type { Entry } from "./entry.ts";
import { Line } from "./line.ts";

/** `maxBytes`: of payload. */
export interface ClassLimits {
  readonly weight: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
}

const QUANTUM_BYTES = 1_024;
/** Each message counts so many bytes besides its payload: an empty one is not for nothing. */
const MESSAGE_BYTES = 4;
/** Short enough for a person who waits, and long compared with a round on all but the slowest paths. */
export const STARVED_MS = 1_000;

export class PriorityClass<T> {
  readonly line: Line<Entry<T>> = new Line();
  readonly limits: ClassLimits;
  /** Payload of the messages in the line, and the memory that they take. */
  bytes = 0;
  memoryBytes = 0;
  readonly #quantum: number;
  /** The bytes that the class may still send in this round. */
  #deficit = 0;
  #servedMs = -Infinity;

  constructor(limits: ClassLimits) {
    this.limits = limits;
    this.#quantum = limits.weight * QUANTUM_BYTES;
  }

  /** Whether the class has room for so many messages and bytes more. */
  hasRoom(messages: number, bytes: number): boolean {
    const { maxMessages, maxBytes } = this.limits;
    return this.line.size + messages <= maxMessages && this.bytes + bytes <= maxBytes;
  }

  /** The rounds after which the first message may be taken. The class is not empty. */
  get rounds(): number {
    const { bytes } = this.line.first as Entry<T>;
    return Math.max(0, Math.ceil((bytes + MESSAGE_BYTES - this.#deficit) / this.#quantum));
  }

  passRounds(rounds: number): void {
    this.#deficit += rounds * this.#quantum;
  }

  /** Since when a message of the class waits and none was taken; Infinity if none waits. */
  get passedOverSinceMs(): number {
    const { first } = this.line;
    return first === undefined ? Infinity : Math.max(first.placeMs, this.#servedMs);
  }

  /** A message of `bytes` was taken, and has left the line. An empty class has no claim to what it has not used. */
  onTaken(bytes: number, nowMs: number): void {
    this.#servedMs = nowMs;
    this.#deficit = this.line.size === 0 ? 0 : Math.max(0, this.#deficit - bytes - MESSAGE_BYTES);
  }
}

/** Chooses the class that goes next. At least one class is not empty. */
export class Turns<T> {
  readonly #classes: ReadonlyArray<PriorityClass<T>>;
  /** The message that was taken last was taken since its class was passed over. */
  #wasStarved = false;
  #isStarved = false;

  constructor(classes: ReadonlyArray<PriorityClass<T>>) {
    this.#classes = classes;
  }

  next(nowMs: number): PriorityClass<T> {
    const starved = this.#wasStarved ? undefined : this.#starved(nowMs);
    this.#isStarved = starved !== undefined;
    return starved ?? this.#inRound();
  }

  /** A message of the class that `next()` answered was taken. */
  onTaken(): void {
    this.#wasStarved = this.#isStarved;
  }

  #starved(nowMs: number): PriorityClass<T> | undefined {
    let longest: PriorityClass<T> | undefined;
    let sinceMs = nowMs - STARVED_MS;
    for (const each of this.#classes) {
      if (each.passedOverSinceMs > sinceMs || (longest !== undefined && each.passedOverSinceMs === sinceMs)) continue;
      longest = each;
      sinceMs = each.passedOverSinceMs;
    }
    return longest;
  }

  /** Rounds in which no class could send anything are passed at once. */
  #inRound(): PriorityClass<T> {
    let rounds = Infinity;
    for (const each of this.#classes) {
      if (each.line.size === 0) continue;
      if (each.rounds === 0) return each;
      rounds = Math.min(rounds, each.rounds);
    }
    for (const each of this.#classes) if (each.line.size > 0) each.passRounds(rounds);
    return this.#inRound();
  }
}
