/** A socket, or any other Duplex, as a link's connection. */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ownChunk } from "../core/log/own-chunks.ts";
import type { Connection, ConnectionHandler } from "../link/ports.ts";
import { type Reader, ReadingLine } from "./reading-line.ts";

/** What may wait in our own process: the rest stays in the log, where a new connection finds it. */
const SHALLOW_BYTES = 131_072;
/** So many writes, however small: each takes some 600 bytes besides what it says. */
const MOST_WAITING_WRITES = 64;
/** Small buffers are written as one. */
const GATHERED_BYTES = 4_096;
/** A smaller chunk takes little, and is the last of its turn: a socket that has more gives more. */
const SMALL_CHUNK_BYTES = 1_024;
/** A chunk of so many bytes is given back as soon as it was copied: for a smaller one that takes longer than it saves. */
const LARGE_CHUNK_BYTES = 16_384;
/** A peer that does not close after us is not waited for longer. */
const LINGER_MS = 2_000;

const DEAF: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };

/** Where a stream keeps its connection, so that all streams share their listeners. */
const CONNECTION = Symbol("connection");
type ConnectedStream = Duplex & { [CONNECTION]: StreamConnection };

/**
 * Why this cannot serve as a connection; undefined if it can. It need not be a Duplex of this `node:stream`: one of the
 * package readable-stream, or of another realm, does what we ask of it as well.
 */
export function unfitness(stream: unknown): string | undefined {
  if (!isStream(stream)) return "no stream.Duplex";
  if (CONNECTION in stream) return "a stream that it gave before: each attempt needs a new one";
  const { readable, writable, destroyed, connecting } = stream as Duplex & { connecting?: boolean };
  // A socket that is still connecting is not readable yet.
  if (destroyed || !writable || (!readable && connecting !== true)) return "a stream that has ended, or was closed";
  if (stream.readableObjectMode || stream.writableObjectMode) return "a stream of objects, not of bytes";
  if (typeof stream.readableEncoding === "string") return "a stream that setEncoding() has made one of text";
  // Beside one nothing flows.
  if (stream.listenerCount("readable") > 0) return "a stream that has a listener for 'readable' still";
  return undefined;
}

const METHODS = ["on", "once", "listenerCount", "write", "end", "destroy", "resume", "cork", "uncork"] as const;

function isStream(given: unknown): given is Duplex {
  if (typeof given !== "object" || given === null) return false;
  const stream = given as Record<string, unknown>;
  return METHODS.every((name) => typeof stream[name] === "function") && typeof stream["writableLength"] === "number";
}

/** Closes what is of no use, if it is a stream at all, and in use nowhere. */
export function discard(stream: unknown): void {
  if (!isStream(stream) || CONNECTION in stream) return;
  stream.on("error", () => {});
  close(stream);
}

function close(stream: Duplex): void {
  try {
    stream.destroy();
  } catch {
    // It is given up all the same.
  }
}

/** One for all connections of the process: they share its event loop. */
const line = new ReadingLine();

export class StreamConnection implements Connection, Reader {
  handler: ConnectionHandler = DEAF;
  readonly #stream: ConnectedStream;
  readonly #isOurs: boolean;
  #closed = false;
  #isPaused = false;
  /** Buffers that were written while others waited already, and whether the last of them is waited for. */
  #waitingWrites = 0;
  #isFull = false;

  /**
   * The stream is connected. It is closed by nobody else from now on, and read by nobody else; a socket that is ours may have
   * another reader only where the application has found it (node:diagnostics_channel tells of sockets, for example).
   */
  constructor(stream: Duplex, isOurs: boolean) {
    this.#isOurs = isOurs;
    this.#stream = Object.assign(stream, { [CONNECTION]: this });
    if (stream instanceof Socket) stream.setNoDelay(true);
    stream.on("data", onData);
    stream.on("drain", onDrain);
    stream.on("end", onEnd);
    stream.on("error", onError);
    stream.on("close", onClose);
    // Whoever gave it may have paused it.
    if (stream.readableFlowing !== true) stream.resume();
  }

  get remoteAddress(): string {
    return this.#stream instanceof Socket ? (this.#stream.remoteAddress ?? "") : "";
  }

