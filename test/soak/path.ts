/** One way from the clients to a server, through Toxiproxy, and its faults one after the other. */
import { setTimeout as sleep } from "node:timers/promises";
import { type ChaosProxy, openProxyAt, type ProxyOptions } from "../chaos/support/toxiproxy-proxy.ts";
import { type Break, describe, Schedule, type Shape, type Step, type Way } from "./schedule.ts";

/** Counted beside the faults that were meant. */
export const REPLACED = "proxy replaced";

type Heal = () => Promise<void>;

/** What is slow is written in pieces, every 100 ms: the next shows that the connection is gone. */
const GONE_AFTER_MS = 300;

const nothing: Heal = async () => {};

export interface PathOptions {
  /** Of Toxiproxy's HTTP interface. */
  url: string;
  name: string;
  seed: number;
  upstreamPort: number;
  /** Connections are closed with RST, else with FIN. */
  resettable: boolean;
}

export class Path {
  readonly #options: PathOptions;
  readonly #schedule: Schedule;
  #proxy: ChaosProxy;
  /** How often each kind was made, since the path was opened. */
  readonly counts = new Map<string, number>();

  private constructor(options: PathOptions, proxy: ChaosProxy) {
    this.#options = options;
    this.#schedule = new Schedule(options.seed);
    this.#proxy = proxy;
  }

  static async open(options: PathOptions): Promise<Path> {
    return new Path(options, await openProxyAt(options.url, proxyOptions(options)));
  }

  get port(): number {
    return this.#proxy.port;
  }

  /** Until the signal; then the path is whole again. */
  async breakUntil(signal: AbortSignal, say: (line: string) => void): Promise<void> {
    const { name, resettable } = this.#options;
    const pause = async (ms: number): Promise<void> => {
      await sleep(ms, undefined, { signal }).catch(() => {});
    };
    while (!signal.aborted) {
      const drawn = this.#schedule.next();
      // Where there is no RST, the connections are cut instead.
      const step: Step = drawn.break?.kind === "reset" && !resettable ? { ...drawn, break: { kind: "cut" } } : drawn;
      await pause(step.calmMs);
      if (signal.aborted) return;
      say(`${name}: ${describe(step)}`);
      try {
        await this.#make(step, pause);
      } catch (error) {
        say(`${name}: ${error instanceof Error ? error.message : String(error)}: a new proxy`);
        await this.#replace();
      }
    }
  }

  async #make(step: Step, pause: (ms: number) => Promise<void>): Promise<void> {
    const heals = [await this.#shape(step.shape)];
    await pause(step.afterMs);
    if (step.break === undefined) await heals[0]?.();
    else await this.#break(step.break, heals, pause);
  }

  /**
   * Toxiproxy can lock itself up when it changes the toxics of a connection that is closed by its peer at that moment. A new
   * proxy on the same port does not; to the links it is one more fault.
   */
  async #replace(): Promise<void> {
    const { port } = this.#proxy;
    this.#count(REPLACED);
    await this.#proxy.close();
    this.#proxy = await openProxyAt(this.#options.url, { ...proxyOptions(this.#options), port });
  }

  async #shape(shape: Shape | undefined): Promise<Heal> {
    if (shape === undefined) return nothing;
    this.#count(shape.kind);
    switch (shape.kind) {
      case "stall":
        return this.#toxics("bandwidth", shape.way, { rate: 0 });
      case "slow":
        return this.#toxics("bandwidth", shape.way, { rate: shape.kilobytesPerSecond });
      case "latency":
        return this.#toxics("latency", "both", { latency: shape.delayMs, jitter: shape.jitterMs });
      case "slicer":
        return this.#toxics("slicer", shape.way, {
          average_size: shape.bytes,
          size_variation: Math.floor(shape.bytes / 2),
          delay: 50,
        });
    }
  }

  /**
   * What ends connections is undone, with all that was done before, while there are none. Toxiproxy waits 5 s for each chunk
   * that is on its way to a connection that has just gone, with all its toxics locked: so they get a moment to go.
   */
  async #break(broken: Break, heals: Heal[], pause: (ms: number) => Promise<void>): Promise<void> {
    this.#count(broken.kind);
    switch (broken.kind) {
      case "cut":
        if (heals[0] === nothing) return this.#proxy.cut();
        break;
      case "down":
        await this.#proxy.down();
        await pause(broken.holdMs);
        break;
      case "black-hole":
        heals.push(await this.#toxics("timeout", broken.way, { timeout: 0 }));
        await pause(broken.holdMs);
        break;
      case "reset": {
        const armed = await this.#proxy.armReset(broken.way);
        heals.push(() => armed.disarm());
        await pause(broken.holdMs);
        break;
      }
      case "cut-after":
        heals.push(await this.#toxics("limit_data", broken.way, { bytes: broken.bytes }));
        await pause(broken.holdMs);
        break;
    }
    await this.#proxy.down();
    await sleep(GONE_AFTER_MS);
    for (const heal of heals) await heal();
    await this.#proxy.up();
  }

  async #toxics(
    type: Parameters<ChaosProxy["toxic"]>[0],
    way: Way,
    attributes: Parameters<ChaosProxy["toxic"]>[1],
  ): Promise<Heal> {
    const streams = way === "both" ? (["upstream", "downstream"] as const) : ([way] as const);
    const made: Array<{ remove(): Promise<void> }> = [];
    for (const stream of streams) made.push(await this.#proxy.toxic(type, attributes, { stream }));
    return async () => {
      for (const toxic of made) await toxic.remove();
    };
  }

  #count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  close(): Promise<void> {
    return this.#proxy.close();
  }
}

function proxyOptions({ name, upstreamPort, resettable }: PathOptions): ProxyOptions {
  return { name: `soak-${name}`, upstreamPort, resettable };
}
