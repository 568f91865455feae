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
/** Traffic of which so few bytes pass is not waited for with a cut after so many. */
const CUT_MS_MAX = 10_000;
const SAMPLE_EVERY_MS = 100;
const DIRECTIONS = ["to-server", "to-client"] as const;

interface Wait {
  /** Directions in which something may still arrive. */
  readonly awaited: Set<Direction>;
  /** So many of them are enough. */
  enough: number;
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
  /** Waits for a cut after so many bytes. */
  #cut: { readonly bytes: number; readonly happened: (at: number | "idle") => void } | undefined;
  /** Why the last dial to the server has failed; undefined if it has not. */
  #unreachable: Error | undefined;
  #sampling: NodeJS.Timeout | undefined;

  constructor(to: Address, listenPort: number, now: () => number = nowMs) {
    this.target = Promise.resolve({ host: to.host ?? "localhost", port: to.port });
    this.listenPort = listenPort;
    this.#to = formatAddress(to);
    this.#now = now;
    this.watch = {
      connected: () => {
        this.#connections++;
        this.#unreachable = undefined;
      },
      unreachable: (error) => {
        this.#unreachable = error;
      },
      passed: (direction, bytes) => this.#passed(direction, bytes),
      cut: () => this.#cut?.happened(this.#now()),
      closed: (sent) => {
        // Many a connection is closed by its own client.
        if (this.#cut !== undefined && sent >= this.#cut.bytes) this.#cut.happened(this.#now());
      },
    };
  }

  #passed(direction: Direction, bytes: number): void {
    const atMs = this.#now();
    this.#bytes[direction] += bytes;
    this.#lastMs[direction] = atMs;
    this.#gaps.arrived(atMs);
    const wait = this.#wait;
    if (wait?.awaited.delete(direction) !== true || --wait.enough > 0) return;
    this.#wait = undefined;
    wait.found(atMs);
  }

  beginning(port: number): Promise<string> {
    const text = `connect your client to 127.0.0.1:${port} instead of ${this.#to}: the faults begin with its first bytes`;
    return Promise.resolve(text);
  }

  async begin(): Promise<void> {
    // The client may have come already.
    await this.#arrival(DIRECTIONS, 0, 1);
    const sample = (): void => this.samples.add(this.#now(), this.#bytes["to-server"] + this.#bytes["to-client"]);
    this.#sampling = setInterval(sample, SAMPLE_EVERY_MS);
  }

  striking(): void {
    const sinceMs = this.#now() - IDLE_MS;
    this.#busy = DIRECTIONS.filter((direction) => this.#lastMs[direction] >= sinceMs);
  }

  isStoppedBy({ kind }: Fault): boolean {
    return kind !== "latency";
  }

  async arrivedSince(sinceMs: number): Promise<number | "idle"> {
    const busy = this.#busy;
    if (busy.length > 0) return this.#arrival(busy, sinceMs, busy.length);
    await this.#arrival(DIRECTIONS, sinceMs, 1);
    return "idle";
  }

  /** Answers when something has arrived at `sinceMs` or later in so many of the directions. */
  #arrival(directions: readonly Direction[], sinceMs: number, enough: number): Promise<number> {
    const arrivals = directions.map((direction) => this.#lastMs[direction]).filter((atMs) => atMs >= sinceMs);
    if (arrivals.length >= enough) return Promise.resolve(Math.max(...arrivals));
    const awaited = new Set(directions.filter((direction) => this.#lastMs[direction] < sinceMs));
    return new Promise((found) => {
      this.#wait = { awaited, enough: enough - arrivals.length, found };
    });
  }

  async flushed(): Promise<void> {}

  lost(bytes: number): Promise<number | "idle"> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#cut?.happened("idle"), CUT_MS_MAX).unref();
      const happened = (at: number | "idle"): void => {
        clearTimeout(timer);
        this.#cut = undefined;
        resolve(at);
      };
      this.#cut = { bytes, happened };
    });
  }

  finish(): Promise<Ends> {
    this.kill();
    this.#gaps.ended(this.#now());
    return Promise.resolve({
      counted: undefined,
      gaps: this.#gaps.gaps,
      passed: { bytes: { ...this.#bytes }, connections: this.#connections },
      errors: this.#unreachable === undefined ? [] : [`the server is not there: ${this.#unreachable.message}`],
    });
  }

  kill(): void {
    clearInterval(this.#sampling);
  }
}
