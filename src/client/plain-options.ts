/** The options of a plain link: of its dials, its queue and its deadlines. Those of plain() itself are in plain/plain.ts. */
import { checkNames, group, integer, MOST_MS } from "../link/check.ts";
import { invalidWord } from "../link/errors.ts";
import { MiB, mergeOptions, resolveLinkOptions, type ResolvedLinkOptions } from "../link/options.ts";
import type { QueueOptions } from "../link/queue-options.ts";
import { plainOptions, type PlainProtocol, type ResolvedPlainOptions } from "../plain/plain.ts";
import type { DialledOptions } from "./connector.ts";
import { CONNECT_OPTION_NAMES, type ConnectOptions, resolveConnectOptions, TARGET_OPTION_NAMES } from "./options.ts";
import type { Target } from "./targets.ts";

/** Of a link to a server that is not resplice: `protocol: plain(...)`. */
export interface OpenPlainOptions extends ConnectOptions {
  protocol: PlainProtocol;
  queue?: QueueOptions;
  keepalive?: PlainKeepaliveOptions;
  timeouts?: PlainTimeoutOptions;
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
  /** Default 15,000. Silence after which the probe is sent. 0: never. */
  pingAfterMs?: number;
  /**
   * Default 10,000. How long the server may take to answer a probe before the connection is given up. Danger if small:
   * it kills slow paths.
   */
  deadAfterMs?: number;
}

/** An attempt takes at most 20 s. A timeout that expired is doubled for the next attempt, up to 60 s. */
export interface PlainTimeoutOptions {
  /** Default 10,000. Each function of the application that an attempt calls has as much time. */
  connectMs?: number;
  /** Default 10,000. */
  tlsMs?: number;
  /** Default 5,000. For login(), with the TLS that it starts. */
  handshakeMs?: number;
  /** Default 15,000. How long the kernel may take none of the bytes that it is given; then the connection is given up. */
  writeStallMs?: number;
  /** Default 30,000. How long a request may go unanswered; then the connection is given up. */
  answerMs?: number;
}

export interface ResolvedOpenPlainOptions extends DialledOptions {
  plain: ResolvedPlainOptions;
  /** As the machinery of a link takes them. */
  link: ResolvedLinkOptions;
  deadAfterMs: number;
  writeStallMs: number;
  answerMs: number;
  windowBytes: number;
}

const OPTION_NAMES = ["protocol", "queue", "keepalive", "timeouts", "maxMessageBytes", "windowBytes"] as const;
const MOST_WINDOW_BYTES = 1_024 * MiB;

export function resolveOpenPlainOptions(
  given: Target & OpenPlainOptions,
  defaults: ConnectOptions & { queue?: QueueOptions; maxMessageBytes?: number },
): ResolvedOpenPlainOptions {
  const { queue, maxMessageBytes, tls, reconnect, socket, lookup } = defaults;
  const shared = mergeOptions({}, { queue, maxMessageBytes, tls, reconnect, socket, lookup });
  const options = mergeOptions(shared as Target & OpenPlainOptions, given);
  checkNames(given, [...TARGET_OPTION_NAMES, ...CONNECT_OPTION_NAMES, ...OPTION_NAMES]);
  const keepalive = group("keepalive", options.keepalive, ["pingAfterMs", "deadAfterMs"]);
  const names = ["connectMs", "tlsMs", "handshakeMs", "writeStallMs", "answerMs"] as const;
  const { writeStallMs, answerMs, ...timeouts } = group("timeouts", options.timeouts, names);
  const link = resolveLinkOptions(
    {
      ...(options.queue && { queue: options.queue }),
      ...(options.maxMessageBytes !== undefined && { maxMessageBytes: options.maxMessageBytes }),
      ...(keepalive.pingAfterMs !== undefined && { keepalive: { pingAfterMs: keepalive.pingAfterMs } }),
      timeouts,
      window: { maxBytes: MOST_WINDOW_BYTES },
    },
    "client",
  );
  const protocol = plainOptions(options.protocol);
  if (protocol.idleCloseMs !== Infinity && (link.queue.policy?.failAfterMs ?? Infinity) !== Infinity) {
    const allowed = '"queue" with idleCloseMs: a message that is sent while there is no connection dials';
    throw invalidWord("queue.whileDisconnected", options.queue?.whileDisconnected, allowed);
  }
  return {
    ...resolveConnectOptions(given, defaults, options),
    credentials: "",
    plain: protocol,
    link,
    timeouts: link.timeouts,
    deadAfterMs: integer("keepalive.deadAfterMs", keepalive.deadAfterMs ?? 10_000, 1, MOST_MS),
    writeStallMs: integer("timeouts.writeStallMs", writeStallMs ?? 15_000, 1, MOST_MS),
    answerMs: integer("timeouts.answerMs", answerMs ?? 30_000, 1, MOST_MS),
    windowBytes: integer("windowBytes", options.windowBytes ?? MiB, 1, MOST_WINDOW_BYTES),
  };
}
