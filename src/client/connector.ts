/**
 * Brings up the connections of one link: asks the application's functions (credentials, endpoints, TLS options),
 * chooses an endpoint, and dials. Connections that are to speak for the session and standbys are opened in the same
 * way.
 */
import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";
import type { DialRole } from "../core/client/link-core.ts";
import type { Entropy } from "../core/session/proof.ts";
import { StreamConnection } from "../io/connection.ts";
import { discard, unfitness } from "../io/fitness.ts";
import { type DialOptions, type Endpoint, nameOf } from "../io/dial.ts";
import type { Driver } from "../link/driver.ts";
import { RespliceError } from "../link/errors.ts";
import type { Clock, Connection } from "../link/ports.ts";
import type { Journal } from "../telemetry/journal.ts";
import type { DialGate } from "./gate.ts";
import { asError, explained } from "./failure.ts";
import { ask, toTlsOptions, usable } from "./hooks.ts";
import { type ResolvedOpenOptions, toCredentials } from "./options.ts";
import { aloneMs, type LastAddress, Place } from "./place.ts";
import type { UnheardFailures } from "./unheard.ts";
import { EndpointChooser, type ForEachAttempt, toEndpoints } from "./targets.ts";

/** Connects, or rejects with a DialError. */
export type Dial = (endpoint: Endpoint, options: DialOptions) => Promise<Connection>;

/** Shared by the dial loops of all links of a manager. */
export interface DialHost {
  readonly clock: Clock;
  readonly gate: DialGate;
  readonly dial: Dial;
  readonly entropy: Entropy;
  readonly journal: Journal;
  /** Undefined: somebody hears of every attempt, from the log. */
  readonly unheard?: UnheardFailures | undefined;
  /** The id for the next connection. */
  nextId(): number;
}

/**
 * The part of a protocol's core that dialling asks and tells. `ClientLinkCore` implements it for the durable protocol.
 * A protocol without a session wants no standby.
 */
export interface DialledCore {
  readonly gone: boolean;
  /** A connection is to be dialled to speak for the link. */
  readonly wantsDial: boolean;
  /** The core itself has closed the connection, in order: the first dial needs no delay. */
  readonly dialsAtOnce?: boolean;
  /** None is to be dialled, as nothing needs a connection. */
  readonly isAtRest?: boolean;
  /** A second connection is to be dialled, since the first has gone silent. */
  readonly wantsStandby: boolean;
  /** How long a standby may take, from its dial to READY, in milliseconds. */
  readonly standbyPatienceMs: number;
  /** A server may have the link's session. */
  readonly sessionKnown: boolean;
  /** The smoothed round trip of the connection in use, or of the last one, in milliseconds. */
  readonly lastRttMs?: number | undefined;
  /** A dial succeeded. */
  connectionOpened(id: number, role: DialRole, credentials: Buffer, nowMs: number): void;
  /** The standby's dial failed before there was a connection. */
  standbyDialFailed(nowMs: number, failure: { timedOut: boolean }): void;
  standbyTimedOut(id: number, nowMs: number): void;
  /** The dial loop has given up, or met a failure that ends the link. */
  endUnreachable(): void;
}

/** The options of a link that its dial loop needs. */
export type DialledOptions = Pick<
  ResolvedOpenOptions,
  "target" | "tls" | "reconnect" | "socket" | "lookup" | "timeouts" | "credentials"
>;

/** The link that is dialled for. */
export interface DialledLink {
  readonly core: DialledCore;
  readonly driver: Driver;
  readonly options: DialledOptions;
  readonly host: DialHost;
  /** Logs the connection of an attempt in, before it is in use. Rejects when that fails, or the attempt is given up. */
  readonly login?: ((attempt: LoginTerms) => Promise<void>) | undefined;
}

/** The attempt whose connection is to be logged in. */
export interface LoginTerms {
  /** The id of the connection. */
  readonly id: number;
  /** Aborted when the attempt is given up, with a RespliceError. */
  readonly signal: AbortSignal;
  /** Where the connection goes; undefined with the application's own transport. */
  readonly place: Place | undefined;
}

/** The dial that a connection is opened for. */
export interface DialTerms {
  /** Counted since the link was last connected; 0 for a standby. */
  readonly number: number;
  /** Deadlines are multiplied by this. */
  readonly patience: number;
  /** Aborted when the dial is given up. */
  readonly signal: AbortSignal;
}

/** A connection on which nothing has been sent yet. */
export interface Opened {
  readonly connection: Connection;
  /** Undefined: the application's own transport. */
  readonly place: Place | undefined;
  /** The options of its TLS; false: it has none, or is the application's own transport. */
  readonly tls: ConnectionOptions | false;
  readonly credentials: Buffer;
}

const MOST_DEADLINE_MS = 60_000;

/** `ms` times `patience`, at most a minute; but never less than `ms`. */
export function stretched(ms: number, patience: number): number {
  return Math.max(ms, Math.min(MOST_DEADLINE_MS, ms * patience));
}

