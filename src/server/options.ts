/** The options of a ServerSupervisor. */
import type { PeerCertificate } from "node:tls";
import { AT_DOOR } from "../core/server/entrance.ts";
import { SESSION_HEAP_BYTES, sessionFloorBytes } from "../core/session/session.ts";
import { defaultBufferBytes } from "../io/budget.ts";
import { type Machine, readMachine } from "../io/machine.ts";
import { boolean, checkGroup, checkNames, integer, integerOrInfinity, MOST_MS } from "../link/check.ts";
import { invalidOption, invalidWord } from "../link/errors.ts";
import {
  type DurableOptions,
  LINK_OPTION_NAMES,
  type LinkOptions,
  messageLimits,
  type ResolvedLinkOptions,
  resolveLinkOptions,
} from "../link/options.ts";
import type { Message } from "../link/types.ts";
import {
  LISTENING_OPTION_NAMES,
  type ListeningOptions,
  type ResolvedListening,
  resolveListening,
} from "./listening-options.ts";
import { type ForwardOptions, type ResolvedForward, resolveForward } from "./forward/options.ts";
import { type RateLimits, resolveRates } from "./rate-options.ts";
import type { ResolvedRates } from "./rates.ts";
import type { Verdict } from "./verdict.ts";

/** The options of a ServerSupervisor. The constructor throws INVALID_OPTION for one that is wrong or unknown. */
export interface ServerSupervisorOptions extends ListeningOptions, Omit<LinkOptions, "timeouts">, DurableOptions {
  /** How long a client may take to introduce itself. */
  timeouts?: ServerTimeoutOptions;
  /** For clients that are not resplice: see `PlainServerOptions`. */
  protocol?: never;
  /**
   * Called on every connect, resumes and standbys included. Answers who the client is, and until when it may be
   * connected without being asked again, or that it is refused for good. If it throws, or answers anything else, the
   * client retries later. Default: everyone may connect.
   */
  authenticate?: (request: AuthenticateRequest) => Verdict | Promise<Verdict>;
  /** How long a session waits for its client; then it ends with SESSION_EXPIRED. Default 300,000. */
  resumeForMs?: number;
  /** Hard caps, and rates: who is refused when the server is full. */
  limits?: Limits;
  /**
   * Several servers share a port, or stand behind a balancer: a client that comes back to one of them is forwarded to the
   * server that has its session. All of them have the same option. Default: none, and a session is lost where its client
   * comes back to another server. docs/scaling.md says more.
   */
  forward?: ForwardOptions;
  /**
   * Default false. true, in a worker of node:cluster: connections come from the `routeConnections()` that the primary
   * process has made for the same `port`, and a client that comes back gets to the worker that has its session. listen()
   * rejects with LISTEN_FAILED where there is none. Not with `host`, `path`, `tls` or `proxyProtocol`.
   */
  routed?: boolean;
}

/** How long a client may take to introduce itself, in milliseconds. */
export interface ServerTimeoutOptions {
  /** Default 10,000. */
  tlsMs?: number;
  /** Default 60,000, from the connection's opening. Of clients that are not resplice for login(). */
  handshakeMs?: number;
}

/** What authenticate() is told of a client. */
export interface AuthenticateRequest {
  /** What the client's option `credentials` has given; empty if it has none. */
  credentials: Message;
  /** The session's open payload, as `link.openPayload`. On a resume: the payload that the session was opened with. */
  openPayload: Message;
  /** The client's IP address; "" if it has none, as on a Unix socket. */
  remoteAddress: string;
  /** Present with `tls.requestCert`; not verified if `rejectUnauthorized` is false. */
  certificate?: PeerCertificate;
  /** Aborted when the connection is closed: at the handshake's deadline, or when the client has gone. */
  signal: AbortSignal;
}

/**
 * Hard caps. A client above a cap is refused with a reason and retryAfterMs. The first to be refused are connections
 * that have not introduced themselves, from the address that has most of these. Resumes and standbys have room of their
 * own at each cap. `stats().turnedAway` counts refusals by the limit's name, and `health()` is 'degraded' meanwhile.
 * `setLimits()` changes them while the server runs.
 */
