/** The dial loop of one link: p-retry around single attempts, with a delay of our own between them. */
import pRetry from "p-retry";
import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";
import { Backoff } from "../core/backoff.ts";
import type { ClientLinkCore, DialRole } from "../core/client/link-core.ts";
import type { Entropy } from "../core/session/proof.ts";
import type { LinkCoreEvent } from "../core/session/link-events.ts";
import { discard, StreamConnection, unfitness } from "../io/connection.ts";
import type { DialOptions, Endpoint } from "../io/dial.ts";
import type { Driver } from "../link/driver.ts";
import { attemptError, RespliceError } from "../link/errors.ts";
import type { LinkEngine } from "../link/engine.ts";
import type { Clock, Connection, Timer } from "../link/ports.ts";
import type { LogSink } from "../telemetry/logger.ts";
import { asError } from "./failure.ts";
import type { DialGate } from "./gate.ts";
import { isRetried, toTlsOptions, usable } from "./hooks.ts";
import { type ResolvedOpenOptions, toCredentials } from "./options.ts";
import { EndpointChooser, type ForEachAttempt, toEndpoints } from "./targets.ts";

const ATTEMPT_MS = 20_000;
const MOST_ATTEMPT_MS = 60_000;

/** Connects, or rejects with a DialError. */
export type Dial = (endpoint: Endpoint, options: DialOptions) => Promise<Connection>;

/** What the dial loops of all links of a manager share. */
export interface DialHost {
  readonly clock: Clock;
  readonly gate: DialGate;
  readonly dial: Dial;
  readonly entropy: Entropy;
  readonly logger: LogSink | undefined;
  /** A name for the next connection. */
  nextId(): number;
}

/** The attempt whose handshake is under way. */
interface Pending {
  readonly id: number;
  readonly endpoint: Endpoint | undefined;
  adopted(): void;
  failed(error: RespliceError): void;
}

export class Dialer {
  readonly #core: ClientLinkCore;
  readonly #driver: Driver;
  readonly #options: ResolvedOpenOptions;
  readonly #host: DialHost;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #chooser: EndpointChooser;
  readonly #stop = new AbortController();
  #engine!: LinkEngine;
  #looping = false;
  #standbyDialling = false;
  /** The connection that stands by, where it goes, and how long it may take. */
  #standby: { id: number; endpoint: Endpoint | undefined; patience: Timer } | undefined;
  /** Attempts since the link was last connected. */
  #attempts = 0;
  #everConnected = false;
  #lostMs: number;
  /** What timed out is given more time: doubled for each attempt in a row. */
  #patience = 1;
  #why = "opened";
  #lastError: RespliceError | undefined;
  /** Where the link was connected last. */
  #endpoint: Endpoint | undefined;
  #wake: (() => void) | undefined;
  #pending: Pending | undefined;

  constructor(core: ClientLinkCore, driver: Driver, options: ResolvedOpenOptions, host: DialHost) {
    this.#core = core;
    this.#driver = driver;
    this.#options = options;
    this.#host = host;
    this.#clock = host.clock;
    this.#lostMs = this.#clock.now();
    this.#backoff = new Backoff(options.reconnect, this.#lostMs);
    this.#chooser = new EndpointChooser(options.target.kind === "endpoints" ? options.target.order : "in-order");
  }

  start(engine: LinkEngine): void {
    this.#engine = engine;
    // Who has just opened the link can still say that he listens.
    this.#clock.defer((dialer) => dialer.check(), this);
  }

