/** The text for Prometheus, of a registry that may also have metrics of the application's: those may throw, or hang. */
import { realTime } from "../real-time.ts";
import type { PrometheusRegistry } from "./prometheus.ts";

/** So long a request waits for the registry. */
export const COLLECTED_WITHIN_MS = 10_000;
/** The registry is asked again while earlier texts are still under way; but not when there are so many of them. */
const MOST_UNDER_WAY = 4;

export class MetricsPage {
  readonly #register: PrometheusRegistry;
  /** Requests that come meanwhile get the same text. */
  #next: Promise<string> | undefined;
  #underWay = 0;

  constructor(register: PrometheusRegistry) {
    this.#register = register;
  }

  get contentType(): string {
    return this.#register.contentType;
  }

  /** Rejects with what a metric has thrown, or if the text takes too long. */
  text(): Promise<string> {
    if (this.#next !== undefined) return this.#next;
    const next = this.#begin();
    const over = (): void => {
      this.#next = undefined;
    };
    this.#next = next;
    next.then(over, over);
    return next;
  }

  async #begin(): Promise<string> {
    if (this.#underWay >= MOST_UNDER_WAY) {
      throw new Error(`${this.#underWay} texts are under way, and none comes to an end`);
    }
    this.#underWay++;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const problem = new Error(`no text within ${COLLECTED_WITHIN_MS / 1_000} s`);
    const timer = realTime.setTimeout(() => reject(problem), COLLECTED_WITHIN_MS).unref();
    const collected = this.#collect().finally(() => {
      this.#underWay--;
    });
    try {
      return await Promise.race([collected, late]);
    } finally {
      realTime.clearTimeout(timer);
    }
  }

  async #collect(): Promise<string> {
    const text: unknown = await this.#register.metrics();
    if (typeof text === "string") return text;
    throw new TypeError("the registry has answered no text");
  }
}
