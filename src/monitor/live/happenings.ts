/** What has happened lately, for people: cuts, recoveries, ends, and what a server did. */
import { lineOf } from "../../telemetry/log-line.ts";
import { printable } from "../../telemetry/printable.ts";
import type { LinkChange, TelemetryRecord } from "../../telemetry/record.ts";
import type { Happening, Level } from "./messages.ts";

/** So many are kept. */
export const MOST_HAPPENINGS = 60;
/** Of a second; more are only counted. */
export const MOST_IN_A_SECOND = 30;
const MOST_TEXT = 200;

type Told = Pick<Happening, "level" | "text"> & { link?: string };

export class Happenings {
  /** By number, the oldest first. */
  #kept: Readonly<Record<string, Happening>> = {};
  #numbers: number[] = [];
  #last = 0;
  #inSecond = 0;

  /** Answers whether it is told. */
  record(record: TelemetryRecord, source: number, atMs: number): boolean {
    if (!isTold(record)) return false;
    this.#inSecond++;
    // Words are made of those only that are shown.
    if (this.#inSecond > MOST_IN_A_SECOND) return false;
    this.#keep({ ...tell(record), source, atMs: Math.round(atMs) });
    return true;
  }

  /** A second is over. */
  nextSecond(atMs: number): void {
    const more = this.#inSecond - MOST_IN_A_SECOND;
    this.#inSecond = 0;
    if (more > 0) {
      this.#keep({ atMs: Math.round(atMs), level: "info", source: -1, text: `and ${more} more in this second` });
    }
  }

  #keep(happening: Happening): void {
    const number = ++this.#last;
    this.#numbers.push(number);
    const kept: Record<string, Happening> = { ...this.#kept, [number]: happening };
    if (this.#numbers.length > MOST_HAPPENINGS) delete kept[String(this.#numbers.shift())];
    this.#kept = kept;
  }

  /** Another object whenever something is new. */
  get shown(): Readonly<Record<string, Happening>> {
    return this.#kept;
  }
}

function isTold(record: TelemetryRecord): boolean {
  switch (record.event) {
    case "link.state":
      return isCut(record.change) || record.change.to === "closed" || record.change.to === "suspect";
    case "link.recovered":
    case "link.undelivered":
    case "link.handler-failed":
    case "link.hook-failed":
    case "server.state":
    case "server.listener":
    case "server.listener-failed":
    case "server.limits":
    case "server.refused":
    case "server.rejected":
    case "server.shed":
    case "server.overload":
    case "server.hook-failed":
    case "server.forward-failed":
      return true;
    default:
      return false;
  }
}

function isCut({ from, to }: LinkChange): boolean {
  return to === "reconnecting" && (from === "connected" || from === "suspect");
}

function tell(record: TelemetryRecord): Told {
  if (record.event === "link.recovered") {
    const { ids, recoveryMs } = record;
    return { level: "info", link: ids.link, text: `connected again after ${Math.max(1, Math.round(recoveryMs))} ms` };
  }
  const { level, fields, message } = lineOf(record);
  const link = linkOf(record);
  const text = printable(textOf(record, fields["reason"], message), MOST_TEXT);
  return { level: toLevel(level), text, ...(link !== undefined && { link }) };
}

function textOf(record: TelemetryRecord, reason: unknown, message: string): string {
  if (record.event !== "link.state") {
    return typeof reason === "string" && !message.includes(reason) ? `${message}: ${reason}` : message;
  }
  const { to, error } = record.change;
  const what = to === "reconnecting" ? "connection lost" : to;
  return `${what}: ${String(reason)}${error === undefined ? "" : `: ${error.message}`}`;
}

function linkOf(record: TelemetryRecord): string | undefined {
  if ("ids" in record) return record.ids.link;
  return "link" in record ? record.link : undefined;
}

function toLevel(level: string): Level {
  return level === "warn" || level === "error" ? level : "info";
}
