/**
 * The deadlines of the connection in use. They are worked out from the times at which something happened, so nothing is
 * set or moved for a message. When a deadline is noticed late, our own process was stalled or asleep and could not have
 * read an answer meanwhile: then all of them begin anew.
 */

/** All in milliseconds. */
export interface WatchOptions {
  /** Silence after which the probe is sent. 0: never. Infinity: there is no probe. */
  pingAfterMs: number;
  /** How long the peer may take to answer a probe, counted from the last byte that has arrived. */
  deadAfterMs: number;
  /** How long the kernel may take none of the bytes that it is given. At most 128 KiB are given at once. */
  writeStallMs: number;
  /** How long a request may go unanswered, counted from when it was written, or from the last part of an answer. */
  answerMs: number;
  /** A connection that is not used for so long is closed; the next message dials again. Infinity: never. */
  idleCloseMs: number;
  /** A connection so old is replaced by a new one, up to 2.5 % earlier. Infinity: never. */
  maxConnectionAgeMs: number;
}

/** The deadlines depend on these besides times. */
export interface WatchFacts {
  /** Messages wait, or are under way, or an answer is awaited. */
  readonly isBusy: boolean;
  /** Since when the oldest request waits for its answer; Infinity if none does. */
  readonly waitsSinceMs: number;
  /** The connection is read. While it is not, an answer may be waiting in the kernel. */
  readonly isRead: boolean;
  /** A large message is being written in parts: nothing else can be written meanwhile, not even a probe. */
  readonly isPartWritten: boolean;
}

export type Verdict = "nothing" | "probe" | "probe-unanswered" | "answer-late" | "write-stalled" | "idle" | "aged";

const ASLEEP_MS = 1_000;
/** Connections that were opened together are not replaced together. */
const AGE_JITTER = 0.025;

export class Watch {
  readonly #options: WatchOptions;
  #pingAfterMs: number;
  /** Infinity once it was told. */
  #agedMs: number;
  /** No deadline counts from an earlier time. */
  #fromMs: number;
  #heardMs: number;
  #usedMs: number;
  /** When the probe was written that is not answered; Infinity if there is none. */
  #probedMs = Infinity;
  /** When the write began that is under way; Infinity if there is none. */
  #writingMs = Infinity;
  #wroteMs = -Infinity;
  #wasRead = true;

  constructor(options: WatchOptions, random: number, nowMs: number) {
    this.#options = options;
    this.#pingAfterMs = options.pingAfterMs;
    this.#agedMs = nowMs + options.maxConnectionAgeMs * (1 - AGE_JITTER * random);
    this.#fromMs = this.#heardMs = this.#usedMs = nowMs;
  }

  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** A message was written or has arrived. Probes and their answers do not count: they are no use of the connection. */
  used(nowMs: number): void {
    this.#usedMs = nowMs;
  }

  isUnused(nowMs: number): boolean {
    return nowMs - this.#usedMs >= this.#options.idleCloseMs;
  }

  probed(nowMs: number): void {
    this.#probedMs = nowMs;
  }

  probeAnswered(): void {
    this.#probedMs = Infinity;
  }

  /** The peer answers nothing any more. */
  endProbing(): void {
    this.#pingAfterMs = Infinity;
    this.#probedMs = Infinity;
  }

  /** The application doubts the path. Answers true if the probe is to be sent: not if one is unanswered. */
  doubted(nowMs: number): boolean {
    if (this.#pingAfterMs === Infinity || this.#probedMs !== Infinity) return false;
    this.#probe(nowMs);
    return true;
  }

  /** A write begins: the kernel has taken all that was written before. */
  writing(nowMs: number): void {
    this.#writingMs = nowMs;
    this.#wroteMs = nowMs;
  }

  written(): void {
    this.#writingMs = Infinity;
  }

  get writingSinceMs(): number {
    return this.#writingMs;
  }

  /** The connection is read again, or is not read any more. */
  reads(isRead: boolean, nowMs: number): void {
    if (isRead && !this.#wasRead) this.#fromMs = nowMs;
    this.#wasRead = isRead;
  }

  nextMs(facts: WatchFacts): number {
    const { writeStallMs, idleCloseMs } = this.#options;
    const stall = Math.max(this.#writingMs, this.#fromMs) + writeStallMs;
    if (!facts.isRead) return Math.min(stall, this.#agedMs);
    const idle = facts.isBusy ? Infinity : Math.max(this.#usedMs, this.#fromMs) + idleCloseMs;
    return Math.min(stall, idle, this.#agedMs, this.#probeMs(), this.#deadMs(facts), this.#lateMs(facts));
  }

  #probeMs(): number {
    if (this.#pingAfterMs === 0 || this.#probedMs !== Infinity) return Infinity;
    return Math.max(this.#heardMs, this.#fromMs) + this.#pingAfterMs;
  }

  /** Bytes that arrive put it off: on a slow path the answer waits behind them. So do the parts of a large message. */
  #deadMs({ isPartWritten }: WatchFacts): number {
    if (this.#probedMs === Infinity) return Infinity;
    const partMs = isPartWritten ? this.#wroteMs : -Infinity;
    return Math.max(this.#probedMs, this.#heardMs, this.#fromMs, partMs) + this.#options.deadAfterMs;
  }

  #lateMs({ waitsSinceMs, isPartWritten }: WatchFacts): number {
    const partMs = isPartWritten ? this.#wroteMs : -Infinity;
    return Math.max(waitsSinceMs, this.#fromMs, partMs) + this.#options.answerMs;
  }

  /** The most pressing thing that is due. */
  check(facts: WatchFacts, nowMs: number): Verdict {
    const dueMs = this.nextMs(facts);
    if (nowMs < dueMs) return "nothing";
    if (nowMs >= this.#agedMs) {
      this.#agedMs = Infinity;
      return "aged";
    }
    const probes = facts.isRead && nowMs >= this.#probeMs();
    if (nowMs - dueMs > ASLEEP_MS) {
      this.#fromMs = nowMs;
      return probes ? this.#probe(nowMs) : "nothing";
    }
    if (nowMs >= Math.max(this.#writingMs, this.#fromMs) + this.#options.writeStallMs) return "write-stalled";
    if (!facts.isRead) return "nothing";
    if (nowMs >= this.#deadMs(facts)) return "probe-unanswered";
    if (nowMs >= this.#lateMs(facts)) return "answer-late";
    return probes ? this.#probe(nowMs) : "idle";
  }

  /** The answer is awaited from now on, even if the kernel takes the probe only later. */
  #probe(nowMs: number): "probe" {
    this.#probedMs = nowMs;
    return "probe";
  }
}
