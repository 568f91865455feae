/**
 * Reads the resources of a process every 250 ms, and those that are in a hurry every 50 ms or whenever their readers
 * ask for it. Readers may throw, hang for a while or answer anything: a resource that cannot be read keeps its last
 * value, which grows old.
 */
import { realTime } from "../../real-time.ts";
import type { MemorySource, Reader } from "./reader.ts";

const SAMPLE_MS = 250;
const HURRIED_MS = 50;
/** A reader may take so much of the time. */
const MOST_SHARE = 1 / 400;
const SLOW_US = SAMPLE_MS * 1_000 * MOST_SHARE;
/** One that takes longer rests until it has its share, and at most for this. */
const MOST_REST_MS = 5_000;
/** The share of the last call in `costUs`. */
const COST_SHARE = 1 / 8;

/** The value of a resource. */
export interface Reading {
  /** The last value that could be read; undefined before the first. */
  readonly observed: number | undefined;
  /** In the unit of `observed`; undefined where the resource has none. */
  readonly limit: number | undefined;
  /** `observed / limit`, or undefined. */
  readonly ratio: number | undefined;
  /** Of "memory": from where the value is. */
  readonly source: MemorySource | undefined;
  /** Whether the last sample has brought a value. */
  readonly isCurrent: boolean;
  /** Milliseconds since a value could be read; before the first, since sampling began. */
  readonly ageMs: number;
  /** How long one reading takes, in microseconds: a moving average. */
  readonly costUs: number;
}

/** `sinceMs`: since the sample before, or since start(). Seconds or more if the process was stopped meanwhile. */
export interface Sample {
  readonly nowMs: number;
  readonly sinceMs: number;
}

/** How time passes: that of the machine, or of a test. */
export interface Pace {
  /** Monotonic, in milliseconds. */
  now(): number;
  /** The wall clock, which goes on while the machine sleeps. */
  wallMs(): number;
  /** Calls `run` every `ms`, until the function that it returns is called. */
  every(ms: number, run: () => void): () => void;
}

/**
 * The interval does not keep the process alive. A sample is taken one turn of the event loop after it is due: a block
 * in the phase of the timers is recorded when the histogram's own timer runs, which may be in the next such phase.
 */
export const MACHINE_PACE: Pace = {
  now: () => realTime.now(),
  wallMs: () => realTime.wallMs(),
  every: (ms, run) => {
    let planned: NodeJS.Immediate | undefined;
    const plan = (): void => void (planned = realTime.setImmediate(() => (planned = realTime.setImmediate(run))));
    const interval = realTime.setInterval(plan, ms).unref();
    return () => {
      realTime.clearInterval(interval);
      realTime.clearImmediate(planned);
    };
  },
};

export interface SamplerOptions {
  readers: readonly Reader[];
  /** Resources that cannot be read, each with the reason. */
  notWatched?: ReadonlyMap<string, string>;
  /** Called after each sample. */
  onSample: (sample: Sample) => void;
  /** A function of the application's has thrown, or takes long: called once for each. */
  onFailure: (hook: string, thrown: unknown) => void;
  pace?: Pace;
}

export class Sampler {
  readonly readings: ReadonlyMap<string, Reading>;
  /** Why a resource is not watched, by its name. */
  readonly notWatched: ReadonlyMap<string, string>;
  readonly #resources: readonly SampledResource[];
  readonly #pace: Pace;
  readonly #onSample: SamplerOptions["onSample"];
  #stop: (() => void) | undefined;
  #isClosed = false;
  /** The names of the resources that are read between the samples of all. */
  #hurried: ReadonlySet<string> = new Set();
  #allAtMs = 0;
  #atMs = 0;
  #wallMs = 0;

