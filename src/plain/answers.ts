/** The requests that were written and wait for their answers, in order or by their ids. */
import { ownCopy } from "../core/wire/bytes.ts";
import { ENTRY_BYTES, type Entry, type Gate } from "./entry.ts";
import { idOrNone } from "./functions.ts";
import type { Outbox } from "./outbox.ts";
import type { MessageId, RequestOptions } from "./options.ts";

export class Answers implements Gate {
  readonly #requests: RequestOptions;
  readonly #outbox: Outbox;
  #inFlight = 0;
  /** The number of the message that the next answer belongs to, where answers come in order. */
  #next = 0;
  readonly #byId = new Map<MessageId, Entry>();
  /** When the last part of an answer arrived that is not complete. */
  #partMs = -Infinity;
  /** Set before the outbox writes. */
  nowMs = 0;

  constructor(requests: RequestOptions, outbox: Outbox) {
    this.#requests = requests;
    this.#outbox = outbox;
  }

  get isInOrder(): boolean {
    return this.#requests.idOf === undefined;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  mayWrite(entry: Entry): boolean {
    if (!entry.isAnswered) return true;
    if (this.#inFlight >= this.#requests.maxInFlight) return false;
    // Two with the same id could not be told apart.
    return entry.id === undefined || !this.#byId.has(entry.id);
  }

  onWritten(entry: Entry): void {
    if (!entry.isAnswered) return;
    if (this.#inFlight === 0) this.#partMs = -Infinity;
    this.#inFlight++;
    entry.writtenMs = this.nowMs;
    if (entry.id !== undefined) this.#byId.set(entry.id, entry);
  }

  /** An answer is awaited from now on, not from when the first part was written. */
  onWhole(entry: Entry): void {
    entry.writtenMs = this.nowMs;
  }

  /** Whether the message is an answer, or a part of one. Throws what the application's functions throw. */
  kindOf(message: Buffer, id: MessageId | undefined): "answer" | "push" | "more" {
    const { classify, idOf } = this.#requests;
    if (classify === undefined) return idOf !== undefined && id === undefined ? "push" : "answer";
    const kind = classify(message);
    if (kind === "answer" || kind === "push" || kind === "more") return kind;
    throw new TypeError('classify() has given neither "answer" nor "push" nor "more"');
  }

  idOf(message: Buffer): MessageId | undefined {
    return idOrNone(this.#requests.idOf?.(message));
  }

  /** The request that an answer belongs to; undefined if nobody waits for it. */
  find(id: MessageId | undefined): Entry | undefined {
    if (!this.isInOrder) return id === undefined ? undefined : this.#byId.get(id);
    const { head, sentTo, partWritten } = this.#outbox;
    const underWay = sentTo + (partWritten > 0 ? 1 : 0);
    // The outbox has forgotten the messages below its head: all of them are settled.
    this.#next = Math.max(this.#next, head);
    // Messages that were for an earlier connection alone were taken out, and left their places.
    while (this.#next < underWay && this.#outbox.entry(this.#next).isSettled) this.#next++;
    return this.#next < underWay ? this.#outbox.entry(this.#next) : undefined;
  }

  /** A part of an answer that has more. Answers whether the answer has become too large. */
  addPart(entry: Entry, part: Buffer, nowMs: number): boolean {
    this.#partMs = nowMs;
    entry.partsBytes += part.length + ENTRY_BYTES;
    // Nobody reads what nobody waits for, and of a withdrawn request only the count of its bytes is kept.
    if (entry.ticket?.kind === "request") (entry.parts ??= []).push(withoutChunk(part));
    return entry.partsBytes > this.#requests.maxAnswerBytes;
  }

  answered(entry: Entry): void {
    this.#inFlight--;
    this.#partMs = -Infinity;
    if (entry.id !== undefined) this.#byId.delete(entry.id);
    else this.#next = entry.number + 1;
  }

  /** Since when the oldest request waits; Infinity if none does. */
  get waitsSinceMs(): number {
    if (this.#inFlight === 0) return Infinity;
    const oldest = this.isInOrder ? this.find(undefined) : this.#byId.values().next().value;
    return Math.max(this.#partMs, oldest?.writtenMs ?? Infinity);
  }

  /** The connection is gone. The outbox was told before. */
  lost(): void {
    this.#inFlight = 0;
    this.#byId.clear();
    this.#next = this.#outbox.head;
  }
}

/** A part that waits for the others must not keep a much larger chunk alive. */
function withoutChunk(part: Buffer): Buffer {
  return 2 * part.length < part.buffer.byteLength ? ownCopy(part) : part;
}
