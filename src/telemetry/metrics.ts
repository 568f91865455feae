/** The periodic metrics record: the traffic since the last one, and the present state. */
import { realTime } from "../real-time.ts";
import type { Journal } from "./journal.ts";
import { type LineCounts, NO_LINES } from "./logger.ts";
import type { LinkMetrics, MetricsEvent } from "./record.ts";
import { NO_TOTALS, type Numbers, type Samples, type Snapshot } from "./samples.ts";

/** The logger's own counts of lines, and its report of those left out. */
export interface LineSource {
  readonly counts: Readonly<LineCounts>;
  flush(): void;
}

export interface MetricsOptions {
  event: MetricsEvent;
  intervalMs: number;
  /** Recoveries are read from it, and the metrics written to it. */
  journal: Journal;
  samples: Samples;
  lines: LineSource;
  now: () => number;
}

/** The most recoveries of one interval that are kept, for their median. */
const MOST_RECOVERIES = 10_000;

export class PeriodicMetrics {
  readonly #options: MetricsOptions;
  #timer: NodeJS.Timeout | undefined;
  #lastMs: number;
  #last: Pick<Snapshot, "totals" | "counts"> = { totals: NO_TOTALS, counts: {} };
  #recoveriesMs: number[] = [];
  #lines: Readonly<LineCounts> = NO_LINES;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#lastMs = options.now();
    options.journal.subscribe((record) => {
      if (record.event === "link.recovered") this.#recovered(record.recoveryMs);
    });
  }

  /** Records the metrics at each interval from now on. Does nothing if it was called before. */
  start(): void {
    this.#timer ??= realTime.setInterval(() => this.write(), this.#options.intervalMs).unref();
  }

  stop(): void {
    realTime.clearInterval(this.#timer);
  }

  #recovered(ms: number): void {
    if (this.#recoveriesMs.length < MOST_RECOVERIES) this.#recoveriesMs.push(ms);
  }

  write(): void {
    const { event, journal, samples, lines, now } = this.#options;
    lines.flush();
    const snapshot = samples.take();
    const { suppressed, failed } = lines.counts;
    const ofLinks = this.#linkMetrics(snapshot, now());
    const metrics = {
      ...(event !== "supervised.metrics" && ofLinks),
      linesSuppressed: suppressed - this.#lines.suppressed,
      linesFailed: failed - this.#lines.failed,
    };
    this.#lines = { ...lines.counts };
    const before = this.#last.counts;
    const counts: Record<string, Numbers> = {};
    for (const [name, count] of Object.entries(snapshot.counts)) counts[name] = since(before[name], count);
    this.#last = snapshot;
    journal.record({ event, metrics, counts, levels: snapshot.levels });
  }

  /** Ends the interval. */
  #linkMetrics({ links, totals }: Snapshot, nowMs: number): LinkMetrics {
    const seconds = Math.max(0.001, (nowMs - this.#lastMs) / 1_000);
    const byState: Record<string, number> = {};
    const rtts: number[] = [];
    let queuedMessages = 0;
    let queuedBytes = 0;
    let logBytes = 0;
    let windowBytes = 0;
    for (const link of links) {
      byState[link.state] = (byState[link.state] ?? 0) + 1;
      if (link.rttMs !== undefined) rtts.push(link.rttMs);
      queuedMessages += link.queue.messages;
      queuedBytes += link.queue.bytes;
      logBytes += link.logBytes;
      windowBytes += link.windowBytes;
    }
    const { totals: last } = this.#last;
    const perSecond = (now: number, before: number): number => Math.round((now - before) / seconds);
    const metrics: LinkMetrics = {
      links: byState,
      sentPerSecond: perSecond(totals.takenMessages, last.takenMessages),
      sentBytesPerSecond: perSecond(totals.takenBytes, last.takenBytes),
      receivedPerSecond: perSecond(totals.receivedMessages, last.receivedMessages),
      receivedBytesPerSecond: perSecond(totals.receivedBytes, last.receivedBytes),
      queuedMessages,
      queuedBytes,
      logBytes,
      windowBytes,
      rttMsMedian: quantile(rtts, 0.5),
      reconnects: totals.reconnects - last.reconnects,
      undelivered: difference(last.undelivered, totals.undelivered),
      recoveryMsMedian: quantile(this.#recoveriesMs, 0.5),
      recoveryMsMax: quantile(this.#recoveriesMs, 1),
    };
    this.#lastMs = nowMs;
    this.#recoveriesMs = [];
    return metrics;
  }
}

/** How much was counted since `before`; of counts by word only those that have risen. */
function since(before: Numbers | undefined, now: Numbers): Numbers {
  if (typeof now === "number") return now - (typeof before === "number" ? before : 0);
  return difference(typeof before === "object" ? before : {}, now);
}

function difference(
  before: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): Record<string, number> {
  const risen = Object.entries(now).filter(([word, count]) => count > (before[word] ?? 0));
  return Object.fromEntries(risen.map(([word, count]) => [word, count - (before[word] ?? 0)]));
}

/** The quantile by nearest rank; undefined without values. */
export function quantile(values: readonly number[], q: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))];
}
