/** Counts undelivered messages, and keeps those that no listener was told of for the report of close(). */
import type { UndeliveredEntry } from "../core/log/sender.ts";
import type { Journal } from "../telemetry/journal.ts";
import type { LinkIds, LinkUndelivered } from "../telemetry/record.ts";
import { keepShared } from "./untransferable.ts";
import type { Message, Traffic, Undelivered, UndeliveredMessage } from "./types.ts";

/**
 * The most that is kept. When there is more, the oldest messages are dropped: they only show in the logs and counters.
 */
const MAX_KEPT_BYTES = 64 * 1_048_576;

export const NONE_UNDELIVERED: Readonly<Record<Undelivered["reason"], number>> = {
  "session-lost": 0,
  "connection-lost": 0,
  "too-large": 0,
  overflow: 0,
  expired: 0,
  conflated: 0,
};

export class UndeliveredBook {
  readonly counts: Record<Undelivered["reason"], number> = { ...NONE_UNDELIVERED };
  #kept: UndeliveredMessage[] = [];
  #keptBytes = 0;
  #untracked: Traffic | undefined;

  /** No listener was told of these: they stay for the report of close(). */
  keepReport({ messages, untracked }: Pick<Undelivered, "messages" | "untracked">): void {
    this.keep(messages);
    this.#untracked = sumOf(this.#untracked, untracked);
  }

  /** The messages that were let go, those of the link's end included. */
  allUntracked(atEnd: Traffic | undefined): Traffic | undefined {
    return sumOf(this.#untracked, atEnd);
  }

  keep(messages: readonly UndeliveredMessage[]): void {
    const kept = [...this.#kept, ...messages];
    for (const { message } of messages) this.#keptBytes += message.length;
    let dropped = 0;
    for (; this.#keptBytes > MAX_KEPT_BYTES; dropped++) this.#keptBytes -= kept[dropped]?.message.length ?? Infinity;
    this.#kept = dropped === 0 ? kept : kept.slice(dropped);
  }

  takeKept(): UndeliveredMessage[] {
    const kept = this.#kept;
    this.#kept = [];
    this.#keptBytes = 0;
    return kept;
  }
}

/** The sum, where either may be absent. */
export function sumOf(a: Traffic | undefined, b: Traffic | undefined): Traffic | undefined {
  return a === undefined || b === undefined
    ? (a ?? b)
    : { messages: a.messages + b.messages, bytes: a.bytes + b.bytes };
}

/** How many of some messages may have arrived, and how many were never sent; of a plain link, how many were let go. */
interface DeliveryCounts {
  maybe: number;
  notSent: number;
  untracked?: number;
}

export function countByDelivery(messages: readonly UndeliveredMessage[]): DeliveryCounts {
  const maybe = messages.filter(({ delivery }) => delivery === "maybe").length;
  return { maybe, notSent: messages.length - maybe };
}

/**
 * Records how many of the messages may have arrived, and how many were never sent. Without messages there is no record.
 */
export function recordUndelivered(
  journal: Journal,
  ids: LinkIds,
  reason: LinkUndelivered["reason"],
  { maybe, notSent, untracked = 0 }: DeliveryCounts,
): void {
  if (maybe + notSent + untracked === 0) return;
  const counts = { maybe, notSent, ...(untracked > 0 && { untracked }) };
  journal.record({ event: "link.undelivered", ids, reason, ...counts });
}

export function toMessage({ message, delivery, position }: UndeliveredEntry): UndeliveredMessage {
  // The message may be a view of memory that holds messages which still wait.
  keepShared(message);
  return { message: message as Message, delivery, position };
}

/** The messages of both lists, oldest first. */
export function inOrder(
  reported: readonly UndeliveredEntry[],
  abandoned: readonly UndeliveredEntry[],
): readonly UndeliveredEntry[] {
  return abandoned.length === 0 ? reported : [...reported, ...abandoned].toSorted((a, b) => a.end - b.end);
}
