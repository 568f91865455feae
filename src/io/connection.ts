/** A socket, or any other Duplex, as a link's connection. */
import { Buffer } from "node:buffer"; // to read the global, a getter, takes longer than isBuffer()
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { CLOSED, CLOSED_BY_PEER } from "../core/session/link-events.ts";
import { ownChunk } from "../core/wire/own-chunks.ts";
import type { Addresses, Connection, ConnectionHandler } from "../link/ports.ts";
import { destroy, whenDestroyed } from "./destroy.ts";
import { realTime } from "../real-time.ts";
import { type Reader, READING_LINE as line } from "./reading-line.ts";
import { remoteAddressOf } from "./remote-address.ts";
import { describe } from "./stream-error.ts";
import { type RecordTaker, TlsRecords } from "./tls-records.ts";

/**
 * The most bytes that may wait in our own process. The rest stays in the log, from where a new connection can send it.
 */
const SHALLOW_BYTES = 131_072;
/** The most writes that may wait, however small: each takes some 600 bytes besides its contents. */
const MOST_WAITING_WRITES = 64;
/** Buffers that together are smaller than this are copied into one write. */
const GATHERED_BYTES = 4_096;
/**
 * A smaller chunk takes little time, and is the last of its turn: a socket with more bytes would have given a larger
 * one.
 */
const SMALL_CHUNK_BYTES = 1_024;
/** Memory of a chunk this large is freed as soon as it was copied; for a smaller one that costs more than it saves. */
const LARGE_CHUNK_BYTES = 16_384;
/** How long a peer may take to close after us. */
export const LINGER_MS = 2_000;

const DEAF: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };

/** The error of a write that has failed. */
type WriteError = Error | null | undefined;
type WriteCallback = (error: WriteError) => void;

/** The property in which a stream keeps its connection, so that all streams can share the same listener functions. */
export const CONNECTION: unique symbol = Symbol("connection");
type ConnectedStream = Duplex & { [CONNECTION]: StreamConnection };

/** An 'error' of a stream without a listener would end the process. */
export function ignoreError(): void {}

export class StreamConnection implements Connection, Reader, RecordTaker {
  handler: ConnectionHandler = DEAF;
  readonly #stream: ConnectedStream;
  readonly #isOurs: boolean;
  #remoteAddress: string;
  #closed = false;
  /** There are two reasons not to read: the handler has paused this connection, or it waits in the reading line. */
  #isPaused = false;
  #waits = false;
  readonly #isSocket: boolean;
  readonly #isTls: boolean;
  /** Made when the first whole record of TLS comes. */
  #records: TlsRecords | undefined;
  /** Buffers that were written while others waited already, and whether a callback is set for the last of them. */
  #waitingWrites = 0;
  #isFull = false;
  /** The handler wants to know when the kernel has everything, and was not told since it wrote last. */
  #isAwaited = false;
  #isWriting = false;
  /** One callback for all writes, made when a handler first wants it. */
  #onWritten: WriteCallback | undefined;

  /**
   * The stream is connected. Only this connection may read or close it from now on. `isOurs`: this library made the
   * socket, so the application reads it only where it has found it by other means, such as node:diagnostics_channel.
   */
  constructor(stream: Duplex, isOurs: boolean, remoteAddress: string = remoteAddressOf(stream)) {
    this.#isOurs = isOurs;
    this.#isSocket = stream instanceof Socket;
    this.#isTls = stream instanceof TLSSocket;
    this.#remoteAddress = remoteAddress;
    this.#stream = Object.assign(stream, { [CONNECTION]: this });
    if (stream instanceof Socket) stream.setNoDelay(true);
    for (const [event, listener] of LISTENERS) stream.on(event, listener);
    // One listener for errors is enough, and takes less memory than two.
    stream.off("error", ignoreError);
    // A socket that the application gave may be connecting still, and then has no address yet.
    if (remoteAddress === "" && stream instanceof Socket && stream.connecting) stream.once("connect", onConnect);
    // The application may have paused its stream.
    if (stream.readableFlowing !== true) stream.resume();
  }

  get remoteAddress(): string {
    return this.#remoteAddress;
  }

  get addresses(): Addresses {
    const stream = this.#stream;
    const remoteAddress = this.#remoteAddress === "" ? undefined : this.#remoteAddress;
    const none = { remoteAddress, remotePort: undefined, localAddress: undefined, localPort: undefined };
    if (!(stream instanceof Socket)) return none;
    const { localAddress, localPort } = stream;
    // An address that the socket does not have is that of a client behind a proxy, whose port nobody knows here.
    const remotePort = remoteAddressOf(stream) === this.#remoteAddress ? stream.remotePort : undefined;
    return { remoteAddress, remotePort, localAddress, localPort };
  }

