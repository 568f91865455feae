/** Which connections are let in, which give way to them, and how the others are turned away. */
import type { Duplex } from "node:stream";
import { ComeBackTimes } from "../core/server/come-back-times.ts";
import { Crowd } from "../core/server/crowd.ts";
import { Shares } from "../core/server/shares.ts";
import { destroy, StreamConnection } from "../io/connection.ts";
import type { Clock } from "../link/ports.ts";
import type { Refusals } from "../server/refusals.ts";
import { MOST_LINGERING } from "../server/lingering.ts";
import { IDLE_MS, type SupervisedConnection } from "./connection.ts";
import type { SuperviseLimitName, SuperviseLimits } from "./options.ts";

const TOO_MANY: Readonly<Record<SuperviseLimitName, string>> = {
  connections: "too many connections",
  handshakes: "too many handshakes",
  connectionsPerAddress: "too many connections of this address",
  acceptsPerSecond: "too many new connections",
};

export interface DoorOptions {
  limits: Required<SuperviseLimits>;
  /** Clients speak HTTP/1 without TLS: one that is refused is told so. */
  isClearHttp1: boolean;
  clock: Clock;
  random: () => number;
  refusals: Refusals;
}

export class Door {
  /** New connections are refused, whatever the limits say. */
  isShut = false;
  readonly #options: DoorOptions;
  readonly #accepts: Shares;
  readonly #comeBack: ComeBackTimes;
  readonly #all = new Crowd<SupervisedConnection>();
  readonly #handshaking = new Crowd<SupervisedConnection>();
  /** HTTP connections without a request, the longest idle first, each with the time since when it is idle. */
  readonly #idle = new Map<SupervisedConnection, number>();
  /** Connections that were answered 503, and whose clients have not closed them yet. */
  readonly lingering: Set<Duplex> = new Set();

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#accepts = new Shares(options.limits.acceptsPerSecond);
    this.#comeBack = new ComeBackTimes(options.random);
  }

  get open(): number {
    return this.#all.size;
  }

  get handshaking(): number {
    return this.#handshaking.size;
  }

  /** The longest idle first. */
  get idle(): ReadonlyMap<SupervisedConnection, number> {
    return this.#idle;
  }

  /** Answers whether the connection is let in. Others may give way to it; one that is refused is closed. */
  mayEnter(socket: Duplex, { peer, remoteAddress }: Pick<SupervisedConnection, "peer" | "remoteAddress">): boolean {
    const nowMs = this.#options.clock.now();
    if (this.isShut) {
      this.#refuse(socket, "overload", peer, remoteAddress, nowMs);
      return false;
    }
    const limit = this.#lacking(peer, nowMs);
    if (limit === undefined) return true;
    this.#options.refusals.turnedAway.add(limit, nowMs);
    this.#refuse(socket, TOO_MANY[limit], peer, remoteAddress, nowMs);
    return false;
  }

  /** The limit that a new connection of this address has met. */
  #lacking(peer: string, nowMs: number): SuperviseLimitName | undefined {
    const { connections, handshakes, connectionsPerAddress } = this.#options.limits;
    if (this.#all.countOf(peer) >= connectionsPerAddress) return "connectionsPerAddress";
    const limit =
      this.#handshaking.size >= handshakes ? "handshakes" : this.#all.size >= connections ? "connections" : undefined;
    const mayGiveWay = this.#handshaking.size > 0 || this.#longestIdle(nowMs) !== undefined;
    if (limit !== undefined && !mayGiveWay) return limit;
    if (!this.#accepts.take(peer, nowMs)) return "acceptsPerSecond";
    if (limit !== undefined) this.#evict(limit, nowMs);
    return undefined;
  }

  #longestIdle(nowMs: number): SupervisedConnection | undefined {
    for (const [connection, sinceMs] of this.#idle) return nowMs - sinceMs >= IDLE_MS ? connection : undefined;
    return undefined;
  }

  #evict(limit: SuperviseLimitName, nowMs: number): void {
    const victim = this.#handshaking.pick(this.#options.random()) ?? this.#longestIdle(nowMs);
    if (victim === undefined) return;
    const { refusals } = this.#options;
    refusals.turnedAway.add(limit, nowMs);
    refusals.refused(refusal(TOO_MANY[limit], victim.remoteAddress, 0));
    victim.destroy();
    this.left(victim);
  }

  #refuse(socket: Duplex, reason: string, peer: string, remoteAddress: string, nowMs: number): void {
    const { limits, refusals, isClearHttp1 } = this.#options;
    const retryAfterMs = this.#comeBack.next(peer, limits.acceptsPerSecond, nowMs);
    const isAnswered = isClearHttp1 && this.lingering.size < MOST_LINGERING;
    refusals.refused(refusal(reason, remoteAddress, isAnswered ? retryAfterMs : 0));
    if (!isAnswered) return destroy(socket);
    this.lingering.add(socket);
    socket.once("close", () => this.lingering.delete(socket));
    // Reads on until the client closes: closing with unread input would make TCP discard the answer.
    new StreamConnection(socket, true, remoteAddress).end([unavailable(retryAfterMs)]);
  }

  // ── where each connection is ────────────────────────────────────────────────────────────────────────────────────

  entered(connection: SupervisedConnection): void {
    this.#all.add(connection.peer, connection);
    if (connection.phase === "handshaking") this.#handshaking.add(connection.peer, connection);
  }

  /** Its handshake is over. */
  introduced(connection: SupervisedConnection): void {
    this.#handshaking.delete(connection.peer, connection);
  }

  isIdle(connection: SupervisedConnection): void {
    this.#idle.set(connection, this.#options.clock.now());
  }

  isBusy(connection: SupervisedConnection): void {
    this.#idle.delete(connection);
  }

  left(connection: SupervisedConnection): void {
    this.#all.delete(connection.peer, connection);
    this.introduced(connection);
    this.isBusy(connection);
  }
}

function refusal(reason: string, remoteAddress: string, retryAfterMs: number): Parameters<Refusals["refused"]>[0] {
  return { code: "overloaded", reason, sessionId: "", remoteAddress, retryAfterMs };
}

/** The answer of a server that is overloaded, to whatever the request is. */
function unavailable(retryAfterMs: number): Buffer {
  const retryAfter = Math.max(1, Math.ceil(retryAfterMs / 1_000));
  return Buffer.from(
    `HTTP/1.1 503 Service Unavailable\r\nRetry-After: ${retryAfter}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    "latin1",
  );
}
