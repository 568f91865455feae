/** The options of a durable link, on either end: what they mean, their defaults, and their check, once, at the edge. */
import { ownCopy } from "../core/wire/bytes.ts";
import type { EvidenceOptions } from "../core/session/evidence.ts";
import type { Mode } from "../core/wire/frames.ts";
import type { LinkCoreOptions } from "../core/session/link-events.ts";
import { type SharedMemory, windowFloorBytes } from "../core/session/session.ts";
import { ContainedLogger, LEVELS, type Logger } from "../telemetry/logger.ts";
import { invalidOption, invalidWord } from "./errors.ts";
import type { CloseOptions } from "./types.ts";

export const KiB = 1_024;
export const MiB = 1_048_576;
export const GiB = 1_073_741_824;

export interface LinkOptions {
  queue?: QueueOptions;
  keepalive?: KeepaliveOptions;
  timeouts?: TimeoutOptions;
  /** Default 1 MiB; encoded and with `maxBatchBytes` at most `window.maxBytes`. Of two ends the smaller counts: see "too-large". */
  maxMessageBytes?: number;
  /** Default false, as in net: when the peer has ended and all is accepted, this end ends too. */
  allowHalfOpen?: boolean;
}

export interface DurableOptions {
  /** Default "messages". "bytes": a stream, see duplex(). Both ends alike, else PROTOCOL_MISMATCH. */
  mode?: Mode;
  /** What the peer may have in flight: from 256 KiB (never less than a message) to 8 MiB, as the consumer drains. */
  window?: { minBytes?: number; maxBytes?: number };
  /** The consumer calls accept(), at the latest after `maxBatchBytes`, which the window reserves. Default: see Link. */
  manualAcceptance?: { maxBatchBytes: number };
}

/** What waits to be sent for the first time: size it by rate times outage. Full, send() waits and trySend() is false. */
export interface QueueOptions {
  /** Default 10,000. */
  maxMessages?: number;
  /** Default 16 MiB, for each link: danger on a server with many. At least one message. */
  maxBytes?: number;
}

/** Noticed after `pingAfterMs` + `suspectAfterMs`: a second connection is dialled, the first stays until it is replaced. */
export interface KeepaliveOptions {
  /** Silence in either direction. Default 15,000 (a server: 45,000). Smaller: noticed sooner, more wake-ups. 0: no pings. */
  pingAfterMs?: number;
  /**
   * No answer to a ping. Default 5,000, more on slow paths; 2 to 4 s when data in flight makes no progress, at most this,
   * at least 4 round trips.
   */
  suspectAfterMs?: number;
}

/** An attempt takes at most 20 s; what timed out is doubled for the next, up to 60 s. */
export interface TimeoutOptions {
  /** Default 10,000. Each function of the application's that an attempt asks has as much. */
  connectMs?: number;
  /** Default 10,000. */
  tlsMs?: number;
  /** Default 5,000. On a server 60,000, from the connection's opening. */
  handshakeMs?: number;
}

/** Every option with its value. */
export interface ResolvedLinkOptions {
  mode: Mode;
  queue: { maxMessages: number; maxBytes: number };
  keepalive: { pingAfterMs: number; suspectAfterMs: number };
  timeouts: { connectMs: number; tlsMs: number; handshakeMs: number };
  maxMessageBytes: number;
  allowHalfOpen: boolean;
  window: { minBytes: number; maxBytes: number };
  manualAcceptance: { maxBatchBytes: number } | undefined;
  ackDelayMs: number;
}

const DEFAULTS = {
  client: { pingAfterMs: 15_000, handshakeMs: 5_000 },
  server: { pingAfterMs: 45_000, handshakeMs: 60_000 },
} as const;
/** Data in flight without progress: between these two. */
const STALLED_AFTER_MS = [2_000, 4_000] as const;
/** Not the application's to set. */
const ACK_DELAY_MS = 25;
const MOST_WINDOW_BYTES = GiB;
const MOST_MESSAGE_BYTES = 256 * MiB;
const MOST_MS = 2_147_483_647;

