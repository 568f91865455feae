/** Chooses, by the options of a server, whose clients it serves. */
import { mayHoldBytes } from "../io/budget.ts";
import { messageLimits } from "../link/options.ts";
import { POOL_BYTES } from "../core/log/blocks.ts";
import type { ResolvedListening } from "./listening-options.ts";
import { resolveServerOptions, type ServerSupervisorOptions, sessionsThatFit } from "./options.ts";
import {
  plainFloorBytes,
  plainLinksThatFit,
  type PlainServerOptions,
  resolvePlainServerOptions,
} from "./plain-options.ts";
import { PlainSessions } from "./plain-sessions.ts";
import type { ServedHost, ServedLinks } from "./served-links.ts";
import { Sessions } from "./sessions.ts";

/** How many clients a server may have, and what they may hold. */
export interface Capacity {
  limits: { connections: number; handshakes: number; bufferBytes: number };
  /** The limit that bounds what is held in memory. */
  links: { limit: "sessions" | "connections"; most: number };
  /** As many are sure to fit into memory. */
  fitting: number;
  mayHoldBytes: number;
}

export interface Service {
  listening: ResolvedListening;
  capacity: Capacity;
  timeouts: { tlsMs: number; handshakeMs: number };
  allowHalfOpen: boolean;
  open: (host: ServedHost) => ServedLinks;
}

/** Throws INVALID_OPTION. */
export function serve(options: ServerSupervisorOptions | PlainServerOptions): Service {
  return options.protocol === undefined ? durable(options) : plain(options);
}

function durable(given: ServerSupervisorOptions): Service {
  const options = resolveServerOptions(given);
  const { limits, machine, timeouts } = options;
  const { sessions, bufferBytes } = limits;
  return {
    listening: options,
    capacity: {
      limits,
      links: { limit: "sessions", most: sessions },
      fitting: sessionsThatFit(bufferBytes, options, machine),
      mayHoldBytes: mayHoldBytes(bufferBytes, sessions, messageLimits(options)),
    },
    timeouts,
    allowHalfOpen: false,
    open: (host) => new Sessions(options, host),
  };
}

function plain(given: PlainServerOptions): Service {
  const options = resolvePlainServerOptions(given);
  const { limits, machine, timeouts } = options;
  const { connections, bufferBytes } = limits;
  return {
    listening: options,
    capacity: {
      limits,
      links: { limit: "connections", most: connections },
      fitting: plainLinksThatFit(bufferBytes, options, machine),
      mayHoldBytes: bufferBytes + POOL_BYTES + connections * plainFloorBytes(options),
    },
    timeouts,
    allowHalfOpen: true,
    open: (host) => new PlainSessions(options, host),
  };
}
