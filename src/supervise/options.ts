/** The options of supervise(). */
import type { Duplex } from "node:stream";
import type { OverloadAction } from "../core/overload/actions.ts";
import { type Machine, readMachine } from "../io/machine.ts";
import { boolean, checkOptions, group, integer, integerOrInfinity, logger, MOST_MS } from "../link/check.ts";
import { invalidOption } from "../link/errors.ts";
import { type Descriptors, descriptors } from "../server/descriptors.ts";
import { MOST, mostHandshakes, sharedBytes } from "../server/options.ts";
import { type ResolvedResources, resolveResources, type Resources } from "../server/resource-options.ts";
import type { ContainedLogger, Logger } from "../telemetry/logger.ts";

/** The options of supervise(). */
export interface SuperviseOptions {
  /** pino, console, or any object with the same methods. Default none, which costs nothing. */
  logger?: Logger;
  /** Metrics line to the logger. Default 60,000; 0: never. */
  metricsIntervalMs?: number;
  /** Hard caps, and rates: whose connection is closed when the server is full. */
  limits?: SuperviseLimits;
  /** How long a client may take. */
  timeouts?: SuperviseTimeouts;
  /**
   * The resources that are watched, and what is done when one of them runs short: docs/supervise.md. Default: all of
   * them are.
   */
  resources?: Resources;
  /** Overload is reported as if it was acted upon, and nothing is done. Default false. */
  dryRun?: boolean;
  /**
   * Called when the server drains, once for each connection whose protocol only the application knows: of a net or tls
   * server, or upgraded (a WebSocket). It may end the socket when its work is done. Without it, and if it throws or
   * its promise rejects, such a connection goes on until the deadline.
   */
  onDrain?: (socket: Duplex) => unknown;
}

/**
 * Hard caps. A connection above a cap is closed; a plain HTTP client is answered 503 with Retry-After first.
 * `stats().turnedAway` counts these by the limit's name, and `health()` is 'degraded' meanwhile.
 */
export interface SuperviseLimits {
  /**
   * Default: nine tenths of the descriptors that the process may have; 10,000 where that is unknown. When it is
   * reached, HTTP connections (and sessions) that have been idle for two seconds give way to new ones, from the address
   * that has most; then idle ones of an address that has more than that of the new one; then those in their handshake.
   */
  connections?: number;
  /** Connections of one IPv4 address, or one IPv6 network (/64). Default Infinity. Not for Unix sockets. Danger if small: proxies. */
  connectionsPerAddress?: number;
  /**
   * Connections that have not finished TLS, or of an HTTP server have not sent their first request's head. Default
   * 1,000, or half of `connections` where that is less, at least 8. Above it, one of them gives way.
   */
  handshakes?: number;
  /**
   * New connections. Default 1,000. Half as many again are kept for addresses that have had less than their part.
   * Danger: clients that make a connection for each request need more.
   */
  acceptsPerSecond?: number;
  /**
   * Bytes that wait in this process to be written to all connections together. Nothing keeps the application from writing
   * more: the resource `bufferBytes` is overloaded at a part of it. Default: an eighth of the memory of the machine or
   * container, at most 1 GiB. 0: not watched.
   */
  bufferBytes?: number;
}

/** How long a client may take, in milliseconds. */
export interface SuperviseTimeouts {
  /** For TLS and the head of the first request, from the connection's opening. Default 60,000. */
  handshakeMs?: number;
  /**
   * A connection with bytes to write, of which its peer takes none for so long, is hopeless: closed under overload, and
   * left alone otherwise. Default 15,000.
   */
  writeStallMs?: number;
}

/** The names of the limits that turn clients away. */
export const SUPERVISE_LIMIT_NAMES = [
  "connections",
  "handshakes",
  "connectionsPerAddress",
  "acceptsPerSecond",
] as const;
export type SuperviseLimitName = (typeof SUPERVISE_LIMIT_NAMES)[number];

export interface ResolvedSuperviseOptions {
  logger: ContainedLogger | undefined;
  metricsIntervalMs: number;
  limits: Required<SuperviseLimits>;
  timeouts: Required<SuperviseTimeouts>;
  resources: ResolvedResources;
  dryRun: boolean;
  onDrain: ((socket: Duplex) => unknown) | undefined;
}

/** Where the number of descriptors is unknown. */
const CONNECTIONS = 10_000;
/** The rest is for files, for connections that the application dials, and for those that are refused. */
const CONNECTIONS_PART = 0.9;

/** Actions against overload that a supervised server does not have, each with the reason. */
export const NOT_SUPERVISED: Readonly<Partial<Record<OverloadAction, string>>> = {
  "shrink-windows": "a supervised server lends no memory",
  "forget-received": "the peers of a supervised server send nothing again",
  "evict-waiting": "a supervised server keeps no sessions",
  "refuse-standbys": "a supervised server has no second connections",
  "read-less": "the application reads, and not the supervision",
};

export function resolveSuperviseOptions(
  options: SuperviseOptions,
  may: () => Descriptors | undefined = () => descriptors(),
  machine: Machine = readMachine(),
): ResolvedSuperviseOptions {
  checkOptions("supervise()", options, "{ limits: { connections: 1_000 } }", [
    "logger",
    "metricsIntervalMs",
    "limits",
    "timeouts",
    "resources",
    "dryRun",
    "onDrain",
  ]);
  const { onDrain } = options;
  if (onDrain !== undefined && typeof onDrain !== "function") throw invalidOption("onDrain", onDrain, "a function");
  const timeouts = group("timeouts", options.timeouts, ["handshakeMs", "writeStallMs"]);
  return {
    logger: logger(options.logger),
    metricsIntervalMs: integer("metricsIntervalMs", options.metricsIntervalMs ?? 60_000, 0, MOST_MS),
    limits: resolveLimits(group("limits", options.limits, [...SUPERVISE_LIMIT_NAMES, "bufferBytes"]), may(), machine),
    timeouts: {
      handshakeMs: integer("timeouts.handshakeMs", timeouts.handshakeMs ?? 60_000, 1, MOST_MS),
      writeStallMs: integer("timeouts.writeStallMs", timeouts.writeStallMs ?? 15_000, 1, MOST_MS),
    },
    resources: resolveResources(options.resources, NOT_SUPERVISED),
    dryRun: boolean("dryRun", options.dryRun ?? false),
    onDrain,
  };
}

function resolveLimits(
  limits: SuperviseLimits,
  may: Descriptors | undefined,
  machine: Machine,
): Required<SuperviseLimits> {
  const limit = may?.limit ?? Infinity;
  const byDefault =
    limit === Infinity ? CONNECTIONS : Math.min(MOST, Math.max(1, Math.floor(CONNECTIONS_PART * limit)));
  const connections = integer("limits.connections", limits.connections ?? byDefault, 1, MOST);
  const perAddress = limits.connectionsPerAddress ?? Infinity;
  return {
    connections,
    connectionsPerAddress: integerOrInfinity("limits.connectionsPerAddress", perAddress, 1),
    handshakes: mostHandshakes(limits.handshakes, connections),
    acceptsPerSecond: integer("limits.acceptsPerSecond", limits.acceptsPerSecond ?? 1_000, 1, MOST),
    bufferBytes: sharedBytes(limits.bufferBytes, machine),
  };
}
