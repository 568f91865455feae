/** The options of a durable link, on either end: their meaning, their defaults, and their check, once, at the edge. */
import { isPlainObject } from "../core/foreign.ts";
import type { EvidenceOptions } from "../core/session/evidence.ts";
import type { Mode } from "../core/wire/frames.ts";
import type { LinkCoreOptions } from "../core/session/link-events.ts";
import { type SharedMemory, windowFloorBytes } from "../core/session/session.ts";
import { boolean, group, integer, MOST_MS, oneOf } from "./check.ts";
import { invalidOption } from "./errors.ts";
import {
  checkHoldsMessage,
  queueFloorBytes,
  type QueueOptions,
  type ResolvedQueue,
  resolvePolicy,
} from "./queue-options.ts";

/** Bytes, for options: `64 * KiB`. */
export const KiB = 1_024;
/** Bytes, for options: `16 * MiB`. */
export const MiB = 1_048_576;
/** Bytes, for options: `1 * GiB`. */
export const GiB = 1_073_741_824;

/** Options of a link, at either end. */
export interface LinkOptions {
  /** What waits to be sent: how much of it, and what happens when there is more. */
  queue?: QueueOptions;
  /** How soon a dead path is noticed. */
  keepalive?: KeepaliveOptions;
  /** Of a client. A server has `ServerTimeoutOptions`. */
  timeouts?: TimeoutOptions;
  /**
   * Default 1 MiB. One encoded message and `maxBatchBytes` together may be at most `window.maxBytes`. The smaller
   * value of the two ends counts: see "too-large".
   */
  maxMessageBytes?: number;
  /** Default false, as in node:net: when the peer has ended and everything is accepted, this end ends too. */
  allowHalfOpen?: boolean;
}

/** Options of a link between two ends that are resplice. */
export interface DurableOptions {
  /** Default "messages". "bytes": a stream, see duplex(). Both ends must have the same mode, else PROTOCOL_MISMATCH. */
  mode?: Mode;
  /**
   * How many bytes the peer may have in flight. Default: from 256 KiB (never less than one message) to 8 MiB; the
   * window grows if the consumer keeps up.
   */
  window?: {
    /** Default 256 KiB, or one message if that is more. */
    minBytes?: number;
    /** Default 8 MiB. Danger if small: a fast path with a long round trip is not filled. */
    maxBytes?: number;
  };
  /**
   * The consumer calls accept(), at the latest after `maxBatchBytes`; the window reserves room for them. Default: see
   * Link.
   */
  manualAcceptance?: {
    /** So many bytes may be handed out and not accepted. The window has room for one message more. */
    maxBatchBytes: number;
  };
}

/**
 * How soon a dead path is noticed. A client that has sent or received within the last second notices it within 5 s:
 * 1 to 1.2 s after the last message it sends a ping, whose answer may take 2 to 4 s, at most `suspectAfterMs` and at
 * least 4 round trips. Further pings follow after 2, 4 and 8 s. On a link that is silent for longer, and at a server, a
 * dead path is noticed after `pingAfterMs` + `suspectAfterMs`. Then the client dials a second connection; the first one
 * stays until it is replaced.
 */
export interface KeepaliveOptions {
  /**
   * Silence in either direction after which a ping is sent, in milliseconds. Default 15,000 (a server: 45,000). A
   * smaller value notices a dead path sooner, and wakes devices more often. No ping is later than this, those after a
   * message included. 0: no pings at all, and a path that dies while nothing is sent is never noticed.
   */
  pingAfterMs?: number;
  /**
   * How long a ping may go unanswered, in milliseconds. Default 5,000; longer on slow paths. For the first ping after a
   * message, and for data in flight that makes no progress, the limit is 2 to 4 s instead, at most this value and at
   * least 4 round trips.
   */
  suspectAfterMs?: number;
}

/** An attempt takes at most 20 s. A timeout that expired is doubled for the next attempt, up to 60 s. */
export interface TimeoutOptions {
  /** Default 10,000. Each function of the application that an attempt calls has as much time. */
  connectMs?: number;
  /** Default 10,000. */
  tlsMs?: number;
  /** Default 5,000. */
  handshakeMs?: number;
}

