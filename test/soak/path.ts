/** One way from the clients to a server, through Toxiproxy, and its faults one after the other. */
import { setTimeout as sleep } from "node:timers/promises";
import { claimPort, type PortClaim } from "../../src/testing/port-claim.ts";
import { type ChaosProxy, openProxyAt, type ProxyOptions } from "../chaos/support/toxiproxy-proxy.ts";
import type { ToxiproxyHost } from "./toxiproxy-host.ts";
import { type Break, describe, Schedule, type Shape, type Step, type Way } from "./schedule.ts";

/** Locked up, or gone. */
const NO_ANSWER = /no answer within|fetch failed/u;
/** Counted beside the faults that were meant. */
export const REPLACED = "proxy replaced";

type Heal = () => Promise<void>;

/** What is slow is written in pieces, every 100 ms: the next shows that the connection is gone. */
const GONE_AFTER_MS = 300;

/**
 * Toxics that are there all the time, and do nothing yet: one that only has to be changed locks Toxiproxy up less often than
 * one that comes and goes. (A bandwidth must come and go: raising it crashes Toxiproxy when a chunk is under way.)
 */
const SHAPELESS = {
  latency: { latency: 0, jitter: 0 },
  // A variation of 0 crashes Toxiproxy when the size is changed below a chunk that is being cut.
  slicer: { average_size: 65_536, size_variation: 1, delay: 0 },
};

interface Shaper {
  update(attributes: (typeof SHAPELESS)[keyof typeof SHAPELESS]): Promise<void>;
}

const nothing: Heal = async () => {};

export interface PathOptions {
  host: ToxiproxyHost;
  name: string;
  seed: number;
  upstreamPort: number;
  /** Connections are closed with RST, else with FIN. */
  resettable: boolean;
}

export class Path {
  readonly #options: PathOptions;
  readonly #schedule: Schedule;
  /** Where clients dial, whichever proxy is there. */
  readonly #claim: PortClaim;
  #proxy: ChaosProxy;
  readonly #shapers = new Map<string, Shaper>();
  #generation: number;
  /** How often each kind was made, since the path was opened. */
  readonly counts = new Map<string, number>();

  private constructor(options: PathOptions, claim: PortClaim, proxy: ChaosProxy) {
    this.#options = options;
    this.#claim = claim;
    this.#schedule = new Schedule(options.seed);
    this.#proxy = proxy;
    this.#generation = options.host.generation;
  }

  static async open(options: PathOptions): Promise<Path> {
    const claim = await claimPort();
    try {
      const path = new Path(options, claim, await openProxyAt(options.host.url, proxyOptions(options, claim)));
      await path.#prepare();
      return path;
    } catch (error) {
      claim.release();
      throw error;
    }
  }

  async #prepare(): Promise<void> {
    for (const [type, attributes] of Object.entries(SHAPELESS)) {
      for (const stream of streamsOf("both")) {
        const toxic = await this.#proxy.toxic(type as keyof typeof SHAPELESS, attributes, { stream });
        this.#shapers.set(`${type} ${stream}`, toxic);
      }
    }
  }

  get port(): number {
    return this.#claim.port;
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
        if (!(error instanceof Error) || !NO_ANSWER.test(error.message)) throw error;
        say(`${name}: ${error.message}: a new proxy`);
        await this.#options.host.renew(this.#generation);
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

  /** Another path may have had Toxiproxy replaced. */
  async renew(): Promise<void> {
    if (this.#generation !== this.#options.host.generation) await this.#replace();
  }

  /** On the same port. */
  async #replace(): Promise<void> {
    const { host } = this.#options;
    this.#count(REPLACED);
    // One that we have not started ourselves is still there, and has the port.
    if (this.#generation === host.generation) await this.#proxy.close();
    this.#generation = host.generation;
    this.#proxy = await openProxyAt(host.url, proxyOptions(this.#options, this.#claim));
    await this.#prepare();
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
        return this.#reshape("latency", "both", { latency: shape.delayMs, jitter: shape.jitterMs });
      case "slicer":
        return this.#reshape("slicer", shape.way, {
          average_size: shape.bytes,
          size_variation: Math.floor(shape.bytes / 2),
          delay: 50,
        });
    }
  }

  async #reshape<T extends keyof typeof SHAPELESS>(
    type: T,
    way: Way,
    attributes: (typeof SHAPELESS)[T],
  ): Promise<Heal> {
    const toxics = streamsOf(way).map((stream) => this.#shapers.get(`${type} ${stream}`));
    for (const toxic of toxics) await toxic?.update(attributes);
    return async () => {
      for (const toxic of toxics) await toxic?.update(SHAPELESS[type]);
    };
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
    const made: Array<{ remove(): Promise<void> }> = [];
    for (const stream of streamsOf(way)) made.push(await this.#proxy.toxic(type, attributes, { stream }));
    return async () => {
      for (const toxic of made) await toxic.remove();
    };
  }

  #count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  async close(): Promise<void> {
    await this.#proxy.close().finally(() => this.#claim.release());
  }
}

function streamsOf(way: Way): ReadonlyArray<"upstream" | "downstream"> {
  return way === "both" ? ["upstream", "downstream"] : [way];
}

function proxyOptions({ name, upstreamPort, resettable }: PathOptions, claim: PortClaim): ProxyOptions {
  return { name: `soak-${name}`, upstreamPort, resettable, claim };
}
