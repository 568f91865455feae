/**
 * The links of a server, without its listener, and the handler that serves them: what a supervisor drives. `Sessions`
 * has those of resplice clients, `PlainSessions` those of any others.
 */
import type { Entropy } from "../core/session/proof.ts";
import type { Refusable } from "../core/server/state.ts";
import { LinkMemory } from "../io/budget.ts";
import { DEFAULT_CLOSE_MS } from "../link/closing.ts";
import { RespliceError } from "../link/errors.ts";
import { isThenable } from "../link/check.ts";
import type { ResolvedLinkOptions } from "../link/options.ts";
import type { Clock, Connection } from "../link/ports.ts";
import { heldBytes, linksByState } from "../link/stats.ts";
import type { CloseOptions, Link, LinkReport, LinkStats } from "../link/types.ts";
import type { Journal } from "../telemetry/journal.ts";
import type { Forwarding } from "./forward/forwarding.ts";
import type { Routed } from "./routing/routed.ts";
import type { Capacity } from "./capacity.ts";
import { ByIdentity } from "./by-identity.ts";
import { Departures } from "./departures.ts";
import type { ServerHost, ServerLinkOwner } from "./link-owner.ts";
import { Lingering } from "./lingering.ts";
import type { Guest } from "./tls-handshakes.ts";
import { Rates, type RateScope, type ResolvedRates } from "./rates.ts";
import { Refusals } from "./refusals.ts";

/** The caller gives these to the links of a server. */
export interface ServedHost {
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

interface ServedLevels {
  handshaking: number;
  forwarded: number;
  sessions: { connected: number; waiting: number };
  bufferBytes: number;
}

type ServedCounts = ReturnType<Refusals["counts"]> & { held: Record<RateScope, number> };

export type ServedStats = { links: ReturnType<typeof linksByState> } & ServedCounts & ServedLevels;

/** Links are sent away in this part of the time that a drain has: the last of them has the rest to end. */
const SPREAD_PART = 0.5;

/** Limits that all links share, whatever their protocol. */
export interface SharedLimits {
  bufferBytes: number;
  rates: ResolvedRates;
}

/** One direction's part of the memory that all links share. */
export interface SharedPart {
  bytes: number;
  most: number;
}

export abstract class ServedLinks<Owner extends ServerLinkOwner = ServerLinkOwner> {
  /** Runs for each link. Set before the first connection is handed over. */
  handler: ((link: Link) => void | Promise<void>) | undefined;
  readonly refusals: Refusals;
  /** Undefined: connections are neither forwarded to other servers nor taken from them. */
  readonly forwarding: Forwarding | undefined;
  /** Connections come from a router instead of the listener. */
  readonly routed: Routed | undefined;
  readonly rates: Rates;
  readonly lingering: Lingering;
  readonly memory: LinkMemory;
  protected readonly outside: ServedHost;
  protected readonly host: ServerHost;
  /** The options of drain(), and when its time is over. */
  protected farewell: { options: CloseOptions; untilMs: number } | undefined;
  readonly #options: ResolvedLinkOptions;
  readonly #open = new Set<Link>();
  readonly #byIdentity = new ByIdentity();
  readonly #departures: Departures<ServerLinkOwner>;
  readonly #hurry = (): void => this.#departures.hurry();

