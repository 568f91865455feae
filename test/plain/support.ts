/** What the tests of the plain protocol share: a framing, options, and a core that is driven by hand. */
import { BlockPool } from "../../src/core/log/blocks.ts";
import { PlainCore, type PlainCoreOptions } from "../../src/plain/core.ts";
import type { FrameDecoder, Framing } from "../../src/plain/framing.ts";
import type { ProtocolEvent } from "../../src/link/protocol.ts";
import { CountingBudget } from "../core/support.ts";

/** Lines, in two pieces each. A line that holds the word "poison" cannot be decoded, "unframed" not encoded. */
export const LINES: Framing = {
  name: "test lines",
  encode(message) {
    if (message.includes("unframed")) throw new RangeError("unframed");
    return [message, Buffer.from("\n")];
  },
  decoder: () => new LineDecoder(),
};

class LineDecoder implements FrameDecoder {
  #rest = "";

  decode(chunk: Buffer, deliver: (message: Buffer) => void): void {
    const parts = (this.#rest + chunk.toString("latin1")).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) {
      if (part.includes("poison")) throw new Error("poison");
      deliver(Buffer.from(part, "latin1"));
    }
  }

  end(): void {
    if (this.#rest !== "") throw new Error("the last line is cut short");
  }
}

const NO_MS = Infinity;

export function plainOptions(changed: Partial<PlainCoreOptions> = {}): PlainCoreOptions {
  return {
    framing: LINES,
    hasLogin: false,
    resendInFlight: false,
    inDoubtBytes: 1_000_000,
    maxMessageBytes: 100_000,
    queue: { maxMessages: 1_000, maxBytes: 1_000_000 },
    windowBytes: 100_000,
    pingAfterMs: 0,
    deadAfterMs: 10_000,
    writeStallMs: 15_000,
    answerMs: 30_000,
    idleCloseMs: NO_MS,
    maxConnectionAgeMs: NO_MS,
    logBudget: new CountingBudget(100_000_000),
    blocks: new BlockPool(),
    encodeFailed: (thrown) => new Error(`cannot be framed: ${String(thrown)}`),
    ...changed,
  };
}

type Described<E> = E extends { type: "connection-lost" | "ended" } ? E : never;

/** A core, driven by hand. Time stands still unless a test sets it. */
export class Hand {
  readonly core: PlainCore;
  nowMs = 0;
  #lastId = 0;
  readonly events: ProtocolEvent[] = [];

  constructor(changed: Partial<PlainCoreOptions> = {}) {
    this.core = new PlainCore(plainOptions(changed), { random: () => 0 });
  }

  /** Takes out the events, and answers their types. */
  drain(): string[] {
    const drained = this.core.events.splice(0);
    this.events.push(...drained);
    return drained.map(({ type }) => type);
  }

  last<T extends ProtocolEvent["type"]>(type: T): Extract<ProtocolEvent, { type: T }> | undefined {
    this.drain();
    return this.events.findLast((event): event is Extract<ProtocolEvent, { type: T }> => event.type === type);
  }

  all<T extends ProtocolEvent["type"]>(type: T): Array<Extract<ProtocolEvent, { type: T }>> {
    this.drain();
    return this.events.filter((event): event is Extract<ProtocolEvent, { type: T }> => event.type === type);
  }

  /** Opens a connection; answers its id. */
  connect(): number {
    this.core.connectionOpened(++this.#lastId, "primary", Buffer.alloc(0), this.nowMs);
    return this.#lastId;
  }

  get id(): number {
    return this.#lastId;
  }

  send(...messages: string[]): void {
    for (const message of messages) this.core.take(message, Buffer.byteLength(message), false, "taken");
  }

  request(message: string): object {
    this.core.take(message, Buffer.byteLength(message), false, "answered");
    return this.core.ticket("answer");
  }

  /** What is written now. The kernel has not taken it before `written()`. */
  write(room = 65_536): string {
    return Buffer.concat(this.core.transmit(this.#lastId, room, this.nowMs)).toString("latin1");
  }

  written(): void {
    this.core.written(this.#lastId);
  }

  /** Writes everything, and the kernel takes it. */
  flush(): string {
    let all = "";
    for (let out = this.write(); out !== ""; out = this.write()) {
      all += out;
      this.written();
    }
    return all;
  }

  hear(text: string): void {
    this.core.receive(this.#lastId, Buffer.from(text, "latin1"), this.nowMs);
  }

  cut(reason = "ECONNRESET"): void {
    this.core.connectionClosed(this.#lastId, reason, this.nowMs);
  }

  /** Lets time pass, and calls tick() whenever it is due. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    let ticks = 0;
    for (let dueMs = this.core.nextTimeoutMs; dueMs <= untilMs; dueMs = this.core.nextTimeoutMs) {
      if (++ticks > 1_000) throw new Error("the timer is due again and again");
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.core.tick(this.nowMs);
    }
    this.nowMs = untilMs;
  }

  /** The process sleeps: time passes, and then tick() is called once. */
  sleep(ms: number): void {
    this.nowMs += ms;
    this.core.tick(this.nowMs);
  }

  read(): string[] {
    const messages: string[] = [];
    for (;;) {
      const message = this.core.next(() => {});
      if (message === undefined) return messages;
      messages.push(message.toString("latin1"));
      this.core.acceptHanded(0);
    }
  }

  /** What was reported as undelivered last, as "message delivery". */
  reported(type: Described<ProtocolEvent>["type"] = "connection-lost"): string[] {
    return (this.last(type)?.undelivered ?? []).map(
      ({ message, delivery }) => `${message.toString("latin1")} ${delivery}`,
    );
  }
}
