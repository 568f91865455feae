/** The links of clients that are not resplice, and the connections of those that are not let in yet. */
import { oldest } from "../core/overload/victims.ts";
import { Crowd } from "../core/server/crowd.ts";
import { Shares } from "../core/server/shares.ts";
import type { Refusable } from "../core/server/state.ts";
import { newId } from "../core/session/proof.ts";
import type { Connection } from "../link/ports.ts";
import type { CloseOptions, Link, LinkReport } from "../link/types.ts";
import { ServedPlainCore, type ServedPlainOptions } from "../plain/served-core.ts";
import { plainCoreOptions } from "../plain-link/options.ts";
import { Arrival, type ArrivalHost } from "./arrival.ts";
import type { Guest } from "./tls-handshakes.ts";
import { peerOf } from "./peer.ts";
import { type Capacity, plainCapacity } from "./capacity.ts";
import {
  changedPlainLimits,
  type PlainLimitName,
  type PlainLimits,
  type ResolvedPlainServerOptions,
} from "./plain-options.ts";
import { PlainServerLink } from "./plain-link.ts";
import { type ServedHost, ServedLinks } from "./served-links.ts";
import { UnsecuredConnection } from "./unsecured-connection.ts";

/** The guest of a connection that is closed already. */
const NOBODY: Guest = { secured: (connection) => connection.destroy() };

const TOO_MANY: Readonly<Record<PlainLimitName, string>> = {
  acceptsPerSecond: "too many accepts",
  connections: "too many connections",
  handshakes: "too many handshakes",
  connectionsPerAddress: "too many connections of this address",
  opensPerSecond: "too many opens",
};

export class PlainSessions extends ServedLinks<PlainServerLink> {
  readonly acceptsWhileDraining = false;
  readonly resumeForMs = 0;
  /** A client that takes nothing is given up by the deadlines of its connection. */
  protected readonly closesWithinMs: number = Infinity;
  readonly #options: ResolvedPlainServerOptions;
  #limits: ResolvedPlainServerOptions["limits"];
  #givenLimits: PlainLimits;
  readonly #accepts: Shares;
  readonly #opens: Shares;
  /** Connections that are not let in yet, by address. */
  readonly #arrivals = new Crowd<Arrival>();
  /** With those of links, and of links whose connection is over. */
  readonly #clients = new Crowd<Arrival>();
  readonly #links = new Map<PlainServerLink, Arrival>();
  /** Those of them whose connection is over. They keep their places, as their messages still take memory. */
  readonly #severed = new Set<PlainServerLink>();
  readonly #arrivalHost: ArrivalHost;
  /** Why new clients are turned away as the server is overloaded; "": they are not. */
  #refusal = "";

