/** The options of a manager and of a client's links. */
import { isIP, type LookupFunction } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { BackoffOptions } from "../core/backoff.ts";
import { MAX_CREDENTIALS_BYTES, MAX_OPEN_PAYLOAD_BYTES } from "../core/wire/frames.ts";
import { defaultBufferBytes } from "../io/budget.ts";
import type { SocketOptions } from "../io/dial.ts";
import { type Machine, readMachine } from "../io/machine.ts";
import { hasCertificate, isTlsOptions, tlsProblem } from "../io/tls-options.ts";
import {
  boolean,
  checkGroup,
  checkNames,
  checkOptions,
  group,
  integer,
  integerOrInfinity,
  logger,
  MOST_MS,
  oneOf,
  payload,
} from "../link/check.ts";
import { invalidOption, invalidWord, type RespliceError } from "../link/errors.ts";
import {
  type DurableOptions,
  LINK_OPTION_NAMES,
  type LinkOptions,
  mergeOptions,
  type ResolvedLinkOptions,
  resolveLinkOptions,
} from "../link/options.ts";
import type { Payload } from "../link/types.ts";
import type { ContainedLogger, Logger } from "../telemetry/logger.ts";
import { type ForEachAttempt, resolveTarget, type Target } from "./targets.ts";

/** The options of a ConnectionManager. The constructor throws INVALID_OPTION for one that is wrong or unknown. */
export interface ConnectionManagerOptions {
  /**
   * pino, console, or any object with the same methods. Default none, which costs nothing. Secrets are never written.
   */
  logger?: Logger;
  /** For options that a link leaves out. A group (`queue`, `keepalive`, ...) is merged key by key. */
  defaults?: LinkOptions & ConnectOptions;
  /**
   * Default 64, of which one destination has at most three quarters. Higher: many links recover sooner. Danger: a herd
   * at the server.
   */
  maxDialsInFlight?: number;
  /** Default 200. */
  maxDialsPerSecond?: number;
  /**
   * Memory that all links share, in addition to each link's guaranteed minimum: half of it for incoming bytes, half for
   * outgoing. A link may borrow at most as much as it leaves free. Default: an eighth of the memory of the machine or
   * container, at most 1 GiB. When it is used up, windows stop growing and send() waits. The minimum of a link: 4/3 of
   * the largest message in, the largest message and 68 KiB out, and 320 KiB: 2.7 MiB with the default
   * `maxMessageBytes`.
   */
  maxBufferBytes?: number;
  /** Metrics line to the logger. Default 60,000; 0: never. */
  metricsIntervalMs?: number;
}

/** How a client link connects. */
export interface ConnectOptions {
  /**
   * Default false. true: Node's defaults, `host` as server name. Options with a `ca`, `cert` or `key` that is none, or
   * with a `cert` without its `key`, are refused with INVALID_OPTION. A function is called for each attempt, to read
   * renewed certificates; if it gives no options, the attempt fails and is retried: a function never turns TLS off.
   * The TLS session of a server is used again, until its certificate expires, with the same object of options only:
   * danger if you change what an option refers to (the bytes of a buffer).
   */
  tls?: boolean | ConnectionOptions | ForEachAttempt<ConnectionOptions>;
  /** When a connection that was lost is dialled again, and when the link gives up. */
  reconnect?: ReconnectOptions;
  /** Of the link's TCP sockets. Not with a target `path` or `connect`. */
  socket?: ClientSocketOptions;
  /**
   * Finds the addresses of `host`, called as `dns.lookup()` is, with `all: true`. Default: `dns.lookup()`, which has
   * four threads, shared with the files of the process. Links that have the same function share one call for a name;
   * after 30 s without an answer another one begins. Not with a target `path` or `connect`.
   */
  lookup?: LookupFunction;
}

/** What the sockets of a client's link are told. */
export interface ClientSocketOptions {
  /** An IP address of this machine to dial from. Only addresses of the same family are dialled. Default: any. */
  localAddress?: string;
  /**
   * Milliseconds without data after which the kernel sends its first keepalive probe, at least 1,000. Default 0: no
   * probes, as a link has its own (`keepalive`). Smaller: a NAT keeps the connection, and devices are woken more often.
   */
  keepAlive?: number;
  /** Default true. false: small writes wait for the acknowledgement of those before (Nagle). Danger: 40 ms for each. */
  noDelay?: boolean;
}

/** Options of a durable link. */
export interface OpenOptions extends LinkOptions, DurableOptions, ConnectOptions {
  /** Given, it is a plain link: see OpenPlainOptions. */
  protocol?: never;
  /**
   * For the server's authenticate(), on resumes too. At most 16 KiB. A function can give a fresh token for each
   * attempt.
   */
  credentials?: Payload | ForEachAttempt<Payload>;
  /** For the server's handler, before any message (a tunnel's target, a tenant). At most 4 KiB. Default empty. */
  openPayload?: Payload;
  /**
   * For when the server no longer knows the session (it was restarted, the session expired, its handler failed), so
   * nobody can say which of the messages in flight the server has. Default "report": the link goes on in a new session,
   * and these messages come back in the 'undelivered' event. "resend": they are sent again before newer ones; danger:
   * the peer may see them twice. "end": the link ends with SESSION_LOST, also when nothing was in flight. A link in mode
   * "bytes" always ends.
   */
  whenSessionLost?: "report" | "resend" | "end";
}

