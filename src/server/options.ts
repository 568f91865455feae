/** The options of a ServerSupervisor. */
import { createSecureContext, type PeerCertificate, type TlsOptions } from "node:tls";
import { SESSION_HEAP_BYTES, sessionFloorBytes } from "../core/session/session.ts";
import { defaultBufferBytes } from "../io/budget.ts";
import { type Machine, readMachine } from "../io/machine.ts";
import { isTlsOptions, tlsRefusal } from "../io/tls-options.ts";
import { checkNames, integer, integerOrInfinity, logger, MOST_MS, text } from "../link/check.ts";
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
import type { ContainedLogger, Logger } from "../telemetry/logger.ts";
import type { Verdict } from "./verdict.ts";

export interface ServerSupervisorOptions extends LinkOptions, DurableOptions {
  /** 0: any free one, see listen(). */
  port?: number;
  /** Default: every address, as in net. */
  host?: string;
  /** A Unix socket instead. */
  path?: string;
  /** Default false: who listens on the path can read everything and take links over. */
  tls?: TlsOptions | false;
  /**
   * Called on every connect, resumes and standbys included. Answers who the client is, or that it is refused for good. A
   * throw, and any other answer: it cannot say now, the client retries. Default: everyone may connect.
   */
  authenticate?: (request: AuthenticateRequest) => Verdict | Promise<Verdict>;
  /** A session waits so long for its client, then ends with SESSION_EXPIRED. Default 300,000. */
  resumeForMs?: number;
  logger?: Logger;
  limits?: Limits;
  /** Metrics line to the logger. Default 60,000; 0: never. */
  metricsIntervalMs?: number;
}

export interface AuthenticateRequest {
  credentials: Message;
  /** That of the session, which the link has as well: of a resume not what it states, but what the session was opened with. */
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
  /**
   * With or without a connection. Default: what memory holds, at most twice `connections`. Half of the memory of the machine
   * or container, less `bufferBytes`, by what each session may hold though nothing is left to borrow: one largest message in
   * and a third of it, one out and 68 KiB, 320 KiB besides; 2.7 MiB with the default `maxMessageBytes`. And half of V8's heap
   * by 10 KiB. Of 16 GiB: 2,600; with messages of 64 KiB 13,600. More are allowed: a warning in the log says so.
   */
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
  /**
   * What all sessions share above one message each way: half of it for what comes in, half for what goes out. A session gets
   * at most as much as it leaves free. Default: an eighth of the memory there is, at most 1 GiB. Used up, windows stop growing
   * and send() waits.
   */
  bufferBytes?: number;
}

export interface ResolvedServerOptions extends ResolvedLinkOptions {
  listen: { port: number; host?: string } | { path: string };
  tls: TlsOptions | false;
  authenticate: ServerSupervisorOptions["authenticate"];
  resumeForMs: number;
  logger: ContainedLogger | undefined;
  limits: Required<Limits>;
  machine: Machine;
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
const MOST = 100_000_000;

export function resolveServerOptions(
  options: ServerSupervisorOptions,
  machine: Machine = readMachine(),
): ResolvedServerOptions {
  checkNames(options, [...SERVER_OPTION_NAMES, ...LINK_OPTION_NAMES]);
  checkProtection(options);
  const link = resolveLinkOptions(options, "server");
  return {
    ...link,
    listen: whereToListen(options),
    tls: resolveTls(options),
    authenticate: options.authenticate,
    resumeForMs: integer("resumeForMs", options.resumeForMs ?? 300_000, 1, MOST_MS),
    logger: logger(options.logger),
    limits: resolveLimits(options.limits ?? {}, link, machine),
    machine,
    metricsIntervalMs: integer("metricsIntervalMs", options.metricsIntervalMs ?? 60_000, 0, MOST_MS),
  };
}

/** What protects is off where it is left out. Given as undefined, an import that failed say, it was meant to be on. */
function checkProtection(options: ServerSupervisorOptions): void {
  const { tls, authenticate } = options;
  if ("tls" in options && tls !== false && !isTlsOptions(tls)) {
    throw invalidOption("tls", tls, "options of tls.createServer(), or false");
  }
  if ("authenticate" in options && typeof authenticate !== "function") {
    throw invalidOption("authenticate", authenticate, "a function; left out, everyone may connect");
  }
}

function resolveTls({ tls = false }: ServerSupervisorOptions): TlsOptions | false {
  if (tls === false) return false;
  try {
    createSecureContext(tls);
  } catch (error) {
    throw invalidOption("tls", tls, `what tls.createServer() takes: ${tlsRefusal(error)}`);
  }
  return tls;
}

function whereToListen({ port, host, path }: ServerSupervisorOptions): ResolvedServerOptions["listen"] {
  if (path !== undefined) {
    if (port !== undefined) throw invalidWord("path", path, "either path or port");
    if (host !== undefined) throw invalidWord("host", host, "nothing: a path has no host");
    return { path: text("path", path) };
  }
  const checked = integer("port", port, 0, 65_535);
  return host === undefined ? { port: checked } : { port: checked, host: text("host", host) };
}

function resolveLimits(limits: Limits, link: ResolvedLinkOptions, machine: Machine): Required<Limits> {
  const connections = integer("limits.connections", limits.connections ?? 10_000, 1, MOST);
  const bufferBytes = integer(
    "limits.bufferBytes",
    limits.bufferBytes ?? defaultBufferBytes(machine),
    0,
    Number.MAX_SAFE_INTEGER,
  );
  const fitting = sessionsThatFit(bufferBytes, link, machine);
  const resolved: Required<Limits> = {
    connections,
    handshakes: integer("limits.handshakes", limits.handshakes ?? mostHandshakes(connections), 1, MOST),
    authenticating: integer("limits.authenticating", limits.authenticating ?? 200, 1, MOST),
    sessions: integer("limits.sessions", limits.sessions ?? Math.min(2 * connections, fitting), 1, MOST),
    sessionsPerIdentity: integerOrInfinity("limits.sessionsPerIdentity", limits.sessionsPerIdentity ?? Infinity, 1),
    opensPerSecond: integer("limits.opensPerSecond", limits.opensPerSecond ?? 500, 1, MOST),
    resumesPerSecond: integer("limits.resumesPerSecond", limits.resumesPerSecond ?? 1_000, 1, MOST),
    standbysPerSecond: integer("limits.standbysPerSecond", limits.standbysPerSecond ?? 100, 1, MOST),
    bufferBytes,
  };
  checkNames(limits, Object.keys(resolved), "limits.");
  return resolved;
}

/** So that those who say nothing cannot have all connections. Of very few, the places above the cap take care of that. */
function mostHandshakes(connections: number): number {
  return Math.max(8, Math.min(1_000, Math.floor(connections / 2)));
}

/** Half of the memory is for them and what they share, and half of the heap. The rest is the application's. */
export function sessionsThatFit(bufferBytes: number, link: ResolvedLinkOptions, machine: Machine): number {
  const byMemory = (machine.memoryBytes / 2 - bufferBytes) / sessionFloorBytes(messageLimits(link));
  const byHeap = machine.oldGenerationBytes / 2 / SESSION_HEAP_BYTES;
  return Math.max(1, Math.floor(Math.min(byMemory, byHeap)));
}
