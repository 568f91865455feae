/** The listening socket, TCP or TLS: what it accepts is ready to be spoken on, or was closed within its deadline. */
import net from "node:net";
import tls, { type PeerCertificate, type SecureContextOptions, type TlsOptions } from "node:tls";
import { isTlsOptions, renewed, tlsRefusal, whatIsGiven, withContainedSni } from "../io/tls-options.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";

export interface ListenerOptions {
  where: { port: number; host?: string } | { path: string };
  tls: TlsOptions | false;
  /** For the TLS handshake. */
  tlsMs: number;
  maxConnections: number;
  /** Not finished with TLS. */
  maxHandshakes: number;
  onConnection(socket: net.Socket): void;
  /** A connection that was closed before it came to anything. */
  onRejected(remoteAddress: string, reason: string): void;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  /** One for all sockets. */
  readonly #onClosed: (this: net.Socket) => void;
  /** In their TLS handshake, oldest first, by where they come from: TLS has a socket of its own on each. */
  readonly #shaking = new Map<string, net.Socket>();
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

  /** Accepted and not closed. */
  get connections(): number {
    return this.#sockets.size;
  }

  #plain(): net.Server {
    return net.createServer({ noDelay: true }, (socket) => {
      if (this.#track(socket)) this.#options.onConnection(socket);
    });
  }

  #secure(options: TlsOptions): tls.Server {
    const server = tls.createServer(
      { ...withContainedSni(options), handshakeTimeout: this.#options.tlsMs },
      (socket) => {
        this.#options.onConnection(socket);
      },
    );
    server.on("connection", (socket: net.Socket) => {
      socket.setNoDelay(true);
      if (this.#track(socket)) this.#shakeHands(socket);
    });
    server.on("secureConnection", (socket) => this.#shaking.delete(addressOf(socket)));
    server.on("tlsClientError", (error, socket) => {
      // A connection that we have closed ourselves has been told of.
      if (!this.#shaking.delete(addressOf(socket))) return;
      this.#options.onRejected(socket.remoteAddress ?? "", `TLS: ${tlsRefusal(error)}`);
      socket.destroy();
    });
    return server;
  }

  /** A TLS handshake is under way; of too many the oldest is given up. */
  #shakeHands(socket: net.Socket): void {
    const address = addressOf(socket);
    this.#shaking.set(address, socket);
    socket.once("close", () => this.#shaking.delete(address));
    if (this.#shaking.size <= this.#options.maxHandshakes) return;
    const [oldest] = this.#shaking;
    if (oldest === undefined) return;
    this.#shaking.delete(oldest[0]);
    this.#options.onRejected(oldest[1].remoteAddress ?? "", "too many TLS handshakes");
    oldest[1].destroy();
  }

  /** Answers false if there are too many. */
  #track(socket: net.Socket): boolean {
    socket.on("error", ignoreError);
    if (this.#sockets.size >= this.#options.maxConnections) {
      this.#options.onRejected(socket.remoteAddress ?? "", "too many connections");
      socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    socket.on("close", this.#onClosed);
    return true;
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

/** What the client has shown. Node answers an empty object where that is nothing. */
export function certificateOf(socket: net.Socket): PeerCertificate | undefined {
  if (!(socket instanceof tls.TLSSocket)) return undefined;
  const certificate = socket.getPeerCertificate();
  return Object.keys(certificate).length === 0 ? undefined : certificate;
}

/** A socket that fails before anyone listens to it must not end the process. */
function ignoreError(): void {}

function addressOf(socket: net.Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

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
