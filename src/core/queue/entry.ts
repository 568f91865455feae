/** A message that waits in a `PolicyQueue`. */
import type { Expiring } from "./expiry-heap.ts";
import type { Member } from "./line.ts";

/** The queue has to know this of a message. Times are in milliseconds, sizes in bytes of payload. */
export interface EntryTerms {
  readonly bytes: number;
  /** The index of the message's class: 0 goes first. */
  readonly priority: number;
  /** With overflow "conflate": the message replaces the one that waits with the same key. */
  readonly key: string | undefined;
  /** How long the message may wait; Infinity: for ever. */
  readonly ttlMs: number;
}

/** `T`: what the queue's owner keeps with each message. */
export class Entry<T> implements Member<Entry<T>>, Expiring {
  readonly message: T;
  readonly bytes: number;
  readonly priority: number;
  readonly key: string | undefined;
  /** When the message came, and when it expires. */
  readonly atMs: number;
  readonly expiresMs: number;
  /** When the place was taken in which the message waits: a message that replaces another has the other's place. */
  placeMs: number;
  isWaiting = false;
  before: Entry<T> | undefined = undefined;
  after: Entry<T> | undefined = undefined;
  heapAt = -1;

  constructor(message: T, { bytes, priority, key, ttlMs }: EntryTerms, nowMs: number) {
    this.message = message;
    this.bytes = bytes;
    this.priority = priority;
    this.key = key;
    this.atMs = nowMs;
    this.placeMs = nowMs;
    this.expiresMs = nowMs + ttlMs;
  }
}
