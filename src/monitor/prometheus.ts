/** Metrics in a registry of prom-client, which is loaded only where no registry is given. */
import { createRequire } from "node:module";
import { checkOptions } from "../link/check.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import { realTime } from "../real-time.ts";
import type { Measurement, Metric } from "./metric.ts";
import { byLabel, METRICS } from "./metric-table.ts";
import { checkDistinct, MOST_SOURCES, type MonitoredSources, type NamedSource, namedSources } from "./sources.ts";

/** A Registry of prom-client, version 15. */
export interface PrometheusRegistry {
  /** Adds a metric. */
  registerMetric(metric: never): void;
  /** The text for Prometheus. */
  metrics(): Promise<string>;
  /** The type of that text, for the header Content-Type. */
  readonly contentType: string;
}

/** The options of prometheus(). */
export interface PrometheusOptions<Registry extends PrometheusRegistry = PrometheusRegistry> {
  /**
   * Their metrics have the labels `kind` ("manager", "server", "supervised") and `name`, which is empty for those of a
   * list.
   */
  sources: MonitoredSources;
  /** Where the metrics go, beside those that are there. Default: a new registry, never prom-client's global one. */
  register?: Registry;
}

/**
 * Registers the metrics of managers and servers, and answers the registry: `await register.metrics()` is the text
 * for Prometheus. Nothing is counted twice, and nothing is reset: counts are since the beginning of each source. May be
 * called again with the same registry for more sources; those that are closed by then leave it. Throws INVALID_OPTION,
 * INVALID_STATE if the registry has other metrics of these names, and NOT_SUPPORTED if no registry is given and
 * prom-client is not installed.
 *
 * @example
 * ```ts
 * const register = prometheus({ sources: [manager, supervisor] });
 * console.log(await register.metrics());
 * ```
 */
export function prometheus<Registry extends PrometheusRegistry = PrometheusRegistry>(
  options: PrometheusOptions<Registry>,
): Registry {
  checkOptions("prometheus()", options, "{ sources: [manager] }", ["sources", "register"]);
  const sources = namedSources(options.sources);
  const register = checkedRegister(options) ?? (newRegistry() as Registry);
  const collector = COLLECTORS.get(register) ?? new Collector();
  collector.add(sources);
  collector.register(register);
  COLLECTORS.set(register, collector);
  return register;
}

const COLLECTORS = new WeakMap<object, Collector>();

/** Left out it is a new one. Given as undefined (by an import that failed, say), it was meant to be one. */
export function checkedRegister<Registry extends PrometheusRegistry>(options: {
  register?: Registry;
}): Registry | undefined {
  const { register } = options;
  if (!("register" in options) || isRegistry(register)) return register;
  throw invalidOption("register", register, "a Registry of prom-client");
}

function isRegistry(given: unknown): given is PrometheusRegistry {
  return (
    typeof given === "object" &&
    given !== null &&
    typeof (given as Partial<PrometheusRegistry>).registerMetric === "function" &&
    typeof (given as Partial<PrometheusRegistry>).metrics === "function" &&
    typeof (given as Partial<PrometheusRegistry>).contentType === "string"
  );
}

/** `load` is require(), which finds the package beside this one. */
export function newRegistry(load: (name: string) => unknown = createRequire(import.meta.url)): PrometheusRegistry {
  let loaded: { Registry: new () => PrometheusRegistry };
  try {
    loaded = load("prom-client") as typeof loaded;
  } catch (cause) {
    const advice = "npm install prom-client, or give `register`";
    throw new RespliceError("NOT_SUPPORTED", `metrics for Prometheus need the package prom-client: ${advice}`, {
      cause,
    });
  }
  return new loaded.Registry();
}

/** One line of the text: `metricName` where it is not the metric's own. */
interface Value {
  labels: Readonly<Record<string, string | number>>;
  value: number;
  metricName?: string;
}

/** The metrics of one registry. */
class Collector {
  #sources: NamedSource[] = [];
  readonly #metrics = METRICS.map((metric) => new CollectedMetric(metric, () => this.#measured()));
  #now: Array<readonly [NamedSource, Measurement]> | undefined;

