/** The sending side of a link: takes messages, and keeps the calls that wait for room or for acceptance. */
import { ownCopy } from "../core/wire/bytes.ts";
import { REFERENCE_BYTES } from "../core/log/log.ts";
import type { UndeliveredEntry } from "../core/log/sender.ts";
import type { Account } from "../core/log/window.ts";
import { aborted, type Delivery, RespliceError } from "./errors.ts";
import type { Clock } from "./ports.ts";
import type { Outbound } from "./protocol.ts";
import { Room } from "./room.ts";
import type { Payload, SendOptions, TrySendOptions, WaitOptions } from "./types.ts";
import { keepInPlace } from "./untransferable.ts";
import { abortableWait, type Wait } from "./waits.ts";

const NOTHING: Uint8Array = new Uint8Array(0);

/** A call that waits for the acceptance of everything up to `position` in the current session. */
interface Mark {
  position: number;
  /** A flush waits for all messages before it, a send for its own message. */
  readonly kind: "send" | "flush";
  readonly wait: Wait<void>;
}

/** A send() that waits for room, or a ready(), which has no payload. */
interface Waiter {
  readonly payload: Payload | undefined;
  readonly bytes: number;
  readonly given: boolean;
  /** Resolves with the position where the message ends; for ready() the position is not used. */
  readonly wait: Wait<number>;
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
  #marks: Mark[] = [];
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
    this.#outbound.take(message, bytes, given);
    this.#room.use(bytes);
    this.takenMessages++;
    this.takenBytes += bytes;
    this.#refusedBytes = 0;
    this.#driver.changed("writes");
  }

  async send(message: Payload, options?: SendOptions): Promise<void> {
    const bytes = payloadBytes(message);
    const hasRoom = this.#room.isLeft(bytes) || this.#hasRoom(bytes);
    const signal = options?.signal;
    if (signal?.aborted === true) throw aborted(signal, "not-sent");
    const given = options?.transfer === true && isGiven(message, bytes);
    const untilAccepted = options?.until === "accepted";
    let position: number;
    if (hasRoom) {
      this.#take(message, bytes, given);
      position = this.#outbound.takenTo;
    } else {
      // The caller may change the bytes as soon as send() returns, and they are taken later: so copy them now.
      const payload = given || typeof message === "string" ? message : ownCopy(message);
      position = await this.#waitForRoom(payload, bytes, given || payload !== message, signal);
    }
    if (!untilAccepted) return;
    await this.#waitForAcceptance("send", position, signal);
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
    await this.#waitForRoom(undefined, bytes, false, options?.signal);
  }

  #waitForRoom(
    payload: Payload | undefined,
    bytes: number,
    given: boolean,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    if (payload !== undefined && this.#mayNotWait(bytes)) {
      const full = new RespliceError("QUEUE_FULL", `${this.#waitingSends} sends wait already`, {
        delivery: "not-sent",
      });
      return Promise.reject(full);
    }
    const wait: Wait<number> = abortableWait(signal, () => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      this.#count(waiter, -1);
      this.#driver.changed();
      return aborted(signal as AbortSignal, "not-sent");
    });
    const waiter: Waiter = { payload, bytes, given, wait };
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
    const { takenTo, acceptedTo } = this.#outbound;
    if (takenTo === acceptedTo) return;
    await this.#waitForAcceptance("flush", takenTo, options?.signal);
  }

  /** Waits until the peer has accepted everything up to `position`. */
  #waitForAcceptance(kind: Mark["kind"], position: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#outbound.ended) return Promise.reject(this.#host.endedError());
    this.#outbound.askForAck();
    this.#driver.changed();
    const wait: Wait<void> = abortableWait(signal, () => {
      this.#marks = this.#marks.filter((other) => other !== mark);
      // The message was taken: if the caller sent it again, it might arrive twice.
      const delivery: Delivery = mark.position <= this.#outbound.acceptedTo ? "delivered" : "maybe";
      return aborted(signal as AbortSignal, kind === "send" ? delivery : undefined);
    });
    const mark: Mark = { position, kind, wait };
    this.#marks.push(mark);
    return wait.promise;
  }

  /** A call waits for room. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Settles the waits for which there is room now, and those for messages that were accepted. */
  progress(): void {
    if (this.#marks.length > 0) this.#resolveMarks(this.#outbound.acceptedTo);
    const waiters = this.#waiters;
    let served = 0;
    while (served < waiters.length && this.#serve(waiters[served] as Waiter)) served++;
    if (served > 0) this.#waiters = waiters.slice(served);
  }

  #resolveMarks(acceptedTo: number): void {
    const marks = this.#marks;
    let accepted = 0;
    while (accepted < marks.length && (marks[accepted] as Mark).position <= acceptedTo) accepted++;
    if (accepted > 0) this.#marks = marks.slice(accepted);
    for (let at = 0; at < accepted; at++) (marks[at] as Mark).wait.resolve();
  }

  /** Answers false if the waiter has to go on waiting. */
  #serve(waiter: Waiter): boolean {
    const { payload, bytes } = waiter;
    if (this.#outbound.sendingEnded || !this.#outbound.hasRoom(bytes)) return false;
    if (payload === undefined && this.#room.hasToWait()) return false;
    this.#count(waiter, -1);
    if (payload === undefined || this.#takeWaiting(waiter, payload)) {
      waiter.wait.resolve(this.#outbound.takenTo);
    }
    return true;
  }

  /** Takes the message, unless the ends have meanwhile agreed on a message size that is too small for it. */
  #takeWaiting(waiter: Waiter, payload: Payload): boolean {
    try {
      this.#checkSize(waiter.bytes);
    } catch (error) {
      waiter.wait.reject(error as RespliceError);
      return false;
    }
    this.#take(payload, waiter.bytes, waiter.given);
    return true;
  }

  /**
   * The session was replaced. Calls that wait for messages that were carried over go on waiting; the others are
   * rejected with what is known of their messages. Answers the messages that no call waits for: each is reported once.
   */
  replaced(
    undelivered: readonly UndeliveredEntry[],
    carried: ReadonlyMap<number, number>,
    error: (delivery: Delivery) => RespliceError,
  ): UndeliveredEntry[] {
    this.#madeRoom?.sessionReplaced();
    const known = new Map(undelivered.map(({ end, delivery }) => [end, delivery]));
    const firstEnd = undelivered[0]?.end ?? Infinity;
    const firstInDoubt = undelivered.find(({ delivery }) => delivery === "maybe")?.end ?? Infinity;
    const marks = this.#marks;
    this.#marks = [];
    for (const mark of marks) {
      const { kind, position } = mark;
      // A flush answers for every message before it: the first that is lost or in doubt decides.
      const upTo: Delivery | undefined =
        position >= firstInDoubt ? "maybe" : position >= firstEnd ? "not-sent" : undefined;
      const lost = kind === "send" ? known.get(position) : upTo;
      if (lost === undefined) {
        mark.position = carried.get(position) ?? 0;
        this.#marks.push(mark);
        continue;
      }
      if (kind === "send") known.delete(position);
      mark.wait.reject(error(lost));
    }
    return undelivered.filter(({ end }) => known.has(end));
  }

  /** The direction has ended: rejects the sends that wait for room. */
  sendingEnded(): void {
    this.#madeRoom?.askAgain();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) this.#count(waiter, -1);
    for (const waiter of waiters) waiter.wait.reject(this.#host.endedError());
  }

  /** The link has ended. Answers the undelivered messages that no call waited for. */
  ended(undelivered: readonly UndeliveredEntry[], error: (delivery: Delivery) => RespliceError): UndeliveredEntry[] {
    this.sendingEnded();
    const acceptedTo = this.#outbound.acceptedTo;
    const marks = this.#marks;
    this.#marks = marks.filter(({ position }) => position > acceptedTo);
    for (const mark of marks) if (mark.position <= acceptedTo) mark.wait.resolve();
    return this.replaced(undelivered, new Map(), error);
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
