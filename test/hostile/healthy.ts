/** Who only wants to talk while others attack: round trips, and the way back after a cut. In the process that measures it. */
import net from "node:net";
import tls from "node:tls";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionManager, Link, OpenOptions, Target } from "../../src/index.ts";
import { percentile } from "../../bench/statistics.ts";

const MESSAGE_BYTES = 64;
/** Asked at a steady pace, whether or not the one before was answered: a server that stands still is asked all the same. */
const EVERY_MS = 2;
/** What is not answered in this time counts as so long. */
export const NEVER_MS = 10_000;

/** Of one window of time, in milliseconds. */
export interface Trips {
  p50Ms: number;
  p99Ms: number;
}

/** Something that answers each message with itself. */
interface Echo {
  send(message: Buffer): void;
}

/** Round trips of one echo, asked at a steady pace. */
class Pace {
  readonly #asked = new Map<number, number>();
  #tookMs: number[] = [];
  #number = 0;

  ask(echo: Echo): void {
    const message = Buffer.alloc(MESSAGE_BYTES);
    message.writeDoubleBE(++this.#number, 0);
    this.#asked.set(this.#number, performance.now());
    echo.send(message);
  }

  answered(message: Buffer): void {
    const number = message.readDoubleBE(0);
    const askedMs = this.#asked.get(number);
    if (askedMs === undefined) return;
    this.#asked.delete(number);
    this.#tookMs.push(performance.now() - askedMs);
  }

  get waiting(): number {
    return this.#asked.size;
  }

  /** What still waits has waited until now, at the least. */
  take(): Trips {
    const nowMs = performance.now();
    const all = [...this.#tookMs, ...[...this.#asked.values()].map((askedMs) => nowMs - askedMs)];
    this.#tookMs = [];
    this.#asked.clear();
    return { p50Ms: percentile(all, 0.5), p99Ms: percentile(all, 0.99) };
  }
}

export type HealthyTarget = { target: Target; credentials: string; tls: boolean; echoPort: number };

export class Healthy {
  readonly #manager: ConnectionManager;
  readonly #options: Target & OpenOptions;
  readonly #link: Link;
  readonly #pace = new Pace();
  /** A bare echo in a process that nobody attacks: what the machine itself makes of it. */
  readonly #bare: net.Socket;
  readonly #barePace = new Pace();
  /** Of a path that no relay serves: ours to cut. */
  #stream: net.Socket | undefined;

  constructor(manager: ConnectionManager, { target, credentials, tls: isSecure, echoPort }: HealthyTarget) {
    this.#manager = manager;
    const common: OpenOptions = { credentials, openPayload: "healthy" };
    this.#options =
      "path" in target
        ? { ...common, connect: () => this.#connect(target.path) }
        : { ...target, ...common, tls: isSecure && { rejectUnauthorized: false } };
    this.#link = manager.open(this.#options);
    this.#link.onMessage((message) => this.#pace.answered(message));
    this.#bare = net.connect({ port: echoPort, host: "127.0.0.1", noDelay: true });
    let rest: Buffer = Buffer.alloc(0);
    this.#bare.on("error", () => {});
    this.#bare.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (; rest.length >= MESSAGE_BYTES; rest = rest.subarray(MESSAGE_BYTES)) this.#barePace.answered(rest);
    });
  }

  async #connect(path: string): Promise<net.Socket> {
    const socket = tls.connect({ path, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    this.#stream = socket;
    return socket;
  }

  get link(): Link {
    return this.#link;
  }

  async connected(): Promise<void> {
    await this.#link.connected({ signal: AbortSignal.timeout(NEVER_MS) });
  }

  /** For so many windows of so long. */
  async measure(windows: number, windowMs: number): Promise<{ link: Trips[]; bare: Trips[] }> {
    const found = { link: [] as Trips[], bare: [] as Trips[] };
    for (let window = 0; window < windows; window++) {
      const timer = setInterval(() => {
        // What does not fit any more has been waiting for long.
        if (this.#link.state !== "closed") this.#pace.ask({ send: (message) => void this.#link.trySend(message) });
        this.#barePace.ask({ send: (message) => void this.#bare.write(message) });
      }, EVERY_MS);
      await sleep(windowMs);
      clearInterval(timer);
      for (const untilMs = performance.now() + 2_000; this.#pace.waiting > 0 && performance.now() < untilMs;) {
        await sleep(5);
      }
      found.link.push(this.#link.state === "closed" ? { p50Ms: NEVER_MS, p99Ms: NEVER_MS } : this.#pace.take());
      found.bare.push(this.#barePace.take());
    }
    return found;
  }

  /** Of a path without a relay. */
  cut(): void {
    this.#stream?.destroy();
  }

  get reconnects(): number {
    return this.#link.stats().reconnects;
  }

  /** How long the cut took that was made just now, when there had been so many; NEVER_MS if it has not ended by then. */
  async back(reconnects: number): Promise<number> {
    const fromMs = performance.now();
    while (this.reconnects === reconnects || this.#link.state !== "connected") {
      if (performance.now() - fromMs > NEVER_MS || this.#link.state === "closed") return NEVER_MS;
      await sleep(5);
    }
    return performance.now() - fromMs;
  }

  /** A link of its own, from open() to its first answer. */
  async newcomer(): Promise<number> {
    const fromMs = performance.now();
    const link = this.#manager.open(this.#options);
    try {
      const signal = AbortSignal.timeout(NEVER_MS);
      await link.send("newcomer", { signal });
      await link.receive({ signal });
      return performance.now() - fromMs;
    } catch {
      return NEVER_MS;
    } finally {
      link.abort();
    }
  }
}
