/** Calls that wait for room: in each priority class first come first served. */
import type { Account } from "../core/log/window.ts";
import { Line, type Member } from "../core/queue/line.ts";
import { BoundCount } from "./bound.ts";
import { aborted, connectionLostError, RespliceError } from "./errors.ts";
import type { Outbound, Until } from "./protocol.ts";
import type { PolicyTerms, ResolvedQueue } from "./queue-options.ts";
import type { Payload } from "./types.ts";
import { abortableWait, type Wait } from "./waits.ts";

/** A call that wants room. */
export interface RoomCall {
  /** Undefined of a ready(), which has no message. */
  readonly payload: Payload | undefined;
  readonly bytes: number;
  readonly given: boolean;
  /** For the queue's policy; undefined without one. */
  readonly terms: PolicyTerms | undefined;
  /** The connection that the message is for; undefined: any. */
  readonly boundTo: number | undefined;
  /** When the message was taken, its call goes on to wait for that, until its own signal is aborted. */
  readonly until: Until;
  readonly signal: AbortSignal | undefined;
}

/** Of a ready(). */
export const NO_MESSAGE = { payload: undefined, given: false, boundTo: undefined, until: "taken" } as const;

/** A send() that waits for room, or a ready(). */
export interface Waiter extends RoomCall, Member<Waiter> {
  /** Resolves when the message was taken, or with the rest of the call's wait. */
  readonly wait: Wait<unknown>;
}

export interface WaiterServer {
  mayServe(waiter: Waiter): boolean;
  /** The call waits no more. */
  serve(waiter: Waiter): void;
}

/** The calls of one class. */
class ClassLine {
  readonly line: Line<Waiter> = new Line();
  /** The sends among them, and the bytes that they hold. */
  sends = 0;
  bytes = 0;
}

export class Waiters {
  readonly #outbound: Outbound;
  readonly #queue: ResolvedQueue;
  readonly #classes: readonly ClassLine[];
  /** The memory of the messages that wait. */
  #account: Account | undefined;
  /** All calls that wait. */
  size = 0;
  readonly #bound: BoundCount = new BoundCount();

  constructor(outbound: Outbound, queue: ResolvedQueue) {
    this.#outbound = outbound;
    this.#queue = queue;
    this.#classes = (queue.policy?.classes ?? [undefined]).map(() => new ClassLine());
  }

  #classOf(terms: PolicyTerms | undefined): ClassLine {
    return this.#classes[terms?.priority ?? 0] as ClassLine;
  }

  /** Nobody of the same class waits. */
  isFirst(terms: PolicyTerms | undefined): boolean {
    return this.#classOf(terms).line.size === 0;
  }

  /** Rejects QUEUE_FULL if as many wait as may. `onLeft`: the call was aborted. */
  wait(call: RoomCall, onLeft: () => void): Promise<unknown> {
    const { signal, payload, bytes } = call;
    const own = this.#classOf(call.terms);
    if (payload !== undefined && this.#mayNotWait(own, bytes)) {
      const full = new RespliceError("QUEUE_FULL", `${own.sends} sends wait already`, { delivery: "not-sent" });
      return Promise.reject(full);
    }
    const wait: Wait<unknown> = abortableWait(signal, () => {
      this.#leave(waiter);
      onLeft();
      return aborted(signal as AbortSignal, "not-sent");
    });
    const waiter: Waiter = { ...call, wait, before: undefined, after: undefined };
    own.line.append(waiter);
    this.#count(waiter, 1);
    return wait.promise;
  }

  /** One send of a class may always wait; more if the queue's bounds, and the link's share of memory, allow. */
  #mayNotWait(own: ClassLine, bytes: number): boolean {
    const { maxMessages, maxBytes } = this.#queue;
    const { heldBytes, mostBytes } = (this.#account ??= this.#outbound.newAccount());
    if (own.sends >= maxMessages) return true;
    return own.sends > 0 && (own.bytes + bytes > maxBytes || heldBytes + bytes > mostBytes);
  }

  #leave(waiter: Waiter): void {
    this.#classOf(waiter.terms).line.remove(waiter);
    this.#count(waiter, -1);
  }

  #count({ payload, bytes, terms, boundTo }: Waiter, by: 1 | -1): void {
    this.size += by;
    if (by > 0) this.#bound.add(boundTo);
    else this.#bound.remove(boundTo);
    if (payload === undefined) return;
    const own = this.#classOf(terms);
    own.sends += by;
    own.bytes += by * bytes;
    this.#account?.hold(by * bytes);
  }

  /** Hands out one call after another, as long as there is room for the first of a class. */
  serve(server: WaiterServer): void {
    for (const { line } of this.#classes) {
      for (let { first } = line; first !== undefined && server.mayServe(first); first = line.first) {
        this.#leave(first);
        server.serve(first);
      }
    }
  }

  /** Nobody waits any more, or no send(). */
  reject(which: "all" | "sends", error: () => RespliceError): void {
    this.#reject(({ payload }) => which === "all" || payload !== undefined, error);
  }

  /** The connection in use: messages that are for another wait no more. */
  connectionIs(id: number | undefined): void {
    if (!this.#bound.hasOthers(id)) return;
    const isForAnother = ({ boundTo }: Waiter): boolean => boundTo !== undefined && boundTo !== id;
    this.#reject(isForAnother, () => connectionLostError("not-sent"));
  }

  #reject(isMeant: (waiter: Waiter) => boolean, error: () => RespliceError): void {
    for (const { line } of this.#classes) {
      for (const waiter of line) {
        if (!isMeant(waiter)) continue;
        this.#leave(waiter);
        waiter.wait.reject(error());
      }
    }
  }
}
