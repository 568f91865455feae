/** One structured line for what happens to links and servers. The `event` names are stable: docs/metrics.md lists them. */
import type { Logger } from "./logger.ts";

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
export function logTransition(logger: Logger, ids: object, change: TransitionRecord): void {
  // `session` is the session's id in every line; whether it is a new one stands in `resumed`.
  const { error, session, ...rest } = change;
  const resumed = session === undefined ? {} : { resumed: session === "resumed" };
  const fields = {
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

export function logUndelivered(logger: Logger, ids: object, reason: string, delivery: Record<string, number>): void {
  logger.warn({ event: "link.undelivered", ...ids, reason, ...delivery }, `messages undelivered: ${reason}`);
}

export function logRefusal(
  logger: Logger,
  fields: { code: string; reason: string; sessionId: string; remoteAddress: string; retryAfterMs: number },
): void {
  logger.warn({ event: "server.refused", ...fields }, `refused: ${fields.code}`);
}

/** A connection that was closed for what it sent, or did not send. */
export function logRejected(logger: Logger, fields: { reason: string; detail: string; remoteAddress: string }): void {
  logger.warn({ event: "server.rejected", ...fields }, `connection closed: ${fields.reason}`);
}

export function logServer(logger: Logger, event: string, fields: object, message: string): void {
  logger.info({ event, ...fields }, message);
}
