/** The options of a ServerSupervisor. */
import { createSecureContext, type PeerCertificate, type TlsOptions } from "node:tls";
import { invalidOption } from "../link/errors.ts";
import {
  checkNames,
  type DurableOptions,
  GiB,
  integer,
  integerOrInfinity,
  LINK_OPTION_NAMES,
  type LinkOptions,
  logger,
  type ResolvedLinkOptions,
  resolveLinkOptions,
  text,
} from "../link/options.ts";
import type { Message } from "../link/types.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface ServerSupervisorOptions extends LinkOptions, DurableOptions {
  /** 0: any free one, see listen(). */
  port?: number;
  /** Default: every address, as in net. */
  host?: string;
  /** A Unix socket instead. */
  path?: string;
  /** Without it, who listens on the path can read everything and take links over. */
  tls?: TlsOptions;
  /**
   * Called on every connect, resumes included. Returns the identity: a session belongs to the one that opened it.
   * null: refused for good. A throw: cannot say now, the client retries. Default: everyone may connect.
   */
  authenticate?: (request: AuthenticateRequest) => string | null | Promise<string | null>;
  /** A session waits so long for its client, then ends with SESSION_EXPIRED. Default 300,000. */
  resumeForMs?: number;
  logger?: Logger;
  limits?: Limits;
  /** Metrics line to the logger. Default 60,000; 0: never. */
  metricsIntervalMs?: number;
}

export interface AuthenticateRequest {
  credentials: Message;
  openPayload: Message;
  remoteAddress: string;
  /** With `tls.requestCert`; not verified if `rejectUnauthorized` is false. */
  certificate?: PeerCertificate;
  /** The handshake's deadline. */
  signal: AbortSignal;
}

/**
 * Hard caps. What is above is refused with a reason and retryAfterMs: first those that have not said who they are, of where
 * most of them come from. Resumes and standbys have room of their own at each of them. `stats().turnedAway` counts, by the
 * limit's name, and `health()` is 'degraded' meanwhile.
 */
export interface Limits {
  /**
   * Default 10,000. A tenth of it more, from 2 to 100, are let in to say what they want, and stay if they resume or stand by.
   */
  connections?: number;
  /**
   * Not finished with TLS and handshake. Default 1,000, or half of `connections` where that is less, at least 8. Above, one that has
   * not introduced itself gives way. A quarter is for sessions that their clients have not confirmed.
   */
  handshakes?: number;
  /**
   * Calls of `authenticate()` under way at once. Default 200: at 100 ms each that is 2,000 a second, more than are let in;
   * at 2 s it is 100. A quarter is kept for sessions that are here. Who could not be answered within 4 s is refused
   * before the call.
   */
  authenticating?: number;
  /** With or without a connection. Default: twice `connections`. */
  sessions?: number;
  /** Default Infinity. */
  sessionsPerIdentity?: number;
  /**
   * New sessions. Default 500. Half as much again is kept for identities, or addresses where nobody is authenticated, that
   * have had less than their part.
   */
  opensPerSecond?: number;
  /** Default 1,000, shared in the same way; of one session ten at once, then one a second. A refused one extends its session's time. */
  resumesPerSecond?: number;
  /** Second connections of clients that suspect the first. Default 100. */
  standbysPerSecond?: number;
  /** For the windows of all sessions above one message each, and as much for their logs. Default 1 GiB. Used up, they stop growing. */
  bufferBytes?: number;
}

export interface ResolvedServerOptions extends ResolvedLinkOptions {
  listen: { port: number; host?: string } | { path: string };
  tls: TlsOptions | undefined;
  authenticate: ServerSupervisorOptions["authenticate"];
  resumeForMs: number;
  logger: Logger | undefined;
  limits: Required<Limits>;
  metricsIntervalMs: number;
}

const SERVER_OPTION_NAMES = [
  "port",
  "host",
  "path",
  "tls",
  "authenticate",
  "resumeForMs",
  "logger",
  "limits",
  "metricsIntervalMs",
] as const;
const MOST_MS = 2_147_483_647;
const MOST = 100_000_000;

export function resolveServerOptions(options: ServerSupervisorOptions): ResolvedServerOptions {
  checkNames(options, [...SERVER_OPTION_NAMES, ...LINK_OPTION_NAMES]);
  const { authenticate } = options;
  if (authenticate !== undefined && typeof authenticate !== "function") {
    throw invalidOption("authenticate", authenticate, "a function");
  }
  return {
    ...resolveLinkOptions(options, "server"),
    listen: whereToListen(options),
    tls: checkTls(options.tls),
    authenticate,
    resumeForMs: integer("resumeForMs", options.resumeForMs ?? 300_000, 1, MOST_MS),
    logger: logger(options.logger),
    limits: resolveLimits(options.limits ?? {}),
    metricsIntervalMs: integer("metricsIntervalMs", options.metricsIntervalMs ?? 60_000, 0, MOST_MS),
  };
}

function checkTls(tls: TlsOptions | undefined): TlsOptions | undefined {
  if (tls === undefined) return undefined;
  if (typeof tls !== "object" || tls === null) throw invalidOption("tls", tls, "options of tls.createServer()");
  try {
    createSecureContext(tls);
  } catch (error) {
    // The options hold the key: only what Node says of them is shown.
    throw invalidOption("tls", "set", `what tls.createServer() takes: ${(error as Error).message}`);
  }
  return tls;
}

function whereToListen({ port, host, path }: ServerSupervisorOptions): ResolvedServerOptions["listen"] {
  if (path !== undefined) {
    if (port !== undefined) throw invalidOption("path", path, "either path or port");
    if (host !== undefined) throw invalidOption("host", host, "nothing: a path has no host");
    return { path: text("path", path) };
  }
  const checked = integer("port", port, 0, 65_535);
  return host === undefined ? { port: checked } : { port: checked, host: text("host", host) };
}

function resolveLimits(limits: Limits): Required<Limits> {
  const connections = integer("limits.connections", limits.connections ?? 10_000, 1, MOST);
  const resolved: Required<Limits> = {
    connections,
    handshakes: integer("limits.handshakes", limits.handshakes ?? mostHandshakes(connections), 1, MOST),
    authenticating: integer("limits.authenticating", limits.authenticating ?? 200, 1, MOST),
    sessions: integer("limits.sessions", limits.sessions ?? 2 * connections, 1, MOST),
    sessionsPerIdentity: integerOrInfinity("limits.sessionsPerIdentity", limits.sessionsPerIdentity ?? Infinity, 1),
    opensPerSecond: integer("limits.opensPerSecond", limits.opensPerSecond ?? 500, 1, MOST),
    resumesPerSecond: integer("limits.resumesPerSecond", limits.resumesPerSecond ?? 1_000, 1, MOST),
    standbysPerSecond: integer("limits.standbysPerSecond", limits.standbysPerSecond ?? 100, 1, MOST),
    bufferBytes: integer("limits.bufferBytes", limits.bufferBytes ?? GiB, 0, Number.MAX_SAFE_INTEGER),
  };
  checkNames(limits, Object.keys(resolved), "limits.");
  return resolved;
}

/** So that those who say nothing cannot have all connections. Of very few, the places above the cap take care of that. */
function mostHandshakes(connections: number): number {
  return Math.max(8, Math.min(1_000, Math.floor(connections / 2)));
}
