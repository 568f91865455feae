/**
 * The options of a plain link that both ends have: of its queue and its deadlines. Those of plain() are in
 * plain/plain.ts.
 */
import type { SharedMemory } from "../core/session/session.ts";
import { group, integer, MOST_MS } from "../link/check.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import { type LinkOptions, MiB, resolveLinkOptions, type ResolvedLinkOptions } from "../link/options.ts";
import type { QueueOptions } from "../link/queue-options.ts";
import type { Framing } from "../plain/framing.ts";
import type { PlainCoreOptions } from "../plain/options.ts";
import { plainOptions, type PlainProtocol, type ResolvedPlainOptions } from "../plain/plain.ts";
import { MOST_MESSAGE_CHARACTERS, printable } from "../telemetry/printable.ts";
import { messageOf } from "../telemetry/thrown.ts";

/** Options of a link to a peer that is not resplice. */
export interface PlainLinkOptions {
  /** What is spoken: an answer of plain(). */
  protocol: PlainProtocol;
  /** What waits to be sent: how much of it, and what happens when there is more. */
  queue?: QueueOptions;
  /** How soon a dead path is noticed. */
  keepalive?: PlainKeepaliveOptions;
  /** Default 1 MiB, in both directions. A larger message that arrives closes the connection. */
  maxMessageBytes?: number;
  /**
   * Default 1 MiB. The connection is not read while so many bytes have arrived that the consumer has not accepted; so
   * much and one chunk of 64 KiB, with all messages in it, may be held.
   */
  windowBytes?: number;
}

/** A dead path is noticed by the probe of plain(); without a probe only by the kernel, when something is sent. */
export interface PlainKeepaliveOptions {
  /** Default 15,000 (a server: 45,000). Silence after which the probe is sent. 0: never. */
  pingAfterMs?: number;
  /**
   * Default 10,000. How long the peer may take to answer a probe before the connection is given up. Danger if small:
   * it kills slow paths.
   */
  deadAfterMs?: number;
}

/** How long a write and an answer may take on a plain link, in milliseconds. */
export interface PlainDeadlineOptions {
  /**
   * Default 15,000. How long the kernel may take none of the bytes that it is given; then the connection is given up.
   */
  writeStallMs?: number;
  /** Default 30,000. How long a request may go unanswered; then the connection is given up. */
  answerMs?: number;
}

export interface ResolvedPlainLink {
  plain: ResolvedPlainOptions;
  /** As the machinery of a link takes them. */
  link: ResolvedLinkOptions;
  deadAfterMs: number;
  writeStallMs: number;
  answerMs: number;
  windowBytes: number;
}

export const PLAIN_LINK_OPTION_NAMES = [
  "protocol",
  "queue",
  "keepalive",
  "timeouts",
  "maxMessageBytes",
  "windowBytes",
] as const;
const MOST_WINDOW_BYTES = 1_024 * MiB;
/** The default of `inDoubtBytes` in bytes: a server has one of these for each client. */
const IN_DOUBT_BYTES = { client: 16 * MiB, server: 65_536 } as const;

/** `timeouts`: the names that this end has besides those of `PlainDeadlineOptions`. */
export function resolvePlainLink<T extends "connectMs" | "tlsMs" | "handshakeMs">(
  options: PlainLinkOptions & { timeouts?: PlainDeadlineOptions & { [Name in T]?: number } } & Pick<
      LinkOptions,
      "allowHalfOpen"
    >,
  side: "client" | "server",
  timeoutNames: readonly T[],
): ResolvedPlainLink {
  const keepalive = group("keepalive", options.keepalive, ["pingAfterMs", "deadAfterMs"]);
  const { writeStallMs, answerMs, ...timeouts } = group("timeouts", options.timeouts, [
    ...timeoutNames,
    "writeStallMs",
    "answerMs",
  ] as const);
  const { queue, maxMessageBytes, allowHalfOpen } = options;
  const link = resolveLinkOptions(
    {
      ...(queue !== undefined && { queue }),
      ...(maxMessageBytes !== undefined && { maxMessageBytes }),
      ...(allowHalfOpen !== undefined && { allowHalfOpen }),
      ...(keepalive.pingAfterMs !== undefined && { keepalive: { pingAfterMs: keepalive.pingAfterMs } }),
      timeouts,
      window: { maxBytes: MOST_WINDOW_BYTES },
    },
    side,
  );
  const plain = plainOptions(options.protocol);
  checkFraming(plain.framing, link.maxMessageBytes);
  return {
    plain: { ...plain, inDoubtBytes: plain.inDoubtBytes ?? IN_DOUBT_BYTES[side] },
    link,
    deadAfterMs: integer("keepalive.deadAfterMs", keepalive.deadAfterMs ?? 10_000, 1, MOST_MS),
    writeStallMs: integer("timeouts.writeStallMs", writeStallMs ?? 15_000, 1, MOST_MS),
    answerMs: integer("timeouts.answerMs", answerMs ?? 30_000, 1, MOST_MS),
    windowBytes: integer("windowBytes", options.windowBytes ?? MiB, 1, MOST_WINDOW_BYTES),
  };
}

/** A framing refuses a `maxMessageBytes` that none of its messages can have. */
function checkFraming(framing: Framing, maxMessageBytes: number): void {
  try {
    framing.decoder({ maxMessageBytes });
  } catch (thrown) {
    if (thrown instanceof RespliceError && thrown.code === "INVALID_OPTION") throw thrown;
    throw invalidOption(
      "plain.framing",
      framing,
      `one whose decoder() does not throw: ${printable(messageOf(thrown))}`,
    );
  }
}

/** The options as the core takes them. */
export function plainCoreOptions(
  options: ResolvedPlainLink,
  { logBudget, blocks }: Pick<SharedMemory, "logBudget" | "blocks">,
): PlainCoreOptions {
  const { plain, link, deadAfterMs, writeStallMs, answerMs, windowBytes } = options;
  const { probe, requests, reconnectWhen, login } = plain;
  const { maxMessageBytes, queue, keepalive } = link;
  return {
    framing: plain.framing,
    hasLogin: login !== undefined,
    ...(probe && { probe }),
    ...(requests && { requests: { ...requests, maxAnswerBytes: requests.maxAnswerBytes ?? maxMessageBytes } }),
    ...(reconnectWhen && { reconnectWhen }),
    resendInFlight: plain.resendInFlight,
    inDoubtBytes: plain.inDoubtBytes,
    idleCloseMs: plain.idleCloseMs,
    maxConnectionAgeMs: plain.maxConnectionAgeMs,
    maxMessageBytes,
    queue,
    windowBytes,
    pingAfterMs: keepalive.pingAfterMs,
    deadAfterMs,
    writeStallMs,
    answerMs,
    logBudget,
    blocks,
    encodeFailed,
  };
}

/** The error for a message that cannot be framed, or lacks an id: with the code of what was thrown, if that has one. */
function encodeFailed(thrown: unknown): RespliceError {
  const code = thrown instanceof RespliceError ? thrown.code : "INVALID_ARGUMENT";
  const text = printable(messageOf(thrown), MOST_MESSAGE_CHARACTERS);
  const details = { cause: thrown, delivery: "not-sent" } as const;
  return new RespliceError(code, `the message is refused: ${text}`, details);
}
