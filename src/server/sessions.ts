/**
 * The sessions of resplice clients: their table, the handshakes that ask for them, and the links. Connections are
 * handed to `handshakes`.
 */
import { Admission } from "../core/server/admission.ts";
import { newId, newServerId } from "../core/session/proof.ts";
import { ServerCore, type ServerCoreOptions } from "../core/server/server.ts";
import type { ServerLinkCore } from "../core/server/link-core.ts";
import type { Refusable } from "../core/server/state.ts";
import { FORGET_AFTER_MS, TOLD_WITHIN_MS } from "../link/closing.ts";
import { coreOptions } from "../link/options.ts";
import type { Connection } from "../link/ports.ts";
import type { CloseOptions, Link, LinkReport } from "../link/types.ts";
import { timedWait } from "../link/waits.ts";
import { DurableServerLink } from "./durable-link.ts";
import { Handshakes } from "./handshakes.ts";
import type { Guest } from "./tls-handshakes.ts";
import { Forwarding } from "./forward/forwarding.ts";
import { type Capacity, durableCapacity } from "./capacity.ts";
import { changedLimits, type Limits, type ResolvedLimits, type ResolvedServerOptions } from "./options.ts";
import { Routed } from "./routing/routed.ts";
import { type ServedHost, ServedLinks } from "./served-links.ts";

/** How long drain() waits for a client that has not confirmed its session: for a round trip, or a reconnect. */
const CONFIRMED_WITHIN_MS = 1_000;

/** The limits that the core counts by. */
function caps(limits: ResolvedLimits) {
  return {
    maxConnections: limits.connections,
    maxConnectionsPerAddress: limits.connectionsPerAddress,
    maxHandshakes: limits.handshakes,
    maxAuthenticating: limits.authenticating,
    maxSessions: limits.sessions,
    maxSessionsPerIdentity: limits.sessionsPerIdentity,
  };
}

export class Sessions extends ServedLinks<DurableServerLink> {
  readonly handshakes: Handshakes;
  override readonly forwarding: Forwarding | undefined;
  override readonly routed: Routed | undefined;
  readonly acceptsWhileDraining = true;
  protected readonly closesWithinMs: number;
  readonly #options: ResolvedServerOptions;
  #givenLimits: Limits;
  readonly #admission: Admission;
  /** The core heeds what is changed in them. */
  readonly #coreOptions: ServerCoreOptions;
  readonly #core: ServerCore;
  readonly #links = new Map<ServerLinkCore, DurableServerLink>();
  #whenEmpty: (() => void) | undefined;
  #whenCreated: (() => void) | undefined;

