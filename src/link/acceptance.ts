/** The calls that wait until the peer has accepted a message, or everything. */
import type { UndeliveredEntry } from "../core/log/sender.ts";
import { aborted, type Delivery, RespliceError } from "./errors.ts";
import type { LostTicket, Outbound, Ticket, Until } from "./protocol.ts";
import { keepShared } from "./untransferable.ts";
import { abortableWait, type Wait } from "./waits.ts";

type Covers = "message" | "answer" | "everything";

/** A call that waits for acceptance, though its message may still wait in the queue. */
export interface Awaiting {
  readonly covers: Covers;
  readonly wait: Wait<unknown>;
  /** The protocol's ticket, once the message is in the log. */
  ticket: Ticket | undefined;
}

export class Acceptance {
  readonly #outbound: Outbound;

  constructor(outbound: Outbound) {
    this.#outbound = outbound;
  }

  /**
   * Waits until the peer has accepted the message that was taken last, or has answered it, or has accepted everything
   * taken so far.
   */
  wait(until: "accepted" | "answered" | "everything", signal: AbortSignal | undefined): Promise<unknown> {
    const covers = coveredBy(until);
    const ticket = this.#outbound.ticket(covers);
    const wait = abortableWait<unknown>(signal, () => abortedCall(signal, covers, this.#giveUp(ticket)));
    ticket.holder = wait;
    return wait.promise;
  }

  /** A call that begins to wait before its message is in the log. `onAbort`: it is given up before that. */
  call(covers: Covers, signal: AbortSignal | undefined, onAbort: () => Delivery | undefined): Awaiting {
    const wait = abortableWait<unknown>(signal, () => {
      const delivery = call.ticket === undefined ? onAbort() : this.#giveUp(call.ticket);
      return abortedCall(signal, covers, delivery);
    });
    const call: Awaiting = { covers, wait, ticket: undefined };
    return call;
  }

  /** The call's message was taken last, or everything that it waits for has been taken. */
  await(call: Awaiting): void {
    call.ticket = this.#outbound.ticket(call.covers);
    call.ticket.holder = call.wait;
  }

  /** The message was taken: if the caller sent it again, it might arrive twice. */
  #giveUp(ticket: Ticket): Delivery {
    ticket.holder = undefined;
    return this.#outbound.withdraw(ticket) ? "delivered" : "maybe";
  }

  /** Resolves the calls whose messages were accepted. */
  settle(): void {
    for (const ticket of this.#outbound.takeDelivered()) holderOf(ticket)?.resolve(undefined);
  }

  /** Without a call the application has given up. */
  answered(ticket: Ticket, parts: readonly Buffer[]): void {
    for (const part of parts) keepShared(part);
    holderOf(ticket)?.resolve(parts);
  }

  /**
   * The session was replaced, or the link has ended. Rejects the calls whose messages are lost. Answers the messages
   * whose calls were aborted meanwhile.
   */
  lost(lost: readonly LostTicket[], error: (delivery: Delivery) => RespliceError): UndeliveredEntry[] {
    this.settle();
    const abandoned: UndeliveredEntry[] = [];
    for (const { ticket, delivery, entry } of lost) {
      const wait = holderOf(ticket);
      if (wait !== undefined) wait.reject(error(delivery));
      else if (entry !== undefined) abandoned.push(entry);
    }
    return abandoned;
  }
}

function abortedCall(signal: AbortSignal | undefined, covers: Covers, delivery: Delivery | undefined): RespliceError {
  return aborted(signal as AbortSignal, covers === "everything" ? undefined : delivery);
}

/** The call that waits; undefined if it was given up. */
function holderOf({ holder }: Ticket): Wait<unknown> | undefined {
  return holder as Wait<unknown> | undefined;
}

export function coveredBy(until: "accepted" | "answered" | "everything"): Covers {
  if (until === "accepted") return "message";
  return until === "answered" ? "answer" : "everything";
}

/** The opposite of `coveredBy()`, for a call that waits for one message; undefined: no call waits. */
export function untilOf(call: Awaiting | undefined): Until {
  if (call === undefined) return "taken";
  return call.covers === "answer" ? "answered" : "accepted";
}

/** Throws NOT_SUPPORTED if nobody can know what the call waits for. */
export function checkKnown({ knowsAcceptance, answersRequests }: Outbound, until: "accepted" | "answered"): void {
  if (until === "answered" ? answersRequests === true : knowsAcceptance !== false) return;
  const needs = until === "answered" ? "requests" : "requests, or a probe that proves";
  throw new RespliceError("NOT_SUPPORTED", `it cannot be known what the peer has ${until}: plain() needs ${needs}`);
}