  /** Throws INVALID_OPTION. */
  add(sources: readonly NamedSource[]): void {
    const given = new Set(sources.map(({ observed }) => observed));
    const others = this.#sources.filter(({ observed }) => !given.has(observed) && !observed.telemetry.isClosed);
    const all = [...others, ...sources];
    checkDistinct(all);
    if (all.length > MOST_SOURCES) throw invalidOption("sources", all, `at most ${MOST_SOURCES} in one registry`);
    this.#sources = all;
  }

  register(register: PrometheusRegistry): void {
    try {
      // A registry takes a metric again that it has.
      for (const metric of this.#metrics) register.registerMetric(metric as never);
    } catch (cause) {
      throw new RespliceError("INVALID_STATE", "the registry has other metrics of these names", { cause });
    }
  }

  /** A registry asks all of its metrics in one go: each source is measured once for all of them. */
  #measured(): ReadonlyArray<readonly [NamedSource, Measurement]> {
    if (this.#now !== undefined) return this.#now;
    realTime.queueMicrotask(() => {
      this.#now = undefined;
    });
    this.#now = this.#sources.map((source) => {
      const { observed } = source;
      const { status } = observed.health();
      const resources = observed.resources?.() ?? {};
      return [source, { ...observed.telemetry.measure(), health: status, limits: observed.limits(), resources }];
    });
    return this.#now;
  }
}

/**
 * A metric as prom-client's Registry uses it. Its own Counter and Histogram count by themselves, and could not show
 * what was counted before, or elsewhere.
 */
class CollectedMetric {
  /** A registry for OpenMetrics takes "_total" off the names of counters, and adds it again to each line. */
  name: string;
  readonly help: string;
  readonly type: Metric["type"];
  readonly aggregator = "sum";
  readonly #metric: Metric;
  readonly #measured: () => ReadonlyArray<readonly [NamedSource, Measurement]>;

  constructor(metric: Metric, measured: () => ReadonlyArray<readonly [NamedSource, Measurement]>) {
    this.name = metric.name;
    this.help = metric.help;
    this.type = metric.type;
    this.#metric = metric;
    this.#measured = measured;
  }

  /** Counts never fall: the numbers are not this object's. */
  reset(): void {}

  get(): Promise<{ name: string; help: string; type: string; aggregator: string; values: Value[] }> {
    const { name, help, type, aggregator } = this;
    const measured = this.#measured().filter(([{ observed }]) => this.#metric.of.includes(observed.kind));
    const values = measured.flatMap(([source, measurement]) => valuesOf(this.#metric, measurement, labelsOf(source)));
    return Promise.resolve({ name, help, type, aggregator, values });
  }
}

function labelsOf({ name, observed }: NamedSource): Record<string, string> {
  return { kind: observed.kind, name };
}

function valuesOf(metric: Metric, measured: Measurement, labels: Record<string, string>): Value[] {
  if (metric.type === "histogram") {
    const { upTo, count, sum } = metric.read(measured);
    const { name } = metric;
    const buckets = [...upTo, [Infinity, count] as const].map(([bound, value]) => ({
      labels: { le: bound === Infinity ? "+Inf" : bound, ...labels },
      value,
      metricName: `${name}_bucket`,
    }));
    return [
      ...buckets,
      { labels, value: sum, metricName: `${name}_sum` },
      { labels, value: count, metricName: `${name}_count` },
    ];
  }
  if (metric.label === undefined) {
    const value = metric.read(measured);
    return value === undefined ? [] : [{ labels, value }];
  }
  if (metric.by === undefined) return labelledValues(metric, metric.read(measured), labels);
  const { by } = metric;
  return Object.entries(metric.read(measured)).flatMap(([owner, numbers]) =>
    labelledValues(metric, numbers, { [by]: owner, ...labels }),
  );
}

/** One for each value of the metric's label. */
function labelledValues(
  { name, label }: { name: string; label: string },
  numbers: Readonly<Record<string, number>>,
  labels: Record<string, string>,
): Value[] {
  return Object.entries(byLabel(name, numbers)).map(([word, value]) => ({
    labels: { [label]: word, ...labels },
    value,
  }));
}
