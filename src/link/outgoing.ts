/** The sending face of a link: who waits for room, and who waits for acceptance. */
import type { LinkCore } from "../core/link-core.ts";
import type { UndeliveredEntry } from "../core/sender.ts";
import { aborted, type Delivery, RespliceError } from "./errors.ts";
import { Room } from "./room.ts";
import type { Payload, SendOptions, TrySendOptions, WaitOptions } from "./types.ts";

/** Waits for the acceptance of everything up to `position` of the current session's log. */
interface Mark {
  position: number;
  /** What the message takes in the log. */
  readonly bytes: number;
  /** A flush stands for all messages before it, a send for its own. */
  readonly kind: "send" | "flush";
  readonly resolve: () => void;
  readonly reject: (error: RespliceError) => void;
}

/** A send that waits for room, or somebody who only wants to know of room. */
interface Waiter {
  readonly payload: Payload | undefined;
  readonly bytes: number;
  readonly given: boolean;
  /** With the position after it, or that of the end of the log. */
  readonly taken: (position: number) => void;
  readonly reject: (error: RespliceError) => void;
}

export interface OutgoingHost {
  /** Something was taken. */
  changed(): void;
  /** The error that calls get once nothing can be sent any more. */
  endedError(): RespliceError;
}

export class Outgoing {
  readonly #core: LinkCore;
  readonly #maxWaiters: number;
  /** Of a chunk in mode "bytes", where no message size is agreed. */
  readonly #maxChunkBytes: number;
  readonly #host: OutgoingHost;
  #waiters: Waiter[] = [];
  #marks: Mark[] = [];
  /** What trySend() last had no room for: ready() waits for as much. */
  #refusedBytes = 0;
  readonly #room: Room;
  takenMessages = 0;
  takenBytes = 0;

  constructor(core: LinkCore, queue: { maxMessages: number; maxBytes: number }, host: OutgoingHost) {
    this.#core = core;
    this.#room = new Room(core);
    this.#maxWaiters = queue.maxMessages;
    this.#maxChunkBytes = queue.maxBytes;
    this.#host = host;
  }

  trySend(message: Payload, options: TrySendOptions | undefined): boolean {
    const bytes = payloadBytes(message);
    if (!this.#room.isLeft(bytes) && !(this.#hasRoom(bytes) && this.#room.mayGoOn(this.#mostBytes))) {
      this.#refusedBytes = bytes;
      return false;
    }
    this.#take(message, bytes, options !== undefined && options.transfer === true);
    return true;
  }

  /** Throws when no message of so many bytes will ever be taken. */
  #hasRoom(bytes: number): boolean {
    if (this.#core.sendingEnded) throw this.#host.endedError();
    this.#checkSize(bytes);
    return this.#waiters.length === 0 && this.#core.hasRoom(bytes);
  }

