/**
 * The records of telemetry: one for each thing that happens to links, servers and the process, as plain data. `event`
 * names are stable. Renderers read them from a Journal; docs/metrics.md lists the lines that the log has of them.
 */
import type { LinkState, SupervisorState } from "../core/states.ts";
import type { RefuseCode } from "../core/wire/frames.ts";
import type { Numbers } from "./samples.ts";

/** The link that a record is about. `identity`: at a server; empty without authenticate(). */
export interface LinkIds {
  link: string;
  session: string;
  identity?: string;
}

export interface LinkChange {
  from: LinkState;
  to: LinkState;
  reason: string;
  attempt?: number;
  nextDelayMs?: number;
  session?: "new" | "resumed";
  error?: { code: string; message: string };
}

/**
 * `maybe`, `notSent` and `untracked`: how many messages; only a plain link has untracked ones. `reason`: `ended` for
 * those in the report of the link's end.
 */
export interface LinkUndelivered {
  event: "link.undelivered";
  ids: LinkIds;
  reason: "session-lost" | "connection-lost" | "too-large" | "overflow" | "expired" | "conflated" | "ended";
  maybe: number;
  notSent: number;
  untracked?: number;
}

interface ServerBounds {
  limits: object;
  sessionsMayHoldBytes: number;
  /** Absent where it is unknown. */
  descriptorLimit?: number;
}

export interface ServerListening extends ServerBounds {
  event: "server.listening";
  /** The first of the addresses. */
  host: string;
  port: number;
  /** All, as texts. */
  addresses: readonly string[];
}

/** An address was lost, or is listened at again after `downMs`. */
export interface ServerListener {
  event: "server.listener";
  type: "lost" | "restored";
  host: string;
  port: number;
  reason: string;
  downMs: number;
}

/** Limits were changed while the server runs. */
export interface ServerLimits extends ServerBounds {
  event: "server.limits";
}

/** `limits.sessions`, or of a plain server `limits.connections`, is more than memory is sure to hold. */
export interface ServerMemory {
  event: "server.memory";
  sessions?: number;
  connections?: number;
  fitting: number;
  sessionsMayHoldBytes: number;
  memoryBytes: number;
  oldGenerationBytes: number;
}

/** The process may have fewer descriptors than its server's connections may need. */
export interface ServerDescriptors {
  event: "server.descriptors";
  connections: number;
  open: number;
  needed: number;
  descriptorLimit: number;
}

export interface ServerRefused {
  event: "server.refused";
  code: RefuseCode;
  reason: string;
  sessionId: string;
  remoteAddress: string;
  retryAfterMs: number;
}

/**
 * The server had too little of something (`reason`), and has let go of the connection of a link whose session waits, or
 * has closed the link of a client that is not resplice: `retryAfterMs` is 0 then, as no such client can be told.
 */
export interface ServerShed {
  event: "server.shed";
  ids: LinkIds;
  reason: string;
  retryAfterMs: number;
}

/** A step against the overload of a resource, or the end of one: see `OverloadReport` of the supervisor. */
export interface ServerOverload {
  event: "server.overload";
  type: "act" | "release" | "recover" | "ineffective" | "unreadable";
  resource: string;
  observed: number;
  threshold: number;
  limit?: number;
  ageMs: number;
  action?: string;
  victims: readonly string[];
  released: number;
  dryRun: boolean;
}

/** A connection was closed because of what it sent, or did not send, or because a function of the options failed. */
export interface ServerRejected {
  event: "server.rejected";
  reason: string;
  detail: string;
  remoteAddress: string;
  failure?: HookFailure;
}

/** Of the forwarding between servers: the function of the registry that failed, or the socket that others connect to. */
export interface ForwardFailed {
  event: "server.forward-failed";
  part: "announce" | "find" | "withdraw" | "listen";
  thrown: unknown;
}

/** A function of the application's options has thrown. */
export interface HookFailure {
  hook: string;
  thrown: unknown;
}

/** The process was told to end. `left`, `undelivered`, `failed`: how many links, messages and calls of close(). */
export interface ProcessClosed {
  event: "process.closed";
  code: number;
  left: number;
  undelivered: number;
  failed: number;
  ms: number;
}

export type MetricsEvent = "manager.metrics" | "server.metrics";

/** The traffic of an interval, and the state at its end. */
export interface Metrics {
  /** How many links are in each state. */
  links: Readonly<Record<string, number>>;
  sentPerSecond: number;
  sentBytesPerSecond: number;
  receivedPerSecond: number;
  receivedBytesPerSecond: number;
  queuedMessages: number;
  queuedBytes: number;
  logBytes: number;
  windowBytes: number;
  rttMsMedian: number | undefined;
  reconnects: number;
  /** Messages, by reason. */
  undelivered: Readonly<Record<string, number>>;
  recoveryMsMedian: number | undefined;
  recoveryMsMax: number | undefined;
  linesSuppressed: number;
  linesFailed: number;
}

/** The traffic of a supervised server in an interval, and its state at the end. Counts are since the record before. */
export interface SupervisedMetrics {
  event: "supervised.metrics";
  connections: number;
  handshaking: number;
  idle: number;
  /** Connections whose protocol only the application knows. */
  opaque: number;
  requests: number;
  acceptedPerSecond: number;
  requestsPerSecond: number;
  bufferBytes: number;
  turnedAway: number;
  linesSuppressed: number;
  linesFailed: number;
}

/** The records that the log has a line of. */
export type LoggedRecord =
  | { event: "link.state"; ids: LinkIds; change: LinkChange }
  | LinkUndelivered
  /** `isHeard`: a listener of the application is told of the error. */
  | { event: "link.handler-failed"; ids: LinkIds; thrown: unknown; isHeard: boolean }
  /** The link can do without the function's answer. */
  | { event: "link.hook-failed"; link: string; failure: HookFailure }
  | { event: "server.state"; from: SupervisorState; to: SupervisorState; reason: string }
  | ServerListening
  | ServerLimits
  | ServerMemory
  | ServerDescriptors
  | ServerListener
  | { event: "server.listener-failed"; code: string; message: string }
  | ServerRefused
  | ServerShed
  | ServerOverload
  /** A resource that would be watched for overload cannot be read here. */
  | { event: "server.unwatched"; resource: string; reason: string }
  /** The server can do without the function's answer. */
  | { event: "server.hook-failed"; failure: HookFailure }
  | ServerRejected
  | SupervisedMetrics
  | ForwardFailed
  | { event: "process.closing"; signal: string; deadlineMs: number; readyDelayMs: number }
  | { event: "process.close-failed"; failure: HookFailure }
  | ProcessClosed
  /** A second signal: the process ends without the rest. */
  | { event: "process.interrupted"; signal: string; code: number }
  /** The manager's or server's own numbers. `counts`: each since the record before. `levels`: as they stand now. */
  | {
      event: MetricsEvent;
      metrics: Metrics;
      counts: Readonly<Record<string, Numbers>>;
      levels: Readonly<Record<string, Numbers>>;
    }
  | { event: "monitor.listening"; host: string; port: number }
  | { event: "monitor.listen-failed"; code: string; message: string; nextTryMs: number }
  /** A metric of the application's in the same registry has thrown, or hangs. */
  | { event: "monitor.metrics-failed"; thrown: unknown };

export type TelemetryRecord =
  | LoggedRecord
  /** A lost connection was replaced after `recoveryMs`. */
  | { event: "link.recovered"; ids: LinkIds; recoveryMs: number };