  constructor(options: ResolvedLinkOptions, limits: SharedLimits, outside: ServedHost) {
    this.#options = options;
    this.rates = new Rates(limits.rates, outside.clock);
    this.memory = new LinkMemory(limits.bufferBytes);
    this.lingering = new Lingering(outside);
    this.outside = outside;
    this.refusals = new Refusals(outside.journal);
    this.#departures = new Departures({
      clock: outside.clock,
      random: () => outside.entropy.random(),
      sendAway: (served) => this.#sendAway(served as Owner),
    });
    this.host = {
      clock: outside.clock,
      random: () => outside.entropy.random(),
      journal: outside.journal,
      onLeft: ({ link }) => {
        this.#open.delete(link);
        this.#byIdentity.delete(link);
      },
      onHandlerFailed: ({ link }, thrown) => outside.onHandlerFailed(link, thrown),
      hearsHandlerErrors: () => outside.hearsHandlerErrors(),
      onFinished: (served) => this.#lookAtHandler(served as Owner),
      onEnded: ({ link }) => outside.onEnded(link),
      onGone: (served) => {
        this.#departures.delete(served);
        this.onGone(served as Owner);
      },
      rates: this.rates,
    };
  }

  /** Links that can be sent on. */
  get open(): ReadonlySet<Link> {
    return this.#open;
  }

  /** Those of the clients of this identity. */
  openOf(identity: string): Link[] {
    return this.#byIdentity.get(identity);
  }

  /** Connections that links have, or that are not let in yet. */
  abstract get connections(): number;

  /** Whether clients are let in while the server drains: those that come back to finish. */
  abstract readonly acceptsWhileDraining: boolean;

  /** Reads from the connection from now on; with TLS, from when it is secured. */
  abstract accept(connection: Connection): Guest;

  /**
   * Changes limits, and answers what that makes of the server's capacity. Throws INVALID_OPTION, and then nothing has
   * changed.
   */
  abstract setLimits(changes: object): Capacity;

  /** From now on these limits are in force, also for the links that are here. */
  protected heedLimits({ bufferBytes, rates }: SharedLimits): void {
    this.memory.resize(bufferBytes);
    this.rates.set(rates);
    for (const { engine } of this.owners()) engine.incoming.paceChanged();
  }

  /** All links that are not gone. */
  abstract owners(): Iterable<Owner>;

  /** How long a session waits for its client; 0: clients keep no sessions. */
  abstract readonly resumeForMs: number;

  /** How many links are not gone. */
  abstract readonly links: number;

  protected abstract onGone(served: Owner): void;

  /** The server goes away: asks the link to end within its time. */
  protected abstract sendAway(served: Owner, options: CloseOptions): void;

  /** The client has gone, or the link is to end without it, in the ordinary course of its protocol. */
  protected abstract isLeft(served: Owner): boolean;

  /** As `shed()`. Answers the time that the client was told, 0 if it cannot be told; undefined if it is not shed. */
  protected abstract askAway(served: Owner, retryAfterMs: number): number | undefined;

  /**
   * How long a link may take to end after its handler has returned; Infinity: each of its waits has a deadline of its
   * own.
   */
  protected abstract readonly closesWithinMs: number;

  // ── links and their handler ─────────────────────────────────────────────────────────────────────────────────────

  /** A client was let in. */
  protected letIn(served: Owner): void {
    this.#open.add(served.link);
    this.#byIdentity.add(served.link);
    // The handler runs when the step that let it in is complete, and the link is attached.
    this.outside.clock.defer(() => {
      this.#serve(served);
      // The server may have begun to drain while the link was being opened.
      if (!this.#departures.has(served)) this.#sendAway(served);
    }, undefined);
  }

  #serve(served: Owner): void {
    if (served.link.state === "closed") return;
    try {
      const result = this.handler?.(served.link);
      if (!isThenable(result)) return;
      served.handler = "pending";
      Promise.resolve(result).then(
        () => this.#handlerReturned(served),
        (error: unknown) => this.#handlerFailed(served, error),
      );
    } catch (error) {
      this.#handlerFailed(served, error);
    }
  }

  #handlerReturned(served: Owner): void {
    if (served.handler === "pending") served.handler = "returned";
    this.#lookAtHandler(served);
  }

  /** The handler has returned, or a promise of `waitUntil()` has settled. */
  #lookAtHandler(served: Owner): void {
    if (served.isEnded) return;
    if (served.handler === "returned" && !served.isAtWork) this.#handlerDone(served);
    else served.driver.run();
  }

  #handlerDone(served: Owner): void {
    served.handler = "other";
    // Nobody serves the client until its turn comes.
    if (this.#departures.delete(served)) this.#sendAway(served);
    const { engine } = served;
    const isSentAway = this.farewell !== undefined && this.#options.mode === "messages";
    if (engine.goesOnAlone || isSentAway) engine.handlerReturned();
    else void engine.close({ deadlineMs: this.closesWithinMs });
  }

  /** A handler that only rethrows LINK_ENDED, because the server or its client goes away, has not failed. */
  #handlerFailed(served: Owner, error: unknown): void {
    const isGoing = this.farewell !== undefined || this.isLeft(served);
    const isTold = isGoing && error instanceof RespliceError && error.code === "LINK_ENDED";
    if (isTold) return this.#handlerReturned(served);
    served.handler = "other";
    served.engine.failHandler(error);
  }

  // ── shedding ────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Lets go of the link's connection. A resplice client is asked to come back after `retryAfterMs`, at most half a minute
   * and half of `resumeForMs`; its session waits, and no dial before its time brings it back. Any other client cannot be
   * asked: within a second its link ends in order, when what it was handed is answered. `reason`: for the record and
   * the counts, one of a few. Answers false, and does nothing, if the link has no connection or is about to end. Throws
   * a RangeError if the time is NaN.
   */
  shed(served: Owner, retryAfterMs: number, reason: string): boolean {
    const toldMs = this.askAway(served, retryAfterMs);
    if (toldMs !== undefined) this.refusals.shed(served.ids, toldMs, reason);
    return toldMs !== undefined;
  }

  /** Refuses these from now on, for that reason; "": not any more. */
  abstract refuse(what: Refusable, why: string): void;

  /** Closes at most so many of the connections that are not let in yet, the oldest first. Answers how many. */
  abstract dropOldestArrivals(most: number): number;

  /** Bytes that clients have under way to us, of the memory that all links share. */
  protected abstract readonly sharedIncomingBytes: number;

  /** What links hold of the memory that they share, and the most of it: incoming, and outgoing with all queues. */
  get sharedMemory(): readonly [SharedPart, SharedPart] {
    const { windowBudget, logBudget } = this.memory;
    return [
      { bytes: this.sharedIncomingBytes, most: windowBudget.bytes },
      { bytes: logBudget.lentBytes, most: logBudget.bytes },
    ];
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Ends the links in order, and opens no more. Resolves with the report of each, when no client is expected any more.
   */
  abstract drain(options: CloseOptions): Promise<Map<Link, LinkReport>>;

  /** From now on clients that are let in are sent away at once. Answers how long all have, and until when. */
  protected beginFarewell(options: CloseOptions): { deadlineMs: number; untilMs: number } {
    const deadlineMs = options.deadlineMs ?? DEFAULT_CLOSE_MS;
    const untilMs = this.outside.clock.now() + deadlineMs;
    this.farewell = { options, untilMs };
    return { deadlineMs, untilMs };
  }

  /**
   * Sends all links away. Clients would come to the next server all at once: so they are sent one after the other, in
   * the first half of the time. Byte streams go nowhere else, and have all of the time.
   */
  protected sendAllAway({ signal }: CloseOptions, deadlineMs: number): void {
    const isSpread = this.#options.mode === "messages" && signal?.aborted !== true;
    this.#departures.begin(this.owners(), isSpread ? SPREAD_PART * deadlineMs : 0);
    signal?.addEventListener("abort", this.#hurry, { once: true });
  }

  #sendAway(served: Owner): void {
    if (this.farewell === undefined) return;
    const { options, untilMs } = this.farewell;
    this.sendAway(served, { ...options, deadlineMs: Math.max(0, Math.ceil(untilMs - this.outside.clock.now())) });
  }

  /** Adds the reports of all links, also of those that are let in meanwhile. */
  protected async report(reports: Map<Link, LinkReport>): Promise<void> {
    for (let links = this.without(reports); links.length > 0; links = this.without(reports)) {
      await Promise.all(links.map(async (link) => reports.set(link, await link.closed)));
    }
  }

  /** Links that have no report yet. */
  protected without(reports: ReadonlyMap<Link, unknown>): Link[] {
    return Array.from(this.owners(), ({ link }) => link).filter((link) => !reports.has(link));
  }

  /** Stops all drivers and timers. */
  stop(): void {
    this.#departures.stop();
    this.farewell?.options.signal?.removeEventListener("abort", this.#hurry);
    for (const served of this.owners()) served.stop();
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  /** Links that have not ended. A link that has ended was counted then, though its tombstone stays a while. */
  here(): Owner[] {
    return [...this.owners()].filter(({ isEnded }) => !isEnded);
  }

  linkStats(): LinkStats[] {
    return this.here().map(({ link }) => link.stats());
  }

  stats(): ServedStats {
    const links = linksByState(Array.from(this.owners(), ({ link }) => link));
    return { links, ...this.counts(), ...this.levels() };
  }

  /** Since the beginning: the numbers that are no sums over links. */
  counts(): ServedCounts {
    return { ...this.refusals.counts(), held: { ...this.rates.held } };
  }

  /** As they stand now, the same. */
  levels(): ServedLevels {
    let connected = 0;
    for (const { core } of this.owners()) if (core.adopted !== undefined) connected++;
    return {
      handshaking: this.handshaking,
      forwarded: this.forwarded,
      sessions: { connected, waiting: this.sessions - connected },
      bufferBytes: heldBytes(this.holders()),
    };
  }

  /** Connections that are not let in yet. */
  abstract readonly handshaking: number;

  /** Connections that are forwarded to other servers. */
  protected get forwarded(): number {
    return 0;
  }

  /** Sessions with or without a connection. */
  protected abstract readonly sessions: number;

  /** All that hold memory of `bufferBytes`. */
  protected abstract holders(): Iterable<{ readonly heldBytes: number }>;
}
