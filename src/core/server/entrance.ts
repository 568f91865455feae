/**
 * Decides which connections a server has room for, which give way when it is full, and when a client is authenticated.
 */
import { type Admission, noComings } from "./admission.ts";
import { AuthenticationQueue } from "./authentication-queue.ts";
import type { Hello, HelloFrame, RefuseCode } from "../wire/frames.ts";
import { type Entropy, ownerOf } from "../session/proof.ts";
import type { Handshake, HandshakeTable, HandshakeTableOptions, LimitName } from "./handshake-table.ts";
import type { ServerLinkCore } from "./link-core.ts";
import type { SessionTable } from "./session-table.ts";
import { ComeBackTimes, mostRetryMs, overloadedRetryMs } from "./come-back-times.ts";

export interface EntranceOptions extends HandshakeTableOptions {
  /** Connections that speak for a session, or are in a handshake. A few more may come in, to resume or to stand by. */
  maxConnections: number;
  /** The same for the connections of one address. Clients without an address, "", have no such limit. */
  maxConnectionsPerAddress: number;
  /** Calls of the application's function under way at once. */
  maxAuthenticating: number;
  /** A session waits so long for its client. */
  resumeForMs: number;
  admission: Pick<Admission, "accept" | "open" | "comeBack">;
}

/** Answer with `authenticated()`. */
export interface AuthenticateEvent {
  type: "authenticate";
  channel: number;
  credentials: Buffer;
  /** The open payload of the session. For a session that is here it is that session's, whatever HELLO says. */
  openPayload: Buffer;
  /** HELLO or STANDBY names a session that is here, and proves that the client knows its secret. */
  proven: boolean;
  /** That session. */
  link: ServerLinkCore | undefined;
}

/** A client that is turned away without a time of its own comes back after this time, at the earliest. */
const RETRY_MS = 1_000;
/** The number of those clients that are told to come back in each second. */
const TURNED_AWAY_PER_SECOND = 1_000;
/**
 * The same for connections that are turned away before HELLO was read. Such a client may have a session here, so it
 * does not wait behind all the connections that never say anything. An honest crowd is also spread by its clients' own
 * backoff.
 */
export const AT_DOOR = { retryMs: 250, perSecond: 4_000, mostMs: 750 } as const;
/** The limits that a connection may meet before anything is known of its client, with the reasons for logs. */
const TOO_MANY = {
  connections: "too many connections",
  connectionsPerAddress: "too many connections of this address",
  handshakes: "too many handshakes",
  acceptsPerSecond: "too many accepts",
} as const satisfies Partial<Record<LimitName, string>>;
type DoorLimit = keyof typeof TOO_MANY;
/** Places above `maxConnections`: a tenth of it, within these. */
const SPARE = [2, 100] as const;

/**
 * Half of them are for clients that come back and find the server full. The others are for clients that take over from
 * a connection of their own, and for reading the HELLO of newcomers.
 */
export function sparePlaces(maxConnections: number): number {
  const [least, most] = SPARE;
  return Math.min(most, Math.max(least, Math.ceil(maxConnections / 10)));
}

export class Entrance {
  readonly #options: EntranceOptions;
  readonly #handshakes: HandshakeTable;
  readonly #sessions: SessionTable;
  readonly #events: { push(event: AuthenticateEvent): unknown };
  readonly #entropy: Entropy;
  readonly #authentications: AuthenticationQueue;
  readonly #turns: ComeBackTimes;
  readonly #turnsAtDoor: ComeBackTimes;

  constructor(
    options: EntranceOptions,
    handshakes: HandshakeTable,
    sessions: SessionTable,
    events: { push(event: AuthenticateEvent): unknown },
    entropy: Entropy,
  ) {
    this.#options = options;
    this.#handshakes = handshakes;
    this.#sessions = sessions;
    this.#events = events;
    this.#entropy = entropy;
    const random = (): number => entropy.random();
    this.#turns = new ComeBackTimes(random);
    this.#turnsAtDoor = new ComeBackTimes(random, AT_DOOR.mostMs);
    this.#authentications = new AuthenticationQueue(options, random);
  }

  /** Calls under way. */
  get authenticating(): number {
    return this.#authentications.size;
  }

  /** @param attached connections that speak for a session */
  open(id: number, peer: string, attached: number, nowMs: number): void {
    const limit = this.#options.admission.accept(peer, nowMs) ? this.#lacking(peer, attached) : "acceptsPerSecond";
    const hasRoom = limit === undefined || this.#makeRoom(limit, peer, attached, nowMs);
    const handshake = this.#handshakes.open(id, peer, nowMs);
    if (!hasRoom) this.#turnAway(handshake, TOO_MANY[limit], limit, nowMs);
  }

