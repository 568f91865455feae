/** The sessions that a server keeps: their number, their owners, and how long an unconfirmed one is kept. */
import { Crowd } from "./crowd.ts";
import { Tally } from "./tally.ts";
import type { Hello } from "../wire/frames.ts";
import { type Entropy, newIncarnation, ownerOf, type SessionKeys } from "../session/proof.ts";
import { type LimitName, quarterOf } from "./handshake-table.ts";
import { ServerLinkCore, type ServerLinkCoreOptions } from "./link-core.ts";
import type { SessionSnapshot } from "../session/snapshot.ts";

export interface SessionTableOptions extends ServerLinkCoreOptions {
  /** Of this server, and of no other: see `newServerId()`. */
  serverId: string;
  maxSessions: number;
  maxSessionsPerIdentity: number;
  /** A quarter of these is for sessions that nobody has confirmed. */
  maxHandshakes: number;
  /** How long an unconfirmed session is kept. */
  handshakeMs: number;
}

/** A client needs a round trip to send CONFIRM: for so long its session does not give way to a later one. */
const MOST_ROUND_TRIP_MS = 1_000;

interface Unconfirmed {
  who: string;
  sinceMs: number;
  untilMs: number;
}

export class SessionTable {
  readonly #options: SessionTableOptions;
  readonly #entropy: Entropy;
  #lastOptions: ServerLinkCoreOptions;
  #lastPayload: Buffer = Buffer.alloc(0);
  readonly #links = new Map<string, ServerLinkCore>();
  readonly #perIdentity = new Tally();
  /** Sessions that nobody has confirmed; the one whose client was here longest ago is first. */
  readonly #provisional = new Map<ServerLinkCore, Unconfirmed>();
  /** The same sessions, by owner. */
  readonly #unconfirmed = new Crowd<ServerLinkCore>();
  readonly #onGivenUp: (link: ServerLinkCore) => void;
  /** One function for all links. */
  readonly #onForgotten = (link: ServerLinkCore): void => this.#forget(link);

  /** @param onGivenUp is called for an unconfirmed session that has given way to another */
  constructor(options: SessionTableOptions, entropy: Entropy, onGivenUp: (link: ServerLinkCore) => void) {
    this.#options = options;
    this.#onGivenUp = onGivenUp;
    this.#lastOptions = options;
    this.#entropy = entropy;
  }

  get size(): number {
    return this.#links.size;
  }

  get unconfirmed(): number {
    return this.#provisional.size;
  }

  get(id: string): ServerLinkCore | undefined {
    return this.#links.get(id);
  }

  /** The session of that id and incarnation: one of another incarnation is unknown. */
  find(id: string, incarnation: string): ServerLinkCore | undefined {
    const link = this.#links.get(id);
    return link?.session.incarnation === incarnation ? link : undefined;
  }

  links(): IterableIterator<ServerLinkCore> {
    return this.#links.values();
  }

