/**
 * Reports the events of a link to the logger of its manager or supervisor. Without a logger these functions do
 * nothing.
 */
import { logHandlerFailed, logTransition, logUndelivered } from "../telemetry/events.ts";
import type { LogSink } from "../telemetry/logger.ts";
import type { LinkReport, StateChange, Undelivered } from "./types.ts";

/** A link with the ids that log lines show for it. */
interface Named {
  readonly ids: object;
}

export function reportState(logger: LogSink | undefined, link: Named, change: StateChange): void {
  if (logger !== undefined) logTransition(logger, link.ids, change);
}

export function reportUndelivered(logger: LogSink | undefined, link: Named, event: Undelivered): void {
  report(logger, link, event.reason, event.messages);
}

export function reportEnded(logger: LogSink | undefined, link: Named, { undelivered }: LinkReport): void {
  if (undelivered.length > 0) report(logger, link, "ended", undelivered);
}

/** Answers whether there is a logger. */
export function reportHandlerFailed(logger: LogSink | undefined, link: Named, thrown: unknown): boolean {
  if (logger === undefined) return false;
  logHandlerFailed(logger, link.ids, thrown);
  return true;
}

function report(
  logger: LogSink | undefined,
  link: Named,
  reason: string,
  messages: ReadonlyArray<{ delivery: "not-sent" | "maybe" }>,
): void {
  if (logger === undefined) return;
  const maybe = messages.filter(({ delivery }) => delivery === "maybe").length;
  logUndelivered(logger, link.ids, reason, { maybe, notSent: messages.length - maybe });
}
