/** A socket, or any other Duplex, as a link's connection. */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Connection, ConnectionHandler } from "../link/ports.ts";

/** What may wait in our own process: the rest stays in the log, where a new connection finds it. */
const SHALLOW_BYTES = 131_072;
/** Small buffers are written as one. */
const GATHERED_BYTES = 4_096;
/** A peer that does not close after us is not waited for longer. */
const LINGER_MS = 2_000;

const DEAF: ConnectionHandler = { onData: () => {}, onDrain: () => {}, onClosed: () => {} };

/** Where a stream keeps its connection, so that all streams share their listeners. */
const CONNECTION = Symbol("connection");
type ConnectedStream = Duplex & { [CONNECTION]: StreamConnection };

export class StreamConnection implements Connection {
  handler: ConnectionHandler = DEAF;
  readonly #stream: ConnectedStream;
  #closed = false;

  /** The stream is connected. It is read from, and closed, by nobody else from now on. */
  constructor(stream: Duplex) {
    this.#stream = Object.assign(stream, { [CONNECTION]: this });
    if (stream instanceof Socket) stream.setNoDelay(true);
    stream.on("data", onData);
    stream.on("drain", onDrain);
    stream.on("end", onEnd);
    stream.on("error", onError);
    stream.on("close", onClose);
  }

  get remoteAddress(): string {
    return this.#stream instanceof Socket ? (this.#stream.remoteAddress ?? "") : "";
  }

  /** The connection is gone, by itself. */
  lost(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.destroy();
    this.handler.onClosed(reason);
  }

  get roomBytes(): number {
    if (this.#closed) return 0;
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
      // A stream of the application's, whose own _write() threw.
      this.lost(describe(error));
    }
  }

  #write(buffers: readonly Buffer[]): void {
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length;
    if (bytes <= GATHERED_BYTES || !(this.#stream instanceof Socket)) {
      this.#stream.write(
        buffers.length === 1 && this.#stream instanceof Socket ? buffers[0] : Buffer.concat(buffers, bytes),
      );
      return;
    }
    this.#stream.cork();
    for (const buffer of buffers) this.#stream.write(buffer);
    this.#stream.uncork();
  }

  end(last: readonly Buffer[]): void {
    if (this.#closed) return;
    this.write(last);
    if (this.#closed) return;
    this.#closed = true;
    this.handler = DEAF;
    this.#stream.end();
    const linger = setTimeout(() => this.#stream.destroy(), LINGER_MS);
    this.#stream.once("close", () => clearTimeout(linger));
  }

  destroy(): void {
    this.#closed = true;
    this.handler = DEAF;
    this.#stream.destroy();
  }
}

function onData(this: ConnectedStream, chunk: Buffer): void {
  this[CONNECTION].handler.onData(chunk);
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

/** A stream of the application's may fail with anything. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return "failed";
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
