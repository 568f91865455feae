/** The listening socket, TCP or TLS. Hands over each accepted connection, and with TLS reports when it is secured. */
import net from "node:net";
import type { Duplex } from "node:stream";
import tls, { type PeerCertificate, type SecureContextOptions, type TlsOptions } from "node:tls";
import { destroy, remoteAddressOf, StreamConnection } from "../io/connection.ts";
import { isTlsOptions, renewed, tlsRefusal, whatIsGiven, withContainedSni } from "../io/tls-options.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import type { Connection } from "../link/ports.ts";
import { UnsecuredConnection } from "./unsecured-connection.ts";

/** An accepted connection, as the listener sees it. */
export interface Guest {
  /**
   * The TLS handshake is over: `connection` replaces the accepted one. `certificate` answers the client's certificate.
   */
  secured(connection: Connection, certificate: () => PeerCertificate | undefined): void;
}

type Where = { port: number; host?: string } | { path: string };

export interface ListenerOptions {
  tls: TlsOptions | false;
  /** A connection goes on when its client has ended, until it is closed. */
  allowHalfOpen: boolean;
  /** For the TLS handshake. */
  tlsMs: number;
  accept(connection: Connection): Guest;
  /** A TLS handshake has failed, and its connection is closed. */
  onTlsFailed(remoteAddress: string, reason: string): void;
}

interface Shaking {
  connection: UnsecuredConnection;
  guest: Guest;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: net.Server;
  readonly #streams = new Set<Duplex>();
  /** One listener function for all streams. */
  readonly #onClosed: (this: Duplex) => void;
  /** Connections in their TLS handshake, by the accepted socket. */
  readonly #shaking = new Map<net.Socket, Shaking>();
  /** The TLS options for new connections. */
  #secureContext: SecureContextOptions;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const streams = this.#streams;
    this.#onClosed = function onClosed() {
      streams.delete(this);
    };
    this.#secureContext = options.tls === false ? {} : options.tls;
    this.#server = options.tls === false ? this.#plain() : this.#secure(options.tls);
  }

  /** Connections that are accepted and not closed, including those that were told why they will be closed. */
  get streams(): number {
    return this.#streams.size;
  }

  /**
   * A stream that was connected elsewhere. The caller has checked that it can serve as a connection. Throws
   * INVALID_ARGUMENT if it cannot be read all the same, and then it is destroyed.
   */
  accept(stream: Duplex, remoteAddress: string | undefined): void {
    let connection: StreamConnection;
    try {
      if (this.#options.allowHalfOpen) stream.allowHalfOpen = true;
      connection = new StreamConnection(stream, false, remoteAddress);
    } catch (cause) {
      destroy(stream);
      throw new RespliceError("INVALID_ARGUMENT", "accept() was given a stream that cannot be read", { cause });
    }
    this.track(stream);
    this.#options.accept(connection);
  }

  #plain(): net.Server {
    const { allowHalfOpen } = this.#options;
    return net.createServer({ noDelay: true, allowHalfOpen }, (socket) => {
      this.track(socket);
      this.#options.accept(new StreamConnection(socket, true));
    });
  }

  #secure(options: TlsOptions): tls.Server {
    const server = tls.createServer({ ...withContainedSni(options), handshakeTimeout: this.#options.tlsMs });
    server.on("connection", (socket: net.Socket) => {
      socket.setNoDelay(true);
      this.track(socket);
      const connection = new UnsecuredConnection(socket, remoteAddressOf(socket), () => this.#shaking.delete(socket));
      socket.once("close", () => this.#shaking.delete(socket));
      // Set before accept(), which may give the connection up at once for lack of room.
      const shaking: Shaking = { connection, guest: { secured: () => {} } };
      this.#shaking.set(socket, shaking);
      shaking.guest = this.#options.accept(connection);
    });
    server.on("secureConnection", (socket) => {
      const shaking = this.#shakenBy(socket);
      if (shaking === undefined) {
        socket.destroy();
        return;
      }
      const { connection, guest } = shaking;
      // Not before: a client that ends within the handshake is gone.
      if (this.#options.allowHalfOpen) socket.allowHalfOpen = true;
      connection.secured();
      guest.secured(new StreamConnection(socket, true, connection.remoteAddress), () => certificateOf(socket));
    });
    server.on("tlsClientError", (error, socket) => {
      // The close of a connection that we closed ourselves has been reported already.
      const shaking = this.#shakenBy(socket);
      if (shaking !== undefined) this.#options.onTlsFailed(shaking.connection.remoteAddress, tlsRefusal(error));
      socket.destroy();
    });
    return server;
  }

  /** Takes the connection whose TLS handshake is over; undefined if it was given up. */
  #shakenBy(socket: tls.TLSSocket): Shaking | undefined {
    const accepted = acceptedAs(socket);
    const shaking = this.#shaking.get(accepted);
    this.#shaking.delete(accepted);
    return shaking;
  }

  /** Counts the stream until it is closed, and destroys it with the others. */
  track(stream: Duplex): void {
    stream.on("error", ignoreError);
    this.#streams.add(stream);
    stream.on("close", this.#onClosed);
  }

  setSecureContext(options: SecureContextOptions): void {
    if (!(this.#server instanceof tls.Server)) throw new RespliceError("INVALID_STATE", "the server does not use TLS");
    const next = isTlsOptions(options) ? whatIsGiven(options) : {};
    // An option that the renewal gives as undefined (a file that was not found) does not replace the present one.
    if (Object.keys(next).length === 0)
      throw invalidOption("tls", options, "key and cert, or pfx, or what else is new");
    const merged = renewed(this.#secureContext, next);
    try {
      tls.createSecureContext(merged);
    } catch (error) {
      throw invalidOption("tls", options, `what tls.createSecureContext() takes: ${tlsRefusal(error)}`);
    }
    this.#secureContext = merged;
    this.#server.setSecureContext(merged);
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
    for (const stream of this.#streams) destroy(stream);
  }
}

/**
 * The accepted socket below a TLS socket. Only the undocumented `_parent` has it. It cannot be found by its addresses,
 * as a Unix socket has none.
 */
export function acceptedAs(socket: tls.TLSSocket): net.Socket {
  return (socket as unknown as { _parent: net.Socket })._parent;
}

/**
 * The certificate that the client has presented. Without one, Node answers an empty object, and of a socket that is
 * closed null.
 */
function certificateOf(socket: tls.TLSSocket): PeerCertificate | undefined {
  const certificate: PeerCertificate | null = socket.getPeerCertificate();
  return certificate === null || Object.keys(certificate).length === 0 ? undefined : certificate;
}

/** An 'error' of a stream without a listener would end the process. */
function ignoreError(): void {}

function listenError(error: NodeJS.ErrnoException, where: Where): RespliceError {
  const place = "path" in where ? where.path : `port ${where.port}`;
  const advice: Record<string, string> = {
    EADDRINUSE: "another process listens there: stop it, or choose another",
    EACCES: "not permitted: choose a port above 1023, or a path that may be written",
    EADDRNOTAVAIL: "this machine has no such address: check the option host",
  };
  const hint = advice[error.code ?? ""] ?? error.message;
  return new RespliceError("LISTEN_FAILED", `cannot listen on ${place}: ${hint}`, { cause: error });
}
