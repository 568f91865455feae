/** The options of a server of clients that are not resplice. */
import { HELD_PER_BYTE } from "../core/log/unread.ts";
import { SESSION_HEAP_BYTES } from "../core/session/session.ts";
import { type Machine, readMachine } from "../io/machine.ts";
import { checkGroup, checkNames, integer } from "../link/check.ts";
import { invalidOption, invalidWord } from "../link/errors.ts";
import type { ResolvedLinkOptions } from "../link/options.ts";
import {
  PLAIN_LINK_OPTION_NAMES,
  type PlainDeadlineOptions,
  type PlainLinkOptions,
  type ResolvedPlainLink,
  resolvePlainLink,
} from "../plain-link/options.ts";
import {
  LISTENING_OPTION_NAMES,
  type ListeningOptions,
  type ResolvedListening,
  resolveListening,
} from "./listening-options.ts";
import {
  checkedChanges,
  howManyFit,
  MOST,
  mostAccepts,
  mostHandshakes,
  perAddress,
  type ServerTimeoutOptions,
  sharedBytes,
} from "./options.ts";
import { type PlainRateLimits, resolveRates } from "./rate-options.ts";
import type { ResolvedRates } from "./rates.ts";

/**
 * A server of clients that are not resplice: `protocol: plain(...)`. A link is one connection, and ends with it.
 * `login` of plain() is called with each new client, who is let in when it has returned.
 */
export interface PlainServerOptions extends ListeningOptions, PlainLinkOptions {
  /** Default false: when the client has ended and everything is accepted, this end ends too. */
  allowHalfOpen?: boolean;
  /** How long the steps of a connection, a write and an answer may take. */
  timeouts?: PlainServerTimeoutOptions;
  /** Hard caps, and rates: whose connection is closed when the server is full. */
  limits?: PlainLimits;
}

/** How long the steps of a connection may take, in milliseconds. */
export interface PlainServerTimeoutOptions extends PlainDeadlineOptions, ServerTimeoutOptions {}

/**
 * Hard caps. The connection of a client above a cap is closed. `stats().turnedAway` counts these by the limit's name, and
 * `health()` is 'degraded' meanwhile. `setLimits()` changes them while the server runs.
 */
export interface PlainLimits {
  /**
   * Connections that are accepted, with those that another limit turns away. Default: 4,000 more than `opensPerSecond`.
   * Half as many again are kept for addresses that have had less than their part.
   */
  acceptsPerSecond?: number;
  /**
   * Links, and connections that are not let in yet. Default: as many as fit into memory, at most 10,000. As many fit as
   * half of the memory of the machine or container, less `bufferBytes`, has room for what each may hold in any case:
   * four of the largest message, 400 KiB and `inDoubtBytes`; with the defaults 4.5 MiB. When it is reached, connections
   * that have not logged in give way to new ones, from the address that has most of these.
   */
  connections?: number;
  /**
   * Connections that have not finished TLS and login. Default 1,000, or half of `connections`, at least 8. With
   * `proxyProtocol` as many again may be sending their header.
   */
  handshakes?: number;
  /**
   * Connections of one client: of one IPv4 address, or one IPv6 network (/64). Clients without an address, as those of a
   * Unix socket, have no such limit. Default Infinity.
   */
  connectionsPerAddress?: number;
  /** New connections. Default 500. Half as many again are kept for addresses that have had less than their part. */
  opensPerSecond?: number;
  /**
   * Memory that all links share, in addition to what each is sure of: half of it for what has arrived, half for what is
   * to be sent. Default: an eighth of the memory of the machine or container, at most 1 GiB.
   */
  bufferBytes?: number;
  /** How fast messages are handed to the application, without the answers to its requests. Default: as they come. */
  rates?: PlainRateLimits;
}

export type ResolvedPlainLimits = Required<Omit<PlainLimits, "rates">> & { rates: ResolvedRates };

/** The names of the limits that turn clients away. */
export const PLAIN_LIMIT_NAMES = [
  "acceptsPerSecond",
  "connections",
  "handshakes",
  "connectionsPerAddress",
  "opensPerSecond",
] as const;
export type PlainLimitName = (typeof PLAIN_LIMIT_NAMES)[number];

export interface ResolvedPlainServerOptions extends ResolvedListening, ResolvedPlainLink {
  limits: ResolvedPlainLimits;
  /** The limits that were given, the others being at their defaults. */
  givenLimits: PlainLimits;
  timeouts: ResolvedLinkOptions["timeouts"];
  /** The consumer of each link may be behind by so many bytes in any case. */
  windowFloorBytes: number;
}

