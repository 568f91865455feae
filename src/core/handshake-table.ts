/** Connections that speak for no session yet: what each has said, and what it has to say next. */
import { Channel } from "./channel.ts";
import { frameMask } from "./decoder.ts";
import type { Fault } from "./faults.ts";
import { encodeRefuse, type Frame, type HelloFrame, type Positions, type RefuseCode } from "./frames.ts";
import type { Owner } from "./handshake.ts";
import type { ServerLink } from "./server-link.ts";

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
  | { name: "authenticating"; said: HelloFrame; reset: ResetFrame | undefined; link: ServerLink | undefined }
  /** WELCOME is answered with CONFIRM. `positions`: what the client has stated for the session. */
  | { name: "confirming"; link: ServerLink; nonce: Buffer; positions: Positions }
  /** READY is answered with COMMIT, or not. */
  | { name: "standing-by"; link: ServerLink; owner: Owner }
  | { name: "over"; link: ServerLink | undefined };

export class Handshake {
  readonly channel: Channel;
  state: HandshakeState = { name: "silent" };
  /** For logs: the session that HELLO named. */
  sessionId = "";

  constructor(id: number, nowMs: number) {
    this.channel = new Channel(id, HELLO_FRAMES, nowMs);
  }

  /** The link that it speaks for now. */
  get link(): ServerLink | undefined {
    const { state, channel } = this;
    return state.name === "over" && state.link?.adopted === channel ? state.link : undefined;
  }

  authenticating(said: HelloFrame, link: ServerLink | undefined): void {
    this.state = { name: "authenticating", said, reset: undefined, link };
    this.channel.decoder.expect = WAITING_FRAMES;
  }

  confirming(link: ServerLink, nonce: Buffer, positions: Positions): void {
    this.state = { name: "confirming", link, nonce, positions };
    this.channel.decoder.expect = PROVISIONAL_FRAMES;
  }

  standingBy(link: ServerLink, owner: Owner): void {
    this.state = { name: "standing-by", link, owner };
    this.channel.decoder.expect = STANDBY_FRAMES;
  }

  /** With a link: it speaks for that now. */
  over(link?: ServerLink): void {
    this.state = { name: "over", link };
  }
}

export interface HandshakeTableOptions {
  /** From a connection's opening to its WELCOME, and from there to CONFIRM. */
  handshakeMs: number;
  /** Connections in a handshake; above, the oldest is dropped. */
  maxHandshakes: number;
}

export type HandshakeEvent =
  | { type: "refused"; channel: number; code: RefuseCode; reason: string; sessionId: string; retryAfterMs: number }
  | { type: "close-connection"; channel: number; last: Buffer[]; reason: string; fault: Fault | undefined };

export class HandshakeTable {
  readonly #options: HandshakeTableOptions;
  readonly #events: { push(event: HandshakeEvent): unknown };
  /** Oldest first. */
  readonly #handshakes = new Map<number, Handshake>();

  constructor(options: HandshakeTableOptions, events: { push(event: HandshakeEvent): unknown }) {
    this.#options = options;
    this.#events = events;
  }

  get size(): number {
    return this.#handshakes.size;
  }

  get(id: number): Handshake | undefined {
    return this.#handshakes.get(id);
  }

  transmit(id: number): Buffer[] {
    const out: Buffer[] = [];
    this.#handshakes.get(id)?.channel.drainInto(out);
    return out;
  }

  open(id: number, nowMs: number): void {
    if (this.#handshakes.size >= this.#options.maxHandshakes) {
      const [oldest] = this.#handshakes.values();
      if (oldest !== undefined) this.close(oldest, "too many handshakes", undefined);
    }
    this.#handshakes.set(id, new Handshake(id, nowMs));
  }

  /** The connection is gone. Answers whether it was one of these. */
  lost(id: number): boolean {
    const handshake = this.#handshakes.get(id);
    if (handshake === undefined) return false;
    handshake.over();
    handshake.channel.close();
    return this.#handshakes.delete(id);
  }

  attached(handshake: Handshake, link: ServerLink): void {
    handshake.over(link);
    this.#handshakes.delete(handshake.channel.id);
  }

  close(handshake: Handshake, reason: string, problem: Fault | undefined): void {
    const { channel } = handshake;
    handshake.over();
    this.#handshakes.delete(channel.id);
    const last: Buffer[] = [];
    channel.drainInto(last);
    channel.close();
    this.#events.push({ type: "close-connection", channel: channel.id, last, reason, fault: problem });
  }

  refuse(handshake: Handshake, code: RefuseCode, reason: string, retryAfterMs: number): void {
    const { channel, sessionId } = handshake;
    channel.send(encodeRefuse(code, retryAfterMs));
    this.#events.push({ type: "refused", channel: channel.id, code, reason, sessionId, retryAfterMs });
    this.close(handshake, code, undefined);
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
