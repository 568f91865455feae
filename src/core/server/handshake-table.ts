/** Connections that speak for no session yet: the frames that each has sent, and the frame that it has to send next. */
import { Channel } from "../session/channel.ts";
import { Crowd } from "./crowd.ts";
import { Tally } from "./tally.ts";
import { frameMask } from "../wire/frame-rules.ts";
import type { Fault } from "../wire/faults.ts";
import {
  encodeLater,
  encodeReason,
  encodeRefuse,
  type Frame,
  type HelloFrame,
  type Positions,
  type RefuseCode,
} from "../wire/frames.ts";
import type { Owner } from "../session/proof.ts";
import { Forwards } from "./forwards.ts";
import type { ServerLinkCore } from "./link-core.ts";

export type ResetFrame = Extract<Frame, { type: "reset" }>;

const HELLO_FRAMES = frameMask("hello", "standby");
const WAITING_FRAMES = frameMask("reset", "ping", "pong");
const PROVISIONAL_FRAMES = frameMask("confirm", "reset", "ping", "pong");
const STANDBY_FRAMES = frameMask("commit", "ping", "pong");

/** A resume or a COMMIT that waits until the store has answered. */
export type AdoptionRequest =
  | {
      by: "resume";
      said: HelloFrame;
      reset: ResetFrame | undefined;
      /** The session that authentication was about: it was in memory, and its proof was checked. */
      link: ServerLinkCore | undefined;
      identity: string;
    }
  | { by: "commit"; link: ServerLinkCore; owner: Owner; positions: Positions };

type HandshakeState =
  | { name: "silent" }
  /**
   * `reset`: a client that only wants to tell of a reset sends it right behind its HELLO. `link`: the link that it
   * resumes or stands by for; it was looked up, and the client's proof checked, when HELLO or STANDBY came.
   */
  | { name: "authenticating"; said: HelloFrame; reset: ResetFrame | undefined; link: ServerLinkCore | undefined }
  /** The client is to answer WELCOME with CONFIRM. `positions`: those that it has stated for the session. */
  | { name: "confirming"; link: ServerLinkCore; nonce: Buffer; positions: Positions }
  /** The client may answer READY with COMMIT. */
  | { name: "standing-by"; link: ServerLinkCore; owner: Owner }
  /** The store was asked who may speak for the session. `token`: that of the session in memory, if it is here. */
  | { name: "adopting"; request: AdoptionRequest; token: number | undefined }
  /** Another server has opened the session that the client names, and is being reached. */
  | { name: "elsewhere"; said: HelloFrame }
  | { name: "over"; link: ServerLinkCore | undefined };

export class Handshake {
  readonly channel: Channel;
  /** The address of the client. */
  readonly peer: string;
  state: HandshakeState = { name: "silent" };
  /** Another server has forwarded the connection to this one. */
  isForwarded = false;
  /** The session that HELLO named, for logs and limits. */
  sessionId = "";
  /** The claims of the verdict on this connection, and the `asks` of its link when that was asked for. */
  claims: unknown;
  asks = 0;

  constructor(id: number, peer: string, nowMs: number) {
    this.channel = new Channel(id, HELLO_FRAMES, nowMs);
    this.peer = peer;
  }

  /** The link that the connection speaks for now. */
  get link(): ServerLinkCore | undefined {
    const { state, channel } = this;
    return state.name === "over" && state.link?.adopted === channel ? state.link : undefined;
  }

  authenticating(said: HelloFrame, link: ServerLinkCore | undefined): void {
    this.state = { name: "authenticating", said, reset: undefined, link };
    this.channel.decoder.expect = WAITING_FRAMES;
  }

  confirming(link: ServerLinkCore, nonce: Buffer, positions: Positions): void {
    this.state = { name: "confirming", link, nonce, positions };
    this.channel.decoder.expect = PROVISIONAL_FRAMES;
  }

  standingBy(link: ServerLinkCore, owner: Owner): void {
    this.state = { name: "standing-by", link, owner };
    this.channel.decoder.expect = STANDBY_FRAMES;
  }

  adopting(request: AdoptionRequest, token: number | undefined): void {
    this.state = { name: "adopting", request, token };
    this.channel.decoder.expect = WAITING_FRAMES;
  }

  elsewhere(said: HelloFrame): void {
    this.state = { name: "elsewhere", said };
    this.channel.decoder.hold();
  }

  /** The handshake is over. With a link: the connection speaks for that now. */
  over(link?: ServerLinkCore): void {
    this.state = { name: "over", link };
  }
}

/** The names of a server's limits, one of which a refused client has met. */
export const LIMIT_NAMES = [
  "connections",
  "handshakes",
  "authenticating",
  "sessions",
  "sessionsPerIdentity",
  "connectionsPerAddress",
  "acceptsPerSecond",
  "opensPerSecond",
  "resumesPerSecond",
  "standbysPerSecond",
] as const;
export type LimitName = (typeof LIMIT_NAMES)[number];

