/** One connection of a supervised server: what it is doing, and how it is asked to end. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { remoteAddressOf } from "../io/remote-address.ts";
import { destroy } from "../io/destroy.ts";
import { cutOff } from "../io/reset.ts";
import type { Clock } from "../link/ports.ts";
import { peerOf } from "../server/peer.ts";
import { closeAtHead, isReceived } from "./last-answer.ts";

/**
 * Whether the connection was let in by its protocol, and whether that protocol is HTTP or known to the application
 * only.
 */
export type Phase = "handshaking" | "http" | "opaque";

export interface ConnectionHost {
  readonly clock: Clock;
  readonly isTls: boolean;
  /** An HTTP connection begins a request or a stream, or has answered the last one. It may be closed by then. */
  onBusy(connection: SupervisedConnection): void;
  onIdle(connection: SupervisedConnection): void;
}

/** The socket, and with TLS also the secured one, has the connection that it belongs to. */
const CONNECTION: unique symbol = Symbol("resplice.supervised");

interface Marked {
  [CONNECTION]?: SupervisedConnection;
}

/** The counters of a socket's handle: also where Node moves the bytes without JavaScript, as TLS and HTTP/2 do. */
interface Handle {
  bytesRead: number;
  bytesWritten: number;
  /** Of the written bytes, those that the kernel has not taken. */
  writeQueueSize: number;
}

const EMPTY_LINE_BYTES = 2;
/** The largest id of a stream: a GOAWAY with it announces the end, and refuses no stream that is on its way. */
const ANY_STREAM = 2 ** 31 - 1;
/** A client that uses a connection again mostly does so sooner: one that was idle for so long may be closed. */
export const IDLE_MS = 2_000;
/** After that GOAWAY, a peer that does not answer a PING has so long until no new stream is taken. */
const NOTICE_MS = 1_000;

/** Shared: an idle connection has no answers. */
const NOTHING: ServerResponse[] = [];

/** Undefined for a socket that was accepted before the server was supervised. */
export function connectionOf(socket: object | undefined): SupervisedConnection | undefined {
  const marked: Marked | undefined = socket;
  return marked?.[CONNECTION];
}

export class SupervisedConnection {
  phase: Phase = "handshaking";
  readonly remoteAddress: string;
  /** The address by which its client is counted. */
  readonly peer: string;
  /** When it was opened. */
  readonly beganMs: number;
  readonly #host: ConnectionHost;
  readonly #accepted: Duplex;
  #socket: Duplex;
  /** HTTP/1 answers that are not complete, in the order of their requests: several if the client pipelines. */
  #answers: ServerResponse[] = NOTHING;
  #session: ServerHttp2Session | undefined;
  #streams: Set<ServerHttp2Stream> | undefined;
  /** Its bytes are those of HTTP, and not of TLS. */
  #isClear: boolean;
  /** Bytes of HTTP/1 that had come when the last request was complete. */
  #requestedBytes = 0;
  #isLeaving = false;
  /** It was closed because of a limit, a time or an overload. */
  isDestroyed = false;
  #movedBytes = -1;
  #quietSinceMs = 0;
  #takenBytes = 0;
  /** Since when it has bytes to write and its peer takes none; Infinity: not so. */
  #stalledSinceMs = Infinity;

  constructor(accepted: Duplex, host: ConnectionHost) {
    this.#accepted = accepted;
    this.#socket = accepted;
    this.#host = host;
    this.#isClear = !host.isTls;
    this.remoteAddress = remoteAddressOf(accepted);
    this.peer = peerOf(this.remoteAddress);
    this.beganMs = host.clock.now();
    this.#mark(accepted);
  }

