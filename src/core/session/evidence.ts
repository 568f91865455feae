/**
 * What shows that a connection is alive, for each direction apart: any byte proves the inbound way; the peer's `received`
 * going up, or a PONG, the outbound way. Lack of it makes a connection suspect, never dead: that is decided by a
 * replacement that takes over, by the socket, or by the far more patient server.
 */
import type { RoundTrip } from "../log/window.ts";

export interface EvidenceOptions {
  /** Silence in either direction after which a PING is sent. 0: never. */
  pingAfterMs: number;
  /** No answer to a PING, at the latest. */
  suspectAfterMs: number;
  /** Data in flight without progress: between these two, drawn anew each time; `suspectAfterMs` if that is less. */
  stalledAfterMs: readonly [number, number];
}

/** A tick that is later than this was held up by ourselves: nobody could have heard an answer meanwhile. */
const ASLEEP_MS = 1_000;
/** Those who were asked at the same moment suspect at different ones: of the time, this part is drawn at random. */
const JITTER = 0.2;
/** A slow path is given so many round trips. */
const SUSPECT_AFTER_ROUND_TRIPS = 4;
/**
 * But no longer than this: whoever sleeps while an answer is under way measures the sleep. A session that is not confirmed
 * is kept for a minute, and has to be resumed by then. A path that is slower is suspect, and carries on.
 */
const MOST_SUSPECT_AFTER_MS = 50_000;

export class Evidence {
  suspect = false;
  /** The last byte that arrived. */
  heardMs: number;
  /** The last proof that what we write arrives. */
  provenMs: number;
  /** Since when a PING is unanswered; Infinity if none is. */
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

  /** Answers true if that ends a suspicion. An answer to an older PING proves the way as well, but times nothing. */
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

  /** `dueMs` is when it was meant to be called. "suspect" is answered once for each suspicion, and asks for a PING too. */
  check(nowMs: number, dueMs: number): "nothing" | "ping" | "suspect" {
    if (nowMs - dueMs > ASLEEP_MS) {
      // We were asleep. What arrived meanwhile is still to be read: ask again, with the deadlines begun anew.
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
