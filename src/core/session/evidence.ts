/**
 * The evidence that a connection is alive, for each direction apart. Any byte proves the inbound direction. A PONG, or
 * the peer's `received` going up, proves the outbound one. A lack of evidence makes a connection suspect, never dead:
 * only a replacement that takes over, the socket, or the far more patient server ends it.
 *
 * When nothing is in flight, only a PING can find out that a direction is dead. A peer that has just spoken is likely
 * to speak again soon, and so a client asks soon after the last DATA, whoever sent it, and then less and less often.
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
  /**
   * Speech makes PINGs come earlier than `pingAfterMs` says, never later. The first time counts from the last DATA in
   * either direction, each other time from the proof that answers the PING before. Up to a fifth is added to each.
   * Empty: speech changes nothing.
   */
  pingAfterSpeechMs: readonly number[];
}

/** A tick that is later than this was delayed by our own process, which could not have read an answer meanwhile. */
const ASLEEP_MS = 1_000;
/**
 * This part of a time is drawn at random, so that links that spoke together do not send a PING together, and those that
 * sent one together do not suspect together.
 */
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
  /** When DATA was last sent or received. */
  #spokeMs: number;
  /**
   * How many of the PINGs after speech (`pingAfterSpeechMs`) were sent since; all of them if there was no speech yet.
   */
  #asked: number;
  /** The time before the next of these PINGs; Infinity if none is left. */
  #askAfterMs = Infinity;
  /** The random number by which these PINGs are jittered. It is drawn when speech begins. */
  #drawn = 0;
  readonly #options: EvidenceOptions;
  readonly #roundTrip: RoundTrip;
  readonly #entropy: { random(): number };

  constructor(options: EvidenceOptions, roundTrip: RoundTrip, entropy: { random(): number }, nowMs: number) {
    this.#options = options;
    this.#roundTrip = roundTrip;
    this.#entropy = entropy;
    this.heardMs = nowMs;
    this.provenMs = nowMs;
    this.#stallMs = this.#stallAfterMs(entropy.random());
    this.#unansweredForMs = options.suspectAfterMs;
    this.#spokeMs = nowMs;
    this.#asked = options.pingAfterSpeechMs.length;
  }

  get pingToken(): number {
    return this.#pingToken;
  }

  /** Since when data has been in flight without progress; Infinity if there is none. */
  get waitingSinceMs(): number {
    return this.#waitingMs;
  }

  /** A PING is unanswered. */
  get isAsking(): boolean {
    return this.#pingedMs !== Infinity;
  }

  onHeard(nowMs: number): void {
    this.heardMs = nowMs;
  }

  /**
   * The application's data (DATA) was sent or has arrived. ACK, PING and PONG are no speech: they follow from it, or
   * from silence. Answers true if that brings the next PING forward; while the first PING after speech is still to
   * come, only the time is noted.
   */
  onSpoken(nowMs: number): boolean {
    this.#spokeMs = nowMs;
    if (this.#asked === 0) return false;
    this.#drawn = this.#entropy.random();
    this.#plan(0);
    return true;
  }

  /** Data was written. Answers true if none was in flight before. */
  onWaiting(nowMs: number): boolean {
    if (this.#waitingMs !== Infinity) return false;
    this.#waitingMs = nowMs;
    this.#stallMs = this.#stallAfterMs(this.#entropy.random());
    return true;
  }

  /** The peer's `received` went up. Answers true if that ends a suspicion. */
  onProgress(stillInFlight: boolean, nowMs: number): boolean {
    this.#waitingMs = stillInFlight ? nowMs : Infinity;
    // On a slow path a PING may stand behind data for very long. Then that data is awaited instead.
    if (stillInFlight) this.#pingedMs = Infinity;
    return this.#onProven(nowMs);
  }

  /**
   * The application doubts the path. Answers true if a PING is to be sent: not if one is unanswered. From now on the
   * answer is awaited for as long as progress of data in flight would be, or for less if that was left. The link has
   * drawn this time before: so asking again and again shortens nothing, and links that are asked together do not suspect
   * together.
   */
  onDoubted(nowMs: number): boolean {
    const wasAsking = this.isAsking;
    if (!wasAsking) this.#ping(nowMs);
    this.#unansweredForMs = Math.min(this.#unansweredForMs, nowMs - this.#awaitedSinceMs + this.#stallMs);
    return !wasAsking;
  }

  /** Answers true if that ends a suspicion. An answer to an older PING is proof as well, but measures no round trip. */
  onPong(token: number, nowMs: number): boolean {
    if (token === this.#pingToken) {
      if (this.isAsking) this.#roundTrip.sample(nowMs - this.#pingedMs);
      this.#pingedMs = Infinity;
    }
    if (this.#waitingMs !== Infinity) this.#waitingMs = nowMs;
    return this.#onProven(nowMs);
  }

  #onProven(nowMs: number): boolean {
    this.provenMs = nowMs;
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
    return Math.min(this.#unprovenSinceMs + this.#options.pingAfterMs, this.#askDueMs());
  }

  /** When the next PING after speech is due. */
  #askDueMs(): number {
    return (this.#asked === 0 ? this.#spokeMs : this.#unprovenSinceMs) + this.#askAfterMs;
  }

  /** Since when one direction at least is without proof. */
  get #unprovenSinceMs(): number {
    return Math.min(this.heardMs, this.provenMs);
  }

  #unansweredMs(): number {
    return this.#awaitedSinceMs + Math.max(this.#unansweredForMs, this.#patience());
  }

  /**
   * Since when the answer to the PING is awaited; Infinity if there is none. What was sent before the PING may still be
   * on its way: from when it has arrived the answer has its whole time.
   */
  get #awaitedSinceMs(): number {
    return Math.max(this.#pingedMs, this.provenMs);
  }

  #stalledMs(): number {
    return this.#waitingMs + Math.max(this.#stallMs, this.#patience());
  }

  #patience(): number {
    return Math.min(MOST_SUSPECT_AFTER_MS, SUSPECT_AFTER_ROUND_TRIPS * (this.#roundTrip.smoothedMs ?? 0));
  }

  #stallAfterMs(drawn: number): number {
    const [least, most] = this.#options.stalledAfterMs;
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
    this.#unansweredForMs = this.#drawPatience();
    // A PING that comes for another reason before this time does not stand for the first one after speech.
    if (nowMs >= this.#askDueMs()) this.#plan(this.#asked + 1);
    this.#pingToken++;
    return "ping";
  }

  /**
   * Right after speech the answer is awaited like data in flight. The later that PING is drawn, the shorter the wait:
   * with the defaults both take 3.2 to 5 s together.
   */
  #drawPatience(): number {
    const isAfterSpeech = this.#asked === 0 && this.#askAfterMs < Infinity;
    return isAfterSpeech ? this.#stallAfterMs(1 - this.#drawn) : this.#jittered(this.#entropy.random());
  }

  /** So many of the PINGs after speech were sent: the time before the next one. */
  #plan(asked: number): void {
    this.#asked = asked;
    this.#askAfterMs = (this.#options.pingAfterSpeechMs[asked] ?? Infinity) * (1 + JITTER * this.#drawn);
  }
}