export class Connector {
  readonly #link: DialledLink;
  readonly #chooser: EndpointChooser;
  /** Where the link was connected last. */
  #place: Place | undefined;
  /** The link has been connected, to whichever session. */
  wasConnected = false;

  constructor(link: DialledLink) {
    this.#link = link;
    const { target } = link.options;
    this.#chooser = new EndpointChooser(target.kind === "endpoints" ? target.order : "in-order");
  }

  async open(terms: DialTerms): Promise<Opened> {
    const credentials = await this.#credentials(terms);
    return { ...(await this.#connect(terms)), credentials };
  }

  /** Hands the connection to the driver and to the core, which sends HELLO or STANDBY on it. */
  introduce(id: number, role: DialRole, { connection, credentials }: Pick<Opened, "connection" | "credentials">): void {
    const { core, driver, host } = this.#link;
    core.connectionOpened(id, role, credentials, host.clock.now());
    driver.attach(id, connection);
  }

  /** The link is connected. */
  connected(place: Place | undefined): void {
    this.wasConnected = true;
    this.#place = place;
    place?.proved();
  }

  /** For a while the next attempts go to other addresses, if there are any. */
  failed(place: Place | undefined, error: RespliceError): void {
    // A server that has the session is dialled again when it says: at any other the session would be lost.
    if (error.code === "OVERLOADED" && this.#link.core.sessionKnown) return;
    place?.gaveUp(error);
  }

  /** The server that the link was connected to has gone away, or is not to be dialled again soon. */
  moved(): void {
    this.#place?.leave();
  }

  async #credentials(terms: DialTerms): Promise<Buffer> {
    const { credentials } = this.#link.options;
    if (typeof credentials !== "function") return toCredentials(credentials);
    return usable("credentials", await this.#ask("credentials", credentials, terms), toCredentials);
  }

  async #connect(terms: DialTerms): Promise<Omit<Opened, "credentials">> {
    const { core, host, login, options } = this.#link;
    const { target, timeouts } = options;
    if (target.kind === "connect") {
      return { connection: await this.#transport(target.connect, terms), place: undefined, tls: false };
    }
    const given =
      typeof target.endpoints === "function" ? await this.#ask("endpoints", target.endpoints, terms) : target.endpoints;
    const endpoints = usable("endpoints", given, toEndpoints);
    const tls = await this.#tls(terms);
    // Only the server that the link was connected to last knows the session.
    const before = core.sessionKnown ? this.#place?.endpoint : undefined;
    const endpoint = this.#chooser.choose(endpoints, host.clock.now(), host.entropy.random(), before);
    const place = new Place(endpoint, this.#chooser, host.clock, this.#lastAddress(endpoint));
    try {
      const connection = await host.dial(endpoint, {
        connectMs: stretched(timeouts.connectMs, terms.patience),
        tlsMs: stretched(timeouts.tlsMs, terms.patience),
        tls,
        signal: terms.signal,
        addresses: place,
        socket: options.socket,
        lookup: options.lookup,
      });
      return { connection, place, tls };
    } catch (error) {
      const failure = asError(error);
      // A standby has less time than the address with the session is dialled alone: its failure says little of it.
      if (terms.number > 0) this.failed(place, failure);
      const at = { endpoint, tls, heard: undefined, wasConnected: this.wasConnected, isPlain: login !== undefined };
      throw explained(failure, at, host.clock.wallMs());
    }
  }

  /** The address of the endpoint that the link was connected to last. While a session is known, only it has that. */
  #lastAddress(endpoint: Endpoint): LastAddress | undefined {
    const { sessionKnown, lastRttMs } = this.#link.core;
    const last = this.#place;
    if (last?.address === undefined || nameOf(last.endpoint) !== nameOf(endpoint)) return undefined;
    return { address: last.address, aloneMs: sessionKnown ? aloneMs(lastRttMs) : 0 };
  }

  async #tls(terms: DialTerms): Promise<ConnectionOptions | false> {
    const { tls } = this.#link.options;
    return typeof tls === "function" ? usable("tls", await this.#ask("tls", tls, terms), toTlsOptions) : tls;
  }

  /** Asks for the application's own transport. A stream that comes after the dial was given up is destroyed. */
  async #transport(connect: ForEachAttempt<Duplex>, terms: DialTerms): Promise<Connection> {
    const given = await this.#ask("connect", connect, terms, discard);
    const problem = unfitness(given);
    if (problem === undefined) return new StreamConnection(given as Duplex, false);
    discard(given);
    throw new RespliceError("CONNECT_FAILED", `the function connect gave ${problem}`);
  }

  #ask(
    name: string,
    hook: ForEachAttempt<unknown>,
    { number, patience, signal }: DialTerms,
    discardLate?: (answer: unknown) => void,
  ): Promise<unknown> {
    const { host, options } = this.#link;
    const withinMs = stretched(options.timeouts.connectMs, patience);
    return ask(name, hook, { number, signal, withinMs, clock: host.clock }, discardLate);
  }
}