  #lacking(peer: string, attached: number): DoorLimit | undefined {
    const { maxConnections, maxHandshakes } = this.#options;
    const ofOne = this.#mostOf(peer);
    const { size } = this.#handshakes;
    if (this.#handshakes.countOf(peer) >= ofOne + sparePlaces(ofOne)) return "connectionsPerAddress";
    if (size >= maxHandshakes) return "handshakes";
    return attached + size >= maxConnections + sparePlaces(maxConnections) ? "connections" : undefined;
  }

  /** The most connections of `peer`. */
  #mostOf(peer: string): number {
    return peer === "" ? Infinity : this.#options.maxConnectionsPerAddress;
  }

  /** Makes room for a connection of `peer`, which has met the limit. Answers whether that was possible. */
  #makeRoom(limit: DoorLimit, peer: string, attached: number, nowMs: number): boolean {
    // A connection that came too soon takes nobody's place.
    if (limit === "acceptsPerSecond") return false;
    if (this.#evict(limit, peer, nowMs)) return true;
    // The session that would be given up next may be that of another address.
    if (limit === "connectionsPerAddress") return false;
    // Give up an unconfirmed session: it may have a connection, which then makes room.
    return this.#sessions.giveUpOne(whoOf("", peer), nowMs) && this.#lacking(peer, attached) === undefined;
  }

  /** Closes a connection that has not said HELLO, to make room for one of `peer`. Answers whether there was one. */
  #evict(limit: DoorLimit, peer: string, nowMs: number): boolean {
    const random = this.#entropy.random();
    const isOfOne = limit === "connectionsPerAddress";
    const silent = isOfOne ? this.#handshakes.pickSilentOf(peer, random) : this.#handshakes.pickSilent(random);
    if (silent !== undefined) this.#turnAway(silent, TOO_MANY[limit], limit, nowMs);
    return silent !== undefined;
  }

  /** Turns a connection away before HELLO. Its client may be a stranger, or one that has a session here. */
  #turnAway(handshake: Handshake, reason: string, limit: LimitName | undefined, nowMs: number): void {
    const waitMs = AT_DOOR.retryMs + this.#turnsAtDoor.next(handshake.peer, AT_DOOR.perSecond, nowMs);
    this.#refuse(handshake, "overloaded", reason, waitMs, limit);
  }

  /** Refuses a client when it is unknown when there will be room. */
  comeBackLater(handshake: Handshake, code: RefuseCode, reason: string, nowMs: number, limit?: LimitName): void {
    const waitMs = RETRY_MS + this.#turns.next(handshake.peer, TURNED_AWAY_PER_SECOND, nowMs);
    this.#refuse(handshake, code, reason, waitMs, limit);
  }

  /** Refuses a client if there is a reason to. `why`: "" if there is none. */
  mayEnter(handshake: Handshake, why: string): boolean {
    if (why === "") return true;
    const waitMs = overloadedRetryMs(this.#entropy.random());
    this.#refuse(handshake, "overloaded", why, waitMs, undefined);
    return false;
  }

  /** Turns away at most so many connections that have not said HELLO, the oldest first. Answers how many. */
  dropSilent(most: number, nowMs: number): number {
    const oldest = this.#handshakes.oldestSilent(most);
    for (const handshake of oldest) this.#turnAway(handshake, "overloaded", undefined, nowMs);
    return oldest.length;
  }

  /**
   * Refuses a client. It is told to wait at most half the time that a session is kept, so that its own is still here
   * then.
   */
  #refuse(handshake: Handshake, code: RefuseCode, reason: string, waitMs: number, limit: LimitName | undefined): void {
    const mostMs = mostRetryMs(this.#options.resumeForMs);
    this.#handshakes.refuse(handshake, code, reason, Math.min(waitMs, mostMs), { limit });
  }

  // ── budgets a second ────────────────────────────────────────────────────────────────────────────────────────────

  /** Answers whether a client may open another session for `identity`. Refuses it if there is no room. */
  mayOpen(handshake: Handshake, identity: string, who: string, nowMs: number): boolean {
    const waitMs = this.#options.admission.open(who, nowMs);
    if (waitMs > 0) {
      this.#handshakes.refuse(handshake, "overloaded", "too many opens", waitMs, { limit: "opensPerSecond" });
      return false;
    }
    const limit = this.#sessions.makeRoom(identity, who, nowMs);
    if (limit !== undefined) this.comeBackLater(handshake, "overloaded", "no room for a session", nowMs, limit);
    return limit === undefined;
  }

  /** A session that HELLO has proven to be its client's. Refused, it is kept as long as if it had been let in. */
  mayComeBack(
    handshake: Handshake,
    link: ServerLinkCore,
    kind: "resume" | "standby",
    hello: Hello,
    nowMs: number,
  ): boolean {
    const { admission, handshakeMs, resumeForMs } = this.#options;
    const leftMs = link.session.phase === "provisional" ? handshakeMs : resumeForMs;
    link.comings ??= noComings();
    const who = whoOf(link.identity, handshake.peer);
    const waitMs = admission.comeBack(kind, who, link.comings, leftMs, this.#authentications.isCalm, nowMs);
    if (waitMs === 0) return true;
    this.#keep(link, hello, nowMs);
    this.#handshakes.refuse(handshake, "overloaded", `too many ${kind}s`, waitMs, { limit: `${kind}sPerSecond` });
    return false;
  }

  #keep(link: ServerLinkCore, hello: Hello, nowMs: number): void {
    this.#sessions.keep(link, nowMs);
    link.extend(ownerOf(hello), nowMs);
  }

  // ── who they are ────────────────────────────────────────────────────────────────────────────────────────────────

  /** HELLO was read: the client is to be authenticated. `link`: the session that it has proven to be its own. */
  introduce(
    handshake: Handshake,
    said: HelloFrame,
    link: ServerLinkCore | undefined,
    attached: number,
    nowMs: number,
  ): void {
    this.#handshakes.authenticating(handshake, said, link);
    const limit =
      link?.adopted === undefined ? this.#mayNotStay(handshake.peer, link !== undefined, attached) : undefined;
    if (limit !== undefined) {
      const why = TOO_MANY[limit];
      if (link === undefined) return this.comeBackLater(handshake, "overloaded", why, nowMs, limit);
      this.#keep(link, said.hello, nowMs);
      return this.#turnAway(handshake, why, limit, nowMs);
    }
    const isKnown = link !== undefined && link.session.phase !== "provisional";
    const who = whoOf(isKnown ? link.identity : "", handshake.peer);
    this.#authentications.ask(handshake.channel.id, who, isKnown, nowMs);
    this.proceed(nowMs);
  }

  /**
   * HELLO was read, and names a session of another server. Answers whether that server is to be reached; refuses the
   * client otherwise. Its proof cannot be checked here, so it has none of the room that is kept for clients that come
   * back.
   */
  mayForward(handshake: Handshake, said: HelloFrame, attached: number, nowMs: number): boolean {
    const hasRoom = this.#handshakes.forwards.hasRoomFor(handshake.sessionId);
    const givesWay = this.#handshakes.elsewhere(handshake, said, this.#entropy.random());
    const limit = this.#mayNotStay(handshake.peer, false, attached);
    if (!hasRoom) {
      this.comeBackLater(handshake, "overloaded", "too many for one session", nowMs, "handshakes");
    } else if (limit !== undefined) {
      this.comeBackLater(handshake, "overloaded", TOO_MANY[limit], nowMs, limit);
    } else if (givesWay !== undefined) {
      this.comeBackLater(givesWay, "overloaded", "too many wait for another server", nowMs, "handshakes");
    }
    return !handshake.channel.closed;
  }

  /**
   * The limit by which there is no place for the connection in the end. Those that have not said HELLO have none: they
   * give way when theirs is needed.
   */
  #mayNotStay(peer: string, isBack: boolean, attached: number): DoorLimit | undefined {
    const { maxConnections } = this.#options;
    const mostOf = (max: number): number => max + (isBack ? Math.floor(sparePlaces(max) / 2) : 0);
    if (this.#handshakes.introducedOf(peer) > mostOf(this.#mostOf(peer))) return "connectionsPerAddress";
    return attached + this.#handshakes.introduced > mostOf(maxConnections) ? "connections" : undefined;
  }

  answered(id: number, nowMs: number): void {
    this.#authentications.answered(id, nowMs);
  }

  /** A connection is in no handshake any more. */
  left(id: number): void {
    this.#authentications.left(id);
  }

  /** Begins as many authentications as are allowed at once, and refuses clients that would wait too long for theirs. */
  proceed(nowMs: number): void {
    const waiting = this.#authentications;
    for (let id = waiting.next(nowMs); id !== undefined; id = waiting.next(nowMs)) this.#ask(id);
    for (let late = waiting.hopeless(nowMs); late !== undefined; late = waiting.hopeless(nowMs)) {
      const handshake = this.#handshakes.get(late.id);
      if (handshake?.state.name !== "authenticating") continue;
      const { link, said } = handshake.state;
      if (link !== undefined) this.#keep(link, said.hello, nowMs);
      this.#refuse(handshake, "overloaded", "too many to be authenticated", late.retryAfterMs, "authenticating");
    }
  }

  #ask(id: number): void {
    const handshake = this.#handshakes.get(id);
    if (handshake?.state.name !== "authenticating") return;
    const { said, link } = handshake.state;
    handshake.asks = link?.asks ?? 0;
    this.#events.push({
      type: "authenticate",
      channel: id,
      credentials: said.hello.credentials,
      openPayload: link?.openPayload ?? said.hello.openPayload,
      proven: link !== undefined,
      link,
    });
  }

  get nextTimeoutMs(): number {
    return this.#authentications.nextTimeoutMs;
  }

  tick(nowMs: number): void {
    this.#authentications.tick(nowMs);
    this.proceed(nowMs);
  }
}

/** The name under which a client draws on a budget: its identity if it has one, else its address. */
export function whoOf(identity: string, peer: string): string {
  return identity === "" ? `at ${peer}` : `is ${identity}`;
}
