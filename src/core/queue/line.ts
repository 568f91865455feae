/** A line: first in, first out, and a member leaves from any place in constant time. */

/** A member carries its neighbours. It stands in one line at a time. */
export interface Member<T> {
  before: T | undefined;
  after: T | undefined;
}

export class Line<T extends Member<T>> implements Iterable<T> {
  first: T | undefined;
  last: T | undefined;
  size = 0;

  append(member: T): void {
    member.before = this.last;
    if (this.last === undefined) this.first = member;
    else this.last.after = member;
    this.last = member;
    this.size++;
  }

  /** The caller knows that the member stands in this line. */
  remove(member: T): void {
    const { before, after } = member;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.last = before;
    else after.before = before;
    member.before = undefined;
    member.after = undefined;
    this.size--;
  }

  /** `next` takes the place of `member`. */
  replace(member: T, next: T): void {
    const { before, after } = member;
    next.before = before;
    next.after = after;
    if (before === undefined) this.first = next;
    else before.after = next;
    if (after === undefined) this.last = next;
    else after.before = next;
    member.before = undefined;
    member.after = undefined;
  }

  /** From the first to the last. The member that was handed out last may leave meanwhile, and no other. */
  *[Symbol.iterator](): Generator<T, void> {
    for (let member = this.first, after: T | undefined; member !== undefined; member = after) {
      after = member.after;
      yield member;
    }
  }
}