/**
 * A connection that was lost is dialled again after 0 to 200 ms. Every other delay is half to all of this: a tenth of
 * the outage so far, within the bounds.
 */
export interface ReconnectOptions {
  /** Default 500. Holds also where a server asks for less. */
  minDelayMs?: number;
  /** Default 30,000. A server's retryAfterMs replaces the delay, but not above this. */
  maxDelayMs?: number;
  /** After being connected so long, delays start anew. Default 10,000. Danger if small: accept-then-close storms. */
  resetAfterMs?: number;
  /** After so many failed attempts in a row: GAVE_UP. Default Infinity. 0: the first connection is the only one. */
  maxAttempts?: number;
  /** After so long without a connection: GAVE_UP. Default Infinity. */
  maxElapsedMs?: number;
  /** Overrides `error.retryable`. If the function throws or gives a promise, `error.retryable` decides. */
  shouldRetry?: (error: RespliceError) => boolean;
}

export interface ResolvedOpenOptions extends ResolvedLinkOptions {
  target: ReturnType<typeof resolveTarget>;
  tls: ConnectionOptions | ForEachAttempt<ConnectionOptions> | false;
  socket: SocketOptions;
  lookup: LookupFunction | undefined;
  reconnect: BackoffOptions & {
    maxAttempts: number;
    maxElapsedMs: number;
    shouldRetry: ((error: RespliceError) => boolean) | undefined;
  };
  credentials: Payload | ForEachAttempt<Payload>;
  openPayload: Buffer;
  whenSessionLost: "report" | "resend" | "end";
}

export const CONNECT_OPTION_NAMES = ["tls", "reconnect", "socket", "lookup"] as const;
const OPEN_OPTION_NAMES = ["credentials", "openPayload", "whenSessionLost"] as const;
export const TARGET_OPTION_NAMES = ["host", "port", "path", "endpoints", "endpointOrder", "connect"] as const;
const SOCKET_OPTION_NAMES = ["localAddress", "keepAlive", "noDelay"] as const;
const RECONNECT_OPTION_NAMES = [
  "minDelayMs",
  "maxDelayMs",
  "resetAfterMs",
  "maxAttempts",
  "maxElapsedMs",
  "shouldRetry",
] as const;
const MANAGER_OPTION_NAMES = [
  "logger",
  "defaults",
  "maxDialsInFlight",
  "maxDialsPerSecond",
  "maxBufferBytes",
  "metricsIntervalMs",
] as const;

