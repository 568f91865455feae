/** Every metric for Prometheus: its name, its type, its label, and where its numbers come from. Names are stable. */
import { RECOVERY_CLASSES_MS } from "../telemetry/event-counts.ts";
import { quantile } from "../telemetry/metrics.ts";
import type { LinkSample, Numbers } from "../telemetry/samples.ts";
import { OTHER } from "../telemetry/tally.ts";
import { LABEL_WORDS } from "./label-words.ts";
import {
  ANY,
  counter,
  gauge,
  labelled,
  LINKS,
  MANAGER,
  type Metric,
  seconds,
  SERVER,
  SERVERS,
  SUPERVISED,
} from "./metric.ts";
import { RESOURCE_METRICS } from "./resource-metrics.ts";

export const METRICS: readonly Metric[] = [
  labelled(
    "gauge",
    "resplice_health",
    ANY,
    "status",
    "1 for the present status of health(), 0 for the others",
    (m) => ({
      [m.health]: 1,
    }),
  ),
  labelled("gauge", "resplice_links", LINKS, "state", "Links that have not ended", ({ links }) => byState(links)),
  labelled(
    "counter",
    "resplice_links_ended_total",
    LINKS,
    "reason",
    "Links that have ended, by how",
    ({ events }) => events.ended,
  ),

  // Messages and bytes. Those of links that have ended stay counted.
  counter("resplice_sent_messages_total", LINKS, "Messages taken to be sent", ({ totals }) => totals.takenMessages),
  counter("resplice_sent_bytes_total", LINKS, "Bytes taken to be sent", ({ totals }) => totals.takenBytes),
  counter(
    "resplice_accepted_messages_total",
    LINKS,
    "Messages that the peers' applications have accepted",
    ({ totals }) => totals.acceptedMessages,
  ),
  counter(
    "resplice_accepted_bytes_total",
    LINKS,
    "Bytes that the peers' applications have accepted",
    ({ totals }) => totals.acceptedBytes,
  ),
  counter(
    "resplice_received_messages_total",
    LINKS,
    "Messages handed to consumers",
    ({ totals }) => totals.receivedMessages,
  ),
  counter("resplice_received_bytes_total", LINKS, "Bytes handed to consumers", ({ totals }) => totals.receivedBytes),
  labelled(
    "counter",
    "resplice_undelivered_messages_total",
    LINKS,
    "reason",
    "Messages that will not be delivered, or may not have been, by why",
    ({ totals }) => totals.undelivered,
  ),
  labelled(
    "counter",
    "resplice_unfinished_messages_total",
    LINKS,
    "delivery",
    "Messages in the reports of links that have ended, by what is known of them",
    ({ events: { unfinished } }) => ({
      maybe: unfinished.maybe,
      "not-sent": unfinished.notSent,
      untracked: unfinished.untracked,
    }),
  ),
  gauge("resplice_queued_messages", LINKS, "Messages that wait to be sent for the first time", ({ links }) =>
    sumOf(links, ({ queue }) => queue.messages),
  ),
  gauge("resplice_queued_bytes", LINKS, "Bytes that wait to be sent for the first time", ({ links }) =>
    sumOf(links, ({ queue }) => queue.bytes),
  ),
  gauge("resplice_log_bytes", LINKS, "Bytes that were sent, and are not accepted by the peer", ({ links }) =>
    sumOf(links, ({ logBytes }) => logBytes),
  ),
  gauge("resplice_window_bytes", LINKS, "Bytes that peers may have under way to this end", ({ links }) =>
    sumOf(links, ({ windowBytes }) => windowBytes),
  ),
  gauge("resplice_unaccepted_bytes", LINKS, "Received bytes that consumers have not accepted", ({ links }) =>
    sumOf(links, ({ unacceptedBytes }) => unacceptedBytes),
  ),
  gauge(
    "resplice_buffer_bytes",
    ANY,
    "Memory that links hold, in both directions; of a supervised server what waits to be written",
    ({ levels }) => numberOf(levels["bufferBytes"]),
  ),
  labelled("gauge", "resplice_limit", ANY, "limit", "The limits, each in its own unit", ({ limits }) =>
    numbersOf(limits),
  ),

  // Connections of links.
  gauge("resplice_rtt_median_seconds", LINKS, "Median round trip of the connections in use", ({ links }) =>
    seconds(quantile(roundTrips(links), 0.5)),
  ),
  gauge("resplice_rtt_max_seconds", LINKS, "Longest round trip of the connections in use", ({ links }) =>
    seconds(quantile(roundTrips(links), 1)),
  ),
  counter("resplice_reconnects_total", LINKS, "Lost connections that were replaced", ({ totals }) => totals.reconnects),
  {
    name: "resplice_recovery_seconds",
    type: "histogram",
    help: "From the loss of a connection to the next one in use",
    of: LINKS,
    read: ({ events: { recoveries }, recoveryClasses }) => ({
      upTo: RECOVERY_CLASSES_MS.map((ms, at) => [ms / 1_000, recoveryClasses[at] ?? 0]),
      count: recoveries.count,
      sum: recoveries.sumMs / 1_000,
    }),
  },
  labelled(
    "counter",
    "resplice_connections_lost_total",
    LINKS,
    "reason",
    "Connections that were lost while their link went on",
    ({ events }) => events.connectionsLost,
  ),
  labelled(
    "counter",
    "resplice_attempts_failed_total",
    MANAGER,
    "code",
    "Attempts to connect that failed, by the code of their error",
    ({ events }) => events.attemptsFailed,
  ),
  gauge("resplice_dials_in_flight", MANAGER, "Attempts to connect that are under way", ({ levels }) =>
    numberOf(levels["dialsInFlight"]),
  ),

  // A server and its clients.
  gauge("resplice_connections", SERVERS, "Connections, those in a handshake included", ({ levels }) =>
    numberOf(levels["connections"]),
  ),
  gauge("resplice_handshakes", SERVERS, "Connections that are not let in yet", ({ levels }) =>
    numberOf(levels["handshaking"]),
  ),
  gauge("resplice_idle_connections", SUPERVISED, "Connections of HTTP without a request", ({ levels }) =>
    numberOf(levels["idle"]),
  ),
  gauge(
    "resplice_opaque_connections",
    SUPERVISED,
    "Connections whose protocol only the application knows",
    ({ levels }) => numberOf(levels["opaque"]),
  ),
  counter("resplice_connections_total", SUPERVISED, "Connections that were accepted", ({ counts }) =>
    numberOf(counts["accepted"]),
  ),
  gauge("resplice_requests", SUPERVISED, "Requests of HTTP that are not answered completely", ({ levels }) =>
    numberOf(levels["requests"]),
  ),
  counter("resplice_requests_total", SUPERVISED, "Requests of HTTP", ({ counts }) => numberOf(counts["requestsBegun"])),
  gauge("resplice_forwarded_connections", SERVER, "Connections that are piped to another server", ({ levels }) =>
    numberOf(levels["forwarded"]),
  ),
  labelled("gauge", "resplice_sessions", SERVER, "state", "Sessions with a connection, and without", ({ levels }) =>
    wordsOf(levels["sessions"]),
  ),
  labelled(
    "counter",
    "resplice_held_total",
    SERVER,
    "scope",
    "How often a link had reached a rate, by whose",
    ({ counts }) => wordsOf(counts["held"]),
  ),
  labelled("counter", "resplice_refused_total", SERVERS, "code", "Refusals of clients", ({ counts }) =>
    wordsOf(counts["refused"]),
  ),
  labelled(
    "counter",
    "resplice_turned_away_total",
    SERVERS,
    "limit",
    "Clients that a limit has turned away",
    ({ counts }) => wordsOf(counts["turnedAwayBy"]),
  ),
  labelled(
    "counter",
    "resplice_rejected_total",
    SERVERS,
    "reason",
    "Connections that were closed because of what they did",
    ({ counts }) => wordsOf(counts["rejected"]),
  ),
  labelled(
    "counter",
    "resplice_shed_total",
    SERVERS,
    "reason",
    "Links and connections that the server has let go of, by what it had too little of",
    ({ counts }) => wordsOf(counts["shed"]),
  ),
  ...RESOURCE_METRICS,

  // The application's functions and its logger.
  counter(
    "resplice_handlers_failed_total",
    LINKS,
    "Errors that handlers have thrown",
    ({ events }) => events.handlersFailed,
  ),
  labelled(
    "counter",
    "resplice_hooks_failed_total",
    ANY,
    "hook",
    "Errors that functions of the options have thrown",
    ({ events }) => events.hooksFailed,
  ),
  labelled("counter", "resplice_log_lines_total", ANY, "result", "Lines for the logger", ({ lines }) => ({ ...lines })),
];

