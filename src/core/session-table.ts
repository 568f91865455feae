/** The sessions that a server keeps: how many, whose they are, and how long one is kept that nobody has confirmed. */
import type { Hello } from "./frames.ts";
import { type Entropy, newId, ownerOf, type SessionKeys } from "./handshake.ts";
import { ServerLink, type ServerLinkOptions } from "./server-link.ts";

export interface SessionTableOptions extends ServerLinkOptions {
  maxSessions: number;
  maxSessionsPerIdentity: number;
  /** A session that is not confirmed is kept so long. */
  handshakeMs: number;
}

export class SessionTable {
  readonly #options: SessionTableOptions;
  readonly #entropy: Entropy;
  #lastOptions: ServerLinkOptions;
  readonly #links = new Map<string, ServerLink>();
  readonly #perIdentity = new Map<string, number>();
  /** Sessions that nobody has confirmed, and until when they are kept; oldest first. */
  readonly #provisional = new Map<ServerLink, number>();

  constructor(options: SessionTableOptions, entropy: Entropy) {
    this.#options = options;
    this.#lastOptions = options;
    this.#entropy = entropy;
  }

  get size(): number {
    return this.#links.size;
  }

  get unconfirmed(): number {
    return this.#provisional.size;
  }

  get(id: string): ServerLink | undefined {
    return this.#links.get(id);
  }

  links(): IterableIterator<ServerLink> {
    return this.#links.values();
  }

  /** Tombstones and sessions that wait for their clients count as well. */
  hasRoomFor(identity: string): boolean {
    const { maxSessions, maxSessionsPerIdentity } = this.#options;
    return this.#links.size < maxSessions && (this.#perIdentity.get(identity) ?? 0) < maxSessionsPerIdentity;
  }

  /** A new session, which is to be confirmed. It takes itself out when it is gone. */
  open(keys: SessionKeys, hello: Hello, identity: string, nowMs: number): ServerLink {
    const link = new ServerLink(
      this.#optionsFor(Math.min(hello.maxMessageBytes, this.#options.maxMessageBytes)),
      keys,
      newId(this.#entropy),
      { identity, openPayload: hello.openPayload, owner: ownerOf(hello) },
      this.#entropy,
    );
    this.#links.set(keys.id, link);
    this.#perIdentity.set(identity, (this.#perIdentity.get(identity) ?? 0) + 1);
    this.#provisional.set(link, nowMs + this.#options.handshakeMs);
    link.onForgotten = () => this.#forget(link);
    return link;
  }

  /** Most clients want the same, and share them. */
  #optionsFor(maxMessageBytes: number): ServerLinkOptions {
    if (this.#lastOptions.maxMessageBytes !== maxMessageBytes) {
      this.#lastOptions = { ...this.#options, maxMessageBytes };
    }
    return this.#lastOptions;
  }

  /** Its client was there just now: if nobody has confirmed it yet, it is kept so long again. */
  keep(link: ServerLink, nowMs: number): void {
    if (this.#provisional.delete(link)) this.#provisional.set(link, nowMs + this.#options.handshakeMs);
  }

  confirmed(link: ServerLink): void {
    this.#provisional.delete(link);
  }

  #forget(link: ServerLink): void {
    const { id } = link.session.keys;
    if (this.#links.get(id) !== link) return;
    this.#links.delete(id);
    this.#provisional.delete(link);
    const left = (this.#perIdentity.get(link.identity) ?? 1) - 1;
    if (left > 0) this.#perIdentity.set(link.identity, left);
    else this.#perIdentity.delete(link.identity);
  }

  /** When the oldest session that is not confirmed is dropped; Infinity if there is none. */
  get nextTimeoutMs(): number {
    const [untilMs] = this.#provisional.values();
    return untilMs ?? Infinity;
  }

  tick(nowMs: number): void {
    for (const [link, untilMs] of this.#provisional) {
      if (untilMs > nowMs) break;
      link.forgetProvisional();
    }
  }
}