const PLAIN_SERVER_OPTION_NAMES = ["allowHalfOpen", "limits"] as const;
/**
 * A link holds so much besides messages: two chunks that were read, 128 KiB that were written and wait in our process,
 * and 64 KiB of small pieces and objects.
 */
const LINK_BYTES = 327_680;
const WINDOW_FLOOR_BYTES = 65_536;

export function resolvePlainServerOptions(
  options: PlainServerOptions,
  machine: Machine = readMachine(),
): ResolvedPlainServerOptions {
  checkNames(options, [...LISTENING_OPTION_NAMES, ...PLAIN_LINK_OPTION_NAMES, ...PLAIN_SERVER_OPTION_NAMES]);
  const resolved = resolvePlainLink(options, "server", ["tlsMs", "handshakeMs"]);
  checkMakesSense(resolved, options);
  const windowFloorBytes = Math.min(WINDOW_FLOOR_BYTES, resolved.windowBytes);
  checkGroup("limits", options.limits);
  const givenLimits = { ...options.limits };
  return {
    ...resolveListening(options, machine),
    ...resolved,
    timeouts: resolved.link.timeouts,
    limits: resolveLimits(givenLimits, resolved, machine),
    givenLimits,
    windowFloorBytes,
  };
}

/** A link of a server has one connection: what is about the next one is a mistake. */
function checkMakesSense({ plain, link }: ResolvedPlainLink, { queue }: PlainServerOptions): void {
  if (plain.resendInFlight) {
    throw invalidOption("plain.resendInFlight", true, "false at a server: a client that is gone does not come back");
  }
  if (plain.reconnectWhen !== undefined) {
    throw invalidOption("plain.reconnectWhen", plain.reconnectWhen, "nothing at a server, which dials nobody");
  }
  if ((link.queue.policy?.failAfterMs ?? Infinity) !== Infinity) {
    throw invalidWord(
      "queue.whileDisconnected",
      queue?.whileDisconnected,
      "nothing at a server: the link ends instead",
    );
  }
}

/** Checks changed limits, and answers all of them. Throws INVALID_OPTION. */
export function changedPlainLimits(
  options: ResolvedPlainServerOptions,
  before: PlainLimits,
  changes: PlainLimits,
): Pick<ResolvedPlainServerOptions, "limits" | "givenLimits"> {
  const givenLimits = { ...before, ...checkedChanges(changes) };
  return { givenLimits, limits: resolveLimits(givenLimits, options, options.machine) };
}

function resolveLimits(limits: PlainLimits, link: ResolvedPlainLink, machine: Machine): ResolvedPlainLimits {
  const bufferBytes = sharedBytes(limits.bufferBytes, machine);
  const fitting = plainLinksThatFit(bufferBytes, link, machine);
  const connections = integer("limits.connections", limits.connections ?? Math.min(10_000, fitting), 1, MOST);
  const opensPerSecond = integer("limits.opensPerSecond", limits.opensPerSecond ?? 500, 1, MOST);
  const resolved: ResolvedPlainLimits = {
    acceptsPerSecond: mostAccepts(limits.acceptsPerSecond, opensPerSecond),
    connections,
    handshakes: mostHandshakes(limits.handshakes, connections),
    connectionsPerAddress: perAddress(limits.connectionsPerAddress),
    opensPerSecond,
    bufferBytes,
    rates: resolveRates(limits.rates, ["link", "address"], true),
  };
  checkNames(limits, Object.keys(resolved), "limits.");
  return resolved;
}

/**
 * The most that a link holds whatever the others hold: a message that has come in part, in memory of up to twice its
 * size; one that waits for its consumer; one that is to be sent.
 */
export function plainFloorBytes({ plain, link, windowBytes }: ResolvedPlainLink): number {
  const window = HELD_PER_BYTE * Math.min(WINDOW_FLOOR_BYTES, windowBytes);
  return Math.ceil(4 * link.maxMessageBytes + window + LINK_BYTES + plain.inDoubtBytes);
}

export function plainLinksThatFit(bufferBytes: number, link: ResolvedPlainLink, machine: Machine): number {
  return howManyFit(bufferBytes, { bytes: plainFloorBytes(link), heapBytes: SESSION_HEAP_BYTES }, machine);
}
