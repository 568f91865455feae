/**
 * The second connection, which a client opens when the one in use has gone silent, and which takes over unless that one
 * answers before COMMIT is written. One at a time; this is when it is wanted, how long it is waited for, and when it is
 * no use to ask for another.
 */
import { askedDelayMs } from "../backoff.ts";
import type { Channel } from "../session/channel.ts";
import type { RefuseCode } from "../wire/frames.ts";

const MOST_FIRST_PATIENCE_MS = 1_000;
const PATIENT_ROUND_TRIPS = 8;
/** Of what the server's word took beyond a round trip: to authenticate, or to get round to us at all. */
const PATIENT_ANSWERS = 2;
const MOST_PATIENCE_MS = 60_000;
/** A server may ask for more: the connection in use stays silent meanwhile. */
const MOST_PAUSE_MS = 30_000;
/**
 * Whom we reach does not know the session, or us, so often and for so long: the old connection is given up, and a resume
 * tells. Until then another node may be answering for a server that lives.
 */
const TOLD_BY_RESUME: ReadonlySet<RefuseCode> = new Set(["no-standby", "authentication", "taken-over", "mismatch"]);
const REFUSALS_UNTIL_RESUME = 3;
const SUSPECT_UNTIL_RESUME_MS = 15_000;

export class Standby {
  /** One is wanted and may be dialled. */
  due = false;
  /** From HELLO to WELCOME, or from STANDBY to READY, when a connection was last opened. */
  lastRoundTripMs = 0;
  #channel: Channel | undefined;
  #committing = false;
  /** In a row. */
  #timedOut = 0;
  #refusals = 0;
  #suspectSinceMs = 0;
  readonly #firstPatienceMs: number;

  /** Whoever suspects sooner than by default tries again sooner, too: a hole may have closed meanwhile. */
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
   * How long one may take from its dial to READY, and from COMMIT to COMMITTED. The path's round trip, where known, is what
   * the connection in use has measured: opened among thousands, or by a process just started, it has waited for more.
   */
  patienceMs(smoothedMs: number | undefined): number {
    const roundTripMs = Math.min(smoothedMs ?? Infinity, this.lastRoundTripMs);
    const answerMs = this.lastRoundTripMs - roundTripMs;
    const first = Math.max(this.#firstPatienceMs, PATIENT_ROUND_TRIPS * roundTripMs + PATIENT_ANSWERS * answerMs);
    return Math.min(MOST_PATIENCE_MS, first * 1.5 ** this.#timedOut);
  }

  /** Between one that failed, or was refused until `retryAfterMs`, and the next: half to all of the patience at the least. */
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

  /** It is gone, or speaks for the session now. */
  clear(): void {
    this.#channel = undefined;
    this.#committing = false;
  }

  timedOut(): void {
    this.#timedOut++;
  }

  /** Answers whether a resume is to tell what no standby can. */
  refused(code: RefuseCode, nowMs: number): boolean {
    if (TOLD_BY_RESUME.has(code)) this.#refusals++;
    return this.#refusals >= REFUSALS_UNTIL_RESUME && nowMs - this.#suspectSinceMs >= SUSPECT_UNTIL_RESUME_MS;
  }

  /** A connection is in use, and answers. */
  calm(): void {
    this.#timedOut = 0;
  }
}
