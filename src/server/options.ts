/** The options of a ServerSupervisor. */
import { createSecureContext, type PeerCertificate, type TlsOptions } from "node:tls";
import { SESSION_HEAP_BYTES, sessionFloorBytes } from "../core/session.ts";
import { defaultBufferBytes } from "../io/budget.ts";
import { type Machine, readMachine } from "../io/machine.ts";
import { invalidOption } from "../link/errors.ts";
import {
  checkNames,
  type DurableOptions,
  integer,
  integerOrInfinity,
  LINK_OPTION_NAMES,
  type LinkOptions,
  logger,
  messageLimits,
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

/** Hard caps. What is above is refused with a reason and retryAfterMs; resumes and standbys have room of their own. */
export interface Limits {
  /** Default 10,000. Above, a connection is closed as soon as it is accepted. */
  connections?: number;
  /** Not finished with TLS and handshake. Default 1,000. Above, the oldest is closed. */
  handshakes?: number;
  /**
   * With or without a connection. Default: what memory holds, at most twice `connections`. Half of the memory of the machine
   * or container, less `bufferBytes`, by what each session may hold though nothing is left to borrow: one largest message in
   * and a third of it, one out and 68 KiB, 256 KiB besides; 2.6 MiB with the default `maxMessageBytes`. And half of V8's heap
   * by 10 KiB. Of 16 GiB: 2,700; with messages of 64 KiB 15,500. More are allowed: a warning in the log says so.
   */
  sessions?: number;
  /** Default Infinity. */
  sessionsPerIdentity?: number;
  /** New sessions. Default 500. */
  opensPerSecond?: number;
  /** Default 1,000. A refused one extends its session's time. */
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
  tls: TlsOptions | undefined;
  authenticate: ServerSupervisorOptions["authenticate"];
  resumeForMs: number;
  logger: Logger | undefined;
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
const MOST_MS = 2_147_483_647;
const MOST = 100_000_000;

export function resolveServerOptions(
  options: ServerSupervisorOptions,
  machine: Machine = readMachine(),
): ResolvedServerOptions {
  checkNames(options, [...SERVER_OPTION_NAMES, ...LINK_OPTION_NAMES]);
  const { authenticate } = options;
  if (authenticate !== undefined && typeof authenticate !== "function") {
    throw invalidOption("authenticate", authenticate, "a function");
  }
  const link = resolveLinkOptions(options, "server");
  return {
    ...link,
    listen: whereToListen(options),
    tls: checkTls(options.tls),
    authenticate,
    resumeForMs: integer("resumeForMs", options.resumeForMs ?? 300_000, 1, MOST_MS),
    logger: logger(options.logger),
    limits: resolveLimits(options.limits ?? {}, link, machine),
    machine,
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
    handshakes: integer("limits.handshakes", limits.handshakes ?? 1_000, 1, MOST),
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

/** Half of the memory is for them and what they share, and half of the heap. The rest is the application's. */
export function sessionsThatFit(bufferBytes: number, link: ResolvedLinkOptions, machine: Machine): number {
  const byMemory = (machine.memoryBytes / 2 - bufferBytes) / sessionFloorBytes(messageLimits(link));
  const byHeap = machine.oldGenerationBytes / 2 / SESSION_HEAP_BYTES;
  return Math.max(1, Math.floor(Math.min(byMemory, byHeap)));
}
