/** Accepted sockets whose PROXY header is awaited: the balancers that are trusted begin each connection with one. */
import type { Socket } from "node:net";
import { Crowd } from "../core/server/crowd.ts";
import type { AddressList } from "../io/address-list.ts";
import { ignoreError, remoteAddressOf } from "../io/connection.ts";
import { readProxyHeader } from "../io/proxy-protocol.ts";
import type { Clock, Timer } from "../link/ports.ts";

export interface ProxyHeadersOptions {
  /** The balancers that are believed in what they say of clients' addresses. */
  trusted: AddressList;
  /** From the accepting of the socket to the end of its header. */
  withinMs: number;
  /** The most sockets whose header is awaited. */
  most: number;
  clock: Clock;
  /** The socket is to be closed. `source` is its own address. */
  onWrong(socket: Socket, source: string, problem: string): void;
  /** The same, for lack of room. */
  onCrowdedOut(socket: Socket, source: string): void;
}

/** Called with the client's address, when everything that has come behind the header can be read. */
type Then = (remoteAddress: string) => void;

export class ProxyHeaders {
  readonly #options: ProxyHeadersOptions;
  #most: number;
  readonly #timer: Timer;
  /** Oldest first: all have the same time. */
  readonly #waiting = new Set<Waiting>();
  readonly #bySource = new Crowd<Waiting>();

  constructor(options: ProxyHeadersOptions) {
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
   * Reads the header of a socket that nobody has read yet. `then` is called later, and not at all for a socket that is
   * closed. Until then an 'error' of the socket does no harm.
   */
  read(socket: Socket, then: Then): void {
    const { trusted, withinMs, clock } = this.#options;
    const source = remoteAddressOf(socket);
    if (trusted.has(source) !== true) return this.#options.onWrong(socket, source, "not from a trusted network");
    if (this.size >= this.#most) this.#makeRoom();
    const waiting = new Waiting(socket, source, clock.now() + withinMs, {
      onHeader: (client) => {
        this.#forget(waiting);
        then(client ?? source);
      },
      onWrong: (problem) => this.#wrong(waiting, problem),
      onGone: () => this.#forget(waiting),
    });
    this.#waiting.add(waiting);
    this.#bySource.add(source, waiting);
    if (this.size === 1) this.#timer.set(waiting.untilMs);
  }

  /** A balancer sends its header at once: so the oldest socket gives way, of the source with most of them. */
  #makeRoom(): void {
    const [oldest] = this.#bySource.largest;
    if (oldest === undefined) return;
    this.#forget(oldest);
    this.#options.onCrowdedOut(oldest.socket, oldest.source);
  }

  #wrong(waiting: Waiting, problem: string): void {
    this.#forget(waiting);
    this.#options.onWrong(waiting.socket, waiting.source, problem);
  }

  #forget(waiting: Waiting): void {
    waiting.stop();
    this.#waiting.delete(waiting);
    this.#bySource.delete(waiting.source, waiting);
  }

  #tick(): void {
    const nowMs = this.#options.clock.now();
    for (const waiting of this.#waiting) {
      if (waiting.untilMs > nowMs) return this.#timer.set(waiting.untilMs);
      this.#wrong(waiting, `no whole header within ${this.#options.withinMs} ms`);
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

interface Reader {
  /** `client`: undefined if the header names none. */
  onHeader(client: string | undefined): void;
  onWrong(problem: string): void;
  /** The peer has gone, and has said nothing, as the probes of some balancers do. */
  onGone(): void;
}

class Waiting {
  readonly socket: Socket;
  readonly source: string;
  readonly untilMs: number;
  readonly #reader: Reader;
  #bytes: Buffer | undefined;

  constructor(socket: Socket, source: string, untilMs: number, reader: Reader) {
    this.socket = socket;
    this.source = source;
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
    const header = readProxyHeader(bytes);
    switch (header.state) {
      case "incomplete":
        this.#bytes = bytes;
        break;
      case "wrong":
        this.#reader.onWrong(header.problem);
        break;
      case "complete":
        if (bytes.length > header.length) this.socket.unshift(bytes.subarray(header.length));
        this.#reader.onHeader(header.source);
        break;
    }
  };

  readonly #onEnd = (): void => {
    if (this.#bytes !== undefined) return this.#reader.onWrong("ended within the header");
    this.#reader.onGone();
    this.socket.destroy();
  };

  /** Leaves the socket to others. */
  stop(): void {
    this.socket.off("readable", this.#onReadable);
    this.socket.off("end", this.#onEnd);
    this.socket.off("close", this.#onEnd);
    this.socket.off("error", ignoreError);
  }
}
