/**
 * One dial: the addresses of a name, a TCP connection to one of them, and TLS on it, within their deadlines; or an
 * error that says how it failed.
 */
import dns from "node:dns";
import net, { type LookupFunction, type NetConnectOpts, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";
import { codeOf } from "../core/foreign.ts";
import type { Clock } from "../link/ports.ts";
import { realTime } from "../real-time.ts";
import { abortWith } from "./abort-with.ts";
import { ignoreError } from "./connection.ts";
import { DialError } from "./dial-error.ts";
import { Lookups } from "./lookup.ts";
import { interleaved, Race, type RacePlan } from "./race.ts";
import { secure, type SecureOptions } from "./secure.ts";
import { TlsSessions } from "./tls-sessions.ts";
import { tlsRefusal } from "./tls-options.ts";
import { pathTrouble } from "./unix-socket.ts";

/** A server's port, at `host` (default "localhost"), or the path of its Unix socket. */
export type Endpoint = { port: number; host?: string } | { path: string };

/** Of TCP sockets; a Unix socket has none of these. */
export interface SocketOptions {
  /** An IP address of this machine, from which to dial; undefined: the kernel chooses. */
  localAddress: string | undefined;
  /** The first keepalive probe comes after so many milliseconds without data; 0: there are none. */
  keepAlive: number;
  noDelay: boolean;
}

export interface DialOptions {
  /** For the lookup, and for all addresses together. */
  connectMs: number;
  tlsMs: number;
  /** false: no TLS. No other value means that. */
  tls: ConnectionOptions | false;
  signal: AbortSignal;
  addresses: AddressBook;
  socket: SocketOptions;
  /** undefined: `dns.lookup()`. */
  lookup: LookupFunction | undefined;
}

export type StartTlsOptions = Omit<SecureOptions, "endpoint" | "host">;

/**
 * The addresses of an endpoint, as the caller knows them, and is told of them. Not used with the path of a Unix socket.
 */
export interface AddressBook {
  /** When each address is dialled. They come as they were looked up, their families in turn. */
  plan(addresses: readonly string[]): RacePlan;
  /** The dial of an address begins. */
  dialled(address: string): void;
  /** `isAtOnce`: this machine has said so, before any answer could come from the network. */
  failed(address: string, error: Error, isAtOnce: boolean): void;
  /** The dial goes on with TLS on a connection to this address. */
  connected(address: string): void;
}

/** `net.connect()`; tests give another. */
export type ConnectSocket = (to: NetConnectOpts) => Socket;

/** Dials for all links of a manager. */
export class SystemDial {
  readonly #clock: Clock;
  readonly #connectSocket: ConnectSocket;
  readonly #takeBack: (socket: Socket) => void;
  readonly #lookups: Lookups;
  readonly #tlsSessions: TlsSessions = new TlsSessions(realTime.wallMs);

  /** `takeBack` ends the dial of an address that is not wanted any more. */
  constructor(
    clock: Clock,
    connectSocket: ConnectSocket = (to) => net.connect(to),
    takeBack: (socket: Socket) => void = destroyed,
  ) {
    this.#clock = clock;
    this.#connectSocket = connectSocket;
    this.#takeBack = takeBack;
    this.#lookups = new Lookups(clock);
  }

  /** Rejects with a DialError. A dial that fails destroys its sockets. */
  async dial(endpoint: Endpoint, options: DialOptions): Promise<Duplex> {
    const socket = await this.#connect(endpoint, options);
    const { tls, tlsMs, signal } = options;
    return tls === false ? socket : this.startTls(socket, endpoint, { tls, tlsMs, signal });
  }

  /**
   * TLS on a connection, which may have spoken without it (STARTTLS). `endpoint`: where it goes; undefined with a
   * transport of the application's, of which it is not known whether it leads to the same server again. Rejects with a
   * DialError, and then destroys the stream.
   */
  startTls(stream: Duplex, endpoint: Endpoint | undefined, options: StartTlsOptions): Promise<Duplex> {
    if (endpoint === undefined) {
      return secure(
        stream,
        { ...options, endpoint: "", host: undefined },
        this.#clock,
        new TlsSessions(realTime.wallMs),
      );
    }
    const host = "path" in endpoint ? undefined : hostOf(endpoint);
    return secure(stream, { ...options, endpoint: nameOf(endpoint), host }, this.#clock, this.#tlsSessions);
  }

  async #connect(endpoint: Endpoint, options: DialOptions): Promise<Socket> {
    const { connectMs, signal } = options;
    const what = `connecting to ${nameOf(endpoint)}`;
    const stop = new AbortController();
    let isLate = false;
    const deadline = this.#clock.timer(() => {
      isLate = true;
      stop.abort();
    });
    deadline.set(this.#clock.now() + connectMs);
    const apart = abortWith(signal, stop);
    let race: Race<Socket> | undefined;
    stop.signal.addEventListener("abort", () => race?.stop(new Error("stopped")), { once: true });
    try {
      race = "path" in endpoint ? this.#toPath(endpoint) : await this.#toAddresses(endpoint, options, stop.signal);
      stop.signal.throwIfAborted();
      const winner = await race.run();
      if (winner === undefined) throw allFailed(what, race.said);
      if (!("path" in endpoint)) options.addresses.connected(winner.address);
      return winner.connection;
    } catch (error) {
      if (signal.aborted) throw new DialError("aborted", `${what}: aborted`, signal.reason);
      if (isLate) throw tookTooLong(what, connectMs, race?.said);
      throw error instanceof DialError ? error : new DialError("failed", tlsRefusal(error), error);
    } finally {
      deadline.clear();
      apart();
    }
  }

  #toPath(endpoint: { path: string }): Race<Socket> {
    const plan = { order: [endpoint.path], reserve: [], aloneMs: 0 };
    return new Race(plan, this.#clock, (_, connected, failed) =>
      connectedOrNot(
        this.#connectSocket(endpoint),
        connected,
        (error) => failed(inWordsOfPaths(error, endpoint.path)),
        destroyed,
      ),
    );
  }

  async #toAddresses(
    endpoint: { host?: string; port: number },
    { addresses, socket: { localAddress, keepAlive, noDelay }, lookup = dns.lookup }: DialOptions,
    signal: AbortSignal,
  ): Promise<Race<Socket>> {
    const host = hostOf(endpoint);
    const found = net.isIP(host) === 0 ? await this.#lookups.addresses(host, lookup, signal) : [host];
    const reachable =
      localAddress === undefined ? found : found.filter((each) => net.isIP(each) === net.isIP(localAddress));
    if (reachable.length === 0) {
      throw new DialError(
        "failed",
        `${nameOf(endpoint)} has no address of the family of the local address ${localAddress}`,
      );
    }
    const to = {
      port: endpoint.port,
      noDelay,
      ...(keepAlive > 0 ? { keepAlive: true, keepAliveInitialDelay: keepAlive } : {}),
      ...(localAddress === undefined ? {} : { localAddress }),
    };
    return new Race(addresses.plan(interleaved(reachable)), this.#clock, (address, connected, failed) => {
      addresses.dialled(address);
      const socket = this.#connectSocket({ ...to, host: address });
      // Node emits an error of connect() itself before it looks at the network again.
      const dial = { isAtOnce: true };
      this.#clock.afterPoll(networkSpoke, dial);
      const onFailed = (error: Error): void => {
        addresses.failed(address, error, dial.isAtOnce);
        failed(error);
      };
      return connectedOrNot(socket, connected, onFailed, this.#takeBack);
    });
  }
}