  constructor(options: ResolvedPlainServerOptions, outside: ServedHost) {
    super(options.link, options.limits, outside);
    const { limits, link, plain, timeouts, windowFloorBytes } = options;
    this.#options = options;
    this.#limits = limits;
    this.#givenLimits = options.givenLimits;
    this.#accepts = new Shares(limits.acceptsPerSecond);
    this.#opens = new Shares(limits.opensPerSecond);
    const { memory } = this;
    const { windowBudget } = memory;
    const coreOptions: ServedPlainOptions = { ...plainCoreOptions(options, memory), windowFloorBytes, windowBudget };
    this.#arrivalHost = {
      clock: outside.clock,
      refusals: this.refusals,
      login: plain.login,
      handshakeMs: timeouts.handshakeMs,
      lingering: this.lingering,
      newLink: (arrival) => {
        const core = new ServedPlainCore(coreOptions, outside.entropy);
        const id = newId(outside.entropy).slice(0, 12);
        return new PlainServerLink({ core, channels: core, id, options: link }, arrival, this.host);
      },
      onLetIn: (arrival, served) => this.#onLetIn(arrival, served),
      onSevered: (served) => this.#severed.add(served),
      onOver: (arrival) => this.#onOver(arrival),
    };
  }

  get connections(): number {
    return this.#clients.size - this.#severed.size;
  }

  override setLimits(changes: PlainLimits): Capacity {
    const { limits, givenLimits } = changedPlainLimits(this.#options, this.#givenLimits, changes);
    const nowMs = this.outside.clock.now();
    this.#limits = limits;
    this.#givenLimits = givenLimits;
    this.#accepts.set(limits.acceptsPerSecond, nowMs);
    this.#opens.set(limits.opensPerSecond, nowMs);
    this.heedLimits(limits);
    return plainCapacity(this.#options, { limits });
  }

  override get links(): number {
    return this.#links.size;
  }

  override owners(): Iterable<PlainServerLink> {
    return this.#links.keys();
  }

  // ── the door ────────────────────────────────────────────────────────────────────────────────────────────────────

  accept(connection: Connection): Guest {
    if (!this.#mayEnter(connection.remoteAddress)) {
      // The client cannot be told why.
      connection.destroy();
      return NOBODY;
    }
    const arrival = new Arrival(connection, this.#arrivalHost);
    this.#arrivals.add(arrival.peer, arrival);
    this.#clients.add(arrival.peer, arrival);
    arrival.start(!(connection instanceof UnsecuredConnection));
    return arrival;
  }

  #mayEnter(remoteAddress: string): boolean {
    if (this.farewell !== undefined) {
      this.refusals.refused({ code: "draining", reason: "draining", sessionId: "", remoteAddress, retryAfterMs: 0 });
      return false;
    }
    if (this.#refusal !== "") {
      const reason = this.#refusal;
      this.refusals.refused({ code: "overloaded", reason, sessionId: "", remoteAddress, retryAfterMs: 0 });
      return false;
    }
    const limit = this.#lacking(peerOf(remoteAddress));
    if (limit !== undefined) this.#turnedAway(limit, remoteAddress);
    return limit === undefined;
  }

  #turnedAway(limit: PlainLimitName, remoteAddress: string): void {
    this.refusals.turnAway(limit, TOO_MANY[limit], remoteAddress, this.outside.clock.now());
  }

  /** The limit that a new client of this address has met. Others may give way to it. */
  #lacking(peer: string): PlainLimitName | undefined {
    const { connections, handshakes, connectionsPerAddress } = this.#limits;
    const nowMs = this.outside.clock.now();
    if (!this.#accepts.take(peer, nowMs)) return "acceptsPerSecond";
    if (peer !== "" && this.#clients.countOf(peer) >= connectionsPerAddress) return "connectionsPerAddress";
    const limit =
      this.#arrivals.size >= handshakes ? "handshakes" : this.#clients.size >= connections ? "connections" : undefined;
    if (limit !== undefined && this.#arrivals.size === 0) return limit;
    if (!this.#opens.take(peer, nowMs)) return "opensPerSecond";
    if (limit !== undefined) this.#evict(limit);
    return undefined;
  }

  /** Closes a connection that is not let in yet, of the address with most of these. */
  #evict(limit: PlainLimitName): void {
    const arrival = this.#arrivals.pick(this.outside.entropy.random());
    if (arrival === undefined) return;
    this.#turnedAway(limit, arrival.remoteAddress);
    arrival.giveUp(TOO_MANY[limit]);
  }

  #onLetIn(arrival: Arrival, served: PlainServerLink): void {
    this.#arrivals.delete(arrival.peer, arrival);
    this.#links.set(served, arrival);
    this.letIn(served);
  }

  #onOver(arrival: Arrival): void {
    this.#arrivals.delete(arrival.peer, arrival);
    this.#clients.delete(arrival.peer, arrival);
  }

  protected override onGone(served: PlainServerLink): void {
    const arrival = this.#links.get(served);
    this.#links.delete(served);
    this.#severed.delete(served);
    if (arrival !== undefined) this.#onOver(arrival);
  }

  protected override isLeft({ core }: PlainServerLink): boolean {
    return core.takesNoMore;
  }

  protected override askAway(served: PlainServerLink): number | undefined {
    return served.shed() ? 0 : undefined;
  }

  /** Clients that are not resplice have no second connections. */
  override refuse(what: Refusable, why: string): void {
    if (what === "sessions") this.#refusal = why;
  }

  override dropOldestArrivals(most: number): number {
    const dropped = oldest(this.#arrivals.items(), most);
    for (const { remoteAddress } of dropped) {
      this.refusals.refused({
        code: "overloaded",
        reason: "overloaded",
        sessionId: "",
        remoteAddress,
        retryAfterMs: 0,
      });
    }
    for (const arrival of dropped) arrival.giveUp("overloaded");
    return dropped.length;
  }

  protected override get sharedIncomingBytes(): number {
    return this.memory.windowBudget.lentBytes;
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A handler may answer what it was handed; then its link ends. Nobody is let in any more. */
  async drain(options: CloseOptions): Promise<Map<Link, LinkReport>> {
    const { deadlineMs } = this.beginFarewell(options);
    this.#giveUpArrivals("the server goes away");
    this.sendAllAway(options, deadlineMs);
    const reports = new Map<Link, LinkReport>();
    await this.report(reports);
    return reports;
  }

  #giveUpArrivals(reason: string): void {
    for (let next = this.#arrivals.takeInTurn(); next !== undefined; next = this.#arrivals.takeInTurn()) {
      next.giveUp(reason);
    }
  }

  protected override sendAway(served: PlainServerLink, options: CloseOptions): void {
    served.leave(options);
  }

  override stop(): void {
    this.#giveUpArrivals("stopped");
    super.stop();
    this.#links.clear();
    this.#severed.clear();
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  override get handshaking(): number {
    return this.#arrivals.size;
  }

  protected override get sessions(): number {
    return this.#links.size;
  }

  protected override holders(): Iterable<{ readonly heldBytes: number }> {
    return Array.from(this.#links.keys(), ({ core }) => core);
  }
}
