/**
 * The rates at which the links of a server are handed messages: each link, and all links of an identity and of an
 * address together. A link above a rate is held: its consumer is handed nothing, so that its window fills and its
 * client has to wait. The connection is still read as far as the window goes, so acknowledgements and keepalive pass.
 */
import { type Rate, SharedRate } from "../core/server/shared-rate.ts";
import type { Clock, Timer } from "../link/ports.ts";
import type { Pace, PacedTurn } from "../link/turn.ts";
import { peerOf } from "./peer.ts";

/** Whose links share a rate. */
export type RateScope = "link" | "identity" | "address";
/** A scope that is not there has no limit. */
export type ResolvedRates = Readonly<Partial<Record<RateScope, Rate>>>;

/** The parts of a link that its rates depend on. */
export interface PacedLink {
  readonly identity: string | undefined;
  readonly driver: { readonly remoteAddress: string | undefined };
}

/** Links that wait are served for so long, then other work has its turn. */
const SERVING_MS = 1;

export class Rates {
  /** How often a link was held, by the scope of the rate that it had reached. Since the beginning. */
  readonly held: Record<RateScope, number> = { link: 0, identity: 0, address: 0 };
  /** Rises when other rates are set. */
  version = 0;
  readonly #clock: Clock;
  #rates: ResolvedRates;
  readonly #paces = new Set<LinkPace>();
  /** An entry lives as long as it has links. */
  readonly #groups = new Map<string, Group>();
  #links = 0;

  constructor(rates: ResolvedRates, clock: Clock) {
    this.#rates = rates;
    this.#clock = clock;
  }

  get isLimited(): boolean {
    const { link, identity, address } = this.#rates;
    return link !== undefined || identity !== undefined || address !== undefined;
  }

  /** Groups of links that share a rate; a link with a rate of its own is one. */
  get groups(): number {
    return this.#groups.size;
  }

  /** Sets other rates, also for the links that are here. The buckets keep their fill, as far as it fits. */
  set(rates: ResolvedRates): void {
    this.#rates = rates;
    this.version++;
    const nowMs = this.#clock.now();
    for (const { scope, shared } of this.#groups.values()) {
      const rate = rates[scope];
      if (rate !== undefined) shared.set(rate, nowMs);
    }
    for (const pace of this.#paces) this.#clock.spread(LinkPace.lookAgain, pace);
  }

  paceOf(link: PacedLink): LinkPace {
    const pace = new LinkPace(link, ++this.#links, this, this.#clock);
    this.#paces.add(pace);
    return pace;
  }

  forget(pace: LinkPace): void {
    this.#paces.delete(pace);
  }

  /** Adds a link to the group of that scope and name; undefined if the scope has no limit. */
  join(scope: RateScope, name: string | number): Group | undefined {
    const rate = this.#rates[scope];
    if (rate === undefined) return undefined;
    const key = `${scope} ${name}`;
    const group = this.#groups.get(key) ?? new Group(scope, key, rate, this.#clock);
    this.#groups.set(key, group);
    group.links++;
    return group;
  }

  leave(group: Group): void {
    if (--group.links > 0) return;
    group.stop();
    this.#groups.delete(group.key);
  }
}

/** The links that share one rate. */
class Group {
  readonly scope: RateScope;
  readonly key: string;
  readonly shared: SharedRate<LinkPace>;
  links = 0;
  readonly #clock: Clock;
  readonly #timer: Timer;

  constructor(scope: RateScope, key: string, rate: Rate, clock: Clock) {
    this.scope = scope;
    this.key = key;
    this.#clock = clock;
    this.shared = new SharedRate(rate, clock.now());
    this.#timer = clock.timer(() => this.#serve());
  }

  hold(pace: LinkPace, nowMs: number): void {
    this.shared.wait(pace);
    this.#timer.set(this.shared.nextMs(nowMs));
  }

  /** Each link that is served takes what it may before the next one is. */
  #serve(): void {
    let nowMs = this.#clock.now();
    const untilMs = nowMs + SERVING_MS;
    try {
      while (nowMs < untilMs) {
        const next = this.shared.next(nowMs);
        if (next === undefined) break;
        next.serve();
        nowMs = this.#clock.now();
      }
    } finally {
      // Also if one has thrown: the others wait still.
      this.#timer.set(this.shared.nextMs(nowMs));
    }
  }

  stop(): void {
    this.#timer.clear();
  }
}

export class LinkPace implements Pace {
  readonly #link: PacedLink;
  readonly #number: number;
  readonly #rates: Rates;
  readonly #clock: Clock;
  #groups: Group[] = [];
  /** The rates that the groups were chosen by. */
  #version = -1;
  /** The address that the group of the address was chosen by: of the connection in use, or of the last one. */
  #remoteAddress = "";
  /** The messages and bytes that the groups were charged for. */
  #messages = 0;
  #bytes = 0;
  /** The link waits in the line of this group. */
  #waitsIn: Group | undefined;
  #turn: PacedTurn | undefined;
  /** The link is being served from a line, and so waits behind nobody. */
  #isServed = false;
  #isOver = false;

