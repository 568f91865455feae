/** ServerSupervisor: a listener, and the sessions that its connections speak for. */
import type { SecureContextOptions } from "node:tls";
import { nextSupervisorState, type SupervisorInput, type SupervisorState } from "../core/states.ts";
import { mayHoldBytes } from "../io/budget.ts";
import { SystemClock } from "../io/clock.ts";
import { SYSTEM_ENTROPY } from "../io/entropy.ts";
import { closeReport } from "../link/close-report.ts";
import { CheckedEmitter } from "../link/emitter.ts";
import { RespliceError } from "../link/errors.ts";
import { runContained } from "../link/life.ts";
import { checkCloseOptions, messageLimits } from "../link/options.ts";
import type { CloseOptions, CloseReport, Health, Link, LinkState, Traffic, WaitOptions } from "../link/types.ts";
import { Once } from "../link/waits.ts";
import type { LineCounts } from "../telemetry/logger.ts";
import type { SampleSource } from "../telemetry/samples.ts";
import { Telemetry } from "../telemetry/telemetry.ts";
import { descriptors, descriptorsNeeded } from "./descriptors.ts";
import { Listener } from "./listener.ts";
import { resolveServerOptions, type ServerSupervisorOptions, sessionsThatFit } from "./options.ts";
import { Sessions } from "./sessions.ts";

export type { SupervisorState };

/**
 * `error`: the listener has failed for good. `handlerError`: the handler of serve() or of a link's onMessage() threw
 * `error`, or its promise was rejected with it; the link ends with HANDLER_FAILED, unless it has ended before.
 */
export type SupervisorEvents = {
  state: [change: { from: SupervisorState; to: SupervisorState; reason: string }];
  handlerError: [event: { link: Link; error: unknown }];
  error: [error: RespliceError];
};

export interface SupervisorStats {
  state: SupervisorState;
  connections: { open: number; handshaking: number };
  /** How often each REFUSE code was given. */
  refused: Record<string, number>;
  /** Clients that a limit has turned away, by the limit's name: `connections`, `opensPerSecond`, … */
  turnedAway: Record<string, number>;
  /** Connections that were closed because of what they did, by the reason that the log gives. */
  rejected: Record<string, number>;
  links: Record<LinkState, number>;
  sessions: { connected: number; waiting: number };
  /** Bytes that links hold: received and not accepted yet, and the memory of their logs. */
  bufferBytes: number;
  /** Lines for the logger. */
  lines: LineCounts;
  taken: Traffic;
  accepted: Traffic;
  received: Traffic;
}

/** After telling a client why it is closed, the server waits for its close; for so many at once, others are cut off. */
const MOST_LINGERING = 100;

const EVENT_NAMES: ReadonlySet<string> = new Set<keyof SupervisorEvents>(["state", "handlerError", "error"]);

/** Owns a listener and its links: lets clients in, keeps their sessions, drains them. */
export class ServerSupervisor extends CheckedEmitter<SupervisorEvents> implements AsyncDisposable {
  readonly #options: ReturnType<typeof resolveServerOptions>;
  readonly #clock = new SystemClock();
  readonly #sessions: Sessions;
  readonly #listener: Listener;
  readonly #telemetry: Telemetry;
  #state: SupervisorState = "created";
  readonly #closing: Once<CloseReport> = new Once();

