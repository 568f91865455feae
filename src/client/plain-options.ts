/** The options of a client's plain link. Those that both ends have are in plain-link/options.ts. */
import { checkNames } from "../link/check.ts";
import { invalidWord } from "../link/errors.ts";
import { mergeOptions } from "../link/options.ts";
import type { QueueOptions } from "../link/queue-options.ts";
import {
  PLAIN_LINK_OPTION_NAMES,
  type PlainDeadlineOptions,
  type PlainLinkOptions,
  type ResolvedPlainLink,
  resolvePlainLink,
} from "../plain-link/options.ts";
import type { DialledOptions } from "./connector.ts";
import { CONNECT_OPTION_NAMES, type ConnectOptions, resolveConnectOptions, TARGET_OPTION_NAMES } from "./options.ts";
import type { Target } from "./targets.ts";

/** Of a link to a server that is not resplice: `protocol: plain(...)`. */
export interface OpenPlainOptions extends ConnectOptions, PlainLinkOptions {
  /** How long the steps of an attempt, a write and an answer may take. */
  timeouts?: PlainTimeoutOptions;
}

/** An attempt takes at most 20 s. A timeout that expired is doubled for the next attempt, up to 60 s. */
export interface PlainTimeoutOptions extends PlainDeadlineOptions {
  /** Default 10,000. Each function of the application that an attempt calls has as much time. */
  connectMs?: number;
  /** Default 10,000. */
  tlsMs?: number;
  /** Default 5,000. For login(), with the TLS that it starts. */
  handshakeMs?: number;
}

export interface ResolvedOpenPlainOptions extends DialledOptions, ResolvedPlainLink {}

export function resolveOpenPlainOptions(
  given: Target & OpenPlainOptions,
  defaults: ConnectOptions & { queue?: QueueOptions; maxMessageBytes?: number },
): ResolvedOpenPlainOptions {
  const { queue, maxMessageBytes, tls, reconnect, socket, lookup } = defaults;
  const shared = mergeOptions({}, { queue, maxMessageBytes, tls, reconnect, socket, lookup });
  const options = mergeOptions(shared as Target & OpenPlainOptions, given);
  checkNames(given, [...TARGET_OPTION_NAMES, ...CONNECT_OPTION_NAMES, ...PLAIN_LINK_OPTION_NAMES]);
  const resolved = resolvePlainLink(options, "client", ["connectMs", "tlsMs", "handshakeMs"]);
  const { plain, link } = resolved;
  if (plain.idleCloseMs !== Infinity && (link.queue.policy?.failAfterMs ?? Infinity) !== Infinity) {
    const allowed = '"queue" with idleCloseMs: a message that is sent while there is no connection dials';
    throw invalidWord("queue.whileDisconnected", options.queue?.whileDisconnected, allowed);
  }
  return {
    ...resolveConnectOptions(given, defaults, options),
    ...resolved,
    credentials: "",
    timeouts: link.timeouts,
  };
}
