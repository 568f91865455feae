/**
 * Renders telemetry records as structured log lines, one for each record. docs/metrics.md lists the lines, their levels
 * and their fields.
 */
import { addressText } from "./address-text.ts";
import type { RecordReader } from "./journal.ts";
import type { Level, LogEvent, LogFields, LogSink } from "./logger.ts";
import { printable } from "./printable.ts";
import type { HookFailure, LinkChange, LinkIds, LoggedRecord, ServerOverload } from "./record.ts";
import { errorOf, messageOf } from "./thrown.ts";

/** The most characters of a field; docs/metrics.md states it. */
const MOST_FIELD_CHARACTERS = 256;
/** The most characters of the message of an error that ended a link. */
const MOST_ERROR_CHARACTERS = 1_000;
/** Why a link is without a connection when nothing has gone wrong: its server goes away in order, or it is held. */
const ORDERLY: ReadonlySet<string> = new Set(["moved", "held"]);
/** The most links that a line names; docs/metrics.md states it. */
const MOST_VICTIMS = 10;

export interface LogLine {
  level: Level;
  fields: LogFields;
  message: string;
}

/** A reader that writes each record to the logger. */
export function logLines(logger: LogSink): RecordReader {
  return (record) => {
    if (record.event === "link.recovered") return;
    const { level, fields, message } = lineOf(record);
    logger[level](fields, message, sameAs(record));
  };
}

/** What is told once if it is brought about again and again. A function of the application's is no stranger. */
function sameAs(record: LoggedRecord): string | undefined {
  if (record.event !== "server.rejected" || record.failure !== undefined) return undefined;
  return `${record.remoteAddress} ${record.reason} ${record.detail}`;
}

export function lineOf(record: LoggedRecord): LogLine {
  const { event } = record;
  switch (event) {
    case "link.state":
      return stateLine(record.ids, record.change);
    case "link.undelivered": {
      const { ids, reason, maybe, notSent, untracked } = record;
      const fields = { ...ids, reason, maybe, notSent, ...(untracked !== undefined && { untracked }) };
      return line("warn", event, fields, `messages undelivered: ${reason}`);
    }
    case "link.handler-failed": {
      // The thrown value goes into `err`, pino's field for errors, so that its stack and its causes are written.
      const err = errorOf(record.thrown);
      const message = printable(messageOf(err), MOST_FIELD_CHARACTERS);
      return line("error", event, { ...record.ids, err }, `a handler has failed: ${message}`);
    }
    case "link.hook-failed":
      return hookLine(event, { link: record.link }, record.failure);
    case "server.hook-failed":
      return hookLine(event, {}, record.failure);
    case "server.state": {
      const { from, to, reason } = record;
      return line("info", event, { from, to, reason }, `server ${to}`);
    }
    case "server.listening": {
      const { event: _, limits, host, port, addresses, ...rest } = record;
      const shown = printable(addresses.join(", "), MOST_FIELD_CHARACTERS);
      return line("info", event, { host, port, addresses, ...limits, ...rest }, `listening on ${shown}`);
    }
    case "server.limits": {
      const { event: _, limits, ...rest } = record;
      return line("info", event, { ...limits, ...rest }, "limits changed");
    }
    case "server.memory": {
      const { event: _, ...fields } = record;
      const { sessions, connections, fitting } = fields;
      const limit = sessions === undefined ? `connections is ${connections}` : `sessions is ${sessions}`;
      const advice = `with half of the memory and of V8's heap for them, ${fitting} are sure to fit`;
      return line("warn", event, fields, `limits.${limit}: ${advice}`);
    }
    case "server.descriptors": {
      const { event: _, ...fields } = record;
      const { connections, needed, descriptorLimit } = fields;
      const advice = `this process may have ${descriptorLimit}: raise ulimit -n, or lower the limit`;
      const message = `limits.connections is ${connections}, which may need ${needed} descriptors, and ${advice}`;
      return line("warn", event, fields, message);
    }
    case "server.listener": {
      const { event: _, ...fields } = record;
      const { type, host, port, reason } = fields;
      const place = printable(addressText({ host, port }), MOST_FIELD_CHARACTERS);
      if (type === "restored") return line("info", event, fields, `listening again on ${place}`);
      return line("warn", event, fields, `not listening on ${place}: ${printable(reason, MOST_FIELD_CHARACTERS)}`);
    }
    case "server.listener-failed":
      return line("error", event, { code: record.code }, record.message);
    case "server.refused": {
      const { event: _, ...fields } = record;
      // A server that goes away refuses whoever comes, as it should.
      return line(fields.code === "draining" ? "info" : "warn", event, fields, `refused: ${fields.code}`);
    }
    case "server.shed": {
      const { ids, reason, retryAfterMs } = record;
      return line(
        "warn",
        event,
        { ...ids, reason, retryAfterMs },
        `link shed: ${printable(reason, MOST_FIELD_CHARACTERS)}`,
      );
    }
    case "server.overload":
      return overloadLine(record);
    case "server.unwatched": {
      const { resource, reason } = record;
      return line("info", event, { resource, reason }, `not watched: ${resource}`);
    }
    case "server.rejected": {
      const { reason, detail, remoteAddress, failure } = record;
      const err = failure && { err: errorOf(failure.thrown) };
      const message = `connection closed: ${printable(reason, MOST_FIELD_CHARACTERS)}`;
      return line("warn", event, { reason, detail, remoteAddress, ...err }, message);
    }
    case "server.forward-failed": {
      const { part, thrown } = record;
      return line("warn", event, { part, detail: messageOf(thrown) }, `forwarding: ${part} failed`);
    }
    case "process.closing": {
      const { signal, deadlineMs, readyDelayMs } = record;
      return line("info", event, { signal, deadlineMs, readyDelayMs }, `${signal}: closing`);
    }
    case "process.close-failed": {
      const err = errorOf(record.failure.thrown);
      const message = printable(messageOf(err), MOST_FIELD_CHARACTERS);
      return line("error", event, { err }, `close() has failed: ${message}`);
    }
    case "process.closed": {
      const { event: _, ...fields } = record;
      const isInOrder = fields.code === 0;
      return line(isInOrder ? "info" : "warn", event, fields, isInOrder ? "closed" : "closed, and not all has ended");
    }
    case "process.interrupted": {
      const { signal, code } = record;
      return line("warn", event, { signal, code }, `${signal} once more: ending at once`);
    }
    case "manager.metrics":
    case "server.metrics":
    case "supervised.metrics":
      return line("info", event, { ...record.metrics, ...record.counts, ...record.levels }, "metrics");
    case "monitor.listening": {
      const { host, port } = record;
      return line("info", event, { host, port }, `the monitor listens on ${addressText({ host, port })}`);
    }
    case "monitor.listen-failed":
      return line("error", event, { code: record.code, nextTryMs: record.nextTryMs }, record.message);
    case "monitor.metrics-failed": {
      const err = errorOf(record.thrown);
      return line(
        "error",
        event,
        { err },
        `metrics cannot be read: ${printable(messageOf(err), MOST_FIELD_CHARACTERS)}`,
      );
    }
  }
}

