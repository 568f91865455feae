/** The tickets of calls that wait for a message, or for all messages so far, and how they are told. */
import type { LostTicket } from "../core/session/tickets.ts";
import type { Entry, PlainTicket } from "./entry.ts";

export class PlainTickets {
  /** Those for everything, in the order of their numbers. */
  readonly #flushes = new Set<PlainTicket>();
  #delivered: PlainTicket[] = [];

  forMessage(entry: Entry, kind: "message" | "request"): PlainTicket {
    const ticket: PlainTicket = {
      kind,
      covers: "message",
      position: entry.number,
      number: entry.number,
      entry,
      holder: undefined,
    };
    entry.ticket = ticket;
    return ticket;
  }

  forEverything(number: number): PlainTicket {
    const ticket: PlainTicket = {
      kind: "everything",
      covers: "everything",
      position: number,
      number,
      entry: undefined,
      holder: undefined,
    };
    this.#flushes.add(ticket);
    return ticket;
  }

  /** Answers whether what the ticket stands for has happened. */
  withdraw(ticket: PlainTicket): boolean {
    if (this.#flushes.delete(ticket)) return false;
    const { entry } = ticket;
    ticket.entry = undefined;
    // The object may be another message by now, with a ticket of its own.
    if (entry?.ticket !== ticket) return this.#delivered.includes(ticket);
    entry.ticket = undefined;
    return false;
  }

  readonly onDelivered = (ticket: PlainTicket): void => {
    if (ticket.kind === "message") this.#delivered.push(ticket);
  };

  /** The kernel has all messages below `kernelTo`. */
  kernelHas(kernelTo: number): void {
    for (const ticket of this.#flushes) {
      if (ticket.number > kernelTo) return;
      this.#flushes.delete(ticket);
      this.#delivered.push(ticket);
    }
  }

  /** Takes out the tickets whose wait is over. */
  takeDelivered(): readonly PlainTicket[] {
    const delivered = this.#delivered;
    if (delivered.length > 0) this.#delivered = [];
    return delivered;
  }

  /**
   * These messages will not be delivered, oldest first. Answers the tickets that are lost with them. A ticket for
   * everything is lost with the first message that it covers. One for a request has no entry: its caller is told by the
   * ticket alone. `isAll`: no other message is left.
   */
  lost(entries: readonly Entry[], isAll: boolean): LostTicket[] {
    const lost: LostTicket[] = [];
    for (const entry of entries) {
      const { ticket } = entry;
      if (ticket === undefined) continue;
      const delivery = deliveryOf(entry);
      lost.push({ ticket, delivery, entry: ticket.kind === "request" ? undefined : undeliveredEntry(entry) });
    }
    const first = entries[0]?.number ?? Infinity;
    const inDoubt = entries.find(({ wasWritten }) => wasWritten)?.number ?? Infinity;
    for (const ticket of this.#flushes) {
      if (ticket.number <= first && !isAll) continue;
      this.#flushes.delete(ticket);
      lost.push({ ticket, delivery: inDoubt < ticket.number ? "maybe" : "not-sent", entry: undefined });
    }
    return lost;
  }
}

function deliveryOf({ wasWritten }: Entry): "maybe" | "not-sent" {
  return wasWritten ? "maybe" : "not-sent";
}

/** Plain messages have no position: the server counts none. Their order is that of their numbers. */
export function undeliveredEntry(entry: Entry): LostTicket["entry"] & object {
  return { message: entry.payload, delivery: deliveryOf(entry), position: undefined, end: entry.number };
}
