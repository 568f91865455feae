/** The product's queue under a policy, before a client's core, with the clock of its process. */
import { Account } from "../../src/core/log/window.ts";
import type { LinkCore } from "../../src/core/session/link-core.ts";
import { Acceptance } from "../../src/link/acceptance.ts";
import { Backlog } from "../../src/link/backlog.ts";
import { RespliceError } from "../../src/link/errors.ts";
import type { Clock } from "../../src/link/ports.ts";
import type { Outbound } from "../../src/link/protocol.ts";
import { resolveLinkOptions } from "../../src/link/options.ts";
import type { Undelivered, UndeliveredMessage } from "../../src/link/types.ts";
import { CountingBudget } from "../core/support.ts";
import type { SimProcess } from "./process.ts";
import { check } from "./stage.ts";

/** In the first byte there is a tag. */
function numberOf(message: Uint8Array): number {
  return Buffer.from(message.buffer, message.byteOffset, message.length).readUIntBE(1, 3);
}

export class SimBacklog {
  /** The messages that the policy has dropped. */
  readonly dropped = new Map<number, Undelivered["reason"]>();
  readonly #backlog: Backlog;
  readonly #process: SimProcess;
  readonly #core: LinkCore;
  /** Of its own: the ledger knows of logs only. */
  readonly #budget = new CountingBudget(1_000_000);
  /** When each message came that may expire. */
  readonly #cameMs = new Map<number, number>();
  readonly #ttlMs: number;
  readonly #overflow: string;
  #deferred: Array<() => void> = [];

  /** `onTaken`: the core has taken the message. */
  constructor(process: SimProcess, core: LinkCore, onTaken: (number: number) => void) {
    const { overflow, maxMessages, ttlMs } = process.stage.options.policy;
    this.#process = process;
    this.#core = core;
    this.#overflow = overflow;
    this.#ttlMs = ttlMs === 0 ? Infinity : ttlMs;
    const queue = { maxMessages, ttlMs: this.#ttlMs, ...(overflow !== "none" && { overflow }) };
    const { policy } = resolveLinkOptions({ queue }, "client").queue;
    if (policy === undefined) throw new Error("a policy was drawn, and is none");
    const outbound = this.#outbound(onTaken);
    this.#backlog = new Backlog(policy, {
      outbound,
      acceptance: new Acceptance(outbound),
      driver: { clock: this.#clock(), changed: () => {}, run: () => process.pump() },
      host: {
        hearsUndelivered: true,
        onDropped: (reason, _, messages) => this.#onDropped(reason, messages),
        emitAll: () => {},
      },
    });
  }

  #clock(): Clock {
    const process = this.#process;
    return {
      now: () => process.nowMs,
      wallMs: () => process.nowMs,
      defer: (run, of) => void this.#deferred.push(() => run(of)),
      afterPoll: () => {},
      spread: () => {},
      timer: () => {
        let setMs = Infinity;
        return {
          set: (dueMs) => {
            if (dueMs < setMs || setMs <= process.nowMs) {
              setMs = dueMs;
              if (dueMs < Infinity) process.later(Math.max(0, dueMs - process.nowMs), () => {});
            }
          },
          clear: () => {},
        };
      },
    };
  }

  /** The parts of the core that the queue uses. */
  #outbound(onTaken: (number: number) => void): Outbound {
    const core = this.#core;
    const budget = this.#budget;
    const used = {
      get adopted() {
        return core.adopted;
      },
      get sendingEnded() {
        return core.sendingEnded;
      },
      get queuedBytes() {
        return core.queuedBytes;
      },
      get unackedBytes() {
        return core.unackedBytes;
      },
      get maxMessageBytes() {
        return core.maxMessageBytes;
      },
      hasRoom: (bytes: number) => core.hasRoom(bytes),
      newAccount: () => new Account(0, budget),
      take: (payload: Uint8Array, bytes: number, given: boolean) => {
        core.take(payload, bytes, given);
        onTaken(numberOf(payload));
      },
    };
    return used as unknown as Outbound;
  }

  get isEmpty(): boolean {
    return this.#backlog.messages === 0;
  }

  isDirect(bytes: number): boolean {
    return this.#backlog.isDirect && this.#core.hasRoom(bytes);
  }

  /** Answers false if the message has to wait outside. Two of three expire, if any do. */
  push(number: number, payload: Buffer): boolean {
    const ttlMs = number % 3 === 0 ? Infinity : this.#ttlMs;
    const terms = { priority: 0, key: undefined, ttlMs };
    if (this.#backlog.waitsForRoom && !this.#backlog.hasRoom(payload.length, terms)) return false;
    if (ttlMs < Infinity) this.#cameMs.set(number, this.#process.nowMs);
    void this.#backlog.push({ payload, given: true }, payload.length, terms, "taken", undefined);
    this.#process.stage.count("waited under a policy");
    this.#tell();
    return true;
  }

  progress(): void {
    this.#backlog.progress();
    this.#tell();
  }

  #tell(): void {
    for (const run of this.#deferred.splice(0)) run();
  }

  #onDropped(reason: Undelivered["reason"], messages: readonly UndeliveredMessage[]): void {
    for (const { message } of messages) {
      const number = numberOf(message);
      const { name, nowMs, stage } = this.#process;
      check(!this.dropped.has(number), () => `${name}: message ${number} was dropped twice`);
      const ageMs = nowMs - (this.#cameMs.get(number) ?? Infinity);
      // Times are not whole, and are rounded.
      if (reason === "expired")
        check(ageMs > this.#ttlMs - 0.001, () => `${name}: message ${number} expired after ${ageMs} ms`);
      if (reason === "overflow") check(this.#overflow.startsWith("drop"), () => `${name}: ${number} was dropped`);
      this.dropped.set(number, reason);
      stage.count(`dropped ${reason}`);
    }
  }

  /** The link has ended: answers what waited. */
  ended(): number[] {
    const rest = this.#backlog.ended(new RespliceError("LINK_ENDED", "the link has ended"));
    this.#tell();
    check(this.#budget.taken === 0, () => `${this.#process.name}: ${this.#budget.taken} bytes are still charged`);
    return rest.map(({ message }) => numberOf(message));
  }
}
