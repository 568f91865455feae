/**
 * The evidence that a connection is alive, for each direction apart. Any byte proves the inbound direction. A PONG, or
 * the peer's `received` going up, proves the outbound one. A lack of evidence makes a connection suspect, never dead:
 * only a replacement that takes over, the socket, or the far more patient server ends it.
 */
import type { RoundTrip } from "../log/window.ts";

export interface EvidenceOptions {
  /** Silence in either direction after which a PING is sent. 0: never. */
  pingAfterMs: number;
  /** The longest time that a PING may go unanswered. */
  suspectAfterMs: number;
  /**
   * Data in flight may make no progress for a time drawn between these two, or for `suspectAfterMs` if that is less.
   */
  stalledAfterMs: readonly [number, number];
}

/** A tick that is later than this was delayed by our own process, which could not have read an answer meanwhile. */
const ASLEEP_MS = 1_000;
/** This part of the time limit is drawn at random, so that links that sent a PING together do not suspect together. */
const JITTER = 0.2;
/** A slow path is given so many round trips. */
const SUSPECT_AFTER_ROUND_TRIPS = 4;
/**
 * But no longer than this: a process that sleeps while an answer is under way measures the sleep as a round trip. An
 * unconfirmed session is kept for a minute, and must be resumed by then. A path that is slower is suspect, and stays
 * in use.
 */
const MOST_SUSPECT_AFTER_MS = 50_000;

export class Evidence {
  suspect = false;
  /** When the last byte arrived. */
  heardMs: number;
  /** When the peer last proved that our bytes arrive. */
  provenMs: number;
  /** When the unanswered PING was sent; Infinity if there is none. */
  #pingedMs = Infinity;
  #pingToken = 0;
  /** Since when data has been in flight without progress; Infinity if there is none. */
  #waitingMs = Infinity;
  #stallMs: number;
  #unansweredForMs: number;
  readonly #options: EvidenceOptions;
  readonly #roundTrip: RoundTrip;
  readonly #entropy: { random(): number };

  constructor(options: EvidenceOptions, roundTrip: RoundTrip, entropy: { random(): number }, nowMs: number) {
    this.#options = options;
    this.#roundTrip = roundTrip;
    this.#entropy = entropy;
    this.heardMs = nowMs;
    this.provenMs = nowMs;
    this.#stallMs = this.#drawStall();
    this.#unansweredForMs = options.suspectAfterMs;
  }

  get pingToken(): number {
    return this.#pingToken;
  }

  onHeard(nowMs: number): void {
    this.heardMs = nowMs;
  }

  /** Data was written while none was in flight. */
  onWaiting(nowMs: number): void {
    if (this.#waitingMs === Infinity) {
      this.#waitingMs = nowMs;
      this.#stallMs = this.#drawStall();
    }
  }

  /** The peer's `received` went up. Answers true if that ends a suspicion. */
  onProgress(stillInFlight: boolean, nowMs: number): boolean {
    this.#waitingMs = stillInFlight ? nowMs : Infinity;
    return this.#onProven(nowMs);
  }

  /** Answers true if that ends a suspicion. An answer to an older PING is proof as well, but measures no round trip. */
  onPong(token: number, nowMs: number): boolean {
    if (this.#pingedMs !== Infinity && token === this.#pingToken) {
      this.#roundTrip.sample(nowMs - this.#pingedMs);
      this.#pingedMs = Infinity;
    }
    if (this.#waitingMs !== Infinity) this.#waitingMs = nowMs;
    return this.#onProven(nowMs);
  }

  #onProven(nowMs: number): boolean {
    this.provenMs = nowMs;
    this.#pingedMs = Infinity;
    const recovered = this.suspect;
    this.suspect = false;
    return recovered;
  }

  /** When `check` has something to do next; Infinity if never. */
  nextMs(): number {
    const ping = this.#pingedMs === Infinity && this.#options.pingAfterMs > 0 ? this.#pingDueMs() : Infinity;
    return this.suspect ? ping : Math.min(ping, this.#unansweredMs(), this.#stalledMs());
  }

  #pingDueMs(): number {
    return Math.min(this.heardMs, this.provenMs) + this.#options.pingAfterMs;
  }

  #unansweredMs(): number {
    return this.#pingedMs + Math.max(this.#unansweredForMs, this.#patience());
  }

  #stalledMs(): number {
    return this.#waitingMs + Math.max(this.#stallMs, this.#patience());
  }

  #patience(): number {
    return Math.min(MOST_SUSPECT_AFTER_MS, SUSPECT_AFTER_ROUND_TRIPS * (this.#roundTrip.smoothedMs ?? 0));
  }

  #drawStall(): number {
    const [least, most] = this.#options.stalledAfterMs;
    const drawn = this.#entropy.random();
    return Math.min(least + (most - least) * drawn, this.#jittered(drawn));
  }

  #jittered(drawn: number): number {
    return this.#options.suspectAfterMs * (1 - JITTER * drawn);
  }

  /** `dueMs`: when this call was due. "suspect" is answered once for each suspicion, and asks for a PING too. */
  check(nowMs: number, dueMs: number): "nothing" | "ping" | "suspect" {
    if (nowMs - dueMs > ASLEEP_MS) {
      // Our process was asleep. Bytes that arrived meanwhile are still unread: ping again, and start the deadlines
      // anew.
      this.#pingedMs = Infinity;
      if (this.#waitingMs !== Infinity) this.#waitingMs = nowMs;
      return this.#ping(nowMs);
    }
    if (!this.suspect && (nowMs >= this.#unansweredMs() || nowMs >= this.#stalledMs())) {
      this.suspect = true;
      this.#ping(nowMs);
      return "suspect";
    }
    const pings = this.#options.pingAfterMs > 0 && this.#pingedMs === Infinity;
    return pings && nowMs >= this.#pingDueMs() ? this.#ping(nowMs) : "nothing";
  }

  #ping(nowMs: number): "ping" {
    this.#pingedMs = nowMs;
    this.#unansweredForMs = this.#jittered(this.#entropy.random());
    this.#pingToken++;
    return "ping";
  }
}
