/**
 * Writes one structured line for each event of links and servers. `event` names are stable: docs/metrics.md lists them.
 */
import type { LogEvent, LogFields, LogSink } from "./logger.ts";
import { printable } from "./printable.ts";
import { errorOf, messageOf } from "./thrown.ts";

/** The most characters of a field; docs/metrics.md states it. */
const MOST_FIELD_CHARACTERS = 256;
/** The most characters of the message of an error that ended a link. */
const MOST_ERROR_CHARACTERS = 1_000;

export interface TransitionRecord {
  from: string;
  to: string;
  reason: string;
  attempt?: number;
  nextDelayMs?: number;
  session?: string;
  error?: { code: string; message: string };
}

/** Writes a line about one link; `ids` are its link and session ids. */
export function logTransition(logger: LogSink, ids: object, change: TransitionRecord): void {
  // In every line `session` is the session's id; `resumed` says whether the session is a new one.
  const { error, session, ...rest } = change;
  const resumed = session === undefined ? {} : { resumed: session === "resumed" };
  const fields: LogFields = {
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
    error === undefined ? `link ${change.to}` : `link ${change.to}: ${printable(error.message, MOST_ERROR_CHARACTERS)}`,
  );
}

export function logUndelivered(logger: LogSink, ids: object, reason: string, delivery: Record<string, number>): void {
  logger.warn({ event: "link.undelivered", ...shown(ids), reason, ...delivery }, `messages undelivered: ${reason}`);
}

/** The thrown value goes into `err`, pino's field for errors, so that its stack and its causes are written. */
export function logHandlerFailed(logger: LogSink, ids: object, thrown: unknown): void {
  const err = errorOf(thrown);
  logger.error(
    { event: "link.handler-failed", ...shown(ids), err },
    `a handler has failed: ${printable(messageOf(err), MOST_FIELD_CHARACTERS)}`,
  );
}

export function logRefusal(
  logger: LogSink,
  fields: { code: string; reason: string; sessionId: string; remoteAddress: string; retryAfterMs: number },
): void {
  logger.warn({ event: "server.refused", ...shown(fields) }, `refused: ${fields.code}`);
}

/** A connection was closed because of what it sent, or did not send. */
export function logRejected(
  logger: LogSink,
  fields: { reason: string; detail: string; remoteAddress: string; err?: Error },
): void {
  logger.warn(
    { event: "server.rejected", ...shown(fields) },
    `connection closed: ${printable(fields.reason, MOST_FIELD_CHARACTERS)}`,
  );
}

/** A function of the application's options failed, and the link can do without its answer. */
export function logHookFailed(logger: LogSink, fields: { link: string; hook: string; detail: string }): void {
  logger.warn({ event: "link.hook-failed", ...shown(fields) }, `the function ${fields.hook} failed`);
}

export function logServer(logger: LogSink, event: LogEvent, fields: object, message: string): void {
  logger.info({ event, ...fields }, message);
}

/** Warns that `limits.sessions` is more than memory is sure to hold. */
export function logMemory(
  logger: LogSink,
  fields: {
    sessions: number;
    fitting: number;
    sessionsMayHoldBytes: number;
    memoryBytes: number;
    oldGenerationBytes: number;
  },
): void {
  logger.warn(
    { event: "server.memory", ...fields },
    `limits.sessions is ${fields.sessions}: with half of the memory and of V8's heap for them, ${fields.fitting} are sure to fit`,
  );
}

/** Descriptors that are open for a moment only: of a refused connection, a file, a name that is looked up. */
const SPARE_DESCRIPTORS = 32;

/** Warns if the process may have fewer descriptors than its server's connections may need. */
export function logDescriptors(
  logger: LogSink,
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

/** Escapes the fields' strings: a peer may have written an identity, a reason or a thrown message. */
function shown(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === "string" ? printable(value, MOST_FIELD_CHARACTERS) : value,
    ]),
  );
}