  received(chunk: Buffer): void {
    const isSmall = chunk.length < SMALL_CHUNK_BYTES;
    const fromMs = isSmall ? 0 : performance.now();
    if (this.#isOurs && chunk.length >= LARGE_CHUNK_BYTES) this.#own(chunk);
    const enough = this.handler.onData(chunk) === "enough";
    // A stream of the application's may go on though it was paused.
    if (this.#closed || this.#isPaused) return;
    const tookMs = isSmall ? 0 : performance.now() - fromMs;
    if (enough) line.wait(this, tookMs);
    else line.took(this, tookMs);
  }

  /** Unless another reader may keep it, or others lie in the same memory. */
  #own({ buffer, length }: Buffer): void {
    if (buffer.byteLength === length && this.#stream.listenerCount("data") === 1) ownChunk(buffer);
  }

  pause(): void {
    this.#isPaused = true;
    // One of another library may not have it, and goes on.
    if ("pause" in this.#stream) this.#flow("pause");
  }

  /** Also if it is closed by now: the end of one that lingers is waited for. */
  resume(): void {
    this.#isPaused = false;
    this.#flow("resume");
  }

  #flow(which: "pause" | "resume"): void {
    try {
      this.#stream[which]();
    } catch (error) {
      this.lost(describe(error));
    }
  }

  /** The connection is gone, by itself. */
  lost(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    close(this.#stream);
    this.handler.onClosed(reason);
  }

  get roomBytes(): number {
    if (this.#closed || this.#isFull) return 0;
    return Math.max(0, SHALLOW_BYTES - this.#stream.writableLength);
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  write(buffers: readonly Buffer[]): void {
    if (this.#closed) return;
    try {
      this.#write(buffers);
    } catch (error) {
      // A stream of the application's may throw where it should call back.
      this.lost(describe(error));
    }
  }

  #write(buffers: readonly Buffer[]): void {
    const isSocket = this.#stream instanceof Socket;
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length;
    const waits = this.#stream.writableLength > 0;
    const inOne = bytes <= GATHERED_BYTES || !isSocket;
    const whenWritten = this.#count(waits, inOne ? 1 : buffers.length);
    if (inOne) {
      const whole = buffers.length === 1 && isSocket ? buffers[0] : gathered(buffers, bytes, waits);
      this.#stream.write(whole, whenWritten);
      return;
    }
    this.#stream.cork();
    const last = buffers.length - 1;
    for (const [at, buffer] of buffers.entries()) this.#stream.write(buffer, at === last ? whenWritten : undefined);
    this.#stream.uncork();
  }

  /** Answers what is to be called when those that are written now have left, if there are too many. */
  #count(waits: boolean, buffers: number): (() => void) | undefined {
    this.#waitingWrites = waits ? this.#waitingWrites + buffers : 0;
    if (this.#waitingWrites < MOST_WAITING_WRITES || this.#isFull) return undefined;
    this.#isFull = true;
    return () => {
      this.#isFull = false;
      this.#waitingWrites = 0;
      if (!this.#closed) this.handler.onDrain();
    };
  }

  end(last: readonly Buffer[]): void {
    if (this.#closed) return;
    this.write(last);
    if (this.#closed) return;
    this.#closed = true;
    this.handler = DEAF;
    this.#stream.end();
    const linger = setTimeout(() => close(this.#stream), LINGER_MS);
    this.#stream.once("close", () => clearTimeout(linger));
  }

  destroy(): void {
    this.#closed = true;
    this.handler = DEAF;
    close(this.#stream);
  }
}

/** What has to wait has memory of its own: a part of Node's pool would keep all of that. */
function gathered(buffers: readonly Buffer[], bytes: number, waits: boolean): Buffer {
  if (!waits) return Buffer.concat(buffers, bytes);
  const whole = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const buffer of buffers) at += buffer.copy(whole, at);
  return whole;
}

function onData(this: ConnectedStream, chunk: unknown): void {
  const connection = this[CONNECTION];
  if (Buffer.isBuffer(chunk)) connection.received(chunk);
  // Bytes of another realm are none of our Buffers.
  else if (ArrayBuffer.isView(chunk)) connection.received(bytesOf(chunk));
  else connection.lost("text came, not bytes");
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

function onDrain(this: ConnectedStream): void {
  this[CONNECTION].handler.onDrain();
}

/** The peer says no more: a connection serves both directions, or none. */
function onEnd(this: ConnectedStream): void {
  this[CONNECTION].lost("closed by the peer");
}

function onError(this: ConnectedStream, error: unknown): void {
  this[CONNECTION].lost(describe(error));
}

function onClose(this: ConnectedStream): void {
  this[CONNECTION].lost("closed");
}

/** A stream may fail with anything at all. */
function describe(error: unknown): string {
  try {
    const { code, message } = Object(error) as { code?: unknown; message?: unknown };
    if (typeof code === "string" && code !== "") return code;
    return typeof message === "string" && message !== "" ? message : "failed";
  } catch {
    return "failed";
  }
}
