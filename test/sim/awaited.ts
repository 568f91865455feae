/** The calls of an application that wait until its messages are accepted, and what each of them was told. */
import type { UndeliveredEntry } from "../../src/core/log/sender.ts";
import type { LinkCore } from "../../src/core/session/link-core.ts";
import type { LostTicket, Ticket } from "../../src/core/session/tickets.ts";
import { check } from "./stage.ts";

export interface Call {
  readonly covers: Ticket["covers"];
  /** The last message that it waits for. */
  readonly number: number;
  /** How many messages had been lost when it began: it does not wait for those. */
  readonly reportedBefore: number;
  /** In mode "bytes": where the last message that it waits for begins and ends in the stream. */
  readonly piece: { from: number; to: number } | undefined;
}

interface Told {
  byCalls: Array<{ number: number; delivery: LostTicket["delivery"] }>;
  abandoned: UndeliveredEntry[];
}

export class Awaited {
  readonly delivered: Call[] = [];
  /** `from` and `to`: which of the end's reports came with it. */
  readonly lost: Array<{ call: Call; delivery: LostTicket["delivery"]; from: number; to: number }> = [];
  readonly #open = new Map<Ticket, Call>();
  /** Calls that were given up, maybe after their message was lost and before they were told. */
  readonly #givenUp = new Set<Ticket>();

  /** After some messages the application waits: for that message, for all, or until it waits no more. */
  wait(core: LinkCore, last: Omit<Call, "covers">): void {
    if (last.number % 7 === 0) this.#open.set(core.ticket("message"), { covers: "message", ...last });
    if (last.number % 11 === 0) this.#open.set(core.ticket("everything"), { covers: "everything", ...last });
    if (last.number % 17 === 0) this.#giveUp(core);
  }

  #giveUp(core: LinkCore): void {
    for (const [ticket, call] of this.#open) {
      this.#open.delete(ticket);
      if (core.withdraw(ticket)) this.delivered.push(call);
      else this.#givenUp.add(ticket);
      return;
    }
  }

  settle(core: LinkCore): void {
    for (const ticket of core.takeDelivered()) {
      const call = this.#open.get(ticket);
      // Without a call the application has given up.
      if (call !== undefined) this.delivered.push(call);
      this.#open.delete(ticket);
    }
  }

  /**
   * Answers the messages of which a call was told, and those whose calls were given up: the application is told of
   * them. `from` and `to`: see `lost`.
   */
  told(name: string, tickets: readonly LostTicket[], from: number, to: number): Told {
    const told: Told = { byCalls: [], abandoned: [] };
    for (const { ticket, delivery, entry } of tickets) {
      const call = this.#open.get(ticket);
      check(call !== undefined || this.#givenUp.has(ticket), () => `${name}: a call is told twice`);
      this.#open.delete(ticket);
      this.#givenUp.delete(ticket);
      if (call !== undefined) this.lost.push({ call, delivery, from, to });
      if (call !== undefined && ticket.covers === "message") told.byCalls.push({ number: call.number, delivery });
      else if (entry !== undefined) told.abandoned.push(entry);
    }
    return told;
  }

  checkNobodyWaits(name: string): void {
    check(this.#open.size === 0, () => `${name}: the link has ended, and ${this.#open.size} calls still wait`);
  }
}