export interface Limits {
  /**
   * Connections that are accepted, before anything is known of their clients. Default: 4,000, and what
   * `opensPerSecond`, `resumesPerSecond` and `standbysPerSecond` let in: 5,600. Half as many again are kept for
   * addresses that have had less than their part. A client above it is told to come back within a second.
   */
  acceptsPerSecond?: number;
  /**
   * Default 10,000. A tenth of it more (at least 2, at most 100) are let in to introduce themselves, and may stay if
   * they resume or stand by.
   */
  connections?: number;
  /**
   * Connections of one IPv4 address, or one IPv6 network (/64), with as many more for introductions as `connections`
   * has. Clients without an address, as those of a Unix socket, have no such limit. Default Infinity. Danger: many
   * clients may be behind one address.
   */
  connectionsPerAddress?: number;
  /**
   * Connections that have not finished TLS and handshake. Default 1,000, or half of `connections` where that is less,
   * at least 8. Above it, a connection that has not introduced itself is closed. A quarter is for sessions that their
   * clients have not confirmed. With `proxyProtocol` as many again may be sending their header.
   */
  handshakes?: number;
  /**
   * Calls of `authenticate()` under way at once. Default 200: if a call takes 100 ms that is 2,000 a second, more than
   * are let in; if it takes 2 s it is 100. A quarter is kept for sessions that this server has. A client that could not
   * be answered within 4 s is refused before the call.
   */
  authenticating?: number;
  /**
   * Sessions with or without a connection. Default: as many as fit into memory, at most twice `connections`. As many
   * fit as half of the memory of the machine or container, less `bufferBytes`, has room for the guaranteed minimum of
   * each (4/3 of the largest message in, the largest message and 68 KiB out, and 320 KiB: 2.7 MiB with the default
   * `maxMessageBytes`), and half of V8's heap for 10 KiB of each. With 16 GiB: 2,600; with messages of 64 KiB 13,600. A
   * higher limit is allowed: a warning in the log reports it.
   */
  sessions?: number;
  /** Default Infinity. */
  sessionsPerIdentity?: number;
  /**
   * New sessions. Default 500. Half as many again are kept for identities that have had less than their part; for
   * addresses, if there is no `authenticate()`.
   */
  opensPerSecond?: number;
  /**
   * Default 1,000, shared in the same way; one session may resume ten times at once, then once a second. A refused
   * resume gives its session its whole waiting time again.
   */
  resumesPerSecond?: number;
  /** Second connections of clients that suspect the first. Default 100. */
  standbysPerSecond?: number;
  /**
   * Memory that all sessions share, in addition to each session's guaranteed minimum: half of it for incoming bytes,
   * half for outgoing. A session may borrow at most as much as it leaves free. Default: an eighth of the memory of the
   * machine or container, at most 1 GiB. When it is used up, windows stop growing and send() waits.
   */
  bufferBytes?: number;
  /** How fast messages are handed to the application. Default: as fast as they come. */
  rates?: RateLimits;
}

export type ResolvedLimits = Required<Omit<Limits, "rates">> & { rates: ResolvedRates };

export interface ResolvedServerOptions extends ResolvedListening, ResolvedLinkOptions {
  authenticate: ServerSupervisorOptions["authenticate"];
  resumeForMs: number;
  forward: ResolvedForward | undefined;
  /** The port of the router that connections come from. Undefined: there is none. */
  routedPort: number | undefined;
  limits: ResolvedLimits;
  /** The limits that were given, the others being at their defaults. */
  givenLimits: Limits;
}

const SERVER_OPTION_NAMES = ["authenticate", "resumeForMs", "limits", "forward", "routed"] as const;
/** The most of anything that is counted. */
export const MOST = 100_000_000;

export function resolveServerOptions(
  options: ServerSupervisorOptions,
  machine: Machine = readMachine(),
): ResolvedServerOptions {
  checkNames(options, [...LISTENING_OPTION_NAMES, ...SERVER_OPTION_NAMES, ...LINK_OPTION_NAMES]);
  const { authenticate } = options;
  // Left out it is off. Given as undefined (by an import that failed, say), it was meant to be on.
  if ("authenticate" in options && typeof authenticate !== "function") {
    throw invalidOption("authenticate", authenticate, "a function; left out, everyone may connect");
  }
  const link = resolveLinkOptions(options, "server");
  const listening = resolveListening(options, machine);
  checkGroup("limits", options.limits);
  const givenLimits = { ...options.limits };
  return {
    ...link,
    ...listening,
    authenticate,
    resumeForMs: integer("resumeForMs", options.resumeForMs ?? 300_000, 1, MOST_MS),
    limits: resolveLimits(givenLimits, link, authenticate !== undefined, machine),
    givenLimits,
    forward: forwardOf(options, listening),
    routedPort: routedPortOf(options, listening),
  };
}

function routedPortOf(options: ServerSupervisorOptions, listening: ResolvedListening): number | undefined {
  if (!boolean("routed", options.routed ?? false)) return undefined;
  const { tls, proxies } = listening;
  const [where] = listening.listen ?? [];
  if ("addresses" in options || where === undefined || !("port" in where))
    throw invalidWord("routed", true, "only with a port: the router's");
  if (where.host !== undefined) throw invalidWord("routed", true, "without host: that is the router's");
  // The router reads the first bytes of a connection, which have to be those of the client's HELLO.
  if (tls !== false || proxies !== undefined)
    throw invalidWord("routed", true, "without tls and proxyProtocol: with these use forward");
  return where.port;
}

