/** How many clients a server may have, and what they may hold. */
import { POOL_BYTES } from "../core/log/blocks.ts";
import { mayHoldBytes } from "../io/budget.ts";
import { messageLimits } from "../link/options.ts";
import type { Machine } from "../io/machine.ts";
import { addressText } from "../telemetry/address-text.ts";
import type { Journal } from "../telemetry/journal.ts";
import { descriptors, descriptorsNeeded } from "./descriptors.ts";
import type { BoundAddress } from "./listening/places.ts";
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

export interface CapacityTerms {
  machine: Machine;
  /** Each connection begins with a header, which is awaited apart. */
  hasProxies: boolean;
  /** Connections may be forwarded, and then have two descriptors. */
  forwards: boolean;
}

/**
 * Records the limits, and warns where the machine may have too little for them. `addresses`: the server has begun to
 * listen there; undefined: its limits were changed.
 */
export function recordCapacity(
  journal: Journal,
  capacity: Capacity,
  { machine, hasProxies, forwards }: CapacityTerms,
  addresses?: readonly BoundAddress[],
): void {
  const { limits, links, fitting, mayHoldBytes: sessionsMayHoldBytes } = capacity;
  const { connections, handshakes } = limits;
  const may = descriptors();
  const bounds = { limits, sessionsMayHoldBytes, ...(may && { descriptorLimit: may.limit }) };
  const [first] = addresses ?? [];
  if (addresses === undefined || first === undefined) journal.record({ event: "server.limits", ...bounds });
  else journal.record({ event: "server.listening", ...first, addresses: addresses.map(addressText), ...bounds });
  const most = forwards ? 2 * connections : connections;
  const needed = descriptorsNeeded(most + (hasProxies ? handshakes : 0), may?.open ?? 0);
  if (may !== undefined && needed > may.limit) {
    journal.record({ event: "server.descriptors", connections, open: may.open, needed, descriptorLimit: may.limit });
  }
  if (links.most <= fitting) return;
  journal.record({ event: "server.memory", [links.limit]: links.most, fitting, sessionsMayHoldBytes, ...machine });
}
