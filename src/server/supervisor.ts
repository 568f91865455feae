/** ServerSupervisor: a listener, the handshakes of its connections, and the links of its sessions. */
import type { SecureContextOptions } from "node:tls";
import { BlockPool } from "../core/blocks.ts";
import { newId } from "../core/handshake.ts";
import { ServerCore } from "../core/server.ts";
import type { ServerLink } from "../core/server-link.ts";
import { nextSupervisorState, type SupervisorInput, type SupervisorState } from "../core/states.ts";
import { SharedBudget } from "../io/budget.ts";
import { SystemClock } from "../io/clock.ts";
import { SYSTEM_ENTROPY } from "../io/entropy.ts";
import { RespliceError } from "../link/errors.ts";
import { isThenable } from "../link/incoming.ts";
import { DEFAULT_CLOSE_MS } from "../link/drain.ts";
import { CheckedEmitter } from "../link/emitter.ts";
import type { DurableLink } from "../link/link.ts";
import { rethrow } from "../link/life.ts";
import { checkCloseOptions, coreOptions } from "../link/options.ts";
import { sumStats } from "../link/stats.ts";
import type {
  CloseOptions,
  CloseReport,
  Health,
  Link,
  LinkReport,
  LinkState,
  Traffic,
  WaitOptions,
} from "../link/types.ts";
import { logServer } from "../telemetry/events.ts";
import { MetricsLine } from "../telemetry/metrics.ts";
import { Admission } from "./admission.ts";
import { Handshakes } from "./handshakes.ts";
import { Listener } from "./listener.ts";
import { resolveServerOptions, type ServerSupervisorOptions } from "./options.ts";
import { type Host, ServedLink } from "./served-link.ts";

export type { SupervisorState };

/** `error`: terminal, the listener can't be kept up. */
export type SupervisorEvents = {
  state: [change: { from: SupervisorState; to: SupervisorState; reason: string }];
  error: [error: RespliceError];
};

export interface SupervisorStats {
  state: SupervisorState;
  connections: { open: number; handshaking: number };
  /** How often each REFUSE code was given. */
  refused: Record<string, number>;
  links: Record<LinkState, number>;
  sessions: { connected: number; waiting: number };
  /** What the windows and the logs have borrowed. */
  bufferBytes: number;
  taken: Traffic;
  accepted: Traffic;
  received: Traffic;
}

const EVENT_NAMES: ReadonlySet<string> = new Set<keyof SupervisorEvents>(["state", "error"]);

/** Owns a listener and its links: admission, sessions, drain. */
export class ServerSupervisor extends CheckedEmitter<SupervisorEvents> implements AsyncDisposable {
  readonly #options: ReturnType<typeof resolveServerOptions>;
  readonly #clock = new SystemClock();
  readonly #core: ServerCore;
  readonly #listener: Listener;
  readonly #memory: { windowBudget: SharedBudget; logBudget: SharedBudget; blocks: BlockPool };
  readonly #handshakes: Handshakes;
  readonly #links = new Map<ServerLink, ServedLink>();
  readonly #host: Host;
  readonly #open = new Set<Link>();
  readonly #metrics: MetricsLine | undefined;
  #metricsTimer: NodeJS.Timeout | undefined;
  #state: SupervisorState = "created";
  #handler: ((link: Link) => void | Promise<void>) | undefined;
  #closing: Promise<CloseReport> | undefined;
  #whenEmpty: (() => void) | undefined;
  #whenCreated: (() => void) | undefined;
  /** What close() was told, and when its time is over. */
  #farewell: { options: CloseOptions; untilMs: number } = { options: {}, untilMs: Infinity };

