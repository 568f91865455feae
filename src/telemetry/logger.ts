/**
 * Wraps the application's logger, for the protection of both. An error that the logger throws is caught and counted,
 * and the logger is tried again later. Lines that repeat are written at a bounded rate, with the number of those left
 * out.
 */
import { realTime } from "../real-time.ts";
import type { LoggedRecord } from "./record.ts";
import { Repeats } from "./repeats.ts";
import { warnOnce } from "./warning.ts";

/** The methods that are used of a logger: pino and console have them. Errors that they throw are caught and counted. */
export type Logger = Record<Level, (fields: object, message: string) => void>;

export const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];

/** A token bucket: `atOnce` lines at once after a pause, then `perSecond` for as long as they repeat. */
interface Rate {
  atOnce: number;
  perSecond: number;
}

/** For state changes of links, of which an application may have very many. */
const LIFE: Rate = { atOnce: 1_000, perSecond: 100 };
/** For events that a stranger can cause, or that may go wrong again and again. */
const TROUBLE: Rate = { atOnce: 100, perSecond: 10 };
/** For lines whose pace the application sets. */
const PACED: Rate = { atOnce: Infinity, perSecond: Infinity };

/** Every event that is logged: those of records, and the report of lines that were left out. */
export type LogEvent = LoggedRecord["event"] | "log.suppressed";

/** A line's kind is its event and its level. Each kind has this rate to itself. */
export const RATES: Readonly<Record<LogEvent, Rate>> = {
  "link.state": LIFE,
  "link.undelivered": TROUBLE,
  "link.handler-failed": TROUBLE,
  "link.hook-failed": TROUBLE,
  "server.state": TROUBLE,
  "server.listening": TROUBLE,
  "server.limits": PACED,
  "server.memory": TROUBLE,
  "server.descriptors": TROUBLE,
  "server.listener": TROUBLE,
  "server.listener-failed": TROUBLE,
  "server.refused": TROUBLE,
  "server.shed": TROUBLE,
  "server.overload": TROUBLE,
  "server.unwatched": TROUBLE,
  "server.rejected": TROUBLE,
  "server.hook-failed": TROUBLE,
  "server.forward-failed": TROUBLE,
  "process.closing": TROUBLE,
  "process.close-failed": TROUBLE,
  "process.closed": TROUBLE,
  "process.interrupted": TROUBLE,
  "monitor.listening": TROUBLE,
  "monitor.listen-failed": TROUBLE,
  "monitor.metrics-failed": TROUBLE,
  "manager.metrics": PACED,
  "server.metrics": PACED,
  "supervised.metrics": PACED,
  "log.suppressed": PACED,
};

export type LogFields = { event: LogEvent; [field: string]: unknown };
/**
 * A logger as the rest of resplice writes to it: only with events that are listed. `same`: what the line tells of, if it
 * is to be written once an hour at most.
 */
export type LogSink = Record<Level, (fields: LogFields, message: string, same?: string) => void>;

/**
 * Lines since the start. `suppressed`: not given to the logger. `failed`: the logger threw, or its promise was
 * rejected.
 */
export interface LineCounts {
  /** Given to the logger. */
  written: number;
  /** Above a rate, and not given to the logger. */
  suppressed: number;
  /** The logger threw, or its promise was rejected. */
  failed: number;
}

export const NO_LINES: Readonly<LineCounts> = { written: 0, suppressed: 0, failed: 0 };

/** How long a logger that fails is not called: doubled for each failure in a row, between these. */
const LEAST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 10_000;

/** One level of one event. */
class Kind {
  /** Lines of this kind that were left out, for whatever reason, since the last one that was written. */
  suppressed = 0;
  readonly level: Level;
  /** Of the line about those that were left out. What strangers do again and again was told before. */
  readonly summaryLevel: Level;
  readonly event: LogEvent;
  readonly #rate: Rate;
  #left: number;
  #atMs = 0;

  constructor(level: Level, event: LogEvent) {
    this.level = level;
    this.summaryLevel = event === "server.rejected" ? "info" : level;
    this.event = event;
    this.#rate = RATES[event];
    this.#left = this.#rate.atOnce;
  }