  constructor({ readers, notWatched = new Map(), onSample, onFailure, pace = MACHINE_PACE }: SamplerOptions) {
    this.#resources = readers.map((reader) => new SampledResource(reader, pace, onFailure));
    this.readings = new Map(this.#resources.map((resource) => [resource.name, resource]));
    this.notWatched = notWatched;
    this.#pace = pace;
    this.#onSample = onSample;
  }

  /** Now, besides the samples that are due. */
  sampleNow(): void {
    if (this.#stop !== undefined && !this.#isClosed) this.#sample();
  }

  /** From now on these resources are read every 50 ms; none: no more. Not for functions of the application's. */
  hurry(names: ReadonlySet<string>): void {
    const wasHurried = this.#hurried.size > 0;
    this.#hurried = names;
    if (names.size > 0 === wasHurried || this.#stop === undefined || this.#isClosed) return;
    this.#stop();
    this.#every(wasHurried ? SAMPLE_MS : HURRIED_MS);
  }

  start(): void {
    if (this.#stop !== undefined || this.#isClosed) return;
    this.#atMs = this.#pace.now();
    this.#wallMs = this.#pace.wallMs();
    this.#allAtMs = this.#atMs;
    for (const resource of this.#resources) {
      resource.begin(this.#atMs, () => {
        if (!this.#isClosed) this.#sample(new Set([resource.name]));
      });
    }
    this.#every(this.#hurried.size > 0 ? HURRIED_MS : SAMPLE_MS);
  }

  #every(ms: number): void {
    this.#stop = this.#pace.every(ms, () => {
      // A timer may be early by a part of a millisecond.
      const isForAll = this.#hurried.size === 0 || this.#pace.now() - this.#allAtMs > SAMPLE_MS - HURRIED_MS / 2;
      this.#sample(isForAll ? undefined : this.#hurried);
    });
  }

  /** No sample is taken any more, and the readers give back their file descriptors. The readings stay. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stop?.();
    for (const resource of this.#resources) resource.close();
  }

  /** @param names undefined: all */
  #sample(names?: ReadonlySet<string>): void {
    const nowMs = this.#pace.now();
    const wallMs = this.#pace.wallMs();
    // On Linux the monotonic clock stands still while the machine sleeps, the other may be set: either is a gap.
    const sinceMs = Math.max(nowMs - this.#atMs, wallMs - this.#wallMs);
    this.#atMs = nowMs;
    this.#wallMs = wallMs;
    if (names === undefined) this.#allAtMs = nowMs;
    for (const resource of this.#resources) {
      resource.sample(nowMs, names?.has(resource.name) !== false);
      // A function of the application's may have closed the sampler's owner.
      if (this.#isClosed) return;
    }
    this.#onSample({ nowMs, sinceMs });
  }
}

/** A resource with its last value. */
class SampledResource implements Reading {
  observed: number | undefined;
  limit: number | undefined;
  source: MemorySource | undefined;
  isCurrent = false;
  costUs = 0;
  readonly #reader: Reader;
  readonly #pace: Pace;
  readonly #onFailure: SamplerOptions["onFailure"];
  #readAtMs = 0;
  #calls = 0;
  #lastUs = 0;
  #restsUntilMs = -Infinity;
  #hasFailed = false;

  constructor(reader: Reader, pace: Pace, onFailure: SamplerOptions["onFailure"]) {
    this.#reader = reader;
    this.#pace = pace;
    this.#onFailure = onFailure;
  }

  get name(): string {
    return this.#reader.name;
  }

  get ratio(): number | undefined {
    return this.observed === undefined || this.limit === undefined ? undefined : this.observed / this.limit;
  }

  get ageMs(): number {
    return this.#pace.now() - this.#readAtMs;
  }

  /** @param wake called when the resource has to be read at once */
  begin(nowMs: number, wake: () => void): void {
    this.#readAtMs = nowMs;
    this.#reader.watch?.(wake);
  }

  /** @param isDue false: this sample is one of others */
  sample(nowMs: number, isDue: boolean): void {
    this.isCurrent = false;
    if (!isDue || nowMs < this.#restsUntilMs) return;
    const fromMs = this.#pace.now();
    try {
      const reading = this.#reader.read(nowMs);
      if (reading !== undefined) {
        this.observed = reading.observed;
        this.limit = reading.limit;
        this.source = reading.source;
        this.#readAtMs = nowMs;
        this.isCurrent = true;
      }
    } catch (thrown) {
      this.#failed(thrown);
    }
    this.#account(this.#pace.now(), fromMs);
  }

  close(): void {
    this.#reader.close();
  }

  /** Of one call that took long, the process may have been interrupted. Two in a row are slow. */
  #account(nowMs: number, fromMs: number): void {
    const us = (nowMs - fromMs) * 1_000;
    this.costUs = this.#calls++ === 0 ? us : this.costUs + COST_SHARE * (us - this.costUs);
    const slowUs = Math.min(us, this.#lastUs);
    this.#lastUs = us;
    if (slowUs <= SLOW_US) return;
    this.#restsUntilMs = nowMs + Math.min(MOST_REST_MS, slowUs / 1_000 / MOST_SHARE);
    this.#failed(new Error(`takes ${(slowUs / 1_000).toFixed(1)} ms, and is called less often`));
  }

  #failed(thrown: unknown): void {
    const { hook } = this.#reader;
    if (this.#hasFailed || hook === undefined) return;
    this.#hasFailed = true;
    this.#onFailure(hook, thrown);
  }
}