  connected(): void {
    this.#remoteAddress = remoteAddressOf(this.#stream);
  }

  received(chunk: Buffer): void {
    if (this.#isTls && TlsRecords.isWhole(chunk)) (this.#records ??= new TlsRecords(this)).take(chunk);
    else if (this.#records?.isWaiting === true) this.#records.take(chunk);
    else this.hand(chunk, false);
  }

  hand(chunk: Buffer, isFollowed: boolean): void {
    // The handler may have closed the connection when it was handed the chunk before.
    if (this.#closed) return;
    const isSmall = chunk.length < SMALL_CHUNK_BYTES;
    const fromMs = isSmall ? 0 : realTime.now();
    if (this.#isOurs && chunk.length >= LARGE_CHUNK_BYTES) this.#own(chunk);
    const enough = this.handler.onData(chunk, isFollowed) === "enough";
    // A stream that the application made may emit data though it was paused: it waits in the line once.
    if (this.#closed || this.#waits) return;
    const tookMs = isSmall ? 0 : realTime.now() - fromMs;
    if (enough) line.wait(this, tookMs);
    else line.took(this, tookMs);
  }

  get isHeld(): boolean {
    return this.#isPaused || this.#waits;
  }

  /** Marks the chunk's memory to be freed early, unless another reader may keep it, or it holds other data, too. */
  #own({ buffer, length }: Buffer): void {
    if (buffer.byteLength === length && this.#stream.listenerCount("data") === 1) ownChunk(buffer);
  }

  pause(): void {
    if (this.#closed || this.#isPaused) return;
    this.#isPaused = true;
    if (!this.#waits) this.#flow("pause");
  }

  resume(): void {
    if (!this.#closed) this.#readOn();
  }

  #readOn(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#waits) this.#flow("resume");
  }

  wait(): void {
    this.#waits = true;
    if (!this.#isPaused) this.#flow("pause");
  }

  /** Reads on even if the connection is closed by now: one that lingers waits for the end of the stream. */
  goOn(): void {
    this.#waits = false;
    if (!this.#isPaused) this.#flow("resume");
  }

  #flow(which: "pause" | "resume"): void {
    if (which === "resume" && this.#records?.isWaiting === true) this.#records.handSoon();
    try {
      // A stream of another library may have no pause(), and then goes on.
      if (which in this.#stream) this.#stream[which]();
    } catch (error) {
      this.lost(describe(error));
    }
  }

  /** The peer has ended its side: unless the handler wants to know, a connection serves both directions, or none. */
  inputEnded(): void {
    this.#records?.handNow();
    if (this.#closed || this.handler.onInputEnded === undefined) this.lost(CLOSED_BY_PEER);
    else this.handler.onInputEnded();
  }

  /** The connection has failed, or the peer has closed it. */
  lost(reason: string): void {
    this.#records?.handNow();
    if (this.#closed) return;
    this.#closed = true;
    destroy(this.#stream);
    this.handler.onClosed(reason);
  }

  get roomBytes(): number {
    if (this.#closed || this.#isFull) return 0;
    return Math.max(0, SHALLOW_BYTES - this.#stream.writableLength);
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  write(buffers: readonly Buffer[]): boolean {
    if (this.#closed) return false;
    this.#isWriting = true;
    try {
      this.#write(buffers);
    } catch (error) {
      // A stream that the application made may throw where it should call back.
      this.lost(describe(error));
    }
    this.#isWriting = false;
    if (!this.#isTaken()) return false;
    this.#isAwaited = false;
    return true;
  }

  /** A socket mostly gives its bytes to the kernel at once. After a write that has failed it is not writable. */
  #isTaken(): boolean {
    const stream = this.#stream;
    if (!this.#isAwaited || this.#closed || stream.writableLength > 0) return false;
    return this.#isSocket && stream.writable;
  }

  #write(buffers: readonly Buffer[]): void {
    const isSocket = this.#isSocket;
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length;
    const waits = this.#stream.writableLength > 0;
    const inOne = bytes <= GATHERED_BYTES || !isSocket;
    const whenWritten = this.#count(waits, inOne ? 1 : buffers.length);
    if (inOne) {
      const isAlone = buffers.length === 1 && isSocket && !waits;
      const whole = isAlone ? buffers[0] : gathered(buffers, bytes, waits);
      this.#stream.write(whole, whenWritten);
      return;
    }
    this.#stream.cork();
    const last = buffers.length - 1;
    for (const [at, buffer] of buffers.entries()) this.#stream.write(buffer, at === last ? whenWritten : undefined);
    this.#stream.uncork();
  }

  /** Counts the buffers that wait. Answers a callback if too many do, or if the handler wants to know of the write. */
  #count(waits: boolean, buffers: number): WriteCallback | undefined {
    this.#waitingWrites = waits ? this.#waitingWrites + buffers : 0;
    if (this.handler.onWritten !== undefined) this.#isAwaited = true;
    if (this.#waitingWrites < MOST_WAITING_WRITES || this.#isFull) {
      return this.#isAwaited ? (this.#onWritten ??= (error) => this.#written(error)) : undefined;
    }
    this.#isFull = true;
    return (error) => {
      this.#isFull = false;
      this.#waitingWrites = 0;
      this.#written(error);
      if (!this.#closed) this.handler.onDrain();
    };
  }

  drained(): void {
    this.#written(undefined);
    // The handler may have written, and that write may have lost the connection.
    if (!this.#closed) this.handler.onDrain();
  }

  /**
   * A write was done, or has failed: Node calls back with the error before it destroys the stream, and by then does not
   * count the write as pending.
   */
  #written(error: WriteError): void {
    if (error || this.#closed || !this.#isAwaited) return;
    // A stream of another library may call back within its write().
    if (this.#isWriting) return realTime.nextTick(() => this.#written(error));
    if (this.#stream.writableLength > 0) return;
    this.#isAwaited = false;
    this.handler.onWritten?.();
  }

  endWriting(): void {
    if (this.#closed) return;
    try {
      this.#stream.end();
    } catch (error) {
      this.lost(describe(error));
    }
  }

  end(last: readonly Buffer[], lingerMs: number = LINGER_MS): void {
    if (this.#closed) return;
    if (last.length > 0) this.write(last);
    if (this.#closed) return;
    this.#closed = true;
    this.handler = DEAF;
    try {
      this.#stream.end();
    } catch {
      return destroy(this.#stream);
    }
    // The peer's end stands behind everything that was not read.
    this.#readOn();
    const linger = realTime.setTimeout(() => destroy(this.#stream), lingerMs);
    this.#stream.once("close", () => realTime.clearTimeout(linger));
  }

  destroy(): void {
    this.#closed = true;
    this.handler = DEAF;
    destroy(this.#stream);
  }

  /** A stream that the application made may have no such methods, and then keeps no process alive. */
  holdProcess(isHeld: boolean): void {
    const stream: Duplex & { ref?: () => void; unref?: () => void } = this.#stream;
    try {
      if (isHeld) stream.ref?.();
      else stream.unref?.();
    } catch (error) {
      this.lost(describe(error));
    }
  }

  whenGone(run: () => void): void {
    const stream = this.#stream;
    // A stream that the application made may never emit 'close'.
    if (stream.closed || (stream.destroyed && !this.#isOurs)) return run();
    stream.once("close", run);
    whenDestroyed(stream, run);
  }

  /**
   * Lets go of the stream and answers it, paused, for another connection to be made on it, as STARTTLS does. The
   * handler is not called any more. Undefined if the connection is closed, or has bytes that the kernel or the handler has
   * not taken yet.
   */
  release(): Duplex | undefined {
    const stream = this.#stream;
    if (this.#closed || stream.writableLength > 0 || this.#records?.isWaiting === true) return undefined;
    this.#closed = true;
    this.handler = DEAF;
    // The connection may wait in the reading line still, which would make the stream flow.
    this.#isPaused = true;
    for (const [event, listener] of LISTENERS) stream.off(event, listener);
    stream.off("connect", onConnect);
    stream.on("error", ignoreError);
    stream.pause();
    delete (stream as Partial<ConnectedStream>)[CONNECTION];
    return stream;
  }
}

/**
 * Copies the buffers into one. If that has to wait it gets its own memory: a part of Node's pool would keep all of
 * the pool alive.
 */
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
  // Bytes of another realm are not instances of our Buffer.
  else if (ArrayBuffer.isView(chunk)) connection.received(bytesOf(chunk));
  else connection.lost("text came, not bytes");
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

function onDrain(this: ConnectedStream): void {
  this[CONNECTION].drained();
}

function onConnect(this: ConnectedStream): void {
  this[CONNECTION].connected();
}

function onEnd(this: ConnectedStream): void {
  this[CONNECTION].inputEnded();
}

function onError(this: ConnectedStream, error: unknown): void {
  this[CONNECTION].lost(describe(error));
}

function onClose(this: ConnectedStream): void {
  this[CONNECTION].lost(CLOSED);
}

/** The listeners of every connection. They find it in their stream. */
const LISTENERS: ReadonlyArray<readonly [string, (this: ConnectedStream, given: unknown) => void]> = [
  ["data", onData],
  ["drain", onDrain],
  ["end", onEnd],
  ["error", onError],
  ["close", onClose],
];
