/**
 * The records of telemetry: one for each thing that happens to links, servers and the process, as plain data. `event`
 * names are stable. Renderers read them from a Journal; docs/metrics.md lists the lines that the log has of them.
 */
import type { OverloadAction } from "../core/overload/actions.ts";
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

/**
 * A step against overload, or the end of one. `observed`, `threshold`, `limit` and `released` are in the resource's own
 * unit: descriptors, bytes, milliseconds, pages of TCP memory, or what a custom resource is read in.
 */
export interface OverloadReport {
  /**
   * `act`: the action is carried out, and holds from now on if it is a condition. `release`: this resource does not
   * hold it any more. `recover`: the overload of this resource is over. `ineffective`: the last steps have not helped,
   * and no more are taken. `unreadable`: the overload ends, as the resource could not be read for 30 s.
   */
  type: "act" | "release" | "recover" | "ineffective" | "unreadable";
  /** `heap`, `lag`, …, or the name of a custom one. */
  resource: string;
  /** The last reading. */
  observed: number;
  /** The threshold that it has passed. */
  threshold: number;
  /** Absent where the resource has none. */
  limit?: number;
  /** Milliseconds since the reading. */
  ageMs: number;
  /** Of `act` and `release`. */
  action?: OverloadAction;
  /**
   * The ids of the links that were closed, shed or ended, or whose received messages were forgotten. Of a supervised
   * server, the remote addresses of the connections that were closed, or whose clients were asked to leave.
   */
  victims: readonly string[];
  /** How much of the resource the act has freed, as far as that is known; 0 if it is not. */
  released: number;
  /** Nothing was done: `victims` and `released` say what would have been. */
  dryRun: boolean;
}

export interface ServerOverload extends OverloadReport {
  event: "server.overload";
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

export type MetricsEvent = "manager.metrics" | "server.metrics" | "supervised.metrics";

/** The traffic of links in an interval, and their state at its end. */
export interface LinkMetrics {
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
}

/** Lines for the logger, in an interval. */
export interface LineMetrics {
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
  | ForwardFailed
  | { event: "process.closing"; signal: string; deadlineMs: number; readyDelayMs: number }
  | { event: "process.close-failed"; failure: HookFailure }
  | ProcessClosed
  /** A second signal: the process ends without the rest. */
  | { event: "process.interrupted"; signal: string; code: number }
  /**
   * `counts`: the manager's or server's own, each since the record before. `levels`: as they stand now. A supervised
   * server has no links.
   */
  | {
      event: MetricsEvent;
      metrics: LineMetrics & Partial<LinkMetrics>;
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
