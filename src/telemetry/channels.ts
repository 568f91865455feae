/**
 * Renders telemetry records for subscribers of node:diagnostics_channel, one channel for each kind of record. A message
 * has the fields of the log line. Without a subscriber of the kind nothing is made.
 */
import { type Channel, channel } from "node:diagnostics_channel";
import type { RecordReader } from "./journal.ts";
import { lineOf } from "./log-line.ts";
import { RATES } from "./logger.ts";
import type { TelemetryRecord } from "./record.ts";

/** Behind it stands the name of the event. */
export const CHANNEL_PREFIX = "resplice:";

type Event = TelemetryRecord["event"];

/** Every event but `log.suppressed`: that one is no record, and nothing is left out here. */
const EVENTS = [...Object.keys(RATES), "link.recovered"].filter((event) => event !== "log.suppressed") as Event[];

// Held here: Node lets go of a channel that nobody holds, and of its name with it.
const CHANNELS: ReadonlyMap<Event, Channel> = new Map(EVENTS.map((event) => [event, channel(CHANNEL_PREFIX + event)]));

/** A reader that publishes records. `source`: the manager or supervisor that they are of. */
export function publishRecords(source: object): RecordReader {
  return (record) => {
    const to = CHANNELS.get(record.event);
    if (to?.hasSubscribers !== true) return;
    to.publish({ ...messageOf(record), source });
  };
}

function messageOf(record: TelemetryRecord): object {
  if (record.event === "link.recovered") {
    return { event: record.event, ...record.ids, recoveryMs: record.recoveryMs };
  }
  const { level, fields, message } = lineOf(record);
  return { ...fields, level, message };
}