  #mark(socket: Duplex): void {
    (socket as Marked)[CONNECTION] = this;
  }

  /** The socket that the application has. */
  get socket(): Duplex {
    return this.#socket;
  }

  get isHttp2(): boolean {
    return this.#session !== undefined;
  }

  /** Its client is asked to go elsewhere. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /**
   * Of HTTP/1: a part of the next request's head has come. One that came with the end of the request before is not
   * seen; and with HTTP/2 nobody can tell what has come. An empty line is no part of a head: some clients send one
   * behind each request (RFC 9112, section 2.2).
   */
  get hasBegun(): boolean {
    const restBytes = this.#clearBytesRead - this.#requestedBytes;
    return this.phase !== "opaque" && this.#isClear && !this.isHttp2 && restBytes > EMPTY_LINE_BYTES;
  }

  /** With TLS, what was decrypted. */
  get #clearBytesRead(): number {
    return (this.#socket as { _handle?: Handle | null })._handle?.bytesRead ?? 0;
  }

  /** It was sent to another process, which has it now. */
  get isTaken(): boolean {
    const { _handle: handle, destroyed } = this.#accepted as Duplex & { _handle?: Handle | null };
    return handle === null && !destroyed;
  }

  /** The requests and streams that are not answered completely. */
  get requests(): number {
    return this.#answers.length + (this.#streams?.size ?? 0);
  }

  get isIdle(): boolean {
    return this.phase === "http" && this.requests === 0;
  }

  // ── what it does ────────────────────────────────────────────────────────────────────────────────────────────────

  secured(socket: Duplex): void {
    this.#socket = socket;
    this.#isClear = true;
    this.#mark(socket);
  }

  hasSession(session: ServerHttp2Session): void {
    this.#session = session;
    if (this.#isLeaving) this.#goAway(session);
  }

  stream(stream: ServerHttp2Stream): void {
    const streams = (this.#streams ??= new Set());
    streams.add(stream);
    this.#host.onBusy(this);
    stream.once("close", () => {
      streams.delete(stream);
      this.#answered();
    });
  }

  /** Answers false for one that was heard of before: a handler of 'checkContinue' may emit 'request' in its turn. */
  request(answer: ServerResponse): boolean {
    if (this.#answers.includes(answer)) return false;
    if (this.#answers === NOTHING) this.#answers = [answer];
    else this.#answers.push(answer);
    this.#host.onBusy(this);
    this.#received(answer.req);
    if (this.#isLeaving) this.#closeAfter(answer);
    answer.once("close", () => {
      this.#answers.splice(this.#answers.indexOf(answer), 1);
      this.#answered();
    });
    return true;
  }

  /** Notes when the request has come completely. */
  #received(request: IncomingMessage): void {
    this.#requestedBytes = this.#clearBytesRead;
    if (!isReceived(request)) request.once("close", () => (this.#requestedBytes = this.#clearBytesRead));
  }

  #answered(): void {
    if (this.isIdle) this.#host.onIdle(this);
  }

  // ── how it ends ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Asks an HTTP client to go elsewhere when it has its answers. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    if (this.#session !== undefined) return this.#goAway(this.#session);
    for (const answer of this.#answers) this.#closeAfter(answer);
  }

  /**
   * The answer says `Connection: close`, unless its head was sent before, or the client has not sent all of its request:
   * then a later one does. A client that pipelines gets all of its answers.
   */
  #closeAfter(answer: ServerResponse): void {
    closeAtHead(answer, () => this.#answers.at(-1) === answer && isReceived(answer.req));
  }

  /**
   * In two steps, so that a request which crosses the GOAWAY is answered. Node 22 sends none when its server closes.
   */
  #goAway(session: ServerHttp2Session): void {
    if (session.closed || session.destroyed) return;
    const end = (): void => {
      notice.clear();
      if (!session.closed && !session.destroyed) session.close();
    };
    const { clock } = this.#host;
    const notice = clock.timer(end);
    notice.set(clock.now() + NOTICE_MS);
    session.goaway(constants.NGHTTP2_NO_ERROR, ANY_STREAM);
    session.ping(end);
  }

  destroy(): void {
    this.isDestroyed = true;
    if (this.#session?.destroyed === false) this.#session.destroy();
    if (this.#socket !== this.#accepted) destroy(this.#socket);
    // An HTTP message says itself whether it is whole.
    if (this.phase === "opaque") cutOff(this.#accepted);
    else destroy(this.#accepted);
  }

  // ── its bytes ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes that wait in this process to be written. */
  get pendingBytes(): number {
    let bytes = 0;
    if (this.#session !== undefined) {
      for (const { writableLength } of this.#streams ?? []) bytes += writableLength;
      return bytes + (this.#handle?.writeQueueSize ?? 0);
    }
    if (this.#answers.length === 0) return this.#socket.writableLength;
    // The first has the socket, and counts its bytes; the others keep theirs until it is their turn.
    for (const { writableLength } of this.#answers) bytes += writableLength;
    return bytes;
  }

  get #handle(): Handle | undefined {
    return (this.#accepted as { _handle?: Handle | null })._handle ?? undefined;
  }

  /** Bytes that the kernel has taken. */
  #taken(): number {
    const handle = this.#handle;
    if (handle !== undefined) return handle.bytesWritten - handle.writeQueueSize;
    const { bytesWritten = 0 } = this.#accepted as { bytesWritten?: number };
    return bytesWritten - this.#accepted.writableLength;
  }

  /** Notes whether its peer takes what is written. Called from time to time; after a pause of the process `anew`. */
  watchWriting(nowMs: number, anew: boolean): void {
    if (this.pendingBytes === 0) {
      this.#stalledSinceMs = Infinity;
      return;
    }
    const takenBytes = this.#taken();
    if (anew || this.#stalledSinceMs === Infinity || takenBytes !== this.#takenBytes) this.#stalledSinceMs = nowMs;
    this.#takenBytes = takenBytes;
  }

  /** Since when its peer takes none of the bytes that wait to be written. Infinity: it does, or there are none. */
  get progressMs(): number {
    return this.#stalledSinceMs;
  }

  /** How long no byte has passed in either direction, counted from the first call. */
  quietMs(nowMs: number): number {
    const movedBytes = this.#taken() + (this.#handle?.bytesRead ?? 0);
    if (movedBytes !== this.#movedBytes) {
      this.#movedBytes = movedBytes;
      this.#quietSinceMs = nowMs;
    }
    return nowMs - this.#quietSinceMs;
  }
}
