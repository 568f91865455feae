/** The calls that wait until the peer has accepted a message, or everything. */
import type { UndeliveredEntry } from "../core/log/sender.ts";
import { aborted, type Delivery, type RespliceError } from "./errors.ts";
import type { LostTicket, Outbound, Ticket } from "./protocol.ts";
import { abortableWait, type Wait } from "./waits.ts";

type Covers = "message" | "everything";

/** A call that waits for acceptance, though its message may still wait in the queue. */
export interface Awaiting {
  readonly wait: Wait<void>;
  /** The protocol's ticket, once the message is in the log. */
  ticket: Ticket | undefined;
}

export class Acceptance {
  readonly #outbound: Outbound;
  /** The calls whose messages are in the log. Made for the first of them: most links never have one. */
  #waits: Map<Ticket, Wait<void>> | undefined;

  constructor(outbound: Outbound) {
    this.#outbound = outbound;
  }

  /** Waits until the peer has accepted the message that was taken last, or everything taken so far. */
  wait(covers: Covers, signal: AbortSignal | undefined): Promise<void> {
    const call = this.call(covers, signal, () => undefined);
    this.await(call, covers);
    return call.wait.promise;
  }

  /** A call that begins to wait before its message is in the log. `onAbort`: it is given up before that. */
  call(covers: Covers, signal: AbortSignal | undefined, onAbort: () => Delivery | undefined): Awaiting {
    const wait: Wait<void> = abortableWait(signal, () => {
      const delivery = call.ticket === undefined ? onAbort() : this.#giveUp(call.ticket);
      return aborted(signal as AbortSignal, covers === "message" ? delivery : undefined);
    });
    const call: Awaiting = { wait, ticket: undefined };
    return call;
  }

  /** The call's message was taken last, or everything that it waits for has been taken. */
  await(call: Awaiting, covers: Covers): void {
    call.ticket = this.#outbound.ticket(covers);
    (this.#waits ??= new Map()).set(call.ticket, call.wait);
  }

  /** The message was taken: if the caller sent it again, it might arrive twice. */
  #giveUp(ticket: Ticket): Delivery {
    this.#waits?.delete(ticket);
    return this.#outbound.withdraw(ticket) ? "delivered" : "maybe";
  }

  /** Resolves the calls whose messages were accepted. */
  settle(): void {
    const waits = this.#waits;
    if (waits === undefined || waits.size === 0) return;
    for (const ticket of this.#outbound.takeDelivered()) {
      waits.get(ticket)?.resolve();
      waits.delete(ticket);
    }
  }

  /**
   * The session was replaced, or the link has ended. Rejects the calls whose messages are lost. Answers the messages
   * whose calls were aborted meanwhile.
   */
  lost(lost: readonly LostTicket[], error: (delivery: Delivery) => RespliceError): UndeliveredEntry[] {
    this.settle();
    const abandoned: UndeliveredEntry[] = [];
    for (const { ticket, delivery, entry } of lost) {
      const wait = this.#waits?.get(ticket);
      this.#waits?.delete(ticket);
      if (wait !== undefined) wait.reject(error(delivery));
      else if (entry !== undefined) abandoned.push(entry);
    }
    return abandoned;
  }
}
