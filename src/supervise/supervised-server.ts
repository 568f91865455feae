/** supervise(): limits, drain and telemetry for a net, tls, http, https or http2 server of the application's. */
import { Server } from "node:net";
import tls from "node:tls";
import { SystemClock } from "../io/clock.ts";
import { SYSTEM_ENTROPY } from "../io/entropy.ts";
import { RespliceError } from "../link/errors.ts";
import { isThenable } from "../link/incoming.ts";
import type { Health } from "../link/types.ts";
import { Once } from "../link/waits.ts";
import { type DrainOptions, type ResolvedDrain, resolveDrain } from "../server/drain.ts";
import { Refusals } from "../server/refusals.ts";
import { observe } from "../telemetry/observed.ts";
import type { SampleSource } from "../telemetry/samples.ts";
import { Telemetry } from "../telemetry/telemetry.ts";
import { Connections } from "./connections.ts";
import { drain } from "./drain.ts";
import { isClearHttp1, isHttp } from "./kind.ts";
import { MetricsLine } from "./metrics-line.ts";
import { resolveSuperviseOptions, type SuperviseOptions } from "./options.ts";
import type { SupervisedState, SupervisedStats } from "./stats.ts";
import { tap } from "./tap.ts";

/** `left`: connections that were cut off with work under way. `ms`: how long close() took. */
export interface SupervisedReport {
  left: number;
  ms: number;
}

export interface SupervisedServer extends AsyncDisposable {
  /**
   * 'degraded': a limit has turned clients away in the last 10 s. 'down': the server does not listen, or close() was
   * called.
   */
  health(): Health;
  stats(): SupervisedStats;
  /**
   * Ends the server without losing a request. health() is 'down' at once. After `readyDelayMs` the listener is closed;
   * HTTP/1 answers say `Connection: close`, HTTP/2 sessions GOAWAY, idle HTTP connections are closed after two seconds,
   * and `onDrain` is called for all others. At the deadline (`deadlineMs`, default 5,000, counted from the call) or
   * when `signal` is aborted, connections that are left are closed. Never rejects; called again: the same promise.
   * Throws INVALID_OPTION.
   */
  close(options?: DrainOptions): Promise<SupervisedReport>;
  /** close() with its defaults. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Those whose supervision has not ended. */
const supervised = new WeakSet<Server>();

/**
 * Gives a server of node:net, tls, http, https or http2 limits, health, metrics, and a close() that loses no request.
 * It stays the application's: its listeners, its errors and its listen(), before or later, are as they were.
 * Connections that were accepted before are not counted, and are closed at the deadline of close(). Throws
 * INVALID_ARGUMENT, INVALID_OPTION; INVALID_STATE for a server that is supervised already.
 */
export function supervise(server: Server, options: SuperviseOptions = {}): SupervisedServer {
  if (!(server instanceof Server)) {
    throw new RespliceError("INVALID_ARGUMENT", "supervise() needs a server of node:net, tls, http, https or http2");
  }
  const resolved = resolveSuperviseOptions(options);
  if (supervised.has(server)) throw new RespliceError("INVALID_STATE", "supervise() was given this server before");
  supervised.add(server);
  return new Supervision(server, resolved);
}

class Supervision implements SupervisedServer {
  readonly #server: Server;
  readonly #clock = new SystemClock();
  readonly #telemetry: Telemetry;
  readonly #refusals: Refusals;
  readonly #connections: Connections;
  readonly #metrics: MetricsLine;
  readonly #untap: () => void;
  readonly #closing: Once<SupervisedReport> = new Once();
  #state: SupervisedState = "open";

  constructor(server: Server, options: ReturnType<typeof resolveSuperviseOptions>) {
    this.#server = server;
    const { logger, metricsIntervalMs, limits, timeouts, onDrain } = options;
    const now = (): number => this.#clock.now();
    // The metrics line of a supervisor is about links: a supervised server has a line of its own.
    const source: SampleSource = {
      links: () => [],
      counts: () => {
        const { turnedAway: turnedAwayBy, ...counts } = this.#refusals.counts();
        const { accepted, requestsBegun } = this.#connections;
        return { ...counts, turnedAwayBy, accepted, requestsBegun };
      },
      levels: () => {
        const { open: connections, ...levels } = this.#connections.counts();
        return { ...levels, connections, bufferBytes: this.#connections.bufferBytes };
      },
    };
    this.#telemetry = new Telemetry("server.metrics", { logger, metricsIntervalMs: 0 }, source, now);
    observe(this, {
      kind: "supervised",
      telemetry: this.#telemetry,
      health: () => this.health(),
      limits: () => limits,
    });
    const { journal } = this.#telemetry;
    this.#refusals = new Refusals(journal);
    this.#connections = new Connections({
      limits,
      timeouts,
      isTls: server instanceof tls.Server,
      isHttp: isHttp(server),
      isClearHttp1: isClearHttp1(server),
      clock: this.#clock,
      random: () => SYSTEM_ENTROPY.random(),
      refusals: this.#refusals,
      onDrain: (socket) => {
        const failed = (thrown: unknown): void =>
          journal.record({ event: "server.hook-failed", failure: { hook: "onDrain", thrown } });
        try {
          const result: unknown = onDrain?.(socket);
          if (isThenable(result)) result.then(undefined, failed);
        } catch (thrown) {
          failed(thrown);
        }
      },
    });
    this.#metrics = new MetricsLine({
      intervalMs: metricsIntervalMs,
      telemetry: this.#telemetry,
      now,
      stats: () => this.stats(),
    });
    if (logger !== undefined) this.#metrics.start();
    this.#untap = tap(server, (name, first, second) => this.#connections.hears(name, first, second));
  }

  health(): Health {
    if (this.#state !== "open") return { status: "down", reasons: [`the server is ${this.#state}`] };
    if (!this.#server.listening) return { status: "down", reasons: ["the server does not listen"] };
    const reasons = this.#refusals.turnedAway.reasons(this.#clock.now());
    if (this.#connections.refusesSessions) reasons.push("overload: new connections are refused");
    return { status: reasons.length === 0 ? "healthy" : "degraded", reasons };
  }

  stats(): SupervisedStats {
    const { requests, ...connections } = this.#connections.counts();
    return {
      state: this.#state,
      connections: { ...connections, total: this.#connections.accepted },
      requests: { open: requests, total: this.#connections.requestsBegun },
      ...this.#refusals.counts(),
      bufferBytes: this.#connections.bufferBytes,
      lines: this.#telemetry.lines,
    };
  }

  close(options: DrainOptions = {}): Promise<SupervisedReport> {
    const resolved = resolveDrain(options);
    return this.#closing.run(() => this.#close(resolved));
  }

  async #close(options: ResolvedDrain): Promise<SupervisedReport> {
    const fromMs = this.#clock.now();
    this.#to("draining", "close() was called");
    const left = await drain(this.#server, this.#connections, this.#clock, options);
    this.#untap();
    supervised.delete(this.#server);
    this.#metrics.stop();
    this.#to("closed", "closed");
    this.#telemetry.close();
    return { left, ms: Math.round(this.#clock.now() - fromMs) };
  }

  #to(to: "draining" | "closed", reason: string): void {
    const from = this.#state === "open" ? "listening" : this.#state;
    this.#state = to;
    this.#telemetry.journal.record({ event: "server.state", from, to, reason });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