export function resolveManagerOptions(
  options: ConnectionManagerOptions,
  machine: Machine = readMachine(),
): Required<Omit<ConnectionManagerOptions, "logger">> & { logger: ContainedLogger | undefined } {
  checkOptions("new ConnectionManager()", options, "{ logger }", MANAGER_OPTION_NAMES);
  const { defaults = {} } = options;
  checkGroup("defaults", defaults);
  checkNames(defaults, [...LINK_OPTION_NAMES, ...CONNECT_OPTION_NAMES], "defaults.");
  resolveLinkOptions(defaults, "client");
  resolveReconnect(defaults.reconnect);
  resolveSocket(defaults.socket);
  resolveLookup(defaults.lookup);
  checkTls(defaults, "defaults.tls");
  return {
    logger: logger(options.logger),
    defaults,
    maxDialsInFlight: integer("maxDialsInFlight", options.maxDialsInFlight ?? 64, 1, 1_000_000),
    maxDialsPerSecond: integer("maxDialsPerSecond", options.maxDialsPerSecond ?? 200, 1, 1_000_000),
    maxBufferBytes: integer(
      "maxBufferBytes",
      options.maxBufferBytes ?? defaultBufferBytes(machine),
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    metricsIntervalMs: integer("metricsIntervalMs", options.metricsIntervalMs ?? 60_000, 0, MOST_MS),
  };
}

export function resolveOpenOptions(
  given: Target & OpenOptions,
  defaults: LinkOptions & ConnectOptions = {},
): ResolvedOpenOptions {
  const options = mergeOptions(defaults as Target & OpenOptions, given);
  checkNames(options, [...TARGET_OPTION_NAMES, ...LINK_OPTION_NAMES, ...CONNECT_OPTION_NAMES, ...OPEN_OPTION_NAMES]);
  const credentials = options.credentials ?? "";
  if (typeof credentials !== "function") toCredentials(credentials);
  return {
    ...resolveLinkOptions(options, "client"),
    ...resolveConnectOptions(given, defaults, options),
    credentials,
    openPayload: payload("openPayload", options.openPayload ?? "", MAX_OPEN_PAYLOAD_BYTES),
    whenSessionLost: oneOf("whenSessionLost", options.whenSessionLost ?? "report", ["report", "resend", "end"]),
  };
}

/** How to connect. `options`: those that were given, with the defaults for the others. */
export function resolveConnectOptions(
  given: Target & ConnectOptions,
  defaults: ConnectOptions,
  options: Target & ConnectOptions,
): Pick<ResolvedOpenOptions, "target" | "tls" | "reconnect" | "socket" | "lookup"> {
  // If there is a default, `tls: undefined` means the default.
  if (defaults.tls === undefined) checkTls(given, "tls");
  checkTls(options, "tls");
  checkTarget(given);
  return {
    target: resolveTarget(options),
    tls: resolveTls(options),
    reconnect: resolveReconnect(options.reconnect),
    socket: resolveSocket(options.socket),
    lookup: resolveLookup(options.lookup),
  };
}

/** An option that is given for this link, and not as a default for all, must have an effect on it. */
function checkTarget(given: Target & ConnectOptions): void {
  if (!("connect" in given) && !("path" in given)) return;
  for (const name of ["socket", "lookup"] as const) {
    if (given[name] !== undefined) throw invalidOption(name, given[name], "not with connect or path: it is for TCP");
  }
}

function resolveSocket(given: ClientSocketOptions | undefined): SocketOptions {
  const { localAddress, keepAlive = 0, noDelay = true } = group("socket", given, SOCKET_OPTION_NAMES);
  if (localAddress !== undefined && (typeof localAddress !== "string" || isIP(localAddress) === 0)) {
    throw invalidWord("socket.localAddress", localAddress, "an IP address");
  }
  return {
    localAddress,
    keepAlive: keepAlive === 0 ? 0 : integer("socket.keepAlive", keepAlive, 1_000, MOST_MS),
    noDelay: boolean("socket.noDelay", noDelay),
  };
}

function resolveLookup(given: LookupFunction | undefined): LookupFunction | undefined {
  if (given !== undefined && typeof given !== "function") {
    throw invalidOption("lookup", given, "a function with the signature of dns.lookup()");
  }
  return given;
}

function resolveReconnect(given: ReconnectOptions | undefined): ResolvedOpenOptions["reconnect"] {
  const reconnect = group("reconnect", given, RECONNECT_OPTION_NAMES);
  const minDelayMs = integer("reconnect.minDelayMs", reconnect.minDelayMs ?? 500, 0, MOST_MS);
  const { shouldRetry } = reconnect;
  if (shouldRetry !== undefined && typeof shouldRetry !== "function") {
    throw invalidOption("reconnect.shouldRetry", shouldRetry, "a function");
  }
  return {
    minDelayMs,
    maxDelayMs: integer(
      "reconnect.maxDelayMs",
      reconnect.maxDelayMs ?? Math.max(30_000, minDelayMs),
      minDelayMs,
      MOST_MS,
    ),
    resetAfterMs: integer("reconnect.resetAfterMs", reconnect.resetAfterMs ?? 10_000, 1, MOST_MS),
    maxAttempts: integerOrInfinity("reconnect.maxAttempts", reconnect.maxAttempts ?? Infinity, 0),
    maxElapsedMs: integerOrInfinity("reconnect.maxElapsedMs", reconnect.maxElapsedMs ?? Infinity, 0),
    shouldRetry,
  };
}

/**
 * If `tls` is left out, TLS is off. `tls: undefined` was meant to be on: credentials must not go out in clear text
 * then.
 */
function checkTls(given: ConnectOptions, name: string): void {
  const { tls } = given;
  const isRight = typeof tls === "boolean" || typeof tls === "function" || isTlsOptions(tls);
  if ("tls" in given && !isRight) {
    throw invalidOption(name, tls, "true, false, options of tls.connect(), or a function that gives them");
  }
  if (typeof tls === "object") checkTlsFiles(name, tls);
}

/** Options that were checked: very many links may share them. */
const CHECKED_TLS = new WeakSet<ConnectionOptions>();

/** Later each attempt would fail in the same way. */
function checkTlsFiles(name: string, tls: ConnectionOptions): void {
  if (CHECKED_TLS.has(tls)) return;
  const wrong = tlsProblem(name, tls);
  if (wrong !== undefined) throw invalidOption(...wrong);
  // Node would leave the certificate out, and say nothing.
  if (tls.cert !== undefined && tls.secureContext === undefined && !hasCertificate(tls))
    throw invalidOption(`${name}.key`, undefined, `the private key of ${name}.cert`);
  CHECKED_TLS.add(tls);
}

function resolveTls(options: Target & ConnectOptions): ResolvedOpenOptions["tls"] {
  const { tls = false } = options;
  if (tls !== false && "connect" in options) {
    throw invalidOption("tls", tls, "not with connect: the stream comes as it is");
  }
  return tls === true ? NODE_DEFAULTS : tls;
}

/** One object for all links, so that they share TLS sessions. */
const NODE_DEFAULTS: ConnectionOptions = Object.freeze({});

/** Throws INVALID_OPTION, which never shows the credentials. */
export function toCredentials(given: unknown): Buffer {
  return payload("credentials", given, MAX_CREDENTIALS_BYTES);
}
