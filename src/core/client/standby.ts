/**
 * The second connection, which a client opens when the one in use has gone silent, and which takes over unless that one
 * answers before COMMIT is written. There is one at a time. This class decides when one is wanted, how long it may
 * take, and when another would be useless.
 */
import { askedDelayMs } from "../backoff.ts";
import type { Channel } from "../session/channel.ts";
import { frameMask } from "../wire/frame-rules.ts";
import type { RefuseCode } from "../wire/frames.ts";

export const STANDBY_FRAMES: number = frameMask("ready", "refuse", "ping", "pong", "later");
/** Only COMMIT is answered with RESET: a server that does not have the session cannot know that it was reset. */
export const COMMIT_FRAMES: number = frameMask("committed", "refuse", "reset", "ping", "pong", "later");

const MOST_FIRST_PATIENCE_MS = 1_000;
const PATIENT_ROUND_TRIPS = 8;
/**
 * The patience counts the server's last answering time beyond a round trip (to authenticate, or for its load) so
 * often.
 */
const PATIENT_ANSWERS = 2;
const MOST_PATIENCE_MS = 60_000;
/** A server may ask for more: the connection in use stays silent meanwhile. */
const MOST_PAUSE_MS = 30_000;
/**
 * After so many refusals of these kinds, over so long, the old connection is given up, and a resume shows whether the
 * session exists. Until then another node may be answering in place of a server that still has it.
 */
const TOLD_BY_RESUME: ReadonlySet<RefuseCode> = new Set(["no-standby", "authentication", "taken-over", "mismatch"]);
const REFUSALS_UNTIL_RESUME = 3;
const SUSPECT_UNTIL_RESUME_MS = 15_000;

export class Standby {
  /** A standby is wanted and may be dialled now. */
  due = false;
  /** From HELLO to WELCOME, or from STANDBY to READY, when a connection was last opened. */
  lastRoundTripMs = 0;
  #channel: Channel | undefined;
  #committing = false;
  /** How many standbys have timed out in a row. */
  #timedOut = 0;
  #refusals = 0;
  #suspectSinceMs = 0;
  readonly #firstPatienceMs: number;

  /** A client that suspects sooner than by default also tries again sooner: the path may have recovered meanwhile. */
  constructor(suspectAfterMs: number) {
    this.#firstPatienceMs = Math.min(MOST_FIRST_PATIENCE_MS, 2 * suspectAfterMs);
  }

  get channel(): Channel | undefined {
    return this.#channel;
  }

  /** COMMIT was written, and cannot be taken back. */
  get committing(): boolean {
    return this.#committing;
  }

  /**
   * How long a standby may take from its dial to READY, and from COMMIT to COMMITTED. The round trip, where known, is
   * the one that the connection in use has measured; `lastRoundTripMs` may include waiting at a busy server or a
   * starting process.
   */
  patienceMs(smoothedMs: number | undefined): number {
    const roundTripMs = Math.min(smoothedMs ?? Infinity, this.lastRoundTripMs);
    const answerMs = this.lastRoundTripMs - roundTripMs;
    const first = Math.max(this.#firstPatienceMs, PATIENT_ROUND_TRIPS * roundTripMs + PATIENT_ANSWERS * answerMs);
    return Math.min(MOST_PATIENCE_MS, first * 1.5 ** this.#timedOut);
  }

  /**
   * The pause after a standby that failed, or was refused until `retryAfterMs`: at least half to all of the patience.
   */
  pauseMs(retryAfterMs: number, patienceMs: number, random: number): number {
    const ownMs = patienceMs * (0.5 + 0.5 * random);
    return retryAfterMs === 0 ? ownMs : Math.max(ownMs, askedDelayMs(retryAfterMs, 0, MOST_PAUSE_MS, random));
  }

  /** The connection in use has gone silent. */
  suspect(nowMs: number): void {
    this.#suspectSinceMs = nowMs;
    this.#refusals = 0;
    this.due = true;
  }

  opened(channel: Channel): void {
    this.due = false;
    this.#channel = channel;
  }

  commit(): void {
    this.#committing = true;
  }

  /** The standby is gone, or speaks for the session now. */
  clear(): void {
    this.#channel = undefined;
    this.#committing = false;
  }

  timedOut(): void {
    this.#timedOut++;
  }

  /** The standby was refused. Answers whether to give up on standbys, and to resume. */
  refused(code: RefuseCode, nowMs: number): boolean {
    if (TOLD_BY_RESUME.has(code)) this.#refusals++;
    return this.#refusals >= REFUSALS_UNTIL_RESUME && nowMs - this.#suspectSinceMs >= SUSPECT_UNTIL_RESUME_MS;
  }

  /** A connection is in use, and answers: time-outs are counted anew. */
  calm(): void {
    this.#timedOut = 0;
  }
}
