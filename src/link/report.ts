/** How a link tells its manager's or supervisor's logger what happens to it. Without a logger nothing is even looked at. */
import { logHandlerFailed, logTransition, logUndelivered } from "../telemetry/events.ts";
import type { LogSink } from "../telemetry/logger.ts";
import type { LinkReport, StateChange, Undelivered } from "./types.ts";

/** What log lines call the link by. */
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

/** Answers whether there is a logger to hear of it. */
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
