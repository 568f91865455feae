/** The periodic metrics record of a supervised server. */
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { SupervisedStats } from "./stats.ts";

export interface MetricsLineOptions {
  /** 0: never. */
  intervalMs: number;
  telemetry: Pick<Telemetry, "journal" | "flush">;
  now: () => number;
  stats: () => SupervisedStats;
}

export class MetricsLine {
  readonly #options: MetricsLineOptions;
  #timer: NodeJS.Timeout | undefined;
  #lastMs: number;
  #last = { accepted: 0, requests: 0, turnedAway: 0, suppressed: 0, failed: 0 };

  constructor(options: MetricsLineOptions) {
    this.#options = options;
    this.#lastMs = options.now();
  }

  start(): void {
    const { intervalMs } = this.#options;
    if (intervalMs > 0) this.#timer = setInterval(() => this.write(), intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  write(): void {
    const { telemetry, now, stats } = this.#options;
    telemetry.flush();
    const nowMs = now();
    const { connections, requests, turnedAway, bufferBytes, lines } = stats();
    const next = {
      accepted: connections.total,
      requests: requests.total,
      turnedAway: Object.values(turnedAway).reduce((sum, times) => sum + times, 0),
      suppressed: lines.suppressed,
      failed: lines.failed,
    };
    const last = this.#last;
    const seconds = Math.max(0.001, (nowMs - this.#lastMs) / 1_000);
    this.#last = next;
    this.#lastMs = nowMs;
    telemetry.journal.record({
      event: "supervised.metrics",
      connections: connections.open,
      handshaking: connections.handshaking,
      idle: connections.idle,
      opaque: connections.opaque,
      requests: requests.open,
      acceptedPerSecond: Math.round((next.accepted - last.accepted) / seconds),
      requestsPerSecond: Math.round((next.requests - last.requests) / seconds),
      bufferBytes,
      turnedAway: next.turnedAway - last.turnedAway,
      linesSuppressed: next.suppressed - last.suppressed,
      linesFailed: next.failed - last.failed,
    });
  }
}
