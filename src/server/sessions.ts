/**
 * A server without its listener: the table of sessions, the handshakes that ask for them, and the links with the
 * handler that serves them. Connections are handed to `handshakes`.
 */
import { Admission } from "../core/server/admission.ts";
import { type Entropy, newId } from "../core/session/proof.ts";
import { ServerCore } from "../core/server/server.ts";
import type { ServerLinkCore } from "../core/server/link-core.ts";
import { LinkMemory } from "../io/budget.ts";
import { DEFAULT_CLOSE_MS, FORGET_AFTER_MS } from "../link/closing.ts";
import { RespliceError } from "../link/errors.ts";
import { isThenable } from "../link/incoming.ts";
import type { LinkEngine } from "../link/engine.ts";
import { coreOptions } from "../link/options.ts";
import type { Clock } from "../link/ports.ts";
import { heldBytes, sumStats } from "../link/stats.ts";
import type { CloseOptions, Link, LinkReport, LinkState, LinkStats, Traffic } from "../link/types.ts";
import { timedWait } from "../link/waits.ts";
import type { Journal } from "../telemetry/journal.ts";
import { Handshakes } from "./handshakes.ts";
import type { ResolvedServerOptions } from "./options.ts";
import { type ServerHost, ServerLinkOwner } from "./link-owner.ts";

/** How long drain() waits for a client that has not confirmed its session: for a round trip, or a reconnect. */
const CONFIRMED_WITHIN_MS = 1_000;

/** What the sessions of a server need from their caller. */
export interface SessionsHost {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly journal: Journal;
  /** A handler of the link has thrown. */
  onHandlerFailed(link: Link, thrown: unknown): void;
  /** Whether `onHandlerFailed()` tells a listener of the application. */
  hearsHandlerErrors(): boolean;
  onEnded(link: Link): void;
  /**
   * Whether to wait for the client to close a connection on which the reason for the close was sent; for a few only.
   */
  mayLinger(): boolean;
}

export class Sessions {
  readonly handshakes: Handshakes;
  /** Runs for each link. Set before the first connection is handed over. */
  handler: ((link: Link) => void | Promise<void>) | undefined;
  readonly #options: ResolvedServerOptions;
  readonly #outside: SessionsHost;
  readonly #core: ServerCore;
  readonly #links = new Map<ServerLinkCore, ServerLinkOwner>();
  readonly #host: ServerHost;
  readonly #open = new Set<Link>();
  #whenEmpty: (() => void) | undefined;
  #whenCreated: (() => void) | undefined;
  /** The options of drain(), and when its time is over. */
  #farewell: { options: CloseOptions; untilMs: number } | undefined;

