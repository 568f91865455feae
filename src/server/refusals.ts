/** Counts and reports the connections that a server refuses or sheds, or closes because of what they do. */
import type { RefuseCode } from "../core/wire/frames.ts";
import type { Journal } from "../telemetry/journal.ts";
import { type AnyLimitName, TurnedAway } from "./turned-away.ts";
import type { HookFailure, LinkIds, ServerRefused } from "../telemetry/record.ts";
import { Tally } from "../telemetry/tally.ts";

/** Their reasons may hold what a client or the application has said, of which there is no end of kinds. */
const WITH_FOREIGN_TEXT: ReadonlySet<RefuseCode> = new Set(["authentication", "mismatch"]);

export class Refusals {
  readonly turnedAway: TurnedAway = new TurnedAway();
  /** How often each REFUSE code was given, or would have been given by a protocol that has them. */
  readonly #refused: Record<string, number> = {};
  /** The same by reason. */
  readonly #refusedFor = new Tally();
  /** How often a connection was closed because of what it did, by reason. */
  readonly #rejected = new Tally();
  /** How many links were shed, by reason. */
  readonly #shed = new Tally();
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  refused(refusal: Omit<ServerRefused, "event">): void {
    const { code, reason } = refusal;
    this.#refused[code] = (this.#refused[code] ?? 0) + 1;
    this.#refusedFor.add(WITH_FOREIGN_TEXT.has(code) ? code : reason);
    this.#journal.record({ event: "server.refused", ...refusal });
  }

  /** A connection was closed for lack of room, and its client could not be told so. */
  turnAway(limit: AnyLimitName, reason: string, remoteAddress: string, nowMs: number): void {
    this.turnedAway.add(limit, nowMs);
    this.refused({ code: "overloaded", reason, sessionId: "", remoteAddress, retryAfterMs: 0 });
  }

  /** A connection was closed because of what it sent or did not send, or of a function that failed. */
  rejected(remoteAddress: string, reason: string, detail: string, failure?: HookFailure): void {
    this.#rejected.add(reason);
    const rejected = { event: "server.rejected", reason, detail, remoteAddress } as const;
    this.#journal.record(failure === undefined ? rejected : { ...rejected, failure });
  }

  /** The link's client was asked to come back after `retryAfterMs`; 0: it could not be asked. */
  shed(ids: LinkIds, retryAfterMs: number, reason: string): void {
    this.countShed(reason);
    this.#journal.record({ event: "server.shed", ids, retryAfterMs, reason });
  }

  /** So many connections without a link were closed, or their clients asked to leave. */
  countShed(reason: string, times = 1): void {
    this.#shed.add(reason, times);
  }

  /** Since the beginning. */
  counts(): Record<"refused" | "refusedFor" | "turnedAway" | "rejected" | "shed", Record<string, number>> {
    return {
      refused: { ...this.#refused },
      refusedFor: this.#refusedFor.counts,
      turnedAway: this.turnedAway.counts,
      rejected: this.#rejected.counts,
      shed: this.#shed.counts,
    };
  }
}