  mayWrite(nowMs: number): boolean {
    const { atOnce, perSecond } = this.#rate;
    if (atOnce === Infinity) return true;
    this.#left = Math.min(atOnce, this.#left + ((nowMs - this.#atMs) * perSecond) / 1_000);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

export class ContainedLogger implements LogSink {
  readonly counts: LineCounts = { ...NO_LINES };
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #kinds = new Map<string, Kind>();
  readonly #repeats = new Repeats();
  #pauseMs = 0;
  #pausesUntilMs = -Infinity;

  constructor(logger: Logger, now: () => number = () => realTime.now()) {
    this.#logger = logger;
    this.#now = now;
  }

  debug(fields: LogFields, message: string, same?: string): void {
    this.#write("debug", fields, message, same);
  }

  info(fields: LogFields, message: string, same?: string): void {
    this.#write("info", fields, message, same);
  }

  warn(fields: LogFields, message: string, same?: string): void {
    this.#write("warn", fields, message, same);
  }

  error(fields: LogFields, message: string, same?: string): void {
    this.#write("error", fields, message, same);
  }

  #write(level: Level, fields: LogFields, message: string, same: string | undefined): void {
    const kind = this.#kindOf(level, fields.event);
    const nowMs = this.#now();
    const isRepeat = same !== undefined && this.#repeats.isTold(same, nowMs);
    if (nowMs < this.#pausesUntilMs || isRepeat || !kind.mayWrite(nowMs)) {
      kind.suppressed++;
      this.counts.suppressed++;
      return;
    }
    if (same !== undefined) this.#repeats.tell(same, nowMs);
    const { suppressed } = kind;
    this.#hand(kind, suppressed === 0 ? fields : { ...fields, suppressed }, message, suppressed, 1);
  }

  #kindOf(level: Level, event: LogEvent): Kind {
    const name = `${level} ${event}`;
    let kind = this.#kinds.get(name);
    if (kind === undefined) {
      kind = new Kind(level, event);
      this.#kinds.set(name, kind);
    }
    return kind;
  }

  /**
   * Writes how many lines were left out, one line for each kind; also to a logger that is in its pause after a failure.
   */
  flush(): void {
    for (const kind of this.#kinds.values()) {
      const { event, suppressed } = kind;
      if (suppressed === 0) continue;
      const fields: LogFields = { event: "log.suppressed", of: event, suppressed };
      if (!this.#hand(kind, fields, `${suppressed} lines left out: ${event}`, suppressed, 0)) return;
    }
  }

  /**
   * Answers whether the logger has taken the line. The line reports `suppressed` lines that were left out, and `own`
   * event of its own: if the logger fails, all of these count as left out.
   */
  #hand(kind: Kind, fields: LogFields, message: string, suppressed: number, own: 0 | 1): boolean {
    kind.suppressed -= suppressed;
    const failed = (error: unknown): void => {
      kind.suppressed += suppressed + own;
      this.#failed(error);
    };
    try {
      // The type says void, but the application's method may answer a promise.
      const answer = this.#logger[own === 1 ? kind.level : kind.summaryLevel](fields, message) as unknown;
      if (typeof answer === "object" && answer !== null && "then" in answer) {
        Promise.resolve(answer).then(() => this.#succeeded(), failed);
      } else {
        this.#succeeded();
      }
      return true;
    } catch (error) {
      failed(error);
      return false;
    }
  }

  #succeeded(): void {
    this.counts.written++;
    this.#pauseMs = 0;
    this.#pausesUntilMs = -Infinity;
  }

  #failed(error: unknown): void {
    this.counts.failed++;
    const nowMs = this.#now();
    // Of many promises that were under way only the first to be rejected makes the pause longer.
    if (nowMs >= this.#pausesUntilMs) {
      this.#pauseMs = Math.min(MOST_PAUSE_MS, Math.max(LEAST_PAUSE_MS, 2 * this.#pauseMs));
      this.#pausesUntilMs = nowMs + this.#pauseMs;
    }
    warnOnce("RESPLICE_LOGGER_FAILED", error);
  }
}
