/** What everything in a simulated run shares: its options, its time, its network and its record of what happened. */
import { BlockPool } from "../../src/core/log/blocks.ts";
import type { ClientLinkCoreOptions } from "../../src/core/client/link-core.ts";
import type { LinkCore } from "../../src/core/session/link-core.ts";
import { EventClock } from "../../src/testing/clock.ts";
import { SimNetwork, type Wire } from "../../src/testing/network.ts";
import { CountingBudget } from "../core/support.ts";
import { isFaultCode } from "./coverage.ts";
import { SIMPLE, type WorldOptions } from "./options.ts";
import type { Order } from "./order.ts";
import { mix, type Random, streamOf } from "./random.ts";
import type { Trap } from "./traps.ts";

/** Thrown when something that must hold does not. */
export class Violation extends Error {}

export function check(holds: boolean, what: () => string): asserts holds {
  if (!holds) violated(what());
}

/** For what is looked at after every step: a `check()` makes a function each time. */
export function violated(what: string): never {
  throw new Violation(what);
}

/** What the verdict on those who are refused says. */
export const REFUSED_BECAUSE = "not with these";

/** What a client wrote on one connection, from the beginning. */
export interface Flight {
  address: string;
  bytes: Buffer[];
}

/** A process, as far as what must hold after every step is concerned. */
export interface Touched {
  checkBounds(): void;
  /** All that hold memory. */
  links(): Iterable<LinkCore>;
}

const MOST_NOTES = 4_000;

export abstract class Stage {
  readonly seed: number;
  readonly options: WorldOptions;
  readonly clock: EventClock = new EventClock();
  readonly network: SimNetwork;
  readonly windowBudget: CountingBudget;
  readonly logBudget: CountingBudget;
  readonly blocks: BlockPool;
  /** The faults are over. */
  healed = false;
  /** What happened, for a failing seed; kept short. */
  readonly trace: string[] = [];
  /** Frames are noted as well. */
  readonly verbose: boolean;
  /** How often each thing occurred: what never does is not tested. */
  readonly counts = new Map<string, number>();
  /** Every session that an application was given, and where: one owner each. */
  readonly owners = new Map<string, string>();
  /** For strangers who listen and say it again. */
  readonly overheard: Flight[] = [];
  /** Clients that a server has not stored when it died: their sessions may be lost. */
  readonly unstored = new Set<number>();
  /** Clients whose session gave way to another before they had confirmed it: it is lost, if they had read a WELCOME. */
  readonly gaveWay = new Set<number>();
  /** What is said of a client's credentials while a fault lasts. */
  readonly verdicts = new Map<number, "refused" | "another" | "unavailable">();
  /** Something has happened to them since `checkAll()` looked. */
  readonly touched = new Set<Touched>();
  /** And since then what was in one log was put into another. */
  hasCarried = false;
  /** What waits for a frame to come by. */
  readonly traps = new Set<Trap>();
  /** Who was told what its peer never said, and may believe it on the next connection too. */
  readonly misled = new Set<string>();
  /** Connections of who does not know a session's secret, or wants it for something else than it was opened for. */
  readonly trespassers = new Set<Wire>();
  /** Connections with somebody at one end who is no part of this. */
  readonly #foreign = new Set<Wire>();
  readonly #wires = new Map<number, Wire>();
  #channels = 0;
  #ordinals = 0;
  #hash = 0;

  constructor(seed: number, options: Partial<WorldOptions>, verbose = false) {
    this.seed = seed;
    this.options = { ...SIMPLE, ...options };
    this.verbose = verbose;
    const { kernelBytes, budgetBytes, blockBytes, lag } = this.options;
    this.network = new SimNetwork(this.clock, this.stream("network"), kernelBytes);
    this.windowBudget = new CountingBudget(budgetBytes);
    // A sender keeps what is not accepted: for a peer that accepts by hand, and late, one message is not enough.
    this.logBudget = new CountingBudget(lag > 0 ? Math.max(1_000_000, budgetBytes) : budgetBytes);
    this.blocks = new BlockPool(blockBytes);
  }

  /** Each who draws has a stream of its own. */
  stream(name: string): Random {
    return streamOf(this.seed, name);
  }