/** As with `authenticate`: given as undefined, it was meant to be on. */
function forwardOf(options: ServerSupervisorOptions, { listen }: ResolvedListening): ResolvedForward | undefined {
  if (!("forward" in options)) return undefined;
  if (listen === undefined) {
    throw invalidOption("forward", options.forward, "only with port or path: other servers find one that listens");
  }
  return resolveForward(options.forward);
}

/** Checks changed limits, and answers all of them. Throws INVALID_OPTION. */
export function changedLimits(
  options: ResolvedServerOptions,
  before: Limits,
  changes: Limits,
): Pick<ResolvedServerOptions, "limits" | "givenLimits"> {
  const givenLimits = { ...before, ...checkedChanges(changes) };
  const { authenticate, machine } = options;
  return { givenLimits, limits: resolveLimits(givenLimits, options, authenticate !== undefined, machine) };
}

/** A limit that is named and undefined (of a setting that was not found, say) was meant to be one. */
export function checkedChanges<T extends object>(changes: T): T {
  const isObject = typeof changes === "object" && changes !== null;
  if (!isObject || Object.keys(changes).length === 0) throw invalidOption("limits", changes, "at least one limit");
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) throw invalidOption(`limits.${name}`, value, "its new value");
  }
  return changes;
}

function resolveLimits(
  limits: Limits,
  link: ResolvedLinkOptions,
  isAuthenticated: boolean,
  machine: Machine,
): ResolvedLimits {
  const connections = integer("limits.connections", limits.connections ?? 10_000, 1, MOST);
  const bufferBytes = sharedBytes(limits.bufferBytes, machine);
  const fitting = sessionsThatFit(bufferBytes, link, machine);
  const opensPerSecond = integer("limits.opensPerSecond", limits.opensPerSecond ?? 500, 1, MOST);
  const resumesPerSecond = integer("limits.resumesPerSecond", limits.resumesPerSecond ?? 1_000, 1, MOST);
  const standbysPerSecond = integer("limits.standbysPerSecond", limits.standbysPerSecond ?? 100, 1, MOST);
  const resolved: ResolvedLimits = {
    acceptsPerSecond: mostAccepts(limits.acceptsPerSecond, opensPerSecond + resumesPerSecond + standbysPerSecond),
    connections,
    connectionsPerAddress: perAddress(limits.connectionsPerAddress),
    handshakes: mostHandshakes(limits.handshakes, connections),
    authenticating: integer("limits.authenticating", limits.authenticating ?? 200, 1, MOST),
    sessions: integer("limits.sessions", limits.sessions ?? Math.min(2 * connections, fitting), 1, MOST),
    sessionsPerIdentity: integerOrInfinity("limits.sessionsPerIdentity", limits.sessionsPerIdentity ?? Infinity, 1),
    opensPerSecond,
    resumesPerSecond,
    standbysPerSecond,
    bufferBytes,
    rates: resolveRates(
      limits.rates,
      isAuthenticated ? ["link", "identity", "address"] : ["link", "address"],
      link.mode === "messages",
    ),
  };
  checkNames(limits, Object.keys(resolved), "limits.");
  return resolved;
}

/** `limits.bufferBytes`. */
export function sharedBytes(given: number | undefined, machine: Machine): number {
  return integer("limits.bufferBytes", given ?? defaultBufferBytes(machine), 0, Number.MAX_SAFE_INTEGER);
}

/**
 * `limits.handshakes`. Silent clients must not take all of `connections`. Where those are 8 or fewer, the places above
 * the cap ensure that.
 */
export function mostHandshakes(given: number | undefined, connections: number): number {
  const byDefault = Math.max(8, Math.min(1_000, Math.floor(connections / 2)));
  return integer("limits.handshakes", given ?? byDefault, 1, MOST);
}

/** `limits.acceptsPerSecond`. Room for all who are let in, and for all who were told to come back at the door. */
export function mostAccepts(given: number | undefined, letIn: number): number {
  return integer("limits.acceptsPerSecond", given ?? Math.min(MOST, AT_DOOR.perSecond + letIn), 1, MOST);
}

export function perAddress(given: number | undefined): number {
  return integerOrInfinity("limits.connectionsPerAddress", given ?? Infinity, 1);
}

export function sessionsThatFit(bufferBytes: number, link: ResolvedLinkOptions, machine: Machine): number {
  return howManyFit(
    bufferBytes,
    { bytes: sessionFloorBytes(messageLimits(link)), heapBytes: SESSION_HEAP_BYTES },
    machine,
  );
}

/** Links and their shared buffer get half of the memory, and half of the heap. The rest is for the application. */
export function howManyFit(
  bufferBytes: number,
  { bytes, heapBytes }: { bytes: number; heapBytes: number },
  { memoryBytes, oldGenerationBytes }: Machine,
): number {
  return Math.max(1, Math.floor(Math.min((memoryBytes / 2 - bufferBytes) / bytes, oldGenerationBytes / 2 / heapBytes)));
}
