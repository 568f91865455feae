/** The periodic metrics line: the traffic since the last line, and the present state. */
import { type LineCounts, type LogSink, NO_LINES } from "./logger.ts";

export interface LinkSample {
  state: string;
  rttMs: number | undefined;
  reconnects: number;
  recoveryMs: number | undefined;
  taken: { messages: number; bytes: number };
  received: { messages: number; bytes: number };
  queue: { messages: number; bytes: number };
  logBytes: number;
  windowBytes: number;
}

interface Totals {
  takenMessages: number;
  takenBytes: number;
  receivedMessages: number;
  receivedBytes: number;
  reconnects: number;
}

type MetricsEvent = "manager.metrics" | "server.metrics";

/** The logger's own counts of lines, and its report of those left out. */
interface LineSource {
  readonly counts: Readonly<LineCounts>;
  flush(): void;
}

const NOTHING: Totals = { takenMessages: 0, takenBytes: 0, receivedMessages: 0, receivedBytes: 0, reconnects: 0 };

/** Undefined if no line is ever to be written: there is no logger, or the interval is 0. */
export function metricsLine(
  event: MetricsEvent,
  options: { logger: (LogSink & LineSource) | undefined; metricsIntervalMs: number },
  now: () => number,
): MetricsLine | undefined {
  const { logger, metricsIntervalMs } = options;
  return logger === undefined || metricsIntervalMs === 0
    ? undefined
    : new MetricsLine(logger, event, metricsIntervalMs, now);
}

export class MetricsLine {
  readonly #logger: LogSink & LineSource;
  readonly #event: MetricsEvent;
  readonly #intervalMs: number;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #lastMs: number;
  #last: Totals = NOTHING;
  /** The totals of links that have ended. */
  #ended: Totals = NOTHING;
  #recoveriesMs: number[] = [];
  #lines: Readonly<LineCounts> = NO_LINES;

  constructor(logger: LogSink & LineSource, event: MetricsEvent, intervalMs: number, now: () => number) {
    this.#logger = logger;
    this.#event = event;
    this.#intervalMs = intervalMs;
    this.#now = now;
    this.#lastMs = now();
  }

  /** Writes a line at each interval. `others` answers further fields, which are not sums over links. */
  start(samples: () => Iterable<LinkSample>, others: () => Record<string, number> = () => ({})): void {
    this.#timer = setInterval(() => this.write(samples(), others()), this.#intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A link was connected again after `ms`. */
  recovered(ms: number): void {
    if (this.#recoveriesMs.length < 10_000) this.#recoveriesMs.push(ms);
  }

  /** Keeps the totals of a link that has ended. */
  ended(sample: LinkSample): void {
    this.#ended = add(this.#ended, sample);
  }

  write(samples: Iterable<LinkSample>, others: Record<string, number> = {}): void {
    this.#logger.flush();
    const lines = { ...this.#logger.counts };
    const nowMs = this.#now();
    const seconds = Math.max(0.001, (nowMs - this.#lastMs) / 1_000);
    let totals = this.#ended;
    const links: Record<string, number> = {};
    const rtts: number[] = [];
    let queuedMessages = 0;
    let queuedBytes = 0;
    let logBytes = 0;
    let windowBytes = 0;
    for (const sample of samples) {
      totals = add(totals, sample);
      links[sample.state] = (links[sample.state] ?? 0) + 1;
      if (sample.rttMs !== undefined) rtts.push(sample.rttMs);
      queuedMessages += sample.queue.messages;
      queuedBytes += sample.queue.bytes;
      logBytes += sample.logBytes;
      windowBytes += sample.windowBytes;
    }
    const last = this.#last;
    const perSecond = (now: number, before: number): number => Math.round(Math.max(0, now - before) / seconds);
    this.#logger.info(
      {
        event: this.#event,
        links,
        sentPerSecond: perSecond(totals.takenMessages, last.takenMessages),
        sentBytesPerSecond: perSecond(totals.takenBytes, last.takenBytes),
        receivedPerSecond: perSecond(totals.receivedMessages, last.receivedMessages),
        receivedBytesPerSecond: perSecond(totals.receivedBytes, last.receivedBytes),
        queuedMessages,
        queuedBytes,
        logBytes,
        windowBytes,
        rttMsMedian: quantile(rtts, 0.5),
        reconnects: Math.max(0, totals.reconnects - last.reconnects),
        recoveryMsMedian: quantile(this.#recoveriesMs, 0.5),
        recoveryMsMax: quantile(this.#recoveriesMs, 1),
        linesSuppressed: lines.suppressed - this.#lines.suppressed,
        linesFailed: lines.failed - this.#lines.failed,
        ...others,
      },
      "metrics",
    );
    this.#last = totals;
    this.#lines = lines;
    this.#lastMs = nowMs;
    this.#recoveriesMs = [];
  }
}

function add(totals: Totals, sample: LinkSample): Totals {
  return {
    takenMessages: totals.takenMessages + sample.taken.messages,
    takenBytes: totals.takenBytes + sample.taken.bytes,
    receivedMessages: totals.receivedMessages + sample.received.messages,
    receivedBytes: totals.receivedBytes + sample.received.bytes,
    reconnects: totals.reconnects + sample.reconnects,
  };
}

/** The quantile by nearest rank; undefined without values. */
export function quantile(values: readonly number[], q: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))];
}
