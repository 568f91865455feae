/** One structured line for what happens to links and servers. The `event` names are stable: docs/metrics.md lists them. */
import type { Log, LogEvent, LogFields } from "./logger.ts";
import { errorOf, messageOf } from "./thrown.ts";

export interface TransitionRecord {
  from: string;
  to: string;
  reason: string;
  attempt?: number;
  nextDelayMs?: number;
  session?: string;
  error?: { code: string; message: string };
}

/** Lines about one link; `ids` are its link and session ids. */
export function logTransition(logger: Log, ids: object, change: TransitionRecord): void {
  // `session` is the session's id in every line; whether it is a new one stands in `resumed`.
  const { error, session, ...rest } = change;
  const resumed = session === undefined ? {} : { resumed: session === "resumed" };
  const fields: LogFields = {
    event: "link.state",
    ...ids,
    ...rest,
    ...resumed,
    ...(error === undefined ? {} : { code: error.code }),
  };
  const trouble = change.to === "reconnecting" || change.to === "suspect";
  const level = change.to === "closed" && error !== undefined ? "error" : trouble ? "warn" : "info";
  logger[level](fields, error === undefined ? `link ${change.to}` : `link ${change.to}: ${error.message}`);
}

export function logUndelivered(logger: Log, ids: object, reason: string, delivery: Record<string, number>): void {
  logger.warn({ event: "link.undelivered", ...ids, reason, ...delivery }, `messages undelivered: ${reason}`);
}

/** What a handler has thrown, in pino's field for errors, so that its stack and its causes are written. */
export function logHandlerFailed(logger: Log, ids: object, thrown: unknown): void {
  const err = errorOf(thrown);
  logger.error({ event: "link.handler-failed", ...ids, err }, `a handler has failed: ${messageOf(err)}`);
}

export function logRefusal(
  logger: Log,
  fields: { code: string; reason: string; sessionId: string; remoteAddress: string; retryAfterMs: number },
): void {
  logger.warn({ event: "server.refused", ...fields }, `refused: ${fields.code}`);
}

/** A connection that was closed for what it sent, or did not send. */
export function logRejected(
  logger: Log,
  fields: { reason: string; detail: string; remoteAddress: string; err?: Error },
): void {
  logger.warn({ event: "server.rejected", ...fields }, `connection closed: ${fields.reason}`);
}

export function logServer(logger: Log, event: LogEvent, fields: object, message: string): void {
  logger.info({ event, ...fields }, message);
}

/** Beside connections, for what is open for a moment: one that is refused, a file, a name that is looked up. */
const SPARE_DESCRIPTORS = 32;

/** Where the process may not have as many descriptors as its server may have connections. */
export function logDescriptors(
  logger: Log,
  connections: number,
  { limit, open }: { limit: number; open: number },
): void {
  const needed = connections + open + SPARE_DESCRIPTORS;
  if (needed <= limit) return;
  logger.warn(
    { event: "server.descriptors", connections, open, needed, descriptorLimit: limit },
    `limits.connections is ${connections}, which may need ${needed} descriptors, and this process may have ${limit}: raise ulimit -n, or lower the limit`,
  );
}