export function resolveLinkOptions(
  options: LinkOptions & DurableOptions,
  side: "client" | "server",
): ResolvedLinkOptions {
  const queue = group("queue", options.queue, ["maxMessages", "maxBytes"]);
  const keepalive = group("keepalive", options.keepalive, ["pingAfterMs", "suspectAfterMs"]);
  const timeouts = group("timeouts", options.timeouts, ["connectMs", "tlsMs", "handshakeMs"]);
  const window = group("window", options.window, ["minBytes", "maxBytes"]);
  const { manualAcceptance } = options;
  const resolved: ResolvedLinkOptions = {
    mode: oneOf("mode", options.mode ?? "messages", ["messages", "bytes"]),
    queue: {
      maxMessages: integer("queue.maxMessages", queue.maxMessages ?? 10_000, 1, Number.MAX_SAFE_INTEGER),
      maxBytes: integer("queue.maxBytes", queue.maxBytes ?? 16 * MiB, 1, Number.MAX_SAFE_INTEGER),
    },
    keepalive: {
      pingAfterMs: integer("keepalive.pingAfterMs", keepalive.pingAfterMs ?? DEFAULTS[side].pingAfterMs, 0, MOST_MS),
      suspectAfterMs: integer("keepalive.suspectAfterMs", keepalive.suspectAfterMs ?? 5_000, 1, MOST_MS),
    },
    timeouts: {
      connectMs: integer("timeouts.connectMs", timeouts.connectMs ?? 10_000, 1, MOST_MS),
      tlsMs: integer("timeouts.tlsMs", timeouts.tlsMs ?? 10_000, 1, MOST_MS),
      handshakeMs: integer("timeouts.handshakeMs", timeouts.handshakeMs ?? DEFAULTS[side].handshakeMs, 1, MOST_MS),
    },
    maxMessageBytes: integer("maxMessageBytes", options.maxMessageBytes ?? MiB, 1, MOST_MESSAGE_BYTES),
    allowHalfOpen: boolean("allowHalfOpen", options.allowHalfOpen ?? false),
    window: {
      minBytes: integer("window.minBytes", window.minBytes ?? 256 * KiB, 1, MOST_WINDOW_BYTES),
      maxBytes: integer("window.maxBytes", window.maxBytes ?? 8 * MiB, 1, MOST_WINDOW_BYTES),
    },
    manualAcceptance,
    ackDelayMs: ACK_DELAY_MS,
  };
  if (manualAcceptance !== undefined) {
    group("manualAcceptance", manualAcceptance, ["maxBatchBytes"]);
    integer("manualAcceptance.maxBatchBytes", manualAcceptance.maxBatchBytes, 1, MOST_WINDOW_BYTES);
  }
  checkTogether(resolved, options);
  return resolved;
}

function checkTogether(resolved: ResolvedLinkOptions, given: LinkOptions & DurableOptions): void {
  const { window, queue, mode, maxMessageBytes, manualAcceptance } = resolved;
  const maxBatchBytes = manualAcceptance?.maxBatchBytes ?? 0;
  const floor = windowFloorBytes({ mode, maxMessageBytes, maxBatchBytes });
  if (window.minBytes > window.maxBytes) {
    throw invalidOption("window.minBytes", window.minBytes, `at most window.maxBytes (${window.maxBytes})`);
  }
  if (floor > window.maxBytes) {
    const least = `at least ${floor}: one message of maxMessageBytes with its prefix, and maxBatchBytes`;
    throw invalidOption("window.maxBytes", window.maxBytes, least);
  }
  if (mode === "messages" && queue.maxBytes < maxMessageBytes + 4) {
    if (given.queue?.maxBytes !== undefined) {
      throw invalidOption(
        "queue.maxBytes",
        queue.maxBytes,
        `at least ${maxMessageBytes + 4}: one message with its prefix`,
      );
    }
    queue.maxBytes = maxMessageBytes + 4;
  }
}

/** What the least memory of a session follows from. */
export function messageLimits(
  options: ResolvedLinkOptions,
): Pick<LinkCoreOptions, "mode" | "maxMessageBytes" | "maxBatchBytes"> {
  const { mode, maxMessageBytes, manualAcceptance } = options;
  return { mode, maxMessageBytes, maxBatchBytes: manualAcceptance?.maxBatchBytes ?? 0 };
}

