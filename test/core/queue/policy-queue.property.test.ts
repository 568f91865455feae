/**
 * The queue against a naive one: a list of what waits, in which everything is looked up by going through it. Which class
 * goes next is the real queue's to say; all else, the naive one says too.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Account } from "../../../src/core/log/window.ts";
import type { Entry } from "../../../src/core/queue/entry.ts";
import { type Overflow, type PolicyLimits, PolicyQueue } from "../../../src/core/queue/policy-queue.ts";
import { runs } from "../../properties.ts";
import { CountingBudget } from "../support.ts";

const CLASSES = 3;
const MEMORY_BYTES = 256;

interface Waiting {
  number: number;
  bytes: number;
  priority: number;
  key: string | undefined;
  atMs: number;
  expiresMs: number;
}

class Naive {
  readonly limits: PolicyLimits;
  readonly budgetBytes: number;
  /** In the order of their places. */
  waiting: Waiting[] = [];
  dropped: string[] = [];

  constructor(limits: PolicyLimits, budgetBytes: number) {
    this.limits = limits;
    this.budgetBytes = budgetBytes;
  }

  fits(waiting: readonly Waiting[]): boolean {
    const { classes, ...all } = this.limits;
    const within = (list: readonly Waiting[], { maxMessages, maxBytes }: { maxMessages: number; maxBytes: number }) =>
      list.length <= maxMessages && list.reduce((sum, { bytes }) => sum + bytes, 0) <= maxBytes;
    const memory = waiting.reduce((sum, { bytes, key = "" }) => sum + bytes + MEMORY_BYTES + 2 * key.length, 0);
    return (
      within(waiting, all) &&
      classes.every((each, at) =>
        within(
          waiting.filter(({ priority }) => priority === at),
          each,
        ),
      ) &&
      // Half of what is free without this queue's own part: see Account.
      (waiting.length === 1 || memory <= Math.floor(this.budgetBytes / 2))
    );
  }

  expire(nowMs: number): void {
    const over = this.waiting
      .filter(({ expiresMs }) => expiresMs <= nowMs)
      .toSorted((a, b) => a.expiresMs - b.expiresMs);
    this.waiting = this.waiting.filter(({ expiresMs }) => expiresMs > nowMs);
    this.dropped.push(...over.map(({ number }) => `${number} expired`));
  }

  /** The list with the new message, in the old one's place if it has one. */
  #with(list: readonly Waiting[], one: Waiting, old: Waiting | undefined): Waiting[] {
    return old === undefined ? [...list, one] : list.map((each) => (each === old ? one : each));
  }

  push(one: Waiting, nowMs: number): void {
    this.expire(nowMs);
    const old = one.key === undefined ? undefined : this.waiting.find(({ key }) => key === one.key);
    if (old !== undefined) one.priority = old.priority;
    const isNewest = this.limits.overflow === "drop-newest";
    const rest = [...this.waiting];
    const gone: string[] = [];
    while (!this.fits(this.#with(rest, one, old))) {
      const own = this.#with(rest, one, old).filter(({ priority }) => priority === one.priority);
      const isOwn = !this.#fitsClass(own, one.priority);
      const may = rest.filter(
        (each) => each !== old && (isOwn ? each.priority === one.priority : each.priority >= one.priority),
      );
      const lowest = Math.max(...may.map(({ priority }) => priority));
      const last = may.filter(({ priority }) => priority === lowest);
      const goes = isNewest ? last.at(-1) : last[0];
      if (goes === undefined || (isNewest && goes.priority === one.priority)) {
        this.dropped.push(`${one.number} overflow`);
        return;
      }
      rest.splice(rest.indexOf(goes), 1);
      gone.push(`${goes.number} overflow`);
    }
    this.dropped.push(...gone);
    this.waiting = this.#with(rest, one, old);
    if (old !== undefined) this.dropped.push(`${old.number} conflated`);
  }

  #fitsClass(list: readonly Waiting[], priority: number): boolean {
    const { maxMessages = 0, maxBytes = 0 } = this.limits.classes[priority] ?? {};
    return list.length <= maxMessages && list.reduce((sum, { bytes }) => sum + bytes, 0) <= maxBytes;
  }

  out(which: (each: Waiting) => boolean): number[] {
    const gone = this.waiting.filter(which).toSorted((a, b) => a.priority - b.priority);
    this.waiting = this.waiting.filter((each) => !which(each));
    return gone.map(({ number }) => number);
  }
}

class Both {
  readonly naive: Naive;
  readonly real: PolicyQueue<number>;
  readonly account: Account;
  readonly entries: Array<Entry<number>> = [];
  readonly dropped: string[] = [];
  nowMs = 0;
  numbers = 0;

  constructor(limits: PolicyLimits, budgetBytes: number) {
    this.account = new Account(0, new CountingBudget(budgetBytes));
    this.naive = new Naive(limits, budgetBytes);
    this.real = new PolicyQueue(limits, this.account);
  }

