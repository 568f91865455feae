/** The telemetry of one manager or one supervisor: its journal, and the renderers that its options ask for. */
import { type EventCounts, EventCounter, type RecoveryClasses } from "./event-counts.ts";
import { Journal } from "./journal.ts";
import { logLines } from "./log-line.ts";
import { type ContainedLogger, type LineCounts, NO_LINES } from "./logger.ts";
import { PeriodicMetrics } from "./metrics.ts";
import type { MetricsEvent } from "./record.ts";
import { type LinkSample, Samples, type SampleSource, type Snapshot, type Totals } from "./samples.ts";
import { warnOfFailures } from "./warning.ts";

export interface TelemetryOptions {
  /** Undefined: failures of the application's functions become process warnings, and nothing else is told. */
  logger: ContainedLogger | undefined;
  /** 0: no metrics lines. Without a logger there are none either. */
  metricsIntervalMs: number;
}

/** All numbers of an owner and of its links. */
export interface Measured extends Snapshot {
  events: EventCounts;
  recoveryClasses: RecoveryClasses;
  lines: LineCounts;
}

export class Telemetry {
  readonly journal: Journal = new Journal();
  /** Fulfils when the owner is closed. */
  readonly closed: Promise<void>;
  #isClosed = false;
  readonly #onClosed: () => void;
  readonly #events = new EventCounter();
  readonly #logger: ContainedLogger | undefined;
  readonly #samples: Samples;
  readonly #metrics: PeriodicMetrics | undefined;

  /** `event`: the name of the metrics line. `now` answers milliseconds. */
  constructor(event: MetricsEvent, options: TelemetryOptions, source: SampleSource, now: () => number) {
    const { journal } = this;
    const { logger, metricsIntervalMs } = options;
    const samples = new Samples(source);
    this.#logger = logger;
    this.#samples = samples;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#onClosed = resolve;
    journal.subscribe((record) => this.#events.read(record));
    journal.subscribe(logger === undefined ? warnOfFailures : logLines(logger));
    if (logger !== undefined && metricsIntervalMs > 0) {
      this.#metrics = new PeriodicMetrics({
        event,
        intervalMs: metricsIntervalMs,
        journal,
        samples,
        lines: logger,
        now,
      });
    }
  }

  /** Lines for the logger, since the start. */
  get lines(): LineCounts {
    return { ...(this.#logger?.counts ?? NO_LINES) };
  }

  /** Keeps the totals of a link that has ended. */
  linkEnded(link: { stats(): LinkSample }): void {
    this.#samples.ended(link.stats());
  }

  measure(): Measured {
    return {
      ...this.#samples.take(),
      events: this.#events.counts,
      recoveryClasses: this.#events.recoveryClasses,
      lines: this.lines,
    };
  }

  /** Since the beginning, of links that have ended too. */
  get sinceBeginning(): { totals: Totals; events: EventCounts } {
    return { totals: this.#samples.totals(), events: this.#events.counts };
  }

  /** What costs the same however many links there are: the totals are those of links that have ended. */
  get withoutLinks(): { ended: Totals; counts: Snapshot["counts"]; events: EventCounts; classes: RecoveryClasses } {
    const { endedTotals: ended, counts } = this.#samples;
    return { ended, counts, events: this.#events.counts, classes: this.#events.recoveryClasses };
  }

  /** As they stand now. Of a manager or a supervisor it takes longer with more links. */
  get levels(): Snapshot["levels"] {
    return this.#samples.levels;
  }

  /** Begins the metrics lines. */
  start(): void {
    this.#metrics?.start();
  }

  /** Ends the metrics lines. Other records go on. */
  stop(): void {
    this.#metrics?.stop();
  }

  /** Writes to the log how many lines were left out. */
  flush(): void {
    this.#logger?.flush();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The owner is closed. */
  close(): void {
    this.flush();
    this.#isClosed = true;
    this.#onClosed();
  }
}
