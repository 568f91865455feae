/** Collects what a queue has dropped and nobody waits for: one report for each reason in a turn. */
import type { Clock } from "./ports.ts";
import type { Payload, Undelivered, UndeliveredMessage } from "./types.ts";

type Reason = Undelivered["reason"];

export interface DropHost {
  /** An application listens: else the messages are only counted, and their memory is free at once. */
  readonly hearsUndelivered: boolean;
  /** `messages` is empty if nobody listened. */
  onDropped(reason: Reason, count: number, messages: UndeliveredMessage[]): void;
  /** The message of a call is lost with its connection. The call is told by itself. */
  onCallLost(): void;
  /** Outside any step: emits what was reported. */
  emitAll(): void;
}

export class DropReports {
  readonly #clock: Pick<Clock, "defer">;
  readonly #host: DropHost;
  #pending = new Map<Reason, { count: number; messages: UndeliveredMessage[] }>();

  constructor(clock: Pick<Clock, "defer">, host: DropHost) {
    this.#clock = clock;
    this.#host = host;
  }

  add(reason: Reason, payload: Payload): void {
    if (this.#pending.size === 0) this.#clock.defer(DropReports.#tell, this);
    let report = this.#pending.get(reason);
    if (report === undefined) this.#pending.set(reason, (report = { count: 0, messages: [] }));
    report.count++;
    if (this.#host.hearsUndelivered) report.messages.push(notSent(payload));
  }

  callLost(): void {
    this.#host.onCallLost();
  }

  static #tell(this: void, reports: DropReports): void {
    reports.tell();
    reports.#host.emitAll();
  }

  /** Reports what was collected. The host emits it when the step is complete. */
  tell(): void {
    const pending = this.#pending;
    if (pending.size === 0) return;
    this.#pending = new Map();
    for (const [reason, { count, messages }] of pending) this.#host.onDropped(reason, count, messages);
  }
}

/** A message that waited in the queue, as its application is told of it. */
export function notSent(payload: Payload): UndeliveredMessage {
  const message =
    typeof payload === "string"
      ? Buffer.from(payload)
      : Buffer.from(payload.buffer as ArrayBuffer, payload.byteOffset, payload.byteLength);
  return { message, delivery: "not-sent", position: undefined };
}
