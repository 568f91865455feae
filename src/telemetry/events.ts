/** One structured line for what happens to links and servers. The `event` names are stable: docs/metrics.md lists them. */
import type { Logger } from "./logger.ts";
import { printable } from "./printable.ts";

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
    ...shown(ids),
    ...shown(rest),
    ...resumed,
    ...(error === undefined ? {} : { code: error.code }),
  };
  const trouble = change.to === "reconnecting" || change.to === "suspect";
  const level = change.to === "closed" && error !== undefined ? "error" : trouble ? "warn" : "info";
  logger[level](
    fields,
    error === undefined ? `link ${change.to}` : `link ${change.to}: ${printable(error.message, 1_000)}`,
  );
}

export function logUndelivered(logger: Logger, ids: object, reason: string, delivery: Record<string, number>): void {
  logger.warn({ event: "link.undelivered", ...shown(ids), reason, ...delivery }, `messages undelivered: ${reason}`);
}

export function logRefusal(
  logger: Logger,
  fields: { code: string; reason: string; sessionId: string; remoteAddress: string; retryAfterMs: number },
): void {
  logger.warn({ event: "server.refused", ...shown(fields) }, `refused: ${fields.code}`);
}

/** A connection that was closed for what it sent, or did not send. */
export function logRejected(logger: Logger, fields: { reason: string; detail: string; remoteAddress: string }): void {
  logger.warn(
    { event: "server.rejected", ...shown(fields) },
    `connection closed: ${printable(fields.reason, MOST_SHOWN)}`,
  );
}

/** A function of the application's failed where the link can do without its answer. */
export function logHookFailed(logger: Logger, fields: { link: string; hook: string; detail: string }): void {
  logger.warn({ event: "link.hook-failed", ...shown(fields) }, `the function ${fields.hook} failed`);
}

export function logServer(logger: Logger, event: string, fields: object, message: string): void {
  logger.info({ event, ...fields }, message);
}

/** Fields as they may stand in a line: an identity, a reason or what a hook threw may be what a peer wrote. */
function shown(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === "string" ? printable(value, MOST_SHOWN) : value,
    ]),
  );
}

const MOST_SHOWN = 256;