function networkSpoke(dial: { isAtOnce: boolean }): void {
  dial.isAtOnce = false;
}

/** Answers a function that takes the dial back. */
function connectedOrNot(
  socket: Socket,
  connected: (socket: Socket) => void,
  failed: (error: Error) => void,
  takeBack: (socket: Socket) => void,
): () => void {
  const cleanUp = (): void => {
    socket.off("connect", onConnect);
    socket.off("error", onError);
    socket.off("close", onClose);
  };
  const onConnect = (): void => {
    cleanUp();
    connected(socket);
  };
  const onError = (error: Error): void => {
    cleanUp();
    socket.destroy();
    failed(error);
  };
  const onClose = (): void => onError(new Error("closed"));
  // This listener is never removed: an error at a moment without another listener must not end the process. It is the
  // same function for all sockets: one of this dial would keep all that the dial needed.
  socket.on("error", ignoreError);
  socket.once("connect", onConnect);
  socket.once("error", onError);
  socket.once("close", onClose);
  return () => {
    cleanUp();
    takeBack(socket);
  };
}

function destroyed(socket: Socket): void {
  socket.destroy();
}

/** The host without the brackets that an IPv6 address has in a URL. */
function hostOf({ host = "localhost" }: { host?: string }): string {
  const [, bracketed = ""] = /^\[(.*)\]$/.exec(host) ?? [];
  return net.isIPv6(bracketed) ? bracketed : host;
}

/** An endpoint as text. Two ways to write the same address give the same text. */
export function nameOf(endpoint: Endpoint): string {
  if ("path" in endpoint) return endpoint.path;
  const host = hostOf(endpoint);
  return net.isIPv6(host) ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`;
}

type Said = Race<unknown>["said"];

function allFailed(what: string, said: Said): DialError {
  const errors = said.flatMap(({ error = [] }) => error);
  const [first] = errors;
  // The text that Node gives for one address names it.
  if (first !== undefined && errors.length === 1) return new DialError("failed", tlsRefusal(first), first);
  const message = `${what} failed: ${inWords(said)}`;
  const code = first && codeOf(first);
  return new DialError(
    "failed",
    message,
    Object.assign(new AggregateError(errors, message), code === undefined ? {} : { code }),
  );
}

function tookTooLong(what: string, ms: number, said: Said | undefined): DialError {
  const where = said === undefined ? "the lookup of the name has not ended" : inWords(said);
  return new DialError("timed-out", `${what} took more than ${ms} ms: ${where}`);
}

/** The error of a dial to the path of a Unix socket says what to look for. */
function inWordsOfPaths(error: Error, path: string): Error {
  const code = codeOf(error);
  const trouble = pathTrouble(code, path);
  return trouble === undefined ? error : Object.assign(new Error(`${path}: ${trouble}`, { cause: error }), { code });
}

function inWords(said: Said): string {
  return said
    .map(({ address, error }) => `${address} ${error === undefined ? "no answer" : (codeOf(error) ?? error.message)}`)
    .join(", ");
}
