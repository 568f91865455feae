/**
 * Tells calls that wait for acceptance what became of their messages. Such a call holds a ticket instead of a position:
 * positions begin anew when the session is replaced, and a message that waits in a queue has none yet.
 */
import type { UndeliveredEntry } from "../log/sender.ts";

/** Stands for one message, or for all messages that were taken before it was issued. */
export interface Ticket {
  /** Where the last of its messages ends in the present session. */
  position: number;
  readonly covers: "message" | "everything";
  /** Where the piece of a byte stream begins that the ticket stands for, if it stands for one. */
  readonly from?: number | undefined;
  /** The call that holds it, which sets it. */
  holder: unknown;
}

/** The messages of a ticket, or some of them, will not be delivered. */
export interface LostTicket {
  ticket: Ticket;
  delivery: UndeliveredEntry["delivery"];
  /** The one message that the ticket stands for. If nobody waits any more, the application is to be told of it. */
  entry: UndeliveredEntry | undefined;
}

/** The messages that a session could not deliver. */
export interface Undelivered {
  /** The number of all of them. */
  undeliveredCount: number;
  /** The calls that hold these tickets are to be told. */
  lost: readonly LostTicket[];
  /** The messages that no ticket stands for alone, oldest first: the application is to be told of them. */
  undelivered: readonly UndeliveredEntry[];
  /**
   * Messages of which only the number is known any more: they were written, and it is not known whether they arrived.
   * Absent if there are none; the durable protocol never has any.
   */
  untracked?: { messages: number; bytes: number };
}

/** The tickets of a link. */
export class Tickets {
  /** In the order of their positions. */
  readonly #open = new Set<Ticket>();
  #delivered: Ticket[] = [];

  /** Somebody waits. */
  get isAwaited(): boolean {
    return this.#open.size > 0;
  }

  issue(covers: Ticket["covers"], position: number, from?: number): Ticket {
    const ticket: Ticket = { covers, position, from, holder: undefined };
    this.#open.add(ticket);
    return ticket;
  }

  /**
   * Nobody waits any more: if the message is lost, it is reported as if there had been no ticket. Answers whether its
   * messages were delivered.
   */
  withdraw(ticket: Ticket, acceptedTo: number): boolean {
    return this.#open.delete(ticket) ? ticket.position <= acceptedTo : this.#delivered.includes(ticket);
  }

  /** Takes out the tickets whose messages were delivered. The peer has accepted everything below `acceptedTo`. */
  takeDelivered(acceptedTo: number): readonly Ticket[] {
    this.#accept(acceptedTo);
    const delivered = this.#delivered;
    if (delivered.length > 0) this.#delivered = [];
    return delivered;
  }

  #accept(acceptedTo: number): void {
    for (const ticket of this.#open) {
      if (ticket.position > acceptedTo) return;
      this.#open.delete(ticket);
      this.#delivered.push(ticket);
    }
  }

  /**
   * The session has ended, or was replaced. `carried`: for each message that goes on in the next session, where it
   * ended and where it ends now.
   */
  sessionOver(
    acceptedTo: number,
    entries: readonly UndeliveredEntry[],
    carried: ReadonlyMap<number, number>,
  ): Undelivered {
    this.#accept(acceptedTo);
    const [first] = entries;
    const inDoubt = entries.find(({ delivery }) => delivery === "maybe");
    // Of several messages, one that is in doubt decides; without one, one that was never written.
    const worst = (position: number): UndeliveredEntry["delivery"] | undefined =>
      [inDoubt, first].find((entry) => entry !== undefined && beginOf(entry) <= position)?.delivery;
    const unclaimed = new Map(entries.map((entry) => [entry.end, entry]));
    const lost: LostTicket[] = [];
    for (const ticket of this.#open) {
      const { covers, position, from } = ticket;
      const own = covers === "message" ? unclaimed.get(position) : undefined;
      // Of a piece of a byte stream the peer may have accepted the beginning.
      const ofAll = from !== undefined && from < acceptedTo ? "maybe" : worst(position);
      const delivery = covers === "message" ? own?.delivery : ofAll;
      const next = carried.get(position);
      if (delivery === undefined && next !== undefined) {
        ticket.position = next;
        continue;
      }
      this.#open.delete(ticket);
      if (own !== undefined) unclaimed.delete(own.end);
      // A peer that lies may accept half of a message: that one is in doubt.
      lost.push({ ticket, delivery: delivery ?? "maybe", entry: own });
    }
    return { undeliveredCount: entries.length, lost, undelivered: [...unclaimed.values()] };
  }
}

/** Where the first byte of the entry ends; an empty message has none, and ends there. */
function beginOf({ end, message }: UndeliveredEntry): number {
  return Math.min(end, end - message.length + 1);
}
