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
import type { WorldOptions } from "./options.ts";
import { Order } from "./order.ts";
import type { SimProcess } from "./process.ts";
import { check, violated } from "./stage.ts";

/** In the first byte there is a tag. */
function numberOf(message: Uint8Array): number {
  return Buffer.from(message.buffer, message.byteOffset, message.length).readUIntBE(1, 3);
}

/** Where a message stands in the queue. One that replaces another has the other's place, and so its class. */
interface Place {
  /** The number of the message that took the place first. */
  readonly first: number;
  readonly priority: number;
}

export class SimBacklog {
  readonly order: Order = new Order();
  /** The messages that the policy has dropped. */
  readonly dropped = new Map<number, Undelivered["reason"]>();
  readonly #backlog: Backlog;
  readonly #process: SimProcess;
  readonly #core: LinkCore;
  /** Of its own: the ledger knows of logs only. */
  readonly #budget = new CountingBudget(1_000_000);
  /** When each message came that may expire. */
  readonly #cameMs = new Map<number, number>();
  readonly #policy: WorldOptions["policy"];
  readonly #ttlMs: number;
  readonly #places = new Map<number, Place>();
  /** By key: the message that waits. */
  readonly #waiting = new Map<string, number>();
  /** Of each class: the place that went into the log last. */
  readonly #lastPlaces = new Map<number, number>();
  /** The message that comes now, and the one that waits with its key. */
  #coming: { readonly number: number; readonly old: number | undefined } | undefined;
  /** Messages that went into the log, and are still to be looked at: what the log throws, the queue would catch. */
  #taken: number[] = [];
  #deferred: Array<() => void> = [];

  /** `onTaken`: the core has taken the message. */
  constructor(process: SimProcess, core: LinkCore, onTaken: (number: number) => void) {
    const policy = process.stage.options.policy;
    const { overflow, maxMessages, ttlMs, classes } = policy;
    this.#policy = policy;
    this.#process = process;
    this.#core = core;
    this.#ttlMs = ttlMs === 0 ? Infinity : ttlMs;
    // The highest class has room of its own; the others may fill the whole queue.
    const priorities = Array.from({ length: classes }, (_, priority) => ({
      name: `class ${priority}`,
      ...(priority > 0 && { maxMessages }),
    }));
    const queue = {
      maxMessages,
      ttlMs: this.#ttlMs,
      ...(overflow !== "none" && { overflow }),
      ...(classes > 1 && { priorities }),
    };
    const resolved = resolveLinkOptions({ queue }, "client").queue.policy;
    if (resolved === undefined) throw new Error("a policy was drawn, and is none");
    const outbound = this.#outbound(onTaken);
    this.#backlog = new Backlog(resolved, {
      outbound,
      acceptance: new Acceptance(outbound),
      driver: { clock: this.#clock(), changed: () => {}, run: () => process.pump() },
      host: {
        hearsUndelivered: true,
        onDropped: (reason, _, messages) => this.#onDropped(reason, messages),
        onCallLost: () => {},
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
          holdProcess: () => {},
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
        this.#taken.push(numberOf(payload));
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
    const terms = { priority: this.#priorityOf(number), key: this.#keyOf(number), ttlMs };
    if (this.#backlog.waitsForRoom && !this.#backlog.hasRoom(payload.length, terms)) return false;
    if (ttlMs < Infinity) this.#cameMs.set(number, this.#process.nowMs);
    const old = terms.key === undefined ? undefined : this.#waiting.get(terms.key);
    const oldPlace = old === undefined ? undefined : this.#places.get(old);
    this.#places.set(number, { first: number, priority: oldPlace?.priority ?? terms.priority });
    this.#coming = { number, old };
    void this.#backlog.push({ payload, given: true, boundTo: undefined }, payload.length, terms, "taken", undefined);
    this.#process.stage.count("waited under a policy");
    this.#tell();
    this.#coming = undefined;
    this.#checkReplaced(number, old);
    if (old !== undefined && oldPlace !== undefined && this.dropped.get(old) === "conflated") {
      this.#places.set(number, oldPlace);
    }
    if (terms.key !== undefined && !this.dropped.has(number)) this.#waiting.set(terms.key, number);
    return true;
  }

  /** The message went into the log at once. */
  tookDirectly(number: number): void {
    this.#places.set(number, { first: number, priority: this.#priorityOf(number) });
    this.#took(number);
  }

  #priorityOf(number: number): number {
    return (number * 31) % this.#policy.classes;
  }

  #keyOf(number: number): string | undefined {
    const { overflow, keys } = this.#policy;
    return overflow === "conflate" && number % 3 > 0 ? `key ${number % keys}` : undefined;
  }

  /** In a class the places go into the log in the order in which they were taken. */
  #took(number: number): void {
    const { name, stage } = this.#process;
    const { first, priority } = this.#places.get(number) as Place;
    const last = this.#lastPlaces.get(priority) ?? -1;
    check(first > last, () => `${name}: message ${number} in place ${first} went after place ${last} of its class`);
    this.#lastPlaces.set(priority, first);
    this.#left(number);
    if (this.order.took(number)) stage.count("a message overtook another");
  }

  #left(number: number): void {
    const key = this.#keyOf(number);
    if (key !== undefined && this.#waiting.get(key) === number) this.#waiting.delete(key);
  }

  /** Of one key one message waits, the newest: the one before has given way, unless the new one was dropped itself. */
  #checkReplaced(number: number, old: number | undefined): void {
    if (old === undefined || this.dropped.has(old) || this.dropped.has(number)) return;
    violated(`${this.#process.name}: messages ${old} and ${number} wait with the same key`);
  }

  progress(): void {
    this.#backlog.progress();
    for (const number of this.#taken.splice(0)) this.#took(number);
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
      if (reason === "overflow") this.#checkOverflow(number);
      if (reason === "conflated") check(number === this.#coming?.old, () => `${name}: ${number} was conflated`);
      this.dropped.set(number, reason);
      this.#left(number);
      stage.count(`dropped ${reason}`);
    }
  }

  /** A message gives way to the one that comes, or that is dropped itself; none gives way to one of a lower class. */
  #checkOverflow(number: number): void {
    const { name } = this.#process;
    const coming = this.#coming?.number;
    check(coming !== undefined && this.#policy.overflow !== "wait", () => `${name}: ${number} was dropped`);
    const [own, its] = [number, coming].map((each) => this.#places.get(each)?.priority ?? -1) as [number, number];
    check(own >= its, () => `${name}: message ${number} of class ${own} gave way to one of class ${its}`);
  }

  /** The link has ended: answers what waited. */
  ended(): number[] {
    const rest = this.#backlog.ended(new RespliceError("LINK_ENDED", "the link has ended"));
    this.#tell();
    check(this.#budget.taken === 0, () => `${this.#process.name}: ${this.#budget.taken} bytes are still charged`);
    return rest.map(({ message }) => numberOf(message));
  }
}