  constructor(options: ResolvedServerOptions, outside: SessionsHost) {
    this.#options = options;
    this.#outside = outside;
    const { limits, timeouts } = options;
    const memory = new LinkMemory(limits.bufferBytes);
    this.#core = new ServerCore(
      {
        ...coreOptions(options, memory),
        resumeForMs: options.resumeForMs,
        handshakeMs: timeouts.handshakeMs,
        maxConnections: limits.connections,
        maxHandshakes: limits.handshakes,
        maxAuthenticating: limits.authenticating,
        maxSessions: limits.sessions,
        maxSessionsPerIdentity: limits.sessionsPerIdentity,
        admission: new Admission(limits, () => outside.entropy.random()),
      },
      outside.entropy,
    );
    this.#host = {
      options,
      clock: outside.clock,
      journal: outside.journal,
      channels: this.#core,
      onLeft: ({ link }) => this.#open.delete(link),
      onHandlerFailed: ({ link }, thrown) => outside.onHandlerFailed(link, thrown),
      hearsHandlerErrors: () => outside.hearsHandlerErrors(),
      onEnded: ({ link }) => outside.onEnded(link),
      onGone: ({ core }) => {
        this.#links.delete(core);
        if (this.#links.size === 0) this.#whenEmpty?.();
      },
    };
    this.handshakes = new Handshakes(this.#core, outside.clock, {
      authenticate: options.authenticate,
      journal: outside.journal,
      mayLinger: () => outside.mayLinger(),
      onLink: (core) => this.#created(core),
      onAttached: (core, channel, connection) => {
        const driver = this.#links.get(core)?.driver;
        driver?.attach(channel, connection);
        driver?.run();
      },
      onChanged: (core) => this.#links.get(core)?.driver.run(),
    });
  }

  /** Links that can be sent on. */
  get open(): ReadonlySet<Link> {
    return this.#open;
  }

  /** Connections that speak for a session, or are in a handshake. */
  get connections(): number {
    return this.#core.handshakes + this.#core.attached;
  }

  // ── links and their handler ─────────────────────────────────────────────────────────────────────────────────────

  #created(core: ServerLinkCore): void {
    const { clock, entropy } = this.#outside;
    const served = new ServerLinkOwner(core, newId(entropy).slice(0, 12), this.#host);
    this.#links.set(core, served);
    this.#whenCreated?.();
    this.#open.add(served.link);
    // The handler runs when the handshake's step is complete, and the link is attached.
    clock.defer(() => {
      this.#serve(served);
      // The server may have begun to drain while the link was being opened.
      this.#sendAway(served.engine);
    }, undefined);
  }

  #serve(served: ServerLinkOwner): void {
    if (served.link.state === "closed") return;
    try {
      const result = this.handler?.(served.link);
      if (!isThenable(result)) return;
      served.isServing = true;
      Promise.resolve(result).then(
        () => this.#handlerReturned(served),
        (error: unknown) => this.#handlerFailed(served, error),
      );
    } catch (error) {
      this.#handlerFailed(served, error);
    }
  }

  #handlerReturned(served: ServerLinkOwner): void {
    served.isServing = false;
    const { engine } = served;
    const isSentAway = this.#farewell !== undefined && this.#options.mode === "messages";
    if (engine.goesOnAlone || isSentAway) engine.handlerReturned();
    else void engine.close({ deadlineMs: this.#options.resumeForMs });
  }

  /** A handler that only rethrows LINK_ENDED, because the server drains, has not failed. */
  #handlerFailed(served: ServerLinkOwner, error: unknown): void {
    const isTold = this.#farewell !== undefined && error instanceof RespliceError && error.code === "LINK_ENDED";
    if (isTold) return this.#handlerReturned(served);
    served.isServing = false;
    served.engine.failHandler(error);
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Asks clients to go on at another server. Clients without a connection can still come back to finish, and no session
   * is opened. Resolves with the report of each link, when every client knows of its end that is connected, or was so a
   * moment ago.
   */
  async drain(options: CloseOptions): Promise<Map<Link, LinkReport>> {
    const nowMs = this.#outside.clock.now();
    const deadlineMs = options.deadlineMs ?? DEFAULT_CLOSE_MS;
    const untilMs = nowMs + deadlineMs;
    this.#farewell = { options, untilMs };
    this.#core.drain(deadlineMs, nowMs);
    for (const { engine } of this.#links.values()) this.#sendAway(engine);
    const reports = new Map<Link, LinkReport>();
    // Sessions that are confirmed meanwhile get the rest of the time.
    do {
      for (let links = this.#without(reports); links.length > 0; links = this.#without(reports)) {
        await Promise.all(links.map(async (link) => reports.set(link, await link.closed)));
      }
      if (!(await this.#confirmed(untilMs))) await this.#forgotten();
    } while (this.#without(reports).length > 0);
    return reports;
  }

  #sendAway(engine: LinkEngine): void {
    if (this.#farewell === undefined) return;
    const { options, untilMs } = this.#farewell;
    const left = { ...options, deadlineMs: Math.max(0, Math.ceil(untilMs - this.#outside.clock.now())) };
    if (this.#options.mode === "bytes") void engine.closeByOwner(left);
    else engine.leave(left);
  }

  /**
   * Waits for a CONFIRM that may be on its way, perhaps with messages behind it. Resolves with true if a session was
   * confirmed in time.
   */
  #confirmed(untilMs: number): Promise<boolean> {
    const { clock } = this.#outside;
    const nowMs = clock.now();
    if (this.#core.unconfirmed === 0) return Promise.resolve(false);
    const wait = timedWait(clock, Math.min(untilMs, nowMs + CONFIRMED_WITHIN_MS));
    this.#whenCreated = wait.end;
    return wait.promise;
  }

  /** Links that have no report yet. */
  #without(reports: ReadonlyMap<Link, unknown>): Link[] {
    return Array.from(this.#links.values(), ({ link }) => link).filter((link) => !reports.has(link));
  }

  /**
   * Resolves when every connected client knows of the end, or after FORGET_AFTER_MS. A client whose connection was cut
   * in the last moment has so long to come back for it: once the server is gone it would dial for minutes.
   */
  async #forgotten(): Promise<void> {
    const { clock } = this.#outside;
    const nowMs = clock.now();
    const lastMs = Array.from(this.#links.keys(), (core) =>
      core.adopted === undefined ? core.missesEndSinceMs : nowMs,
    ).reduce((last, ms) => Math.max(last, ms), -Infinity);
    const dueMs = lastMs + FORGET_AFTER_MS;
    if (dueMs <= nowMs) return;
    const wait = timedWait(clock, dueMs);
    this.#whenEmpty = wait.end;
    await wait.promise;
  }

  /** Stops all drivers and timers. */
  stop(): void {
    for (const { driver } of this.#links.values()) driver.stop();
    this.#links.clear();
    this.handshakes.stop();
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  /** Stats of links that have not ended. A link that has ended was counted then, though its tombstone stays a while. */
  linkStats(): LinkStats[] {
    return Array.from(this.#links.values(), ({ link }) => link.stats()).filter(({ state }) => state !== "closed");
  }

  stats(): {
    handshaking: number;
    refused: Record<string, number>;
    turnedAway: Record<string, number>;
    rejected: Record<string, number>;
    links: Record<LinkState, number>;
    sessions: { connected: number; waiting: number };
    bufferBytes: number;
    taken: Traffic;
    accepted: Traffic;
    received: Traffic;
  } {
    let connected = 0;
    for (const core of this.#links.keys()) if (core.adopted !== undefined) connected++;
    return {
      ...sumStats(Array.from(this.#links.values(), ({ link }) => link)),
      handshaking: this.#core.handshakes,
      refused: { ...this.handshakes.refused },
      turnedAway: this.handshakes.turnedAway.counts,
      rejected: { ...this.handshakes.rejections },
      sessions: { connected, waiting: this.#core.sessions - connected },
      bufferBytes: heldBytes(this.#core.links()),
    };
  }
}
