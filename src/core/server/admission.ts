/**
 * How many clients a second are let in, with a budget for each kind of request: a herd of opens must not keep known
 * clients from resuming. Each budget is shared by identity, else by address; that of connections, before anything is
 * known of their clients, always by address. Each session also has a pace of its own, and keeps one turn after it had
 * to be refused.
 */
import { Shares } from "./shares.ts";
import { ComeBackTimes, mostRetryMs } from "./come-back-times.ts";

export interface AdmissionOptions {
  acceptsPerSecond: number;
  opensPerSecond: number;
  resumesPerSecond: number;
  standbysPerSecond: number;
}

/** A session may come back so often at once: as often as our own client retries quickly. */
const AT_ONCE = 10;
/** After that it may come back once in each such time. */
const PACE_MS = 1_000;
/** The part of a budget for sessions that come back more often: a path that fails all the time is no attack. */
const HURRIED_PART = 0.1;
/** A turn is kept for a late client so long: its dial may be slow. */
const KEPT_MS = 60_000;

/** How often one session has come back lately. */
export interface Comings {
  /** When the session may again come back `AT_ONCE` times at once. */
  restedMs: number;
  /** When the session has a turn; -Infinity if it has none. */
  turnMs: { resume: number; standby: number };
  /** Its client was asked to come back then, and is refused before; -Infinity if it was not asked. */
  awayUntilMs: number;
  /** How often the server has asked who its client is, other than when that came back. */
  asks: number;
}

/** The record of a session that has not come back yet. */
export function noComings(): Comings {
  return { restedMs: 0, turnMs: { resume: -Infinity, standby: -Infinity }, awayUntilMs: -Infinity, asks: 0 };
}

export class Admission {
  #options: AdmissionOptions;
  readonly #shares: { accept: Shares; open: Shares; resume: Shares; standby: Shares };
  readonly #hurried: { resume: Shares; standby: Shares };
  readonly #turns: { open: ComeBackTimes; resume: ComeBackTimes; standby: ComeBackTimes };

  /** @param random in [0, 1) */
  constructor(options: AdmissionOptions, random: () => number) {
    const { acceptsPerSecond, opensPerSecond, resumesPerSecond, standbysPerSecond } = options;
    this.#options = options;
    this.#shares = {
      accept: new Shares(acceptsPerSecond),
      open: new Shares(opensPerSecond),
      resume: new Shares(resumesPerSecond),
      standby: new Shares(standbysPerSecond),
    };
    this.#hurried = {
      resume: new Shares(HURRIED_PART * resumesPerSecond),
      standby: new Shares(HURRIED_PART * standbysPerSecond),
    };
    this.#turns = {
      open: new ComeBackTimes(random),
      resume: new ComeBackTimes(random),
      standby: new ComeBackTimes(random),
    };
  }

  /** Changes the budgets, which keep their fill. Turns that clients were told stay theirs. */
  set(options: AdmissionOptions, nowMs: number): void {
    const { acceptsPerSecond, opensPerSecond, resumesPerSecond, standbysPerSecond } = options;
    this.#options = options;
    this.#shares.accept.set(acceptsPerSecond, nowMs);
    this.#shares.open.set(opensPerSecond, nowMs);
    this.#shares.resume.set(resumesPerSecond, nowMs);
    this.#shares.standby.set(standbysPerSecond, nowMs);
    this.#hurried.resume.set(HURRIED_PART * resumesPerSecond, nowMs);
    this.#hurried.standby.set(HURRIED_PART * standbysPerSecond, nowMs);
  }

  /** Answers whether a connection is admitted, of whose client only the address is known. */
  accept(peer: string, nowMs: number): boolean {
    return this.#shares.accept.take(peer, nowMs);
  }

  /** Answers 0 if the open is admitted, or after how many milliseconds the client is to come back. */
  open(who: string, nowMs: number): number {
    return this.#shares.open.take(who, nowMs) ? 0 : this.#turns.open.next(who, this.#options.opensPerSecond, nowMs);
  }

  /**
   * For a client that has proven that the session is its own. `leftMs`: how long the session still waits for it.
   * `mayHurry`: there is room for sessions that come back more often than their pace.
   */
  comeBack(
    kind: "resume" | "standby",
    who: string,
    comings: Comings,
    leftMs: number,
    mayHurry: boolean,
    nowMs: number,
  ): number {
    const mostMs = mostRetryMs(leftMs);
    const { turnMs } = comings;
    const isExpected = nowMs >= turnMs[kind] && nowMs < turnMs[kind] + KEPT_MS;
    if (nowMs < turnMs[kind]) return Math.min(mostMs, Math.ceil(turnMs[kind] - nowMs));
    turnMs[kind] = -Infinity;
    // The session has come back `AT_ONCE` times already, and its pace does not allow another yet.
    const tooSoonMs = comings.restedMs - nowMs - (AT_ONCE - 1) * PACE_MS;
    if (isExpected) {
      this.#shares[kind].takeAnyway(who, nowMs);
    } else if (tooSoonMs > 0 && !(mayHurry && this.#hurried[kind].take(who, nowMs))) {
      return Math.min(mostMs, Math.ceil(tooSoonMs));
    } else if (!this.#shares[kind].take(who, nowMs)) {
      const waitMs = this.#turns[kind].next(who, this.#options[`${kind}sPerSecond`], nowMs);
      turnMs[kind] = nowMs + waitMs;
      return Math.min(mostMs, waitMs);
    }
    comings.restedMs = Math.min(Math.max(comings.restedMs, nowMs) + PACE_MS, nowMs + AT_ONCE * PACE_MS);
    return 0;
  }
}
