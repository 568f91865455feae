/** How many clients a server may have, and what they may hold. */
import { POOL_BYTES } from "../core/log/blocks.ts";
import { mayHoldBytes } from "../io/budget.ts";
import { messageLimits } from "../link/options.ts";
import { type ResolvedServerOptions, sessionsThatFit } from "./options.ts";
import { plainFloorBytes, plainLinksThatFit, type ResolvedPlainServerOptions } from "./plain-options.ts";

export interface Capacity {
  limits: { connections: number; handshakes: number };
  /** The limit that bounds what is held in memory. */
  links: { limit: "sessions" | "connections"; most: number };
  /** As many are sure to fit into memory. */
  fitting: number;
  mayHoldBytes: number;
}

export function durableCapacity(
  options: ResolvedServerOptions,
  { limits }: Pick<ResolvedServerOptions, "limits"> = options,
): Capacity {
  const { sessions, bufferBytes } = limits;
  return {
    limits,
    links: { limit: "sessions", most: sessions },
    fitting: sessionsThatFit(bufferBytes, options, options.machine),
    mayHoldBytes: mayHoldBytes(bufferBytes, sessions, messageLimits(options)),
  };
}

export function plainCapacity(
  options: ResolvedPlainServerOptions,
  { limits }: Pick<ResolvedPlainServerOptions, "limits"> = options,
): Capacity {
  const { connections, bufferBytes } = limits;
  return {
    limits,
    links: { limit: "connections", most: connections },
    fitting: plainLinksThatFit(bufferBytes, options, options.machine),
    mayHoldBytes: bufferBytes + POOL_BYTES + connections * plainFloorBytes(options),
  };
}