  push(bytes: number, priority: number, key: string | undefined, ttlMs: number): void {
    const { naive, real, nowMs } = this;
    const isWait = naive.limits.overflow === "wait";
    const one = { number: this.numbers++, bytes, priority, key, atMs: nowMs, expiresMs: nowMs + ttlMs };
    naive.expire(nowMs);
    real.expire(nowMs);
    expect(real.hasRoom({ bytes, priority, key })).toBe(naive.fits([...naive.waiting, one]));
    if (isWait && !real.hasRoom({ bytes, priority, key })) return;
    naive.push(one, nowMs);
    this.entries.push(real.push(one.number, { bytes, priority, key, ttlMs }, nowMs));
  }

  take(): void {
    const { naive, real, nowMs } = this;
    naive.expire(nowMs);
    const next = real.next(nowMs);
    expect(next === undefined).toBe(naive.waiting.length === 0);
    if (next === undefined) return;
    const first = naive.waiting.find(({ priority }) => priority === next.priority);
    expect(next.message).toBe(first?.number);
    real.take(next, nowMs);
    naive.out((each) => each === first);
  }

  remove(at: number): void {
    const entry = this.entries[at % Math.max(1, this.entries.length)];
    if (entry === undefined) return;
    expect(this.real.remove(entry)).toBe(this.naive.out(({ number }) => number === entry.message).length === 1);
  }

  clear(priority: number | undefined, olderThanMs: number | undefined): void {
    const { naive, real, nowMs } = this;
    naive.expire(nowMs);
    const cleared = naive.out(
      (each) =>
        (priority === undefined || each.priority === priority) &&
        (olderThanMs === undefined || nowMs - each.atMs > olderThanMs),
    );
    expect(real.clear({ priority, olderThanMs }, nowMs).map(({ message }) => message)).toEqual(cleared);
  }

  check(): void {
    const { naive, real, account } = this;
    const dropped = real.takeDropped().map(({ entry, reason }) => `${entry.message} ${reason}`);
    // Of messages that expire at the same moment either may be the first.
    expect(dropped.toSorted()).toEqual(naive.dropped.splice(0).toSorted());
    this.dropped.push(...dropped);
    const waiting = naive.waiting;
    expect(real.messages).toBe(waiting.length);
    expect(real.bytes).toBe(waiting.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(real.nextExpiryMs).toBe(Math.min(Infinity, ...waiting.map(({ expiresMs }) => expiresMs)));
    expect(account.heldBytes).toBe(
      waiting.reduce((sum, { bytes, key = "" }) => sum + bytes + MEMORY_BYTES + 2 * key.length, 0),
    );
    expect(this.entries.filter(({ isWaiting }) => isWaiting)).toHaveLength(waiting.length);
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.integer({ min: 0, max: 40 }),
        fc.nat(CLASSES - 1),
        fc.option(fc.constantFrom("a", "b", "key c"), { nil: undefined }),
        fc.constantFrom(Infinity, Infinity, 5, 20),
      )
      .map(([bytes, priority, key, ttlMs]) => ({
        run: (both: Both) => {
          both.push(bytes, priority, both.naive.limits.overflow === "conflate" ? key : undefined, ttlMs);
        },
        text: `push ${bytes} bytes, class ${priority}, key ${key}, ttl ${ttlMs}`,
      })),
  },
  { weight: 3, arbitrary: fc.constant({ run: (both: Both) => both.take(), text: "take" }) },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: 10 }).map((ms) => ({
      run: (both: Both) => {
        both.nowMs += ms;
      },
      text: `${ms} ms pass`,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.nat(200).map((at) => ({ run: (both: Both) => both.remove(at), text: `remove ${at}` })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.option(fc.nat(CLASSES - 1), { nil: undefined }), fc.option(fc.nat(30), { nil: undefined }))
      .map(([priority, olderThanMs]) => ({
        run: (both: Both) => both.clear(priority, olderThanMs),
        text: `clear ${priority} ${olderThanMs}`,
      })),
  },
);

const classLimits = fc.record({
  weight: fc.constantFrom(1, 4),
  maxMessages: fc.constantFrom(2, 5, 100),
  maxBytes: fc.constantFrom(40, 90, 10_000),
});
const limits = fc.record({
  overflow: fc.constantFrom<Overflow[]>("wait", "drop-oldest", "drop-newest", "conflate"),
  maxMessages: fc.constantFrom(1, 4, 7, 100),
  maxBytes: fc.constantFrom(40, 100, 10_000),
  classes: fc.array(classLimits, { minLength: CLASSES, maxLength: CLASSES }),
});

/** It takes as long as its cases do, on a machine that does other work too. */
const SLOW = { timeout: 60_000 };

test("what waits, what was dropped and why, and what is held: as the naive queue says", SLOW, () => {
  const counts = { pushed: 0, overflow: 0, expired: 0, conflated: 0 };
  fc.assert(
    fc.property(
      limits,
      fc.constantFrom(0, 1_500, 1_000_000),
      fc.array(step, { maxLength: 80, size: "max" }),
      (drawn, budgetBytes, steps) => {
        const both = new Both(drawn, budgetBytes);
        for (const { run } of steps) {
          run(both);
          both.check();
        }
        while (both.naive.waiting.length > 0) both.take();
        both.check();
        counts.pushed += both.entries.length;
        for (const why of ["overflow", "expired", "conflated"] as const) {
          counts[why] += both.dropped.filter((text) => text.endsWith(why)).length;
        }
      },
    ),
    { numRuns: runs(60) },
  );
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(10);
});
