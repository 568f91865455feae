/**
 * Messages that wait before a link's log, under the policies of its queue: bounds, overflow, time to live, priorities.
 *
 * The owner calls one method and then takes out what was dropped meanwhile (`takeDropped()`). Time is an argument. It
 * must not go back, and need not be the monotonic clock: the owner may add the time that the machine was asleep.
 * Everything takes constant or logarithmic time, but for `clear()`, which looks at each message.
 */
import type { Account } from "../log/window.ts";
import { type ClassLimits, PriorityClass, Turns } from "./classes.ts";
import { Entry, type EntryTerms } from "./entry.ts";
import { ExpiryHeap } from "./expiry-heap.ts";

/**
 * The rule for a message for which there is no room. "wait": its sender waits, and the queue is not asked.
 * "drop-oldest", "conflate": the oldest messages of the lowest classes give way, but none of a higher class than the
 * new one. "drop-newest": the new message, unless newest ones of a lower class can give way.
 */
export type Overflow = "wait" | "drop-oldest" | "drop-newest" | "conflate";

/**
 * The limits hold for all classes together, `maxBytes` for payload; the limits of `classes` for each, highest first.
 */
export interface PolicyLimits {
  readonly overflow: Overflow;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly classes: readonly ClassLimits[];
}

export type DropReason = "overflow" | "expired" | "conflated";

/** `by`: the message that took the place of a conflated one. */
export interface Dropped<T> {
  readonly entry: Entry<T>;
  readonly reason: DropReason;
  readonly by: Entry<T> | undefined;
}

/** The messages that `clear()` takes out: all that wait, or of one class, or older than so many milliseconds, … */
export interface ClearTerms<T> {
  readonly priority?: number | undefined;
  readonly olderThanMs?: number | undefined;
  /** … or those alone for which this is true. */
  readonly where?: (message: T) => boolean;
}

/** The memory that a message takes besides its payload and its key: its objects, measured in Node 24 and rounded up. */
const ENTRY_BYTES = 256;

/** A key is kept with its message. In UTF-16 units: as many bytes twice over. */
function memoryOf({ bytes, key = "" }: { bytes: number; key: string | undefined }): number {
  return bytes + ENTRY_BYTES + 2 * key.length;
}

export class PolicyQueue<T> {
  readonly #limits: PolicyLimits;
  /** The memory of what waits, out of the budget that all links share. */
  readonly #account: Account;
  readonly #classes: ReadonlyArray<PriorityClass<T>>;
  readonly #turns: Turns<T>;
  readonly #expiring: ExpiryHeap<Entry<T>> = new ExpiryHeap();
  /** The messages that wait, by key: never more keys than messages. */
  readonly #keys = new Map<string, Entry<T>>();
  #dropped: Array<Dropped<T>> = [];
  messages = 0;
  bytes = 0;

  constructor(limits: PolicyLimits, account: Account) {
    this.#limits = limits;
    this.#account = account;
    this.#classes = limits.classes.map((each) => new PriorityClass(each));
    this.#turns = new Turns(this.#classes);
  }

  /** When the oldest place was taken of those in which messages wait; Infinity if none waits. */
  get oldestMs(): number {
    return Math.min(...this.#classes.map(({ line }) => line.first?.placeMs ?? Infinity));
  }

  /** When the next message expires; Infinity if none does. */
  get nextExpiryMs(): number {
    return this.#expiring.first?.expiresMs ?? Infinity;
  }

  /** Whether there is room for a message, and nothing has to be dropped for it. The caller has called `expire()`. */
  hasRoom({ bytes, priority, key }: Omit<EntryTerms, "ttlMs">): boolean {
    return this.#fits(this.#classOf(priority), 1, bytes, memoryOf({ bytes, key }));
  }

  #classOf(priority: number): PriorityClass<T> {
    return this.#classes[priority] as PriorityClass<T>;
  }

