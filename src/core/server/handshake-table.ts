/** Connections that speak for no session yet: what each has said, and what it has to say next. */
import { Channel } from "../session/channel.ts";
import { Crowd } from "./crowd.ts";
import { frameMask } from "../wire/decoder.ts";
import type { Fault } from "../wire/faults.ts";
import {
  encodeReason,
  encodeRefuse,
  type Frame,
  type HelloFrame,
  type Positions,
  type RefuseCode,
} from "../wire/frames.ts";
import type { Owner } from "../session/proof.ts";
import type { ServerLinkCore } from "./link-core.ts";

type ResetFrame = Extract<Frame, { type: "reset" }>;

const HELLO_FRAMES = frameMask("hello", "standby");
const WAITING_FRAMES = frameMask("reset", "ping", "pong");
const PROVISIONAL_FRAMES = frameMask("confirm", "reset", "ping", "pong");
const STANDBY_FRAMES = frameMask("commit", "ping", "pong");

type HandshakeState =
  | { name: "silent" }
  /**
   * `reset`: a client that only wants to tell of a reset sends it right behind its HELLO. `link`: what it resumes or stands
   * by for, as was found when it said so, and proven.
   */
  | { name: "authenticating"; said: HelloFrame; reset: ResetFrame | undefined; link: ServerLinkCore | undefined }
  /** WELCOME is answered with CONFIRM. `positions`: what the client has stated for the session. */
  | { name: "confirming"; link: ServerLinkCore; nonce: Buffer; positions: Positions }
  /** READY is answered with COMMIT, or not. */
  | { name: "standing-by"; link: ServerLinkCore; owner: Owner }
  | { name: "over"; link: ServerLinkCore | undefined };

export class Handshake {
  readonly channel: Channel;
  /** Where it comes from. */
  readonly peer: string;
  state: HandshakeState = { name: "silent" };
  /** For logs: the session that HELLO named. */
  sessionId = "";
  /** Of the verdict on it. */
  claims: unknown;

  constructor(id: number, peer: string, nowMs: number) {
    this.channel = new Channel(id, HELLO_FRAMES, nowMs);
    this.peer = peer;
  }

  /** The link that it speaks for now. */
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

  /** With a link: it speaks for that now. */
  over(link?: ServerLinkCore): void {
    this.state = { name: "over", link };
  }
}

/** By what a client was turned away: the names of a server's limits. */
export type LimitName =
  | "connections"
  | "handshakes"
  | "authenticating"
  | "sessions"
  | "sessionsPerIdentity"
  | "opensPerSecond"
  | "resumesPerSecond"
  | "standbysPerSecond";

export interface HandshakeTableOptions {
  /** From a connection's opening to its WELCOME, and from there to CONFIRM. */
  handshakeMs: number;
  /** Connections in a handshake. */
  maxHandshakes: number;
}

/**
 * The part that each kind of those that have said HELLO has: strangers and those that are known until they are
 * authenticated, those that are to confirm, and standbys. So no kind keeps out the others, nor those that come.
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
  /** Oldest first. */
  readonly #handshakes = new Map<number, Handshake>();
  /** Those that have not said HELLO, by where they come from. */
  readonly #silent = new Crowd<Handshake>();
  /** One for each session: a client has no more. */
  readonly #standbys = new Map<ServerLinkCore, Handshake>();

  /** @param onOver hears of each that has left the table, whatever became of it */
  constructor(
    options: HandshakeTableOptions,
    events: { push(event: HandshakeEvent): unknown },
    onOver: (id: number) => void,
  ) {
    this.#options = options;
    this.#events = events;
    this.#onOver = onOver;
  }

  get size(): number {
    return this.#handshakes.size;
  }

  /** Those that have said HELLO. */
  get introduced(): number {
    return this.#handshakes.size - this.#silent.size;
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
    return handshake;
  }

  /** Who gives way to others: one that has not said HELLO, of where most of those come from. */
  pickSilent(random: number): Handshake | undefined {
    return this.#silent.pick(random);
  }

  /** It has said HELLO. */
  authenticating(handshake: Handshake, said: HelloFrame, link: ServerLinkCore | undefined): void {
    this.#silent.delete(handshake.peer, handshake);
    handshake.authenticating(said, link);
  }

  standingBy(handshake: Handshake, link: ServerLinkCore, owner: Owner): void {
    const before = this.#standbys.get(link);
    if (before !== undefined) this.close(before, "replaced by a newer standby", undefined);
    else if (this.#standbys.size >= quarterOf(this.#options)) this.#giveUpStandby();
    this.#standbys.set(link, handshake);
    handshake.standingBy(link, owner);
  }

  /** The oldest: what follows on READY takes a round trip. */
  #giveUpStandby(): void {
    const [oldest] = this.#standbys.values();
    if (oldest !== undefined) this.close(oldest, "too many standbys", undefined, "handshakes");
  }

  /** Those that were to confirm the session have nothing to confirm any more. */
  leave(link: ServerLinkCore, reason: string): void {
    for (const handshake of this.#handshakes.values()) {
      const { state } = handshake;
      if (state.name === "confirming" && state.link === link) this.close(handshake, reason, undefined);
    }
  }

  /** The connection is gone. Answers whether it was one of these. */
  lost(id: number): boolean {
    const handshake = this.#handshakes.get(id);
    if (handshake === undefined) return false;
    this.#over(handshake);
    handshake.channel.close();
    return true;
  }

  attached(handshake: Handshake, link: ServerLinkCore): void {
    this.#over(handshake, link);
  }

  #over(handshake: Handshake, link?: ServerLinkCore): void {
    const { channel, peer, state } = handshake;
    if (state.name === "standing-by" && this.#standbys.get(state.link) === handshake) this.#standbys.delete(state.link);
    handshake.over(link);
    this.#handshakes.delete(channel.id);
    this.#silent.delete(peer, handshake);
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

  /** `reason` is for logs; the client is told `told`, if that is not empty. `limit`: what there is too little of, where that is why. */
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

  /** When the oldest has taken too long; Infinity if there is none. */
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
