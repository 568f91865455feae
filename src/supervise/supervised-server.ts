/** supervise(): limits, drain and telemetry for a net, tls, http, https or http2 server of the application's. */
import { Server } from "node:net";
import tls from "node:tls";
import type { EventEmitter } from "eventemitter3";
import { SystemClock } from "../io/clock.ts";
import { SYSTEM_ENTROPY } from "../io/entropy.ts";
import { FunctionReader } from "../io/resources/functions.ts";
import { CheckedEmitter } from "../link/emitter.ts";
import { RespliceError } from "../link/errors.ts";
import { isThenable } from "../link/check.ts";
import { runContained } from "../link/life.ts";
import type { Health } from "../link/types.ts";
import { Once } from "../link/waits.ts";
import { type DrainOptions, type ResolvedDrain, resolveDrain } from "../server/drain.ts";
import { Guard } from "../server/overload/guard.ts";
import type { OverloadReport } from "../telemetry/record.ts";
import { Refusals } from "../server/refusals.ts";
import { observe } from "../telemetry/observed.ts";
import type { SampleSource } from "../telemetry/samples.ts";
import { Telemetry } from "../telemetry/telemetry.ts";
import { Connections } from "./connections.ts";
import { ConnectionsRelief } from "./connections-relief.ts";
import { drain } from "./drain.ts";
import { isClearHttp1, isHttp } from "./kind.ts";
import { type ResolvedSuperviseOptions, resolveSuperviseOptions, type SuperviseOptions } from "./options.ts";
import type { SupervisedState, SupervisedStats } from "./stats.ts";
import { tap } from "./tap.ts";

/** `left`: connections that were cut off with work under way. `ms`: how long close() took. */
export interface SupervisedReport {
  /** Connections that were cut off with work under way. */
  left: number;
  /** How long close() took, in milliseconds. */
  ms: number;
}

/** `overload`: a step against the overload of a resource was taken, or taken back: docs/overload.md. */
export type SupervisedEvents = {
  /** A step against overload, or the end of one. */
  overload: [report: OverloadReport];
};

const EVENT_NAMES: ReadonlySet<string> = new Set<keyof SupervisedEvents>(["overload"]);

/** A listener of another event than those is refused with INVALID_ARGUMENT. */
export interface SupervisedServer extends EventEmitter<SupervisedEvents>, AsyncDisposable {
  /**
   * 'degraded': a limit has turned clients away in the last 10 s, or a resource is overloaded. 'down': the server does
   * not listen, or close() was called.
   */
  health(): Health;
  /** The numbers of the server, as they are now. */
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
 *
 * @example
 * ```ts
 * const server = http.createServer((request, response) => response.end("hello\n"));
 * const supervised = supervise(server, { limits: { connectionsPerAddress: 100 } });
 * server.listen(8080);
 * closeOnSignal([supervised]);
 * ```
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

class Supervision extends CheckedEmitter<SupervisedEvents> implements SupervisedServer {
  readonly #server: Server;
  readonly #clock = new SystemClock();
  readonly #telemetry: Telemetry;
  readonly #refusals: Refusals;
  readonly #connections: Connections;
  readonly #guard: Guard;
  readonly #untap: () => void;
  readonly #closing: Once<SupervisedReport> = new Once();
  #state: SupervisedState = "open";

  constructor(server: Server, options: ResolvedSuperviseOptions) {
    super(EVENT_NAMES);
    this.#server = server;
    const { limits, timeouts, onDrain } = options;
    const source: SampleSource = {
      links: () => [],
      counts: () => {
        const { turnedAway: turnedAwayBy, ...counts } = this.#refusals.counts();
        const { accepted, requestsBegun } = this.#connections;
        return { ...counts, turnedAway: this.#refusals.turnedAway.total, turnedAwayBy, accepted, requestsBegun };
      },
      levels: () => {
        const { open: connections, ...levels } = this.#connections.counts();
        return { ...levels, connections, bufferBytes: this.#connections.bufferBytes };
      },
    };
    this.#telemetry = new Telemetry("supervised.metrics", options, source, () => this.#clock.now());
    observe(this, {
      kind: "supervised",
      telemetry: this.#telemetry,
      health: () => this.health(),
      resources: () => this.#guard.stats(),
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
    this.#guard = this.#newGuard(options);
    this.#telemetry.start();
    if (server.listening) this.#guard.start();
    this.#untap = tap(server, (name, first, second) => {
      if (name === "listening" || name === "connection") this.#guard.start();
      return this.#connections.hears(name, first, second);
    });
  }

  #newGuard({ resources, dryRun, limits, timeouts: { writeStallMs } }: ResolvedSuperviseOptions): Guard {
    const { journal } = this.#telemetry;
    const host = { refusals: this.#refusals, writeStallMs, now: () => this.#clock.now() };
    const relief = new ConnectionsRelief(this.#connections, host);
    const limit = (): number => limits.bufferBytes;
    const buffers = new FunctionReader("bufferBytes", () => this.#connections.bufferBytes, { limit });
    const onReport = (report: OverloadReport): void => runContained(this.#clock, () => this.emit("overload", report));
    return new Guard({ resources, dryRun }, { relief, buffers, journal, onReport });
  }

  health(): Health {
    if (this.#state !== "open") return { status: "down", reasons: [`the server is ${this.#state}`] };
    if (!this.#server.listening) return { status: "down", reasons: ["the server does not listen"] };
    const reasons = [...this.#refusals.turnedAway.reasons(this.#clock.now()), ...this.#guard.reasons()];
    return { status: reasons.length === 0 ? "healthy" : "degraded", reasons };
  }

  stats(): SupervisedStats {
    const { requests, ...connections } = this.#connections.counts();
    return {
      state: this.#state,
      connections: { ...connections, total: this.#connections.accepted },
      requests: { open: requests, total: this.#connections.requestsBegun },
      ...this.#refusals.counts(),
      resources: this.#guard.stats(),
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
    this.#guard.close();
    this.#telemetry.stop();
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
