/** The connections of a supervised server: heard of by its events, watched from time to time, closed when asked to. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { destroy } from "../io/destroy.ts";
import type { Timer } from "../link/ports.ts";
import { acceptedAs } from "../server/tls-handshakes.ts";
import { type ConnectionHost, connectionOf, IDLE_MS, SupervisedConnection } from "./connection.ts";
import { Door, type DoorOptions } from "./door.ts";
import { closeAtHead, isReceived } from "./last-answer.ts";
import type { ResolvedSuperviseOptions } from "./options.ts";

/** How often connections are looked at, at least, and while the server drains. */
const SWEEP_MS = 1_000;
const DRAIN_SWEEP_MS = 50;
/** A time is looked at so often before it is over. */
const LOOKS = 4;
/** The process was busy, or stopped: a peer had no chance to show progress. */
const LATE_MS = 1_000;
/** HTTP/2 sessions are asked to leave at this pace at most, so that not all clients come to the next server at once. */
const LEAVES_PER_MS = 1;
const LEAVE_STEP_MS = 10;
/** At a limit, connections that another process has taken are looked for so often at most. */
const TAKEN_LOOK_MS = 100;

export interface ConnectionsOptions extends Omit<DoorOptions, "isRaw">, Pick<ResolvedSuperviseOptions, "timeouts"> {
  isTls: boolean;
  /** Also HTTP/2. */
  isHttp: boolean;
  /** A connection whose protocol only the application knows is to end. */
  onDrain: (socket: Duplex) => void;
}