  get #mostBytes(): number {
    const { maxMessageBytes, session } = this.#core;
    return session.sender.log.mode === "messages" ? maxMessageBytes : this.#maxChunkBytes;
  }

  #checkSize(bytes: number): void {
    const most = this.#mostBytes;
    if (bytes <= most) return;
    throw new RespliceError("MESSAGE_TOO_LARGE", `a message of ${bytes} bytes; at most ${most}`, {
      delivery: "not-sent",
    });
  }

  #take(message: Payload, bytes: number, given: boolean): void {
    this.#core.take(message, bytes, given);
    this.#room.use(bytes);
    this.takenMessages++;
    this.takenBytes += bytes;
    this.#refusedBytes = 0;
    this.#host.changed();
  }

  async send(message: Payload, options: SendOptions | undefined): Promise<void> {
    const bytes = payloadBytes(message);
    const hasRoom = this.#room.isLeft(bytes) || this.#hasRoom(bytes);
    const signal = options?.signal;
    if (signal?.aborted === true) throw aborted(signal, "not-sent");
    const given = options?.transfer === true;
    const untilAccepted = options?.until === "accepted";
    let position: number;
    if (hasRoom) {
      this.#take(message, bytes, given);
      position = this.#core.session.sender.log.end;
    } else {
      // The caller may change the bytes as soon as we return, which is before they are taken.
      const payload = given || typeof message === "string" ? message : Buffer.from(message);
      position = await this.#waitForRoom(payload, bytes, given || payload !== message, signal);
    }
    if (!untilAccepted) return;
    await this.#waitForAcceptance("send", position, this.#core.session.sender.log.encodedBytes(bytes), signal);
  }

  async ready(options: WaitOptions | undefined): Promise<void> {
    if (this.#core.sendingEnded) throw this.#host.endedError();
    if (options?.signal?.aborted === true) throw aborted(options.signal);
    const bytes = this.#refusedBytes;
    const isAhead = this.#room.pace();
    if (!isAhead && this.#waiters.length === 0 && this.#core.hasRoom(bytes)) return;
    await this.#waitForRoom(undefined, bytes, false, options?.signal);
  }

  #waitForRoom(
    payload: Payload | undefined,
    bytes: number,
    given: boolean,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    if (this.#waiters.length >= this.#maxWaiters) {
      const full = new RespliceError("QUEUE_FULL", `${this.#waiters.length} sends wait already`, {
        delivery: "not-sent",
      });
      return Promise.reject(full);
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(aborted(signal as AbortSignal, "not-sent"));
        this.#host.changed();
      };
      const settle = (): void => signal?.removeEventListener("abort", onAbort);
      const waiter: Waiter = {
        payload,
        bytes,
        given,
        taken: (position) => {
          settle();
          resolve(position);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiters.push(waiter);
      this.#room.askAgain();
    });
  }

  async flush(options: WaitOptions | undefined): Promise<void> {
    if (options?.signal?.aborted === true) throw aborted(options.signal);
    if (this.#core.session.sender.unackedBytes === 0) return;
    await this.#waitForAcceptance("flush", this.#core.session.sender.log.end, 0, options?.signal);
  }

  /** Of everything up to `position`. */
  #waitForAcceptance(
    kind: Mark["kind"],
    position: number,
    bytes: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { sender } = this.#core.session;
    if (this.#core.ended) return Promise.reject(this.#host.endedError());
    sender.askForAck();
    this.#host.changed();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#marks = this.#marks.filter((other) => other !== mark);
        const { sender: now } = this.#core.session;
        const written: Delivery = now.wasWritten(mark.position - mark.bytes) ? "maybe" : "not-sent";
        const delivery = mark.position <= now.log.start ? "delivered" : written;
        reject(aborted(signal as AbortSignal, kind === "send" ? delivery : undefined));
      };
      const settle = (): void => signal?.removeEventListener("abort", onAbort);
      const mark: Mark = {
        position,
        bytes,
        kind,
        resolve: () => {
          settle();
          resolve();
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#marks.push(mark);
    });
  }

  /** Somebody waits for room. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Looks whether there is room, and what has been accepted. */
  progress(): void {
    const { sender } = this.#core.session;
    while (this.#marks.length > 0 && (this.#marks[0] as Mark).position <= sender.log.start) {
      (this.#marks.shift() as Mark).resolve();
    }
    while (this.#waiters.length > 0) {
      const waiter = this.#waiters[0] as Waiter;
      if (this.#core.sendingEnded || !this.#core.hasRoom(waiter.bytes)) return;
      if (waiter.payload === undefined && this.#room.isFarAhead) return;
      this.#waiters.shift();
      if (waiter.payload !== undefined && !this.#takeWaiting(waiter, waiter.payload)) continue;
      waiter.taken(sender.log.end);
    }
  }

  /** What the ends have agreed on since it began to wait may be less than it needs. */
  #takeWaiting(waiter: Waiter, payload: Payload): boolean {
    try {
      this.#checkSize(waiter.bytes);
    } catch (error) {
      waiter.reject(error as RespliceError);
      return false;
    }
    this.#take(payload, waiter.bytes, waiter.given);
    return true;
  }

  /**
   * The session was replaced: those who wait for messages that were carried over wait on, the others hear what is known.
   * Answers the messages that nobody waits for: each is reported once.
   */
  replaced(
    undelivered: readonly UndeliveredEntry[],
    carried: ReadonlyMap<number, number>,
    error: (delivery: Delivery) => RespliceError,
  ): UndeliveredEntry[] {
    this.#room.askAgain();
    const claimed = new Set<number>();
    const marks = this.#marks;
    this.#marks = [];
    for (const mark of marks) {
      const lost = undelivered.filter(({ end }) =>
        mark.kind === "send" ? end === mark.position : end <= mark.position,
      );
      const [first] = lost;
      if (first === undefined) {
        mark.position = carried.get(mark.position) ?? 0;
        this.#marks.push(mark);
        continue;
      }
      if (mark.kind === "send") claimed.add(mark.position);
      mark.reject(error(lost.some(({ delivery }) => delivery === "maybe") ? "maybe" : "not-sent"));
    }
    return undelivered.filter(({ end }) => !claimed.has(end));
  }

  /** Sends that wait for room on a direction that has ended. */
  sendingEnded(): void {
    this.#room.askAgain();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(this.#host.endedError());
  }

  /** The link has ended. Answers the messages that nobody waited for. */
  ended(undelivered: readonly UndeliveredEntry[], error: (delivery: Delivery) => RespliceError): UndeliveredEntry[] {
    this.sendingEnded();
    const acceptedTo = this.#core.session.sender.log.start;
    const marks = this.#marks;
    this.#marks = marks.filter(({ position }) => position > acceptedTo);
    for (const mark of marks) if (mark.position <= acceptedTo) mark.resolve();
    return this.replaced(undelivered, new Map(), error);
  }
}

function payloadBytes(message: Payload): number {
  if (typeof message === "string") return Buffer.byteLength(message);
  if (message instanceof Uint8Array) return message.byteLength;
  throw new RespliceError("INVALID_ARGUMENT", "a message is a string or a Uint8Array; JSON.stringify() objects");
}
