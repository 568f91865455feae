/** What a link carries from one session to the next, in its old order and before anything newer, and what it reports. */
import type { Sender, UndeliveredEntry } from "../log/sender.ts";

export interface Carried {
  sender: Sender;
  undelivered: UndeliveredEntry[];
  /** For each message that was carried over, by where it ended in the old session: where it ends in the new one. */
  carried: Map<number, number>;
}

/** The end that the application gave its direction comes along; that of a move is the old session's. */
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
    // The new session's positions know nothing of it: what was written once stays `maybe`.
    if (entry.delivery === "maybe") sender.carriedWritten = sender.log.end;
  }
  if (old.ended) sender.end("final");
  return { sender, undelivered, carried };
}
