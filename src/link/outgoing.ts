/** The sending side of a link: takes messages, and keeps the calls that wait for room or for acceptance. */
import { ownCopy } from "../core/wire/bytes.ts";
import { REFERENCE_BYTES } from "../core/log/log.ts";
import type { UndeliveredEntry } from "../core/log/sender.ts";
import type { Account } from "../core/log/window.ts";
import { aborted, type Delivery, RespliceError } from "./errors.ts";
import type { Clock } from "./ports.ts";
import type { LostTicket, Outbound, Ticket } from "./protocol.ts";
import { Room } from "./room.ts";
import type { Payload, SendOptions, TrySendOptions, WaitOptions } from "./types.ts";
import { keepInPlace } from "./untransferable.ts";
import { abortableWait, type Wait } from "./waits.ts";

const NOTHING: Uint8Array = new Uint8Array(0);

/** A send() that waits for room, or a ready(), which has no payload. */
interface Waiter {
  readonly payload: Payload | undefined;
  readonly bytes: number;
  readonly given: boolean;
  /** When the message was taken, its send() goes on to wait for acceptance, until its own signal is aborted. */
  readonly thenAccepted: boolean;
  readonly signal: AbortSignal | undefined;
  /** Resolves when the message was taken, or with the wait for its acceptance. */
  readonly wait: Wait<void>;
}

/** The driver of the link. */
export interface OutgoingDriver {
  readonly clock: Pick<Clock, "afterPoll">;
  /** "writes": something was taken, and nothing else has changed. */
  changed(what?: "writes"): void;
}

export interface OutgoingHost {
  /** The error that calls get once nothing can be sent any more. */
  endedError(): RespliceError;
}

export class Outgoing {
  readonly #outbound: Outbound;
  readonly #driver: OutgoingDriver;
  readonly #queue: { maxMessages: number; maxBytes: number };
  /** The largest chunk in mode "bytes", where the ends agree on no message size. */
  readonly #maxChunkBytes: number;
  readonly #host: OutgoingHost;
  #waiters: Waiter[] = [];
  /** The sends among the waiters, and the bytes that they hold. One may always wait; more if queue and share allow. */
  #waitingSends = 0;
  #waiting: Account | undefined;
  /** The calls that wait for acceptance. */
  readonly #accepting = new Map<Ticket, Wait<void>>();
  /** The size of the message that trySend() last refused: ready() waits for as much room. */
  #refusedBytes = 0;
  /** Made when the first message is sent: most links of a large server send little. */
  #madeRoom: Room | undefined;
  takenMessages = 0;
  takenBytes = 0;

  constructor(
    outbound: Outbound,
    queue: { maxMessages: number; maxBytes: number },
    driver: OutgoingDriver,
    host: OutgoingHost,
  ) {
    this.#outbound = outbound;
    this.#driver = driver;
    this.#queue = queue;
    this.#maxChunkBytes = queue.maxBytes;
    this.#host = host;
  }

  get #room(): Room {
    return (this.#madeRoom ??= new Room(this.#outbound, this.#driver.clock, this.#driver));
  }

  trySend(message: Payload, options?: TrySendOptions): boolean {
    const bytes = payloadBytes(message);
    if (!this.#room.isLeft(bytes) && !(this.#hasRoom(bytes) && this.#room.mayGoOn(this.#mostBytes))) {
      this.#refusedBytes = bytes;
      return false;
    }
    this.#take(message, bytes, options !== undefined && options.transfer === true && isGiven(message, bytes));
    return true;
  }

  /** Throws when no message of so many bytes will ever be taken. */
  #hasRoom(bytes: number): boolean {
    if (this.#outbound.sendingEnded) throw this.#host.endedError();
    this.#checkSize(bytes);
    return this.#waiters.length === 0 && this.#outbound.hasRoom(bytes);
  }

