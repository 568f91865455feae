/** Sums over links: over those of one source while they are looked at, and of all sources. */
import { quantile } from "../../telemetry/metrics.ts";
import type { LinkSample, Totals } from "../../telemetry/samples.ts";

export interface Sums {
  takenMessages: number;
  takenBytes: number;
  receivedMessages: number;
  receivedBytes: number;
  reconnects: number;
  queued: number;
  inFlightBytes: number;
  links: number;
  connected: number;
  /** Links that want a connection, and have none. */
  away: number;
  rttsMs: number[];
  add(sample: LinkSample): void;
}

const AWAY: ReadonlySet<string> = new Set(["connecting", "suspect", "reconnecting"]);

/** `ended`: what links have moved that have ended. */
export function newSums(ended: Totals): Sums {
  return {
    takenMessages: ended.takenMessages,
    takenBytes: ended.takenBytes,
    receivedMessages: ended.receivedMessages,
    receivedBytes: ended.receivedBytes,
    reconnects: ended.reconnects,
    queued: 0,
    inFlightBytes: 0,
    links: 0,
    connected: 0,
    away: 0,
    rttsMs: [],
    add({ state, taken, received, reconnects, queue, logBytes, rttMs }) {
      this.takenMessages += taken.messages;
      this.takenBytes += taken.bytes;
      this.receivedMessages += received.messages;
      this.receivedBytes += received.bytes;
      this.reconnects += reconnects;
      this.queued += queue.messages;
      this.inFlightBytes += logBytes;
      this.links++;
      if (state === "connected") this.connected++;
      else if (AWAY.has(state)) this.away++;
      if (rttMs !== undefined) this.rttsMs.push(rttMs);
    },
  };
}

/** Of a second, between two looks at one source. */
export interface Rates {
  sentPerS: number;
  sentBytesPerS: number;
  receivedPerS: number;
  receivedBytesPerS: number;
}

export function ratesBetween(before: Sums, after: Sums, ms: number): Rates {
  const perS = (from: number, to: number): number => Math.max(0, Math.round(((to - from) * 1_000) / Math.max(1, ms)));
  return {
    sentPerS: perS(before.takenMessages, after.takenMessages),
    sentBytesPerS: perS(before.takenBytes, after.takenBytes),
    receivedPerS: perS(before.receivedMessages, after.receivedMessages),
    receivedBytesPerS: perS(before.receivedBytes, after.receivedBytes),
  };
}

/** Median and longest; null: no link knows its round trip. */
export function roundTrips(sums: readonly Sums[]): [medianMs: number | null, mostMs: number | null] {
  const all = sums.flatMap(({ rttsMs }) => rttsMs);
  const median = quantile(all, 0.5);
  if (median === undefined) return [null, null];
  const most = all.reduce((one, other) => Math.max(one, other));
  return [rounded(median), rounded(most)];
}

/** To three digits, so that what nobody sees is no difference. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
