/** The listening sockets, TCP or TLS. Hands over each accepted connection, and with TLS reports when it is secured. */
import type net from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions, TlsOptions } from "node:tls";
import { ignoreError, StreamConnection } from "../io/connection.ts";
import { remoteAddressOf } from "../io/remote-address.ts";
import { destroy, whenDestroyed } from "../io/destroy.ts";
import { discard } from "../io/fitness.ts";
import { RespliceError } from "../link/errors.ts";
import type { ListenerFilter } from "./listener-filter.ts";
import { Acceptors, type AcceptorsHost } from "./listening/acceptors.ts";
import { TlsHandshakes, type TlsTerms } from "./tls-handshakes.ts";

export interface ListenerOptions extends TlsTerms {
  tls: TlsOptions | false;
  /** The first step of each accepted socket. */
  filter: ListenerFilter;
  /** How its addresses are kept, and who is told of it. */
  keeping: Omit<AcceptorsHost, "sockets" | "onSocket">;
}

export class Listener {
  readonly #options: ListenerOptions;
  /** Where it listens. */
  readonly acceptors: Acceptors;
  /** Undefined: without TLS. */
  readonly #handshakes: TlsHandshakes | undefined;
  readonly #streams = new Set<Duplex>();
  /** One listener function for all streams. */
  readonly #onClosed: (this: Duplex) => void;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const streams = this.#streams;
    this.#onClosed = function onClosed() {
      streams.delete(this);
    };
    const { tls, allowHalfOpen } = options;
    this.#handshakes = tls === false ? undefined : new TlsHandshakes(tls, options);
    // TLS options may have options of the sockets, too. With TLS a client that ends within the handshake is gone.
    const ofSockets = tls === false ? { allowHalfOpen } : tls;
    this.acceptors = new Acceptors({
      ...options.keeping,
      sockets: { ...ofSockets, noDelay: true },
      onSocket: (socket) => this.take(socket),
    });
  }

  /** A socket that was accepted here, or by a router that has handed it over. */
  take(socket: net.Socket): void {
    this.#options.filter.pass(socket, (remoteAddress) => this.#letIn(socket, remoteAddress));
  }

  /**
   * Connections that are accepted and not closed, including those that were told why they will be closed. Those that
   * the filter holds still are not counted.
   */
  get streams(): number {
    return this.#streams.size;
  }

  /**
   * A stream that was connected elsewhere. The caller has checked that it can serve as a connection. Throws
   * INVALID_ARGUMENT if it cannot be read all the same, and then it is destroyed.
   */
  accept(stream: Duplex, remoteAddress: string = remoteAddressOf(stream)): void {
    if (!this.#options.filter.admits(remoteAddress)) return discard(stream);
    let connection: StreamConnection;
    this.track(stream);
    whenDestroyed(stream, this.#onClosed);
    try {
      if (this.#options.allowHalfOpen) stream.allowHalfOpen = true;
      connection = new StreamConnection(stream, false, remoteAddress);
    } catch (cause) {
      destroy(stream);
      throw new RespliceError("INVALID_ARGUMENT", "accept() was given a stream that cannot be read", { cause });
    }
    // A stream may end when it begins to flow.
    if (this.#streams.has(stream)) this.#options.accept(connection);
  }

  #letIn(socket: net.Socket, remoteAddress: string): void {
    this.track(socket);
    if (this.#handshakes === undefined) this.#options.accept(new StreamConnection(socket, true, remoteAddress));
    else this.#handshakes.begin(socket, remoteAddress);
  }

  /** Counts the stream until it is closed, and destroys it with the others. */
  track(stream: Duplex): void {
    stream.on("error", ignoreError);
    this.#streams.add(stream);
    stream.on("close", this.#onClosed);
  }

  /** Throws INVALID_OPTION, and INVALID_STATE without TLS. */
  setSecureContext(options: SecureContextOptions): void {
    if (this.#handshakes === undefined) throw new RespliceError("INVALID_STATE", "the server does not use TLS");
    this.#handshakes.setSecureContext(options);
  }

  destroyAll(): void {
    this.#options.filter.destroyAll();
    for (const stream of this.#streams) destroy(stream);
  }
}
