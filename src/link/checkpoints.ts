/**
 * Which messages a flush() covers while they wait in the queue: all that waited when it was called. Messages that come
 * later have a later checkpoint. A message belongs to one checkpoint, and its end costs constant time.
 */
import { Line, type Member } from "../core/queue/line.ts";

/** `T`: what the owner keeps of a flush(). */
export class Checkpoint<T> implements Member<Checkpoint<T>> {
  /** The messages that wait, and the calls that wait for these and for all earlier ones. */
  waiting = 0;
  readonly flushes: Set<T> = new Set();
  before: Checkpoint<T> | undefined = undefined;
  after: Checkpoint<T> | undefined = undefined;
}

export class Checkpoints<T> {
  readonly #line: Line<Checkpoint<T>> = new Line();

  constructor() {
    this.#line.append(new Checkpoint());
  }

  /** Counts a message that waits from now on. */
  join(): Checkpoint<T> {
    const newest = this.#line.last as Checkpoint<T>;
    newest.waiting++;
    return newest;
  }

  /** Answers the checkpoint that keeps the flush. A message that comes later has another. */
  add(flush: T): Checkpoint<T> {
    const newest = this.#line.last as Checkpoint<T>;
    // No message has come since the last flush.
    const checkpoint = newest.waiting === 0 ? (newest.before ?? newest) : newest;
    checkpoint.flushes.add(flush);
    if (checkpoint === newest) this.#line.append(new Checkpoint());
    return checkpoint;
  }

  /** A message of the checkpoint waits no more. Answers the flushes that no message is left for. */
  left(checkpoint: Checkpoint<T>): T[] {
    checkpoint.waiting--;
    const done: T[] = [];
    for (let { first } = this.#line; first?.waiting === 0 && first.after !== undefined; first = this.#line.first) {
      this.#line.remove(first);
      done.push(...first.flushes);
    }
    return done;
  }

  /** Takes out the flushes that cover a message of the checkpoint, which is lost; or all of them. */
  takeCovering(checkpoint: Checkpoint<T> | undefined): T[] {
    const covering: T[] = [];
    for (let each = checkpoint ?? this.#line.first; each !== undefined; each = each.after) {
      covering.push(...each.flushes);
      each.flushes.clear();
    }
    return covering;
  }
}