export interface HandshakeTableOptions {
  /** From a connection's opening to its WELCOME, and from there to CONFIRM. */
  handshakeMs: number;
  /** The most connections in a handshake. */
  maxHandshakes: number;
}

/**
 * The share of each kind of connection that has said HELLO: strangers and known clients until they are authenticated,
 * those that are to confirm, and standbys. So no kind keeps out the others, nor new connections. As many may wait for a
 * shared store, and as many for another server.
 */
export function quarterOf({ maxHandshakes }: { maxHandshakes: number }): number {
  return Math.max(1, Math.floor(maxHandshakes / 4));
}

export type HandshakeEvent =
  | { type: "refused"; channel: number; code: RefuseCode; reason: string; sessionId: string; retryAfterMs: number }
  | {
      type: "close-connection";
      channel: number;
      last: Buffer[];
      reason: string;
      fault: Fault | undefined;
      limit: LimitName | undefined;
    };

export class HandshakeTable {
  readonly #options: HandshakeTableOptions;
  readonly #events: { push(event: HandshakeEvent): unknown };
  readonly #onOver: (id: number) => void;
  /** All handshakes, oldest first. */
  readonly #handshakes = new Map<number, Handshake>();
  /** The connections that have not said HELLO, by address. */
  readonly #silent = new Crowd<Handshake>();
  /** By address, with the connections that have come to speak for a session. */
  readonly #peers = new Tally();
  /** The connection that is to confirm each provisional session: the newest. */
  readonly #confirming = new Map<ServerLinkCore, Handshake>();
  /** The standby of each session: a client has one at a time. */
  readonly #standbys = new Map<ServerLinkCore, Handshake>();
  /** The connections that wait for the answer of a shared store. */
  readonly #adopting = new Set<Handshake>();
  readonly forwards: Forwards<Handshake>;

  /** @param onOver is called for each handshake that has left the table, for whatever reason */
  constructor(
    options: HandshakeTableOptions,
    events: { push(event: HandshakeEvent): unknown },
    onOver: (id: number) => void,
  ) {
    this.#options = options;
    this.#events = events;
    this.#onOver = onOver;
    this.forwards = new Forwards(() => quarterOf(options));
  }

  get size(): number {
    return this.#handshakes.size;
  }

  /** The number of connections that have said HELLO. */
  get introduced(): number {
    return this.#handshakes.size - this.#silent.size;
  }

  /** The number of connections of that address, with those that speak for a session. */
  countOf(peer: string): number {
    return this.#peers.of(peer);
  }

  /** The number of these that have said HELLO. */
  introducedOf(peer: string): number {
    return this.countOf(peer) - this.#silent.countOf(peer);
  }

  get(id: number): Handshake | undefined {
    return this.#handshakes.get(id);
  }

  transmit(id: number): Buffer[] {
    const out: Buffer[] = [];
    this.#handshakes.get(id)?.channel.drainInto(out);
    return out;
  }

  open(id: number, peer: string, nowMs: number): Handshake {
    const handshake = new Handshake(id, peer, nowMs);
    this.#handshakes.set(id, handshake);
    this.#silent.add(peer, handshake);
    this.#peers.add(peer);
    return handshake;
  }

  /** The connection that gives way to others: one that has not said HELLO, from the address with most of those. */
  pickSilent(random: number): Handshake | undefined {
    return this.#silent.pick(random);
  }

  /** The same, among those of one address. */
  pickSilentOf(peer: string, random: number): Handshake | undefined {
    return this.#silent.pickOf(peer, random);
  }

  /** At most so many connections that have not said HELLO, the oldest first. */
  oldestSilent(most: number): Handshake[] {
    const oldest: Handshake[] = [];
    for (const handshake of this.#handshakes.values()) {
      if (oldest.length >= most) break;
      if (handshake.state.name === "silent") oldest.push(handshake);
    }
    return oldest;
  }

  /** The connection has said HELLO or STANDBY. */
  authenticating(handshake: Handshake, said: HelloFrame, link: ServerLinkCore | undefined): void {
    this.#silent.delete(handshake.peer, handshake);
    this.forwards.leave(handshake);
    handshake.authenticating(said, link);
  }

  /** The newest connection fences the older one. */
  confirming(handshake: Handshake, link: ServerLinkCore, nonce: Buffer, positions: Positions): void {
    this.leave(link, "fenced by a newer connection");
    this.#confirming.set(link, handshake);
    handshake.confirming(link, nonce, positions);
  }

