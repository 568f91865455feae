/** The listening socket, TCP or TLS: it hands over what it accepts, and with TLS says when that can be spoken on. */
import net from "node:net";
import tls, { type PeerCertificate, type SecureContextOptions, type TlsOptions } from "node:tls";
import { StreamConnection } from "../io/connection.ts";
import { isTlsOptions, renewed, tlsRefusal, whatIsGiven, withContainedSni } from "../io/tls-options.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import type { Connection } from "../link/ports.ts";
import { UnsecuredConnection } from "./unsecured-connection.ts";

/** Who was accepted, while TLS shakes hands. */
export interface Guest {
  /** From now on it is spoken on that. `certificate`: what the client has shown. */
  secured(connection: Connection, certificate: () => PeerCertificate | undefined): void;
}

export interface ListenerOptions {
  where: { port: number; host?: string } | { path: string };
  tls: TlsOptions | false;
  /** For the TLS handshake. */
  tlsMs: number;
  accept(connection: Connection): Guest;
  /** A TLS handshake has failed. The connection is closed for it. */
  onTlsFailed(remoteAddress: string, reason: string): void;
}

interface Shaking {
  connection: UnsecuredConnection;
  guest: Guest;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  /** One for all sockets. */
  readonly #onClosed: (this: net.Socket) => void;
  /** In their TLS handshake, by the socket that was accepted. */
  readonly #shaking = new Map<net.Socket, Shaking>();
  /** What new connections are secured with. */
  #secureContext: SecureContextOptions;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const sockets = this.#sockets;
    this.#onClosed = function onClosed() {
      sockets.delete(this);
    };
    this.#secureContext = options.tls === false ? {} : options.tls;
    this.#server = options.tls === false ? this.#plain() : this.#secure(options.tls);
  }

  /** Accepted and not closed, those included that were told why and are about to be closed. */
  get sockets(): number {
    return this.#sockets.size;
  }

  #plain(): net.Server {
    return net.createServer({ noDelay: true }, (socket) => {
      this.#track(socket);
      this.#options.accept(new StreamConnection(socket, true));
    });
  }

  #secure(options: TlsOptions): tls.Server {
    const server = tls.createServer({ ...withContainedSni(options), handshakeTimeout: this.#options.tlsMs });
    server.on("connection", (socket: net.Socket) => {
      socket.setNoDelay(true);
      this.#track(socket);
      const connection = new UnsecuredConnection(socket, () => this.#shaking.delete(socket));
      socket.once("close", () => this.#shaking.delete(socket));
      // It may be given up at once, for lack of room.
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
      shaking.connection.secured();
      shaking.guest.secured(new StreamConnection(socket, true), () => certificateOf(socket));
    });
    server.on("tlsClientError", (error, socket) => {
      // A connection that we have closed ourselves has been told of.
      if (this.#shakenBy(socket) !== undefined) {
        this.#options.onTlsFailed(socket.remoteAddress ?? "", tlsRefusal(error));
      }
      socket.destroy();
    });
    return server;
  }

  /** Whose handshake is over. */
  #shakenBy(socket: tls.TLSSocket): Shaking | undefined {
    const accepted = acceptedAs(socket);
    const shaking = this.#shaking.get(accepted);
    this.#shaking.delete(accepted);
    return shaking;
  }

  #track(socket: net.Socket): void {
    socket.on("error", ignoreError);
    this.#sockets.add(socket);
    socket.on("close", this.#onClosed);
  }

  setSecureContext(options: SecureContextOptions): void {
    if (!(this.#server instanceof tls.Server)) throw new RespliceError("INVALID_STATE", "the server does not use TLS");
    const next = isTlsOptions(options) ? whatIsGiven(options) : {};
    // What a renewal found nowhere does not replace what there is.
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
  listen(): Promise<{ host: string; port: number }> {
    const { where } = this.#options;
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

  /** After it has begun to listen. */
  onError(listener: (error: Error) => void): void {
    this.#server.on("error", listener);
  }

  stopListening(): void {
    this.#server.close();
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/**
 * The socket that TLS shakes hands on: Node keeps it there, and says nowhere else which it is. Its addresses are no name
 * for it, as on a Unix socket there are none.
 */
function acceptedAs(socket: tls.TLSSocket): net.Socket {
  return (socket as unknown as { _parent: net.Socket })._parent;
}

/** What the client has shown. Node answers an empty object where that is nothing. */
function certificateOf(socket: tls.TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerCertificate();
  return Object.keys(certificate).length === 0 ? undefined : certificate;
}

/** A socket that fails before anyone listens to it must not end the process. */
function ignoreError(): void {}

function listenError(error: NodeJS.ErrnoException, where: ListenerOptions["where"]): RespliceError {
  const place = "path" in where ? where.path : `port ${where.port}`;
  const advice: Record<string, string> = {
    EADDRINUSE: "another process listens there: stop it, or choose another",
    EACCES: "not permitted: choose a port above 1023, or a path that may be written",
    EADDRNOTAVAIL: "this machine has no such address: check the option host",
  };
  const hint = advice[error.code ?? ""] ?? error.message;
  return new RespliceError("LISTEN_FAILED", `cannot listen on ${place}: ${hint}`, { cause: error });
}
