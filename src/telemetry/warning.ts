/** Process warnings, for failures that nobody would see otherwise: each kind is given once in a process. */
import { MOST_MESSAGE_CHARACTERS, printable } from "./printable.ts";
import type { TelemetryRecord } from "./record.ts";
import { errorOf } from "./thrown.ts";

const WARNINGS = {
  RESPLICE_HANDLER_FAILED:
    "a handler has failed, and nobody listens: give the manager or supervisor a logger, or listen to 'error' of the link or 'handlerError' of the supervisor",
  RESPLICE_HOOK_FAILED: "a function of the application's has failed, and there is no other way to tell of it",
  RESPLICE_MONITOR_FAILED: "a monitor does not work, and has no logger to tell of it",
  RESPLICE_LOGGER_FAILED: "the logger fails: it is tried again, and `lines` of stats() counts what is left out",
} as const;

const given = new Set<keyof typeof WARNINGS>();

/**
 * Warns if this is the first of its kind. The warning's `detail` is the stack of the thrown error; `source` names the
 * function that threw it. Both message and stack are escaped: they may quote what a peer has sent, as the errors of
 * JSON.parse() do, and Node writes them unescaped to the terminal.
 */
export function warnOnce(code: keyof typeof WARNINGS, thrown: unknown, source?: string): void {
  if (given.has(code)) return;
  given.add(code);
  const error = errorOf(thrown);
  const detail = stackOf(error)
    .split("\n")
    .map((line) => printable(line, MOST_MESSAGE_CHARACTERS));
  const message = printable(
    source === undefined ? error.message : `${source}: ${error.message}`,
    MOST_MESSAGE_CHARACTERS,
  );
  process.emitWarning(`${WARNINGS[code]} (${message})`, { type: "RespliceWarning", code, detail: detail.join("\n") });
}

/** The most characters of what is told of a link that was never connected: where it goes, and what was heard there. */
const MOST_UNHEARD_CHARACTERS = 1_000;

/** Each manager warns by itself. `what` may quote what a server has sent. */
export function warnOfUnheard(what: string): void {
  const advice = "Give the ConnectionManager a logger, or listen to 'state' of the link, to hear of each attempt";
  const message = `${printable(what, MOST_UNHEARD_CHARACTERS)}. ${advice}.`;
  process.emitWarning(message, { type: "RespliceWarning", code: "RESPLICE_NEVER_CONNECTED" });
}

/** With Error.prepareStackTrace a stack may be anything. */
function stackOf({ stack, message }: Error): string {
  return typeof stack === "string" ? stack : message;
}

/** Reads the journal of an owner without a logger: a failure of which nobody is told becomes a process warning. */
export function warnOfFailures(record: TelemetryRecord): void {
  const { event } = record;
  if (event === "link.handler-failed") {
    if (!record.isHeard) warnOnce("RESPLICE_HANDLER_FAILED", record.thrown);
  } else if (
    event === "link.hook-failed" ||
    event === "server.hook-failed" ||
    event === "server.rejected" ||
    event === "process.close-failed"
  ) {
    const { failure } = record;
    if (failure !== undefined) warnOnce("RESPLICE_HOOK_FAILED", failure.thrown, failure.hook);
  } else if (event === "monitor.listen-failed") {
    warnOnce("RESPLICE_MONITOR_FAILED", new Error(record.message));
  } else if (event === "monitor.metrics-failed") {
    warnOnce("RESPLICE_MONITOR_FAILED", record.thrown);
  }
}