/** What the core is told. */
export function coreOptions(options: ResolvedLinkOptions, memory: SharedMemory): LinkCoreOptions {
  const keepalive: EvidenceOptions = { ...options.keepalive, stalledAfterMs: STALLED_AFTER_MS };
  return {
    ...messageLimits(options),
    window: options.window,
    queue: options.queue,
    ackDelayMs: options.ackDelayMs,
    keepalive,
    ...memory,
  };
}

/** Merges groups (`queue`, `keepalive`, ...) key by key; what is undefined does not count as given. */
export function mergeOptions<T extends object>(defaults: T, options: T): T {
  const merged = { ...defaults } as Record<string, unknown>;
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const before = merged[name];
    merged[name] = isGroup(before) && isGroup(value) ? mergeOptions(before, value) : value;
  }
  return merged as T;
}

function isGroup(value: unknown): value is object {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

export function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    const range =
      most === Number.MAX_SAFE_INTEGER ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`;
    throw invalidWord(name, value, range);
  }
  return value;
}

/** As `integer`, or Infinity. */
export function integerOrInfinity(name: string, value: unknown, least: number): number {
  return value === Infinity ? value : integer(name, value, least, Number.MAX_SAFE_INTEGER);
}

/** A group of options: an object with these names and no others. */
export function group<T extends object>(
  name: string,
  given: T | undefined,
  known: ReadonlyArray<keyof T & string>,
): Partial<T> {
  if (given === undefined) return {};
  if (typeof given !== "object" || given === null)
    throw invalidOption(name, given, `an object with ${known.join(", ")}`);
  checkNames(given, known, `${name}.`);
  return given;
}

/** Bytes that the application gives; what is neither a string nor bytes is refused. */
export function payload(name: string, given: unknown, mostBytes: number): Buffer {
  if (typeof given !== "string" && !(given instanceof Uint8Array))
    throw invalidOption(name, given, "a string or bytes");
  const bytes = ownCopy(typeof given === "string" ? Buffer.from(given) : given);
  if (bytes.length > mostBytes) throw invalidOption(name, bytes, `at most ${mostBytes} bytes`);
  return bytes;
}

export function text(name: string, given: unknown): string {
  if (typeof given !== "string" || given === "") throw invalidOption(name, given, "a string");
  return given;
}

export function logger(given: Logger | undefined): ContainedLogger | undefined {
  if (given === undefined) return undefined;
  if (isLogger(given)) return new ContainedLogger(given);
  throw invalidOption("logger", given, `an object with the methods ${LEVELS.join(", ")}, as pino and console have`);
}

function isLogger(given: unknown): given is Logger {
  try {
    return (
      typeof given === "object" &&
      given !== null &&
      LEVELS.every((name) => typeof (given as Partial<Logger>)[name] === "function")
    );
  } catch {
    return false;
  }
}

/** The options of a close(). Throws before anything has changed. */
export function checkCloseOptions({ deadlineMs, signal }: CloseOptions): void {
  if (deadlineMs !== undefined && deadlineMs !== Infinity) integer("deadlineMs", deadlineMs, 0, MOST_MS);
  // Also one of another realm, or of a library.
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.addEventListener !== "function") {
    throw invalidOption("signal", signal, "an AbortSignal");
  }
}

function boolean(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw invalidOption(name, value, "true or false");
  return value;
}

export function oneOf<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) throw invalidWord(name, value, allowed.join(", "));
  return value;
}

/** Throws for an option that does not exist: a misspelled one would otherwise do nothing, silently. */
export function checkNames(options: object, known: readonly string[], prefix = ""): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw invalidOption(prefix + name, (options as Record<string, unknown>)[name], known.join(", "));
  }
}

export const LINK_OPTION_NAMES = [
  "queue",
  "keepalive",
  "timeouts",
  "maxMessageBytes",
  "allowHalfOpen",
  "mode",
  "window",
  "manualAcceptance",
] as const;