/** Every option with its value. */
export interface ResolvedLinkOptions {
  mode: Mode;
  queue: ResolvedQueue;
  keepalive: { pingAfterMs: number; suspectAfterMs: number; pingAfterSpeechMs: readonly number[] };
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
/** A server dials nobody. */
const TIMEOUT_NAMES = { client: ["connectMs", "tlsMs", "handshakeMs"], server: ["tlsMs", "handshakeMs"] } as const;
/**
 * The application cannot set this. A client finds out for both ends, as it is the one that dials: a server that asked
 * too would double the pings.
 */
const PING_AFTER_SPEECH_MS = { client: [1_000, 2_000, 4_000, 8_000], server: [] } as const;
/** Data in flight may make no progress for a time between these two. */
const STALLED_AFTER_MS = [2_000, 4_000] as const;
/** The application cannot set this. */
const ACK_DELAY_MS = 25;
const MOST_WINDOW_BYTES = GiB;
const MOST_MESSAGE_BYTES = 256 * MiB;

export function resolveLinkOptions(
  options: LinkOptions & DurableOptions,
  side: "client" | "server",
): ResolvedLinkOptions {
  const queue = group("queue", options.queue, QUEUE_OPTION_NAMES);
  const keepalive = group("keepalive", options.keepalive, ["pingAfterMs", "suspectAfterMs"]);
  const timeouts: TimeoutOptions = group("timeouts", options.timeouts, TIMEOUT_NAMES[side]);
  const window = group("window", options.window, ["minBytes", "maxBytes"]);
  const { manualAcceptance } = options;
  const resolved: ResolvedLinkOptions = {
    mode: oneOf("mode", options.mode ?? "messages", ["messages", "bytes"]),
    queue: {
      maxMessages: integer("queue.maxMessages", queue.maxMessages ?? 10_000, 1, Number.MAX_SAFE_INTEGER),
      maxBytes: integer("queue.maxBytes", queue.maxBytes ?? 16 * MiB, 1, Number.MAX_SAFE_INTEGER),
      policy: undefined,
    },
    keepalive: {
      pingAfterMs: integer("keepalive.pingAfterMs", keepalive.pingAfterMs ?? DEFAULTS[side].pingAfterMs, 0, MOST_MS),
      suspectAfterMs: integer("keepalive.suspectAfterMs", keepalive.suspectAfterMs ?? 5_000, 1, MOST_MS),
      pingAfterSpeechMs: PING_AFTER_SPEECH_MS[side],
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
  resolved.queue.policy = resolvePolicy(queue, resolved.queue, resolved.maxMessageBytes);
  if (resolved.queue.policy !== undefined && resolved.mode === "bytes") {
    throw invalidOption("queue", queue, 'only maxMessages and maxBytes in mode "bytes": a stream cannot lose a part');
  }
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
  if (mode !== "messages") return;
  if (given.queue?.maxBytes === undefined) queue.maxBytes = Math.max(queue.maxBytes, queueFloorBytes(maxMessageBytes));
  checkHoldsMessage("queue.maxBytes", queue.maxBytes, maxMessageBytes);
}

/** The options that determine the least memory of a session. */
export function messageLimits(
  options: ResolvedLinkOptions,
): Pick<LinkCoreOptions, "mode" | "maxMessageBytes" | "maxBatchBytes"> {
  const { mode, maxMessageBytes, manualAcceptance } = options;
  return { mode, maxMessageBytes, maxBatchBytes: manualAcceptance?.maxBatchBytes ?? 0 };
}

/** The options as the core takes them. */
export function coreOptions(options: ResolvedLinkOptions, memory: SharedMemory): LinkCoreOptions {
  const keepalive: EvidenceOptions = { ...options.keepalive, stalledAfterMs: STALLED_AFTER_MS };
  const { maxMessages, maxBytes, policy } = options.queue;
  return {
    ...messageLimits(options),
    window: options.window,
    // With a policy the queue before the log has the bounds, and gives the log little.
    queue: { maxMessages: policy === undefined ? maxMessages : Infinity, maxBytes },
    ackDelayMs: options.ackDelayMs,
    keepalive,
    ...memory,
  };
}

/** Merges groups (`queue`, `keepalive`, ...) key by key; a value of undefined does not count as given. */
export function mergeOptions<T extends object>(defaults: T, options: T): T {
  const merged = { ...defaults } as Record<string, unknown>;
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const before = merged[name];
    merged[name] = isPlainObject(before) && isPlainObject(value) ? mergeOptions(before, value) : value;
  }
  return merged as T;
}

const QUEUE_OPTION_NAMES = [
  "maxMessages",
  "maxBytes",
  "overflow",
  "ttlMs",
  "whileDisconnected",
  "priorities",
] as const satisfies ReadonlyArray<keyof QueueOptions>;

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