  /**
   * Makes room for one more session; answers the limit that forbids it, if one does. Tombstones and sessions that wait
   * for their clients count as well. An unconfirmed session gives way, so a client that only asks for sessions keeps
   * nobody out.
   */
  makeRoom(identity: string, who: string, nowMs: number): LimitName | undefined {
    const { maxSessions, maxSessionsPerIdentity } = this.#options;
    if (this.#perIdentity.of(identity) >= maxSessionsPerIdentity) {
      const oldest = [...this.#provisional.keys()].find((link) => link.identity === identity);
      if (!this.#giveUp(oldest, who, nowMs)) return "sessionsPerIdentity";
    }
    if (this.#provisional.size >= quarterOf(this.#options) && !this.giveUpOne(who, nowMs)) return "handshakes";
    if (this.#links.size >= maxSessions && !this.giveUpOne(who, nowMs)) return "sessions";
    return undefined;
  }

  /**
   * Gives up the oldest unconfirmed session of the owner with most of them. Answers whether there was one to give up.
   */
  giveUpOne(who: string, nowMs: number): boolean {
    const [oldest] = this.#unconfirmed.largest;
    return this.#giveUp(oldest, who, nowMs);
  }

  /** Gives up the session if its client had enough time to confirm it, or if its owner has more of them than `who`. */
  #giveUp(link: ServerLinkCore | undefined, who: string, nowMs: number): boolean {
    const unconfirmed = link === undefined ? undefined : this.#provisional.get(link);
    if (link === undefined || unconfirmed === undefined) return false;
    const hadTime = nowMs - unconfirmed.sinceMs >= MOST_ROUND_TRIP_MS;
    const hasMore = this.#unconfirmed.countOf(unconfirmed.who) > this.#unconfirmed.countOf(who) + 1;
    if (!hadTime && !hasMore) return false;
    link.forgetProvisional();
    this.#onGivenUp(link);
    return true;
  }

  /** Makes a new session, which is to be confirmed. It leaves the table when it is gone. */
  open(keys: SessionKeys, hello: Hello, identity: string, who: string, nowMs: number): ServerLinkCore {
    const link = new ServerLinkCore(
      this.#optionsFor(Math.min(hello.maxMessageBytes, this.#options.maxMessageBytes)),
      keys,
      newIncarnation(this.#entropy, this.#options.serverId),
      { identity, openPayload: this.#payloadOf(hello), owner: ownerOf(hello) },
      this.#entropy,
    );
    this.#add(link);
    this.#provisional.set(link, { who, sinceMs: nowMs, untilMs: nowMs + this.#options.handshakeMs });
    this.#unconfirmed.add(who, link);
    return link;
  }

  /**
   * Goes on with a session that a snapshot was taken of, which waits for its client. No limit keeps it out, since it
   * was let in before; it counts for those that come later. An unconfirmed session of the same id gives way: it was
   * opened by a HELLO that is older than the snapshot. Throws if the session itself is here.
   */
  restore(snapshot: SessionSnapshot, nowMs: number): ServerLinkCore {
    const { keys, incarnation, maxMessageBytes } = snapshot;
    this.#links.get(keys.id)?.forgetProvisional();
    if (this.#links.has(keys.id)) throw new Error(`session ${keys.id} is here already`);
    const options = this.#optionsFor(maxMessageBytes);
    const link = new ServerLinkCore(options, keys, incarnation, snapshot, this.#entropy);
    link.restore(snapshot, nowMs);
    this.#add(link);
    return link;
  }

  #add(link: ServerLinkCore): void {
    this.#links.set(link.session.keys.id, link);
    this.#perIdentity.add(link.identity);
    link.onForgotten = this.#onForgotten;
  }

  /** All links of a client may have the same payload: those that are opened one after the other share it. */
  #payloadOf({ openPayload }: Hello): Buffer {
    if (!this.#lastPayload.equals(openPayload)) this.#lastPayload = openPayload;
    return this.#lastPayload;
  }

  /** The options for a message size. Most clients want the same size, and share one object. */
  #optionsFor(maxMessageBytes: number): ServerLinkCoreOptions {
    if (this.#lastOptions.maxMessageBytes !== maxMessageBytes) {
      this.#lastOptions = { ...this.#options, maxMessageBytes };
    }
    return this.#lastOptions;
  }

  /**
   * The session's client was here just now: if the session is still unconfirmed, it is kept for the full time again.
   */
  keep(link: ServerLinkCore, nowMs: number): void {
    const unconfirmed = this.#provisional.get(link);
    if (unconfirmed === undefined) return;
    unconfirmed.untilMs = nowMs + this.#options.handshakeMs;
    this.#provisional.delete(link);
    this.#provisional.set(link, unconfirmed);
  }

  /** The session waits for no CONFIRM any more: it was confirmed, or it is gone. */
  confirmed(link: ServerLinkCore): void {
    const unconfirmed = this.#provisional.get(link);
    if (unconfirmed === undefined) return;
    this.#provisional.delete(link);
    this.#unconfirmed.delete(unconfirmed.who, link);
  }

  #forget(link: ServerLinkCore): void {
    const { id } = link.session.keys;
    if (this.#links.get(id) !== link) return;
    this.#links.delete(id);
    this.confirmed(link);
    this.#perIdentity.remove(link.identity);
  }

  /** When the oldest session that is not confirmed is dropped; Infinity if there is none. */
  get nextTimeoutMs(): number {
    const [oldest] = this.#provisional.values();
    return oldest?.untilMs ?? Infinity;
  }

  tick(nowMs: number): void {
    for (const [link, { untilMs }] of this.#provisional) {
      if (untilMs > nowMs) break;
      link.forgetProvisional();
    }
  }
}