  /** `number` is different for each link. */
  constructor(link: PacedLink, number: number, rates: Rates, clock: Clock) {
    this.#link = link;
    this.#number = number;
    this.#rates = rates;
    this.#clock = clock;
  }

  allows(turn: PacedTurn, nowMs: number): boolean {
    if (this.#isOver) return true;
    const { remoteAddress = this.#remoteAddress } = this.#link.driver;
    this.charge(turn, nowMs);
    if (this.#version !== this.#rates.version || remoteAddress !== this.#remoteAddress) {
      this.#join(remoteAddress);
      this.#note(turn);
    }
    for (const group of this.#groups) {
      const { shared } = group;
      if (shared.hasRoom(nowMs) && (this.#isServed || !shared.isAwaited)) continue;
      this.#turn = turn;
      this.#waitsIn = group;
      this.#rates.held[group.scope]++;
      group.hold(this, nowMs);
      return false;
    }
    return true;
  }

  /** Charges the groups for what was handed out since they were charged last. */
  charge(turn: PacedTurn, nowMs: number): void {
    // Messages that were handed out before there were these rates are not owed.
    if (this.#version !== this.#rates.version) return;
    const { messages, bytes } = turn.handed;
    for (const { shared } of this.#groups) shared.charge(messages - this.#messages, bytes - this.#bytes, nowMs);
    this.#note(turn);
  }

  #note({ handed: { messages, bytes } }: PacedTurn): void {
    this.#messages = messages;
    this.#bytes = bytes;
  }

  /** Joins the groups that the link belongs to now. A group that it is in already goes on. */
  #join(remoteAddress: string): void {
    this.#version = this.#rates.version;
    this.#remoteAddress = remoteAddress;
    const { identity } = this.#link;
    const before = this.#groups;
    this.#groups = [
      this.#rates.join("link", this.#number),
      identity === undefined ? undefined : this.#rates.join("identity", identity),
      // Clients without an address are not one client.
      remoteAddress === "" ? undefined : this.#rates.join("address", peerOf(remoteAddress)),
    ].filter((group) => group !== undefined);
    for (const group of before) this.#rates.leave(group);
  }

  /** The link's turn in the line has come. */
  serve(): void {
    const turn = this.#turn;
    this.#waitsIn = undefined;
    if (turn === undefined) return;
    this.#isServed = true;
    try {
      turn.goOn();
    } finally {
      this.#isServed = false;
    }
    this.charge(turn, this.#clock.now());
  }

  /** Other rates were set. */
  static lookAgain(this: void, pace: LinkPace): void {
    const group = pace.#waitsIn;
    if (group === undefined) return;
    group.shared.leave(pace);
    pace.#waitsIn = undefined;
    pace.#turn?.goOn();
  }

  /** The link is gone. */
  end(): void {
    this.#isOver = true;
    this.#waitsIn?.shared.leave(this);
    this.#waitsIn = this.#turn = undefined;
    for (const group of this.#groups) this.#rates.leave(group);
    this.#groups = [];
    this.#rates.forget(this);
  }
}
