/** The numbers of a supervised server. */
import type { LineCounts } from "../telemetry/logger.ts";
import type { ResourceStats } from "../telemetry/samples.ts";

/** "open": close() was not called yet. */
export type SupervisedState = "open" | "draining" | "closed";

/** `total`: since the beginning. */
export interface SupervisedStats {
  /** Whether the server is draining. */
  state: SupervisedState;
  /**
   * `handshaking`: TLS or the first request is not complete. `idle`: of HTTP, without a request. `opaque`: only the
   * application knows the protocol, as of a net or tls server, or upgraded. `lingering`: refused, and not counted in
   * `open`: their clients have still to read why.
   */
  connections: { open: number; handshaking: number; idle: number; opaque: number; lingering: number; total: number };
  /** Of HTTP, streams included. `open`: not answered completely. */
  requests: { open: number; total: number };
  /** Connections that were refused, by code. */
  refused: Record<string, number>;
  /** The same by reason: `too many connections`, `overloaded: heap`, … */
  refusedFor: Record<string, number>;
  /** Connections that a limit has turned away, by the limit's name. */
  turnedAway: Record<string, number>;
  /** Connections that were closed because of what they did, by the reason that the log gives. */
  rejected: Record<string, number>;
  /** Connections that were closed without a request, or asked to leave, by the resource that was overloaded. */
  shed: Record<string, number>;
  /** The resources that are watched for overload, by name. Empty before the server listens. */
  resources: Record<string, ResourceStats>;
  /** Bytes that wait in this process to be written. */
  bufferBytes: number;
  /** Lines for the logger. */
  lines: LineCounts;
}