  constructor(options: ServerSupervisorOptions) {
    super(EVENT_NAMES);
    this.#options = resolveServerOptions(options);
    const { timeouts } = this.#options;
    const source: SampleSource = {
      links: () => this.#sessions.linkStats(),
      counts: () => ({ turnedAway: this.#sessions.handshakes.turnedAway.total }),
    };
    this.#telemetry = new Telemetry("server.metrics", this.#options, source, () => this.#clock.now());
    this.#sessions = new Sessions(this.#options, {
      clock: this.#clock,
      entropy: SYSTEM_ENTROPY,
      journal: this.#telemetry.journal,
      onHandlerFailed: (link, error) => this.emit("handlerError", { link, error }),
      hearsHandlerErrors: () => this.listenerCount("handlerError") > 0,
      onEnded: (link) => this.#telemetry.linkEnded(link),
      mayLinger: () => this.#listener.sockets - this.#sessions.connections < MOST_LINGERING,
    });
    const { handshakes } = this.#sessions;
    this.#listener = new Listener({
      where: this.#options.listen,
      tls: this.#options.tls,
      tlsMs: timeouts.tlsMs,
      accept: (connection) => handshakes.accept(connection),
      onTlsFailed: (remoteAddress, reason) => handshakes.rejected(remoteAddress, "tls", reason),
    });
  }

  get state(): SupervisorState {
    return this.#state;
  }

  /** Links that can be sent on, for a broadcast: a link leaves the set when it ends or begins to drain. */
  get links(): ReadonlySet<Link> {
    return this.#sessions.open;
  }

  /**
   * Sets the handler, which runs once for each link, not for each connection. If it throws or rejects, its link ends
   * with HANDLER_FAILED, and the client sees a lost session. When an async handler is done its link is closed, unless
   * the handler called onMessage() or duplex(). To be called before listen().
   */
  serve(handler: (link: Link) => void | Promise<void>): void {
    if (typeof handler !== "function") throw new RespliceError("INVALID_ARGUMENT", "serve() needs a function");
    if (this.#sessions.handler !== undefined) throw new RespliceError("INVALID_STATE", "serve() was called before");
    if (this.#state !== "created") throw new RespliceError("INVALID_STATE", "serve() comes before listen()");
    this.#sessions.handler = handler;
  }

  /**
   * Resolves when clients can connect. Rejects with LISTEN_FAILED, whose message says what to do; INVALID_STATE;
   * ABORTED.
   */
  async listen(options: WaitOptions = {}): Promise<{ host: string; port: number }> {
    if (this.#state !== "created") throw new RespliceError("INVALID_STATE", `listen() in state ${this.#state}`);
    if (this.#sessions.handler === undefined) throw new RespliceError("INVALID_STATE", "serve() comes before listen()");
    const { signal } = options;
    if (signal?.aborted === true) throw new RespliceError("ABORTED", "listen() was aborted", { cause: signal.reason });
    this.#to("bind", "listen() was called");
    try {
      const address = await this.#listener.listen();
      if (this.state !== "bound") throw new RespliceError("INVALID_STATE", "closed while it began to listen");
      this.#listener.onError((error) => this.#listenerFailed(error));
      this.#to("listen", "listening");
      this.#telemetry.start();
      this.#recordLimits(address);
      return address;
    } catch (error) {
      this.#to("listen-failed", "listen failed");
      throw error;
    }
  }

  #recordLimits({ host, port }: { host: string; port: number }): void {
    const { limits, logger, machine } = this.#options;
    // Only the log tells of these: without one nothing is read from /proc.
    if (logger === undefined) return;
    const { journal } = this.#telemetry;
    const { connections, sessions, bufferBytes } = limits;
    const may = descriptors();
    const descriptorLimit = may && { descriptorLimit: may.limit };
    const sessionsMayHoldBytes = mayHoldBytes(bufferBytes, sessions, messageLimits(this.#options));
    journal.record({ event: "server.listening", host, port, limits, sessionsMayHoldBytes, ...descriptorLimit });
    const needed = descriptorsNeeded(connections, may?.open ?? 0);
    if (may !== undefined && needed > may.limit) {
      journal.record({ event: "server.descriptors", connections, open: may.open, needed, descriptorLimit: may.limit });
    }
    const fitting = sessionsThatFit(bufferBytes, this.#options, machine);
    if (sessions <= fitting) return;
    journal.record({ event: "server.memory", sessions, fitting, sessionsMayHoldBytes, ...machine });
  }

  #listenerFailed(cause: Error): void {
    const error = new RespliceError("LISTEN_FAILED", `the listener failed: ${cause.message}`, { cause });
    this.#telemetry.journal.record({ event: "server.listener-failed", code: error.code, message: error.message });
    runContained(this.#clock, () => this.emit("error", error));
  }

  /**
   * Sets renewed certificates, for new connections. Unlike with tls.Server, options that are not given stay as they are
   * (a `ca` for clients, say); a new key comes with its passphrase. If it throws INVALID_OPTION, nothing has changed.
   */
  setSecureContext(options: SecureContextOptions): void {
    this.#listener.setSecureContext(options);
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  /** 'degraded': a limit has turned clients away in the last 10 s. 'down': not listening, or draining. */
  health(): Health {
    if (this.#state === "listening") {
      const reasons = this.#sessions.handshakes.turnedAway.reasons(this.#clock.now());
      return { status: reasons.length === 0 ? "healthy" : "degraded", reasons };
    }
    return { status: "down", reasons: [`the server is ${this.#state}`] };
  }

  stats(): SupervisorStats {
    const { handshaking, ...stats } = this.#sessions.stats();
    const { lines } = this.#telemetry;
    return { state: this.#state, ...stats, lines, connections: { open: this.#sessions.connections, handshaking } };
  }

  #to(input: SupervisorInput, reason: string): void {
    const to = nextSupervisorState(this.#state, input);
    if (to === undefined) return;
    const change = { from: this.#state, to, reason };
    this.#state = to;
    this.#telemetry.journal.record({ event: "server.state", ...change });
    runContained(this.#clock, () => this.emit("state", change));
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Opens no more links and, unlike a net.Server, ends the existing ones. Clients are asked to go on at another server;
   * they do so when the handler has answered the messages that it was handed and everything is accepted, with nothing
   * in doubt. A link in mode "bytes" cannot move, and may come to its own end. At the deadline the remaining links are
   * cut off: their clients see a lost session, or an aborted stream. Never rejects.
   */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    checkCloseOptions(options);
    return this.#closing.run(() => this.#close(options));
  }

  async #close(options: CloseOptions): Promise<CloseReport> {
    const listened = this.#state === "listening" || this.#state === "bound";
    this.#to("drain", "close() was called");
    const reports = await this.#sessions.drain(options);
    this.#telemetry.stop();
    if (listened) this.#listener.stopListening();
    this.#listener.destroyAll();
    this.#sessions.stop();
    this.#to("end", "closed");
    this.#telemetry.flush();
    return closeReport(reports);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