  constructor(options: ServerSupervisorOptions) {
    super();
    this.#options = resolveServerOptions(options);
    const { limits, logger, timeouts } = this.#options;
    this.#memory = {
      windowBudget: new SharedBudget(limits.bufferBytes),
      logBudget: new SharedBudget(limits.bufferBytes),
      blocks: new BlockPool(),
    };
    const admission = new Admission({
      open: limits.opensPerSecond,
      resume: limits.resumesPerSecond,
      standby: limits.standbysPerSecond,
    });
    this.#core = new ServerCore(
      {
        ...coreOptions(this.#options, this.#memory),
        resumeForMs: this.#options.resumeForMs,
        handshakeMs: timeouts.handshakeMs,
        maxHandshakes: limits.handshakes,
        maxSessions: limits.sessions,
        maxSessionsPerIdentity: limits.sessionsPerIdentity,
        admit: (kind, nowMs) => admission.admit(kind, nowMs),
      },
      SYSTEM_ENTROPY,
    );
    this.#host = {
      options: this.#options,
      clock: this.#clock,
      wire: this.#core,
      onLeft: ({ link }) => this.#open.delete(link),
      onEnded: ({ link }) => this.#metrics?.ended(link.stats()),
      onGone: ({ core }) => {
        this.#links.delete(core);
        if (this.#links.size === 0) this.#whenEmpty?.();
      },
    };
    this.#handshakes = new Handshakes(this.#core, this.#clock, {
      authenticate: this.#options.authenticate,
      logger,
      onLink: (link) => this.#created(link),
      onAttached: (core, channel, connection) => {
        const driver = this.#links.get(core)?.driver;
        driver?.attach(channel, connection);
        driver?.run();
      },
      onChanged: (core) => this.#links.get(core)?.driver.run(),
    });
    this.#listener = new Listener({
      where: this.#options.listen,
      tls: this.#options.tls,
      tlsMs: timeouts.tlsMs,
      maxConnections: limits.connections,
      maxHandshakes: limits.handshakes,
      onConnection: (socket) => this.#handshakes.accept(socket),
      onRejected: (remoteAddress, reason) => this.#handshakes.rejected(remoteAddress, "not accepted", reason),
    });
    this.#metrics =
      logger === undefined ? undefined : new MetricsLine(logger, "server.metrics", () => this.#clock.now());
  }

  protected override get knownEvents(): ReadonlySet<string> {
    return EVENT_NAMES;
  }

  get state(): SupervisorState {
    return this.#state;
  }

  /** Links that can be sent on, for a broadcast: one leaves when it ends or begins to drain. */
  get links(): ReadonlySet<Link> {
    return this.#open;
  }

  /**
   * Runs once for each link, not each connection. A throw or rejection ends that link with HANDLER_FAILED; its client sees
   * a lost session. When an async handler is done its link is closed, unless it called onMessage(). Before listen().
   */
  serve(handler: (link: Link) => void | Promise<void>): void {
    if (typeof handler !== "function") throw new RespliceError("INVALID_ARGUMENT", "serve() needs a function");
    if (this.#handler !== undefined) throw new RespliceError("INVALID_STATE", "serve() was called before");
    if (this.#state !== "created") throw new RespliceError("INVALID_STATE", "serve() comes before listen()");
    this.#handler = handler;
  }

  /** Resolves when clients can connect. Rejects LISTEN_FAILED, its message says what to do; INVALID_STATE; ABORTED. */
  async listen(options: WaitOptions = {}): Promise<{ host: string; port: number }> {
    if (this.#state !== "created") throw new RespliceError("INVALID_STATE", `listen() in state ${this.#state}`);
    if (this.#handler === undefined) throw new RespliceError("INVALID_STATE", "serve() comes before listen()");
    const { signal } = options;
    if (signal?.aborted === true) throw new RespliceError("ABORTED", "listen() was aborted", { cause: signal.reason });
    this.#to("bind", "listen() was called");
    try {
      const address = await this.#listener.listen();
      if (this.state !== "bound") throw new RespliceError("INVALID_STATE", "closed while it began to listen");
      this.#listener.onError((error) => this.#listenerFailed(error));
      this.#to("listen", "listening");
      this.#startMetrics();
      this.#logLimits(address);
      return address;
    } catch (error) {
      this.#to("listen-failed", "listen failed");
      throw error;
    }
  }

  #logLimits({ host, port }: { host: string; port: number }): void {
    const { logger, limits, maxMessageBytes } = this.#options;
    if (logger === undefined) return;
    const leastBytes = limits.sessions * (maxMessageBytes + 4);
    const fields = { host, port, ...limits, sessionsMayHoldBytes: leastBytes + 2 * limits.bufferBytes };
    logServer(logger, "server.listening", fields, `listening on ${host}:${port}`);
  }

  #startMetrics(): void {
    const { metricsIntervalMs } = this.#options;
    const metrics = this.#metrics;
    if (metrics === undefined || metricsIntervalMs === 0) return;
    this.#metricsTimer = setInterval(() => {
      // A link that has ended is counted already, though its tombstone stays a while.
      metrics.write(
        Array.from(this.#links.values(), ({ link }) => link.stats()).filter(({ state }) => state !== "closed"),
      );
    }, metricsIntervalMs).unref();
  }

  #listenerFailed(cause: Error): void {
    const error = new RespliceError("LISTEN_FAILED", `the listener failed: ${cause.message}`, { cause });
    this.#options.logger?.error({ event: "server.listener-failed", code: error.code }, error.message);
    this.#tell(() => this.emit("error", error));
  }

  /** Renewed certificates, for new connections. As in tls.Server. */
  setSecureContext(options: SecureContextOptions): void {
    this.#listener.setSecureContext(options);
  }

  // ── links ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #created(core: ServerLink): void {
    const served = new ServedLink(core, newId(SYSTEM_ENTROPY).slice(0, 12), this.#host);
    this.#links.set(core, served);
    this.#whenCreated?.();
    this.#open.add(served.link);
    // The handler runs when the handshake's step is complete, and the link is attached.
    this.#clock.defer(() => {
      this.#serve(served);
      // It was under way when close() was called.
      if (this.#closing !== undefined) this.#sendAway(served.link);
    }, undefined);
  }

  #serve(served: ServedLink): void {
    if (served.link.state === "closed") return;
    try {
      const result = this.#handler?.(served.link);
      if (!isThenable(result)) return;
      served.isServing = true;
      result.then(
        () => this.#handlerReturned(served),
        (error: unknown) => this.#handlerFailed(served, error),
      );
    } catch (error) {
      this.#handlerFailed(served, error);
    }
  }

  #handlerReturned(served: ServedLink): void {
    served.isServing = false;
    const { link } = served;
    if (link.hasHandler || this.#closing !== undefined) link.handlerReturned();
    else void link.close({ deadlineMs: this.#options.resumeForMs });
  }

  /** To be told that sending is over, since the server goes away, is no failure. */
  #handlerFailed(served: ServedLink, error: unknown): void {
    const isTold = this.#closing !== undefined && error instanceof RespliceError && error.code === "LINK_ENDED";
    if (isTold) return this.#handlerReturned(served);
    served.isServing = false;
    served.link.failHandler(error);
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  /** 'down': not listening, or draining. */
  health(): Health {
    if (this.#state === "listening") return { status: "healthy", reasons: [] };
    return { status: "down", reasons: [`the server is ${this.#state}`] };
  }

  stats(): SupervisorStats {
    let connected = 0;
    for (const core of this.#links.keys()) if (core.adopted !== undefined) connected++;
    return {
      state: this.#state,
      ...sumStats(Array.from(this.#links.values(), ({ link }) => link)),
      connections: { open: this.#listener.connections, handshaking: this.#core.handshakes },
      refused: { ...this.#handshakes.refused },
      sessions: { connected, waiting: this.#core.sessions - connected },
      bufferBytes: this.#memory.windowBudget.takenBytes + this.#memory.logBudget.takenBytes,
    };
  }

  #to(input: SupervisorInput, reason: string): void {
    const to = nextSupervisorState(this.#state, input);
    if (to === undefined) return;
    const change = { from: this.#state, to, reason };
    this.#state = to;
    if (this.#options.logger !== undefined) logServer(this.#options.logger, "server.state", change, `server ${to}`);
    this.#tell(() => this.emit("state", change));
  }

  /** What a listener throws is thrown where nobody is in the middle of anything. */
  #tell(emission: () => void): void {
    try {
      emission();
    } catch (error) {
      this.#clock.defer(rethrow, error);
    }
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Opens no links any more and, unlike a net.Server, ends those there are: clients are asked to go on elsewhere, and do so
   * when the handler has answered what it was handed and everything is accepted, with nothing in doubt. A link in mode
   * "bytes" cannot, and is closed. At the deadline what is left is cut off: for its client a lost session. Never rejects.
   */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    checkCloseOptions(options);
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close(options: CloseOptions): Promise<CloseReport> {
    const listened = this.#state === "listening" || this.#state === "bound";
    this.#to("drain", "close() was called");
    // Clients without a connection can still come back to finish; nothing new is opened.
    const deadlineMs = options.deadlineMs ?? DEFAULT_CLOSE_MS;
    this.#farewell = { options, untilMs: this.#clock.now() + deadlineMs };
    this.#core.drain(deadlineMs, this.#clock.now());
    for (const { link } of this.#links.values()) this.#sendAway(link);
    const reports = new Map<DurableLink, LinkReport>();
    // Those that are confirmed meanwhile have what is left of the time.
    do {
      for (let links = this.#without(reports); links.length > 0; links = this.#without(reports)) {
        await Promise.all(links.map(async (link) => reports.set(link, await link.closed)));
      }
      if (!(await this.#confirmed())) await this.#forgotten();
    } while (this.#without(reports).length > 0);
    clearInterval(this.#metricsTimer);
    if (listened) this.#listener.stopListening();
    this.#listener.destroyAll();
    for (const { driver } of this.#links.values()) driver.stop();
    this.#links.clear();
    this.#handshakes.stop();
    this.#to("end", "closed");
    const left = [...reports.values()].filter(({ error }) => error?.code === "CLOSE_TIMEOUT").length;
    const undelivered = [...reports].flatMap(([link, report]) =>
      report.undelivered.map((message) => ({ ...message, link })),
    );
    return { left, undelivered };
  }

  #sendAway(link: DurableLink): void {
    const { options, untilMs } = this.#farewell;
    const left = { ...options, deadlineMs: Math.max(0, Math.ceil(untilMs - this.#clock.now())) };
    if (this.#options.mode === "bytes") void link.close(left);
    else link.leave(left);
  }

  /** A client may have sent along with its CONFIRM, which is on its way. Resolves with whether one has come. */
  #confirmed(): Promise<boolean> {
    const nowMs = this.#clock.now();
    if (this.#core.unconfirmed === 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = this.#clock.timer(() => {
        this.#whenCreated = undefined;
        resolve(false);
      });
      timer.set(Math.min(this.#farewell.untilMs, nowMs + CONFIRMED_WITHIN_MS));
      this.#whenCreated = () => {
        timer.clear();
        resolve(true);
      };
    });
  }

  /** Links that are not among these. */
  #without(reports: ReadonlyMap<DurableLink, unknown>): DurableLink[] {
    return Array.from(this.#links.values(), ({ link }) => link).filter((link) => !reports.has(link));
  }

  /** Every client that is there has heard of the end. */
  async #forgotten(): Promise<void> {
    const waiting = (): boolean => [...this.#links.keys()].some((core) => core.adopted !== undefined);
    if (!waiting()) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.timer(resolve);
      timer.set(this.#clock.now() + FORGET_AFTER_MS);
      this.#whenEmpty = () => {
        timer.clear();
        resolve();
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** What a client whose session is not confirmed is waited for: a round trip, or a reconnect. */
const CONFIRMED_WITHIN_MS = 1_000;
/** What a client that does not answer is waited for after everything was accepted. */
const FORGET_AFTER_MS = 6_000;
