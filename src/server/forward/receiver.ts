/** Where other servers forward connections to: greets each of them, reads its preamble, and hands the connection over. */
import { X509Certificate } from "node:crypto";
import net from "node:net";
import tls, { type PeerCertificate, type TlsOptions } from "node:tls";
import type { Entropy } from "../../core/session/proof.ts";
import { StreamConnection } from "../../io/connection.ts";
import { remoteAddressOf } from "../../io/remote-address.ts";
import { tlsRefusal } from "../../io/tls-options.ts";
import type { Clock, Connection, Timer } from "../../link/ports.ts";
import { acceptedAs } from "../tls-handshakes.ts";
import { Gathered } from "./gathered.ts";
import {
  type Answer,
  encodeAnswer,
  encodeGreeting,
  FORWARD_NONCE_BYTES,
  type Macs,
  parsePreamble,
  preambleLength,
} from "./preamble.ts";

/** From the accepted socket to its preamble. A sender waits as long. */
const ARRIVES_WITHIN_MS = 2_000;
/** Sockets without their preamble: the oldest gives way. A server needs a round trip, a stranger keeps its place. */
const MOST_ARRIVING = 256;
/** Of a host that has vanished nothing else tells, where a link sends no PINGs. */
export const KEEP_ALIVE_MS = 30_000;

export interface ReceiverHost {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly macs: Macs;
  readonly serverId: string;
  accept(connection: Connection, certificate: (() => PeerCertificate) | undefined): void;
  /** A connection was closed because of what it said. */
  onRejected(remoteAddress: string, detail: string): void;
  onFailed(error: Error): void;
}

export type ReceiverPlace = { path: string } | { host: string; port: number };

export class Receiver {
  readonly #host: ReceiverHost;
  readonly #server: net.Server;
  readonly #arriving = new Set<Arrival>();
  #track: (socket: net.Socket) => void = () => {};

  /**
   * @param secure the options of TLS, which both ends use to recognize each other; with a `servername` the certificate of
   *   each sender has that name
   */
  constructor(host: ReceiverHost, secure: (TlsOptions & { servername?: string }) | undefined) {
    this.#host = host;
    if (secure === undefined) {
      this.#server = net.createServer((socket) => this.#arrival(socket).begin(socket));
      return;
    }
    const options = { ...secure, requestCert: true, rejectUnauthorized: true, handshakeTimeout: ARRIVES_WITHIN_MS };
    const server = tls.createServer(options);
    const shaking = new WeakMap<object, Arrival>();
    server.on("connection", (socket: net.Socket) => shaking.set(socket, this.#arrival(socket)));
    server.on("secureConnection", (socket) => {
      const arrival = shaking.get(acceptedAs(socket));
      const problem = secure?.servername === undefined ? undefined : misnamed(socket, secure.servername);
      if (arrival === undefined) socket.destroy();
      else if (problem === undefined) arrival.begin(socket);
      else arrival.reject(problem);
    });
    server.on("tlsClientError", (error, socket) => {
      socket.destroy();
      host.onRejected(remoteAddressOf(socket), tlsRefusal(error));
    });
    this.#server = server;
  }

  /**
   * Rejects with the error of the server. Answers the port; 0 for a path. `track` is called for each socket, which the
   * caller destroys at the latest when it has closed this receiver.
   */
  listen(place: ReceiverPlace, track: (socket: net.Socket) => void): Promise<number> {
    this.#track = track;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#server.once("error", reject);
    // Not the primary process of a cluster: it would hand the same socket to all workers.
    this.#server.listen({ ...place, exclusive: true }, () => {
      this.#server.off("error", reject);
      this.#server.on("error", (error) => this.#host.onFailed(error));
      const address = this.#server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
    return promise;
  }

  /** Removes the socket's file as well. */
  close(): void {
    this.#server.close();
    for (const arrival of this.#arriving) arrival.giveUp();
  }

  #arrival(socket: net.Socket): Arrival {
    this.#track(socket);
    const arrival = new Arrival(socket, this.#host, () => this.#arriving.delete(arrival));
    this.#arriving.add(arrival);
    if (this.#arriving.size > MOST_ARRIVING) {
      const [oldest] = this.#arriving;
      oldest?.giveUp();
    }
    return arrival;
  }
}

/** A socket whose preamble has not arrived. */
class Arrival {
  readonly #accepted: net.Socket;
  readonly #host: ReceiverHost;
  readonly #onOver: () => void;
  readonly #timer: Timer;
  readonly #nonce: Buffer;

  constructor(accepted: net.Socket, host: ReceiverHost, onOver: () => void) {
    this.#accepted = accepted;
    this.#host = host;
    this.#onOver = onOver;
    this.#nonce = host.entropy.randomBytes(FORWARD_NONCE_BYTES);
    this.#timer = host.clock.timer(() => this.giveUp());
    this.#timer.set(host.clock.now() + ARRIVES_WITHIN_MS);
    accepted.once("close", () => this.#over());
  }

  /** `socket`: with TLS the one above that which was accepted. */
  begin(socket: net.Socket): void {
    socket.on("error", () => {});
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const gathered = new Gathered(preambleLength);
    const onData = (chunk: Buffer): void => {
      const bytes = gathered.push(chunk);
      if (bytes === "more") return;
      if (bytes === "wrong") this.reject("no preamble of a server");
      else this.#onPreamble(socket, bytes, letGo);
    };
    const onEnd = (): void => this.giveUp();
    const letGo = (): void => void socket.off("data", onData).off("end", onEnd);
    socket.on("data", onData).on("end", onEnd);
    socket.write(encodeGreeting(this.#nonce));
  }

  #onPreamble(socket: net.Socket, bytes: Buffer, letGo: () => void): void {
    const { macs, serverId } = this.#host;
    const parsed = parsePreamble(bytes, this.#nonce, macs);
    const certificate = parsed && certificateOf(parsed.preamble.certificate);
    if (parsed === undefined || certificate === "none") return this.reject("no preamble of a server");
    const { preamble, isProven } = parsed;
    if (!isProven) return this.reject("a wrong MAC: another key");
    const answer: Answer = preamble.serverId === serverId ? "taken" : "another-server";
    socket.write(encodeAnswer(answer, preamble.nonce, this.#nonce, macs));
    if (answer !== "taken") return void socket.end();
    this.#over();
    letGo();
    this.#host.accept(new StreamConnection(socket, true, preamble.remoteAddress), certificate);
  }

  reject(detail: string): void {
    this.#host.onRejected(remoteAddressOf(this.#accepted), detail);
    this.giveUp();
  }

  giveUp(): void {
    this.#over();
    this.#accepted.destroy();
  }

  #over(): void {
    this.#timer.clear();
    this.#onOver();
  }
}

/** Node checks the authority of a client's certificate, and not its name. */
function misnamed(socket: tls.TLSSocket, name: string): string | undefined {
  const certificate: PeerCertificate | null = socket.getPeerCertificate();
  return certificate === null ? "closed" : tls.checkServerIdentity(name, certificate)?.message;
}

/** The certificate as Node shows it at the server that the client has connected to; "none" if the bytes are none. */
function certificateOf(der: Buffer): (() => PeerCertificate) | undefined | "none" {
  if (der.length === 0) return undefined;
  try {
    const certificate = new X509Certificate(der);
    return () => certificate.toLegacyObject();
  } catch {
    return "none";
  }
}