export class Connections {
  /** Since the beginning: connections, those that were let in, and requests. */
  arrived = 0;
  accepted = 0;
  requestsBegun = 0;
  readonly #options: ConnectionsOptions;
  readonly door: Door;
  readonly #host: ConnectionHost;
  readonly #open = new Set<SupervisedConnection>();
  readonly #sweep: Timer;
  readonly #sweepMs: number;
  #sweptMs = 0;
  #lookedForTakenMs = -Infinity;
  #isDraining = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    const { clock, timeouts, isTls } = options;
    this.door = new Door({ ...options, isRaw: !isTls && !options.isHttp });
    this.#host = {
      clock,
      isTls,
      onBusy: (connection) => this.door.isBusy(connection),
      onIdle: (connection) => {
        if (this.#open.has(connection)) this.door.isIdle(connection);
      },
    };
    this.#sweep = clock.timer(() => this.#look());
    const shortest = Math.min(timeouts.handshakeMs, timeouts.writeStallMs);
    this.#sweepMs = Math.max(1, Math.min(SWEEP_MS, shortest / LOOKS));
  }

  // ── events of the server ────────────────────────────────────────────────────────────────────────────────────────

  /** Answers false if the server is not to hear of the event. */
  hears(name: unknown, first: unknown, second: unknown): boolean {
    switch (name) {
      case "connection":
        return this.#accept(first as Duplex);
      case "secureConnection":
        this.#secured(first as TLSSocket);
        break;
      case "tlsClientError":
        return !this.#isEvicted(second as TLSSocket);
      case "session":
        this.#hasSession(first as ServerHttp2Session);
        break;
      case "stream":
        this.#stream(first as ServerHttp2Stream);
        break;
      case "request":
      case "checkContinue":
      case "checkExpectation":
        this.#request(first as IncomingMessage, second as ServerResponse);
        break;
      case "upgrade":
      case "connect":
        this.#upgraded(second as Duplex);
        break;
      default:
    }
    return true;
  }

  #accept(socket: Duplex): boolean {
    this.arrived++;
    const { isTls, isHttp } = this.#options;
    const connection = new SupervisedConnection(socket, this.#host);
    if (this.door.isFull(connection.peer)) this.#forgetTaken();
    if (!this.door.mayEnter(socket, connection)) return false;
    if (!isTls && !isHttp) connection.phase = "opaque";
    this.accepted++;
    this.#open.add(connection);
    this.door.entered(connection);
    socket.on("close", () => this.#left(connection));
    if (this.#open.size === 1) this.#sweepSoon();
    if (this.#isDraining) this.#drain(connection);
    return true;
  }

  #secured(socket: TLSSocket): void {
    const connection = connectionBelow(socket);
    if (connection === undefined) return;
    connection.secured(socket);
    if (!this.#options.isHttp) this.#introduced(connection, "opaque");
  }

  /** A handshake that was cut off here is no error of its client. */
  #isEvicted(socket: TLSSocket): boolean {
    if (connectionBelow(socket)?.isDestroyed !== true) return false;
    destroy(socket);
    return true;
  }

  #hasSession(session: ServerHttp2Session): void {
    const connection = connectionOf(session.socket);
    if (connection === undefined) return;
    connection.hasSession(session);
    // The client's settings have come: it speaks HTTP/2, though it may have no request yet. A browser connects ahead.
    session.once("remoteSettings", () => {
      this.#introduced(connection, "http");
      if (connection.isIdle) this.#host.onIdle(connection);
    });
  }

  #stream(stream: ServerHttp2Stream): void {
    const { session } = stream;
    if (session === undefined || session.destroyed) return;
    const connection = connectionOf(session.socket);
    if (connection === undefined) return;
    this.requestsBegun++;
    this.#introduced(connection, "http");
    connection.stream(stream);
  }

  #request(request: IncomingMessage, answer: ServerResponse): void {
    // With HTTP/2 it is a stream, which was heard of before.
    if (request.httpVersionMajor >= 2) return;
    const connection = connectionOf(request.socket);
    if (connection === undefined) {
      // The connection is older than the supervision.
      if (this.#isDraining) closeAtHead(answer, () => isReceived(request));
      return;
    }
    this.#introduced(connection, "http");
    if (connection.request(answer)) this.requestsBegun++;
  }

  #upgraded(socket: Duplex): void {
    const connection = connectionOf(socket);
    if (connection === undefined) return;
    this.#introduced(connection, "opaque");
    this.door.isBusy(connection);
  }

  #introduced(connection: SupervisedConnection, phase: "http" | "opaque"): void {
    if (connection.phase === phase) return;
    connection.phase = phase;
    this.door.introduced(connection);
    if (phase === "opaque" && this.#isDraining) this.#drain(connection);
  }

  get open(): ReadonlySet<SupervisedConnection> {
    return this.#open;
  }

  close(connection: SupervisedConnection): void {
    connection.destroy();
    this.#left(connection);
  }

  /** Closes a connection for which there is no room. */
  crowdOut(connection: SupervisedConnection, reason: string): void {
    this.door.crowdOut(connection, reason);
    this.#left(connection);
  }

  #left(connection: SupervisedConnection): void {
    if (!this.#open.delete(connection)) return;
    this.door.left(connection);
    if (this.#open.size > 0) return;
    this.#sweep.clear();
    this.#onEmpty?.();
  }

  /** A connection that was sent to another process emits no 'close' here. */
  #forgetTaken(): void {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#lookedForTakenMs < TAKEN_LOOK_MS) return;
    this.#lookedForTakenMs = nowMs;
    for (const connection of this.#open) if (connection.isTaken) this.#left(connection);
  }

  // ── watched ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #sweepSoon(): void {
    const nowMs = this.#options.clock.now();
    this.#sweptMs = nowMs;
    this.#sweep.set(nowMs + (this.#isDraining ? DRAIN_SWEEP_MS : this.#sweepMs));
  }

  #look(): void {
    const nowMs = this.#options.clock.now();
    const isLate = nowMs - this.#sweptMs > this.#sweepMs + LATE_MS;
    const { handshakeMs } = this.#options.timeouts;
    this.#forgetTaken();
    for (const connection of this.#open) {
      connection.watchWriting(nowMs, isLate);
      const isHandshaking = connection.phase === "handshaking";
      if (isHandshaking && nowMs - connection.beganMs >= handshakeMs) this.#handshakeTimedOut(connection);
      else if (this.#isDraining && mayGo(connection) && connection.quietMs(nowMs) >= IDLE_MS) this.close(connection);
    }
    if (this.#open.size > 0) this.#sweepSoon();
  }

  #handshakeTimedOut(connection: SupervisedConnection): void {
    const detail = this.#options.isHttp ? "no complete request" : "TLS is not finished";
    this.#options.refusals.rejected(connection.remoteAddress, "handshake timed out", detail);
    this.close(connection);
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Asks all connections to end. HTTP/2 sessions hear of it one after the other, for at most `spreadMs`. */
  drain(spreadMs: number): void {
    this.#isDraining = true;
    const sessions: SupervisedConnection[] = [];
    for (const connection of this.#open) {
      if (connection.isHttp2) sessions.push(connection);
      else this.#drain(connection);
    }
    this.#sayGoodbye(sessions, Math.min(spreadMs, sessions.length / LEAVES_PER_MS));
    if (this.#open.size > 0) this.#sweepSoon();
  }

  #drain(connection: SupervisedConnection): void {
    const { clock, onDrain } = this.#options;
    // Later, as the server itself may not have heard of the connection yet.
    if (connection.phase === "opaque") clock.defer(onDrain, connection.socket);
    else connection.leave();
  }

  #sayGoodbye(sessions: readonly SupervisedConnection[], overMs: number): void {
    const { clock } = this.#options;
    const fromMs = clock.now();
    let told = 0;
    const next = clock.timer(() => tell());
    const tell = (): void => {
      const part = Math.min(1, (clock.now() - fromMs + LEAVE_STEP_MS) / overMs);
      const due = Math.ceil(sessions.length * part);
      for (; told < due; told++) sessions[told]?.leave();
      if (told < sessions.length) next.set(clock.now() + LEAVE_STEP_MS);
    };
    if (sessions.length > 0) tell();
  }

  /** Resolves when no connection is left. */
  empty(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** Closes all connections at once. Answers how many of them had work under way, as far as is known. */
  cutOff(): number {
    let left = 0;
    for (const connection of this.#open) {
      if (!mayGo(connection)) left++;
      this.close(connection);
    }
    return left;
  }

  // ── seen from outside ───────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes that wait in this process to be written. An idle HTTP connection has none. */
  get bufferBytes(): number {
    let bytes = 0;
    for (const connection of this.#open) if (!this.door.idle.has(connection)) bytes += connection.pendingBytes;
    return bytes;
  }

  counts(): { open: number; handshaking: number; idle: number; opaque: number; lingering: number; requests: number } {
    let idle = 0;
    let opaque = 0;
    let requests = 0;
    for (const connection of this.#open) {
      if (connection.phase === "opaque") opaque++;
      if (connection.isIdle) idle++;
      requests += connection.requests;
    }
    const { open, handshaking, lingering } = this.door;
    return { open, handshaking, idle, opaque, lingering: lingering.size, requests };
  }
}

/** Below a TLS socket that was made of a stream, which is no socket, only its handle has that stream. */
function connectionBelow(socket: TLSSocket): SupervisedConnection | undefined {
  const accepted = acceptedAs(socket) as Socket | null;
  if (accepted !== null) return connectionOf(accepted);
  const { _handle } = socket as unknown as { _handle?: { _parentWrap?: { stream?: Duplex } } };
  return connectionOf(_handle?._parentWrap?.stream);
}

/** Whether nobody waits for anything on it, as far as is known. */
function mayGo(connection: SupervisedConnection): boolean {
  const { phase, requests, hasBegun, pendingBytes } = connection;
  return phase !== "opaque" && requests === 0 && !hasBegun && pendingBytes === 0;
}