  /** As `start()`, but the first attempt has its connection already. */
  startOn(engine: LinkEngine, connection: Connection): void {
    this.#engine = engine;
    this.#attempts = 1;
    engine.dialling(this.#attempts, this.#why);
    this.#introduce(this.#host.nextId(), "primary", connection, Buffer.alloc(0));
    this.#driver.run();
  }

  /** Looks whether a connection is wanted. */
  check(): void {
    if (this.#core.gone) return this.#stop.abort(new RespliceError("LINK_ENDED", "the link has ended"));
    if (this.#core.wantsDial && !this.#looping) void this.#loop();
    if (this.#core.wantsStandby && !this.#standbyDialling) void this.#standBy();
  }

  retryNow(): void {
    this.#backoff.restart(this.#clock.now());
    this.#wake?.();
  }

  onEvent(event: LinkCoreEvent): void {
    switch (event.type) {
      case "connected":
        this.#everConnected = true;
        this.#attempts = 0;
        this.#patience = 1;
        this.#lastError = undefined;
        this.#backoff.onConnected(this.#clock.now());
        this.#onConnected(event.channel);
        break;
      case "attempt-failed":
        if (this.#pending?.id === event.channel) {
          this.#pending.failed(attemptError(event.reason, event.retryAfterMs, event.fault));
        }
        break;
      case "disconnected":
        this.#lost(event.reason);
        // A standby that is under way may still take over; a dial says by itself that it waits.
        if (!this.#core.wantsDial) this.#engine.waiting(1, 0, event.reason, undefined);
        break;
      case "replaced":
        if (event.reason !== "moved") break;
        this.#lost(event.reason);
        // Not before: until then only that server can bring the session to its end.
        if (this.#endpoint !== undefined) this.#chooser.failed(this.#endpoint, this.#clock.now());
        break;
      case "gone":
        this.#standby?.patience.clear();
        this.#pending?.failed(new RespliceError("LINK_ENDED", "the link has ended"));
        break;
      default:
        break;
    }
  }

  #onConnected(channel: number): void {
    if (this.#standby?.id === channel) this.#standby.patience.clear();
    this.#endpoint = [this.#pending, this.#standby].find((made) => made?.id === channel)?.endpoint;
    if (this.#endpoint !== undefined) this.#chooser.connected(this.#endpoint);
    if (this.#pending?.id === channel) this.#pending.adopted();
  }

  #lost(reason: string): void {
    this.#lostMs = this.#clock.now();
    this.#why = reason;
    this.#backoff.onLost(this.#lostMs);
  }

  // ── to speak for the session ────────────────────────────────────────────────────────────────────────────────────

  async #loop(): Promise<void> {
    this.#looping = true;
    const { signal } = this.#stop;
    try {
      if (this.#everConnected) await this.#pause(undefined);
      // The delay between attempts is slept in shouldRetry: p-retry's own has no jitter at its maximum.
      await pRetry(() => this.#attempt(), {
        retries: Infinity,
        minTimeout: 0,
        signal,
        shouldRetry: async ({ error }) => {
          await this.#pause(error);
          return this.#core.wantsDial;
        },
      });
    } catch (error) {
      if (!signal.aborted && this.#core.wantsDial) this.#giveUp(error);
    } finally {
      this.#looping = false;
      this.check();
    }
  }

  /** Waits as long as the backoff says. Throws when there is to be no further attempt. */
  async #pause(failure: unknown): Promise<void> {
    const { maxAttempts, maxElapsedMs, shouldRetry } = this.#options.reconnect;
    const nowMs = this.#clock.now();
    const error = failure === undefined ? undefined : asError(failure);
    if (error !== undefined) {
      this.#lastError = error;
      this.#backoff.onFailed();
      if (error.code === "TIMED_OUT") this.#patience *= 2;
      if (!isRetried(error, shouldRetry, this.#engine.id, this.#host.logger)) throw error;
    }
    if (!this.#core.wantsDial) return;
    const delayMs = this.#backoff.delayMs(error?.retryAfterMs ?? 0, nowMs, this.#host.entropy.random());
    if (this.#attempts >= maxAttempts || nowMs + delayMs - this.#lostMs > maxElapsedMs) {
      throw new RespliceError("GAVE_UP", `gave up after ${this.#attempts} attempts`, { cause: this.#lastError });
    }
    this.#engine.waiting(this.#attempts + 1, delayMs, error?.code ?? this.#why, error);
    await this.#sleep(delayMs);
  }

  #sleep(delayMs: number): Promise<void> {
    const { signal } = this.#stop;
    return new Promise((resolve, reject) => {
      const done = (): void => {
        timer.clear();
        this.#wake = undefined;
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const onAbort = (): void => {
        timer.clear();
        reject(signal.reason as Error);
      };
      const timer: Timer = this.#clock.timer(done);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#wake = done;
      timer.set(this.#clock.now() + delayMs);
    });
  }

  async #attempt(): Promise<void> {
    this.#attempts++;
    this.#engine.dialling(this.#attempts, this.#why);
    const deadline = new AbortController();
    const limitMs = Math.min(MOST_ATTEMPT_MS, ATTEMPT_MS * this.#patience);
    const timer = this.#clock.timer(() => {
      deadline.abort(new RespliceError("TIMED_OUT", `the attempt took more than ${limitMs} ms`));
    });
    const signal = AbortSignal.any([this.#stop.signal, deadline.signal]);
    let leave: (() => void) | undefined;
    try {
      leave = await this.#host.gate.enter(this.#stop.signal);
      timer.set(this.#clock.now() + limitMs);
      const credentials = await this.#credentials(signal);
      const { connection, endpoint } = await this.#connect(signal);
      try {
        await this.#handshake(connection, endpoint, credentials, signal);
      } catch (error) {
        if (endpoint !== undefined) this.#chooser.failed(endpoint, this.#clock.now());
        throw error;
      }
    } catch (error) {
      throw asError(error);
    } finally {
      timer.clear();
      leave?.();
    }
  }

  async #credentials(signal: AbortSignal): Promise<Buffer> {
    const { credentials } = this.#options;
    if (typeof credentials !== "function") return toCredentials(credentials);
    return usable("credentials", await this.#ask("credentials", credentials, signal), toCredentials);
  }

  /** A function of the application's that is asked for each attempt: it may hang, and give anything. */
  async #ask(name: string, ask: ForEachAttempt<unknown>, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    const withinMs = this.#patient(this.#options.timeouts.connectMs);
    const late = new AbortController();
    const timer = this.#clock.timer(() => {
      late.abort(new RespliceError("TIMED_OUT", `the function ${name} took more than ${withinMs} ms`));
    });
    timer.set(this.#clock.now() + withinMs);
    const patience = AbortSignal.any([signal, late.signal]);
    let onAbort: () => void = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(patience.reason as Error);
      patience.addEventListener("abort", onAbort, { once: true });
    });
    try {
      return await Promise.race([aborted, ask({ number: this.#attempts, signal: patience })]);
    } finally {
      timer.clear();
      patience.removeEventListener("abort", onAbort);
    }
  }

  async #connect(signal: AbortSignal): Promise<{ connection: Connection; endpoint: Endpoint | undefined }> {
    const { target, timeouts } = this.#options;
    if (target.kind === "connect") {
      return { connection: await this.#transport(target.connect, signal), endpoint: undefined };
    }
    const given =
      typeof target.endpoints === "function"
        ? await this.#ask("endpoints", target.endpoints, signal)
        : target.endpoints;
    const endpoints = usable("endpoints", given, toEndpoints);
    const tls = await this.#tls(signal);
    // Only where it was connected last is the session known.
    const before = this.#core.sessionKnown ? this.#endpoint : undefined;
    const endpoint = this.#chooser.choose(endpoints, this.#clock.now(), this.#host.entropy.random(), before);
    try {
      const connection = await this.#host.dial(endpoint, {
        connectMs: this.#patient(timeouts.connectMs),
        tlsMs: this.#patient(timeouts.tlsMs),
        tls,
        signal,
      });
      return { connection, endpoint };
    } catch (error) {
      this.#chooser.failed(endpoint, this.#clock.now());
      throw error;
    }
  }

  async #tls(signal: AbortSignal): Promise<ConnectionOptions | false> {
    const { tls } = this.#options;
    return typeof tls === "function" ? usable("tls", await this.#ask("tls", tls, signal), toTlsOptions) : tls;
  }

  /** The application's own transport. What comes when nobody waits for it any more is destroyed. */
  async #transport(connect: ForEachAttempt<Duplex>, signal: AbortSignal): Promise<Connection> {
    const given = await this.#ask(
      "connect",
      async (attempt) => {
        const stream: unknown = await connect(attempt);
        if (attempt.signal.aborted) discard(stream);
        return stream;
      },
      signal,
    );
    const problem = unfitness(given);
    if (problem === undefined) return new StreamConnection(given as Duplex, false);
    discard(given);
    throw new RespliceError("CONNECT_FAILED", `the function connect gave ${problem}`);
  }

  #patient(ms: number): number {
    return Math.max(ms, Math.min(MOST_ATTEMPT_MS, ms * this.#patience));
  }

  /** Resolves when the connection speaks for the session. */
  async #handshake(
    connection: Connection,
    endpoint: Endpoint | undefined,
    credentials: Buffer,
    signal: AbortSignal,
  ): Promise<void> {
    if (!this.#core.wantsDial || signal.aborted) {
      connection.destroy();
      throw new RespliceError("CONNECTION_LOST", "no connection is wanted any more");
    }
    const id = this.#host.nextId();
    const handshakeMs = this.#patient(this.#options.timeouts.handshakeMs);
    let timedOut: RespliceError | undefined;
    const giveUp = (error: RespliceError): void => {
      timedOut = error;
      this.#driver.drop(id, error.code);
    };
    const timer = this.#clock.timer(() => {
      giveUp(new RespliceError("TIMED_OUT", `the handshake took more than ${handshakeMs} ms`));
    });
    const onAbort = (): void => giveUp(asError(signal.reason));
    try {
      await new Promise<void>((resolve, reject) => {
        this.#pending = { id, endpoint, adopted: resolve, failed: reject };
        timer.set(this.#clock.now() + handshakeMs);
        signal.addEventListener("abort", onAbort, { once: true });
        this.#introduce(id, "primary", connection, credentials);
        this.#driver.run();
      });
    } catch (error) {
      throw timedOut ?? error;
    } finally {
      this.#pending = undefined;
      timer.clear();
      signal.removeEventListener("abort", onAbort);
    }
  }

  #introduce(id: number, role: DialRole, connection: Connection, credentials: Buffer): void {
    this.#core.connectionOpened(id, role, credentials, this.#clock.now());
    this.#driver.attach(id, connection);
  }

  #giveUp(failure: unknown): void {
    this.#engine.fail(asError(failure));
    this.#core.endUnreachable();
    this.#driver.run();
  }

  // ── to stand by ─────────────────────────────────────────────────────────────────────────────────────────────────

  async #standBy(): Promise<void> {
    const leave = this.#host.gate.tryStandby();
    if (leave === undefined) {
      this.#core.standbyDialFailed(false, this.#clock.now());
      // It is tried again when the core's timer says so, which only a step of the driver sets.
      this.#driver.changed();
      return;
    }
    this.#standbyDialling = true;
    const patience = new AbortController();
    const patienceMs = this.#core.standbyPatienceMs;
    const id = this.#host.nextId();
    let opened = false;
    const timer = this.#clock.timer(() => {
      patience.abort(new RespliceError("TIMED_OUT", `the standby took more than ${patienceMs} ms`));
      if (!opened) return;
      this.#core.standbyTimedOut(id, this.#clock.now());
      this.#driver.run();
    });
    timer.set(this.#clock.now() + patienceMs);
    const signal = AbortSignal.any([this.#stop.signal, patience.signal]);
    try {
      const credentials = await this.#credentials(signal);
      const { connection, endpoint } = await this.#connect(signal);
      opened = true;
      this.#standby = { id, endpoint, patience: timer };
      this.#introduce(id, "standby", connection, credentials);
    } catch {
      timer.clear();
      this.#core.standbyDialFailed(patience.signal.aborted, this.#clock.now());
    } finally {
      leave();
      this.#standbyDialling = false;
      this.#driver.run();
    }
  }
}