  get #mostBytes(): number {
    const { mode, maxMessageBytes } = this.#outbound;
    return mode === "messages" ? maxMessageBytes : this.#maxChunkBytes;
  }

  #checkSize(bytes: number): void {
    const most = this.#mostBytes;
    if (bytes <= most) return;
    throw new RespliceError("MESSAGE_TOO_LARGE", `a message of ${bytes} bytes; at most ${most}`, {
      delivery: "not-sent",
    });
  }

  #take(message: Payload, bytes: number, given: boolean): void {
    this.#append(message, bytes, given);
    this.#driver.changed("writes");
  }

  /** Takes a message, and waits for its acceptance. */
  #takeAndWait(message: Payload, bytes: number, given: boolean, signal: AbortSignal | undefined): Promise<void> {
    this.#append(message, bytes, given);
    // The ticket is issued before anything is written: an application's transport may end the link in its write().
    const accepted = this.#waitForAcceptance("message", signal);
    this.#driver.changed("writes");
    return accepted;
  }

  #append(message: Payload, bytes: number, given: boolean): void {
    this.#outbound.take(message, bytes, given);
    this.#room.use(bytes);
    this.takenMessages++;
    this.takenBytes += bytes;
    this.#refusedBytes = 0;
  }

  async send(message: Payload, options?: SendOptions): Promise<void> {
    const bytes = payloadBytes(message);
    const hasRoom = this.#room.isLeft(bytes) || this.#hasRoom(bytes);
    const signal = options?.signal;
    if (signal?.aborted === true) throw aborted(signal, "not-sent");
    const given = options?.transfer === true && isGiven(message, bytes);
    const thenAccepted = options?.until === "accepted";
    if (hasRoom && thenAccepted) return this.#takeAndWait(message, bytes, given, signal);
    if (hasRoom) return this.#take(message, bytes, given);
    // The caller may change the bytes as soon as send() returns, and they are taken later: so copy them now.
    const payload = given || typeof message === "string" ? message : ownCopy(message);
    await this.#waitForRoom({ payload, bytes, given: given || payload !== message, thenAccepted, signal });
  }

  /**
   * Whether a paced sender has to wait now. progress() is called when the turn is over, or the connection takes more.
   */
  hasToWait(): boolean {
    return this.#room.hasToWait();
  }

  async ready(options: WaitOptions | undefined): Promise<void> {
    if (this.#outbound.sendingEnded) throw this.#host.endedError();
    if (options?.signal?.aborted === true) throw aborted(options.signal);
    const bytes = this.#refusedBytes;
    const isAhead = this.#room.pace();
    if (!isAhead && this.#waiters.length === 0 && this.#outbound.hasRoom(bytes)) return;
    await this.#waitForRoom({ payload: undefined, bytes, given: false, thenAccepted: false, signal: options?.signal });
  }

  #waitForRoom(call: Omit<Waiter, "wait">): Promise<void> {
    const { payload, bytes, signal } = call;
    if (payload !== undefined && this.#mayNotWait(bytes)) {
      const full = new RespliceError("QUEUE_FULL", `${this.#waitingSends} sends wait already`, {
        delivery: "not-sent",
      });
      return Promise.reject(full);
    }
    const wait: Waiter["wait"] = abortableWait(signal, () => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      this.#count(waiter, -1);
      this.#driver.changed();
      return aborted(signal as AbortSignal, "not-sent");
    });
    const waiter: Waiter = { ...call, wait };
    this.#waiters.push(waiter);
    this.#count(waiter, 1);
    this.#room.askAgain();
    return wait.promise;
  }

  #mayNotWait(bytes: number): boolean {
    const { maxMessages, maxBytes } = this.#queue;
    const { heldBytes, mostBytes } = (this.#waiting ??= this.#outbound.newAccount());
    return (
      this.#waitingSends >= maxMessages || (this.#waitingSends > 0 && heldBytes + bytes > Math.min(maxBytes, mostBytes))
    );
  }

  #count({ payload, bytes }: Waiter, by: 1 | -1): void {
    if (payload === undefined) return;
    this.#waitingSends += by;
    this.#waiting?.hold(by * bytes);
  }

  async flush(options: WaitOptions | undefined): Promise<void> {
    if (options?.signal?.aborted === true) throw aborted(options.signal);
    if (this.#outbound.unackedBytes === 0) return;
    if (this.#outbound.ended) throw this.#host.endedError();
    const accepted = this.#waitForAcceptance("everything", options?.signal);
    this.#driver.changed();
    await accepted;
  }

  /** Waits until the peer has accepted the message that was taken last, or everything taken so far. */
  #waitForAcceptance(covers: "message" | "everything", signal: AbortSignal | undefined): Promise<void> {
    const ticket = this.#outbound.ticket(covers);
    const wait: Wait<void> = abortableWait(signal, () => {
      this.#accepting.delete(ticket);
      // The message was taken: if the caller sent it again, it might arrive twice.
      const delivery: Delivery = this.#outbound.withdraw(ticket) ? "delivered" : "maybe";
      return aborted(signal as AbortSignal, covers === "message" ? delivery : undefined);
    });
    this.#accepting.set(ticket, wait);
    return wait.promise;
  }

  /** A call waits for room. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Settles the waits for which there is room now, and those for messages that were accepted. */
  progress(): void {
    this.#resolveDelivered();
    const waiters = this.#waiters;
    let served = 0;
    while (served < waiters.length && this.#serve(waiters[served] as Waiter)) served++;
    if (served > 0) this.#waiters = waiters.slice(served);
  }

  #resolveDelivered(): void {
    if (this.#accepting.size === 0) return;
    for (const ticket of this.#outbound.takeDelivered()) {
      this.#accepting.get(ticket)?.resolve();
      this.#accepting.delete(ticket);
    }
  }

  /** Answers false if the waiter has to go on waiting. */
  #serve(waiter: Waiter): boolean {
    const { payload, bytes } = waiter;
    if (this.#outbound.sendingEnded || !this.#outbound.hasRoom(bytes)) return false;
    if (payload === undefined && this.#room.hasToWait()) return false;
    this.#count(waiter, -1);
    if (payload === undefined) waiter.wait.resolve();
    else this.#takeWaiting(waiter, payload);
    return true;
  }

  /**
   * Takes the message, unless the ends have meanwhile agreed on a message size that is too small for it, or it cannot be
   * framed.
   */
  #takeWaiting({ bytes, given, thenAccepted, signal, wait }: Waiter, payload: Payload): void {
    try {
      this.#checkSize(bytes);
      if (thenAccepted) return wait.resolve(this.#takeAndWait(payload, bytes, given, signal));
      this.#take(payload, bytes, given);
    } catch (error) {
      return wait.reject(error as RespliceError);
    }
    wait.resolve();
  }

  /**
   * The session was replaced. Rejects the calls whose messages are lost; those for messages that go on wait on. Answers
   * the messages whose calls were aborted meanwhile.
   */
  replaced(lost: readonly LostTicket[], error: (delivery: Delivery) => RespliceError): UndeliveredEntry[] {
    this.#madeRoom?.askAgain();
    this.#resolveDelivered();
    const abandoned: UndeliveredEntry[] = [];
    for (const { ticket, delivery, entry } of lost) {
      const wait = this.#accepting.get(ticket);
      this.#accepting.delete(ticket);
      if (wait !== undefined) wait.reject(error(delivery));
      else if (entry !== undefined) abandoned.push(entry);
    }
    return abandoned;
  }

  /** The direction has ended: rejects the sends that wait for room. */
  sendingEnded(): void {
    this.#madeRoom?.askAgain();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) this.#count(waiter, -1);
    for (const waiter of waiters) waiter.wait.reject(this.#host.endedError());
  }

  /** The link has ended: nobody waits any more. Answers the messages whose calls were aborted meanwhile. */
  ended(lost: readonly LostTicket[], error: (delivery: Delivery) => RespliceError): UndeliveredEntry[] {
    this.sendingEnded();
    return this.replaced(lost, error);
  }
}

/**
 * The size of a payload. Throws for a value that could not be copied: a failure while copying would leave part of it
 * in the log.
 */
function payloadBytes(message: Payload): number {
  if (typeof message === "string") return Buffer.byteLength(message);
  if (!(message instanceof Uint8Array)) {
    throw new RespliceError("INVALID_ARGUMENT", "a message is a string or a Uint8Array; JSON.stringify() objects");
  }
  const { byteLength } = message;
  if (byteLength === 0) checkAttached(message);
  return byteLength;
}

/**
 * Throws if the view's ArrayBuffer was transferred elsewhere, or has become too small: such a view looks like an empty
 * one.
 */
function checkAttached(message: Uint8Array): void {
  try {
    NOTHING.set(message);
  } catch (cause) {
    const what = "the message is empty since its ArrayBuffer was transferred elsewhere, or made smaller";
    throw new RespliceError("INVALID_ARGUMENT", what, { cause, delivery: "not-sent" });
  }
}

/** The payload is large enough for a log to refer to it, and its memory cannot change its size; else it is copied. */
function isGiven(message: Payload, bytes: number): boolean {
  if (typeof message === "string" || bytes < REFERENCE_BYTES) return false;
  const { buffer } = message;
  if (!(buffer instanceof ArrayBuffer) || buffer.resizable) return false;
  keepInPlace(message.buffer);
  return true;
}