  constructor(options: ResolvedServerOptions, outside: ServedHost) {
    super(options, options.limits, outside);
    this.#options = options;
    this.#givenLimits = options.givenLimits;
    this.closesWithinMs = options.resumeForMs;
    const { forward, limits, timeouts } = options;
    const forwarding =
      forward &&
      new Forwarding(forward, {
        clock: outside.clock,
        entropy: outside.entropy,
        journal: outside.journal,
        accept: (connection, certificate) => this.handshakes.acceptForwarded(connection, certificate),
        onRejected: (remoteAddress, detail) => this.refusals.rejected(remoteAddress, "forward", detail),
      });
    this.forwarding = forwarding;
    const serverId = forwarding?.serverId ?? newServerId(outside.entropy);
    this.routed =
      options.routedPort === undefined ? undefined : new Routed(serverId, options.routedPort, outside.clock);
    this.#admission = new Admission(limits, () => outside.entropy.random());
    this.#coreOptions = {
      ...coreOptions(options, this.memory),
      resumeForMs: options.resumeForMs,
      handshakeMs: timeouts.handshakeMs,
      ...caps(limits),
      serverId,
      forwards: forwarding !== undefined,
      admission: this.#admission,
    };
    this.#core = new ServerCore(this.#coreOptions, outside.entropy);
    this.handshakes = new Handshakes(this.#core, outside.clock, {
      authenticate: options.authenticate,
      refusals: this.refusals,
      forward: forwarding && ((...request) => forwarding.send(...request)),
      lingering: this.lingering,
      onLink: (core) => this.#created(core),
      onAttached: (core, channel, connection) => {
        const driver = this.#links.get(core)?.driver;
        driver?.attach(channel, connection);
        driver?.run();
      },
      onChanged: (core) => this.#links.get(core)?.driver.run(),
    });
  }

  accept(connection: Connection): Guest {
    return this.handshakes.accept(connection);
  }

  /** Connections that speak for a session, or are in a handshake, or are forwarded. */
  get connections(): number {
    return this.#core.handshakes + this.#core.attached + this.#core.forwarding;
  }

  override setLimits(changes: Limits): Capacity {
    const { limits, givenLimits } = changedLimits(this.#options, this.#givenLimits, changes);
    this.#givenLimits = givenLimits;
    Object.assign(this.#coreOptions, caps(limits));
    this.#admission.set(limits, this.outside.clock.now());
    this.heedLimits(limits);
    return durableCapacity(this.#options, { limits });
  }

  override get resumeForMs(): number {
    return this.#options.resumeForMs;
  }

  override get links(): number {
    return this.#links.size;
  }

  override owners(): Iterable<DurableServerLink> {
    return this.#links.values();
  }

  #created(core: ServerLinkCore): void {
    const options = this.#options;
    const id = newId(this.outside.entropy).slice(0, 12);
    const isAuthenticated = options.authenticate !== undefined;
    const served = new DurableServerLink({ core, channels: this.#core, id, options }, isAuthenticated, this.host);
    this.#links.set(core, served);
    this.#whenCreated?.();
    this.letIn(served);
  }

  /** Neither end needs the session any more. */
  protected override onGone({ core }: DurableServerLink): void {
    this.#links.delete(core);
    if (this.#links.size === 0) this.#whenEmpty?.();
  }

  /** A client that ends its direction of a session has agreed on that with the handler. */
  protected override isLeft(): boolean {
    return false;
  }

  protected override askAway({ core }: DurableServerLink, retryAfterMs: number): number | undefined {
    return this.handshakes.shed(core, retryAfterMs);
  }

  override refuse(what: Refusable, why: string): void {
    this.handshakes.refuse(what, why);
  }

  override dropOldestArrivals(most: number): number {
    return this.handshakes.dropSilent(most);
  }

  protected override get sharedIncomingBytes(): number {
    let bytes = 0;
    for (const core of this.#links.keys()) bytes += core.sharedIncomingBytes;
    return bytes;
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Asks clients to go on at another server. Clients without a connection can still come back to finish, and no session
   * is opened. Resolves with the report of each link, when every client knows of its end that is connected, or was so a
   * moment ago.
   */
  async drain(options: CloseOptions): Promise<Map<Link, LinkReport>> {
    const { deadlineMs, untilMs } = this.beginFarewell(options);
    this.#core.drain(deadlineMs, this.outside.clock.now());
    this.sendAllAway(options, deadlineMs);
    const reports = new Map<Link, LinkReport>();
    // Sessions that are confirmed meanwhile get the rest of the time.
    do {
      await this.report(reports);
      if (!(await this.#confirmed(untilMs))) await this.#forgotten(untilMs, options.signal);
    } while (this.without(reports).length > 0);
    return reports;
  }

  protected override sendAway({ core, engine }: DurableServerLink, options: CloseOptions): void {
    if (this.#options.mode === "bytes") return void engine.closeByOwner(options);
    this.#core.sendElsewhere(core, this.outside.clock.now());
    engine.leave(options);
  }

  /**
   * Waits for a CONFIRM that may be on its way, perhaps with messages behind it. Resolves with true if a session was
   * confirmed in time.
   */
  #confirmed(untilMs: number): Promise<boolean> {
    const { clock } = this.outside;
    const nowMs = clock.now();
    if (this.#core.unconfirmed === 0) return Promise.resolve(false);
    const wait = timedWait(clock, Math.min(untilMs, nowMs + CONFIRMED_WITHIN_MS));
    this.#whenCreated = wait.end;
    return wait.promise;
  }

  /**
   * Resolves when every connected client knows of the end, or after FORGET_AFTER_MS. A client whose connection was cut
   * in the last moment has so long to come back for it: once the server is gone it would dial for minutes. But the
   * server does not stay for that, nor for an answer to the word that a link was cut off, when its time is over.
   */
  async #forgotten(untilMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.outside;
    const nowMs = clock.now();
    const lastMs = Array.from(this.#links.keys(), (core) =>
      core.adopted === undefined ? core.missesEndSinceMs : nowMs,
    ).reduce((last, ms) => Math.max(last, ms), -Infinity);
    const mostMs = (signal?.aborted === true ? nowMs : untilMs) + TOLD_WITHIN_MS;
    const dueMs = Math.min(lastMs + FORGET_AFTER_MS, mostMs);
    if (dueMs <= nowMs) return;
    const wait = timedWait(clock, dueMs);
    this.#whenEmpty = wait.end;
    signal?.addEventListener("abort", wait.end, { once: true });
    await wait.promise;
    signal?.removeEventListener("abort", wait.end);
  }

  override stop(): void {
    super.stop();
    this.#links.clear();
    this.handshakes.stop();
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  override get handshaking(): number {
    return this.#core.handshakes;
  }

  protected override get forwarded(): number {
    return this.#core.forwarding;
  }

  protected override get sessions(): number {
    return this.#core.sessions;
  }

  protected override holders(): Iterable<{ readonly heldBytes: number }> {
    return this.#core.links();
  }
}
