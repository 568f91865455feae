/**
 * Which messages a flush() covers while they wait in the queue: all that waited when it was called. Messages that come
 * later have a later checkpoint. A message belongs to one checkpoint. Checkpoints between which no flush waits any more
 * are merged, so the line has one for each flush that waits, and one more. So the end of a message costs constant time,
 * amortized, but for finding what its checkpoint was merged into: logarithmic time, as the ways are shortened.
 */
import { Line, type Member } from "../core/queue/line.ts";

/** `T`: what the owner keeps of a flush(). */
export class Checkpoint<T> implements Member<Checkpoint<T>> {
  /** The messages that wait, and the calls that wait for these and for all earlier ones. */
  waiting = 0;
  readonly flushes: Set<T> = new Set();
  before: Checkpoint<T> | undefined = undefined;
  after: Checkpoint<T> | undefined = undefined;
  /** Another has its messages. */
  mergedInto: Checkpoint<T> | undefined = undefined;
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

  /** The call waits no more. `checkpoint` keeps it. */
  withdraw(checkpoint: Checkpoint<T>, flush: T): void {
    checkpoint.flushes.delete(flush);
    if (checkpoint.flushes.size === 0 && checkpoint.after !== undefined) this.#merge(checkpoint, checkpoint.after);
  }

  /** A message of the checkpoint waits no more. Answers the flushes that no message is left for. */
  left(checkpoint: Checkpoint<T>): T[] {
    find(checkpoint).waiting--;
    const done: T[] = [];
    for (let { first } = this.#line; first?.waiting === 0 && first.after !== undefined; first = this.#line.first) {
      this.#line.remove(first);
      for (const flush of first.flushes) done.push(flush);
    }
    return done;
  }

  /** Takes out the flushes that cover a message of the checkpoint, which is lost; or all of them. */
  takeCovering(checkpoint: Checkpoint<T> | undefined): T[] {
    const from = checkpoint === undefined ? (this.#line.first as Checkpoint<T>) : find(checkpoint);
    const covering = [...from.flushes];
    from.flushes.clear();
    for (let { after } = from; after !== undefined; { after } = from) {
      for (const flush of after.flushes) covering.push(flush);
      this.#merge(after, from);
    }
    return covering;
  }

  /** No flush waits between the two. */
  #merge(checkpoint: Checkpoint<T>, into: Checkpoint<T>): void {
    this.#line.remove(checkpoint);
    checkpoint.flushes.clear();
    into.waiting += checkpoint.waiting;
    checkpoint.mergedInto = into;
  }
}

/** The checkpoint that has the messages of this one. Shortens the way there. */
function find<T>(checkpoint: Checkpoint<T>): Checkpoint<T> {
  let found = checkpoint;
  for (let next = found.mergedInto; next !== undefined; next = found.mergedInto) found = next;
  for (let each = checkpoint; each !== found;) {
    const next = each.mergedInto as Checkpoint<T>;
    each.mergedInto = found;
    each = next;
  }
  return found;
}
