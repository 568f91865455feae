/**
 * Everything that a server keeps: its tables, the connections that speak for its sessions, its options, and the events
 * that wait for its caller. The parts of `ServerCore` share one object of this class, and keep no state of their own.
 */
import { type AuthenticateEvent, Entrance, type EntranceOptions } from "./entrance.ts";
import type { Entropy, Owner } from "../session/proof.ts";
import { type Handshake, type HandshakeEvent, HandshakeTable } from "./handshake-table.ts";
import type { ServerLinkCore } from "./link-core.ts";
import { SessionTable, type SessionTableOptions } from "./session-table.ts";

export interface ServerCoreOptions extends SessionTableOptions, EntranceOptions {
  /**
   * Other processes may have the sessions too: a store that all of them share is asked before a resume or a COMMIT lets
   * a connection speak for a session, and before a resume is told that a session is unknown. It needs `hasStore` and
   * `hasOutbox`: without them a session cannot go on elsewhere. Default false: nobody is asked.
   */
  sharesStore?: boolean;
  /**
   * A connection for a session that another server has opened is forwarded to that server, with an "elsewhere" event.
   * Not together with `sharesStore`, where a session has no fixed place. Default false: such a session is unknown.
   */
  forwards?: boolean;
}

/** Answer with `forwarded()`, `nobodyThere()` or `notForwarded()`. */
export interface ElsewhereEvent {
  type: "elsewhere";
  channel: number;
  /** Names the server that is to have the connection, if there is such a server. */
  serverId: string;
}

/** Answer with `adopted()`. */
export interface AdoptEvent {
  type: "adopt";
  channel: number;
  sessionId: string;
  /** The connection's process and generation. The store lets it in only if it is newer than the one let in last. */
  owner: Owner;
  /** The frame that waits: a HELLO that resumes, or a COMMIT. */
  by: "resume" | "commit";
  /** The token of the session that is in memory here. Undefined if it is not here. */
  token: number | undefined;
}

export type ServerCoreEvent =
  | AuthenticateEvent
  | AdoptEvent
  | ElsewhereEvent
  /** A client has opened a link. */
  | { type: "link"; channel: number; link: ServerLinkCore }
  /** A link has come here from the store, from another process or from an earlier life of this one. */
  | { type: "restored"; link: ServerLinkCore }
  /** A connection speaks for this link from now on: its input and output are the link's. */
  | { type: "attached"; channel: number; link: ServerLinkCore }
  /** Nobody has confirmed the session, and another was given its place. No application has heard of it. */
  | { type: "gave-way"; link: ServerLinkCore }
  /** The link has changed, but not because of input on its own connection: its driver has to run. */
  | { type: "changed"; link: ServerLinkCore }
  | HandshakeEvent;

/** A server that is overloaded may refuse these. Resumes of the sessions that it has still come in. */
export type Refusable = "sessions" | "standbys";

export class ServerState {
  readonly options: ServerCoreOptions;
  readonly entropy: Entropy;
  readonly events: ServerCoreEvent[] = [];
  readonly sessions: SessionTable;
  readonly handshakes: HandshakeTable;
  readonly entrance: Entrance;
  /** The links that connections speak for, by connection. */
  readonly attached: Map<number, ServerLinkCore> = new Map();
  /** One function for all links. */
  readonly #onDetached = (id: number): void => this.detach(id);
  /** When the server will be gone; undefined if it is not going away. */
  goneMs: number | undefined;
  /** Why new sessions, and second connections, are refused as overloaded now; "": they are not. */
  readonly refusing: Record<Refusable, string> = { sessions: "", standbys: "" };

  constructor(options: ServerCoreOptions, entropy: Entropy) {
    if (options.sharesStore === true && !(options.hasStore === true && options.hasOutbox === true)) {
      throw new Error("sharesStore needs hasStore and hasOutbox");
    }
    if (options.sharesStore === true && options.forwards === true) {
      throw new Error("a server that shares a store forwards nothing");
    }
    this.options = options;
    this.entropy = entropy;
    this.handshakes = new HandshakeTable(options, this.events, (id) => this.entrance.left(id));
    this.sessions = new SessionTable(options, entropy, (link) => {
      this.handshakes.leave(link, "gave way");
      this.events.push({ type: "gave-way", link });
    });
    this.entrance = new Entrance(options, this.handshakes, this.sessions, this.events, entropy);
  }

  /** Connections that speak for a session, here or at another server. */
  get taken(): number {
    return this.attached.size + this.handshakes.forwards.size;
  }

  /** The connection of a handshake speaks for the link from now on. */
  attach(handshake: Handshake, link: ServerLinkCore): void {
    const { channel, peer } = handshake;
    this.handshakes.attached(handshake, link);
    link.peer = peer;
    this.attached.set(channel.id, link);
    link.onDetached = this.#onDetached;
  }

  /** The connection speaks for no link any more. */
  detach(id: number): void {
    const link = this.attached.get(id);
    if (link === undefined) return;
    this.attached.delete(id);
    this.handshakes.detached(link.peer);
  }
}