/**
 * The numbers by the values of the metric's label: those that it may have, the others summed up as "other". A value
 * that has nothing is 0, so that its first rise is seen.
 */
export function byLabel(name: string, numbers: Readonly<Record<string, number>>): Record<string, number> {
  const words = LABEL_WORDS[name];
  // Names of our own, of which each has a value.
  if (words === undefined) return { ...numbers };
  const found = Object.fromEntries(words.map((word) => [word, 0]));
  for (const [word, number] of Object.entries(numbers)) {
    const shown = Object.hasOwn(found, word) ? word : OTHER;
    found[shown] = (found[shown] ?? 0) + number;
  }
  return found;
}

function byState(links: readonly LinkSample[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of links) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

function sumOf(links: readonly LinkSample[], read: (link: LinkSample) => number): number {
  let sum = 0;
  for (const link of links) sum += read(link);
  return sum;
}

function roundTrips(links: readonly LinkSample[]): number[] {
  return links.flatMap(({ rttMs }) => (rttMs === undefined ? [] : [rttMs]));
}

function numberOf(numbers: Numbers | undefined): number | undefined {
  return typeof numbers === "number" ? numbers : undefined;
}

function wordsOf(numbers: Numbers | undefined): Readonly<Record<string, number>> {
  return typeof numbers === "object" ? numbers : {};
}

function numbersOf(limits: object): Record<string, number> {
  const entries = Object.entries(limits) as Array<[string, unknown]>;
  return Object.fromEntries(entries.filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}
