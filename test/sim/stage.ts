/** What everything in a simulated run shares: its options, its time, its network and its record of what happened. */
import { BlockPool } from "../../src/core/blocks.ts";
import type { ClientCoreOptions } from "../../src/core/client.ts";
import type { Mode } from "../../src/core/frames.ts";
import { EventClock } from "../../src/testing/clock.ts";
import { SimNetwork, type Wire } from "../../src/testing/network.ts";
import { CountingBudget } from "../core/support.ts";
import { seeded } from "../../src/testing/random.ts";

export interface WorldOptions {
  seed: number;
  mode: Mode;
  servers: number;
  whenSessionLost: "report" | "resend" | "end";
  maxMessageBytes: { client: number; server: number };
  window: { minBytes: number; maxBytes: number };
  queue: { maxMessages: number; maxBytes: number };
  budgetBytes: number;
  kernelBytes: number;
  /** One way, when no fault makes it longer. */
  latencyMs: number;
  pingAfterMs: number;
  suspectAfterMs: number;
  resumeForMs: number;
  handshakeMs: number;
  /** How long the authentication of a connection takes at most; 0: it is answered at once. */
  authenticateMs: number;
  /** How many messages each side wants to send. */
  messages: { client: number; server: number };
  payloadBytes: number;
  /** A sender thinks so long between two messages on average; 0: it sends what it can. */
  thinkMs: number;
  /** A consumer takes a message every so many milliseconds on average; 0: as they come. */
  consumerMs: number;
  /** A consumer accepts by hand, so many messages behind what it was handed. */
  lag: number;
  /** Who ends its direction when all is sent. Both: the link closes by itself. */
  ends: { client: boolean; server: boolean };
  /** Nobody ends before the faults are over. */
  staysOpen: boolean;
}

const DEFAULTS: WorldOptions = {
  seed: 1,
  mode: "messages",
  servers: 1,
  whenSessionLost: "report",
  maxMessageBytes: { client: 1_000, server: 1_000 },
  window: { minBytes: 4_096, maxBytes: 65_536 },
  queue: { maxMessages: 100, maxBytes: 65_536 },
  budgetBytes: 1_000_000,
  kernelBytes: 16_384,
  latencyMs: 1,
  pingAfterMs: 1_000,
  suspectAfterMs: 500,
  resumeForMs: 300_000,
  handshakeMs: 10_000,
  authenticateMs: 0,
  messages: { client: 50, server: 50 },
  payloadBytes: 100,
  thinkMs: 0,
  consumerMs: 0,
  lag: 0,
  ends: { client: true, server: true },
  staysOpen: false,
};

/** Thrown when something that must hold does not. */
export class Violation extends Error {}

export function check(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Violation(what());
}

/** What a client wrote on one connection, from the beginning. */
export interface Flight {
  address: string;
  bytes: Buffer[];
}

export class Stage {
  readonly options: WorldOptions;
  readonly clock: EventClock = new EventClock();
  readonly random: () => number;
  readonly network: SimNetwork;
  readonly windowBudget: CountingBudget;
  readonly logBudget: CountingBudget;
  readonly blocks: BlockPool = new BlockPool();
  /** The faults are over. */
  healed = false;
  /** What happened, for a failing seed; kept short. */
  readonly trace: string[] = [];
  /** How often each thing occurred: what never does is not tested. */
  readonly counts = new Map<string, number>();
  /** Every session that an application was given, and where: one owner each. */
  readonly owners = new Map<string, string>();
  /** For strangers who listen and say it again. */
  readonly overheard: Flight[] = [];
  /** Connections with somebody at one end who is no part of this. */
  readonly #foreign = new Set<Wire>();
  readonly #wires = new Map<number, Wire>();
  #channels = 0;
  #ordinals = 0;

  constructor(options: Partial<WorldOptions> = {}) {
    this.options = { ...DEFAULTS, ...options };
    this.random = seeded(this.options.seed);
    this.network = new SimNetwork(this.clock, this.random, this.options.kernelBytes);
    this.windowBudget = new CountingBudget(this.options.budgetBytes);
    // A sender keeps what is not accepted: for a peer that accepts by hand, and late, one message is not enough.
    this.logBudget = new CountingBudget(this.options.lag > 0 ? 1_000_000 : this.options.budgetBytes);
  }

  note(what: string): void {
    if (this.trace.length > 4_000) this.trace.splice(0, 1_000);
    this.trace.push(`${this.clock.nowMs.toFixed(1)} ${what}`);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  newOrdinal(): number {
    return ++this.#ordinals;
  }

  newChannel(wire: Wire): number {
    const id = ++this.#channels;
    this.#wires.set(id, wire);
    return id;
  }

  beware(wire: Wire): void {
    this.#foreign.add(wire);
  }

  isForeign(channel: number): boolean {
    const wire = this.#wires.get(channel);
    return wire !== undefined && this.#foreign.has(wire);
  }

  /** The path to a server as it is without faults. */
  restorePath(address: string): void {
    const { latencyMs } = this.options;
    const stalled = { "to-server": false, "to-client": false };
    Object.assign(this.network.path(address), { latencyMs, jitterMs: 0, refuses: false, dialDelayMs: 5, stalled });
    this.network.resume(address);
  }

  coreOptions(side: "client" | "server"): ClientCoreOptions {
    const { options } = this;
    return {
      mode: options.mode,
      maxMessageBytes: options.maxMessageBytes[side],
      maxBatchBytes: options.lag * (options.payloadBytes + 4),
      window: options.window,
      windowBudget: this.windowBudget,
      logBudget: this.logBudget,
      blocks: this.blocks,
      queue: options.queue,
      ackDelayMs: 25,
      keepalive: {
        pingAfterMs: side === "client" ? options.pingAfterMs : 3 * options.pingAfterMs,
        suspectAfterMs: options.suspectAfterMs,
        stalledAfterMs: [200, 400],
      },
      instance: "11".repeat(16),
      epoch: 1,
      openPayload: Buffer.from("hello"),
      whenSessionLost: options.whenSessionLost,
    };
  }
}

/** Where the servers of a run listen. */
export function addressOf(server: number): string {
  return `server-${server}`;
}
