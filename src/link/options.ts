/** The options of a durable link, on either end: what they mean, their defaults, and their check, once, at the edge. */
import type { EvidenceOptions } from "../core/session/evidence.ts";
import type { Mode } from "../core/wire/frames.ts";
import type { LinkCoreOptions } from "../core/session/link-events.ts";
import { type SharedMemory, windowFloorBytes } from "../core/session/session.ts";
import { boolean, group, integer, MOST_MS, oneOf } from "./check.ts";
import { invalidOption } from "./errors.ts";
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

/** The options of a close(). Throws before anything has changed. */
export function checkCloseOptions({ deadlineMs, signal }: CloseOptions): void {
  if (deadlineMs !== undefined && deadlineMs !== Infinity) integer("deadlineMs", deadlineMs, 0, MOST_MS);
  // Also one of another realm, or of a library.
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.addEventListener !== "function") {
    throw invalidOption("signal", signal, "an AbortSignal");
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
