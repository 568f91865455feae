/** TLS handshakes of accepted sockets, and the certificates for them. */
import type { Socket } from "node:net";
import tls, { type PeerCertificate, type SecureContextOptions, type TlsOptions } from "node:tls";
import { StreamConnection } from "../io/connection.ts";
import { isTlsOptions, renewed, tlsFailure, tlsProblem, whatIsGiven, withContainedSni } from "../io/tls-options.ts";
import { tlsWords } from "../io/tls-words.ts";
import { invalidOption } from "../link/errors.ts";
import type { Connection } from "../link/ports.ts";
import { UnsecuredConnection } from "./unsecured-connection.ts";

/** An accepted connection, as the listener sees it. */
export interface Guest {
  /**
   * The TLS handshake is over: `connection` replaces the accepted one. `certificate` answers the client's certificate.
   */
  secured(connection: Connection, certificate: () => PeerCertificate | undefined): void;
}

export interface TlsTerms {
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

export class TlsHandshakes {
  readonly #terms: TlsTerms;
  /** Listens nowhere: it is given the sockets. */
  readonly #server: tls.Server;
  /** Connections in their TLS handshake, by the accepted socket. */
  readonly #shaking = new Map<Socket, Shaking>();
  /** The addresses of accepted sockets, also of those that are closed by now. */
  readonly #addresses = new WeakMap<Socket, string>();
  /** The TLS options for new connections. */
  #secureContext: SecureContextOptions;

  constructor(options: TlsOptions, terms: TlsTerms) {
    this.#terms = terms;
    this.#secureContext = options;
    this.#server = tls.createServer({ ...withContainedSni(options), handshakeTimeout: terms.tlsMs });
    this.#server.on("secureConnection", (socket) => this.#onSecured(socket));
    this.#server.on("tlsClientError", (error, socket) => {
      this.#onFailed(error, socket);
      socket.destroy();
    });
  }

  /** The client speaks first: what has come of its handshake may be in the socket already. */
  begin(socket: Socket, remoteAddress: string): void {
    const connection = new UnsecuredConnection(socket, remoteAddress, () => this.#shaking.delete(socket));
    socket.once("close", () => this.#shaking.delete(socket));
    this.#addresses.set(socket, remoteAddress);
    // Set before accept(), which may give the connection up at once for lack of room.
    const shaking: Shaking = { connection, guest: { secured: () => {} } };
    this.#shaking.set(socket, shaking);
    shaking.guest = this.#terms.accept(connection);
    if (!socket.destroyed) this.#server.emit("connection", socket);
  }

  #onFailed(error: Error, socket: tls.TLSSocket): void {
    const remoteAddress = this.#addresses.get(acceptedAs(socket)) ?? "";
    // The close of a connection that we closed ourselves has been reported already.
    const isShaking = this.#shakenBy(socket) !== undefined;
    // Node closes a connection itself whose client's certificate it refuses, and only this property says why.
    const refused = refusedBecause(socket);
    if (refused !== undefined) this.#terms.onTlsFailed(remoteAddress, refused);
    else if (isShaking) this.#terms.onTlsFailed(remoteAddress, tlsFailure(error));
  }

  #onSecured(socket: tls.TLSSocket): void {
    const shaking = this.#shakenBy(socket);
    if (shaking === undefined) {
      socket.destroy();
      return;
    }
    const { connection, guest } = shaking;
    // Not before: a client that ends within the handshake is gone.
    if (this.#terms.allowHalfOpen) socket.allowHalfOpen = true;
    connection.secured();
    guest.secured(new StreamConnection(socket, true, connection.remoteAddress), () => certificateOf(socket));
  }

  /** Takes the connection whose TLS handshake is over; undefined if it was given up. */
  #shakenBy(socket: tls.TLSSocket): Shaking | undefined {
    const accepted = acceptedAs(socket);
    const shaking = this.#shaking.get(accepted);
    this.#shaking.delete(accepted);
    return shaking;
  }

  setSecureContext(options: SecureContextOptions): void {
    const next = isTlsOptions(options) ? whatIsGiven(options) : {};
    // An option that the renewal gives as undefined (a file that was not found) does not replace the present one.
    if (Object.keys(next).length === 0)
      throw invalidOption("tls", options, "key and cert, or pfx, or what else is new");
    const merged = renewed(this.#secureContext, next);
    const wrong = tlsProblem("tls", merged);
    if (wrong !== undefined) throw invalidOption(...wrong);
    this.#secureContext = merged;
    this.#server.setSecureContext(merged);
  }
}

/** Undefined if Node has not refused the client's certificate. The property is typed as an Error, and is its code. */
function refusedBecause({ authorizationError }: { authorizationError: unknown }): string | undefined {
  if (typeof authorizationError !== "string") return undefined;
  const words = tlsWords(authorizationError);
  return `the client's certificate is refused: ${authorizationError}${words === undefined ? "" : `: ${words}`}`;
}

/**
 * The accepted socket below a TLS socket. Only the undocumented `_parent` has it. It cannot be found by its addresses,
 * as a Unix socket has none.
 */
export function acceptedAs(socket: tls.TLSSocket): Socket {
  return (socket as unknown as { _parent: Socket })._parent;
}

/**
 * The certificate that the client has presented. Without one, Node answers an empty object, and of a socket that is
 * closed null.
 */
function certificateOf(socket: tls.TLSSocket): PeerCertificate | undefined {
  const certificate: PeerCertificate | null = socket.getPeerCertificate();
  return certificate === null || Object.keys(certificate).length === 0 ? undefined : certificate;
}