  /** A client is going to resume that session. */
  abstract isAwaited(sessionId: string): boolean;

  note(what: string): void {
    const line = `${this.clock.nowMs.toFixed(1)} ${what}`;
    this.#hash = mix(this.#hash, line);
    this.#keep(line);
  }

  /** For who reads the trace; no part of its hash. */
  whisper(what: string): void {
    if (this.verbose) this.#keep(`${this.clock.nowMs.toFixed(1)}   ${what}`);
  }

  #keep(line: string): void {
    if (this.trace.length > MOST_NOTES && !this.verbose) this.trace.splice(0, MOST_NOTES / 4);
    this.trace.push(line);
  }

  /** Of everything noted and counted: the same for two runs of the same schedule. */
  get hash(): string {
    let hash = mix(this.#hash, `${this.clock.nowMs} ${this.#channels}`);
    for (const [what, times] of this.counts) hash = mix(hash, `${what} ${times}`);
    return hash.toString(16).padStart(8, "0");
  }

  /** A connection was closed by the core. */
  countClosed(who: "client" | "server" | "link", reason: string): void {
    this.count(`${who} closed ${reason}`);
    if (isFaultCode(reason)) this.count(`${reason} seen by the ${who === "client" ? "client" : "server"}`);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** By client: the order of its messages, if it has a policy. */
  readonly orders = new Map<number, Order>();

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

  /** What comes in on the one goes out on the other. */
  forwarded(inner: Wire, outer: Wire): void {
    if (this.#foreign.has(inner)) this.#foreign.add(outer);
    if (this.trespassers.has(inner)) this.trespassers.add(outer);
  }

  isForeign(channel: number): boolean {
    const wire = this.#wires.get(channel);
    return wire !== undefined && this.#foreign.has(wire);
  }

  isTrespassing(channel: number): boolean {
    const wire = this.#wires.get(channel);
    return wire !== undefined && this.trespassers.has(wire);
  }

  /** What comes in on it was written by the core at its other end. */
  isHonest(channel: number): boolean {
    const wire = this.#wires.get(channel);
    return wire === undefined || !(this.#foreign.has(wire) || this.misled.has(wire.from));
  }

  /** The path to a server as it is without faults. */
  restorePath(address: string): void {
    const { latencyMs } = this.options;
    const stalled = { "to-server": false, "to-client": false };
    Object.assign(this.network.path(address), { latencyMs, jitterMs: 0, refuses: false, dialDelayMs: 5, stalled });
    this.network.resume(address);
  }

  /** `client`: its number; a server has none. */
  coreOptions(client?: number): ClientLinkCoreOptions {
    const { options } = this;
    const side = client === undefined ? "server" : "client";
    return {
      mode: options.mode,
      maxMessageBytes: options.maxMessageBytes[side],
      maxBatchBytes: options.lag * (options.payloadBytes + 4),
      window: options.window,
      windowBudget: this.windowBudget,
      logBudget: this.logBudget,
      blocks: this.blocks,
      queue: options.queue,
      ackDelayMs: options.ackDelayMs,
      keepalive: {
        pingAfterMs: side === "client" ? options.pingAfterMs : 3 * options.pingAfterMs,
        suspectAfterMs: options.suspectAfterMs,
        stalledAfterMs: [200, 400],
        pingAfterSpeechMs: side === "client" ? [100, 200, 400, 800] : [],
      },
      instance: instanceOf(client ?? 0),
      epoch: 1,
      openPayload: openPayloadOf(client),
      whenSessionLost: options.whenSessionLost,
    };
  }
}

/** Of a client's process. */
export function instanceOf(client: number): string {
  return `${11 + client}`.repeat(16);
}

/** A server has none of its own. */
export function openPayloadOf(client: number | undefined): Buffer {
  return client === undefined ? Buffer.alloc(0) : Buffer.from(`for client-${client}`);
}

/** Whose link it is; -1 if that isn't said. */
export function clientOf(openPayload: Buffer): number {
  const [, client] = /^for client-(\d)$/.exec(openPayload.toString()) ?? [];
  return Number(client ?? -1);
}

/** Where the servers of a run listen. */
export function addressOf(server: number): string {
  return `server-${server}`;
}
