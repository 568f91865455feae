/** The numbers of a ServerSupervisor. */
import type { SupervisorState } from "../core/states.ts";
import type { LinkState, Traffic } from "../link/types.ts";
import type { EventCounts } from "../telemetry/event-counts.ts";
import type { LineCounts } from "../telemetry/logger.ts";
import type { ResourceStats, Totals } from "../telemetry/samples.ts";
import type { AddressStats } from "./listening/acceptor.ts";

/** The numbers of a server. Counters are since its beginning and never fall. */
export interface SupervisorStats {
  /** What the server does, now. */
  state: SupervisorState;
  /** The addresses of `listen()`, in the order of the options; empty before it. */
  listening: AddressStats[];
  /** Open connections, and how many of them are not let in yet. */
  connections: { open: number; handshaking: number };
  /** Open connections that are forwarded to the servers that have their sessions: see the option `forward`. */
  forwarded: number;
  /** How often each REFUSE code was given. */
  refused: Record<string, number>;
  /**
   * The same by reason: `too many connections`, `no verdict`, … Refusals as `authentication` and `mismatch` count by
   * their code, as their reasons hold text of the application or the client.
   */
  refusedFor: Record<string, number>;
  /** Clients that a limit has turned away, by the limit's name: `connections`, `opensPerSecond`, … */
  turnedAway: Record<string, number>;
  /** Connections that were closed because of what they did, by the reason that the log gives. */
  rejected: Record<string, number>;
  /** Links whose connections the server has let go of, as it had too little of something: by the reason. */
  shed: Record<string, number>;
  /** How many links are in each state, now. */
  links: Record<LinkState, number>;
  /**
   * Of clients that are not resplice: their links. One waits when its connection is over, and its messages are not
   * read.
   */
  sessions: { connected: number; waiting: number };
  /** The resources that are watched for overload, by name. Empty before listen() and accept(). */
  resources: Record<string, ResourceStats>;
  /** Bytes that links hold: received and not accepted yet, and the memory of their logs. */
  bufferBytes: number;
  /** How often a link was held because of a rate (`limits.rates`), by whose rate it was. */
  held: Record<"link" | "identity" | "address", number>;
  /** Lines for the logger. */
  lines: LineCounts;
  /** Since the beginning, of links that have ended too, as all below. */
  taken: Traffic;
  /** What the peers' applications have accepted. */
  accepted: Traffic;
  /** What was handed to consumers here. */
  received: Traffic;
  /** The same numbers, and more of the kind. */
  totals: Totals;
  /** How often something happened: links that ended, lost connections, handlers that failed. */
  events: EventCounts;
}