  standingBy(handshake: Handshake, link: ServerLinkCore, owner: Owner): void {
    const before = this.#standbys.get(link);
    if (before !== undefined) this.close(before, "replaced by a newer standby", undefined);
    else if (this.#standbys.size >= quarterOf(this.#options)) this.#giveUpStandby();
    this.#standbys.set(link, handshake);
    handshake.standingBy(link, owner);
  }

  /**
   * The session's client is asked to come back later: its standby is told so, too. A client that does not know the word
   * takes the refusal.
   */
  sendAway(link: ServerLinkCore, retryAfterMs: number): void {
    const standby = this.#standbys.get(link);
    if (standby === undefined) return;
    standby.channel.send(encodeLater(retryAfterMs));
    this.refuse(standby, "overloaded", "shed", retryAfterMs);
  }

  /** As many connections wait for the store as may: a store that is slow keeps no others out. */
  get isStoreBusy(): boolean {
    return this.#adopting.size >= quarterOf(this.#options);
  }

  /** The store is asked. A COMMIT cannot be taken back, so no other standby takes the place of its connection. */
  adopting(handshake: Handshake, request: AdoptionRequest, token: number | undefined): void {
    this.#standsByNoMore(handshake);
    this.#adopting.add(handshake);
    handshake.adopting(request, token);
  }

  /** The store has answered. */
  adopted(handshake: Handshake): void {
    this.#adopting.delete(handshake);
  }

  /** The session's server is being reached. Answers a connection that gives way to this one, if too many wait for that. */
  elsewhere(handshake: Handshake, said: HelloFrame, random: number): Handshake | undefined {
    this.#silent.delete(handshake.peer, handshake);
    handshake.elsewhere(said);
    return this.forwards.wait(handshake, random);
  }

  /** That server was reached, and has the connection from now on. It counts for its address until it is closed. */
  forwarded(handshake: Handshake): void {
    this.#over(handshake);
    handshake.channel.close();
    this.forwards.begin(handshake);
    this.#peers.add(handshake.peer);
  }

  /** A connection is closed that may have been forwarded. */
  forwardEnded(id: number): void {
    const peer = this.forwards.end(id);
    if (peer !== undefined) this.detached(peer);
  }

  #standsByNoMore(handshake: Handshake): void {
    const { state } = handshake;
    if (state.name === "standing-by" && this.#standbys.get(state.link) === handshake) this.#standbys.delete(state.link);
  }

  /** Gives up the oldest standby: a client that is still there answers READY within a round trip. */
  #giveUpStandby(): void {
    const [oldest] = this.#standbys.values();
    if (oldest !== undefined) this.close(oldest, "too many standbys", undefined, "handshakes");
  }

  /** Closes the connection that was to confirm the session, if there is one. */
  leave(link: ServerLinkCore, reason: string): void {
    const handshake = this.#confirming.get(link);
    if (handshake !== undefined) this.close(handshake, reason, undefined);
  }

  /** The connection is gone. Answers whether it was in a handshake. */
  lost(id: number): boolean {
    const handshake = this.#handshakes.get(id);
    if (handshake === undefined) return false;
    this.#over(handshake);
    handshake.channel.close();
    return true;
  }

  /** The connection speaks for the link. It counts for its address until `detached()`. */
  attached(handshake: Handshake, link: ServerLinkCore): void {
    this.#over(handshake, link);
  }

  detached(peer: string): void {
    this.#peers.remove(peer);
  }

  #over(handshake: Handshake, link?: ServerLinkCore): void {
    const { channel, peer, state } = handshake;
    this.#standsByNoMore(handshake);
    if (state.name === "confirming") this.#confirming.delete(state.link);
    this.#adopting.delete(handshake);
    this.forwards.leave(handshake);
    handshake.over(link);
    this.#handshakes.delete(channel.id);
    this.#silent.delete(peer, handshake);
    if (link === undefined) this.detached(peer);
    this.#onOver(channel.id);
  }

  close(handshake: Handshake, reason: string, problem: Fault | undefined, limit?: LimitName): void {
    const { channel } = handshake;
    this.#over(handshake);
    const last: Buffer[] = [];
    channel.drainInto(last);
    channel.close();
    this.#events.push({ type: "close-connection", channel: channel.id, last, reason, fault: problem, limit });
  }

  /**
   * `reason` is for logs; `told` is sent to the client, if it is not empty. `limit`: the limit that was met, if one
   * was.
   */
  refuse(
    handshake: Handshake,
    code: RefuseCode,
    reason: string,
    retryAfterMs: number,
    { limit, told = "" }: { limit?: LimitName | undefined; told?: string } = {},
  ): void {
    const { channel, sessionId } = handshake;
    if (told !== "") channel.send(encodeReason(told));
    channel.send(encodeRefuse(code, retryAfterMs));
    this.#events.push({ type: "refused", channel: channel.id, code, reason, sessionId, retryAfterMs });
    this.close(handshake, code, undefined, limit);
  }

  /** When the oldest handshake has taken too long; Infinity if there is none. */
  get nextTimeoutMs(): number {
    const [oldest] = this.#handshakes.values();
    return oldest === undefined ? Infinity : oldest.channel.openedMs + this.#options.handshakeMs;
  }

  tick(nowMs: number): void {
    for (const handshake of this.#handshakes.values()) {
      if (handshake.channel.openedMs + this.#options.handshakeMs > nowMs) break;
      this.close(handshake, "handshake timed out", undefined);
    }
  }
}