  #fits(own: PriorityClass<T>, messages: number, bytes: number, memory: number): boolean {
    return own.hasRoom(messages, bytes) && this.#fitsTogether(this.messages + messages, this.bytes + bytes, memory);
  }

  #fitsTogether(messages: number, bytes: number, memory: number): boolean {
    const { maxMessages, maxBytes } = this.#limits;
    if (messages > maxMessages || bytes > maxBytes) return false;
    // A single message may always wait: else none would, where memory is short.
    return messages === 1 || this.#account.heldBytes + memory <= this.#account.mostBytes;
  }

  // ── in ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Answers the new entry, which may be among those that were dropped. With "wait" the caller has asked `hasRoom()`.
   */
  push(message: T, terms: EntryTerms, nowMs: number): Entry<T> {
    this.expire(nowMs);
    const { key } = terms;
    const old = key === undefined ? undefined : this.#keys.get(key);
    // A message that replaces another takes its place, and so its class.
    const entry = new Entry(message, old === undefined ? terms : { ...terms, priority: old.priority }, nowMs);
    if (!this.#makeRoom(entry, old)) this.#dropped.push({ entry, reason: "overflow", by: undefined });
    else if (old === undefined) this.#append(entry);
    else this.#supersede(old, entry);
    return entry;
  }

  #append(entry: Entry<T>): void {
    this.#classOf(entry.priority).line.append(entry);
    this.#count(entry, 1);
  }

  #supersede(old: Entry<T>, entry: Entry<T>): void {
    entry.placeMs = old.placeMs;
    this.#classOf(old.priority).line.replace(old, entry);
    this.#count(old, -1);
    this.#count(entry, 1);
    this.#dropped.push({ entry: old, reason: "conflated", by: entry });
  }

  #count(entry: Entry<T>, by: 1 | -1): void {
    const { bytes, priority, key } = entry;
    this.messages += by;
    this.bytes += by * bytes;
    const own = this.#classOf(priority);
    const memory = memoryOf(entry);
    own.bytes += by * bytes;
    own.memoryBytes += by * memory;
    this.#account.hold(by * memory);
    entry.isWaiting = by === 1;
    if (by === 1) {
      if (key !== undefined) this.#keys.set(key, entry);
      if (entry.expiresMs < Infinity) this.#expiring.add(entry);
    } else {
      if (key !== undefined) this.#keys.delete(key);
      this.#expiring.remove(entry);
    }
  }

  // ── overflow ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Drops what gives way to the entry. Answers false, and drops nothing, if that would not be enough. */
  #makeRoom(entry: Entry<T>, old: Entry<T> | undefined): boolean {
    const own = this.#classOf(entry.priority);
    const messages = old === undefined ? 1 : 0;
    const bytes = entry.bytes - (old?.bytes ?? 0);
    const memory = memoryOf(entry) - (old === undefined ? 0 : memoryOf(old));
    if (this.#fits(own, messages, bytes, memory)) return true;
    if (!this.#couldFit(entry)) return false;
    do this.#drop(this.#nextToGo(own.hasRoom(messages, bytes) ? undefined : own, entry.priority, old), "overflow");
    while (!this.#fits(own, messages, bytes, memory));
    return true;
  }

  get #dropsNewest(): boolean {
    return this.#limits.overflow === "drop-newest";
  }

  /** Whether the entry fits beside the messages that do not give way to it. */
  #couldFit(entry: Entry<T>): boolean {
    const { bytes, priority } = entry;
    const own = this.#classOf(priority);
    if (this.#dropsNewest ? !own.hasRoom(1, bytes) : bytes > own.limits.maxBytes) return false;
    const stays = this.#classes.slice(0, this.#dropsNewest ? priority + 1 : priority);
    const sum = (of: (each: PriorityClass<T>) => number): number => stays.reduce((all, each) => all + of(each), 0);
    const messages = 1 + sum(({ line }) => line.size);
    const memory = sum(({ memoryBytes }) => memoryBytes) + memoryOf(entry);
    return this.#fitsTogether(messages, bytes + sum((each) => each.bytes), memory - this.#account.heldBytes);
  }

  /** `full`: the class that has no room by itself. `old`: the message that is to be replaced does not give way. */
  #nextToGo(full: PriorityClass<T> | undefined, priority: number, old: Entry<T> | undefined): Entry<T> {
    if (full !== undefined) return oldestBut(old, full) as Entry<T>;
    for (let index = this.#classes.length - 1; index >= priority; index--) {
      const { line } = this.#classOf(index);
      const found = this.#dropsNewest ? line.last : oldestBut(old, this.#classOf(index));
      if (found !== undefined) return found;
    }
    throw new Error("nothing gives way, though there could be room");
  }

  #drop(entry: Entry<T>, reason: DropReason): void {
    this.remove(entry);
    this.#dropped.push({ entry, reason, by: undefined });
  }

  /** Drops the messages whose time is over. */
  expire(nowMs: number): void {
    for (let entry = this.#expiring.first; entry !== undefined; entry = this.#expiring.first) {
      if (entry.expiresMs > nowMs) return;
      this.#drop(entry, "expired");
    }
  }

  /** Takes out what was dropped since the last call, in that order. */
  takeDropped(): ReadonlyArray<Dropped<T>> {
    const dropped = this.#dropped;
    if (dropped.length > 0) this.#dropped = [];
    return dropped;
  }

  // ── out ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The message that goes next, which stays here until `take()`; undefined if none waits. */
  next(nowMs: number): Entry<T> | undefined {
    this.expire(nowMs);
    return this.messages === 0 ? undefined : this.#turns.next(nowMs).line.first;
  }

  /** Takes out the entry that `next()` has answered. */
  take(entry: Entry<T>, nowMs: number): void {
    this.remove(entry);
    this.#classOf(entry.priority).onTaken(entry.bytes, nowMs);
    this.#turns.onTaken();
  }

  /** Answers false if the message does not wait here any more. */
  remove(entry: Entry<T>): boolean {
    if (!entry.isWaiting) return false;
    this.#classOf(entry.priority).line.remove(entry);
    this.#count(entry, -1);
    return true;
  }

  /** Takes out what is asked for: class by class, and in each in the order in which they would have gone. */
  clear({ priority, olderThanMs, where }: ClearTerms<T>, nowMs: number): Array<Entry<T>> {
    this.expire(nowMs);
    const cleared: Array<Entry<T>> = [];
    for (const [index, { line }] of this.#classes.entries()) {
      if (priority !== undefined && index !== priority) continue;
      for (const entry of line) {
        if (olderThanMs !== undefined && nowMs - entry.atMs <= olderThanMs) continue;
        if (where !== undefined && !where(entry.message)) continue;
        this.remove(entry);
        cleared.push(entry);
      }
    }
    return cleared;
  }
}

function oldestBut<T>(old: Entry<T> | undefined, { line: { first } }: PriorityClass<T>): Entry<T> | undefined {
  return old !== undefined && first === old ? first.after : first;
}
