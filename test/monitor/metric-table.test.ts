import { describe, expect, test } from "vitest";
import { LABEL_WORDS } from "../../src/monitor/label-words.ts";
import type { Measurement } from "../../src/monitor/metric.ts";
import { byLabel, METRICS } from "../../src/monitor/metric-table.ts";
import { EventCounter } from "../../src/telemetry/event-counts.ts";
import { type LinkSample, NO_TOTALS } from "../../src/telemetry/samples.ts";
import { sampleOf } from "../telemetry/sample-of.ts";

function measured(given: Partial<Measurement> = {}): Measurement {
  const counter = new EventCounter();
  return {
    links: [],
    totals: NO_TOTALS,
    counts: {},
    levels: {},
    events: counter.counts,
    recoveryClasses: counter.recoveryClasses,
    lines: { written: 0, suppressed: 0, failed: 0 },
    health: "healthy",
    limits: {},
    resources: {},
    ...given,
  };
}

function read(name: string, given: Partial<Measurement>): unknown {
  return METRICS.find((metric) => metric.name === name)?.read(measured(given));
}

const LINKS: LinkSample[] = [
  sampleOf({ rttMs: 20, queue: { messages: 1, bytes: 2 }, logBytes: 3, windowBytes: 4, unacceptedBytes: 5 }),
  sampleOf({ state: "reconnecting", rttMs: undefined, queue: { messages: 10, bytes: 20 }, logBytes: 30 }),
  sampleOf({ rttMs: 400, windowBytes: 40, unacceptedBytes: 50 }),
  sampleOf({ rttMs: 30 }),
];

const NO_READING = { observed: undefined, limit: undefined, low: undefined, high: undefined, ageMs: 0, costUs: 0 };

