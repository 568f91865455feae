/** The listening socket, TCP or TLS. Hands over each accepted connection, and with TLS reports when it is secured. */
import net from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions, TlsOptions } from "node:tls";
import { destroy, discard, ignoreError, remoteAddressOf, StreamConnection, whenDestroyed } from "../io/connection.ts";
import { RespliceError } from "../link/errors.ts";
import type { ListenerFilter } from "./listener-filter.ts";
import { TlsHandshakes, type TlsTerms } from "./tls-handshakes.ts";

type Where = { port: number; host?: string } | { path: string };

export interface ListenerOptions extends TlsTerms {
  tls: TlsOptions | false;
  /** The first step of each accepted socket. */
  filter: ListenerFilter;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: net.Server;
  /** Undefined: without TLS. */
  readonly #handshakes: TlsHandshakes | undefined;
  readonly #streams = new Set<Duplex>();
  #accepted = 0;
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
    this.#server = net.createServer({ ...ofSockets, noDelay: true }, (socket) => this.take(socket));
  }

  /** A socket that was accepted here, or by a router that has handed it over. */
  take(socket: net.Socket): void {
    this.#accepted++;
    this.#options.filter.pass(socket, (remoteAddress) => this.#letIn(socket, remoteAddress));
  }

  /**
   * Connections that are accepted and not closed, including those that were told why they will be closed. Those that
   * the filter holds still are not counted.
   */
  get streams(): number {
    return this.#streams.size;
  }

  /** How many sockets the listener has accepted so far. */
  get accepted(): number {
    return this.#accepted;
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

  /** Rejects LISTEN_FAILED. */
  listen(where: Where): Promise<{ host: string; port: number }> {
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, where));
      this.#server.once("error", onError);
      this.#server.once("close", () => reject(new RespliceError("INVALID_STATE", "closed before it listened")));
      this.#server.listen(where, () => {
        this.#server.off("error", onError);
        const address = this.#server.address();
        if (typeof address === "object" && address !== null) resolve({ host: address.address, port: address.port });
        else resolve({ host: address ?? "", port: 0 });
      });
    });
  }

  /** Called after the server has begun to listen. */
  onError(listener: (error: Error) => void): void {
    this.#server.on("error", listener);
  }

  stopListening(): void {
    this.#server.close();
  }

  destroyAll(): void {
    this.#options.filter.destroyAll();
    for (const stream of this.#streams) destroy(stream);
  }
}

export function listenError(error: NodeJS.ErrnoException, where: Where): RespliceError {
  const place = "path" in where ? where.path : `port ${where.port}`;
  const advice: Record<string, string> = {
    EADDRINUSE: "another process listens there: stop it, or choose another",
    EACCES: "not permitted: choose a port above 1023, or a path that may be written",
    EADDRNOTAVAIL: "this machine has no such address: check the option host",
  };
  const hint = advice[error.code ?? ""] ?? error.message;
  return new RespliceError("LISTEN_FAILED", `cannot listen on ${place}: ${hint}`, { cause: error });
}
