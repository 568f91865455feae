/** The rates at which a server's links are handed messages, as its options name them. */
import { group, integerOrInfinity } from "../link/check.ts";
import { invalidOption } from "../link/errors.ts";
import type { RateScope, ResolvedRates } from "./rates.ts";

/**
 * Messages that have arrived and are handed to the application, by a loop, a handler, receive() or a stream. After a
 * pause a second's worth may come at once.
 */
export interface RateLimit {
  /** Default Infinity. Not for a server in mode "bytes", whose chunks are as the network makes them. */
  messagesPerSecond?: number;
  /**
   * Bytes of payload, without the overhead of frames. Default Infinity. A message that is larger is handed out whole,
   * and the next one so much later.
   */
  bytesPerSecond?: number;
}

/**
 * A link above a rate is not refused, and nothing is dropped: its consumer is handed less, so that the link's window
 * fills and its client has to wait. Acknowledgements and keepalive go on. Links that share a rate take turns at it.
 */
export interface RateLimits extends PlainRateLimits {
  /** All links of one identity together. Only with `authenticate`. */
  identity?: RateLimit;
}

/** The same, for clients that are not resplice. */
export interface PlainRateLimits {
  /** Each link by itself. */
  link?: RateLimit;
  /** All links of one IPv4 address, or one IPv6 network (/64), together, if they have one. Danger: many clients may be behind it. */
  address?: RateLimit;
}

/** `scopes`: those that the server has. Throws INVALID_OPTION. */
export function resolveRates(
  given: RateLimits | undefined,
  scopes: readonly RateScope[],
  hasMessages: boolean,
): ResolvedRates {
  const limits = group("limits.rates", given, scopes);
  const rates: { -readonly [Scope in keyof ResolvedRates]: ResolvedRates[Scope] } = {};
  for (const scope of scopes) {
    const name = `limits.rates.${scope}`;
    const limit = group(name, limits[scope], ["messagesPerSecond", "bytesPerSecond"]);
    if (!hasMessages && "messagesPerSecond" in limit)
      throw invalidOption(`${name}.messagesPerSecond`, limit.messagesPerSecond, 'nothing in mode "bytes"');
    const { messagesPerSecond = Infinity, bytesPerSecond = Infinity } = limit;
    integerOrInfinity(`${name}.messagesPerSecond`, messagesPerSecond, 1);
    integerOrInfinity(`${name}.bytesPerSecond`, bytesPerSecond, 1);
    if (messagesPerSecond < Infinity || bytesPerSecond < Infinity) rates[scope] = { messagesPerSecond, bytesPerSecond };
  }
  return rates;
}