describe("what each metric reads", () => {
  const totals = {
    takenMessages: 1,
    takenBytes: 2,
    acceptedMessages: 3,
    acceptedBytes: 4,
    receivedMessages: 5,
    receivedBytes: 6,
    reconnects: 7,
    undelivered: { overflow: 8 },
  };
  const events = {
    ended: { expired: 1 },
    connectionsLost: { EPIPE: 2 },
    attemptsFailed: { TIMED_OUT: 3 },
    unfinished: { maybe: 4, notSent: 5, untracked: 6 },
    handlersFailed: 7,
    hooksFailed: { login: 8 },
    recoveries: { count: 9, sumMs: 10_500 },
  };
  const counts = {
    turnedAway: 99,
    turnedAwayBy: { connections: 1 },
    held: { address: 5 },
    refused: { stale: 2 },
    rejected: { tls: 3 },
    shed: { memory: 4 },
    accepted: 12,
    requestsBegun: 13,
  };
  const levels = {
    forwarded: 8,
    idle: 9,
    opaque: 10,
    requests: 11,
    connections: 5,
    handshaking: 2,
    sessions: { connected: 3, waiting: 4 },
    bufferBytes: 6,
    dialsInFlight: 7,
  };
  const given: Partial<Measurement> = {
    links: LINKS,
    totals,
    events,
    recoveryClasses: [1, 2],
    counts,
    levels,
    lines: { written: 1, suppressed: 2, failed: 3 },
    health: "degraded",
    resources: {
      lag: {
        state: "overloaded",
        observed: 50,
        limit: undefined,
        low: 15,
        high: 40,
        ageMs: 250,
        costUs: 500,
        holds: ["read-less"],
        steps: { "read-less": 1, shed: 3 },
      },
      tcpMemory: { state: "not-watched", ...NO_READING, holds: [], steps: {} },
    },
    limits: { connections: 100, sessionsPerIdentity: Infinity, rates: { link: 1 } },
  };
  const expected: Record<string, unknown> = {
    resplice_health: { degraded: 1 },
    resplice_links: { connected: 3, reconnecting: 1 },
    resplice_links_ended_total: events.ended,
    resplice_sent_messages_total: 1,
    resplice_sent_bytes_total: 2,
    resplice_accepted_messages_total: 3,
    resplice_accepted_bytes_total: 4,
    resplice_received_messages_total: 5,
    resplice_received_bytes_total: 6,
    resplice_undelivered_messages_total: { overflow: 8 },
    resplice_unfinished_messages_total: { maybe: 4, "not-sent": 5, untracked: 6 },
    resplice_queued_messages: 11,
    resplice_queued_bytes: 22,
    resplice_log_bytes: 33,
    resplice_window_bytes: 44,
    resplice_unaccepted_bytes: 55,
    resplice_buffer_bytes: 6,
    resplice_limit: { connections: 100, sessionsPerIdentity: Infinity },
    resplice_rtt_median_seconds: 0.03,
    resplice_rtt_max_seconds: 0.4,
    resplice_reconnects_total: 7,
    resplice_connections_lost_total: events.connectionsLost,
    resplice_attempts_failed_total: events.attemptsFailed,
    resplice_dials_in_flight: 7,
    resplice_connections: 5,
    resplice_handshakes: 2,
    resplice_idle_connections: 9,
    resplice_opaque_connections: 10,
    resplice_connections_total: 12,
    resplice_requests: 11,
    resplice_requests_total: 13,
    resplice_forwarded_connections: 8,
    resplice_sessions: { connected: 3, waiting: 4 },
    resplice_held_total: { address: 5 },
    resplice_refused_total: { stale: 2 },
    resplice_turned_away_total: { connections: 1 },
    resplice_rejected_total: { tls: 3 },
    resplice_shed_total: { memory: 4 },
    resplice_resource_observed: { lag: 50 },
    resplice_resource_limit: {},
    resplice_resource_low: { lag: 15 },
    resplice_resource_high: { lag: 40 },
    resplice_resource_state: { lag: { overloaded: 1 }, tcpMemory: { "not-watched": 1 } },
    resplice_resource_age_seconds: { lag: 0.25 },
    resplice_resource_reading_seconds: { lag: 0.0005 },
    resplice_overload_in_force: { lag: { "read-less": 1 }, tcpMemory: {} },
    resplice_overload_actions_total: { lag: { "read-less": 1, shed: 3 }, tcpMemory: {} },
    resplice_handlers_failed_total: 7,
    resplice_hooks_failed_total: { login: 8 },
    resplice_log_lines_total: { written: 1, suppressed: 2, failed: 3 },
  };

  test("numbers and words", () => {
    const plain = METRICS.filter(({ type }) => type !== "histogram");
    expect(Object.fromEntries(plain.map(({ name }) => [name, read(name, given)]))).toEqual(expected);
  });

  test("recoveries, in seconds", () => {
    const found = read("resplice_recovery_seconds", given) as { upTo: unknown[][]; count: number; sum: number };
    expect([found.count, found.sum, found.upTo.slice(0, 3)]).toEqual([
      9,
      10.5,
      [
        [0.05, 1],
        [0.1, 2],
        [0.25, 0],
      ],
    ]);
  });
});

test("a round trip of no connection is none", () => {
  expect(read("resplice_rtt_median_seconds", { links: [sampleOf({ rttMs: undefined })] })).toBeUndefined();
});

test("words that are not listed are one, and those that have nothing are 0", () => {
  const found = byLabel("resplice_rejected_total", { tls: 2, "10.0.0.1": 3, constructor: 4 });
  expect([found["tls"], found["other"], found["gave way"], Object.hasOwn(found, "10.0.0.1")]).toEqual([2, 7, 0, false]);
  expect(Object.keys(found)).toEqual(LABEL_WORDS["resplice_rejected_total"]);
});

test("every metric with a label has a list of words, but for limits and resources, whose names are bounded", () => {
  const labelledOnes = METRICS.filter(
    ({ name, label }) => label !== undefined && name !== "resplice_limit" && label !== "resource",
  );
  expect(Object.keys(LABEL_WORDS).toSorted()).toEqual(labelledOnes.map(({ name }) => name).toSorted());
  expect(Object.values(LABEL_WORDS).filter((each) => new Set(each).size < each.length)).toEqual([]);
});
