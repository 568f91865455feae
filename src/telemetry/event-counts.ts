/** Counts records that no object counts by itself: how links end, lose connections, fail to connect, and recover. */
import type { TelemetryRecord } from "./record.ts";
import { Tally } from "./tally.ts";

/** The upper bounds of the classes by which recoveries are counted. */
export const RECOVERY_CLASSES_MS: readonly number[] = [
  50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000,
];

/** All since the beginning, of links that have ended too. */
export interface EventCounts {
  /** Links that have ended, by the reason of their last 'state' event. */
  ended: Record<string, number>;
  /** Connections that were lost while their link went on, by reason. */
  connectionsLost: Record<string, number>;
  /** Attempts to connect that failed, by the code of their error. */
  attemptsFailed: Record<string, number>;
  /** Messages in the reports of links that have ended, by what is known of them. */
  unfinished: { maybe: number; notSent: number; untracked: number };
  /** Errors that handlers of links have thrown. */
  handlersFailed: number;
  /** Errors that functions of the options have thrown, by the function's name. */
  hooksFailed: Record<string, number>;
  /** Lost connections that were replaced: how many, and the sum of the times that it took. */
  recoveries: { count: number; sumMs: number };
}

/** Of recoveries: how many took at most as long as each of the classes, in their order. */
export type RecoveryClasses = readonly number[];

export class EventCounter {
  readonly #ended = new Tally();
  readonly #connectionsLost = new Tally();
  readonly #attemptsFailed = new Tally();
  readonly #hooksFailed = new Tally();
  readonly #unfinished = { maybe: 0, notSent: 0, untracked: 0 };
  readonly #recoveries = { count: 0, sumMs: 0 };
  readonly #classes: number[] = RECOVERY_CLASSES_MS.map(() => 0);
  #handlersFailed = 0;

  /** A reader of the journal. */
  read(record: TelemetryRecord): void {
    switch (record.event) {
      case "link.state":
        this.#readChange(record.change);
        break;
      case "link.undelivered":
        if (record.reason === "ended") this.#readReport(record);
        break;
      case "link.recovered":
        this.#recovered(record.recoveryMs);
        break;
      case "link.handler-failed":
        this.#handlersFailed++;
        break;
      case "link.hook-failed":
      case "server.hook-failed":
        this.#hooksFailed.add(record.failure.hook);
        break;
      case "server.rejected":
        if (record.failure !== undefined) this.#hooksFailed.add(record.failure.hook);
        break;
      default:
      // The server counts the others, or they are told once.
    }
  }

  #readChange({ from, to, reason, error }: Extract<TelemetryRecord, { event: "link.state" }>["change"]): void {
    if (to === "closed") this.#ended.add(reason);
    else if (to !== "reconnecting") return;
    else if (from !== "connecting") this.#connectionsLost.add(reason);
    // An attempt that was taken back by hold() has no error.
    else if (error !== undefined) this.#attemptsFailed.add(error.code);
  }

  #readReport({ maybe, notSent, untracked = 0 }: Extract<TelemetryRecord, { event: "link.undelivered" }>): void {
    this.#unfinished.maybe += maybe;
    this.#unfinished.notSent += notSent;
    this.#unfinished.untracked += untracked;
  }

  #recovered(ms: number): void {
    this.#recoveries.count++;
    this.#recoveries.sumMs += ms;
    for (const [at, mostMs] of RECOVERY_CLASSES_MS.entries()) {
      if (ms <= mostMs) this.#classes[at] = (this.#classes[at] ?? 0) + 1;
    }
  }

  get counts(): EventCounts {
    return {
      ended: this.#ended.counts,
      connectionsLost: this.#connectionsLost.counts,
      attemptsFailed: this.#attemptsFailed.counts,
      unfinished: { ...this.#unfinished },
      handlersFailed: this.#handlersFailed,
      hooksFailed: this.#hooksFailed.counts,
      recoveries: { ...this.#recoveries },
    };
  }

  get recoveryClasses(): RecoveryClasses {
    return [...this.#classes];
  }
}
