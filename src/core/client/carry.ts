/** Carries messages from one session to the next, in their order and before newer ones; all others are reported. */
import type { Sender, UndeliveredEntry } from "../log/sender.ts";

export interface Carried {
  sender: Sender;
  undelivered: UndeliveredEntry[];
  /** For each message that was carried over: where it ended in the old session, and where it ends in the new one. */
  carried: Map<number, number>;
}

/**
 * An end that the application gave its direction is carried over, too; an end by moving belongs to the old session
 * only.
 */
export function carryOver(old: Sender, keeps: (entry: UndeliveredEntry) => boolean): Carried {
  const sender = old.successor();
  const undelivered: UndeliveredEntry[] = [];
  const carried = new Map<number, number>();
  for (const entry of old.undelivered()) {
    if (!keeps(entry)) {
      undelivered.push(entry);
      continue;
    }
    sender.take(entry.message, entry.message.length, true);
    carried.set(entry.end, sender.log.end);
    // A message that was written once stays `maybe`, though the new session has not written it yet.
    if (entry.delivery === "maybe") sender.carriedWritten = sender.log.end;
  }
  if (old.ended) sender.end("final");
  return { sender, undelivered, carried };
}