function hookLine(event: LogEvent, ids: object, { hook, thrown }: HookFailure): LogLine {
  // A custom resource's name is the application's, as are the names of its options.
  const name = printable(hook, MOST_FIELD_CHARACTERS);
  return line("warn", event, { ...ids, hook, detail: messageOf(thrown) }, `the function ${name} failed`);
}

function stateLine(ids: LinkIds, change: LinkChange): LogLine {
  // In every line `session` is the session's id; `resumed` says whether the session is a new one.
  const { error, session, nextDelayMs = Infinity, ...rest } = change;
  const resumed = session === undefined ? {} : { resumed: session === "resumed" };
  // JSON has no Infinity: a link that is held waits for no time.
  const delay = nextDelayMs === Infinity ? {} : { nextDelayMs };
  const fields = { ...ids, ...rest, ...delay, ...resumed, ...(error && { code: error.code }) };
  const isAway = change.to === "reconnecting" && !(error === undefined && ORDERLY.has(change.reason));
  const trouble = isAway || change.to === "suspect";
  // That a client has gone is no failure of its server.
  const isClientGone = ids.identity !== undefined && error?.code === "CONNECTION_LOST";
  const isFailure = change.to === "closed" && error !== undefined && !isClientGone;
  const level = isFailure ? "error" : trouble || isClientGone ? "warn" : "info";
  const because = error === undefined ? "" : `: ${printable(error.message, MOST_ERROR_CHARACTERS)}`;
  return line(level, "link.state", fields, `link ${change.to}${because}`);
}

/** An overload may have very many victims: the line has the first of them, and how many there are. */
function overloadLine({ event, victims, ...step }: ServerOverload): LogLine {
  const { type, resource, action, dryRun } = step;
  const fields = { ...step, victims: victims.slice(0, MOST_VICTIMS), victimCount: victims.length };
  const what = action === undefined ? type : `${type} ${action}`;
  const isOver = type === "release" || type === "recover";
  const message = `overload: ${printable(resource, MOST_FIELD_CHARACTERS)}: ${what}${dryRun ? " (dry run)" : ""}`;
  return line(isOver ? "info" : "warn", event, fields, message);
}

/** Escapes the fields' strings: a peer may have written an identity, a reason or a thrown message. */
function line(level: Level, event: LogEvent, fields: object, message: string): LogLine {
  const shown: LogFields = { event };
  for (const [name, value] of Object.entries(fields) as Array<[string, unknown]>) {
    shown[name] = typeof value === "string" ? printable(value, MOST_FIELD_CHARACTERS) : value;
  }
  return { level, fields: shown, message };
}
