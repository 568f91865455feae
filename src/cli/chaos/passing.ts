/** The traffic of other programs, through a path to their own server: bytes, as they arrive at each end. */
import type { Direction } from "../../testing/index.ts";
import type { Fault } from "../demo/faults.ts";
import { GapFinder } from "../demo/gaps.ts";
import { nowMs } from "../demo/messages.ts";
import { Samples } from "../demo/samples.ts";
import type { Ends, Traffic, Watch } from "../demo/traffic.ts";
import { type Address, formatAddress } from "../address.ts";

/** A direction that has carried nothing for so long is not waited for behind a fault. */
const IDLE_MS = 2_000;
const SAMPLE_EVERY_MS = 100;
const DIRECTIONS = ["to-server", "to-client"] as const;

interface Wait {
  /** Directions in which something has still to arrive. */
  readonly awaited: Set<Direction>;
  readonly found: (atMs: number) => void;
}

export class Passing implements Traffic {
  readonly target: Traffic["target"];
  readonly listenPort: number;
  readonly live: undefined;
  /** Somebody has to start the client first. */
  readonly beginsWithinMs = 300_000;
  readonly samples: Samples = new Samples();
  readonly failed: Promise<never> = new Promise(() => {});
  readonly exhausted: Promise<void> = new Promise(() => {});
  readonly watch: Watch;
  readonly #to: string;
  readonly #now: () => number;
  readonly #gaps = new GapFinder();
  readonly #bytes: Record<Direction, number> = { "to-server": 0, "to-client": 0 };
  readonly #lastMs: Record<Direction, number> = { "to-server": -Infinity, "to-client": -Infinity };
  #connections = 0;
  /** Directions that carried something before the last fault. */
  #busy: readonly Direction[] = [];
  #wait: Wait | undefined;
  #onFirst: (() => void) | undefined;
  #onCut: ((atMs: number) => void) | undefined;
  #sampling: NodeJS.Timeout | undefined;

  constructor(to: Address, listenPort: number, now: () => number = nowMs) {
    this.target = Promise.resolve({ host: to.host ?? "localhost", port: to.port });
    this.listenPort = listenPort;
    this.#to = formatAddress(to);
    this.#now = now;
    this.watch = {
      connected: () => {
        this.#connections++;
      },
      passed: (direction, bytes) => this.#passed(direction, bytes),
      cut: () => {
        this.#onCut?.(this.#now());
        this.#onCut = undefined;
      },
    };
  }

  #passed(direction: Direction, bytes: number): void {
    const atMs = this.#now();
    this.#bytes[direction] += bytes;
    this.#lastMs[direction] = atMs;
    this.#gaps.arrived(atMs);
    this.#onFirst?.();
    const wait = this.#wait;
    if (wait?.awaited.delete(direction) !== true || wait.awaited.size > 0) return;
    this.#wait = undefined;
    wait.found(atMs);
  }

  beginning(port: number): Promise<string> {
    const text = `connect your client to 127.0.0.1:${port} instead of ${this.#to}: the faults begin with its first bytes`;
    return Promise.resolve(text);
  }

  async begin(): Promise<void> {
    const sample = (): void => this.samples.add(this.#now(), this.#bytes["to-server"] + this.#bytes["to-client"]);
    this.#sampling = setInterval(sample, SAMPLE_EVERY_MS);
    // The client may have come already.
    if (this.#bytes["to-server"] + this.#bytes["to-client"] > 0) return;
    await new Promise<void>((resolve) => {
      this.#onFirst = resolve;
    });
  }

  striking(): void {
    const sinceMs = this.#now() - IDLE_MS;
    this.#busy = DIRECTIONS.filter((direction) => this.#lastMs[direction] >= sinceMs);
  }

  isStoppedBy({ kind }: Fault): boolean {
    return kind !== "latency";
  }

  arrivedSince(sinceMs: number): Promise<number | "idle"> {
    if (this.#busy.length === 0) return Promise.resolve("idle");
    const late = this.#busy.filter((direction) => this.#lastMs[direction] < sinceMs);
    if (late.length === 0) return Promise.resolve(Math.max(...this.#busy.map((direction) => this.#lastMs[direction])));
    return this.#arrival(late);
  }

  /** Answers when something has arrived in each of the directions. */
  #arrival(directions: readonly Direction[]): Promise<number> {
    return new Promise((resolve) => {
      this.#wait = { awaited: new Set(directions), found: resolve };
    });
  }

  async flushed(): Promise<void> {}

  lost(): Promise<number> {
    return new Promise((resolve) => {
      this.#onCut = resolve;
    });
  }

  finish(): Promise<Ends> {
    this.kill();
    // More should have come until now.
    if (this.#wait !== undefined) this.#gaps.ended(this.#now());
    const passed = { bytes: { ...this.#bytes }, connections: this.#connections };
    return Promise.resolve({ counted: undefined, gaps: this.#gaps.gaps, passed, errors: [] });
  }

  kill(): void {
    clearInterval(this.#sampling);
  }
}
