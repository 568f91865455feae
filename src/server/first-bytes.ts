/**
 * Accepted sockets whose first bytes are awaited: a bound on how many, a time for each, and the address with most of
 * them gives way.
 */
import type { Socket } from "node:net";
import { Crowd } from "../core/server/crowd.ts";
import { ignoreError } from "../io/connection.ts";
import type { Clock, Timer } from "../link/ports.ts";

/** What the bytes say that have come so far. */
export type Said<T> = { state: "incomplete" } | { state: "wrong"; problem: string } | { state: "complete"; value: T };

export interface FirstBytesOptions<T> {
  /** The word for what is awaited. */
  what: string;
  /** `bytes`: all that have come. May be asked again with more of them. */
  read(bytes: Buffer): Said<T>;
  /** From the accepting of the socket. */
  withinMs: number;
  /** The most sockets that are waited for. */
  most: number;
  clock: Clock;
  /** The socket is to be closed. */
  onWrong(socket: Socket, owner: string, problem: string): void;
  /** The same, for lack of room. */
  onCrowdedOut(socket: Socket, owner: string): void;
}

/** `bytes`: all that have come, which are not in the socket any more. */
type Then<T> = (value: T, bytes: Buffer) => void;

export class FirstBytes<T> {
  readonly #options: FirstBytesOptions<T>;
  #most: number;
  readonly #timer: Timer;
  /** Oldest first: all have the same time. */
  readonly #waiting = new Set<Waiting<T>>();
  readonly #byOwner = new Crowd<Waiting<T>>();

  constructor(options: FirstBytesOptions<T>) {
    this.#options = options;
    this.#most = options.most;
    this.#timer = options.clock.timer(() => this.#tick());
  }

  get size(): number {
    return this.#waiting.size;
  }

  setMost(most: number): void {
    this.#most = most;
  }

  /**
   * Reads a socket that nobody has read yet. `owner`: the address by which it is counted. `then` is called later, and not
   * at all for a socket that is closed. Until then an 'error' of the socket does no harm.
   */
  await(socket: Socket, owner: string, then: Then<T>): void {
    const { what, withinMs, clock } = this.#options;
    if (this.size >= this.#most) this.#makeRoom();
    const waiting = new Waiting(socket, owner, clock.now() + withinMs, {
      read: (bytes) => this.#options.read(bytes),
      onComplete: (value, bytes) => {
        this.#forget(waiting);
        then(value, bytes);
      },
      onWrong: (problem) => this.#wrong(waiting, problem),
      onEnded: (hasBegun) => {
        if (hasBegun) return this.#wrong(waiting, `ended within the ${what}`);
        // It has said nothing, as the probes of some balancers do.
        this.#forget(waiting);
        socket.destroy();
      },
    });
    this.#waiting.add(waiting);
    this.#byOwner.add(owner, waiting);
    if (this.size === 1) this.#timer.set(waiting.untilMs);
  }

  /** Whoever means it begins at once: so the oldest socket gives way, of the owner with most of them. */
  #makeRoom(): void {
    const [oldest] = this.#byOwner.largest;
    if (oldest === undefined) return;
    this.#forget(oldest);
    this.#options.onCrowdedOut(oldest.socket, oldest.owner);
  }

  #wrong(waiting: Waiting<T>, problem: string): void {
    this.#forget(waiting);
    this.#options.onWrong(waiting.socket, waiting.owner, problem);
  }

  #forget(waiting: Waiting<T>): void {
    waiting.stop();
    this.#waiting.delete(waiting);
    this.#byOwner.delete(waiting.owner, waiting);
  }

  #tick(): void {
    const nowMs = this.#options.clock.now();
    for (const waiting of this.#waiting) {
      if (waiting.untilMs > nowMs) return this.#timer.set(waiting.untilMs);
      this.#wrong(waiting, `no whole ${this.#options.what} within ${this.#options.withinMs} ms`);
    }
  }

  destroyAll(): void {
    this.#timer.clear();
    for (const waiting of this.#waiting) {
      this.#forget(waiting);
      waiting.socket.destroy();
    }
  }
}

interface Reader<T> {
  read(bytes: Buffer): Said<T>;
  onComplete(value: T, bytes: Buffer): void;
  onWrong(problem: string): void;
  /** The peer has gone. `hasBegun`: it had said something. */
  onEnded(hasBegun: boolean): void;
}

class Waiting<T> {
  readonly socket: Socket;
  readonly owner: string;
  readonly untilMs: number;
  readonly #reader: Reader<T>;
  #bytes: Buffer | undefined;

  constructor(socket: Socket, owner: string, untilMs: number, reader: Reader<T>) {
    this.socket = socket;
    this.owner = owner;
    this.untilMs = untilMs;
    this.#reader = reader;
    // Not 'data': after that an http server would find the socket paused.
    socket.on("readable", this.#onReadable);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
    socket.on("error", ignoreError);
  }

  readonly #onReadable = (): void => {
    const chunk = this.socket.read() as Buffer | null;
    if (chunk === null) return;
    const bytes = this.#bytes === undefined ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#bytes = bytes;
    const said = this.#reader.read(bytes);
    if (said.state === "wrong") this.#reader.onWrong(said.problem);
    else if (said.state === "complete") this.#reader.onComplete(said.value, bytes);
  };

  readonly #onEnd = (): void => this.#reader.onEnded(this.#bytes !== undefined);

  /** Leaves the socket to others. */
  stop(): void {
    this.socket.off("readable", this.#onReadable);
    this.socket.off("end", this.#onEnd);
    this.socket.off("close", this.#onEnd);
    this.socket.off("error", ignoreError);
  }
}
